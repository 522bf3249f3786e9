//! The loss at the outputs: residual r, the product with the curvature S, its pull and its derivative (theory §1).
//!
//! S of the softmax is ω(diag p − p pᵀ) and is only ever applied: no K × K matrix a sample is kept.

use core::ops::Range;

use pulp::Simd;

use crate::depth::rows::kernels;
use crate::error::Error;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::dispatch::{Verb, vectorized};
use crate::numeric::lanes::{LANE, flushed, read_samples};
use crate::numeric::number::Number;
use crate::problem::batch::{Batch, Normalizer};
use crate::problem::loss::OutputLoss;
use crate::problem::loss::rows::{Residuals, divide, largest};
use crate::problem::network::Dimensions;

/// Some samples of a row, so few that sums over the classes stay in registers. Rows hold a multiple of eight.
#[inline(always)]
fn run<T, const RUN: usize>(values: &[T], at: usize) -> &[T] {
    &values[at..][..RUN]
}

/// The loss of a batch at its outputs, feature-major.
#[derive(Default)]
pub struct Output<T> {
    pub loss: Option<OutputLoss>,
    pub outputs: usize,
    /// Samples a row, padded.
    pub stride: usize,
    /// σ, by which r, S and ω were divided, or 1.
    pub sigma: T,
    /// Logits o, [K].
    pub o: Buffer<T>,
    /// Residual r, [K].
    pub r: Buffer<T>,
    /// Probabilities p, [K]; unused by the squared error.
    pub p: Buffer<T>,
    /// Diagonal of S, [K].
    pub s: Buffer<T>,
    y: Buffer<T>,
    omega: Buffer<T>,
    /// Of the squared error, [K]; empty where all are 1.
    output_weights: Buffer<T>,
    /// Softmax: 1 at the class of the largest logit, else 0, [K].
    top: Buffer<T>,
    losses: Buffer<T>,
    rows: [Buffer<T>; 3],
}

impl<T: Number> Output<T> {
    pub fn is_softmax(&self) -> bool {
        self.loss.is_some_and(OutputLoss::couples_outputs)
    }

    /// Labels and weights of these samples of a checked batch.
    pub fn read(
        &mut self,
        batch: &Batch<T>,
        ends: &Dimensions,
        normalizer: Normalizer<T>,
        range: Range<usize>,
        stride: usize,
    ) {
        let outputs = ends.outputs;
        self.loss = Some(batch.loss());
        self.outputs = outputs;
        self.stride = stride;
        self.sigma = T::one();
        let y = zeros(&mut self.y, outputs * stride);
        let omega = zeros(&mut self.omega, stride);
        batch.reduce(ends, normalizer, range.clone(), stride, y, omega);
        fit(&mut self.output_weights, 0);
        if let Some(weights) = batch.output_weights {
            let by_output = zeros(&mut self.output_weights, outputs * stride);
            let weights = &weights[range.start * outputs..range.end * outputs];
            read_samples(weights, outputs, by_output, stride);
        }
        for buffer in [
            &mut self.o,
            &mut self.r,
            &mut self.p,
            &mut self.s,
            &mut self.top,
        ] {
            fit(buffer, outputs * stride);
        }
        fit(&mut self.losses, stride);
        for row in &mut self.rows {
            fit(row, stride);
        }
    }

    /// r and the diagonal of S from the logits, and the loss L.
    pub fn residuals(&mut self, samples: usize) -> Result<T, Error> {
        if let Some(kind) = self.loss {
            let [largest, best, rest] = &mut self.rows;
            let residuals = Residuals {
                stride: self.stride,
                outputs: self.outputs,
                o: &self.o,
                y: &self.y,
                omega: &self.omega,
                output_weights: &self.output_weights,
                p: &mut self.p,
                top: &mut self.top,
                r: &mut self.r,
                s_diagonal: &mut self.s,
                losses: &mut self.losses,
                rows: [largest, best, rest],
            };
            vectorized(Vectorized(residuals, kind));
        }
        let losses = self.losses.iter().zip(&self.omega).take(samples);
        let loss = losses.fold(T::zero(), |sum, (&loss, &omega)| sum + omega * loss);
        if loss.is_finite() {
            Ok(loss)
        } else {
            Err(Error::Overflow { what: "the loss" })
        }
    }

    /// σ = max(|S|, |r|) of these samples.
    pub fn largest(&self) -> T {
        largest(&self.r, &self.s)
    }

    /// Divides r, S and ω by the σ of the batch, so that squares of a vanishing loss do not underflow (theory §5).
    pub fn divide(&mut self, sigma: T) {
        self.sigma = divide(sigma, &mut self.r, &mut self.s, &mut self.omega);
    }

    /// out = S x for every seed: x and out are \[K, seeds\].
    pub fn apply(&self, x: &[T], out: &mut [T]) {
        let n = self.stride;
        if !self.is_softmax() {
            return crate::depth::rows::scale_components(out, &self.s, x, n);
        }
        apply_softmax(out, x, &self.p, &self.top, &self.omega, n);
    }

    /// `bar` += what the adjoint S̄ = Σ_seeds q xᵀ means for the pull. For the softmax q∘x − q(p·x) − x(p·q) is
    /// (q − p·q)∘(x − p·x) but for a constant, which S annihilates.
    pub fn add_adjoint_of_curvature(&self, bar: &mut [T], q: &[T], x: &[T]) {
        let n = self.stride;
        if !self.is_softmax() {
            return crate::depth::rows::add_inner_products(bar, q, x, n);
        }
        add_centred_products(bar, q, x, &self.p, n);
    }

    /// `bar` += what the packed S̄ means for the pull: rows of `width` samples from `start` on, one for each of these
    /// entries on and above the diagonal, those above it √2 times what both of their places have together.
    pub fn add_adjoint_of_packed(
        &self,
        bar: &mut [T],
        packed_bar: &[T],
        entries: &[(usize, usize)],
        start: usize,
        width: usize,
    ) {
        let p = if self.is_softmax() { &self.p[..] } else { &[] };
        let at = (start, width);
        add_adjoint_of_packed(bar, packed_bar, p, entries, at, self.stride);
    }

    /// The packed entries of S, √2 times what is off the diagonal.
    pub fn pack(&self, entries: &[(usize, usize)], out: &mut [T]) {
        let p = if self.is_softmax() { &self.p[..] } else { &[] };
        pack(out, &self.s, p, &self.omega, entries, self.stride);
    }

    /// z̄_L = pull(S̄, r̄), with S̄ as the two functions above add it up. `curvature_bar` is overwritten.
    pub fn pull(&self, curvature_bar: &mut [T], r_bar: &[T], out: &mut [T]) {
        let Some(loss) = self.loss else { return };
        if loss.couples_outputs() {
            crate::depth::rows::add(curvature_bar, r_bar);
        } else {
            // `out` holds the slopes until it is written.
            loss.slopes(&self.p, out);
            for ((bar, &r_bar), &slope) in curvature_bar.iter_mut().zip(r_bar).zip(&*out) {
                *bar = r_bar + *bar * slope;
            }
        }
        self.apply(curvature_bar, out);
    }

    /// out += (∂S·a) b: the derivative of S b where the logits move along a.
    pub fn add_derivative(&self, a: &[T], b: &[T], out: &mut [T]) {
        let (n, outputs) = (self.stride, self.outputs);
        let Some(loss) = self.loss else { return };
        if loss.couples_outputs() {
            for s in 0..n {
                let at = |k: usize| k * n + s;
                let mean = |x: &[T]| -> T { (0..outputs).map(|k| self.p[at(k)] * x[at(k)]).sum() };
                let (of_a, of_b) = (mean(a), mean(b));
                // With e = p∘(a − p·a), e·b is the covariance of a and b under p.
                let both: T = (0..outputs)
                    .map(|k| self.p[at(k)] * (a[at(k)] - of_a) * (b[at(k)] - of_b))
                    .sum();
                for k in 0..outputs {
                    let beside = (a[at(k)] - of_a) * (b[at(k)] - of_b) - both;
                    out[at(k)] += self.omega[s] * self.p[at(k)] * beside;
                }
            }
        } else {
            let mut slopes = [T::zero(); LANE];
            for start in (0..outputs * n).step_by(LANE) {
                let lane = start..start + LANE;
                loss.slopes(&self.p[lane.clone()], &mut slopes);
                for (i, &slope) in lane.zip(&slopes) {
                    out[i] += self.s[i] * slope * a[i] * b[i];
                }
            }
        }
    }

    /// C x with S = C Cᵀ: the columns of C for one sample, K × K row-major, for the kernel blocks of theory §7. For the
    /// softmax C = √ω(diag √p − p√pᵀ).
    pub fn root(&self, sample: usize, out: &mut [T]) {
        let (n, outputs) = (self.stride, self.outputs);
        out.fill(T::zero());
        let weight = self.omega[sample].sqrt();
        for i in 0..outputs {
            if !self.is_softmax() {
                out[i * outputs + i] = self.s[i * n + sample].sqrt();
                continue;
            }
            for j in 0..outputs {
                let unit = if i == j { T::one() } else { T::zero() };
                let root = self.p[j * n + sample].sqrt();
                out[i * outputs + j] = weight * root * (unit - self.p[i * n + sample]);
            }
        }
    }
}

/// The residuals, with the widest instructions.
struct Vectorized<'a, T>(Residuals<'a, T>, OutputLoss);

impl<T: Number> Verb for Vectorized<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.1.residuals(self.0, true);
    }
}

kernels! {
    /// S\[i,j\] times √2 where i ≠ j; without p S is diagonal.
    fn pack(
        out: &'k mut [T],
        diagonal: &'k [T],
        p: &'k [T],
        omega: &'k [T],
        entries: &'k [(usize, usize)],
        n: usize,
    ) {
        let root = T::of(core::f64::consts::SQRT_2);
        let omega = &omega[..n];
        for (&(i, j), out) in entries.iter().zip(out.chunks_exact_mut(n)) {
            if i == j {
                out.copy_from_slice(&diagonal[i * n..][..n]);
                continue;
            }
            if p.is_empty() {
                out.fill(T::zero());
                continue;
            }
            let (left, right) = (&p[i * n..][..n], &p[j * n..][..n]);
            for s in 0..n {
                out[s] = flushed(-root * (omega[s] * left[s] * right[s]));
            }
        }
    }

    /// The adjoint of S for the pull: for the softmax diag S̄ − 2 S̄ p.
    fn add_adjoint_of_packed(
        bar: &'k mut [T],
        packed_bar: &'k [T],
        p: &'k [T],
        entries: &'k [(usize, usize)],
        at: (usize, usize),
        n: usize,
    ) {
        let (start, width) = at;
        let (one, two) = (T::one(), T::of(2.0));
        let root = T::of(core::f64::consts::SQRT_2);
        for (&(i, j), s_bar) in entries.iter().zip(packed_bar.chunks_exact(width)) {
            if i == j {
                let bar = &mut bar[i * n + start..][..width];
                if p.is_empty() {
                    for s in 0..width {
                        bar[s] += s_bar[s];
                    }
                    continue;
                }
                let p = &p[i * n + start..][..width];
                for s in 0..width {
                    bar[s] += s_bar[s] * (one - two * p[s]);
                }
                continue;
            }
            if p.is_empty() {
                continue;
            }
            for (a, b) in [(i, j), (j, i)] {
                let bar = &mut bar[a * n + start..][..width];
                let p = &p[b * n + start..][..width];
                for s in 0..width {
                    bar[s] -= root * s_bar[s] * p[s];
                }
            }
        }
    }

    /// out = ω p∘(x' − p·x') with x' = x − x\[top class\], for every seed.
    fn apply_softmax(
        out: &'k mut [T],
        x: &'k [T],
        p: &'k [T],
        top: &'k [T],
        omega: &'k [T],
        n: usize,
    ) {
        #[inline(always)]
        fn of_run<T: Number, const RUN: usize>(
            out: &mut [T],
            x: &[T],
            p: &[T],
            top: &[T],
            omega: &[T],
            n: usize,
            from: usize,
        ) {
            let outputs = p.len() / n;
            let seeds = x.len() / p.len();
            let omega = run::<T, RUN>(omega, from);
            for j in 0..seeds {
                let (mut reference, mut mean) = ([T::zero(); RUN], [T::zero(); RUN]);
                for k in 0..outputs {
                    let x = run::<T, RUN>(x, (k * seeds + j) * n + from);
                    let top = run::<T, RUN>(top, k * n + from);
                    for s in 0..RUN {
                        reference[s] += top[s] * x[s];
                    }
                }
                for k in 0..outputs {
                    let x = run::<T, RUN>(x, (k * seeds + j) * n + from);
                    let p = run::<T, RUN>(p, k * n + from);
                    for s in 0..RUN {
                        mean[s] += p[s] * (x[s] - reference[s]);
                    }
                }
                for k in 0..outputs {
                    let at = (k * seeds + j) * n + from;
                    let x = run::<T, RUN>(x, at);
                    let p = run::<T, RUN>(p, k * n + from);
                    let out = &mut out[at..][..RUN];
                    for s in 0..RUN {
                        out[s] = omega[s] * p[s] * ((x[s] - reference[s]) - mean[s]);
                    }
                }
            }
        }
        let mut from = 0;
        while from + 16 <= n {
            of_run::<T, 16>(out, x, p, top, omega, n, from);
            from += 16;
        }
        while from < n {
            of_run::<T, 8>(out, x, p, top, omega, n, from);
            from += 8;
        }
    }

    /// bar\[k\] += Σ_j (q\[k,j\] − p·q\[j\])∘(x\[k,j\] − p·x\[j\]).
    fn add_centred_products(
        bar: &'k mut [T],
        q: &'k [T],
        x: &'k [T],
        p: &'k [T],
        n: usize,
    ) {
        #[inline(always)]
        fn of_run<T: Number, const RUN: usize>(
            bar: &mut [T],
            q: &[T],
            x: &[T],
            p: &[T],
            n: usize,
            from: usize,
        ) {
            let outputs = p.len() / n;
            let seeds = x.len() / p.len();
            for j in 0..seeds {
                let (mut of_q, mut of_x) = ([T::zero(); RUN], [T::zero(); RUN]);
                for k in 0..outputs {
                    let at = (k * seeds + j) * n + from;
                    let (q, x) = (run::<T, RUN>(q, at), run::<T, RUN>(x, at));
                    let p = run::<T, RUN>(p, k * n + from);
                    for s in 0..RUN {
                        of_q[s] += p[s] * q[s];
                        of_x[s] += p[s] * x[s];
                    }
                }
                for k in 0..outputs {
                    let at = (k * seeds + j) * n + from;
                    let (q, x) = (run::<T, RUN>(q, at), run::<T, RUN>(x, at));
                    let bar = &mut bar[k * n + from..][..RUN];
                    for s in 0..RUN {
                        bar[s] += (q[s] - of_q[s]) * (x[s] - of_x[s]);
                    }
                }
            }
        }
        let mut from = 0;
        while from + 16 <= n {
            of_run::<T, 16>(bar, q, x, p, n, from);
            from += 16;
        }
        while from < n {
            of_run::<T, 8>(bar, q, x, p, n, from);
            from += 8;
        }
    }
}
