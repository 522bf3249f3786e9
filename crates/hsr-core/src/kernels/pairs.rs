//! M and M̃ of networks of any size: h(h + 1)/2 values a sample, formed from U and Q and contracted with U.
//!
//! Both are bound by memory before they are bound by arithmetic. So M is formed for a few columns at a time, whose U
//! stays in the first-level cache, and M̃ is read once: each value serves its own row and its mirror image's.

use core::ops::Range;

use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::kernels::{Lane, add_to, fused};
use crate::lanes::{LANE, lane, row, row_mut, sized};
use crate::{Real, svec};

/// Buffers of the loops.
#[derive(Default)]
pub(crate) struct PairLanes<T> {
    /// U and U M̃ lane by lane: of a lane all rows, then the next. A sum over rows then runs through memory in order.
    u: Vec<T>,
    um: Vec<T>,
}

/// Whether a lane is one vector register: twice as many sums fit then.
const fn narrow<T>() -> bool {
    size_of::<T>() <= 4
}

/// Forms M = Uᵀ Q + diag c, packed, for the samples `start..start + width`; rows of `out` are `out_stride` apart.
#[inline(always)]
pub(crate) fn form_m<T: Real>(
    f: &Forward<T>,
    start: usize,
    width: usize,
    out: &mut [T],
    out_stride: usize,
    lanes: &mut PairLanes<T>,
) {
    if fused() {
        form_columns::<T, true>(f, start, width, out, out_stride, lanes);
    } else {
        form_columns::<T, false>(f, start, width, out, out_stride, lanes);
    }
}

#[inline(always)]
fn form_columns<T: Real, const FMA: bool>(
    f: &Forward<T>,
    start: usize,
    width: usize,
    out: &mut [T],
    out_stride: usize,
    lanes: &mut PairLanes<T>,
) {
    let h = f.dims().hidden;
    let mut first = 0;
    while first < h {
        let mut block = Columns {
            f,
            first,
            start,
            width,
            out: &mut *out,
            out_stride,
            u: &mut lanes.u,
        };
        first += match h - first {
            8.. if narrow::<T>() => block.form::<8, FMA>(),
            4.. => block.form::<4, FMA>(),
            _ => block.form::<1, FMA>(),
        };
    }
}

/// Some columns of M from the first on, and where they go.
struct Columns<'a, T> {
    f: &'a Forward<T>,
    first: usize,
    start: usize,
    width: usize,
    out: &'a mut [T],
    out_stride: usize,
    u: &'a mut Vec<T>,
}

impl<T: Real> Columns<'_, T> {
    /// Forms `COLUMNS` of them; gives their number.
    #[inline(always)]
    fn form<const COLUMNS: usize, const FMA: bool>(&mut self) -> usize {
        let Self {
            f,
            first,
            start,
            width,
            out_stride,
            ..
        } = *self;
        let (h, outputs, n) = (f.dims().hidden, f.rank, f.stride);
        let root = svec::scale::<T>();
        for at in (0..width).step_by(LANE) {
            let from = start + at;
            // U of these columns, the columns next to one another.
            let u = sized(self.u, outputs * COLUMNS * LANE)
                .as_chunks_mut::<LANE>()
                .0
                .as_chunks_mut::<COLUMNS>()
                .0;
            for (k, u) in u.iter_mut().enumerate() {
                for (g, u) in u.iter_mut().enumerate() {
                    *u = lane(&f.u_basis, ((first + g) * outputs + k) * n + from);
                }
            }
            for i in 0..first + COLUMNS {
                let mut sums = [[T::zero(); LANE]; COLUMNS];
                for (k, u) in u.iter().enumerate() {
                    let q = lane(&f.q_basis, (i * outputs + k) * n + from);
                    for (sum, u) in sums.iter_mut().zip(u) {
                        add_to::<T, FMA>(sum, &q, u);
                    }
                }
                for (g, sum) in sums.iter().enumerate().skip(i.saturating_sub(first)) {
                    let index = svec::diagonal(h, i) + first + g - i;
                    let out = &mut self.out[index * out_stride + at..][..LANE];
                    if first + g == i {
                        let c = &row(&f.c, n, i)[from..][..LANE];
                        for l in 0..LANE {
                            out[l] = sum[l] + c[l];
                        }
                    } else {
                        for l in 0..LANE {
                            out[l] = root * sum[l];
                        }
                    }
                }
            }
        }
        COLUMNS
    }
}

/// Contracts rows of packed M̃ of the samples `start..start + width` to U M̃ and diag M̃. `m` holds the rows (i, j ≥ i)
/// of the hidden units i in `units`, rows `width` apart. U M̃ is a sum over them: the ranges of successive calls must
/// follow one another from 0 to h, and `out` has it after the last.
#[inline(always)]
pub(crate) fn contract_m<T: Real>(
    f: &Forward<T>,
    m: &[T],
    units: Range<usize>,
    start: usize,
    width: usize,
    out: &mut Contraction<T>,
    lanes: &mut PairLanes<T>,
) {
    if fused() {
        contract_rows::<T, true>(f, m, units, start, width, out, lanes);
    } else {
        contract_rows::<T, false>(f, m, units, start, width, out, lanes);
    }
}

#[inline(always)]
fn contract_rows<T: Real, const FMA: bool>(
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
    let lanes_of_u = all_u.chunks_exact_mut(hk * LANE);
    for (index, (u, um)) in lanes_of_u
        .zip(all_um.chunks_exact_mut(hk * LANE))
        .enumerate()
    {
        let at = index * LANE;
        let from = start + at;
        let (u, um) = (u.as_chunks_mut::<LANE>().0, um.as_chunks_mut::<LANE>().0);
        if units.start == 0 {
            for (jk, u) in u.iter_mut().enumerate() {
                *u = lane(&f.u_basis, jk * n + from);
            }
            um.fill([T::zero(); LANE]);
        }
        let mut row_of_m = at;
        for i in units.clone() {
            let m_ii = lane(m, row_of_m);
            row_mut(&mut out.m_diagonal, n, i)[from..][..LANE].copy_from_slice(&m_ii);
            let (u, u_after) = u[i * outputs..].split_at(outputs);
            let (um, um_after) = um[i * outputs..].split_at_mut(outputs);
            for (um, u) in um.iter_mut().zip(u) {
                add_to::<T, FMA>(um, &m_ii, u);
            }
            let after = &m[(row_of_m + width).min(m.len())..];
            let mut k = 0;
            while k < outputs {
                let mut mirrored = Mirrored {
                    m: after,
                    width,
                    u,
                    u_after,
                    um: &mut *um,
                    um_after: &mut *um_after,
                    outputs,
                    first: k,
                };
                k += match outputs - k {
                    5.. if narrow::<T>() => mirrored.add::<5, FMA>(),
                    4.. if narrow::<T>() => mirrored.add::<4, FMA>(),
                    3.. => mirrored.add::<3, FMA>(),
                    2.. => mirrored.add::<2, FMA>(),
                    _ => mirrored.add::<1, FMA>(),
                };
            }
            row_of_m += (h - i) * width;
        }
        if units.end == h {
            for (jk, um) in um.iter().enumerate() {
                out.um[jk * n + from..][..LANE].copy_from_slice(um);
            }
        }
    }
}

/// A row of packed M̃ without its diagonal, and U and U M̃ of its hidden unit and of those after it, all of one lane.
struct Mirrored<'a, T> {
    m: &'a [T],
    width: usize,
    u: &'a [Lane<T>],
    u_after: &'a [Lane<T>],
    um: &'a mut [Lane<T>],
    um_after: &'a mut [Lane<T>],
    outputs: usize,
    first: usize,
}

impl<T: Real> Mirrored<'_, T> {
    /// Adds M̃\[i, j\] U\[j\] to row i and M̃\[i, j\] U\[i\] to row j, for `GROUP` outputs; gives their number.
    #[inline(always)]
    fn add<const GROUP: usize, const FMA: bool>(&mut self) -> usize {
        let k = self.first;
        // Off the diagonal the packing has put √2.
        let half = T::one() / svec::scale::<T>();
        let mut u_i = [[T::zero(); LANE]; GROUP];
        u_i.copy_from_slice(&self.u[k..k + GROUP]);
        let mut sums = [[T::zero(); LANE]; GROUP];
        let after = self.u_after.chunks_exact(self.outputs);
        let um_after = self.um_after.chunks_exact_mut(self.outputs);
        for ((m, u_j), um_j) in self.m.chunks(self.width).zip(after).zip(um_after) {
            let mut m_ij = lane(m, 0);
            for value in &mut m_ij {
                *value *= half;
            }
            let (u_j, um_j) = (&u_j[k..k + GROUP], &mut um_j[k..k + GROUP]);
            for g in 0..GROUP {
                add_to::<T, FMA>(&mut sums[g], &m_ij, &u_j[g]);
                add_to::<T, FMA>(&mut um_j[g], &m_ij, &u_i[g]);
            }
        }
        for (um, sum) in self.um[k..k + GROUP].iter_mut().zip(&sums) {
            for l in 0..LANE {
                um[l] += sum[l];
            }
        }
        GROUP
    }
}
