//! Block H21 where x̃ and the outputs are short: ã ⊗ x̃, R and R̃ are never stored.

use pulp::Simd;

use crate::numeric::lanes::row;
use crate::numeric::number::Number;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::contraction::Contraction;
use crate::two_layer::kernels::{HiddenLane, with_sizes};
use crate::two_layer::samples::Forward;

/// E = Σ B ⊗ x̃ᵀ into `e`, rows (j, k), columns (i, e).
#[inline(always)]
pub(crate) fn assemble<T: Number, S: Simd>(unit: Unit<T, S>, f: &Forward<T>, e: &mut [T]) {
    let inputs = f.dims().inputs_extended();
    with_sizes!(inputs, f.rank, [2, 3], assemble_kernel(unit, f, e));
}

/// Q̃, what R̃ leaves, and the part for ā from E, into `out`.
#[inline(always)]
pub(crate) fn contract<T: Number, S: Simd>(
    unit: Unit<T, S>,
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    e: &[T],
    out: &mut Contraction<T>,
) {
    let inputs = f.dims().inputs_extended();
    with_sizes!(
        inputs,
        f.rank,
        [2, 3],
        contract_kernel(unit, hidden_lane, f, e, out)
    );
}

#[inline(always)]
fn assemble_kernel<T: Number, S: Simd, const INPUTS: usize, const RANK: usize>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    block: &mut [T],
) {
    let (h, ha, n) = (f.dims().hidden, f.dims().hidden_extended(), f.stride);
    let columns = ha * INPUTS;
    let x = unit.rows::<INPUTS>(&f.x, n, 0);
    let r = unit.rows::<RANK>(&f.r_basis, n, 0);
    for j in 0..h {
        let q = unit.rows::<RANK>(&f.q_basis, n, j * RANK);
        let d1 = unit.row(&f.d1, n, j);
        for i in 0..ha {
            let a = unit.row(&f.a, n, i);
            let mut sums = [unit.zeros::<INPUTS>(); RANK];
            for v in 0..n / Unit::<T, S>::WIDTH {
                for k in 0..RANK {
                    // B = Q ã + R δ.
                    let mut b = unit.times(q[k][v], a[v]);
                    if i == j {
                        unit.add_to(&mut b, r[k][v], d1[v]);
                    }
                    for e in 0..INPUTS {
                        unit.add_to(&mut sums[k][e], b, x[e][v]);
                    }
                }
            }
            for (k, sums) in sums.into_iter().enumerate() {
                for (e, sum) in sums.into_iter().enumerate() {
                    block[(j * RANK + k) * columns + i * INPUTS + e] = unit.total(sum);
                }
            }
        }
    }
}

#[inline(always)]
fn contract_kernel<T: Number, S: Simd, const INPUTS: usize, const RANK: usize>(
    unit: Unit<T, S>,
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    block: &[T],
    out: &mut Contraction<T>,
) {
    let (h, ha, n) = (f.dims().hidden, f.dims().hidden_extended(), f.stride);
    let columns = ha * INPUTS;
    for from in (0..n).step_by(Unit::<T, S>::WIDTH) {
        let x = unit.load_rows::<INPUTS>(&f.x, n, 0, from);
        let r = unit.load_rows::<RANK>(&f.r_basis, n, 0, from);
        let (a, hidden) = hidden_lane.load(unit, f, from);
        let mut r_d1 = unit.zeros::<RANK>();
        for j in 0..h {
            let q = unit.load_rows::<RANK>(&f.q_basis, n, j * RANK, from);
            let mut q_bar = unit.zeros::<RANK>();
            let mut rows_of_e = [&[][..]; RANK];
            for (k, row_of_e) in rows_of_e.iter_mut().enumerate() {
                *row_of_e = row(block, columns, j * RANK + k).as_chunks::<INPUTS>().0;
            }
            for (i, (&a, hidden)) in a.iter().zip(&mut *hidden).enumerate() {
                for k in 0..RANK {
                    // B̃[k, i, j] = Σ_e E x̃_e.
                    let b = b_of(unit, &rows_of_e[k][i], &x);
                    unit.add_to(&mut q_bar[k], b, a);
                    unit.add_to(hidden, b, q[k]);
                }
            }
            unit.store_rows(&q_bar, &mut out.q, n, j * RANK, from);
            // R̃[k, j] = B̃[k, j, j].
            let d1 = unit.load(&f.d1, j * n + from);
            let mut r_r = unit.splat(T::zero());
            for k in 0..RANK {
                let b = b_of(unit, &rows_of_e[k][j], &x);
                unit.add_to(&mut r_d1[k], b, d1);
                unit.add_to(&mut r_r, b, r[k]);
            }
            unit.store(&mut out.r_r, j * n + from, r_r);
        }
        unit.store_rows(&r_d1, &mut out.r_d1, n, 0, from);
        hidden_lane.add_to(unit, f, from, &mut out.hidden);
    }
}

#[inline(always)]
fn b_of<T: Number, S: Simd, const INPUTS: usize>(
    unit: Unit<T, S>,
    e: &[T; INPUTS],
    x: &[Vector<T, S>; INPUTS],
) -> Vector<T, S> {
    let mut b = unit.splat(T::zero());
    for (&e, &x) in e.iter().zip(x) {
        unit.add_scaled_to(&mut b, e, x);
    }
    b
}
