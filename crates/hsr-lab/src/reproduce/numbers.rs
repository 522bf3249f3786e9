//! Small numerical helpers of the experiments.

use hsr_core::{Evaluation, Workspace};

use super::scene::Bed;
use crate::error::LabError;

/// About `count` epochs from 0 to `last`, both included, evenly spread on a logarithmic axis.
pub fn schedule(last: usize, count: usize) -> Vec<usize> {
    let steps = count.max(2) - 1;
    let mut epochs: Vec<usize> = (0..=steps)
        .map(|i| {
            let share = i as f64 / steps as f64;
            ((last as f64 + 1.0).powf(share) - 1.0).round() as usize
        })
        .collect();
    epochs.dedup();
    epochs
}

/// ∂λ_sup/∂θ by central differences of λ_sup: 2D values.
pub fn central_differences(
    workspace: &mut Workspace<f64>,
    bed: &Bed,
    theta: &[f64],
) -> Result<Vec<f64>, LabError> {
    // Where the errors of the difference (h²) and of rounding (ε/h) are of one size.
    let step = f64::EPSILON.cbrt();
    let mut point = theta.to_vec();
    let slope = |i: usize| {
        let h = step * theta[i].abs().max(1.0);
        let mut at = |value: f64| -> Result<f64, LabError> {
            point[i] = value;
            let network = bed.network(&point)?;
            let bounds = workspace.bounds(&network, &bed.batch(), Evaluation::Auto)?;
            Ok(bounds.lambda_sup)
        };
        let (above, below) = (at(theta[i] + h)?, at(theta[i] - h)?);
        point[i] = theta[i];
        Ok((above - below) / (2.0 * h))
    };
    (0..theta.len()).map(slope).collect()
}

/// The largest |a − b|, relative to the largest |b|.
pub fn relative_difference(a: &[f64], b: &[f64]) -> f64 {
    let largest = b.iter().fold(f64::MIN_POSITIVE, |max, v| max.max(v.abs()));
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, f64::max) / largest
}

/// The median; not a number of none.
pub fn median(values: &[f64]) -> f64 {
    crate::statistics::Quartiles::of(values).map_or(f64::NAN, |quartiles| quartiles.median)
}

/// Pearson's correlation; not a number where one side does not vary.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len() as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f(a - mean_a, b - mean_b))
            .sum()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Ranks, of equal values the mean.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |v: &f64| {
        let below = values.iter().filter(|w| *w < v).count() as f64;
        let equal = values.iter().filter(|w| *w == v).count() as f64;
        below + (equal - 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_has_both_ends_and_no_epoch_twice() {
        let epochs = schedule(1000, 30);
        assert_eq!((epochs[0], epochs[epochs.len() - 1]), (0, 1000));
        assert!(epochs.is_sorted_by(|a, b| a < b));
        assert_eq!(schedule(1, 50), [0, 1]);
    }

    #[test]
    fn correlations_are_those_found_by_hand() {
        let (a, b) = ([1.0, 2.0, 2.0, 4.0], [1.0, 3.0, 2.0, 9.0]);
        // Ranks 0, 1.5, 1.5, 3 and 0, 2, 1, 3: Σ ab = 4.5, Σ a² = 4.5, Σ b² = 5 about the means.
        let rank = correlation(&ranks(&a), &ranks(&b));
        assert!((rank - 4.5 / 22.5_f64.sqrt()).abs() < 1e-15);
        // Σ ab = 13.25, Σ a² = 4.75, Σ b² = 38.75 about the means.
        assert!((correlation(&a, &b) - 13.25 / (4.75 * 38.75_f64).sqrt()).abs() < 1e-15);
        assert!(correlation(&a, &[1.0; 4]).is_nan());
    }
}
