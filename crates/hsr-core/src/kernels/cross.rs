//! Block H21 where x̃ and the outputs are short: ã ⊗ x̃, R and R̃ are never stored.

use crate::Real;
use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::kernels::{
    HiddenLane, add_scaled_to, add_to, lanes_at, product, rows, with_sizes, write_lanes,
};
use crate::lanes::{LANE, row};

/// E = Σ B ⊗ x̃ᵀ into `e`, rows (j, k), columns (i, e).
#[inline(always)]
pub(crate) fn assemble<T: Real>(f: &Forward<T>, e: &mut [T], fma: bool) {
    let inputs = f.dims().inputs_extended();
    with_sizes!(inputs, f.rank, fma, [1, 2, 3], assemble_kernel(f, e));
}

/// Q̃, what R̃ leaves, and the part for ā from E, into `out`.
#[inline(always)]
pub(crate) fn contract<T: Real>(
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    e: &[T],
    out: &mut Contraction<T>,
    fma: bool,
) {
    let inputs = f.dims().inputs_extended();
    with_sizes!(
        inputs,
        f.rank,
        fma,
        [1, 2, 3],
        contract_kernel(hidden_lane, f, e, out)
    );
}

#[inline(always)]
fn assemble_kernel<T: Real, const INPUTS: usize, const RANK: usize, const FMA: bool>(
    f: &Forward<T>,
    block: &mut [T],
) {
    let (h, ha, n) = (f.dims().hidden, f.dims().hidden_extended(), f.stride);
    let columns = ha * INPUTS;
    let x = rows::<T, LANE, INPUTS>(&f.x, n, 0);
    let r = rows::<T, LANE, RANK>(&f.r_basis, n, 0);
    for j in 0..h {
        let q = rows::<T, LANE, RANK>(&f.q_basis, n, j * RANK);
        let d1 = row(&f.d1, n, j).as_chunks::<LANE>().0;
        for i in 0..ha {
            let a = row(&f.a, n, i).as_chunks::<LANE>().0;
            let mut sums = [[[T::zero(); LANE]; INPUTS]; RANK];
            for lane in 0..n / LANE {
                for k in 0..RANK {
                    // B = Q ã + R δ.
                    let mut b = product(&q[k][lane], &a[lane]);
                    if i == j {
                        add_to::<T, FMA>(&mut b, &r[k][lane], &d1[lane]);
                    }
                    for e in 0..INPUTS {
                        add_to::<T, FMA>(&mut sums[k][e], &b, &x[e][lane]);
                    }
                }
            }
            for (k, sums) in sums.into_iter().enumerate() {
                for (e, sums) in sums.into_iter().enumerate() {
                    block[(j * RANK + k) * columns + i * INPUTS + e] = sums.into_iter().sum();
                }
            }
        }
    }
}

#[inline(always)]
fn contract_kernel<T: Real, const INPUTS: usize, const RANK: usize, const FMA: bool>(
    hidden_lane: &mut HiddenLane<T>,
    f: &Forward<T>,
    block: &[T],
    out: &mut Contraction<T>,
) {
    let (h, ha, n) = (f.dims().hidden, f.dims().hidden_extended(), f.stride);
    let columns = ha * INPUTS;
    for from in (0..n).step_by(LANE) {
        let x = lanes_at::<T, INPUTS>(&f.x, n, 0, from);
        let r = lanes_at::<T, RANK>(&f.r_basis, n, 0, from);
        let (a, hidden) = hidden_lane.load(f, from);
        let mut r_d1 = [[T::zero(); LANE]; RANK];
        for j in 0..h {
            let q = lanes_at::<T, RANK>(&f.q_basis, n, j * RANK, from);
            let mut q_bar = [[T::zero(); LANE]; RANK];
            let mut rows_of_e = [&[][..]; RANK];
            for (k, row_of_e) in rows_of_e.iter_mut().enumerate() {
                *row_of_e = row(block, columns, j * RANK + k).as_chunks::<INPUTS>().0;
            }
            for (i, (a, hidden)) in a.iter().zip(&mut *hidden).enumerate() {
                for k in 0..RANK {
                    // B̃[k, i, j] = Σ_e E x̃_e.
                    let b = b_of::<T, INPUTS, FMA>(&rows_of_e[k][i], &x);
                    add_to::<T, FMA>(&mut q_bar[k], &b, a);
                    add_to::<T, FMA>(hidden, &b, &q[k]);
                }
            }
            write_lanes(&q_bar, &mut out.q, n, j * RANK, from);
            // R̃[k, j] = B̃[k, j, j].
            let [d1] = lanes_at::<T, 1>(&f.d1, n, j, from);
            let mut r_r = [T::zero(); LANE];
            for k in 0..RANK {
                let b = b_of::<T, INPUTS, FMA>(&rows_of_e[k][j], &x);
                add_to::<T, FMA>(&mut r_d1[k], &b, &d1);
                add_to::<T, FMA>(&mut r_r, &b, &r[k]);
            }
            write_lanes(&[r_r], &mut out.r_r, n, j, from);
        }
        write_lanes(&r_d1, &mut out.r_d1, n, 0, from);
        hidden_lane.add_to(f, from, &mut out.hidden);
    }
}

#[inline(always)]
fn b_of<T: Real, const INPUTS: usize, const FMA: bool>(
    e: &[T; INPUTS],
    x: &[[T; LANE]; INPUTS],
) -> [T; LANE] {
    let mut b = [T::zero(); LANE];
    for (&e, x) in e.iter().zip(x) {
        add_scaled_to::<T, FMA>(&mut b, e, x);
    }
    b
}
