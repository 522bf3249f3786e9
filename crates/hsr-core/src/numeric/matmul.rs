//! A safe face of the `gemm` crate.

use crate::numeric::lanes::whole;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::products::{Destination, Products, SMALL, SmallProduct};

/// `out (+)= alpha · a · b`, where the rows of `out` are contiguous and `stride` apart.
#[inline(never)] // It dispatches on its own; dozens of copies in its callers would only take time to compile.
pub(crate) fn matmul<T: Products>(
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
        let to = Destination {
            out,
            stride,
            write,
            alpha,
        };
        return T::small_product(SmallProduct { to, a, b, by_rows });
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

/// Rows of a block of a symmetric product: a multiple of what `gemm` takes at once.
const BLOCK: usize = 24;
/// Terms in a sum from which it pays to halve a symmetric product.
const TERMS: usize = 64;

/// `out = aᵀ b`, its rows next to one another. Where a and b are the same matrix so are both halves of the product, and
/// only the blocks on and above its diagonal are computed.
pub(crate) fn inner_products<T: Products>(out: &mut [T], a: Mat<T>, b: Mat<T>) {
    let n = b.cols;
    let same = core::ptr::eq(a.data, b.data) && a.cols == n;
    if !same || a.rows < TERMS {
        return matmul(out, n, Write::Replace, T::one(), a.t(), b);
    }
    for from in (0..n).step_by(BLOCK) {
        let height = BLOCK.min(n - from);
        let left = a.columns(from, height).t();
        let block = &mut out[from * n + from..];
        let right = b.columns(from, n - from);
        matmul(block, n, Write::Replace, T::one(), left, right);
        for j in from + height..n {
            for i in from..from + height {
                out[j * n + i] = out[i * n + j];
            }
        }
    }
}
