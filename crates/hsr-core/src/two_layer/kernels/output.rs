//! Block H22 where the outputs have a low rank: ããᵀ is never stored.

use pulp::Simd;

use crate::numeric::lanes::row;
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::contraction::Contraction;
use crate::two_layer::kernels::{HiddenLane, with_rank};
use crate::two_layer::samples::Forward;

/// A = Σ svec(S) svec(ããᵀ)ᵀ into `a`, packed rows.
#[inline(always)]
pub(crate) fn assemble<T: Number, S: Simd>(unit: Unit<T, S>, f: &Forward<T>, a: &mut [T]) {
    with_rank!(f.rank, assemble_kernel(unit, f, a));
}

/// S̃ and the part for ā from A, into `out`.
#[inline(always)]
pub(crate) fn contract<T: Number, S: Simd>(
    unit: Unit<T, S>,
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    a: &[T],
    out: &mut Contraction<T>,
) {
    with_rank!(f.rank, contract_kernel(unit, hidden_lane, f, a, out));
}

#[inline(always)]
fn assemble_kernel<T: Number, S: Simd, const RANK: usize, const PACKED: usize>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    block: &mut [T],
) {
    let (ha, n) = (f.dims().hidden_extended(), f.stride);
    let columns = svec::len(ha);
    let s = unit.rows::<PACKED>(&f.s_basis, n, 0);
    let root = svec::scale::<T>();
    let mut at = 0;
    for i in 0..ha {
        let a_i = unit.row(&f.a, n, i);
        for j in i..ha {
            let a_j = unit.row(&f.a, n, j);
            let mut sums = unit.zeros::<PACKED>();
            for v in 0..n / Unit::<T, S>::WIDTH {
                let aa = unit.times(a_i[v], a_j[v]);
                for p in 0..PACKED {
                    unit.add_to(&mut sums[p], s[p][v], aa);
                }
            }
            let factor = if i == j { T::one() } else { root };
            for (p, sum) in sums.into_iter().enumerate() {
                block[p * columns + at] = factor * unit.total(sum);
            }
            at += 1;
        }
    }
}

#[inline(always)]
fn contract_kernel<T: Number, S: Simd, const RANK: usize, const PACKED: usize>(
    unit: Unit<T, S>,
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    block: &[T],
    out: &mut Contraction<T>,
) {
    let (ha, n) = (f.dims().hidden_extended(), f.stride);
    let columns = svec::len(ha);
    let root = svec::scale::<T>();
    let half = T::one() / root;
    let mut rows_of_block = [&[][..]; PACKED];
    for (p, row_of_block) in rows_of_block.iter_mut().enumerate() {
        *row_of_block = row(block, columns, p);
    }
    for from in (0..n).step_by(Unit::<T, S>::WIDTH) {
        let s = unit.load_rows::<PACKED>(&f.s_basis, n, 0, from);
        let (a, hidden) = hidden_lane.load(unit, f, from);
        let mut s_bar = unit.zeros::<PACKED>();
        let mut at = 0;
        for i in 0..ha {
            let (of_i, of_later) = hidden[i..].split_first_mut().expect("i < h̃");
            let mut sum = *of_i;
            let a_i = a[i];
            // The diagonal entry carries no √2.
            let entry = entry_of(&rows_of_block, at);
            let t = times_s(unit, entry, &s);
            unit.add_to(&mut sum, t, a_i);
            add_entry(unit, &mut s_bar, entry, unit.times(a_i, a_i));
            at += 1;
            for (&a_j, of_j) in a[i + 1..].iter().zip(of_later) {
                let entry = entry_of(&rows_of_block, at);
                let t = times_s(unit, entry.map(|value| half * value), &s);
                unit.add_to(&mut sum, t, a_j);
                unit.add_to(of_j, t, a_i);
                let aa = unit.times(a_i, a_j);
                add_entry(unit, &mut s_bar, entry.map(|value| root * value), aa);
                at += 1;
            }
            *of_i = sum;
        }
        unit.store_rows(&s_bar, &mut out.s, n, 0, from);
        hidden_lane.add_to(unit, f, from, &mut out.hidden);
    }
}

/// A[p, at] for every p.
#[inline(always)]
fn entry_of<T: Number, const PACKED: usize>(rows: &[&[T]; PACKED], at: usize) -> [T; PACKED] {
    let mut entry = [T::zero(); PACKED];
    for (value, row) in entry.iter_mut().zip(rows) {
        *value = row[at];
    }
    entry
}

/// Σ_p A[p, at] S[p].
#[inline(always)]
fn times_s<T: Number, S: Simd, const PACKED: usize>(
    unit: Unit<T, S>,
    entry: [T; PACKED],
    s: &[Vector<T, S>; PACKED],
) -> Vector<T, S> {
    let mut t = unit.splat(T::zero());
    for (value, &s) in entry.into_iter().zip(s) {
        unit.add_scaled_to(&mut t, value, s);
    }
    t
}

/// `s_bar[p] += A[p, at] aa`.
#[inline(always)]
fn add_entry<T: Number, S: Simd, const PACKED: usize>(
    unit: Unit<T, S>,
    s_bar: &mut [Vector<T, S>; PACKED],
    entry: [T; PACKED],
    aa: Vector<T, S>,
) {
    for (s_bar, value) in s_bar.iter_mut().zip(entry) {
        unit.add_scaled_to(s_bar, value, aa);
    }
}
