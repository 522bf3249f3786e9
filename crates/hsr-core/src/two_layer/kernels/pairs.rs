//! M and M̃ of networks of any size: h(h + 1)/2 values a sample, formed from U and Q and contracted with U.
//!
//! Both are bound by memory before they are bound by arithmetic. So M is formed for a few rows at a time, whose Q stays
//! in the first-level cache, and written in its order; M̃ is read once: each value serves its own row and its mirror
//! image's.

use core::ops::Range;

use pulp::Simd;

use crate::numeric::buffer::{Buffer, fit};
use crate::numeric::lanes::whole_registers;
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::contraction::Contraction;
use crate::two_layer::samples::Forward;

/// Buffers of the loops.
#[derive(Default)]
pub(crate) struct PairLanes<T> {
    /// U and U M̃ vector by vector of samples: of one all rows, then the next. A sum over rows then runs through memory
    /// in order.
    u: Buffer<T>,
    um: Buffer<T>,
}

/// Bytes of Q that stay in the first-level cache while all columns of M meet them.
const OF_Q: usize = 1 << 14;

/// Rows of M that are formed together where the registers suffice for a block as wide, and contracted.
pub(crate) const ROWS: usize = 4;

/// Forms rows of M = Uᵀ Q + diag c, packed, for the samples `start..start + width`: those (i, j ≥ i) of the hidden units i
/// in `units`, a multiple of [`ROWS`] of them or all that are left. Rows of `out` are `out_stride` apart.
#[inline(always)]
pub(crate) fn form_m<T: Number, S: Simd>(
    unit: Unit<T, S>,
    f: &Forward<T>,
    units: Range<usize>,
    start: usize,
    width: usize,
    out: &mut [T],
    out_stride: usize,
    lanes: &mut PairLanes<T>,
) {
    let chunk = strip_width::<T>(f.rank);
    for at in (0..width).step_by(chunk) {
        let mut strip = Strip {
            unit,
            f,
            start: start + at,
            width: chunk.min(width - at),
            out: &mut out[at..],
            out_stride,
            origin: svec::diagonal(f.dims().hidden, units.start),
            q: &mut lanes.u,
        };
        let mut first = units.start;
        if Unit::<T, S>::REGISTERS >= 32 {
            while first + ROWS <= units.end {
                strip.rows::<ROWS>(first);
                first += ROWS;
            }
        }
        while first + 2 <= units.end {
            strip.rows::<2>(first);
            first += 2;
        }
        if first < units.end {
            strip.rows::<1>(first);
        }
    }
}

/// Samples for which M is formed together.
pub(crate) fn strip_width<T>(rank: usize) -> usize {
    whole_registers::<T>(OF_Q / (ROWS * rank * size_of::<T>()))
}

/// M of some samples, and where it goes.
struct Strip<'a, T, S> {
    unit: Unit<T, S>,
    f: &'a Forward<T>,
    start: usize,
    width: usize,
    out: &'a mut [T],
    out_stride: usize,
    /// The row of packed M that is the first of `out`.
    origin: usize,
    q: &'a mut Buffer<T>,
}

impl<T: Number, S: Simd> Strip<'_, T, S> {
    /// Forms `R` rows from the first on: in packed M each is contiguous, from the diagonal to the last column.
    #[inline(always)]
    fn rows<const R: usize>(&mut self, first: usize) {
        let (unit, f) = (self.unit, self.f);
        let (h, outputs, n) = (f.dims().hidden, f.rank, f.stride);
        let step = Unit::<T, S>::WIDTH;
        // Q of these rows: for each vector of samples and each output, the rows next to one another.
        let q = unit.room(self.width / step * outputs * R, self.q);
        for (v, q) in q.chunks_exact_mut(outputs * R).enumerate() {
            for (k, q) in q.as_chunks_mut::<R>().0.iter_mut().enumerate() {
                for (r, q) in q.iter_mut().enumerate() {
                    let row = (first + r) * outputs + k;
                    *q = unit.load(&f.q_basis, row * n + self.start + v * step);
                }
            }
        }
        let mut j = first;
        while j + ROWS <= h {
            self.columns::<R, ROWS>(first, j);
            j += ROWS;
        }
        for j in j..h {
            self.columns::<R, 1>(first, j);
        }
    }

    /// Forms `C` columns from j on of the rows that are at hand, the part on and above the diagonal.
    #[inline(always)]
    fn columns<const R: usize, const C: usize>(&mut self, first: usize, j: usize) {
        let (unit, f) = (self.unit, self.f);
        let (h, n) = (f.dims().hidden, f.stride);
        let root = svec::scale::<T>();
        let step = Unit::<T, S>::WIDTH;
        for v in 0..self.width / step {
            let sums = self.products::<R, C>(j, v);
            for (r, sums) in sums.into_iter().enumerate() {
                let i = first + r;
                let diagonal = svec::diagonal(h, i);
                for (c, sum) in sums.into_iter().enumerate() {
                    let j = j + c;
                    if j < i {
                        continue;
                    }
                    let m = if i == j {
                        let c = unit.load(&f.c, i * n + self.start + v * step);
                        unit.plus(sum, c)
                    } else {
                        unit.scaled(root, sum)
                    };
                    let at = (diagonal + j - i - self.origin) * self.out_stride + v * step;
                    unit.store(self.out, at, m);
                }
            }
        }
    }

    /// Uᵀ Q for the rows that are at hand and `C` columns from j on, of one vector of samples.
    #[inline(always)]
    fn products<const R: usize, const C: usize>(
        &self,
        j: usize,
        v: usize,
    ) -> [[Vector<T, S>; C]; R] {
        let (unit, f) = (self.unit, self.f);
        let (outputs, n) = (f.rank, f.stride);
        let step = Unit::<T, S>::WIDTH;
        let mut sums = [unit.zeros::<C>(); R];
        let q = &T::vectors::<S>(self.q)[v * outputs * R..][..outputs * R];
        let u = &f.u_basis[j * outputs * n + self.start + v * step..];
        for (k, q) in q.as_chunks::<R>().0.iter().enumerate() {
            for c in 0..C {
                let u = unit.load(u, (c * outputs + k) * n);
                for r in 0..R {
                    unit.add_to(&mut sums[r][c], q[r], u);
                }
            }
        }
        sums
    }
}

/// Contracts rows of packed M̃ of the samples `start..start + width` to U M̃ and diag M̃. `m` holds the rows (i, j ≥ i)
/// of the hidden units i in `units`, rows `width` apart. U M̃ is a sum over them: the ranges of successive calls must
/// follow one another from 0 to h, and `out` has it after the last.
#[inline(always)]
pub(crate) fn contract_m<T: Number, S: Simd>(
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
    let all_u = fit(&mut lanes.u, hk * width);
    let all_um = fit(&mut lanes.um, hk * width);
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
        let mut mirrored = Mirrored {
            unit,
            m: &m[at..],
            place: |i, j| row_of(i, j) * width,
            u,
            um: &mut *um,
            outputs,
        };
        let mut i = units.start;
        if Unit::<T, S>::REGISTERS >= 32 {
            while i + ROWS <= units.end {
                let diagonal = mirrored.rows::<ROWS>(i, h);
                unit.store_rows(&diagonal, &mut out.m_diagonal, n, i, from);
                i += ROWS;
            }
        }
        while i + 2 <= units.end {
            let diagonal = mirrored.rows::<2>(i, h);
            unit.store_rows(&diagonal, &mut out.m_diagonal, n, i, from);
            i += 2;
        }
        if i < units.end {
            let diagonal = mirrored.rows::<1>(i, h);
            unit.store_rows(&diagonal, &mut out.m_diagonal, n, i, from);
        }
        if units.end == h {
            for (jk, &um) in um.iter().enumerate() {
                unit.store(&mut out.um, jk * n + from, um);
            }
        }
    }
}

/// Packed M̃ of one vector of samples, with U and U M̃.
struct Mirrored<'a, T: Number, S: Simd, P> {
    unit: Unit<T, S>,
    m: &'a [T],
    /// Where M̃\[i, j\] is.
    place: P,
    u: &'a [Vector<T, S>],
    um: &'a mut [Vector<T, S>],
    outputs: usize,
}

impl<T: Number, S: Simd, P: Fn(usize, usize) -> usize> Mirrored<'_, T, S, P> {
    /// Adds what `R` rows from i on leave, in blocks as wide as they are high; gives their diagonal.
    #[inline(always)]
    fn rows<const R: usize>(&mut self, i: usize, h: usize) -> [Vector<T, S>; R] {
        let diagonal = self.corner::<R>(i);
        let mut j = i + R;
        while j + R <= h {
            self.add::<R, R>(i, j);
            j += R;
        }
        for j in j..h {
            self.add::<R, 1>(i, j);
        }
        diagonal
    }

    /// The block in which the rows meet the diagonal, whole and symmetric: M̃\[i, j\] U\[j\] to row i. Gives the
    /// diagonal.
    #[inline(always)]
    fn corner<const R: usize>(&mut self, i: usize) -> [Vector<T, S>; R] {
        let unit = self.unit;
        let half = T::one() / svec::scale::<T>();
        let mut m = [unit.zeros::<R>(); R];
        let mut diagonal = unit.zeros::<R>();
        for r in 0..R {
            for c in r..R {
                let value = unit.load(self.m, (self.place)(i + r, i + c));
                if r == c {
                    m[r][r] = value;
                    diagonal[r] = value;
                } else {
                    m[r][c] = unit.scaled(half, value);
                    m[c][r] = m[r][c];
                }
            }
        }
        let outputs = self.outputs;
        let um = &mut self.um[i * outputs..][..R * outputs];
        let u = &self.u[i * outputs..][..R * outputs];
        for k in 0..outputs {
            for r in 0..R {
                let mut row = um[r * outputs + k];
                for c in 0..R {
                    unit.add_to(&mut row, m[r][c], u[c * outputs + k]);
                }
                um[r * outputs + k] = row;
            }
        }
        diagonal
    }

    /// Adds M̃\[i, j\] U\[j\] to row i and M̃\[i, j\] U\[i\] to row j, for a block of M̃ that stays in registers. A
    /// block of b² values takes 2b of U and 2b sums for 2b² products: one alone would wait for its stores.
    #[inline(always)]
    fn add<const R: usize, const C: usize>(&mut self, i: usize, j: usize) {
        let unit = self.unit;
        // Off the diagonal the packing has put √2.
        let half = T::one() / svec::scale::<T>();
        let mut m = [unit.zeros::<C>(); R];
        for (r, m) in m.iter_mut().enumerate() {
            for (c, m) in m.iter_mut().enumerate() {
                *m = unit.scaled(half, unit.load(self.m, (self.place)(i + r, j + c)));
            }
        }
        let outputs = self.outputs;
        let (above, after) = self.um.split_at_mut(j * outputs);
        let um_i = &mut above[i * outputs..][..R * outputs];
        let um_j = &mut after[..C * outputs];
        let u_i = &self.u[i * outputs..][..R * outputs];
        let u_j = &self.u[j * outputs..][..C * outputs];
        for k in 0..outputs {
            let mut rows = unit.zeros::<R>();
            let mut of_rows = unit.zeros::<R>();
            for r in 0..R {
                rows[r] = um_i[r * outputs + k];
                of_rows[r] = u_i[r * outputs + k];
            }
            for c in 0..C {
                let mut column = um_j[c * outputs + k];
                let of_column = u_j[c * outputs + k];
                for r in 0..R {
                    unit.add_to(&mut rows[r], m[r][c], of_column);
                    unit.add_to(&mut column, m[r][c], of_rows[r]);
                }
                um_j[c * outputs + k] = column;
            }
            for r in 0..R {
                um_i[r * outputs + k] = rows[r];
            }
        }
    }
}
