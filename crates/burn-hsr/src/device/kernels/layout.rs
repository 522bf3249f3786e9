//! Where each quantity is in the one buffer that the kernels pass on.
//!
//! WebGPU promises eight buffers in a binding group, one of which CubeCL takes for the sizes. What a kernel computes for
//! the next ones is therefore in one buffer, `state`; a [`Layout`] says where. Tensors of Burn, products of matrices and
//! what leaves are buffers of their own, so that no product writes into the buffer it reads.

use cubecl::prelude::*;
use hsr_core::{BlockEvaluation, Dimensions, Plan};

use super::buffer::UNITS;

/// How much larger a strip of M may be than x̃ and U together.
const STRIP: usize = 8;

/// Which blocks of the Hessian an evaluation takes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Blocks {
    pub output: bool,
    pub hidden: bool,
    pub cross: bool,
}

impl Blocks {
    pub(super) fn of(plan: Plan, evaluation: BlockEvaluation) -> Self {
        Self {
            output: plan.output == evaluation,
            hidden: plan.hidden == evaluation,
            cross: plan.cross == evaluation,
        }
    }
}

/// Numbers that a kernel gets by name.
macro_rules! layout {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The sizes, and at which number of `state` each quantity starts.
        ///
        /// H is linear in (r, S, ω): kernels read them times 1/σ (theory §5). σ is found before Σω = 1 is imposed, for
        /// that factor cancels in r/σ and S/σ.
        #[derive(Clone, Copy, CubeType, CubeLaunch)]
        pub(super) struct Layout {
            $($(#[$doc])* pub $name: usize,)*
        }

        impl Layout {
            /// As an argument of a kernel.
            pub(super) fn arg(&self) -> LayoutLaunch {
                LayoutLaunch::new($(self.$name),*)
            }
        }
    };
}

layout! {
    /// N.
    samples,
    /// d.
    inputs,
    /// h.
    hidden,
    /// K.
    outputs,
    /// d̃, which counts a bias.
    inputs_extended,
    /// h̃.
    hidden_extended,
    /// How many parts a sum over numbers of any block is taken in.
    cubes,
    /// How many rows of M are formed at a time.
    strip,
    /// a \[N, h\].
    a,
    /// φ', φ'', φ''' \[3, N, h\].
    derivatives,
    /// p, r and the diagonal of S, before normalisation \[3, N, K\].
    out,
    /// ω before normalisation, the sample's share of Σω, the class of the largest logit \[3, N\].
    rows,
    /// 1/σ, σ, whether a number is not finite \[3\].
    scale,
    /// S \[N, K, K\].
    s,
    /// U \[N, K, h\].
    u,
    /// Q \[N, K, h\].
    q,
    /// R \[N, K, h\].
    r,
    /// R + 2F \[N, K, h\], with pairs in the cross block.
    coupled,
    /// c \[N, h\], which M has on its diagonal beside UᵀQ.
    c,
    /// A strip of M, so many rows of every sample \[N, strip, h\].
    m,
    /// U M̃ \[N, K, h\] and the diagonal of M̃ \[N, h\].
    um,
    m_diagonal,
    /// What x̄ needs of M: ⟨M_n,M_m⟩ \[N, N\], or where the block is assembled M C \[N, d̃, d̃\].
    of_m,
    /// ‖x̃‖², ‖ã‖², tr S, tr M \[4, N\].
    traces,
    /// G \[N, N\], with pairs in the cross block.
    inner,
    /// αG \[N, N\], with pairs in the cross block.
    both,
    /// G² \[N, N\], with pairs in the hidden block.
    inner_squared,
    /// α² \[N, N\], with pairs in the output block.
    alpha_squared,
    /// The weights of pairs in ā \[N, N\].
    hidden_weights,
    /// The weights of pairs in x̄ \[N, N\].
    input_weights,
    /// ããᵀ \[N, h̃, h̃\], where the output block is assembled.
    aa,
    /// x̃x̃ᵀ \[N, d̃, d̃\], where the hidden block is assembled.
    xx,
    /// ãx̃ᵀ \[N, h̃, d̃\], where the cross block is assembled.
    ax,
    /// x̃ \[N, d̃\], where the cross block is assembled.
    x_extended,
    /// The columns of E with i = j \[K·h, d̃\], where it is assembled.
    on_diagonal,
    /// What assembled blocks give ā \[N, h\].
    hidden_of_blocks,
    /// What assembled blocks give x̄ \[N, d\].
    inputs_of_blocks,
    /// The parts of q, first those of the output and the cross block, then those of every strip of M.
    parts,
    /// How many there are.
    all_parts,
    /// w_t, 2w_q and 4w_q, all times σ, and whether the value overflowed \[4\].
    weights,
    /// Q̄ \[N, K, h\].
    q_bar,
    /// The share of a sample in W̄2 but for a ōᵀ \[N, K, h\].
    of_w2,
    /// The share of a hidden unit in r̄ \[N, K, h\].
    of_r,
    /// Uᵀp, Q̄ᵀp and the share in z̄ but for that of ō \[3, N, h\].
    of_hidden,
    /// ō \[N, K\].
    o_bar,
    /// z̄ \[N, h\].
    z_bar,
}

impl Layout {
    /// For so many samples, and how long `state` is. Every quantity starts at a multiple of `step`.
    pub(super) fn of(
        dims: &Dimensions,
        n: usize,
        plan: Plan,
        with_inputs: bool,
        step: usize,
    ) -> (Self, usize) {
        let (d, h, k) = (dims.inputs, dims.hidden, dims.outputs);
        let inputs_extended = d + usize::from(dims.hidden_bias);
        let hidden_extended = h + usize::from(dims.output_bias);
        let gram = Blocks::of(plan, BlockEvaluation::Gram);
        let assembled = Blocks::of(plan, BlockEvaluation::Assembled);
        // As many rows of M as take a few times the room of x̃ and U, so that memory grows with N·(d + K·h), not N·h².
        let strip = (STRIP * (inputs_extended + k * h) / h).clamp(1, h);
        let strips = h.div_ceil(strip);
        // Each unit adds up a few dozen numbers of q, until there are enough cubes to fill a device.
        let [output, hidden, cross] = [
            (gram.output, n * k * k, k * k * hidden_extended.pow(2)),
            (
                gram.hidden,
                n * strip * h,
                strip * h * inputs_extended.pow(2),
            ),
            (
                gram.cross,
                2 * n * k * h,
                k * h * hidden_extended * inputs_extended,
            ),
        ]
        .map(|(gram, of_pairs, of_block)| if gram { of_pairs } else { of_block });
        let cubes = (output + hidden + cross).div_ceil(32 * UNITS).clamp(1, 256);

        let mut end = 0;
        let mut room = |wanted: bool, numbers: usize| {
            let start = end;
            if wanted {
                end += numbers.next_multiple_of(step);
            }
            start
        };
        let layout = Self {
            samples: n,
            inputs: d,
            hidden: h,
            outputs: k,
            inputs_extended,
            hidden_extended,
            cubes,
            strip,
            all_parts: cubes * (1 + strips),
            a: room(true, n * h),
            derivatives: room(true, 3 * n * h),
            out: room(true, 3 * n * k),
            rows: room(true, 3 * n),
            scale: room(true, 3),
            s: room(true, n * k * k),
            u: room(true, n * k * h),
            q: room(true, n * k * h),
            r: room(true, n * k * h),
            coupled: room(gram.cross, n * k * h),
            c: room(true, n * h),
            m: room(true, n * strip * h),
            um: room(true, n * k * h),
            m_diagonal: room(true, n * h),
            of_m: room(
                with_inputs,
                if gram.hidden {
                    n * n
                } else {
                    n * inputs_extended.pow(2)
                },
            ),
            traces: room(true, 4 * n),
            inner: room(gram.cross, n * n),
            both: room(gram.cross, n * n),
            inner_squared: room(gram.hidden, n * n),
            alpha_squared: room(gram.output, n * n),
            hidden_weights: room(gram.output || gram.cross, n * n),
            input_weights: room(with_inputs && (gram.hidden || gram.cross), n * n),
            aa: room(assembled.output, n * hidden_extended.pow(2)),
            xx: room(assembled.hidden, n * inputs_extended.pow(2)),
            ax: room(assembled.cross, n * hidden_extended * inputs_extended),
            x_extended: room(assembled.cross, n * inputs_extended),
            on_diagonal: room(assembled.cross, k * h * inputs_extended),
            hidden_of_blocks: room(assembled.output || assembled.cross, n * h),
            inputs_of_blocks: room(with_inputs && (assembled.hidden || assembled.cross), n * d),
            parts: room(true, cubes * (1 + strips)),
            weights: room(true, 4),
            q_bar: room(true, n * k * h),
            of_w2: room(true, n * k * h),
            of_r: room(true, n * k * h),
            of_hidden: room(true, 3 * n * h),
            o_bar: room(true, n * k),
            z_bar: room(true, n * h),
        };
        (layout, end)
    }
}

#[cfg(test)]
mod tests {
    use hsr_core::Evaluation;

    use super::*;

    #[test]
    fn a_wide_layer_is_taken_in_strips() {
        let strip = |d, h, k| {
            let dims = Dimensions::new(d, h, k);
            let plan = Plan::new(Evaluation::Auto, &dims, 6).unwrap();
            Layout::of(&dims, 6, plan, true, 64).0.strip
        };
        let strips = [(784, 128, 10), (1, 53, 2), (1, 40, 1), (784, 1024, 10)];
        assert_eq!(strips.map(|(d, h, k)| strip(d, h, k)), [128, 16, 8, 86]);
    }
}
