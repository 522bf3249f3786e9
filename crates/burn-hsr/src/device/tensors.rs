//! The closed form as plain tensor operations.
//!
//! The path of every device on which the kernels do not run, and the one that [`kernels`](super::kernels) are tested
//! against. A penalty is some 300 operations (304 launches on wgpu for the softmax, before the kernels took over there),
//! so it pays for large models, not small ones.

use burn::tensor::Tensor;
use hsr_core::{BlockEvaluation, OutputLoss, Plan};

use crate::activation::derivatives;
use crate::gradient::{HsrGradient, ZeroWhere};

use super::moments::Weighted;
use super::output::{Output, eye};
use super::problem::{Problem, of_three_layers};

/// The per-sample quantities of theory §1.
struct Forward {
    /// x̃ \[N, d̃\], ã \[N, h̃\], a and the derivatives \[N, h\].
    x: Tensor<2>,
    a_extended: Tensor<2>,
    a: Tensor<2>,
    d1: Tensor<2>,
    d2: Tensor<2>,
    d3: Tensor<2>,
    /// Probabilities p \[N, K\], residual r \[N, K\], ω \[N, 1\]; r, ω and S are divided by σ.
    p: Tensor<2>,
    r: Tensor<2>,
    omega: Tensor<2>,
    /// S \[N, K, K\] and its diagonal \[N, K\].
    s: Tensor<3>,
    s_diagonal: Tensor<2>,
    /// U, Q \[N, K, h\]; g, c \[N, h\]; M \[N, h, h\].
    u: Tensor<3>,
    q: Tensor<3>,
    g: Tensor<2>,
    c: Tensor<2>,
    m: Tensor<3>,
    /// 1 at the class of the largest logit \[N, K\].
    top: Tensor<2>,
    sigma: Tensor<1>,
}

/// The norms of the blocks and their contractions with the samples, as in hsr-core: without w_q, which they precede.
struct Contraction {
    /// ‖H22‖² + ‖H11‖² + 2‖H21‖².
    frobenius_squared: Tensor<1>,
    /// S̃ \[N, K, K\].
    s: Tensor<3>,
    /// M̃ \[N, h, h\].
    m: Tensor<3>,
    /// Q̃ \[N, K, h\], R̃ \[N, K, h\].
    q: Tensor<3>,
    r: Tensor<3>,
    /// For ā \[N, h\] and x̄ \[N, d̃\].
    hidden: Tensor<2>,
    inputs: Option<Tensor<2>>,
}

/// A product over samples of flattened blocks: `left` \[N, …\], `right` \[N, …\] to \[left, right\].
fn over_samples(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    left.transpose().matmul(right)
}

/// `[N, a, b]` to `[N, a·b]`.
pub(super) fn flat(tensor: Tensor<3>) -> Tensor<2> {
    let [n, a, b] = tensor.dims();
    tensor.reshape([n, a * b])
}

/// `[N, a]` and `[N, b]` to their outer products `[N, a·b]`.
fn outer(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    flat(left.unsqueeze_dim::<3>(2) * right.unsqueeze_dim::<3>(1))
}

/// `[N, a, b]` times `[N, b]`.
fn times_vector(matrix: Tensor<3>, vector: Tensor<2>) -> Tensor<2> {
    (matrix * vector.unsqueeze_dim::<3>(1))
        .sum_dim(2)
        .squeeze_dim::<2>(2)
}

/// The diagonal of `[N, a, a]`.
fn diagonal(matrix: Tensor<3>, eye: Tensor<3>) -> Tensor<2> {
    (matrix * eye).sum_dim(2).squeeze_dim::<2>(2)
}

/// A column of ones appended.
fn with_ones(tensor: Tensor<2>) -> Tensor<2> {
    let [n, _] = tensor.dims();
    let ones = Tensor::ones([n, 1], (&tensor.device(), tensor.dtype()));
    Tensor::cat(vec![tensor, ones], 1)
}

impl Forward {
    fn run(problem: Problem) -> Self {
        let Problem {
            config,
            dims,
            activation,
            inputs,
            targets,
            weights: [w1, w2],
            biases: [b1, b2],
            ..
        } = problem;
        let (device, dtype) = (inputs.device(), inputs.dtype());
        let mut z = inputs.clone().matmul(w1);
        if let Some(bias) = b1 {
            z = z + bias.unsqueeze::<2>();
        }
        let [a, d1, d2, d3] = derivatives(activation, z);
        let mut o = a.clone().matmul(w2.clone());
        if let Some(bias) = b2 {
            o = o + bias.unsqueeze::<2>();
        }
        let Output {
            top,
            p,
            r,
            omega,
            s,
            s_diagonal,
            sigma,
        } = Output::new(config, o, targets);
        let u = w2.clone().transpose().unsqueeze_dim::<3>(0) * d1.clone().unsqueeze_dim::<3>(1);
        let q = s.clone().matmul(u.clone());
        let g = r.clone().matmul(w2.transpose());
        let c = g.clone() * d2.clone();
        let m = u.clone().swap_dims(1, 2).matmul(q.clone())
            + c.clone().unsqueeze_dim::<3>(2) * eye(dims.hidden, &device, dtype);
        Self {
            x: if dims.hidden_bias {
                with_ones(inputs)
            } else {
                inputs
            },
            a_extended: if dims.output_bias {
                with_ones(a.clone())
            } else {
                a.clone()
            },
            a,
            d1,
            d2,
            d3,
            p,
            r,
            omega,
            s,
            s_diagonal,
            u,
            q,
            g,
            c,
            m,
            top,
            sigma,
        }
    }

    /// R = r d1ᵀ, \[N, K, h\].
    fn coupling(&self) -> Tensor<3> {
        self.r.clone().unsqueeze_dim::<3>(2) * self.d1.clone().unsqueeze_dim::<3>(1)
    }
}

/// G = x̃·x̃ and α = ã·ã over all pairs, each only where a block needs it.
struct Pairs {
    inner: Option<Tensor<2>>,
    alpha: Option<Tensor<2>>,
}

/// What a block leaves: its squared norm, and its contractions.
struct OutputBlock {
    norm: Tensor<1>,
    s: Tensor<3>,
    hidden: Tensor<2>,
}

fn output_block(f: &Forward, evaluation: BlockEvaluation, pairs: &Pairs) -> OutputBlock {
    let [n, k, _] = f.s.dims();
    let s = flat(f.s.clone());
    if let (BlockEvaluation::Gram, Some(alpha)) = (evaluation, &pairs.alpha) {
        let s_bar = alpha.clone().square().matmul(s.clone());
        let norm = (s.clone() * s_bar.clone()).sum();
        let weights = s.clone().matmul(s.transpose()) * alpha.clone();
        return OutputBlock {
            norm,
            s: s_bar.reshape([n, k, k]),
            hidden: weights.matmul(f.a.clone()),
        };
    }
    let [_, ha] = f.a_extended.dims();
    let [_, h] = f.a.dims();
    let aa = outer(f.a_extended.clone(), f.a_extended.clone());
    let block = over_samples(s.clone(), aa.clone());
    let of_a = s.matmul(block.clone()).reshape([n, ha, ha]);
    OutputBlock {
        norm: block.clone().square().sum(),
        s: aa.matmul(block.transpose()).reshape([n, k, k]),
        hidden: times_vector(of_a, f.a_extended.clone()).narrow(1, 0, h),
    }
}

struct HiddenBlock {
    norm: Tensor<1>,
    m: Tensor<3>,
    inputs: Option<Tensor<2>>,
}

fn hidden_block(
    f: &Forward,
    evaluation: BlockEvaluation,
    pairs: &Pairs,
    with_inputs: bool,
) -> HiddenBlock {
    let [n, h, _] = f.m.dims();
    let m = flat(f.m.clone());
    if let (BlockEvaluation::Gram, Some(inner)) = (evaluation, &pairs.inner) {
        let m_bar = inner.clone().square().matmul(m.clone());
        let norm = (m.clone() * m_bar.clone()).sum();
        let inputs = with_inputs
            .then(|| (m.clone().matmul(m.transpose()) * inner.clone()).matmul(f.x.clone()));
        return HiddenBlock {
            norm,
            m: m_bar.reshape([n, h, h]),
            inputs,
        };
    }
    let [_, d] = f.x.dims();
    let xx = outer(f.x.clone(), f.x.clone());
    let block = over_samples(m.clone(), xx.clone());
    HiddenBlock {
        norm: block.clone().square().sum(),
        inputs: with_inputs.then(|| {
            let of_x = m.matmul(block.clone()).reshape([n, d, d]);
            times_vector(of_x, f.x.clone())
        }),
        m: xx.matmul(block.transpose()).reshape([n, h, h]),
    }
}

struct CrossBlock {
    norm: Tensor<1>,
    q: Tensor<3>,
    r: Tensor<3>,
    hidden: Tensor<2>,
    inputs: Option<Tensor<2>>,
}

fn cross_block(
    f: &Forward,
    evaluation: BlockEvaluation,
    pairs: &Pairs,
    with_inputs: bool,
) -> CrossBlock {
    let [n, k, h] = f.q.dims();
    let (r, q) = (flat(f.coupling()), flat(f.q.clone()));
    if let (BlockEvaluation::Gram, Some(inner), Some(alpha)) =
        (evaluation, &pairs.inner, &pairs.alpha)
    {
        let a = f.a.clone().unsqueeze_dim::<3>(1);
        let coupled = flat(f.q.clone() * a.clone());
        let f_bar = inner.clone().matmul(r.clone());
        let r_bar = f_bar.clone() + inner.clone().matmul(coupled.clone());
        let q_bar = (inner.clone() * alpha.clone()).matmul(q.clone());
        let norm = (q.clone() * q_bar.clone()).sum()
            + ((coupled.clone() * 2.0 + r.clone()) * f_bar.clone()).sum();
        let products = q.clone().matmul(q.clone().transpose());
        let inputs = with_inputs.then(|| {
            let cross = coupled.matmul(r.clone().transpose());
            let weights = products.clone() * alpha.clone()
                + cross.clone()
                + cross.transpose()
                + r.clone().matmul(r.transpose());
            weights.matmul(f.x.clone())
        });
        let f_bar = f_bar.reshape([n, k, h]);
        let of_pairs = (products * inner.clone()).matmul(f.a.clone());
        return CrossBlock {
            norm,
            q: q_bar.reshape([n, k, h]) + f_bar.clone() * a,
            r: r_bar.reshape([n, k, h]),
            hidden: of_pairs + (f_bar * f.q.clone()).sum_dim(1).squeeze_dim::<2>(1),
            inputs,
        };
    }
    // E = Q (ã ⊗ x̃)ᵀ, and R on its columns with i = j: rows (k, j), columns (i, e).
    let [_, ha] = f.a_extended.dims();
    let [_, d] = f.x.dims();
    let (device, dtype) = (f.x.device(), f.x.dtype());
    let one = eye(ha, &device, dtype)
        .narrow(1, 0, h)
        .reshape([1, h, ha, 1]);
    let ax = outer(f.a_extended.clone(), f.x.clone());
    let of_r = over_samples(r.clone(), f.x.clone()).reshape([k, h, 1, d]);
    let block = over_samples(q.clone(), ax.clone()).reshape([k, h, ha, d]) + of_r * one.clone();
    let on_diagonal = (block.clone() * one).sum_dim(2).reshape([k * h, d]);
    let block = block.reshape([k * h, ha * d]);
    let of_ax = q.matmul(block.clone()).reshape([n, ha, d]);
    CrossBlock {
        norm: block.clone().square().sum(),
        q: ax.matmul(block.transpose()).reshape([n, k, h]),
        r: f.x
            .clone()
            .matmul(on_diagonal.clone().transpose())
            .reshape([n, k, h]),
        hidden: times_vector(of_ax.clone(), f.x.clone()).narrow(1, 0, h),
        inputs: with_inputs.then(|| {
            times_vector(of_ax.swap_dims(1, 2), f.a_extended.clone()) + r.matmul(on_diagonal)
        }),
    }
}

fn contract(f: &Forward, plan: &Plan, with_inputs: bool) -> Contraction {
    let gram = |block| block == BlockEvaluation::Gram;
    let pairs = Pairs {
        inner: (gram(plan.hidden) || gram(plan.cross))
            .then(|| f.x.clone().matmul(f.x.clone().transpose())),
        alpha: (gram(plan.output) || gram(plan.cross)).then(|| {
            f.a_extended
                .clone()
                .matmul(f.a_extended.clone().transpose())
        }),
    };
    let output = output_block(f, plan.output, &pairs);
    let hidden = hidden_block(f, plan.hidden, &pairs, with_inputs);
    let cross = cross_block(f, plan.cross, &pairs, with_inputs);
    Contraction {
        frobenius_squared: output.norm + hidden.norm + cross.norm * 2.0,
        s: output.s,
        m: hidden.m,
        q: cross.q,
        r: cross.r,
        hidden: output.hidden + cross.hidden,
        inputs: hidden
            .inputs
            .zip(cross.inputs)
            .map(|(of_m, of_b)| of_m + of_b),
    }
}

/// λ_sup or the trace or the norm of H, and its gradient.
pub(super) fn gradient(problem: Problem) -> HsrGradient {
    let (config, dims, plan) = (problem.config, problem.dims, problem.plan);
    let with_inputs = problem.with_inputs;
    let [w1, w2] = problem.weights.clone();
    let dtype = problem.inputs.dtype();
    let parameters = dims.parameters() as f64;
    let f = Forward::run(problem);
    let contraction = contract(&f, &plan, with_inputs);
    let device = f.x.device();

    // t, q, and the weights w_t and w_q, all as tensors: nothing is read back.
    let x_squared = f.x.clone().square().sum_dim(1);
    let a_squared = f.a_extended.clone().square().sum_dim(1);
    let trace_s = f.s_diagonal.clone().sum_dim(1);
    let trace_m = (f.u.clone() * f.q.clone())
        .sum_dims_squeeze::<1, usize>(&[1, 2])
        .unsqueeze_dim::<2>(1)
        + f.c.clone().sum_dim(1);
    let t = (trace_s.clone() * a_squared.clone() + trace_m.clone() * x_squared.clone()).sum();
    let q = contraction.frobenius_squared.clone();
    let Weighted { value, w_t, w_q } = Weighted::of(config.sharpness, t, q, parameters);
    let value = value * f.sigma.clone();
    // σ·λ_sup(H/σ): the whole gradient carries σ, and so do the weights it starts from.
    let w_t = (w_t * f.sigma.clone()).reshape([1, 1]);
    let w_q2 = (w_q * f.sigma.clone() * 2.0).reshape([1, 1]);
    let w_q4 = w_q2.clone() * 2.0;

    let one_h = eye(dims.hidden, &device, dtype);
    let one_k = eye(dims.outputs, &device, dtype);
    let of = |weight: &Tensor<2>| weight.clone().unsqueeze_dim::<3>(0);
    let m_bar =
        contraction.m * of(&w_q2) + (x_squared * w_t.clone()).unsqueeze_dim::<3>(2) * one_h.clone();
    let r_bar_matrix = contraction.r * of(&w_q4);
    let r_bar = times_vector(r_bar_matrix.clone(), f.d1.clone());
    let d1_bar = times_vector(r_bar_matrix.swap_dims(1, 2), f.r.clone());
    let p = f.u.clone().matmul(m_bar.clone());
    let q_bar = contraction.q * of(&w_q4) + p.clone();
    let s_bar = contraction.s * of(&w_q2)
        + (a_squared * w_t.clone()).unsqueeze_dim::<3>(2) * one_k.clone()
        + q_bar.clone().matmul(f.u.clone().swap_dims(1, 2));
    // Ū = Q M̄ + S Q̄ = S (P + Q̄).
    let u_bar = f.s.clone().matmul(p + q_bar);
    let c_bar = diagonal(m_bar, one_h);
    let g_bar = c_bar.clone() * f.d2.clone();
    let d2_bar = c_bar * f.g.clone();
    let r_bar = r_bar + g_bar.clone().matmul(w2.clone());
    let w2_t = w2.clone().transpose().unsqueeze_dim::<3>(0);
    let d1_bar = d1_bar + (u_bar.clone() * w2_t).sum_dim(1).squeeze_dim::<2>(1);
    let of_u = (u_bar * f.d1.clone().unsqueeze_dim::<3>(1))
        .sum_dim(0)
        .squeeze_dim::<2>(0);

    let o_bar = pull(config.loss.kind, &f, s_bar, r_bar, one_k);
    let a_bar = contraction.hidden * w_q4.clone()
        + f.a.clone() * trace_s * (w_t.clone() * 2.0)
        + o_bar.clone().matmul(w2.transpose());
    let z_bar = a_bar * f.d1.clone() + d1_bar * f.d2.clone() + d2_bar * f.d3.clone();
    // In Burn's layout a weight is [inputs, outputs]: W̄2 = Σ ḡ rᵀ + (Σ Ū∘d1)ᵀ + Σ a ōᵀ.
    let w2_bar = over_samples(g_bar, f.r.clone())
        + of_u.transpose()
        + over_samples(f.a.clone(), o_bar.clone());
    let x = f.x.clone().narrow(1, 0, dims.inputs);
    let w1_bar = over_samples(x.clone(), z_bar.clone());
    let column_sum = |tensor: Tensor<2>| tensor.sum_dim(0).squeeze_dim::<1>(0);
    let inputs = contraction.inputs.map(|inputs| {
        inputs.narrow(1, 0, dims.inputs) * w_q4
            + x * trace_m * (w_t * 2.0)
            + z_bar.clone().matmul(w1.transpose())
    });
    // An overflow leaves a bound of +∞ and no step, never NaN.
    let broken = value.clone().is_finite().bool_not();
    let gradient = of_three_layers(
        value.mask_fill(broken.clone(), f64::INFINITY),
        [w1_bar, w2_bar],
        [
            dims.hidden_bias.then(|| column_sum(z_bar)),
            dims.output_bias.then(|| column_sum(o_bar)),
        ],
        inputs,
    );
    gradient.map(&ZeroWhere(broken))
}

/// The adjoint of the logits from those of S and r (theory §1).
fn pull(
    loss: OutputLoss,
    f: &Forward,
    s_bar: Tensor<3>,
    r_bar: Tensor<2>,
    eye: Tensor<3>,
) -> Tensor<2> {
    let on_diagonal = diagonal(s_bar.clone(), eye);
    match loss {
        OutputLoss::SoftmaxCrossEntropy => {
            let symmetric = s_bar.clone() + s_bar.swap_dims(1, 2);
            let p_bar =
                (on_diagonal - times_vector(symmetric, f.p.clone()) + r_bar) * f.omega.clone();
            // Measured against the top class: a constant in p̄ has no effect, and p is almost one-hot there.
            let reference = (p_bar.clone() * f.top.clone()).sum_dim(1);
            let p_bar = p_bar - reference;
            let mean = (p_bar.clone() * f.p.clone()).sum_dim(1);
            f.p.clone() * (p_bar - mean)
        }
        OutputLoss::SigmoidCrossEntropy => {
            f.s_diagonal.clone() * (r_bar + on_diagonal * (f.p.clone() * -2.0 + 1.0))
        }
        OutputLoss::MeanSquaredError => f.s_diagonal.clone() * r_bar,
    }
}
