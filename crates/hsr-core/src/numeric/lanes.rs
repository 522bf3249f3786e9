//! Sample lanes: every per-sample quantity is stored feature-major, one contiguous row of samples a component, and
//! rows are padded to whole registers. Loops over a row then vectorise however small the network is. Padding samples
//! have x̃ = 0 and ω = 0, so that they add nothing to anything.

use crate::numeric::scalar::Scalar;

/// Samples a lane.
pub(crate) const LANE: usize = 8;

/// The value, or 0 where its square is no normal number. Factors of H of which the largest is about 1 lose nothing that
/// ‖H‖ would show, and products of two of them stay normal: over subnormal numbers Intel's processors take hundreds of
/// cycles.
#[inline(always)]
pub(crate) fn flushed<T: Scalar>(value: T) -> T {
    if value.abs() < T::min_positive_value().sqrt() {
        T::zero()
    } else {
        value
    }
}

/// Samples that fill the widest vector register there is, 64 bytes: rows, tiles and shards are whole multiples.
pub(crate) const fn whole<T>() -> usize {
    64 / size_of::<T>()
}

/// The samples of a tile that may hold `most`: whole registers, one at least.
pub(crate) fn whole_registers<T>(most: usize) -> usize {
    (most / whole::<T>() * whole::<T>()).max(whole::<T>())
}

/// The row length that holds `samples` samples.
pub(crate) fn stride<T>(samples: usize) -> usize {
    let stride = samples.next_multiple_of(whole::<T>());
    // Rows a large power of two apart would compete for the same cache sets.
    if stride >= 512 && stride.is_multiple_of(256) {
        stride + whole::<T>()
    } else {
        stride
    }
}

/// Row `index` of a feature-major array.
#[inline(always)]
pub(crate) fn row<T>(data: &[T], stride: usize, index: usize) -> &[T] {
    &data[index * stride..][..stride]
}

/// Row `index` of a feature-major array, mutable.
#[inline(always)]
pub(crate) fn row_mut<T>(data: &mut [T], stride: usize, index: usize) -> &mut [T] {
    &mut data[index * stride..][..stride]
}

/// The samples `start..start + width` of row `index`. (Slicing in this order tells the compiler the length, so that
/// loops over several rows need no bounds checks and vectorise.)
#[inline(always)]
pub(crate) fn part<T>(data: &[T], stride: usize, index: usize, start: usize, width: usize) -> &[T] {
    &data[index * stride + start..][..width]
}

/// The samples `start..start + width` of row `index`, mutable.
#[inline(always)]
pub(crate) fn part_mut<T>(
    data: &mut [T],
    stride: usize,
    index: usize,
    start: usize,
    width: usize,
) -> &mut [T] {
    &mut data[index * stride + start..][..width]
}

/// Rows and columns that a transposition takes at once: as many lines of memory as the first-level cache keeps.
const TILE: usize = 16;

/// The tiles of a samples × features matrix: the first sample and the first feature of each.
fn tiles(samples: usize, features: usize) -> impl Iterator<Item = (usize, usize)> {
    let of_features = move |sample| (0..features).step_by(TILE).map(move |e| (sample, e));
    (0..samples).step_by(TILE).flat_map(of_features)
}

/// Writes samples × features, row-major, to the first rows of a feature-major array.
pub(crate) fn read_samples<T: Copy>(samples: &[T], width: usize, out: &mut [T], stride: usize) {
    let count = samples.len() / width;
    for (sample, first) in tiles(count, width) {
        let some = TILE.min(count - sample);
        for e in first..width.min(first + TILE) {
            for (i, out) in out[e * stride + sample..][..some].iter_mut().enumerate() {
                *out = samples[(sample + i) * width + e];
            }
        }
    }
}

/// Writes `scale` times a feature-major array to `out`, samples × features row-major.
pub(crate) fn write_samples<T: Scalar>(out: &mut [T], features: &[T], stride: usize, scale: T) {
    let width = features.len() / stride;
    let count = out.len() / width;
    for (sample, first) in tiles(count, width) {
        let some = TILE.min(width - first);
        for sample in sample..count.min(sample + TILE) {
            for (i, out) in out[sample * width + first..][..some].iter_mut().enumerate() {
                *out = scale * features[(first + i) * stride + sample];
            }
        }
    }
}

/// A copy of the lane that begins at `start`.
#[inline(always)]
pub(crate) fn lane<T: Scalar>(row: &[T], start: usize) -> [T; LANE] {
    let mut lane = [T::zero(); LANE];
    lane.copy_from_slice(&row[start..][..LANE]);
    lane
}

/// `out += a·b`, elementwise.
#[inline(always)]
pub(crate) fn add_product<T: Scalar>(out: &mut [T], a: &[T], b: &[T]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out += a * b;
    }
}

/// `out += factor·a`, elementwise.
#[inline(always)]
pub(crate) fn add_scaled<T: Scalar>(out: &mut [T], factor: T, a: &[T]) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out += factor * a;
    }
}

/// Σ a·b over the row, in lanes so that it vectorises and rounds the same way on every machine.
#[inline(always)]
pub(crate) fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::zero(); LANE];
    for (a, b) in a.as_chunks::<LANE>().0.iter().zip(b.as_chunks::<LANE>().0) {
        for l in 0..LANE {
            lanes[l] += a[l] * b[l];
        }
    }
    lanes.into_iter().sum()
}

/// Σ a over the row.
#[inline(always)]
pub(crate) fn sum<T: Scalar>(a: &[T]) -> T {
    let mut lanes = [T::zero(); LANE];
    for a in a.as_chunks::<LANE>().0 {
        for l in 0..LANE {
            lanes[l] += a[l];
        }
    }
    lanes.into_iter().sum()
}

/// Whether no value is infinite or NaN: then, and only then, 0·v sums to 0. (A search would not vectorise.)
pub(crate) fn finite<T: Scalar>(values: &[T]) -> bool {
    let mut lanes = [T::zero(); LANE];
    let (whole, rest) = values.as_chunks::<LANE>();
    for values in whole {
        for l in 0..LANE {
            lanes[l] += T::zero() * values[l];
        }
    }
    let rest = rest.iter().fold(T::zero(), |sum, &v| sum + T::zero() * v);
    lanes.into_iter().fold(rest, |sum, v| sum + v) == T::zero()
}
