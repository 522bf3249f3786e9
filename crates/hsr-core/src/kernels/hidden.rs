//! Block H11 where x̃ and the output basis are short: M and M̃ live in registers only.
//!
//! With d̃ ≤ 3 a product with x̃x̃ᵀ has at most 6 columns, too few for a matrix product to be worth storing M
//! (h² a sample) for. Here C is summed a few pairs (i, j) at a time, and M̃ is formed and contracted vector by vector.

use pulp::Simd;

use crate::Real;
use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::kernels::with_sizes;
use crate::svec;
use crate::vectors::{Unit, Vector};

/// Buffers of the kernels.
#[derive(Default)]
pub(crate) struct HiddenKernel<T> {
    u: Vec<T>,
    um: Vec<T>,
}

/// C = Σ svec(M) svec(x̃x̃ᵀ)ᵀ into `c`; `xx` holds svec(x̃x̃ᵀ) for all samples.
#[inline(always)]
pub(crate) fn assemble<T: Real, S: Simd>(unit: Unit<T, S>, f: &Forward<T>, xx: &[T], c: &mut [T]) {
    let pairs = svec::len(f.dims().inputs_extended());
    with_sizes!(pairs, f.rank, [1, 3, 6], assemble_kernel(unit, f, xx, c));
}

/// U M̃ and diag M̃ from C, into `out`.
#[inline(always)]
pub(crate) fn contract<T: Real, S: Simd>(
    unit: Unit<T, S>,
    buffers: &mut HiddenKernel<T>,
    f: &Forward<T>,
    xx: &[T],
    c: &[T],
    out: &mut Contraction<T>,
) {
    let pairs = svec::len(f.dims().inputs_extended());
    with_sizes!(
        pairs,
        f.rank,
        [1, 3, 6],
        contract_kernel(unit, buffers, f, xx, c, out)
    );
}

#[inline(always)]
fn assemble_kernel<T: Real, S: Simd, const PAIRS: usize, const RANK: usize>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    xx: &[T],
    c: &mut [T],
) {
    let h = f.dims().hidden;
    let sums = PairSums::<T, S, PAIRS, RANK> {
        unit,
        f,
        xx: unit.rows(xx, f.stride, 0),
    };
    let c = c.as_chunks_mut::<PAIRS>().0;
    // Two rows i at once where their sums and those of two columns j fit into the registers.
    let mut i = 0;
    while i < h {
        if Unit::<T, S>::REGISTERS >= 32 && i + 1 < h {
            sums.strip::<2>(i, c);
            i += 2;
        } else {
            sums.strip::<1>(i, c);
            i += 1;
        }
    }
}

/// The sums over samples that make C.
struct PairSums<'a, T: Real, S: Simd, const PAIRS: usize, const RANK: usize> {
    unit: Unit<T, S>,
    f: &'a Forward<T>,
    xx: [&'a [Vector<T, S>]; PAIRS],
}

impl<T: Real, S: Simd, const PAIRS: usize, const RANK: usize> PairSums<'_, T, S, PAIRS, RANK> {
    /// The rows of C for the rows `i..i + ROWS` of M.
    #[inline(always)]
    fn strip<const ROWS: usize>(&self, i: usize, c: &mut [[T; PAIRS]]) {
        let h = self.f.dims().hidden;
        for first in i..i + ROWS {
            self.block::<1, 1>(first, first, c);
            for second in first + 1..i + ROWS {
                self.block::<1, 1>(first, second, c);
            }
        }
        let mut j = i + ROWS;
        while j + 1 < h {
            self.block::<ROWS, 2>(i, j, c);
            j += 2;
        }
        if j < h {
            self.block::<ROWS, 1>(i, j, c);
        }
    }

    /// The rows of C for ROWS × COLUMNS pairs from (i, j) on: on or above the diagonal.
    #[inline(always)]
    fn block<const ROWS: usize, const COLUMNS: usize>(
        &self,
        i: usize,
        j: usize,
        c: &mut [[T; PAIRS]],
    ) {
        let Self { unit, f, xx } = *self;
        let (h, n) = (f.dims().hidden, f.stride);
        let mut q = [[&[][..]; RANK]; ROWS];
        for (a, q) in q.iter_mut().enumerate() {
            *q = unit.rows(&f.q_basis, n, (i + a) * RANK);
        }
        let mut u = [[&[][..]; RANK]; COLUMNS];
        for (b, u) in u.iter_mut().enumerate() {
            *u = unit.rows(&f.u_basis, n, (j + b) * RANK);
        }
        let on_diagonal = i == j;
        let of_c = unit.row(&f.c, n, i);
        let mut sums = [[unit.zeros::<PAIRS>(); COLUMNS]; ROWS];
        for v in 0..n / Unit::<T, S>::WIDTH {
            for a in 0..ROWS {
                for b in 0..COLUMNS {
                    let mut m = unit.times(q[a][0][v], u[b][0][v]);
                    for k in 1..RANK {
                        unit.add_to(&mut m, q[a][k][v], u[b][k][v]);
                    }
                    if ROWS == 1 && COLUMNS == 1 && on_diagonal {
                        m = unit.plus(m, of_c[v]);
                    }
                    for p in 0..PAIRS {
                        unit.add_to(&mut sums[a][b][p], m, xx[p][v]);
                    }
                }
            }
        }
        let factor = if on_diagonal {
            T::one()
        } else {
            svec::scale::<T>()
        };
        for (a, sums) in sums.into_iter().enumerate() {
            let row = svec::diagonal(h, i + a) + j - (i + a);
            for (b, sums) in sums.into_iter().enumerate() {
                for (p, sum) in sums.into_iter().enumerate() {
                    c[row + b][p] = factor * unit.total(sum);
                }
            }
        }
    }
}

#[inline(always)]
fn contract_kernel<T: Real, S: Simd, const PAIRS: usize, const RANK: usize>(
    unit: Unit<T, S>,
    buffers: &mut HiddenKernel<T>,
    f: &Forward<T>,
    xx: &[T],
    c: &[T],
    out: &mut Contraction<T>,
) {
    let (h, n) = (f.dims().hidden, f.stride);
    let half = T::one() / svec::scale::<T>();
    let c = c.as_chunks::<PAIRS>().0;
    for from in (0..n).step_by(Unit::<T, S>::WIDTH) {
        let u = unit.gather(&f.u_basis, n, h * RANK, from, &mut buffers.u);
        let u = u.as_chunks::<RANK>().0;
        let xx = unit.load_rows::<PAIRS>(xx, n, 0, from);
        // Each M̃[i, j] serves row i, in registers, and row j, in `of_rows`.
        let of_rows = unit.cleared(h * RANK, &mut buffers.um);
        let of_rows = of_rows.as_chunks_mut::<RANK>().0;
        let mut row_of_c = c;
        for i in 0..h {
            let (of_i, of_later) = of_rows[i..].split_first_mut().expect("i < h");
            let (c, after) = row_of_c.split_at(h - i);
            row_of_c = after;
            let diagonal = m_of(unit, &c[0], &xx);
            let u_i = u[i];
            let mut sums = *of_i;
            for ((c, u_j), of_j) in c[1..].iter().zip(&u[i + 1..]).zip(of_later) {
                let m = m_of(unit, c, &xx);
                for k in 0..RANK {
                    unit.add_to(&mut sums[k], m, u_j[k]);
                    unit.add_to(&mut of_j[k], m, u_i[k]);
                }
            }
            unit.store(&mut out.m_diagonal, i * n + from, diagonal);
            for k in 0..RANK {
                // All terms but the diagonal carry the √2 of the packing.
                let mut of_um = unit.times(diagonal, u_i[k]);
                unit.add_scaled_to(&mut of_um, half, sums[k]);
                unit.store(&mut out.um, (i * RANK + k) * n + from, of_um);
            }
        }
    }
}

/// M̃[i, j] of one vector of samples, from the row (i, j) of C.
#[inline(always)]
fn m_of<T: Real, S: Simd, const PAIRS: usize>(
    unit: Unit<T, S>,
    c: &[T; PAIRS],
    xx: &[Vector<T, S>; PAIRS],
) -> Vector<T, S> {
    let mut m = unit.scaled(c[0], xx[0]);
    for p in 1..PAIRS {
        unit.add_scaled_to(&mut m, c[p], xx[p]);
    }
    m
}
