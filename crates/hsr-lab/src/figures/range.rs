//! Which values can be drawn, and how far they reach.

/// The largest magnitude that is drawn; what is larger counts as not finite, so that no range overflows.
const LARGEST: f64 = 1e150;

/// Whether a value can be drawn.
pub fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

/// The smallest and the largest of some values, none where there is no value.
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}
