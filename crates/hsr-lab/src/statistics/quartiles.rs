//! Medians and quartiles.

use serde::{Deserialize, Serialize};

/// The median of a sample and the quartiles around it.
///
/// ```
/// use hsr_lab::statistics::Quartiles;
///
/// let quartiles = Quartiles::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
/// assert_eq!((quartiles.lower, quartiles.median, quartiles.upper), (1.75, 2.5, 3.25));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quartiles {
    /// The quantile at 1/4.
    pub lower: f64,
    /// The quantile at 1/2.
    pub median: f64,
    /// The quantile at 3/4.
    pub upper: f64,
}

impl Quartiles {
    /// The quartiles of some values; none of none, nor where one is not finite.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            lower: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper: quantile(&sorted, 0.75),
        })
    }
}

/// The quantile at `share` (0 to 1) of ascending values, linear between the two nearest of them: NumPy's default,
/// number 7 of Hyndman and Fan.
///
/// # Panics
///
/// If there are no values or `share` is outside 0..=1.
///
/// # References
///
/// Hyndman and Fan, *Sample quantiles in statistical packages*, The American Statistician 50, 1996.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    assert!(
        (0.0..=1.0).contains(&share),
        "share {share}, expected 0..=1"
    );
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor();
    let (low, high) = (sorted[below as usize], sorted[place.ceil() as usize]);
    low + (place - below) * (high - low)
}
