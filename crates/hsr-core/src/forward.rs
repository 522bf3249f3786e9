//! The forward pass: every per-sample quantity of theory §1 that the Hessian is made of.

use core::ops::Range;

use pulp::Simd;

use crate::batch::{Normalizer, OutputLoss};
use crate::lanes::{
    LANE, add_product, flushed, lane, read_samples, row, row_mut, sized, stride, zeroed,
};
use crate::matmul::{Mat, Write, matmul};
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
    softmax_rows: [Vec<T>; 3],
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
        let n = self.stride;
        let outputs = self.dims().outputs;
        sized(&mut self.p, outputs * n);
        sized(&mut self.r, outputs * n);
        sized(&mut self.s_diagonal, outputs * n);
        sized(&mut self.losses, n);
        match self.loss_of() {
            OutputLoss::SoftmaxCrossEntropy => self.softmax(with_loss),
            OutputLoss::SigmoidCrossEntropy => self.sigmoid(with_loss),
            OutputLoss::MeanSquaredError => self.squared(),
        }
    }

    #[inline(always)]
    fn softmax(&mut self, with_loss: bool) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let (zero, one) = (T::zero(), T::one());
        // The largest logit and its class, the first where there are several.
        let [largest, best, rest] = &mut self.softmax_rows;
        let largest = sized(largest, n);
        let best = zeroed(best, n);
        let rest = zeroed(rest, n);
        largest.copy_from_slice(row(&self.o, n, 0));
        for k in 1..outputs {
            let (o, class) = (row(&self.o, n, k), T::of(k as f64));
            for i in 0..n {
                best[i] = if o[i] > largest[i] { class } else { best[i] };
                largest[i] = if o[i] > largest[i] { o[i] } else { largest[i] };
            }
        }
        // Whole rows: the exponentials of one lane would be unrolled and stay scalar. The largest gives 1.
        for k in 0..outputs {
            let (p, o) = (row_mut(&mut self.p, n, k), row(&self.o, n, k));
            for ((p, &o), &largest) in p.iter_mut().zip(o).zip(&*largest) {
                *p = (o - largest).exp_decay();
            }
        }
        sized(&mut self.top, outputs * n);
        // Lane by lane through local arrays, which cannot overlap: only then does the compiler vectorise.
        for start in (0..n).step_by(LANE) {
            let best = lane(best, start);
            let omega = lane(&self.omega, start);
            let mut sum = [zero; LANE];
            for k in 0..outputs {
                let class = T::of(k as f64);
                let p = lane(row(&self.p, n, k), start);
                let mut top = [zero; LANE];
                for l in 0..LANE {
                    top[l] = if best[l] == class { one } else { zero };
                    sum[l] += p[l] * (one - top[l]);
                }
                row_mut(&mut self.top, n, k)[start..][..LANE].copy_from_slice(&top);
            }
            rest[start..][..LANE].copy_from_slice(&sum);
            let mut scale = [zero; LANE];
            for l in 0..LANE {
                scale[l] = one / (one + sum[l]);
            }
            for k in 0..outputs {
                let class = T::of(k as f64);
                let y = lane(row(&self.y, n, k), start);
                let mut p = lane(row(&self.p, n, k), start);
                let (mut r, mut s) = ([zero; LANE], [zero; LANE]);
                for l in 0..LANE {
                    p[l] *= scale[l];
                    let is_best = best[l] == class;
                    // 1 − p = rest/(1 + rest) for the top class; formed as a difference it would cancel.
                    let others = if is_best {
                        sum[l] * scale[l]
                    } else {
                        one - p[l]
                    };
                    let of_best = (one - y[l]) - others;
                    r[l] = omega[l] * if is_best { of_best } else { p[l] - y[l] };
                    s[l] = omega[l] * p[l] * others;
                }
                row_mut(&mut self.p, n, k)[start..][..LANE].copy_from_slice(&p);
                row_mut(&mut self.r, n, k)[start..][..LANE].copy_from_slice(&r);
                row_mut(&mut self.s_diagonal, n, k)[start..][..LANE].copy_from_slice(&s);
            }
        }
        if with_loss {
            for (loss, rest) in self.losses[..n].iter_mut().zip(rest.iter()) {
                *loss = rest.ln_1p();
            }
            for k in 0..outputs {
                let (y, o) = (row(&self.y, n, k), row(&self.o, n, k));
                for i in 0..n {
                    self.losses[i] += y[i] * (largest[i] - o[i]);
                }
            }
        }
    }

    #[inline(always)]
    fn sigmoid(&mut self, with_loss: bool) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let share = T::one() / T::of(outputs as f64);
        self.losses[..n].fill(T::zero());
        for k in 0..outputs {
            for i in 0..n {
                let at = k * n + i;
                let (o, y) = (self.o[at], self.y[at]);
                let e = (-o.abs()).exp_decay();
                let scale = T::one() / (T::one() + e);
                let (large, small) = (scale, e * scale);
                let weight = share * self.omega[i];
                // The difference p − y is taken on the side on which it does not cancel.
                let (p, difference) = if o >= T::zero() {
                    (large, (T::one() - y) - small)
                } else {
                    (small, small - y)
                };
                self.p[at] = p;
                self.r[at] = weight * difference;
                self.s_diagonal[at] = weight * large * small;
                if with_loss {
                    let linear = if o > T::zero() {
                        o * (T::one() - y)
                    } else {
                        -o * y
                    };
                    self.losses[i] += share * (linear + e.ln_1p());
                }
            }
        }
    }

    #[inline(always)]
    fn squared(&mut self) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let share = T::one() / T::of(outputs as f64);
        let two = T::of(2.0);
        self.losses[..n].fill(T::zero());
        for k in 0..outputs {
            for i in 0..n {
                let at = k * n + i;
                let difference = self.o[at] - self.y[at];
                let share = match self.output_weights.get(at) {
                    Some(&weight) => share * weight,
                    None => share,
                };
                let weight = two * share * self.omega[i];
                self.r[at] = weight * difference;
                self.s_diagonal[at] = weight;
                self.losses[i] += share * difference * difference;
            }
        }
    }

    /// From the residuals on: σ, S, U, Q, g, c and the samples' traces; S, U, Q and r in the output basis where
    /// `in_basis` is set and the loss has one. `largest` is that of the whole batch.
    #[inline(always)]
    pub(crate) fn curvature<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        network: &Network<T>,
        in_basis: bool,
        largest: T,
    ) -> Result<(), Error> {
        let dims = self.dims();
        let (n, h, outputs) = (self.stride, dims.hidden, dims.outputs);
        let softmax = self.loss_of() == OutputLoss::SoftmaxCrossEntropy;
        self.rank = output_basis::reduced(outputs, softmax && in_basis);
        let rank = self.rank;
        let reduce = rank < outputs;
        self.scale_to_one(largest);
        self.pack_curvature();
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
        let c = sized(&mut self.c, h * n);
        for ((c, &g), &d2) in c.iter_mut().zip(g.iter()).zip(&self.d2[..h * n]) {
            *c = g * d2;
        }

        kernels::traces::norms_and_traces(unit, self);
        let sums = [&self.trace_m, &self.a_squared, &self.x_squared];
        if sums
            .into_iter()
            .all(|sums| crate::lanes::finite(&sums[..n]))
        {
            Ok(())
        } else {
            Err(Error::Overflow {
                what: "the Hessian",
            })
        }
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
        let largest = |values: &[T]| values.iter().fold(T::zero(), |max, v| max.max(v.abs()));
        largest(&self.r[..size]).max(largest(&self.s_diagonal[..size]))
    }

    /// Divides ω, r and S by σ = max(|S|, |r|), so that squares of a vanishing loss do not underflow (theory §5).
    #[inline(always)]
    fn scale_to_one(&mut self, sigma: T) {
        let n = self.stride;
        let size = self.dims().outputs * n;
        // A reciprocal of a subnormal would be infinite: such a Hessian is 0 for every purpose.
        let inverse = T::one() / sigma;
        if sigma == T::zero() || !inverse.is_finite() {
            self.r[..size].fill(T::zero());
            self.s_diagonal[..size].fill(T::zero());
            self.omega[..n].fill(T::zero());
            self.sigma = T::one();
            return;
        }
        for values in [&mut self.r[..size], &mut self.s_diagonal[..size]] {
            for value in values {
                *value = flushed(*value * inverse);
            }
        }
        for omega in &mut self.omega[..n] {
            *omega *= inverse;
        }
        self.sigma = sigma;
    }

    #[inline(always)]
    fn pack_curvature(&mut self) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let softmax = self.loss_of() == OutputLoss::SoftmaxCrossEntropy;
        let reduce = self.rank < outputs;
        let full = if reduce {
            &mut self.packed
        } else {
            &mut self.s_basis
        };
        let s = sized(full, svec::len(outputs) * n);
        let root = svec::scale::<T>();
        let (p, omega, s_diagonal) = (&self.p, &self.omega, &self.s_diagonal);
        svec::pairs(
            outputs,
            #[inline(always)]
            |index, i, j| {
                let out = row_mut(s, n, index);
                if i == j {
                    out.copy_from_slice(row(s_diagonal, n, i));
                } else if softmax {
                    let (left, right) = (row(p, n, i), row(p, n, j));
                    for (((out, &l), &r), &omega) in out.iter_mut().zip(left).zip(right).zip(omega)
                    {
                        *out = flushed(-root * (omega * l * r));
                    }
                } else {
                    out.fill(T::zero());
                }
            },
        );
        if reduce {
            let in_basis = sized(&mut self.s_basis, svec::len(self.rank) * n);
            output_basis::project_packed(&self.packed, outputs, n, in_basis, &mut self.scratch);
        }
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
            self.s_basis[..svec::len(self.rank) * n].fill(T::zero());
            self.q_basis[..hidden * self.rank * n].fill(T::zero());
        } else {
            self.c[..hidden * n].fill(T::zero());
            self.r_basis[..self.rank * n].fill(T::zero());
        }
    }
}
