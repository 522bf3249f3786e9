//! What a softmax of few classes does in its [output basis](crate::two_layer::output_basis), K' = K − 1 values a sample: S is a
//! small dense matrix there, and nothing has to be expanded to K values but the diagonal of S̄.

use pulp::Simd;

use crate::numeric::buffer::fit;
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::contraction::Contraction;
use crate::two_layer::kernels::{ThroughU, with_rank};
use crate::two_layer::output_basis::entry;
use crate::two_layer::samples::Forward;

/// U = W2 ∘ d1 and Q = S U, both in the basis, rows (j, k).
#[inline(always)]
pub(crate) fn u_and_q<T: Number, S: Simd>(unit: Unit<T, S>, f: &mut Forward<T>) {
    let (h, n, rank) = (f.dims().hidden, f.stride, f.rank);
    fit(&mut f.u_basis, h * rank * n);
    fit(&mut f.q_basis, h * rank * n);
    with_rank!(rank, u_and_q_kernel(unit, f));
}

/// With P = U M̄, Q̄ = 4w_q Q̃ + P and Ū = S (P + Q̄): W̄2 (\[K', h\]) and d̄1 get what U leaves them, `s_bar` becomes the
/// symmetric part of Q̄ Uᵀ, rows of pairs k ≤ l.
#[inline(always)]
pub(crate) fn through_u<T: Number, S: Simd>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    contraction: &Contraction<T>,
    out: ThroughU<T>,
) {
    with_rank!(f.rank, through_u_kernel(unit, f, contraction, out));
}

/// ō = pull(S̄, r̄) in place of r̄: ō = S (diag S̄ − (S̄ + S̄ᵀ)p + r̄), for S carries ω.
#[inline(always)]
pub(crate) fn pull<T: Number, S: Simd>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    contraction: &Contraction<T>,
    [w_t, w_q2]: [T; 2],
    s_bar: &[T],
    o_bar: &mut [T],
) {
    with_rank!(
        f.rank,
        pull_kernel(unit, f, contraction, [w_t, w_q2], s_bar, o_bar)
    );
}

/// The packed index of (k, l).
#[inline(always)]
fn packed<const RANK: usize>(k: usize, l: usize) -> usize {
    let (k, l) = (k.min(l), k.max(l));
    svec::diagonal(RANK, k) + l - k
}

/// S of one vector of samples, unpacked to plain entries, pairs k ≤ l.
#[inline(always)]
fn s_of<T: Number, S: Simd, const RANK: usize, const PACKED: usize>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    from: usize,
) -> [Vector<T, S>; PACKED] {
    let mut s = unit.load_rows::<PACKED>(&f.s_basis, f.stride, 0, from);
    let half = T::one() / svec::scale::<T>();
    for k in 0..RANK {
        for l in k + 1..RANK {
            let s = &mut s[packed::<RANK>(k, l)];
            *s = unit.scaled(half, *s);
        }
    }
    s
}

/// The product of a symmetric matrix with a vector, both of a vector of samples.
#[inline(always)]
fn times<T: Number, S: Simd, const RANK: usize, const PACKED: usize>(
    unit: Unit<T, S>,
    s: &[Vector<T, S>; PACKED],
    v: &[Vector<T, S>; RANK],
) -> [Vector<T, S>; RANK] {
    let mut out = unit.zeros::<RANK>();
    for k in 0..RANK {
        out[k] = unit.times(s[packed::<RANK>(k, 0)], v[0]);
        for l in 1..RANK {
            unit.add_to(&mut out[k], s[packed::<RANK>(k, l)], v[l]);
        }
    }
    out
}

#[inline(always)]
fn u_and_q_kernel<T: Number, S: Simd, const RANK: usize, const PACKED: usize>(
    unit: Unit<T, S>,
    f: &mut Forward<T>,
) {
    let (h, n) = (f.dims().hidden, f.stride);
    for from in (0..n).step_by(Unit::<T, S>::WIDTH) {
        let s = s_of::<T, S, RANK, PACKED>(unit, f, from);
        for j in 0..h {
            let d1 = unit.load(&f.d1, j * n + from);
            let mut u = unit.zeros::<RANK>();
            for k in 0..RANK {
                u[k] = unit.scaled(f.w2_basis[k * h + j], d1);
            }
            let q = times::<T, S, RANK, PACKED>(unit, &s, &u);
            unit.store_rows(&u, &mut f.u_basis, n, j * RANK, from);
            unit.store_rows(&q, &mut f.q_basis, n, j * RANK, from);
        }
    }
}

#[inline(always)]
fn through_u_kernel<T: Number, S: Simd, const RANK: usize, const PACKED: usize>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    contraction: &Contraction<T>,
    out: ThroughU<T>,
) {
    let (h, n) = (f.dims().hidden, f.stride);
    let ThroughU {
        w_t,
        w_q2,
        w_q4,
        w2_bar,
        d1_bar,
        s_bar,
        lanes,
    } = out;
    let sums = unit.cleared(h * RANK, lanes).as_chunks_mut::<RANK>().0;
    let half = T::of(0.5);
    for from in (0..n).step_by(Unit::<T, S>::WIDTH) {
        let s = s_of::<T, S, RANK, PACKED>(unit, f, from);
        let of_trace = unit.scaled(w_t, unit.load(&f.x_squared, from));
        let mut q_u = unit.zeros::<PACKED>();
        for (j, sums) in sums.iter_mut().enumerate() {
            let u = unit.load_rows::<RANK>(&f.u_basis, n, j * RANK, from);
            let um = unit.load_rows::<RANK>(&contraction.um, n, j * RANK, from);
            let q = unit.load_rows::<RANK>(&contraction.q, n, j * RANK, from);
            let d1 = unit.load(&f.d1, j * n + from);
            let mut d1_of_u = unit.load(d1_bar, j * n + from);
            let (mut q_bar, mut p_plus_q) = (unit.zeros::<RANK>(), unit.zeros::<RANK>());
            for k in 0..RANK {
                let mut p = unit.times(of_trace, u[k]);
                unit.add_scaled_to(&mut p, w_q2, um[k]);
                q_bar[k] = p;
                unit.add_scaled_to(&mut q_bar[k], w_q4, q[k]);
                p_plus_q[k] = unit.plus(p, q_bar[k]);
            }
            for k in 0..RANK {
                unit.add_to(&mut q_u[packed::<RANK>(k, k)], q_bar[k], u[k]);
                for m in k + 1..RANK {
                    let sum = &mut q_u[packed::<RANK>(k, m)];
                    unit.add_to(sum, q_bar[k], u[m]);
                    unit.add_to(sum, q_bar[m], u[k]);
                }
            }
            let u_bar = times::<T, S, RANK, PACKED>(unit, &s, &p_plus_q);
            for k in 0..RANK {
                unit.add_to(&mut sums[k], u_bar[k], d1);
                unit.add_scaled_to(&mut d1_of_u, f.w2_basis[k * h + j], u_bar[k]);
            }
            unit.store(d1_bar, j * n + from, d1_of_u);
        }
        for k in 0..RANK {
            for m in k + 1..RANK {
                let sum = &mut q_u[packed::<RANK>(k, m)];
                *sum = unit.scaled(half, *sum);
            }
        }
        unit.store_rows(&q_u, s_bar, n, 0, from);
    }
    for (j, sums) in sums.iter().enumerate() {
        for k in 0..RANK {
            w2_bar[k * h + j] += unit.total(sums[k]);
        }
    }
}

#[inline(always)]
fn pull_kernel<T: Number, S: Simd, const RANK: usize, const PACKED: usize>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    contraction: &Contraction<T>,
    [w_t, w_q2]: [T; 2],
    s_bar: &[T],
    o_bar: &mut [T],
) {
    let n = f.stride;
    let half = T::one() / svec::scale::<T>();
    let minus_two = T::of(-2.0);
    for from in (0..n).step_by(Unit::<T, S>::WIDTH) {
        let s = s_of::<T, S, RANK, PACKED>(unit, f, from);
        let a_squared = unit.load(&f.a_squared, from);
        let contracted = unit.load_rows::<PACKED>(&contraction.s, n, 0, from);
        let mut s_bar = unit.load_rows::<PACKED>(s_bar, n, 0, from);
        for k in 0..RANK {
            for m in k..RANK {
                let index = packed::<RANK>(k, m);
                let factor = if k == m { w_q2 } else { w_q2 * half };
                unit.add_scaled_to(&mut s_bar[index], factor, contracted[index]);
            }
            unit.add_scaled_to(&mut s_bar[packed::<RANK>(k, k)], w_t, a_squared);
        }
        // Bᵀp, and v = r̄ + Bᵀ diag(B S̄ Bᵀ) − 2 S̄ Bᵀp.
        let mut p = unit.zeros::<RANK>();
        let mut v = unit.load_rows::<RANK>(o_bar, n, 0, from);
        for k in 0..=RANK {
            let of_k = unit.load(&f.p, k * n + from);
            let mut diagonal = unit.splat(T::zero());
            for i in 0..RANK {
                for m in i..RANK {
                    let twice = if i == m { T::one() } else { T::of(2.0) };
                    let factor = twice * entry::<T>(k, i) * entry::<T>(k, m);
                    unit.add_scaled_to(&mut diagonal, factor, s_bar[packed::<RANK>(i, m)]);
                }
            }
            for i in 0..RANK {
                unit.add_scaled_to(&mut p[i], entry(k, i), of_k);
                unit.add_scaled_to(&mut v[i], entry(k, i), diagonal);
            }
        }
        let s_p = times::<T, S, RANK, PACKED>(unit, &s_bar, &p);
        for k in 0..RANK {
            unit.add_scaled_to(&mut v[k], minus_two, s_p[k]);
        }
        let o = times::<T, S, RANK, PACKED>(unit, &s, &v);
        unit.store_rows(&o, o_bar, n, 0, from);
    }
}
