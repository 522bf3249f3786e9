//! M and M̃ of networks of any size: h(h + 1)/2 values a sample, formed from U and Q and contracted with U.
//!
//! Both are bound by memory before they are bound by arithmetic. So M is formed for a few columns at a time, whose U
//! stays in the first-level cache, and written row by row; M̃ is read once: each value serves its own row and its mirror
//! image's.

use core::ops::Range;

use pulp::Simd;

use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::lanes::{sized, whole_registers};
use crate::vectors::{Unit, Vector};
use crate::{Real, svec};

/// Buffers of the loops.
#[derive(Default)]
pub(crate) struct PairLanes<T> {
    /// U and U M̃ vector by vector of samples: of one all rows, then the next. A sum over rows then runs through memory
    /// in order.
    u: Vec<T>,
    um: Vec<T>,
}

/// Bytes of U that stay in the first-level cache while all rows of M meet them.
const OF_U: usize = 1 << 14;

/// Columns of M that are formed together, and rows.
const COLUMNS: usize = 4;
const ROWS: usize = 2;

/// Forms M = Uᵀ Q + diag c, packed, for the samples `start..start + width`; rows of `out` are `out_stride` apart.
#[inline(always)]
pub(crate) fn form_m<T: Real, S: Simd>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    start: usize,
    width: usize,
    out: &mut [T],
    out_stride: usize,
    lanes: &mut PairLanes<T>,
) {
    let h = f.dims().hidden;
    let chunk = whole_registers::<T>(OF_U / (COLUMNS * f.rank * size_of::<T>()));
    for at in (0..width).step_by(chunk) {
        let mut strip = Strip {
            unit,
            f,
            start: start + at,
            width: chunk.min(width - at),
            out: &mut out[at..],
            out_stride,
            u: &mut lanes.u,
        };
        let mut first = 0;
        while first < h {
            first += if h - first >= COLUMNS {
                strip.columns::<COLUMNS>(first)
            } else {
                strip.columns::<1>(first)
            };
        }
    }
}

/// M of some samples, and where it goes.
struct Strip<'a, T, S> {
    unit: Unit<T, S>,
    f: &'a Forward<T>,
    start: usize,
    width: usize,
    out: &'a mut [T],
    out_stride: usize,
    u: &'a mut Vec<T>,
}

impl<T: Real, S: Simd> Strip<'_, T, S> {
    /// Forms `N` columns from the first on; gives their number.
    #[inline(always)]
    fn columns<const N: usize>(&mut self, first: usize) -> usize {
        let (unit, f) = (self.unit, self.f);
        let (outputs, n) = (f.rank, f.stride);
        let step = Unit::<T, S>::WIDTH;
        // U of these columns: for each vector of samples and each output, the columns next to one another.
        let u = unit.room(self.width / step * outputs * N, self.u);
        for (v, u) in u.chunks_exact_mut(outputs * N).enumerate() {
            for (k, u) in u.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                for (g, u) in u.iter_mut().enumerate() {
                    let row = (first + g) * outputs + k;
                    *u = unit.load(&f.u_basis, row * n + self.start + v * step);
                }
            }
        }
        let mut i = 0;
        while i + ROWS <= first {
            self.above::<ROWS, N>(i, first);
            i += ROWS;
        }
        for i in i..first {
            self.above::<1, N>(i, first);
        }
        self.corner::<N>(first);
        N
    }

    /// Uᵀ Q for `R` rows from i on and the columns that are at hand, of one vector of samples.
    #[inline(always)]
    fn products<const R: usize, const N: usize>(
        &self,
        i: usize,
        v: usize,
    ) -> [[Vector<T, S>; N]; R] {
        let (unit, f) = (self.unit, self.f);
        let (outputs, n) = (f.rank, f.stride);
        let step = Unit::<T, S>::WIDTH;
        let mut sums = [unit.zeros::<N>(); R];
        let u = &T::vectors::<S>(self.u)[v * outputs * N..][..outputs * N];
        let q = &f.q_basis[i * outputs * n + self.start + v * step..];
        for (k, u) in u.as_chunks::<N>().0.iter().enumerate() {
            for (r, sums) in sums.iter_mut().enumerate() {
                let q = unit.load(q, (r * outputs + k) * n);
                for (sum, &u) in sums.iter_mut().zip(u) {
                    unit.add_to(sum, q, u);
                }
            }
        }
        sums
    }

    /// `R` rows from i on, above the diagonal in all `N` columns.
    #[inline(always)]
    fn above<const R: usize, const N: usize>(&mut self, i: usize, first: usize) {
        let root = svec::scale::<T>();
        let h = self.f.dims().hidden;
        let step = Unit::<T, S>::WIDTH;
        for v in 0..self.width / step {
            let sums = self.products::<R, N>(i, v);
            for (r, sums) in sums.into_iter().enumerate() {
                let row = svec::diagonal(h, i + r) + first - (i + r);
                for (g, sum) in sums.into_iter().enumerate() {
                    let at = (row + g) * self.out_stride + v * step;
                    self.unit.store(self.out, at, self.unit.scaled(root, sum));
                }
            }
        }
    }

    /// The `N` rows in which the diagonal meets the columns.
    #[inline(always)]
    fn corner<const N: usize>(&mut self, first: usize) {
        let (unit, f) = (self.unit, self.f);
        let (h, n) = (f.dims().hidden, f.stride);
        let root = svec::scale::<T>();
        let step = Unit::<T, S>::WIDTH;
        for i in first..first + N {
            let row = svec::diagonal(h, i);
            for v in 0..self.width / step {
                let [sums] = self.products::<1, N>(i, v);
                for (g, sum) in sums.into_iter().enumerate() {
                    let j = first + g;
                    if j < i {
                        continue;
                    }
                    let m = if i == j {
                        let c = unit.load(&f.c, i * n + self.start + v * step);
                        unit.plus(sum, c)
                    } else {
                        unit.scaled(root, sum)
                    };
                    unit.store(self.out, (row + j - i) * self.out_stride + v * step, m);
                }
            }
        }
    }
}

/// Contracts rows of packed M̃ of the samples `start..start + width` to U M̃ and diag M̃. `m` holds the rows (i, j ≥ i)
/// of the hidden units i in `units`, rows `width` apart. U M̃ is a sum over them: the ranges of successive calls must
/// follow one another from 0 to h, and `out` has it after the last.
#[inline(always)]
pub(crate) fn contract_m<T: Real, S: Simd>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    m: &[T],
    units: Range<usize>,
    start: usize,
    width: usize,
    out: &mut Contraction<T>,
    lanes: &mut PairLanes<T>,
) {
    let (h, outputs, n) = (f.dims().hidden, f.rank, f.stride);
    let hk = h * outputs;
    let all_u = sized(&mut lanes.u, hk * width);
    let all_um = sized(&mut lanes.um, hk * width);
    let step = Unit::<T, S>::WIDTH;
    let first = svec::diagonal(h, units.start);
    let row_of = |i: usize, j: usize| svec::diagonal(h, i) + j - i - first;
    let vectors_of_u = all_u.chunks_exact_mut(hk * step);
    for (index, (u, um)) in vectors_of_u
        .zip(all_um.chunks_exact_mut(hk * step))
        .enumerate()
    {
        let at = index * step;
        let from = start + at;
        let (u, um) = (T::vectors_mut::<S>(u), T::vectors_mut::<S>(um));
        if units.start == 0 {
            unit.gather_into(&f.u_basis, n, from, u);
            um.fill(unit.splat(T::zero()));
        }
        for i in units.clone() {
            let m_ii = unit.load(m, row_of(i, i) * width + at);
            unit.store(&mut out.m_diagonal, i * n + from, m_ii);
            for (um, &u) in um[i * outputs..]
                .iter_mut()
                .zip(&u[i * outputs..][..outputs])
            {
                unit.add_to(um, m_ii, u);
            }
        }
        // Columns in blocks, so that their U and U M̃ are in the first-level cache for all rows.
        for block in (units.start + 1..h).step_by(BLOCK) {
            let end = h.min(block + BLOCK);
            for i in units.start..units.end.min(end - 1) {
                let j = block.max(i + 1);
                let (um, um_after) = um.split_at_mut(j * outputs);
                let mut mirrored = Mirrored {
                    unit,
                    m: &m[row_of(i, j) * width + at..],
                    width,
                    u: &u[i * outputs..][..outputs],
                    u_after: &u[j * outputs..end * outputs],
                    um: &mut um[i * outputs..][..outputs],
                    um_after: &mut um_after[..(end - j) * outputs],
                    outputs,
                };
                let mut k = 0;
                while k < outputs {
                    k += match outputs - k {
                        10.. if Unit::<T, S>::REGISTERS >= 32 => mirrored.add::<10>(k),
                        5.. => mirrored.add::<5>(k),
                        4.. => mirrored.add::<4>(k),
                        3.. => mirrored.add::<3>(k),
                        2.. => mirrored.add::<2>(k),
                        _ => mirrored.add::<1>(k),
                    };
                }
            }
        }
        if units.end == h {
            for (jk, &um) in um.iter().enumerate() {
                unit.store(&mut out.um, jk * n + from, um);
            }
        }
    }
}

/// Columns that are contracted with many rows before the next.
const BLOCK: usize = 8;

/// Some columns of a row of packed M̃ beyond its diagonal, U and U M̃ of the row's hidden unit and of the columns', all of
/// one vector of samples.
struct Mirrored<'a, T: Real, S: Simd> {
    unit: Unit<T, S>,
    m: &'a [T],
    width: usize,
    u: &'a [Vector<T, S>],
    u_after: &'a [Vector<T, S>],
    um: &'a mut [Vector<T, S>],
    um_after: &'a mut [Vector<T, S>],
    outputs: usize,
}

impl<T: Real, S: Simd> Mirrored<'_, T, S> {
    /// Adds M̃\[i, j\] U\[j\] to row i and M̃\[i, j\] U\[i\] to row j, for `GROUP` outputs from k on, so that their
    /// sums and U\[i\] stay in registers; gives their number.
    #[inline(always)]
    fn add<const GROUP: usize>(&mut self, k: usize) -> usize {
        let unit = self.unit;
        // Off the diagonal the packing has put √2.
        let half = T::one() / svec::scale::<T>();
        let mut u_i = unit.zeros::<GROUP>();
        u_i.copy_from_slice(&self.u[k..k + GROUP]);
        let mut sums = unit.zeros::<GROUP>();
        let after = self.u_after.chunks_exact(self.outputs);
        let um_after = self.um_after.chunks_exact_mut(self.outputs);
        for ((m, u_j), um_j) in self.m.chunks(self.width).zip(after).zip(um_after) {
            let m_ij = unit.scaled(half, unit.load(m, 0));
            let (u_j, um_j) = (&u_j[k..k + GROUP], &mut um_j[k..k + GROUP]);
            for g in 0..GROUP {
                unit.add_to(&mut sums[g], m_ij, u_j[g]);
                unit.add_to(&mut um_j[g], m_ij, u_i[g]);
            }
        }
        for (um, sum) in self.um[k..k + GROUP].iter_mut().zip(sums) {
            *um = unit.plus(*um, sum);
        }
        GROUP
    }
}
