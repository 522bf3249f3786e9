//! Quantiles of Student's t distribution.

use core::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// The t for which |T| ≤ t has the given probability, T having Student's t distribution with a whole number of degrees
/// of freedom, 1 or more.
///
/// Reference: M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", 1964, 26.7.3 and 26.7.4: the
/// probability as a finite sum in θ = atan(t/√ν), which is inverted by bisection.
pub(super) fn two_sided_quantile(probability: f64, degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    // Halving the interval to its last bit.
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if two_sided_probability(middle, degrees) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    (0.5 * (low + high)).tan() * (degrees as f64).sqrt()
}

/// The probability of |T| ≤ √ν tan θ.
fn two_sided_probability(theta: f64, degrees: usize) -> f64 {
    let (sine, cosine) = theta.sin_cos();
    if degrees == 1 {
        return FRAC_2_PI * theta;
    }
    // The factor from one term to the next is cos²θ·(k − 1)/k, with k even or odd as the degrees are.
    let first = if degrees.is_multiple_of(2) {
        1.0
    } else {
        cosine
    };
    let (mut term, mut sum) = (first, first);
    let mut k = if degrees.is_multiple_of(2) { 2 } else { 3 };
    while k <= degrees - 2 {
        term *= cosine * cosine * (k as f64 - 1.0) / k as f64;
        sum += term;
        k += 2;
    }
    if degrees.is_multiple_of(2) {
        sine * sum
    } else {
        FRAC_2_PI * (theta + sine * sum)
    }
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
