//! The closed form in few launches: CubeCL kernels for everything that is done to each number, each sample or each
//! hidden unit, and Burn's matrix products between them.
//!
//! λ_sup and its gradient are 30 to 32 launches, with the gradient for the inputs 36 or 37, whatever the sizes. As a
//! [penalty](crate::Hsr::penalty) they are 47 to 49 and, with tracked inputs, 57 or 58; its backward pass is 18 or 22
//! more. `tests/read_backs.rs` counts them, and the read-backs, of which there are none. In half precision each
//! parameter and each part of the gradient is also cast.
//!
//! The kernels are compiled for a loss, an activation and a plan, not for sizes. They bind up to 21 buffers, which
//! Vulkan, Metal and DirectX 12 have and WebGPU in a browser does not promise.
//!
//! Reference for the mechanism: the Burn book, "Custom CubeCL Kernel".

// A kernel's arguments are the buffers it binds and its sizes; the macro would take a struct of them apart again.
#![allow(clippy::too_many_arguments)]
// A kernel has no iterators, and a condition known at compile time is no operand of one that is not.
#![allow(clippy::needless_range_loop, clippy::collapsible_if)]

mod activation;
mod buffer;
mod common;
mod contraction;
mod forward;
mod moments;
mod pullback;

use burn::tensor::{Tensor, TensorData};
use hsr_core::{BlockEvaluation, OutputLoss, Plan};

use activation::Function;
use buffer::{Buffer, Place, UNITS};
use common::Loss;
use contraction::Blocks;
use forward::Labels;
use moments::Measure;

use super::Problem;
use crate::Sharpness;
use crate::gradient::HsrGradient;
use crate::targets;

/// λ_sup or the trace or the norm of H, and its gradient; `None` where the tensors are not in CubeCL's hands or not in
/// single precision, or the activation has no kernel.
pub(super) fn gradient(problem: &Problem) -> Option<HsrGradient> {
    let batch = Batch::run(problem)?;
    let plan = problem.plan;
    let gram = Blocks::of(plan, BlockEvaluation::Gram);
    let assembled = Blocks::of(plan, BlockEvaluation::Assembled);
    let contraction = batch.contract(gram, assembled, problem.with_inputs)?;
    let moments = batch.moments(problem, &contraction)?;
    batch.pull(problem, gram, &contraction, &moments)
}

impl Blocks {
    fn of(plan: Plan, evaluation: BlockEvaluation) -> Self {
        Self {
            output: plan.output == evaluation,
            hidden: plan.hidden == evaluation,
            cross: plan.cross == evaluation,
        }
    }
}

/// N, d, h and K, and d̃ and h̃, which count the biases.
#[derive(Clone, Copy)]
struct Sizes {
    samples: usize,
    inputs: usize,
    hidden: usize,
    outputs: usize,
    inputs_extended: usize,
    hidden_extended: usize,
}

impl Sizes {
    /// What the inner product of two extended rows has beyond that of the rows.
    fn ones(&self) -> [f32; 2] {
        [
            (self.inputs_extended - self.inputs) as f32,
            (self.hidden_extended - self.hidden) as f32,
        ]
    }
}

/// The per-sample quantities of theory §1; the packed buffers are described in [`forward`].
struct Batch {
    place: Place,
    sizes: Sizes,
    loss: Loss,
    x: Buffer,
    w2: Buffer,
    a: Buffer,
    derivatives: Buffer,
    outputs: Buffer,
    rows: Buffer,
    scale: Buffer,
    /// S \[N, K, K\], U, Q, R and R + 2F \[N, K, h\], M \[N, h, h\].
    s: Buffer,
    u: Buffer,
    q: Buffer,
    r: Buffer,
    coupled: Buffer,
    m: Buffer,
    traces: Buffer,
    /// Bound where a kernel was compiled without what would be bound.
    nothing: Buffer,
}

/// The contractions of the blocks with the samples, as in hsr-core: without w_q, which they precede.
struct Contraction {
    /// The inner products of which q is the sum, and how many numbers each has; see [`moments::parts_of_q`].
    norms: [(Buffer, Buffer, usize); 4],
    /// S̃ \[N, K, K\] and M̃ \[N, h, h\].
    s: Buffer,
    m: Buffer,
    /// What Q̃ and R̃ come from; see [`pullback::adjoints`].
    q: Buffer,
    r: [Buffer; 2],
    /// For ā \[N, h\] and x̄ \[N, d\], from pairs of samples and from assembled blocks.
    hidden: [Option<Buffer>; 2],
    inputs: [Option<Buffer>; 2],
}

/// λ_sup or what is in its place \[1\], and the weights of the gradient.
struct Moments {
    value: Buffer,
    weights: Buffer,
}

/// A product of matrices; whatever Burn makes of it.
fn product(left: Tensor<2>, right: Tensor<2>) -> Option<Buffer> {
    Buffer::of(left.matmul(right))
}

impl Batch {
    fn run(problem: &Problem) -> Option<Self> {
        let dims = problem.dims;
        let [samples, _] = problem.inputs.dims();
        let sizes = Sizes {
            samples,
            inputs: dims.inputs,
            hidden: dims.hidden,
            outputs: dims.outputs,
            inputs_extended: dims.inputs + usize::from(dims.hidden_bias),
            hidden_extended: dims.hidden + usize::from(dims.output_bias),
        };
        let (function, slope) = Function::of(problem.activation)?;
        let loss = match problem.config.loss {
            OutputLoss::SoftmaxCrossEntropy => Loss::Softmax,
            OutputLoss::SigmoidCrossEntropy => Loss::Sigmoid,
            OutputLoss::MeanSquaredError => Loss::Squared,
        };
        let x = Buffer::of(problem.inputs.clone())?;
        let [w1, w2] = problem.weights.clone();
        let w2 = Buffer::of(w2)?;
        let place = Place::of(&x);
        let nothing = place.room(1);
        let bias = |layer: usize| match &problem.biases[layer] {
            Some(bias) => Buffer::of(bias.clone()),
            None => Some(nothing.clone()),
        };

        let Sizes {
            hidden, outputs, ..
        } = sizes;
        let units = samples * hidden;
        let z = product(problem.inputs.clone(), w1)?;
        let a = place.room(units);
        let derivatives = place.room(3 * units);
        let (count, dim) = place.each(units);
        forward::activate::launch(
            &place.client,
            count,
            dim,
            z.arg(),
            bias(0)?.arg(),
            a.arg(),
            derivatives.arg(),
            slope,
            units,
            hidden,
            dims.hidden_bias,
            function,
        );
        let o = product(a.tensor([samples, hidden])?, w2.tensor([hidden, outputs])?)?;
        let (out, rows) = residuals(problem, &place, loss, &o, &bias(1)?, &nothing)?;
        let scale = place.room(3);
        let (count, dim) = place.cubes(1);
        forward::scale_of::launch(
            &place.client,
            count,
            dim,
            out.arg(),
            rows.arg(),
            scale.arg(),
            samples,
            outputs,
        );

        let s = place.room(samples * outputs * outputs);
        let (count, dim) = place.each(samples * outputs * outputs);
        forward::curvature::launch(
            &place.client,
            count,
            dim,
            out.arg(),
            rows.arg(),
            scale.arg(),
            s.arg(),
            samples,
            outputs,
            loss,
        );
        let pairs = problem.plan.cross == BlockEvaluation::Gram;
        let [u, q, r] = [(); 3].map(|()| place.room(units * outputs));
        let coupled = place.room(if pairs { units * outputs } else { 1 });
        let (count, dim) = place.each(units);
        forward::jacobians::launch(
            &place.client,
            count,
            dim,
            w2.arg(),
            derivatives.arg(),
            a.arg(),
            out.arg(),
            rows.arg(),
            scale.arg(),
            u.arg(),
            q.arg(),
            r.arg(),
            coupled.arg(),
            samples,
            hidden,
            outputs,
            loss,
            pairs,
        );
        let m = place.room(units * hidden);
        let (count, dim) = place.each(units * hidden);
        forward::hidden_hessian::launch(
            &place.client,
            count,
            dim,
            u.arg(),
            q.arg(),
            w2.arg(),
            derivatives.arg(),
            out.arg(),
            scale.arg(),
            m.arg(),
            samples,
            hidden,
            outputs,
        );
        let traces = place.room(4 * samples);
        let (count, dim) = place.cubes(samples);
        forward::traces_of::launch(
            &place.client,
            count,
            dim,
            x.arg(),
            a.arg(),
            out.arg(),
            m.arg(),
            scale.arg(),
            traces.arg(),
            samples,
            sizes.inputs,
            hidden,
            outputs,
            dims.hidden_bias,
            dims.output_bias,
        );
        Some(Self {
            place,
            sizes,
            loss,
            x,
            w2,
            a,
            derivatives,
            outputs: out,
            rows,
            scale,
            s,
            u,
            q,
            r,
            coupled,
            m,
            traces,
            nothing,
        })
    }

    /// x and a as matrices.
    fn rows_of(&self, buffer: &Buffer, columns: usize) -> Option<Tensor<2>> {
        buffer.tensor([self.sizes.samples, columns])
    }

    fn contract(&self, gram: Blocks, assembled: Blocks, with_inputs: bool) -> Option<Contraction> {
        let Sizes {
            samples,
            inputs,
            hidden,
            outputs,
            inputs_extended,
            hidden_extended,
        } = self.sizes;
        let (place, nothing) = (&self.place, &self.nothing);
        let x = self.rows_of(&self.x, inputs)?;
        let a = self.rows_of(&self.a, hidden)?;
        let s = self.rows_of(&self.s, outputs * outputs)?;
        let m = self.rows_of(&self.m, hidden * hidden)?;
        let [q, r] = [&self.q, &self.r].map(|b| self.rows_of(b, outputs * hidden));
        let (q, r) = (q?, r?);
        let pairs = Pairs::of(self, gram, &x, &a)?;
        let outer = Outer::of(self, assembled);

        let [of_s, ss];
        let (s_norm, s_contracted) = if gram.output {
            let contracted = product(pairs.alpha_squared()?, s.clone())?;
            [of_s, ss] = [None, Some(product(s.clone(), s.transpose())?)];
            let numbers = samples * outputs * outputs;
            ((self.s.clone(), contracted.clone(), numbers), contracted)
        } else {
            let columns = hidden_extended * hidden_extended;
            let aa = self.rows_of(&outer.aa, columns)?;
            let block = product(s.clone().transpose(), aa.clone())?;
            let matrix = block.tensor([outputs * outputs, columns])?;
            [of_s, ss] = [Some(product(s, matrix.clone())?), None];
            let contracted = product(aa, matrix.transpose())?;
            let numbers = outputs * outputs * columns;
            ((block.clone(), block, numbers), contracted)
        };

        let [of_m, mm];
        let (m_norm, m_contracted) = if gram.hidden {
            let contracted = product(pairs.inner_squared()?, m.clone())?;
            let products = match with_inputs {
                true => Some(product(m.clone(), m.transpose())?),
                false => None,
            };
            [of_m, mm] = [None, products];
            let numbers = samples * hidden * hidden;
            ((self.m.clone(), contracted.clone(), numbers), contracted)
        } else {
            let columns = inputs_extended * inputs_extended;
            let xx = self.rows_of(&outer.xx, columns)?;
            let block = product(m.clone().transpose(), xx.clone())?;
            let matrix = block.tensor([hidden * hidden, columns])?;
            let products = match with_inputs {
                true => Some(product(m, matrix.clone())?),
                false => None,
            };
            [of_m, mm] = [products, None];
            let contracted = product(xx, matrix.transpose())?;
            let numbers = hidden * hidden * columns;
            ((block.clone(), block, numbers), contracted)
        };

        let cross = if gram.cross {
            let coupled = self.rows_of(&self.coupled, outputs * hidden)?;
            let first = product(pairs.inner()?, r.clone())?;
            let second = product(pairs.inner()?, coupled.clone())?;
            let contracted = product(pairs.both()?, q.clone())?;
            let rf = match with_inputs {
                true => Some(product(r, coupled.transpose())?),
                false => None,
            };
            let numbers = samples * outputs * hidden;
            Cross {
                norms: [
                    (self.q.clone(), contracted.clone(), numbers),
                    (self.coupled.clone(), first.clone(), numbers),
                ],
                q: contracted,
                r: [first, second],
                qq: Some(product(q.clone(), q.transpose())?),
                rf,
                of_q: None,
                of_r: None,
            }
        } else {
            self.assembled_cross(q, r, &outer, with_inputs)?
        };

        let [one_x, one_a] = self.sizes.ones();
        let or_nothing = |buffer: &Option<Buffer>| buffer.as_ref().unwrap_or(nothing).arg();
        let of_pairs = if gram.output || gram.cross {
            let weights = place.room(samples * samples);
            let (count, dim) = place.each(samples * samples);
            contraction::hidden_weights::launch(
                &place.client,
                count,
                dim,
                or_nothing(&ss),
                or_nothing(&cross.qq),
                or_nothing(&pairs.xx),
                or_nothing(&pairs.aa),
                weights.arg(),
                samples * samples,
                one_x,
                one_a,
                gram,
            );
            Some(product(weights.tensor([samples; 2])?, a)?)
        } else {
            None
        };
        let of_blocks = if assembled.output || assembled.cross {
            let to = place.room(samples * hidden);
            let (count, dim) = place.each(samples * hidden);
            contraction::assembled_hidden::launch(
                &place.client,
                count,
                dim,
                or_nothing(&of_s),
                or_nothing(&cross.of_q),
                self.a.arg(),
                self.x.arg(),
                to.arg(),
                samples * hidden,
                inputs,
                hidden,
                inputs_extended,
                hidden_extended,
                assembled,
            );
            Some(to)
        } else {
            None
        };
        let inputs_of_pairs = if with_inputs && (gram.hidden || gram.cross) {
            let weights = place.room(samples * samples);
            let (count, dim) = place.each(samples * samples);
            contraction::input_weights::launch(
                &place.client,
                count,
                dim,
                or_nothing(&mm),
                or_nothing(&cross.qq),
                or_nothing(&cross.rf),
                or_nothing(&pairs.xx),
                or_nothing(&pairs.aa),
                weights.arg(),
                samples,
                one_x,
                one_a,
                gram,
            );
            Some(product(weights.tensor([samples; 2])?, x)?)
        } else {
            None
        };
        let inputs_of_blocks = if with_inputs && (assembled.hidden || assembled.cross) {
            let to = place.room(samples * inputs);
            let (count, dim) = place.each(samples * inputs);
            contraction::assembled_inputs::launch(
                &place.client,
                count,
                dim,
                or_nothing(&of_m),
                or_nothing(&cross.of_q),
                or_nothing(&cross.of_r),
                self.a.arg(),
                self.x.arg(),
                to.arg(),
                samples * inputs,
                inputs,
                hidden,
                inputs_extended,
                hidden_extended,
                assembled,
            );
            Some(to)
        } else {
            None
        };
        let [first, second] = cross.norms;
        Some(Contraction {
            norms: [s_norm, m_norm, first, second],
            s: s_contracted,
            m: m_contracted,
            q: cross.q,
            r: cross.r,
            hidden: [of_pairs, of_blocks],
            inputs: [inputs_of_pairs, inputs_of_blocks],
        })
    }

    /// E = Q (ã ⊗ x̃)ᵀ, and R on its columns with i = j: rows (k, j), columns (i, e).
    fn assembled_cross(
        &self,
        q: Tensor<2>,
        r: Tensor<2>,
        outer: &Outer,
        with_inputs: bool,
    ) -> Option<Cross> {
        let Sizes {
            hidden,
            outputs,
            inputs_extended,
            hidden_extended,
            ..
        } = self.sizes;
        let columns = hidden_extended * inputs_extended;
        let x = self.rows_of(&outer.x_extended, inputs_extended)?;
        let ax = self.rows_of(&outer.ax, columns)?;
        let block = product(q.clone().transpose(), ax.clone())?;
        let of_r = product(r.clone().transpose(), x.clone())?;
        let numbers = outputs * hidden * inputs_extended;
        let on_diagonal = self.place.room(numbers);
        let (count, dim) = self.place.each(numbers);
        contraction::add_coupling::launch(
            &self.place.client,
            count,
            dim,
            of_r.arg(),
            block.arg(),
            on_diagonal.arg(),
            numbers,
            hidden,
            hidden_extended,
            inputs_extended,
        );
        let matrix = block.tensor([outputs * hidden, columns])?;
        let on_diagonal = on_diagonal.tensor([outputs * hidden, inputs_extended])?;
        let first = product(x, on_diagonal.clone().transpose())?;
        let of_r = match with_inputs {
            true => Some(product(r, on_diagonal)?),
            false => None,
        };
        Some(Cross {
            q: product(ax, matrix.clone().transpose())?,
            r: [first.clone(), first],
            qq: None,
            rf: None,
            of_q: Some(product(q, matrix)?),
            of_r,
            norms: [
                (block.clone(), block, outputs * hidden * columns),
                (self.nothing.clone(), self.nothing.clone(), 0),
            ],
        })
    }

    fn moments(&self, problem: &Problem, contraction: &Contraction) -> Option<Moments> {
        let place = &self.place;
        let [s, m, q, r] = &contraction.norms;
        let numbers = s.2 + m.2 + q.2 + r.2;
        // Each unit adds up a few dozen numbers, until there are enough cubes to fill a device.
        let cubes = numbers.div_ceil(32 * UNITS).clamp(1, 256);
        let parts = place.room(cubes);
        let (count, dim) = place.cubes(cubes);
        moments::parts_of_q::launch(
            &place.client,
            count,
            dim,
            s.0.arg(),
            s.1.arg(),
            m.0.arg(),
            m.1.arg(),
            q.0.arg(),
            q.1.arg(),
            r.0.arg(),
            r.1.arg(),
            parts.arg(),
            s.2,
            m.2,
            q.2,
            r.2,
            cubes,
        );
        let measure = match problem.config.sharpness {
            Sharpness::LambdaSup => Measure::LambdaSup,
            Sharpness::Trace => Measure::Trace,
            Sharpness::Frobenius => Measure::Frobenius,
            Sharpness::LambdaMax | Sharpness::GradientNorm => return None,
        };
        let parameters = problem.dims.parameters() as f64;
        let (value, weights) = (place.room(1), place.room(4));
        let (count, dim) = place.cubes(1);
        moments::moments::launch(
            &place.client,
            count,
            dim,
            parts.arg(),
            self.traces.arg(),
            self.scale.arg(),
            value.arg(),
            weights.arg(),
            cubes,
            self.sizes.samples,
            parameters as f32,
            (parameters - 1.0).sqrt() as f32,
            f32::INFINITY.to_bits(),
            measure,
        );
        Some(Moments { value, weights })
    }

    fn pull(
        &self,
        problem: &Problem,
        gram: Blocks,
        contraction: &Contraction,
        moments: &Moments,
    ) -> Option<HsrGradient> {
        let Sizes {
            samples,
            inputs,
            hidden,
            outputs,
            ..
        } = self.sizes;
        let (place, weights) = (&self.place, &moments.weights);
        let units = samples * hidden;
        let or_nothing = |buffer: &Option<Buffer>| buffer.as_ref().unwrap_or(&self.nothing).arg();

        let u = self.u.tensor::<3>([samples, outputs, hidden])?;
        let um = u.matmul(contraction.m.tensor::<3>([samples, hidden, hidden])?);
        let um = Buffer::of(um)?;
        let [q_bar, of_w2, of_r] = [(); 3].map(|()| place.room(units * outputs));
        let of_hidden = place.room(3 * units);
        let [of_pairs, of_blocks] = &contraction.hidden;
        let [r_first, r_second] = &contraction.r;
        let (count, dim) = place.each(units);
        pullback::adjoints::launch(
            &place.client,
            count,
            dim,
            self.w2.arg(),
            self.derivatives.arg(),
            self.a.arg(),
            self.outputs.arg(),
            self.rows.arg(),
            self.scale.arg(),
            self.u.arg(),
            self.q.arg(),
            um.arg(),
            contraction.m.arg(),
            contraction.q.arg(),
            r_first.arg(),
            r_second.arg(),
            or_nothing(of_pairs),
            or_nothing(of_blocks),
            self.traces.arg(),
            weights.arg(),
            q_bar.arg(),
            of_w2.arg(),
            of_r.arg(),
            of_hidden.arg(),
            samples,
            hidden,
            outputs,
            self.loss,
            gram.cross,
            of_pairs.is_some(),
            of_blocks.is_some(),
        );
        let o_bar = place.room(samples * outputs);
        let (count, dim) = place.each(samples * outputs);
        pullback::of_logits::launch(
            &place.client,
            count,
            dim,
            self.outputs.arg(),
            self.rows.arg(),
            self.scale.arg(),
            self.u.arg(),
            q_bar.arg(),
            of_r.arg(),
            of_hidden.arg(),
            contraction.s.arg(),
            self.traces.arg(),
            weights.arg(),
            o_bar.arg(),
            samples,
            hidden,
            outputs,
            self.loss,
        );
        if self.loss == Loss::Softmax {
            let (count, dim) = place.each(samples);
            pullback::through_softmax::launch(
                &place.client,
                count,
                dim,
                self.outputs.arg(),
                self.rows.arg(),
                o_bar.arg(),
                samples,
                outputs,
            );
        }
        let z_bar = place.room(units);
        let (count, dim) = place.each(units);
        pullback::of_preactivations::launch(
            &place.client,
            count,
            dim,
            self.w2.arg(),
            self.derivatives.arg(),
            of_hidden.arg(),
            o_bar.arg(),
            z_bar.arg(),
            samples,
            hidden,
            outputs,
        );
        let [w2_bar, b2_bar, b1_bar] = [hidden * outputs, outputs, hidden].map(|n| place.room(n));
        let sums = hidden * outputs + outputs + hidden;
        let (count, dim) = place.cubes(sums);
        pullback::of_parameters::launch(
            &place.client,
            count,
            dim,
            of_w2.arg(),
            self.a.arg(),
            o_bar.arg(),
            z_bar.arg(),
            weights.arg(),
            w2_bar.arg(),
            b2_bar.arg(),
            b1_bar.arg(),
            samples,
            hidden,
            outputs,
            sums,
        );

        let z_bar = z_bar.tensor([samples, hidden])?;
        let x = self.rows_of(&self.x, inputs)?;
        let w1_bar = product(x.transpose(), z_bar.clone())?;
        let (count, dim) = place.each(inputs * hidden);
        pullback::checked::launch(
            &place.client,
            count,
            dim,
            w1_bar.arg(),
            weights.arg(),
            inputs * hidden,
        );
        let x_bar = if problem.with_inputs {
            let [w1, _] = problem.weights.clone();
            let x_bar = product(z_bar, w1.transpose())?;
            let [of_pairs, of_blocks] = &contraction.inputs;
            let (count, dim) = place.each(samples * inputs);
            pullback::of_inputs::launch(
                &place.client,
                count,
                dim,
                self.x.arg(),
                or_nothing(of_pairs),
                or_nothing(of_blocks),
                self.traces.arg(),
                weights.arg(),
                x_bar.arg(),
                samples,
                inputs,
                of_pairs.is_some(),
                of_blocks.is_some(),
            );
            Some(x_bar.tensor([samples, inputs])?)
        } else {
            None
        };
        let bias = |there: bool, bar: &Buffer, numbers: usize| match there {
            true => bar.tensor([numbers]).map(Some),
            false => Some(None),
        };
        Some(HsrGradient {
            value: moments.value.tensor([1])?,
            hidden_weight: w1_bar.tensor([inputs, hidden])?,
            hidden_bias: bias(problem.dims.hidden_bias, &b1_bar, hidden)?,
            output_weight: w2_bar.tensor([hidden, outputs])?,
            output_bias: bias(problem.dims.output_bias, &b2_bar, outputs)?,
            inputs: x_bar,
        })
    }
}

/// What the cross block leaves, by either evaluation.
struct Cross {
    norms: [(Buffer, Buffer, usize); 2],
    q: Buffer,
    r: [Buffer; 2],
    /// With pairs: ⟨Q_n,Q_m⟩ and ⟨R_n, 2F_m + R_m⟩ \[N, N\].
    qq: Option<Buffer>,
    rf: Option<Buffer>,
    /// Assembled: Q E \[N, h̃·d̃\] and R times E's columns with i = j \[N, d̃\].
    of_q: Option<Buffer>,
    of_r: Option<Buffer>,
}

/// The outer products of every sample, each only where a block is assembled, and x̃ \[N, d̃\].
struct Outer {
    aa: Buffer,
    xx: Buffer,
    ax: Buffer,
    x_extended: Buffer,
}

impl Outer {
    fn of(batch: &Batch, assembled: Blocks) -> Self {
        let Sizes {
            samples,
            inputs,
            hidden,
            inputs_extended,
            hidden_extended,
            ..
        } = batch.sizes;
        let place = &batch.place;
        let mut most = 0;
        let mut room = |wanted: bool, columns: usize| match wanted {
            true => {
                most = most.max(samples * columns);
                place.room(samples * columns)
            }
            false => batch.nothing.clone(),
        };
        let outer = Self {
            aa: room(assembled.output, hidden_extended * hidden_extended),
            xx: room(assembled.hidden, inputs_extended * inputs_extended),
            ax: room(assembled.cross, hidden_extended * inputs_extended),
            x_extended: room(assembled.cross, inputs_extended),
        };
        if most > 0 {
            let (count, dim) = place.each(most);
            contraction::outer_products::launch(
                &place.client,
                count,
                dim,
                batch.a.arg(),
                batch.x.arg(),
                outer.aa.arg(),
                outer.xx.arg(),
                outer.ax.arg(),
                outer.x_extended.arg(),
                samples,
                inputs,
                hidden,
                inputs_extended,
                hidden_extended,
                assembled,
            );
        }
        outer
    }
}

/// The pairs of samples \[N, N\], each product only where a block needs it.
struct Pairs {
    samples: usize,
    /// x·x and a·a.
    xx: Option<Buffer>,
    aa: Option<Buffer>,
    inner: Buffer,
    both: Buffer,
    inner_squared: Buffer,
    alpha_squared: Buffer,
}

impl Pairs {
    fn of(batch: &Batch, gram: Blocks, x: &Tensor<2>, a: &Tensor<2>) -> Option<Self> {
        let samples = batch.sizes.samples;
        let squares = |wanted: bool, rows: &Tensor<2>| match wanted {
            true => product(rows.clone(), rows.clone().transpose()).map(Some),
            false => Some(None),
        };
        let xx = squares(gram.hidden || gram.cross, x)?;
        let aa = squares(gram.output || gram.cross, a)?;
        let (place, nothing) = (&batch.place, &batch.nothing);
        let room = |wanted: bool| match wanted {
            true => place.room(samples * samples),
            false => nothing.clone(),
        };
        let pairs = Self {
            samples,
            inner: room(gram.cross),
            both: room(gram.cross),
            inner_squared: room(gram.hidden),
            alpha_squared: room(gram.output),
            xx,
            aa,
        };
        if gram.output || gram.hidden || gram.cross {
            let or_nothing = |buffer: &Option<Buffer>| buffer.as_ref().unwrap_or(nothing).arg();
            let [one_x, one_a] = batch.sizes.ones();
            let (count, dim) = place.each(samples * samples);
            contraction::pairs_of::launch(
                &place.client,
                count,
                dim,
                or_nothing(&pairs.xx),
                or_nothing(&pairs.aa),
                pairs.inner.arg(),
                pairs.both.arg(),
                pairs.inner_squared.arg(),
                pairs.alpha_squared.arg(),
                samples * samples,
                one_x,
                one_a,
                gram,
            );
        }
        Some(pairs)
    }

    fn inner(&self) -> Option<Tensor<2>> {
        self.inner.tensor([self.samples; 2])
    }

    fn both(&self) -> Option<Tensor<2>> {
        self.both.tensor([self.samples; 2])
    }

    fn inner_squared(&self) -> Option<Tensor<2>> {
        self.inner_squared.tensor([self.samples; 2])
    }

    fn alpha_squared(&self) -> Option<Tensor<2>> {
        self.alpha_squared.tensor([self.samples; 2])
    }
}

/// Launches [`forward::residuals`] for the targets as they are.
fn residuals(
    problem: &Problem,
    place: &Place,
    loss: Loss,
    o: &Buffer,
    bias: &Buffer,
    nothing: &Buffer,
) -> Option<(Buffer, Buffer)> {
    let [samples, _] = problem.inputs.dims();
    let outputs = problem.dims.outputs;
    let targets = &problem.targets;
    let (values, classes, labels) = match &targets.labels {
        targets::Labels::Values(values) => {
            let values = values.clone().inner().cast(problem.inputs.dtype());
            (Buffer::of(values)?, nothing.clone(), Labels::Values)
        }
        targets::Labels::Classes(classes) => {
            let labels = match (outputs, loss) {
                (1, Loss::Softmax) => Labels::Single,
                (1, _) => Labels::Numbers,
                _ => Labels::Classes,
            };
            let classes = Buffer::of_indices(classes.clone().inner())?;
            (nothing.clone(), classes, labels)
        }
    };
    let sample_weights = match &targets.sample_weights {
        Some(weights) => {
            let weights = weights.clone().inner().cast(problem.inputs.dtype());
            Some(Buffer::of(weights)?)
        }
        None => None,
    };
    let class_weights = match &problem.config.class_weights {
        Some(weights) => {
            let data = TensorData::new(weights.clone(), [outputs]);
            let place = (&problem.inputs.device(), problem.inputs.dtype());
            Some(Buffer::of(Tensor::<1>::from_data(data, place))?)
        }
        None => None,
    };
    let (out, rows) = (place.room(3 * samples * outputs), place.room(3 * samples));
    let (count, dim) = place.each(samples);
    forward::residuals::launch(
        &place.client,
        count,
        dim,
        o.arg(),
        bias.arg(),
        values.arg(),
        classes.arg(),
        sample_weights.as_ref().unwrap_or(nothing).arg(),
        class_weights.as_ref().unwrap_or(nothing).arg(),
        out.arg(),
        rows.arg(),
        problem.config.softmax_smoothing() as f32,
        samples,
        outputs,
        problem.dims.output_bias,
        loss,
        labels,
        sample_weights.is_some(),
        class_weights.is_some(),
    );
    Some((out, rows))
}
