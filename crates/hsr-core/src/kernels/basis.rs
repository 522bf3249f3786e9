//! What a softmax of few classes does in its [output basis](crate::output_basis), K' = K − 1 values a sample: S is a
//! small dense matrix there, and nothing has to be expanded to K values but the diagonal of S̄.

use crate::Real;
use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::kernels::{
    Lane, add_scaled_to, add_to, fused, lanes_at, product, with_rank, write_lanes,
};
use crate::lanes::{LANE, sized, zeroed};
use crate::output_basis::entry;
use crate::svec;

/// U = W2 ∘ d1 and Q = S U, both in the basis, rows (j, k).
#[inline(always)]
pub(crate) fn u_and_q<T: Real>(f: &mut Forward<T>) {
    let (h, n, rank) = (f.dims().hidden, f.stride, f.rank);
    sized(&mut f.u_basis, h * rank * n);
    sized(&mut f.q_basis, h * rank * n);
    with_rank!(rank, fused(), u_and_q_kernel(f));
}

/// With P = U M̄, Q̄ = 4w_q Q̃ + P and Ū = S (P + Q̄): W̄2 (\[K', h\]) and d̄1 get what U leaves them, `s_bar` becomes the
/// symmetric part of Q̄ Uᵀ, rows of pairs k ≤ l.
#[inline(always)]
pub(crate) fn through_u<T: Real>(f: &Forward<T>, contraction: &Contraction<T>, out: ThroughU<T>) {
    with_rank!(f.rank, fused(), through_u_kernel(f, contraction, out));
}

/// What [`through_u`] takes and changes.
pub(crate) struct ThroughU<'a, T> {
    pub w_t: T,
    pub w_q2: T,
    pub w_q4: T,
    pub w2_bar: &'a mut [T],
    pub d1_bar: &'a mut [T],
    pub s_bar: &'a mut [T],
    /// Sums of W̄2 in lanes.
    pub lanes: &'a mut Vec<T>,
}

/// ō = pull(S̄, r̄) in place of r̄: ō = S (diag S̄ − (S̄ + S̄ᵀ)p + r̄), for S carries ω.
#[inline(always)]
pub(crate) fn pull<T: Real>(
    f: &Forward<T>,
    contraction: &Contraction<T>,
    [w_t, w_q2]: [T; 2],
    s_bar: &[T],
    o_bar: &mut [T],
) {
    with_rank!(
        f.rank,
        fused(),
        pull_kernel(f, contraction, [w_t, w_q2], s_bar, o_bar)
    );
}

/// The packed index of (k, l).
#[inline(always)]
fn packed<const RANK: usize>(k: usize, l: usize) -> usize {
    let (k, l) = (k.min(l), k.max(l));
    svec::diagonal(RANK, k) + l - k
}

/// S of one lane, unpacked to plain entries, pairs k ≤ l.
#[inline(always)]
fn s_of<T: Real, const RANK: usize, const PACKED: usize>(
    f: &Forward<T>,
    from: usize,
) -> [Lane<T>; PACKED] {
    let mut s = lanes_at::<T, PACKED>(&f.s_basis, f.stride, 0, from);
    let half = T::one() / svec::scale::<T>();
    for k in 0..RANK {
        for l in k + 1..RANK {
            for value in &mut s[packed::<RANK>(k, l)] {
                *value *= half;
            }
        }
    }
    s
}

/// The product of a symmetric matrix with a vector, both a lane of samples.
#[inline(always)]
fn times<T: Real, const RANK: usize, const PACKED: usize, const FMA: bool>(
    s: &[Lane<T>; PACKED],
    v: &[Lane<T>; RANK],
) -> [Lane<T>; RANK] {
    let mut out = [[T::zero(); LANE]; RANK];
    for k in 0..RANK {
        out[k] = product(&s[packed::<RANK>(k, 0)], &v[0]);
        for l in 1..RANK {
            add_to::<T, FMA>(&mut out[k], &s[packed::<RANK>(k, l)], &v[l]);
        }
    }
    out
}

#[inline(always)]
fn u_and_q_kernel<T: Real, const RANK: usize, const PACKED: usize, const FMA: bool>(
    f: &mut Forward<T>,
) {
    let (h, n) = (f.dims().hidden, f.stride);
    for from in (0..n).step_by(LANE) {
        let s = s_of::<T, RANK, PACKED>(f, from);
        for j in 0..h {
            let [d1] = lanes_at::<T, 1>(&f.d1, n, j, from);
            let mut u = [[T::zero(); LANE]; RANK];
            for k in 0..RANK {
                let weight = f.w2_basis[k * h + j];
                for l in 0..LANE {
                    u[k][l] = weight * d1[l];
                }
            }
            let q = times::<T, RANK, PACKED, FMA>(&s, &u);
            write_lanes(&u, &mut f.u_basis, n, j * RANK, from);
            write_lanes(&q, &mut f.q_basis, n, j * RANK, from);
        }
    }
}

#[inline(always)]
fn through_u_kernel<T: Real, const RANK: usize, const PACKED: usize, const FMA: bool>(
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
    let sums = zeroed(lanes, h * RANK * LANE);
    let sums = sums.as_chunks_mut::<LANE>().0.as_chunks_mut::<RANK>().0;
    let half = T::of(0.5);
    for from in (0..n).step_by(LANE) {
        let s = s_of::<T, RANK, PACKED>(f, from);
        let [mut of_trace] = lanes_at::<T, 1>(&f.x_squared, n, 0, from);
        for value in &mut of_trace {
            *value *= w_t;
        }
        let mut q_u = [[T::zero(); LANE]; PACKED];
        for (j, sums) in sums.iter_mut().enumerate() {
            let u = lanes_at::<T, RANK>(&f.u_basis, n, j * RANK, from);
            let um = lanes_at::<T, RANK>(&contraction.um, n, j * RANK, from);
            let q = lanes_at::<T, RANK>(&contraction.q, n, j * RANK, from);
            let [d1] = lanes_at::<T, 1>(&f.d1, n, j, from);
            let [mut d1_of_u] = lanes_at::<T, 1>(d1_bar, n, j, from);
            let (mut q_bar, mut p_plus_q) = ([[T::zero(); LANE]; RANK], [[T::zero(); LANE]; RANK]);
            for k in 0..RANK {
                let mut p = product(&of_trace, &u[k]);
                add_scaled_to::<T, FMA>(&mut p, w_q2, &um[k]);
                q_bar[k] = p;
                add_scaled_to::<T, FMA>(&mut q_bar[k], w_q4, &q[k]);
                for l in 0..LANE {
                    p_plus_q[k][l] = p[l] + q_bar[k][l];
                }
            }
            for k in 0..RANK {
                add_to::<T, FMA>(&mut q_u[packed::<RANK>(k, k)], &q_bar[k], &u[k]);
                for m in k + 1..RANK {
                    let sum = &mut q_u[packed::<RANK>(k, m)];
                    add_to::<T, FMA>(sum, &q_bar[k], &u[m]);
                    add_to::<T, FMA>(sum, &q_bar[m], &u[k]);
                }
            }
            let u_bar = times::<T, RANK, PACKED, FMA>(&s, &p_plus_q);
            for k in 0..RANK {
                add_to::<T, FMA>(&mut sums[k], &u_bar[k], &d1);
                add_scaled_to::<T, FMA>(&mut d1_of_u, f.w2_basis[k * h + j], &u_bar[k]);
            }
            write_lanes(&[d1_of_u], d1_bar, n, j, from);
        }
        for k in 0..RANK {
            for m in k + 1..RANK {
                for value in &mut q_u[packed::<RANK>(k, m)] {
                    *value *= half;
                }
            }
        }
        write_lanes(&q_u, s_bar, n, 0, from);
    }
    for (j, sums) in sums.iter().enumerate() {
        for k in 0..RANK {
            w2_bar[k * h + j] += sums[k].iter().copied().sum();
        }
    }
}

#[inline(always)]
fn pull_kernel<T: Real, const RANK: usize, const PACKED: usize, const FMA: bool>(
    f: &Forward<T>,
    contraction: &Contraction<T>,
    [w_t, w_q2]: [T; 2],
    s_bar: &[T],
    o_bar: &mut [T],
) {
    let n = f.stride;
    let half = T::one() / svec::scale::<T>();
    let minus_two = T::of(-2.0);
    for from in (0..n).step_by(LANE) {
        let s = s_of::<T, RANK, PACKED>(f, from);
        let [a_squared] = lanes_at::<T, 1>(&f.a_squared, n, 0, from);
        let contracted = lanes_at::<T, PACKED>(&contraction.s, n, 0, from);
        let mut s_bar = lanes_at::<T, PACKED>(s_bar, n, 0, from);
        for k in 0..RANK {
            for m in k..RANK {
                let index = packed::<RANK>(k, m);
                let factor = if k == m { w_q2 } else { w_q2 * half };
                add_scaled_to::<T, FMA>(&mut s_bar[index], factor, &contracted[index]);
            }
            add_scaled_to::<T, FMA>(&mut s_bar[packed::<RANK>(k, k)], w_t, &a_squared);
        }
        // Bᵀp, and v = r̄ + Bᵀ diag(B S̄ Bᵀ) − 2 S̄ Bᵀp.
        let mut p = [[T::zero(); LANE]; RANK];
        let mut v = lanes_at::<T, RANK>(o_bar, n, 0, from);
        for k in 0..=RANK {
            let [of_k] = lanes_at::<T, 1>(&f.p, n, k, from);
            let mut diagonal = [T::zero(); LANE];
            for i in 0..RANK {
                for m in i..RANK {
                    let twice = if i == m { T::one() } else { T::of(2.0) };
                    let factor = twice * entry::<T>(k, i) * entry::<T>(k, m);
                    add_scaled_to::<T, FMA>(&mut diagonal, factor, &s_bar[packed::<RANK>(i, m)]);
                }
            }
            for i in 0..RANK {
                add_scaled_to::<T, FMA>(&mut p[i], entry(k, i), &of_k);
                add_scaled_to::<T, FMA>(&mut v[i], entry(k, i), &diagonal);
            }
        }
        let s_p = times::<T, RANK, PACKED, FMA>(&s_bar, &p);
        for k in 0..RANK {
            add_scaled_to::<T, FMA>(&mut v[k], minus_two, &s_p[k]);
        }
        let o = times::<T, RANK, PACKED, FMA>(&s, &v);
        write_lanes(&o, o_bar, n, 0, from);
    }
}
