//! What the outputs do in their own basis, K values a sample: S is diag p − p pᵀ there, or diagonal, and never formed.

use pulp::Simd;

use crate::numeric::buffer::fit;
use crate::numeric::number::Number;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::contraction::Contraction;
use crate::two_layer::kernels::{RUN, ThroughU, runs};
use crate::two_layer::samples::Forward;

/// Samples a pass over the hidden units: K rows of p and of the sums stay in the first-level cache.
const TILE: usize = 128;

/// U = W2 ∘ d1 and Q = S U, rows (j, k).
#[inline(always)]
pub(crate) fn u_and_q<T: Number, S: Simd>(unit: Unit<T, S>, f: &mut Forward<T>) {
    let (h, n, outputs) = (f.dims().hidden, f.stride, f.rank);
    let [mut u, mut q, mut lanes] =
        [&mut f.u_basis, &mut f.q_basis, &mut f.scratch].map(core::mem::take);
    fit(&mut u, h * outputs * n);
    fit(&mut q, h * outputs * n);
    let lane = unit.room(outputs * RUN, &mut lanes);
    let (long, short) = runs::<T, S>(0..n);
    for j in 0..h {
        for from in long.clone() {
            Samples::<T, S, RUN> { unit, f, from }.u_and_q(j, &mut u, &mut q, lane);
        }
        for from in short.clone() {
            Samples::<T, S, 1> { unit, f, from }.u_and_q(j, &mut u, &mut q, lane);
        }
    }
    (f.u_basis, f.q_basis, f.scratch) = (u, q, lanes);
}

/// With P = U M̄, Q̄ = 4w_q Q̃ + P and Ū = S (P + Q̄): W̄2 (\[K, h\]) and d̄1 get what U leaves them, `s_bar` becomes the
/// diagonal of Q̄ Uᵀ, K rows, and for a softmax (Q̄ Uᵀ + U Q̄ᵀ) p, another K.
#[inline(always)]
pub(crate) fn through_u<T: Number, S: Simd>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    contraction: &Contraction<T>,
    out: ThroughU<T>,
) {
    let (h, n, outputs) = (f.dims().hidden, f.stride, f.rank);
    out.s_bar.fill(T::zero());
    let lanes = unit.room((2 * RUN + 1) * outputs, out.lanes);
    let (sums, lanes) = lanes.split_at_mut(outputs);
    let (q_bar, p_plus_q) = lanes.split_at_mut(outputs * RUN);
    for start in (0..n).step_by(TILE) {
        let (long, short) = runs::<T, S>(start..n.min(start + TILE));
        for j in 0..h {
            sums.fill(unit.splat(T::zero()));
            let mut to = Into {
                w2_bar: sums,
                d1_bar: out.d1_bar,
                s_bar: out.s_bar,
                q_bar,
                p_plus_q,
            };
            let weights = [out.w_t, out.w_q2, out.w_q4];
            for from in long.clone() {
                let samples = Samples::<T, S, RUN> { unit, f, from };
                samples.through_u(j, contraction, weights, &mut to);
            }
            for from in short.clone() {
                let samples = Samples::<T, S, 1> { unit, f, from };
                samples.through_u(j, contraction, weights, &mut to);
            }
            for (k, &sum) in sums.iter().enumerate() {
                out.w2_bar[k * h + j] += unit.total(sum);
            }
        }
    }
}

/// What a hidden unit's pass writes: sums for its W̄2, d̄1, and the rows of `s_bar`; and two lists that it needs.
struct Into<'a, T: Number, S: Simd> {
    w2_bar: &'a mut [Vector<T, S>],
    d1_bar: &'a mut [T],
    s_bar: &'a mut [T],
    q_bar: &'a mut [Vector<T, S>],
    p_plus_q: &'a mut [Vector<T, S>],
}

/// A run of `V` vectors of samples.
#[derive(Clone, Copy)]
struct Samples<'a, T, S, const V: usize> {
    unit: Unit<T, S>,
    f: &'a Forward<T>,
    /// The first of the samples.
    from: usize,
}

impl<T: Number, S: Simd, const V: usize> Samples<'_, T, S, V> {
    /// Row k of K of these samples.
    #[inline(always)]
    fn row(&self, rows: &[T], k: usize) -> [Vector<T, S>; V] {
        self.unit.load_run(rows, k * self.f.stride + self.from)
    }

    #[inline(always)]
    fn softmax(&self) -> bool {
        self.f.loss_of().couples_outputs()
    }

    /// Gives (S v)\[k\] to `out` for each k. For a softmax S v = ω p ∘ (v' − p·v') with v' = v − v\[top class\], which
    /// does not cancel where p is nearly 1.
    #[inline(always)]
    fn times_s(&self, v: &[[Vector<T, S>; V]], mut out: impl FnMut(usize, [Vector<T, S>; V])) {
        let (unit, f) = (self.unit, self.f);
        if !self.softmax() {
            for (k, v) in v.iter().enumerate() {
                let mut product = self.row(&f.s_diagonal, k);
                for i in 0..V {
                    product[i] = unit.times(product[i], v[i]);
                }
                out(k, product);
            }
            return;
        }
        let mut reference = unit.zeros::<V>();
        for (k, v) in v.iter().enumerate() {
            let top = self.row(&f.top, k);
            for i in 0..V {
                unit.add_to(&mut reference[i], top[i], v[i]);
            }
        }
        let mut mean = unit.zeros::<V>();
        for (k, v) in v.iter().enumerate() {
            let p = self.row(&f.p, k);
            for i in 0..V {
                unit.add_to(&mut mean[i], p[i], unit.minus(v[i], reference[i]));
            }
        }
        let omega = unit.load_run::<V>(&f.omega, self.from);
        for (k, v) in v.iter().enumerate() {
            let mut product = self.row(&f.p, k);
            for i in 0..V {
                let difference = unit.minus(unit.minus(v[i], reference[i]), mean[i]);
                product[i] = unit.times(unit.times(omega[i], product[i]), difference);
            }
            out(k, product);
        }
    }

    #[inline(always)]
    fn u_and_q(&self, j: usize, u: &mut [T], q: &mut [T], lane: &mut [Vector<T, S>]) {
        let (unit, f) = (self.unit, self.f);
        let (h, n, outputs) = (f.dims().hidden, f.stride, f.rank);
        let d1 = self.row(&f.d1, j);
        let lane = &mut lane.as_chunks_mut::<V>().0[..outputs];
        for (k, lane) in lane.iter_mut().enumerate() {
            let weight = unit.splat(f.w2_basis[k * h + j]);
            for i in 0..V {
                lane[i] = unit.times(weight, d1[i]);
            }
            unit.store_run(lane, u, (j * outputs + k) * n + self.from);
        }
        self.times_s(
            lane,
            #[inline(always)]
            |k, product| unit.store_run(&product, q, (j * outputs + k) * n + self.from),
        );
    }

    #[inline(always)]
    fn through_u(
        &self,
        j: usize,
        contraction: &Contraction<T>,
        [w_t, w_q2, w_q4]: [T; 3],
        to: &mut Into<T, S>,
    ) {
        let (unit, f, from) = (self.unit, self.f, self.from);
        let (h, n, outputs) = (f.dims().hidden, f.stride, f.rank);
        let (s_diagonal, s_p) = to.s_bar.split_at_mut(outputs * n);
        let q_bar = &mut to.q_bar.as_chunks_mut::<V>().0[..outputs];
        let p_plus_q = &mut to.p_plus_q.as_chunks_mut::<V>().0[..outputs];
        let mut of_trace = unit.load_run::<V>(&f.x_squared, from);
        for of_trace in &mut of_trace {
            *of_trace = unit.scaled(w_t, *of_trace);
        }
        // (Q̄ Uᵀ + U Q̄ᵀ) p = Q̄ (Uᵀ p) + U (Q̄ᵀ p).
        let (mut u_p, mut q_p) = (unit.zeros::<V>(), unit.zeros::<V>());
        for k in 0..outputs {
            let jk = j * outputs + k;
            let u = self.row(&f.u_basis, jk);
            let um = self.row(&contraction.um, jk);
            let mut q = self.row(&contraction.q, jk);
            let mut diagonal = self.row(s_diagonal, k);
            for i in 0..V {
                let mut p = unit.times(of_trace[i], u[i]);
                unit.add_scaled_to(&mut p, w_q2, um[i]);
                q[i] = unit.times_plus(unit.splat(w_q4), q[i], p);
                p_plus_q[k][i] = unit.plus(p, q[i]);
                unit.add_to(&mut diagonal[i], q[i], u[i]);
            }
            q_bar[k] = q;
            unit.store_run(&diagonal, s_diagonal, k * n + from);
            if self.softmax() {
                let p = self.row(&f.p, k);
                for i in 0..V {
                    unit.add_to(&mut u_p[i], p[i], u[i]);
                    unit.add_to(&mut q_p[i], p[i], q[i]);
                }
            }
        }
        if self.softmax() {
            for k in 0..outputs {
                let u = self.row(&f.u_basis, j * outputs + k);
                let mut sum = self.row(s_p, k);
                for i in 0..V {
                    unit.add_to(&mut sum[i], q_bar[k][i], u_p[i]);
                    unit.add_to(&mut sum[i], u[i], q_p[i]);
                }
                unit.store_run(&sum, s_p, k * n + from);
            }
        }
        // W̄2 += Σ Ū∘d1, d̄1 += Σ_k Ū∘W2.
        let d1 = self.row(&f.d1, j);
        let mut d1_of_u = self.row(to.d1_bar, j);
        let w2_bar = &mut *to.w2_bar;
        self.times_s(
            p_plus_q,
            #[inline(always)]
            |k, u_bar| {
                let weight = unit.splat(f.w2_basis[k * h + j]);
                for i in 0..V {
                    unit.add_to(&mut w2_bar[k], u_bar[i], d1[i]);
                    unit.add_to(&mut d1_of_u[i], weight, u_bar[i]);
                }
            },
        );
        unit.store_run(&d1_of_u, to.d1_bar, j * n + from);
    }
}
