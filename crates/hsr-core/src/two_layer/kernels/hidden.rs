//! Block H11 where x̃ and the output basis are short: M and M̃ live in registers only.
//!
//! With d̃ ≤ 3 a product with x̃x̃ᵀ has at most 6 columns, too few for a matrix product to be worth storing M
//! (h² a sample) for. Here C is summed a few pairs (i, j) at a time, and M̃ is formed and contracted vector by vector.

use pulp::Simd;

use crate::numeric::buffer::Buffer;
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::contraction::Contraction;
use crate::two_layer::kernels::with_sizes;
use crate::two_layer::samples::Forward;

/// Buffers of the kernels.
#[derive(Default)]
pub(crate) struct HiddenKernel<T> {
    u: Buffer<T>,
    um: Buffer<T>,
}

/// C = Σ svec(M) svec(x̃x̃ᵀ)ᵀ into `c`; `xx` holds svec(x̃x̃ᵀ) for all samples.
#[inline(always)]
pub(crate) fn assemble<T: Number, S: Simd>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    xx: &[T],
    c: &mut [T],
) {
    let pairs = svec::len(f.dims().inputs_extended());
    with_sizes!(pairs, f.rank, [3, 6], assemble_kernel(unit, f, xx, c));
}

/// U M̃ and diag M̃ from C, into `out`.
#[inline(always)]
pub(crate) fn contract<T: Number, S: Simd>(
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
        [3, 6],
        contract_kernel(unit, buffers, f, xx, c, out)
    );
}

#[inline(always)]
fn assemble_kernel<T: Number, S: Simd, const PAIRS: usize, const RANK: usize>(
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
        ones: f.dims().hidden_bias,
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
struct PairSums<'a, T: Number, S: Simd, const PAIRS: usize, const RANK: usize> {
    unit: Unit<T, S>,
    f: &'a Forward<T>,
    xx: [&'a [Vector<T, S>]; PAIRS],
    /// Whether the last of these rows is 1.
    ones: bool,
}

impl<T: Number, S: Simd, const PAIRS: usize, const RANK: usize> PairSums<'_, T, S, PAIRS, RANK> {
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
        let Self { unit, f, xx, ones } = *self;
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
                    let sums = &mut sums[a][b];
                    for p in 0..PAIRS - 1 {
                        unit.add_to(&mut sums[p], m, xx[p][v]);
                    }
                    // Additions have units of their own, multiplications are what the loop waits for.
                    sums[PAIRS - 1] = if ones {
                        unit.plus(sums[PAIRS - 1], m)
                    } else {
                        unit.times_plus(m, xx[PAIRS - 1][v], sums[PAIRS - 1])
                    };
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
fn contract_kernel<T: Number, S: Simd, const PAIRS: usize, const RANK: usize>(
    unit: Unit<T, S>,
    buffers: &mut HiddenKernel<T>,
    f: &Forward<T>,
    xx: &[T],
    c: &[T],
    out: &mut Contraction<T>,
) {
    let (h, n) = (f.dims().hidden, f.stride);
    for from in (0..n).step_by(Unit::<T, S>::WIDTH) {
        let u = unit.gather(&f.u_basis, n, h * RANK, from, &mut buffers.u);
        let of_rows = unit.cleared(h * RANK, &mut buffers.um);
        let mut rows = Rows::<T, S, PAIRS, RANK> {
            unit,
            f,
            from,
            c: c.as_chunks().0,
            u: u.as_chunks().0,
            of_rows: of_rows.as_chunks_mut().0,
            xx: unit.load_rows(xx, n, 0, from),
            ones: f.dims().hidden_bias,
        };
        // Two rows at once share what they add to a later one.
        let mut i = 0;
        while i < h {
            if Unit::<T, S>::REGISTERS >= 32 && i + 1 < h {
                rows.contract::<2>(i, out);
                i += 2;
            } else {
                rows.contract::<1>(i, out);
                i += 1;
            }
        }
    }
}

/// One vector of samples: each M̃\[i, j\] serves row i, in registers, and row j, in `of_rows`.
struct Rows<'a, T: Number, S: Simd, const PAIRS: usize, const RANK: usize> {
    unit: Unit<T, S>,
    f: &'a Forward<T>,
    from: usize,
    c: &'a [[T; PAIRS]],
    u: &'a [[Vector<T, S>; RANK]],
    of_rows: &'a mut [[Vector<T, S>; RANK]],
    xx: [Vector<T, S>; PAIRS],
    /// Whether the last of these is 1.
    ones: bool,
}

impl<T: Number, S: Simd, const PAIRS: usize, const RANK: usize> Rows<'_, T, S, PAIRS, RANK> {
    /// U M̃ and diag M̃ of `ROWS` rows from i on, after all before them.
    #[inline(always)]
    fn contract<const ROWS: usize>(&mut self, i: usize, out: &mut Contraction<T>) {
        let (unit, from) = (self.unit, self.from);
        let (h, n) = (self.f.dims().hidden, self.f.stride);
        let half = T::one() / svec::scale::<T>();
        let mut u_i = [unit.zeros::<RANK>(); ROWS];
        u_i.copy_from_slice(&self.u[i..i + ROWS]);
        let mut sums = [unit.zeros::<RANK>(); ROWS];
        sums.copy_from_slice(&self.of_rows[i..i + ROWS]);
        // The rows of C from the diagonal on, and of each those that all have in common.
        let mut diagonal = unit.zeros::<ROWS>();
        let mut common = [&[][..]; ROWS];
        for r in 0..ROWS {
            let c = &self.c[svec::diagonal(h, i + r)..][..h - i - r];
            diagonal[r] = self.m(&c[0]);
            for later in r + 1..ROWS {
                let m = self.m(&c[later - r]);
                for k in 0..RANK {
                    unit.add_to(&mut sums[r][k], m, u_i[later][k]);
                    unit.add_to(&mut sums[later][k], m, u_i[r][k]);
                }
            }
            common[r] = &c[ROWS - r..];
        }
        let end = i + ROWS;
        for j in end..h {
            let u_j = self.u[j];
            let mut of_j = self.of_rows[j];
            for r in 0..ROWS {
                let m = self.m(&common[r][j - end]);
                for k in 0..RANK {
                    unit.add_to(&mut sums[r][k], m, u_j[k]);
                    unit.add_to(&mut of_j[k], m, u_i[r][k]);
                }
            }
            self.of_rows[j] = of_j;
        }
        for r in 0..ROWS {
            unit.store(&mut out.m_diagonal, (i + r) * n + from, diagonal[r]);
            for k in 0..RANK {
                // All terms but the diagonal carry the √2 of the packing.
                let mut of_um = unit.times(diagonal[r], u_i[r][k]);
                unit.add_scaled_to(&mut of_um, half, sums[r][k]);
                unit.store(&mut out.um, ((i + r) * RANK + k) * n + from, of_um);
            }
        }
    }

    /// M̃\[i, j\] from the row (i, j) of C.
    #[inline(always)]
    fn m(&self, c: &[T; PAIRS]) -> Vector<T, S> {
        let unit = self.unit;
        let mut m = unit.splat(c[PAIRS - 1]);
        if !self.ones {
            m = unit.times(m, self.xx[PAIRS - 1]);
        }
        for p in 0..PAIRS - 1 {
            unit.add_scaled_to(&mut m, c[p], self.xx[p]);
        }
        m
    }
}
