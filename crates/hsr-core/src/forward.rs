//! The forward pass: every per-sample quantity of theory §1 that the Hessian is made of.

use core::ops::Range;

use pulp::Simd;

use crate::batch::{Normalizer, OutputLoss};
use crate::lanes::{add_product, flushed, part, read_samples, row, row_mut, sized, stride, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::residuals::{Residuals, divide, largest};
use crate::vectors::Unit;
use crate::{Batch, Dimensions, Error, Network, Real, kernels, output_basis, svec};

/// The per-sample quantities, feature-major (see [`lanes`](crate::lanes)). Matrices with hidden and output index have
/// row j·K + k, so that the K values of a hidden unit are neighbours.
#[derive(Default)]
pub struct Forward<T> {
    pub dimensions: Option<Dimensions>,
    pub loss_kind: Option<OutputLoss>,
    pub samples: usize,
    /// Row length: `samples` padded to whole lanes.
    pub stride: usize,
    /// x̃, [d̃].
    pub x: Vec<T>,
    /// ã, [h̃].
    pub a: Vec<T>,
    /// φ', φ'', φ''', [h] each.
    pub d1: Vec<T>,
    pub d2: Vec<T>,
    pub d3: Vec<T>,
    /// Logits o, [K].
    pub o: Vec<T>,
    /// Probabilities p, [K]; unused by the squared error.
    pub p: Vec<T>,
    /// Softmax: 1 at the class of the largest logit, [K]. S·1 = 0 lets us measure against that class, which keeps
    /// S exact to rounding when p is almost one-hot.
    pub top: Vec<T>,
    /// Labels y, [K].
    pub y: Vec<T>,
    /// Weights of the outputs in the squared error, [K]; empty where all are 1.
    output_weights: Vec<T>,
    /// ω, divided by σ once the curvature is asked for.
    pub omega: Vec<T>,
    /// Residual r = ω ∂ℓ/∂o, [K].
    pub r: Vec<T>,
    /// Diagonal of S, [K].
    pub s_diagonal: Vec<T>,
    /// Unweighted losses.
    pub losses: Vec<T>,
    /// K': how many values S, Q and R take a sample in the output basis (see [`output_basis`]), and these in it:
    /// W2 \[K', h\], U = W2 ∘ d1 and Q = S U \[h·K'\] with row j·K' + k, r \[K'\], S packed \[K'(K' + 1)/2\].
    pub rank: usize,
    pub w2_basis: Vec<T>,
    pub u_basis: Vec<T>,
    pub q_basis: Vec<T>,
    pub r_basis: Vec<T>,
    pub s_basis: Vec<T>,
    /// g = W2ᵀ r and c = g ∘ d2, [h].
    pub g: Vec<T>,
    pub c: Vec<T>,
    /// ‖x̃‖², ‖ã‖², tr S, tr M.
    pub x_squared: Vec<T>,
    pub a_squared: Vec<T>,
    pub trace_s: Vec<T>,
    pub trace_m: Vec<T>,
    /// σ = max(|S|, |r|): S and r here are the theory's divided by σ (§5), or 1.
    pub sigma: T,
    pub scratch: Vec<T>,
    packed: Vec<T>,
    /// Softmax: the largest logit, its class, and the sum of the other exponentials.
    softmax_rows: [Vec<T>; 3],
}

/// What of the curvature is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curvature {
    /// Everything that H is made of, in the output basis where the loss has one.
    InBasis,
    /// The same in the outputs' own basis.
    Own,
    /// g and c alone: what products with H need beside the residuals.
    Operator,
}

impl<T: Real> Forward<T> {
    /// The sizes of the network that was run.
    #[inline(always)]
    pub fn dims(&self) -> Dimensions {
        self.dimensions.expect("a forward pass was run")
    }

    /// The loss that was run.
    #[inline(always)]
    pub fn loss_of(&self) -> OutputLoss {
        self.loss_kind.expect("a forward pass was run")
    }

    /// Runs the network and its loss for the samples of a checked batch that are in `range`: everything up to the
    /// residual r. Gives their part of the loss L, or 0 where it is not wanted.
    #[inline(always)]
    pub fn run(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        normalizer: Normalizer<T>,
        range: Range<usize>,
        with_loss: bool,
    ) -> Result<T, Error> {
        let dims = network.dimensions();
        let samples = range.len();
        let n = stride::<T>(samples);
        self.dimensions = Some(dims);
        self.loss_kind = Some(batch.loss);
        self.samples = samples;
        self.stride = n;
        self.sigma = T::one();

        let y = zeroed(&mut self.y, dims.outputs * n);
        let omega = zeroed(&mut self.omega, n);
        batch.reduce(&dims, normalizer, range.clone(), n, y, omega);
        self.output_weights.clear();
        if let Some(weights) = batch.output_weights {
            let weights = &weights[range.start * dims.outputs..range.end * dims.outputs];
            let by_output = zeroed(&mut self.output_weights, dims.outputs * n);
            read_samples(weights, dims.outputs, by_output, n);
        }

        let x = zeroed(&mut self.x, dims.inputs_extended() * n);
        let inputs = &batch.inputs[range.start * dims.inputs..range.end * dims.inputs];
        read_samples(inputs, dims.inputs, x, n);
        if dims.hidden_bias {
            row_mut(x, n, dims.inputs)[..samples].fill(T::one());
        }

        self.hidden_layer(network);
        self.output_layer(network);
        if let Some(what) = self.overflow() {
            return Err(Error::Overflow { what });
        }
        self.residuals(with_loss);
        if !with_loss {
            return Ok(T::zero());
        }
        let loss = self
            .losses
            .iter()
            .zip(&self.omega)
            .take(samples)
            .fold(T::zero(), |sum, (&loss, &omega)| sum + omega * loss);
        if loss.is_finite() {
            Ok(loss)
        } else {
            Err(Error::Overflow { what: "the loss" })
        }
    }

    /// z = W1 x + b1, a = φ(z) and the derivatives.
    #[inline(always)]
    fn hidden_layer(&mut self, network: &Network<T>) {
        let dims = self.dims();
        let (n, h, d) = (self.stride, dims.hidden, dims.inputs);
        let z = sized(&mut self.scratch, h * n);
        for j in 0..h {
            let bias = network.hidden_bias().get(j).copied().unwrap_or(T::zero());
            row_mut(z, n, j).fill(bias);
        }
        let weight = network.hidden_weight();
        if d <= 4 {
            for j in 0..h {
                let z = row_mut(z, n, j);
                for e in 0..d {
                    crate::lanes::add_scaled(z, weight[j * d + e], row(&self.x, n, e));
                }
            }
        } else {
            let inputs = Mat::new(&self.x, d, n, n);
            matmul(
                z,
                n,
                Write::Add,
                T::one(),
                Mat::new(weight, h, d, d),
                inputs,
            );
        }
        let a = sized(&mut self.a, dims.hidden_extended() * n);
        let d1 = sized(&mut self.d1, h * n);
        let d2 = sized(&mut self.d2, h * n);
        let d3 = sized(&mut self.d3, h * n);
        network
            .activation()
            .derivatives_of(z, [&mut *a, &mut *d1, &mut *d2, &mut *d3]);
        for j in 0..h {
            for data in [&mut *a, &mut *d1, &mut *d2, &mut *d3] {
                row_mut(data, n, j)[self.samples..].fill(T::zero());
            }
        }
        if dims.output_bias {
            let ones = row_mut(a, n, h);
            ones[..self.samples].fill(T::one());
            ones[self.samples..].fill(T::zero());
        }
    }

    /// o = W2 a + b2.
    #[inline(always)]
    fn output_layer(&mut self, network: &Network<T>) {
        let dims = self.dims();
        let (n, h, outputs) = (self.stride, dims.hidden, dims.outputs);
        let o = sized(&mut self.o, outputs * n);
        for k in 0..outputs {
            let bias = network.output_bias().get(k).copied().unwrap_or(T::zero());
            row_mut(o, n, k).fill(bias);
        }
        let weight = Mat::new(network.output_weight(), outputs, h, h);
        matmul(
            o,
            n,
            Write::Add,
            T::one(),
            weight,
            Mat::new(&self.a, h, n, n),
        );
    }

    /// The first quantity that is not finite.
    fn overflow(&self) -> Option<&'static str> {
        let dims = self.dims();
        let n = self.stride;
        // Padding samples hold zeros in a, and biases in o.
        let finite = |data: &[T], rows: usize| crate::lanes::finite(&data[..rows * n]);
        if !finite(&self.a, dims.hidden) {
            Some("a hidden activation")
        } else if !finite(&self.o, dims.outputs) {
            Some("a logit")
        } else {
            None
        }
    }

    /// p, the losses, the residuals and the diagonal of S, all with ω.
    #[inline(always)]
    fn residuals(&mut self, with_loss: bool) {
        let (n, outputs, kind) = (self.stride, self.dims().outputs, self.loss_of());
        let size = outputs * n;
        if kind == OutputLoss::SoftmaxCrossEntropy {
            sized(&mut self.top, size);
        }
        let [largest, best, rest] = &mut self.softmax_rows;
        Residuals {
            stride: n,
            outputs,
            o: &self.o,
            y: &self.y,
            omega: &self.omega,
            output_weights: &self.output_weights,
            p: sized(&mut self.p, size),
            top: &mut self.top,
            r: sized(&mut self.r, size),
            s_diagonal: sized(&mut self.s_diagonal, size),
            losses: sized(&mut self.losses, n),
            rows: [sized(largest, n), sized(best, n), sized(rest, n)],
        }
        .run(kind, with_loss);
    }

    /// From the residuals on: σ, S, U, Q, g, c and the samples' traces, as far as `what` wants them. `largest` is that
    /// of the whole batch.
    #[inline(always)]
    pub(crate) fn curvature<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        network: &Network<T>,
        what: Curvature,
        largest: T,
    ) -> Result<(), Error> {
        let dims = self.dims();
        let (n, h, outputs) = (self.stride, dims.hidden, dims.outputs);
        let softmax = self.loss_of() == OutputLoss::SoftmaxCrossEntropy;
        self.scale_to_one(largest);
        if what == Curvature::Operator {
            self.rank = outputs;
            let weight = Mat::new(network.output_weight(), outputs, h, h).t();
            let r = Mat::new(&self.r, outputs, n, n);
            matmul(
                sized(&mut self.g, h * n),
                n,
                Write::Replace,
                T::one(),
                weight,
                r,
            );
            self.bend();
            return finite_or_overflow(&self.c[..h * n]);
        }
        self.rank = output_basis::reduced(outputs, softmax && what == Curvature::InBasis);
        let rank = self.rank;
        let reduce = rank < outputs;
        if output_basis::packed(rank) {
            self.pack_curvature();
        }
        let r = sized(&mut self.r_basis, rank * n);
        if reduce {
            output_basis::project(&self.r, n, outputs, r, n, n);
        } else {
            r.copy_from_slice(&self.r[..outputs * n]);
        }

        let w2 = sized(&mut self.w2_basis, rank * h);
        if reduce {
            output_basis::project(network.output_weight(), h, outputs, w2, h, h);
            kernels::basis::u_and_q(unit, self);
        } else {
            w2.copy_from_slice(network.output_weight());
            kernels::own::u_and_q(unit, self);
        }

        let g = sized(&mut self.g, h * n);
        let weight = Mat::new(&self.w2_basis, rank, h, h).t();
        let r = Mat::new(&self.r_basis, rank, n, n);
        matmul(g, n, Write::Replace, T::one(), weight, r);
        self.bend();

        kernels::traces::norms_and_traces(unit, self);
        for sums in [&self.trace_m, &self.a_squared, &self.x_squared] {
            finite_or_overflow(&sums[..n])?;
        }
        Ok(())
    }

    /// c = g ∘ d2.
    #[inline(always)]
    fn bend(&mut self) {
        let size = self.dims().hidden * self.stride;
        let c = sized(&mut self.c, size);
        for ((c, &g), &d2) in c.iter_mut().zip(&self.g[..size]).zip(&self.d2[..size]) {
            *c = g * d2;
        }
    }

    /// The class of the largest logit of each sample, for a softmax.
    #[inline(always)]
    pub fn top_classes(&self) -> &[T] {
        &self.softmax_rows[1][..self.stride]
    }

    /// Whether S, Q and R are in a basis smaller than the outputs' own.
    #[inline(always)]
    pub fn in_basis(&self) -> bool {
        self.rank < self.dims().outputs
    }

    /// max(|S|, |r|) over the samples.
    #[inline(always)]
    pub fn largest(&self) -> T {
        let size = self.dims().outputs * self.stride;
        largest(&self.r[..size], &self.s_diagonal[..size])
    }

    /// Divides ω, r and S by σ = max(|S|, |r|), so that squares of a vanishing loss do not underflow (theory §5).
    #[inline(always)]
    fn scale_to_one(&mut self, sigma: T) {
        let n = self.stride;
        let size = self.dims().outputs * n;
        let (r, s) = (&mut self.r[..size], &mut self.s_diagonal[..size]);
        self.sigma = divide(sigma, r, s, &mut self.omega[..n]);
    }

    #[inline(always)]
    fn pack_curvature(&mut self) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let reduce = self.rank < outputs;
        let full = if reduce {
            &mut self.packed
        } else {
            &mut self.s_basis
        };
        let mut s = core::mem::take(full);
        self.form_s(0, n, sized(&mut s, svec::len(outputs) * n));
        if reduce {
            self.packed = s;
        } else {
            self.s_basis = s;
        }
        if reduce {
            let in_basis = sized(&mut self.s_basis, svec::len(self.rank) * n);
            output_basis::project_packed(&self.packed, outputs, n, in_basis, &mut self.scratch);
        }
    }

    /// S in the outputs' own basis, packed, of the samples `start..start + width`; rows are `width` apart.
    #[inline(always)]
    pub fn form_s(&self, start: usize, width: usize, s: &mut [T]) {
        let n = self.stride;
        let softmax = self.loss_of() == OutputLoss::SoftmaxCrossEntropy;
        let root = svec::scale::<T>();
        let omega = &self.omega[start..][..width];
        svec::pairs(
            self.dims().outputs,
            #[inline(always)]
            |index, i, j| {
                let out = row_mut(s, width, index);
                if i == j {
                    out.copy_from_slice(part(&self.s_diagonal, n, i, start, width));
                } else if softmax {
                    let left = part(&self.p, n, i, start, width);
                    let right = part(&self.p, n, j, start, width);
                    for (((out, &l), &r), &omega) in out.iter_mut().zip(left).zip(right).zip(omega)
                    {
                        *out = flushed(-root * (omega * l * r));
                    }
                } else {
                    out.fill(T::zero());
                }
            },
        );
    }

    /// The product with S.
    #[inline(always)]
    pub fn curvature_of(&self) -> CurvatureOf<'_, T> {
        CurvatureOf {
            kind: self.loss_of(),
            outputs: self.dims().outputs,
            stride: self.stride,
            p: &self.p,
            top: &self.top,
            omega: &self.omega,
            s_diagonal: &self.s_diagonal,
        }
    }
}

/// S as an operator on output-sized vectors.
#[derive(Clone, Copy)]
pub struct CurvatureOf<'a, T> {
    kind: OutputLoss,
    outputs: usize,
    stride: usize,
    p: &'a [T],
    top: &'a [T],
    omega: &'a [T],
    s_diagonal: &'a [T],
}

impl<T: Real> CurvatureOf<'_, T> {
    /// `out = S v` for the samples `start..start + width`. `v` and `out` have K rows of `width` samples, `row_stride`
    /// apart; `scratch` holds at least 2·width values.
    #[inline(always)]
    pub fn apply(
        &self,
        v: &[T],
        row_stride: usize,
        start: usize,
        width: usize,
        out: &mut [T],
        scratch: &mut [T],
    ) {
        let n = self.stride;
        if self.kind != OutputLoss::SoftmaxCrossEntropy {
            for k in 0..self.outputs {
                let s = &self.s_diagonal[k * n + start..][..width];
                let v = &v[k * row_stride..][..width];
                let out = &mut out[k * row_stride..][..width];
                for ((out, &s), &v) in out.iter_mut().zip(s).zip(v) {
                    *out = s * v;
                }
            }
            return;
        }
        // S v = ω p ∘ (v' − p·v') with v' = v − v[top class].
        let (reference, mean) = scratch[..2 * width].split_at_mut(width);
        reference.fill(T::zero());
        mean.fill(T::zero());
        for k in 0..self.outputs {
            let v = &v[k * row_stride..][..width];
            add_product(reference, &self.top[k * n + start..][..width], v);
        }
        for k in 0..self.outputs {
            let v = &v[k * row_stride..][..width];
            let p = &self.p[k * n + start..][..width];
            for (((mean, &p), &v), &reference) in mean.iter_mut().zip(p).zip(v).zip(&*reference) {
                *mean += p * (v - reference);
            }
        }
        let omega = &self.omega[start..][..width];
        for k in 0..self.outputs {
            let v = &v[k * row_stride..][..width];
            let p = &self.p[k * n + start..][..width];
            let out = &mut out[k * row_stride..][..width];
            for i in 0..width {
                out[i] = omega[i] * p[i] * ((v[i] - reference[i]) - mean[i]);
            }
        }
    }
}

impl<T: Real> Forward<T> {
    /// Keeps the Gauss-Newton part of the Hessian (c = 0, R = 0) or only the rest (S = 0, Q = 0).
    #[inline(always)]
    pub fn keep_part(&mut self, indefinite: bool) {
        let n = self.stride;
        let hidden = self.dims().hidden;
        if indefinite {
            if output_basis::packed(self.rank) {
                self.s_basis[..svec::len(self.rank) * n].fill(T::zero());
            } else {
                self.s_diagonal[..self.rank * n].fill(T::zero());
                self.omega[..n].fill(T::zero());
            }
            self.q_basis[..hidden * self.rank * n].fill(T::zero());
        } else {
            self.c[..hidden * n].fill(T::zero());
            self.r_basis[..self.rank * n].fill(T::zero());
        }
    }
}

/// Refuses values that are not finite.
fn finite_or_overflow<T: Real>(values: &[T]) -> Result<(), Error> {
    if crate::lanes::finite(values) {
        Ok(())
    } else {
        Err(Error::Overflow {
            what: "the Hessian",
        })
    }
}
