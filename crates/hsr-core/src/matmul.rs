//! A safe face of the `gemm` crate.

use crate::Real;

/// A borrowed matrix with arbitrary strides.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a, T> {
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
pub(crate) enum Write {
    /// They are replaced.
    Replace,
    /// The product is added to them.
    Add,
}

/// `out (+)= alpha · a · b`, where the rows of `out` are contiguous and `stride` apart.
#[inline(always)]
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
