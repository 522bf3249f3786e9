//! The forward pass: every per-sample quantity of theory §1 that the Hessian is made of.

use crate::batch::OutputLoss;
use crate::lanes::{add_product, row, row_mut, sized, stride, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::{Batch, Dimensions, Error, Network, Real, svec};

/// The per-sample quantities, feature-major (see [`lanes`](crate::lanes)). Matrices with hidden and output index have
/// row j·K + k, so that the K values of a hidden unit are neighbours.
#[derive(Default)]
pub(crate) struct Forward<T> {
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
    /// ω, divided by σ once the curvature is asked for.
    pub omega: Vec<T>,
    /// Residual r = ω ∂ℓ/∂o, [K].
    pub r: Vec<T>,
    /// Diagonal of S, [K].
    pub s_diagonal: Vec<T>,
    /// Unweighted losses.
    pub losses: Vec<T>,
    /// U = W2 ∘ d1, [h·K].
    pub u: Vec<T>,
    /// Q = S U, [h·K].
    pub q: Vec<T>,
    /// g = W2ᵀ r and c = g ∘ d2, [h].
    pub g: Vec<T>,
    pub c: Vec<T>,
    /// S packed, [K(K + 1)/2].
    pub s: Vec<T>,
    /// ‖x̃‖², ‖ã‖², tr S, tr M.
    pub x_squared: Vec<T>,
    pub a_squared: Vec<T>,
    pub trace_s: Vec<T>,
    pub trace_m: Vec<T>,
    /// σ = max(|S|, |r|): S and r here are the theory's divided by σ (§5), or 1.
    pub sigma: T,
    scratch: Vec<T>,
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

    /// Runs the network and its loss: everything up to the residual r. Gives the loss L.
    #[inline(always)]
    pub fn run(&mut self, network: &Network<T>, batch: &Batch<T>) -> Result<T, Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let n = stride(samples);
        self.dimensions = Some(dims);
        self.loss_kind = Some(batch.loss);
        self.samples = samples;
        self.stride = n;
        self.sigma = T::one();

        let y = zeroed(&mut self.y, dims.outputs * n);
        let omega = zeroed(&mut self.omega, n);
        batch.reduce(&dims, samples, n, y, omega)?;

        let x = zeroed(&mut self.x, dims.inputs_extended() * n);
        for (sample, input) in batch.inputs.chunks_exact(dims.inputs).enumerate() {
            for (e, &value) in input.iter().enumerate() {
                x[e * n + sample] = value;
            }
        }
        if dims.hidden_bias {
            row_mut(x, n, dims.inputs)[..samples].fill(T::one());
        }

        self.hidden_layer(network);
        self.output_layer(network);
        if let Some(what) = self.overflow() {
            return Err(Error::Overflow { what });
        }
        self.residuals();
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
        let activation = network.activation();
        for (i, &z) in z.iter().enumerate() {
            [a[i], d1[i], d2[i], d3[i]] = activation.derivatives(z);
        }
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
        let (n, samples) = (self.stride, self.samples);
        let finite = |data: &[T], rows: usize| {
            (0..rows).all(|i| row(data, n, i)[..samples].iter().all(|v| v.is_finite()))
        };
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
    fn residuals(&mut self) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        sized(&mut self.p, outputs * n);
        sized(&mut self.r, outputs * n);
        sized(&mut self.s_diagonal, outputs * n);
        sized(&mut self.losses, n);
        match self.loss_of() {
            OutputLoss::SoftmaxCrossEntropy => self.softmax(),
            OutputLoss::SigmoidCrossEntropy => self.sigmoid(),
            OutputLoss::MeanSquaredError => self.squared(),
        }
    }

    #[inline(always)]
    fn softmax(&mut self) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let zero = T::zero();
        zeroed(&mut self.top, outputs * n);
        for i in 0..n {
            let o = &self.o[i..];
            let mut best = 0;
            for k in 1..outputs {
                if o[k * n] > o[best * n] {
                    best = k;
                }
            }
            let largest = o[best * n];
            let p = &mut self.p[i..];
            let mut rest = zero;
            for k in 0..outputs {
                if k != best {
                    let e = (o[k * n] - largest).exp();
                    p[k * n] = e;
                    rest += e;
                }
            }
            let scale = T::one() / (T::one() + rest);
            let omega = self.omega[i];
            let (y, r, s) = (&self.y[i..], &mut self.r[i..], &mut self.s_diagonal[i..]);
            let mut loss = rest.ln_1p();
            for k in 0..outputs {
                if k == best {
                    // 1 − p = rest/(1 + rest) exactly; formed as a difference it would cancel.
                    let others = rest * scale;
                    p[k * n] = scale;
                    r[k * n] = omega * ((T::one() - y[k * n]) - others);
                    s[k * n] = omega * scale * others;
                } else {
                    let probability = p[k * n] * scale;
                    p[k * n] = probability;
                    r[k * n] = omega * (probability - y[k * n]);
                    s[k * n] = omega * probability * (T::one() - probability);
                    if y[k * n] != zero {
                        loss += y[k * n] * (largest - o[k * n]);
                    }
                }
            }
            self.losses[i] = loss;
            self.top[best * n + i] = T::one();
        }
    }

    #[inline(always)]
    fn sigmoid(&mut self) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let share = T::one() / T::of(outputs as f64);
        self.losses[..n].fill(T::zero());
        for k in 0..outputs {
            for i in 0..n {
                let at = k * n + i;
                let (o, y) = (self.o[at], self.y[at]);
                let e = (-o.abs()).exp();
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
                let linear = if o > T::zero() {
                    o * (T::one() - y)
                } else {
                    -o * y
                };
                self.losses[i] += share * (linear + e.ln_1p());
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
                let weight = two * share * self.omega[i];
                self.r[at] = weight * difference;
                self.s_diagonal[at] = weight;
                self.losses[i] += share * difference * difference;
            }
        }
    }

    /// From the residuals on: σ, S, U, Q, g, c and the samples' traces.
    #[inline(always)]
    pub fn curvature(&mut self, network: &Network<T>) -> Result<(), Error> {
        let dims = self.dims();
        let (n, h, outputs) = (self.stride, dims.hidden, dims.outputs);
        self.scale_to_one();
        self.pack_curvature();

        let w2 = network.output_weight();
        let u = sized(&mut self.u, h * outputs * n);
        for j in 0..h {
            let d1 = row(&self.d1, n, j);
            for k in 0..outputs {
                let weight = w2[k * h + j];
                for (u, &d1) in row_mut(u, n, j * outputs + k).iter_mut().zip(d1) {
                    *u = weight * d1;
                }
            }
        }
        sized(&mut self.q, h * outputs * n);
        sized(&mut self.scratch, 2 * n);
        for j in 0..h {
            let rows = j * outputs * n..(j + 1) * outputs * n;
            let curvature = CurvatureOf {
                kind: self.loss_of(),
                outputs,
                stride: n,
                p: &self.p,
                top: &self.top,
                omega: &self.omega,
                s_diagonal: &self.s_diagonal,
            };
            curvature.apply(
                &self.u[rows.clone()],
                n,
                0,
                n,
                &mut self.q[rows],
                &mut self.scratch,
            );
        }

        let g = sized(&mut self.g, h * n);
        let weight = Mat::new(w2, outputs, h, h).t();
        matmul(
            g,
            n,
            Write::Replace,
            T::one(),
            weight,
            Mat::new(&self.r, outputs, n, n),
        );
        let c = sized(&mut self.c, h * n);
        for ((c, &g), &d2) in c.iter_mut().zip(g.iter()).zip(&self.d2[..h * n]) {
            *c = g * d2;
        }

        self.norms_and_traces();
        if self.trace_m[..n].iter().all(|t| t.is_finite())
            && self.a_squared[..n].iter().all(|t| t.is_finite())
            && self.x_squared[..n].iter().all(|t| t.is_finite())
        {
            Ok(())
        } else {
            Err(Error::Overflow {
                what: "the Hessian",
            })
        }
    }

    /// Divides ω, r and S by σ = max(|S|, |r|), so that squares of a vanishing loss do not underflow (theory §5).
    #[inline(always)]
    fn scale_to_one(&mut self) {
        let n = self.stride;
        let size = self.dims().outputs * n;
        let largest = |values: &[T]| values.iter().fold(T::zero(), |max, v| max.max(v.abs()));
        let sigma = largest(&self.r[..size]).max(largest(&self.s_diagonal[..size]));
        // A reciprocal of a subnormal would be infinite: such a Hessian is 0 for every purpose.
        let inverse = T::one() / sigma;
        if sigma == T::zero() || !inverse.is_finite() {
            self.r[..size].fill(T::zero());
            self.s_diagonal[..size].fill(T::zero());
            self.omega[..n].fill(T::zero());
            self.sigma = T::one();
            return;
        }
        for values in [
            &mut self.r[..size],
            &mut self.s_diagonal[..size],
            &mut self.omega[..n],
        ] {
            for value in values {
                *value *= inverse;
            }
        }
        self.sigma = sigma;
    }

    #[inline(always)]
    fn pack_curvature(&mut self) {
        let n = self.stride;
        let outputs = self.dims().outputs;
        let softmax = self.loss_of() == OutputLoss::SoftmaxCrossEntropy;
        let s = sized(&mut self.s, svec::len(outputs) * n);
        let root = svec::scale::<T>();
        svec::pairs(outputs, |index, i, j| {
            let out = row_mut(s, n, index);
            if i == j {
                out.copy_from_slice(row(&self.s_diagonal, n, i));
            } else if softmax {
                let (left, right) = (row(&self.p, n, i), row(&self.p, n, j));
                for (((out, &l), &r), &omega) in
                    out.iter_mut().zip(left).zip(right).zip(&self.omega)
                {
                    *out = -root * (omega * l * r);
                }
            } else {
                out.fill(T::zero());
            }
        });
    }

    #[inline(always)]
    fn norms_and_traces(&mut self) {
        let dims = self.dims();
        let (n, h, outputs) = (self.stride, dims.hidden, dims.outputs);
        for (out, data, rows) in [
            (&mut self.x_squared, &self.x, dims.inputs_extended()),
            (&mut self.a_squared, &self.a, dims.hidden_extended()),
        ] {
            let out = zeroed(out, n);
            for i in 0..rows {
                add_product(out, row(data, n, i), row(data, n, i));
            }
        }
        let trace_s = zeroed(&mut self.trace_s, n);
        for k in 0..outputs {
            crate::lanes::add_scaled(trace_s, T::one(), row(&self.s_diagonal, n, k));
        }
        let trace_m = zeroed(&mut self.trace_m, n);
        for j in 0..h {
            crate::lanes::add_scaled(trace_m, T::one(), row(&self.c, n, j));
        }
        for jk in 0..h * outputs {
            add_product(trace_m, row(&self.u, n, jk), row(&self.q, n, jk));
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
pub(crate) struct CurvatureOf<'a, T> {
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
        let dims = self.dims();
        let n = self.stride;
        if indefinite {
            self.s[..svec::len(dims.outputs) * n].fill(T::zero());
            self.q[..dims.hidden * dims.outputs * n].fill(T::zero());
        } else {
            self.c[..dims.hidden * n].fill(T::zero());
            self.r[..dims.outputs * n].fill(T::zero());
        }
    }
}
