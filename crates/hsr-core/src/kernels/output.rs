//! Block H22 where the outputs have a low rank: ããᵀ is never stored.

use crate::Real;
use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::kernels::{
    HiddenLane, Lane, add_scaled_to, add_to, lanes_at, product, rows, with_rank, write_lanes,
};
use crate::lanes::{LANE, row};
use crate::svec;

/// A = Σ svec(S) svec(ããᵀ)ᵀ into `a`, packed rows.
#[inline(always)]
pub(crate) fn assemble<T: Real>(f: &Forward<T>, a: &mut [T], fma: bool) {
    with_rank!(f.rank, fma, assemble_kernel(f, a));
}

/// S̃ and the part for ā from A, into `out`.
#[inline(always)]
pub(crate) fn contract<T: Real>(
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    a: &[T],
    out: &mut Contraction<T>,
    fma: bool,
) {
    with_rank!(f.rank, fma, contract_kernel(hidden_lane, f, a, out));
}

#[inline(always)]
fn assemble_kernel<T: Real, const RANK: usize, const PACKED: usize, const FMA: bool>(
    f: &Forward<T>,
    block: &mut [T],
) {
    let (ha, n) = (f.dims().hidden_extended(), f.stride);
    let columns = svec::len(ha);
    let s = rows::<T, LANE, PACKED>(&f.s_basis, n, 0);
    let root = svec::scale::<T>();
    let mut at = 0;
    for i in 0..ha {
        let a_i = row(&f.a, n, i).as_chunks::<LANE>().0;
        for j in i..ha {
            let a_j = row(&f.a, n, j).as_chunks::<LANE>().0;
            let mut sums = [[T::zero(); LANE]; PACKED];
            for lane in 0..n / LANE {
                let aa = product(&a_i[lane], &a_j[lane]);
                for p in 0..PACKED {
                    add_to::<T, FMA>(&mut sums[p], &s[p][lane], &aa);
                }
            }
            let factor = if i == j { T::one() } else { root };
            // A barrier against vectorising across neighbours, as in H11.
            for (p, sums) in core::hint::black_box(sums).into_iter().enumerate() {
                block[p * columns + at] = factor * sums.into_iter().sum::<T>();
            }
            at += 1;
        }
    }
}

#[inline(always)]
fn contract_kernel<T: Real, const RANK: usize, const PACKED: usize, const FMA: bool>(
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    block: &[T],
    out: &mut Contraction<T>,
) {
    let (ha, n) = (f.dims().hidden_extended(), f.stride);
    let columns = svec::len(ha);
    let root = svec::scale::<T>();
    let half = T::one() / root;
    for from in (0..n).step_by(LANE) {
        let s = lanes_at::<T, PACKED>(&f.s_basis, n, 0, from);
        let (a, hidden) = hidden_lane.load(f, from);
        let mut s_bar = [[T::zero(); LANE]; PACKED];
        let mut at = 0;
        for i in 0..ha {
            let (of_i, of_later) = hidden[i..].split_first_mut().expect("i < h̃");
            let mut sum = *of_i;
            let a_i = &a[i];
            // The diagonal entry carries no √2.
            let t = one_entry::<T, PACKED, FMA>(block, columns, at, T::one(), &s);
            add_to::<T, FMA>(&mut sum, &t, a_i);
            let aa = product(a_i, a_i);
            for (p, s_bar) in s_bar.iter_mut().enumerate() {
                add_scaled_to::<T, FMA>(s_bar, block[p * columns + at], &aa);
            }
            at += 1;
            for (a_j, of_j) in a[i + 1..].iter().zip(of_later) {
                let t = one_entry::<T, PACKED, FMA>(block, columns, at, half, &s);
                add_to::<T, FMA>(&mut sum, &t, a_j);
                add_to::<T, FMA>(of_j, &t, a_i);
                let aa = product(a_i, a_j);
                for (p, s_bar) in s_bar.iter_mut().enumerate() {
                    add_scaled_to::<T, FMA>(s_bar, root * block[p * columns + at], &aa);
                }
                at += 1;
            }
            *of_i = sum;
        }
        write_lanes(&s_bar, &mut out.s, n, 0, from);
        hidden_lane.add_to(f, from, &mut out.hidden);
    }
}

/// Σ_p A[p, at] S[p], times `factor`.
#[inline(always)]
fn one_entry<T: Real, const PACKED: usize, const FMA: bool>(
    block: &[T],
    columns: usize,
    at: usize,
    factor: T,
    s: &[Lane<T>; PACKED],
) -> Lane<T> {
    let mut t = [T::zero(); LANE];
    for (p, s) in s.iter().enumerate() {
        add_scaled_to::<T, FMA>(&mut t, factor * block[p * columns + at], s);
    }
    t
}
