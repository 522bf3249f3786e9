//! Quantiles of Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The t for which |T| ≤ t has the given probability, T having Student's t distribution with so many degrees of freedom,
/// 1 or more.
pub(super) fn two_sided_quantile(probability: f64, degrees: usize) -> f64 {
    StudentsT::new(0.0, 1.0, degrees as f64).map_or(f64::NAN, |student| {
        student.inverse_cdf(0.5 * (1.0 + probability))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Abramowitz and Stegun, table 26.10, and the normal distribution in the limit.
        for (probability, degrees, t) in [
            (0.5, 1, 1.0),
            (0.95, 1, 12.706),
            (0.95, 2, 4.303),
            (0.99, 3, 5.841),
            (0.95, 4, 2.776),
            (0.9, 5, 2.015),
            (0.95, 9, 2.262),
            (0.99, 10, 3.169),
            (0.95, 29, 2.045),
            (0.95, 60, 2.000),
            (0.95, 100_000, 1.960),
        ] {
            let found = two_sided_quantile(probability, degrees);
            assert!(
                (found - t).abs() < 6e-4,
                "{probability}, {degrees}: {found}"
            );
        }
        // ν = 2 has the closed form P = t/√(2 + t²).
        for t in [0.1, 1.0, 30.0] {
            let probability = t / f64::sqrt(2.0 + t * t);
            assert!((two_sided_quantile(probability, 2) / t - 1.0).abs() < 1e-10);
        }
    }
}
