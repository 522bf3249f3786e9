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

/// A small matrix times rows of samples: each vector of samples is summed in registers.
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
    for from in (0..b.cols).step_by(Unit::<T, S>::WIDTH) {
        let mut sums = unit.zeros::<ROWS>();
        for j in 0..a.cols {
            let b = unit.load(b.data, j * b.row_stride + from);
            for (i, sum) in sums.iter_mut().enumerate() {
                let a = a.data[(first + i) * a.row_stride + j * a.col_stride];
                unit.add_scaled_to(sum, a, b);
            }
        }
        for (i, &sum) in sums.iter().enumerate() {
            let at = (first + i) * stride + from;
            let mut sum = unit.scaled(alpha, sum);
            if write == Write::Add {
                sum = unit.plus(sum, unit.load(out, at));
            }
            unit.store(out, at, sum);
        }
    }
}

/// Rows of samples times rows of samples.
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
    for i in 0..a.rows {
        for j in 0..b.cols {
            let left = T::vectors::<S>(&a.data[i * a.row_stride..][..a.cols]);
            let right = T::vectors::<S>(&b.data[j * b.col_stride..][..a.cols]);
            let [mut even, mut odd] = unit.zeros();
            for (left, right) in left.chunks(2).zip(right.chunks(2)) {
                unit.add_to(&mut even, left[0], right[0]);
                if let ([_, left], [_, right]) = (left, right) {
                    unit.add_to(&mut odd, *left, *right);
                }
            }
            let sum = unit.total(unit.plus(even, odd));
            let out = &mut out[i * stride + j];
            let old = if write == Write::Add { *out } else { T::zero() };
            *out = old + alpha * sum;
        }
    }
}
