//! Symmetric matrices packed as vectors with off-diagonal entries scaled by √2 ("svec"): half the storage, and the
//! inner product of two packed matrices is the full Frobenius product.

use crate::numeric::scalar::Scalar;

/// The packed length of an `n × n` symmetric matrix.
#[inline(always)]
pub(crate) fn len(n: usize) -> usize {
    n * (n + 1) / 2
}

/// The packed index of (i, i).
#[inline(always)]
pub(crate) fn diagonal(n: usize, i: usize) -> usize {
    i * n - i * i.saturating_sub(1) / 2
}

/// √2, the scale of packed off-diagonal entries.
#[inline(always)]
pub(crate) fn scale<T: Scalar>() -> T {
    T::of(core::f64::consts::SQRT_2)
}

/// Calls `visit(packed index, i, j)` for every pair i ≤ j, in packed order.
#[inline(always)]
pub(crate) fn pairs(n: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let mut index = 0;
    for i in 0..n {
        for j in i..n {
            visit(index, i, j);
            index += 1;
        }
    }
}

/// Packs the outer products of vectors: `vectors` holds n rows of `width` samples (`stride` apart), `out` receives
/// the packed rows, `width` apart.
#[inline(always)]
pub(crate) fn outer<T: Scalar>(
    vectors: &[T],
    n: usize,
    stride: usize,
    start: usize,
    width: usize,
    out: &mut [T],
) {
    let root = scale::<T>();
    pairs(
        n,
        #[inline(always)]
        |index, i, j| {
            let factor = if i == j { T::one() } else { root };
            let left = &vectors[i * stride + start..][..width];
            let right = &vectors[j * stride + start..][..width];
            let out = &mut out[index * width..][..width];
            for ((out, &l), &r) in out.iter_mut().zip(left).zip(right) {
                *out = factor * l * r;
            }
        },
    );
}

/// The samples `start..start + width` of rows that are `stride` samples long.
#[derive(Clone, Copy)]
pub(crate) struct Strip {
    pub stride: usize,
    pub start: usize,
    pub width: usize,
}

/// `out[i] += (packed · vector)[i]` sample by sample, for the first `out_rows` rows i. `packed` has rows of `width`
/// samples, of `vectors` and `out` a strip is taken.
#[inline(always)]
pub(crate) fn add_times_vector<T: Scalar>(
    packed: &[T],
    n: usize,
    vectors: &[T],
    strip: Strip,
    out: &mut [T],
    out_rows: usize,
) {
    let half = T::one() / scale::<T>();
    let Strip {
        stride,
        start,
        width,
    } = strip;
    pairs(
        n,
        #[inline(always)]
        |index, i, j| {
            let factor = if i == j { T::one() } else { half };
            let p = &packed[index * width..][..width];
            if i < out_rows {
                let v = &vectors[j * stride + start..][..width];
                let out = &mut out[i * stride + start..][..width];
                for ((out, &p), &v) in out.iter_mut().zip(p).zip(v) {
                    *out += factor * p * v;
                }
            }
            if i != j && j < out_rows {
                let v = &vectors[i * stride + start..][..width];
                let out = &mut out[j * stride + start..][..width];
                for ((out, &p), &v) in out.iter_mut().zip(p).zip(v) {
                    *out += factor * p * v;
                }
            }
        },
    );
}

/// [`len`] of a size that need not fit a `usize`.
pub(crate) fn packed_length(n: f64) -> f64 {
    n * (n + 1.0) / 2.0
}
