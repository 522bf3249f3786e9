//! A smaller basis for the outputs of a softmax.
//!
//! S·1 = 0 and 1·r = 0: nothing in the Hessian of a softmax cross-entropy lies along (1, …, 1). In an orthonormal basis
//! of the rest, K − 1 values a sample carry what K did, and every inner product stays what it was. For three classes
//! that is a third of the work.

use crate::numeric::buffer::{Buffer, zeros};
use crate::numeric::lanes::{add_scaled, row, row_mut};
use crate::numeric::number::Number;

/// Beyond, the way into the basis and back costs more than the K-th part that it saves (measured by the bench
/// `ratios`).
const MOST: usize = 4;

/// How many values a sample's output quantities take: K − 1 for a softmax of moderate size, else K.
pub(crate) fn reduced(outputs: usize, softmax: bool) -> usize {
    if softmax && (2..=MOST).contains(&outputs) {
        outputs - 1
    } else {
        outputs
    }
}

/// The highest rank for which S is kept packed, K'(K' + 1)/2 values a sample. Beyond, S is what p makes it
/// (diag s − ω p pᵀ, or diagonal) and is formed for a few samples at a time, or not at all.
const PACKED: usize = 16;

/// Whether S of this rank is kept packed.
pub(crate) fn packed(rank: usize) -> bool {
    rank <= PACKED
}

/// The rows of S̃: packed, or diag S̃ and S̃ p.
pub(crate) fn rows_of_s_bar(rank: usize) -> usize {
    if packed(rank) {
        crate::numeric::svec::len(rank)
    } else {
        2 * rank
    }
}

/// Entry (k, i) of the Helmert basis: column i is (1, …, 1, −(i + 1), 0, …) with i + 1 ones, normalised.
#[inline(always)]
pub(crate) fn entry<T: Number>(k: usize, i: usize) -> T {
    let ones = (i + 1) as f64;
    let norm = (ones * (ones + 1.0)).sqrt();
    match k.cmp(&(i + 1)) {
        core::cmp::Ordering::Less => T::of(1.0 / norm),
        core::cmp::Ordering::Equal => T::of(-ones / norm),
        core::cmp::Ordering::Greater => T::zero(),
    }
}

/// `out = Bᵀ v`: K rows of `width` samples to K − 1.
#[inline(always)]
pub(crate) fn project<T: Number>(
    v: &[T],
    v_stride: usize,
    outputs: usize,
    out: &mut [T],
    out_stride: usize,
    width: usize,
) {
    for i in 0..outputs - 1 {
        let out = &mut out[i * out_stride..][..width];
        out.fill(T::zero());
        for k in 0..=i + 1 {
            add_scaled(out, entry(k, i), &v[k * v_stride..][..width]);
        }
    }
}

/// `out = B v`: K − 1 rows of `width` samples to K.
#[inline(always)]
pub(crate) fn expand<T: Number>(
    v: &[T],
    v_stride: usize,
    outputs: usize,
    out: &mut [T],
    out_stride: usize,
    width: usize,
) {
    for k in 0..outputs {
        let out = &mut out[k * out_stride..][..width];
        out.fill(T::zero());
        for i in k.saturating_sub(1)..outputs - 1 {
            add_scaled(out, entry(k, i), &v[i * v_stride..][..width]);
        }
    }
}

/// Bᵀ S B packed, from S packed: `s` has K(K + 1)/2 rows of `n` samples, `out` (K − 1)K/2; `scratch` grows to K(K − 1)
/// rows.
#[inline(always)]
pub(crate) fn project_packed<T: Number>(
    s: &[T],
    outputs: usize,
    n: usize,
    out: &mut [T],
    scratch: &mut Buffer<T>,
) {
    let (from, to) = (outputs, outputs - 1);
    let root = crate::numeric::svec::scale::<T>();
    let half = T::one() / root;
    let index = |a: usize, b: usize| {
        let (a, b) = (a.min(b), a.max(b));
        crate::numeric::svec::diagonal(from, a) + b - a
    };
    // (S C)[a, j], rows a·to + j.
    let half_way = zeros(scratch, from * to * n);
    for a in 0..from {
        for j in 0..to {
            let out = row_mut(half_way, n, a * to + j);
            for b in 0..from {
                let factor = if a == b { T::one() } else { half };
                let coefficient: T = entry(b, j);
                // Half of the basis is zeros.
                if coefficient != T::zero() {
                    add_scaled(out, coefficient * factor, row(s, n, index(a, b)));
                }
            }
        }
    }
    crate::numeric::svec::pairs(
        to,
        #[inline(always)]
        |index, i, j| {
            let out = row_mut(out, n, index);
            out.fill(T::zero());
            let factor = if i == j { T::one() } else { root };
            for a in 0..from {
                let coefficient: T = entry(a, i);
                if coefficient != T::zero() {
                    add_scaled(out, coefficient * factor, row(half_way, n, a * to + j));
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basis_is_orthonormal_and_orthogonal_to_ones() {
        for outputs in 2..=MOST {
            for i in 0..outputs - 1 {
                let column: Vec<f64> = (0..outputs).map(|k| entry(k, i)).collect();
                assert!(column.iter().sum::<f64>().abs() < 1e-14);
                for j in 0..outputs - 1 {
                    let product: f64 = (0..outputs).map(|k| column[k] * entry::<f64>(k, j)).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-14);
                }
            }
        }
    }

    #[test]
    fn projecting_what_is_orthogonal_to_ones_keeps_its_norm() {
        let (outputs, n) = (4, 8);
        // diag p − p pᵀ for n different p.
        let mut packed = vec![0.0; 10 * n];
        for sample in 0..n {
            let p: Vec<f64> = (0..4)
                .map(|k| (1.0 + (k * sample) as f64).recip())
                .collect();
            let sum: f64 = p.iter().sum();
            crate::numeric::svec::pairs(outputs, |index, k, l| {
                let (pk, pl) = (p[k] / sum, p[l] / sum);
                packed[index * n + sample] = if k == l {
                    pk - pk * pl
                } else {
                    -core::f64::consts::SQRT_2 * pk * pl
                };
            });
        }
        let mut small = vec![0.0; 6 * n];
        project_packed(&packed, outputs, n, &mut small, &mut Buffer::default());
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
        assert!((norm(&packed) - norm(&small)).abs() < 1e-14);
    }
}
