//! Formulas over numbers in the host's memory, in lanes.

use core::array;
use core::ops::Add;
use std::borrow::Cow;

/// So many components are taken at a time: independent of each other, so that the compiler may use vector instructions.
const LANES: usize = 16;

/// Components of N vectors, a row of lanes after the other, and what is left.
type Rows<'a, T, const N: usize> = ([&'a [[T; LANES]]; N], [&'a [T]; N]);

#[inline]
fn rows<'a, T: Copy, const N: usize>(parts: &'a [Cow<[T]>; N]) -> Rows<'a, T, N> {
    let chunks = parts.each_ref().map(|part| part.as_chunks::<LANES>());
    (chunks.map(|it| it.0), chunks.map(|it| it.1))
}

/// The formula in a row.
#[inline]
fn row<T: Copy, const N: usize>(
    rows: [&[T; LANES]; N],
    formula: &impl Fn([T; N]) -> T,
) -> [T; LANES] {
    array::from_fn(|j| formula(array::from_fn(|k| rows[k][j])))
}

/// The formula at each component.
#[inline]
pub fn over<T: Copy + Default, const N: usize>(
    parts: &[Cow<[T]>; N],
    formula: impl Fn([T; N]) -> T,
) -> Vec<T> {
    let (whole, rest) = rows(parts);
    let mut out = vec![T::default(); parts[0].len()];
    let (targets, last) = out.as_chunks_mut::<LANES>();
    for (i, target) in targets.iter_mut().enumerate() {
        *target = row(whole.map(|rows| &rows[i]), &formula);
    }
    for (i, target) in last.iter_mut().enumerate() {
        *target = formula(rest.map(|rest| rest[i]));
    }
    out
}

/// So many rows are added up in the components' own precision.
const STRETCH: usize = 32;

/// The sum of the formula over all components, in double precision but for short stretches.
#[inline]
pub fn sum<T: Copy + Default + Add<Output = T> + Into<f64>, const N: usize>(
    parts: &[Cow<[T]>; N],
    formula: impl Fn([T; N]) -> T,
) -> f64 {
    let (whole, rest) = rows(parts);
    let mut sum: f64 = (0..rest[0].len())
        .map(|i| formula(rest.map(|rest| rest[i])).into())
        .sum();
    for start in (0..whole[0].len()).step_by(STRETCH) {
        let mut lanes = [T::default(); LANES];
        for i in start..whole[0].len().min(start + STRETCH) {
            let row = row(whole.map(|rows| &rows[i]), &formula);
            lanes = array::from_fn(|j| lanes[j] + row[j]);
        }
        sum += lanes.into_iter().map(Into::into).sum::<f64>();
    }
    sum
}

/// The largest of what `bits` gives.
#[inline]
pub fn largest<T: Copy, B: Copy + Default + Ord>(values: &[T], bits: impl Fn(T) -> B) -> B {
    let mut lanes = [B::default(); LANES];
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        lanes = array::from_fn(|j| lanes[j].max(bits(row[j])));
    }
    let rest = rest.iter().map(|&value| bits(value));
    lanes.into_iter().chain(rest).max().unwrap_or_default()
}
