//! The forward pass of one hidden layer, and from its residuals to the curvature.

use core::ops::Range;

use pulp::Simd;

use crate::error::Error;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{read_samples, row, row_mut, stride, sum};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::vectors::Unit;
use crate::problem::batch::{Batch, Normalizer};
use crate::problem::loss::rows::{Residuals, divide};
use crate::problem::network::Network;
use crate::two_layer::samples::Forward;
use crate::two_layer::{kernels, output_basis};

/// A part of H.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    GaussNewton,
    Indefinite,
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

impl<T: Number> Forward<T> {
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

        let y = zeros(&mut self.y, dims.outputs * n);
        let omega = zeros(&mut self.omega, n);
        batch.reduce(&dims, normalizer, range.clone(), n, y, omega);
        fit(&mut self.output_weights, 0);
        if let Some(weights) = batch.output_weights {
            let weights = &weights[range.start * dims.outputs..range.end * dims.outputs];
            let by_output = zeros(&mut self.output_weights, dims.outputs * n);
            read_samples(weights, dims.outputs, by_output, n);
        }

        let x = zeros(&mut self.x, dims.inputs_extended() * n);
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
        let z = fit(&mut self.scratch, h * n);
        for j in 0..h {
            let bias = network.hidden_bias().get(j).copied().unwrap_or(T::zero());
            row_mut(z, n, j).fill(bias);
        }
        let weight = network.hidden_weight();
        if d <= 4 {
            for j in 0..h {
                let z = row_mut(z, n, j);
                for e in 0..d {
                    crate::numeric::lanes::add_scaled(z, weight[j * d + e], row(&self.x, n, e));
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
        let a = fit(&mut self.a, dims.hidden_extended() * n);
        let d1 = fit(&mut self.d1, h * n);
        let d2 = fit(&mut self.d2, h * n);
        let d3 = fit(&mut self.d3, h * n);
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
        let o = fit(&mut self.o, outputs * n);
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
        let finite = |data: &[T], rows: usize| crate::numeric::lanes::finite(&data[..rows * n]);
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
        if kind.couples_outputs() {
            fit(&mut self.top, size);
        }
        let [largest, best, rest] = &mut self.softmax_rows;
        let rows = Residuals {
            stride: n,
            outputs,
            o: &self.o,
            y: &self.y,
            omega: &self.omega,
            output_weights: &self.output_weights,
            p: fit(&mut self.p, size),
            top: &mut self.top,
            r: fit(&mut self.r, size),
            s_diagonal: fit(&mut self.s_diagonal, size),
            losses: fit(&mut self.losses, n),
            rows: [fit(largest, n), fit(best, n), fit(rest, n)],
        };
        kind.residuals(rows, with_loss);
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
        let softmax = self.loss_of().couples_outputs();
        self.scale_to_one(largest);
        if what == Curvature::Operator {
            self.rank = outputs;
            let weight = Mat::new(network.output_weight(), outputs, h, h).t();
            let r = Mat::new(&self.r, outputs, n, n);
            matmul(
                fit(&mut self.g, h * n),
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
        let r = fit(&mut self.r_basis, rank * n);
        if reduce {
            output_basis::project(&self.r, n, outputs, r, n, n);
        } else {
            r.copy_from_slice(&self.r[..outputs * n]);
        }

        let w2 = fit(&mut self.w2_basis, rank * h);
        if reduce {
            output_basis::project(network.output_weight(), h, outputs, w2, h, h);
            kernels::basis::u_and_q(unit, self);
        } else {
            w2.copy_from_slice(network.output_weight());
            kernels::own::u_and_q(unit, self);
        }

        let g = fit(&mut self.g, h * n);
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
        let c = fit(&mut self.c, size);
        for ((c, &g), &d2) in c.iter_mut().zip(&self.g[..size]).zip(&self.d2[..size]) {
            *c = g * d2;
        }
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
        self.form_s(0, n, fit(&mut s, svec::len(outputs) * n));
        if reduce {
            self.packed = s;
        } else {
            self.s_basis = s;
        }
        if reduce {
            let in_basis = fit(&mut self.s_basis, svec::len(self.rank) * n);
            output_basis::project_packed(&self.packed, outputs, n, in_basis, &mut self.scratch);
        }
    }
}

impl<T: Number> Forward<T> {
    /// Keeps the Gauss-Newton part of the Hessian (c = 0, R = 0) or only the rest (S = 0, Q = 0).
    #[inline(always)]
    pub fn keep_part(&mut self, part: Part) {
        let n = self.stride;
        let hidden = self.dims().hidden;
        if part == Part::Indefinite {
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
fn finite_or_overflow<T: Number>(values: &[T]) -> Result<(), Error> {
    if crate::numeric::lanes::finite(values) {
        Ok(())
    } else {
        Err(Error::Overflow {
            what: "the Hessian",
        })
    }
}

impl<T: Number> Forward<T> {
    /// ∂L/∂θ of these samples by backpropagation: W̄2 = Σ r aᵀ, δ = W2ᵀ r ∘ φ'(z), W̄1 = Σ δ xᵀ.
    #[inline(always)]
    pub fn loss_gradient(&self, network: &Network<T>, delta: &mut Buffer<T>, gradient: &mut [T]) {
        let dims = self.dims();
        let (n, h, outputs, d) = (self.stride, dims.hidden, dims.outputs, dims.inputs);
        let layout = dims.layout();
        let one = T::one();
        let r = Mat::new(&self.r, outputs, n, n);
        let a = Mat::new(&self.a, h, n, n).t();
        let w2_bar = &mut gradient[layout.output_weight()];
        matmul(w2_bar, h, Write::Replace, one, r, a);
        for (k, bias) in gradient[layout.output_bias()].iter_mut().enumerate() {
            *bias = sum(row(&self.r, n, k));
        }
        let delta = fit(delta, h * n);
        let weight = Mat::new(network.output_weight(), outputs, h, h).t();
        matmul(delta, n, Write::Replace, one, weight, r);
        for (delta, &d1) in delta.iter_mut().zip(&self.d1[..h * n]) {
            *delta *= d1;
        }
        for (j, bias) in gradient[layout.hidden_bias()].iter_mut().enumerate() {
            *bias = sum(row(delta, n, j));
        }
        let x = Mat::new(&self.x, d, n, n).t();
        let w1_bar = &mut gradient[layout.hidden_weight()];
        let delta = Mat::new(delta, h, n, n);
        matmul(w1_bar, d, Write::Replace, one, delta, x);
    }
}
