//! A safe face of the `gemm` crate.

use pulp::Simd;

use crate::Real;
use crate::dispatch::Verb;
use crate::lanes::whole;
use crate::vectors::Unit;

/// Below this many coefficients a product is faster without packing: as sums of rows, or as inner products.
const SMALL: usize = 128;

/// A borrowed matrix with arbitrary strides.
#[derive(Clone, Copy)]
pub struct Mat<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Mat<'a, T> {
    /// `rows` rows of `cols` contiguous values, the rows `stride` apart.
    #[inline(always)]
    pub fn new(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len());
        Self {
            data,
            rows,
            cols,
            row_stride: stride,
            col_stride: 1,
        }
    }

    /// The transpose.
    #[inline(always)]
    pub fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// What happens to the destination's old values.
#[derive(Clone, Copy, PartialEq)]
pub enum Write {
    /// They are replaced.
    Replace,
    /// The product is added to them.
    Add,
}

/// `out (+)= alpha · a · b`, where the rows of `out` are contiguous and `stride` apart.
#[inline(never)] // It dispatches on its own; dozens of copies in its callers would only take time to compile.
pub(crate) fn matmul<T: Real>(
    out: &mut [T],
    stride: usize,
    write: Write,
    alpha: T,
    a: Mat<T>,
    b: Mat<T>,
) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert_eq!(k, b.rows);
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= stride || m == 1);
    assert!((m - 1) * stride + n <= out.len());
    if k == 0 {
        if write == Write::Replace {
            for row in out.chunks_mut(stride).take(m) {
                row[..n].fill(T::zero());
            }
        }
        return;
    }
    let by_rows = m * k <= SMALL && b.col_stride == 1 && n.is_multiple_of(whole::<T>());
    let by_products =
        m * n <= SMALL && a.col_stride == 1 && b.row_stride == 1 && k.is_multiple_of(whole::<T>());
    if by_rows || by_products {
        return T::small_product(SmallProduct {
            out,
            stride,
            write,
            alpha,
            a,
            b,
            by_rows,
        });
    }
    // SAFETY: `Mat::new` and the asserts above keep every index inside its slice (the largest index of a matrix
    // is (rows − 1)·row_stride + (cols − 1)·col_stride, for a transpose the same number), `out` is borrowed
    // mutably so nothing aliases it, and `T` is f32 or f64, which `gemm` supports.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            write == Write::Add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            T::one(),
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A product too small for packing.
pub struct SmallProduct<'a, T> {
    out: &'a mut [T],
    stride: usize,
    write: Write,
    alpha: T,
    a: Mat<'a, T>,
    b: Mat<'a, T>,
    by_rows: bool,
}

impl<T: Real> Verb for SmallProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            out,
            stride,
            write,
            alpha,
            a,
            b,
            by_rows,
        } = self;
        let unit = Unit::new(simd);
        if by_rows {
            broadcast(unit, out, stride, write, alpha, a, b);
        } else {
            inner_products(unit, out, stride, write, alpha, a, b);
        }
    }
}

/// A small matrix times rows of samples: vectors of samples are summed in registers.
#[inline(always)]
fn broadcast<T: Real, S: Simd>(
    unit: Unit<T, S>,
    out: &mut [T],
    stride: usize,
    write: Write,
    alpha: T,
    a: Mat<T>,
    b: Mat<T>,
) {
    let mut i = 0;
    while i < a.rows {
        let group = (a.rows - i).min(4);
        match group {
            1 => broadcast_rows::<T, S, 1>(unit, out, stride, write, alpha, a, b, i),
            2 => broadcast_rows::<T, S, 2>(unit, out, stride, write, alpha, a, b, i),
            3 => broadcast_rows::<T, S, 3>(unit, out, stride, write, alpha, a, b, i),
            _ => broadcast_rows::<T, S, 4>(unit, out, stride, write, alpha, a, b, i),
        }
        i += group;
    }
}

/// A group of rows, two vectors of samples at once, for each coefficient to be read once for both.
#[inline(always)]
fn broadcast_rows<T: Real, S: Simd, const ROWS: usize>(
    unit: Unit<T, S>,
    out: &mut [T],
    stride: usize,
    write: Write,
    alpha: T,
    a: Mat<T>,
    b: Mat<T>,
    first: usize,
) {
    // The coefficients next to one another, column by column.
    let mut copied = [T::zero(); SMALL];
    let columns = copied.as_chunks_mut::<ROWS>().0;
    for (j, column) in columns[..a.cols].iter_mut().enumerate() {
        for (i, value) in column.iter_mut().enumerate() {
            *value = a.data[(first + i) * a.row_stride + j * a.col_stride];
        }
    }
    let columns = &columns[..a.cols];
    let mut from = 0;
    while from + 2 * Unit::<T, S>::WIDTH <= b.cols {
        broadcast_run::<T, S, ROWS, 2>(unit, out, stride, write, alpha, columns, b, first, from);
        from += 2 * Unit::<T, S>::WIDTH;
    }
    while from < b.cols {
        broadcast_run::<T, S, ROWS, 1>(unit, out, stride, write, alpha, columns, b, first, from);
        from += Unit::<T, S>::WIDTH;
    }
}

#[inline(always)]
fn broadcast_run<T: Real, S: Simd, const ROWS: usize, const RUN: usize>(
    unit: Unit<T, S>,
    out: &mut [T],
    stride: usize,
    write: Write,
    alpha: T,
    columns: &[[T; ROWS]],
    b: Mat<T>,
    first: usize,
    from: usize,
) {
    let mut sums = [unit.zeros::<RUN>(); ROWS];
    for (j, column) in columns.iter().enumerate() {
        let b = unit.load_run::<RUN>(b.data, j * b.row_stride + from);
        for (sums, &a) in sums.iter_mut().zip(column) {
            let a = unit.splat(a);
            for (sum, &b) in sums.iter_mut().zip(&b) {
                unit.add_to(sum, a, b);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        let at = (first + i) * stride + from;
        let mut result = sums.map(|sum| unit.scaled(alpha, sum));
        if write == Write::Add {
            let old = unit.load_run::<RUN>(out, at);
            for (result, &old) in result.iter_mut().zip(&old) {
                *result = unit.plus(*result, old);
            }
        }
        unit.store_run(&result, out, at);
    }
}

/// Rows of samples times rows of samples, two by four at once, for each vector to be read once for several products.
#[inline(always)]
fn inner_products<T: Real, S: Simd>(
    unit: Unit<T, S>,
    out: &mut [T],
    stride: usize,
    write: Write,
    alpha: T,
    a: Mat<T>,
    b: Mat<T>,
) {
    let mut i = 0;
    while i < a.rows {
        let pair = i + 1 < a.rows;
        let mut j = 0;
        while j < b.cols {
            let four = j + 3 < b.cols;
            match (pair, four) {
                (true, true) => products::<T, S, 2, 4>(unit, out, stride, write, alpha, a, b, i, j),
                (true, false) => {
                    products::<T, S, 2, 1>(unit, out, stride, write, alpha, a, b, i, j)
                }
                (false, true) => {
                    products::<T, S, 1, 4>(unit, out, stride, write, alpha, a, b, i, j)
                }
                (false, false) => {
                    products::<T, S, 1, 1>(unit, out, stride, write, alpha, a, b, i, j)
                }
            }
            j += if four { 4 } else { 1 };
        }
        i += if pair { 2 } else { 1 };
    }
}

#[inline(always)]
fn products<T: Real, S: Simd, const ROWS: usize, const COLS: usize>(
    unit: Unit<T, S>,
    out: &mut [T],
    stride: usize,
    write: Write,
    alpha: T,
    a: Mat<T>,
    b: Mat<T>,
    first: usize,
    column: usize,
) {
    let vectors = a.cols / Unit::<T, S>::WIDTH;
    let mut left = [&[][..]; ROWS];
    for (i, left) in left.iter_mut().enumerate() {
        let row = &a.data[(first + i) * a.row_stride..][..a.cols];
        *left = &T::vectors::<S>(row)[..vectors];
    }
    let mut right = [&[][..]; COLS];
    for (j, right) in right.iter_mut().enumerate() {
        let row = &b.data[(column + j) * b.col_stride..][..a.cols];
        *right = &T::vectors::<S>(row)[..vectors];
    }
    let mut sums = [unit.zeros::<COLS>(); ROWS];
    for v in 0..vectors {
        for (sums, left) in sums.iter_mut().zip(&left) {
            for (sum, right) in sums.iter_mut().zip(&right) {
                unit.add_to(sum, left[v], right[v]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, &sum) in sums.iter().enumerate() {
            let out = &mut out[(first + i) * stride + column + j];
            let old = if write == Write::Add { *out } else { T::zero() };
            *out = old + alpha * unit.total(sum);
        }
    }
}
