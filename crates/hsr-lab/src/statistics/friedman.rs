//! The Friedman test of several methods over several tasks, and the critical difference of their mean ranks.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Does one of k methods rank better than another over n tasks?
///
/// With R the rank of a method on a task (1 is best, ties by the mean of their ranks), R̄_j its mean over the tasks, and
/// ties t of each task,
///
/// ```text
/// χ² = (12n/(k(k + 1)) Σ_j (R̄_j − (k + 1)/2)²) / (1 − Σ (t³ − t)/(nk(k² − 1)))
/// ```
///
/// which is χ² distributed with k − 1 degrees of freedom where all methods are alike, nearly so from some ten tasks on.
/// Two methods differ at the level 0.05 by Nemenyi's test where their mean ranks differ by more than the critical
/// difference
///
/// ```text
/// CD = q₀.₀₅(k) √(k(k + 1)/(6n))
/// ```
///
/// with q the Studentised range over √2, which already stands for all pairs together. A task in which two methods score
/// the same to the last bit ties them.
///
/// ```
/// use hsr_lab::statistics::Friedman;
///
/// // A score a method, larger being better, on each of four tasks.
/// let test = Friedman::of(&[[0.9, 0.8, 0.7], [0.9, 0.7, 0.8], [0.6, 0.5, 0.4], [0.8, 0.7, 0.6]]).unwrap();
/// assert_eq!(test.mean_ranks, [1.0, 2.25, 2.75]);
/// ```
///
/// # References
///
/// * Friedman, *The use of ranks to avoid the assumption of normality*, Journal of the American Statistical Association
///   32, 1937.
/// * Demšar, *Statistical comparisons of classifiers over multiple data sets*, Journal of Machine Learning Research 7, 2006.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Friedman {
    /// n.
    pub tasks: usize,
    /// R̄ of each method, 1 being best.
    pub mean_ranks: Vec<f64>,
    /// χ², corrected for ties; 0 where all methods tie on every task.
    pub statistic: f64,
    /// The chance of such a χ² or a larger one where all methods are alike.
    pub p: f64,
    /// CD at the level 0.05; none for more than ten methods.
    pub critical_difference: Option<f64>,
}

/// q₀.₀₅(k)/√2 of the Studentised range with infinitely many degrees of freedom, for k = 2 … 10 (Demšar 2006, Table 5a).
const NEMENYI: [f64; 9] = [
    1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164,
];

impl Friedman {
    /// The test of scores, a row a task and in it a score a method, larger being better. `None` for fewer than two tasks
    /// or methods, for rows of different lengths, and for scores that are no numbers.
    pub fn of<R: AsRef<[f64]>>(scores: &[R]) -> Option<Self> {
        let methods = scores.first()?.as_ref().len();
        let fits = |row: &R| {
            let row = row.as_ref();
            row.len() == methods && row.iter().all(|score| !score.is_nan())
        };
        if scores.len() < 2 || methods < 2 || !scores.iter().all(fits) {
            return None;
        }
        let (n, k) = (scores.len() as f64, methods as f64);
        let mut mean_ranks = vec![0.0; methods];
        let mut ties = 0.0;
        for row in scores {
            let row = row.as_ref();
            for (mean, score) in mean_ranks.iter_mut().zip(row) {
                let better = row.iter().filter(|other| *other > score).count() as f64;
                let equal = row.iter().filter(|other| *other == score).count() as f64;
                *mean += (better + (equal + 1.0) / 2.0) / n;
                // Summed over its t members, a tie gives t³ − t.
                ties += equal * equal - 1.0;
            }
        }
        let spread: f64 = mean_ranks
            .iter()
            .map(|rank| (rank - (k + 1.0) / 2.0).powi(2))
            .sum();
        let correction = 1.0 - ties / (n * k * (k * k - 1.0));
        let statistic = match correction > 0.0 {
            true => 12.0 * n / (k * (k + 1.0)) * spread / correction,
            false => 0.0,
        };
        let quantile = NEMENYI.get(methods - 2);
        Some(Self {
            tasks: scores.len(),
            p: chi_squared_tail(statistic, methods - 1),
            critical_difference: quantile.map(|q| q * (k * (k + 1.0) / (6.0 * n)).sqrt()),
            statistic,
            mean_ranks,
        })
    }
}

/// The chance that χ² with so many degrees of freedom, at least one, is x or more.
fn chi_squared_tail(x: f64, degrees: usize) -> f64 {
    ChiSquared::new(degrees as f64).map_or(f64::NAN, |chi_squared| chi_squared.sf(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.chi2.sf` of 1.17 at these points, to all digits.
    #[test]
    fn the_tail_of_chi_squared_has_its_textbook_quantiles() {
        for (x, degrees, p) in [
            (3.841_458_820_694_124, 1, 0.05),
            (5.991_464_547_107_979, 2, 0.05),
            (7.814_727_903_251_179, 3, 0.05),
            (9.487_729_036_781_154, 4, 0.05),
            (16.918_977_604_620_448, 9, 0.05),
            (23.209_251_158_954_356, 10, 0.01),
        ] {
            let tail = chi_squared_tail(x, degrees);
            assert!((tail - p).abs() < 1e-12, "{x} {degrees}: {tail}");
        }
        assert_eq!(chi_squared_tail(0.0, 3), 1.0);
    }

    /// The example of Demšar 2006, Table 6: four classifiers on fourteen data sets, χ²_F = 9.28 and CD = 1.25 by his
    /// rounded ranks, which ties there change by the correction that he leaves out.
    #[test]
    fn demsar_s_example() {
        let scores = [
            [0.763, 0.768, 0.771, 0.798],
            [0.599, 0.591, 0.590, 0.569],
            [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657],
            [0.882, 0.888, 0.886, 0.898],
            [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685],
            [0.583, 0.583, 0.563, 0.625],
            [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000],
            [0.940, 0.962, 0.965, 0.962],
            [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.9751, 0.975],
            [0.957, 0.978, 0.946, 0.970],
        ];
        let test = Friedman::of(&scores).unwrap();
        for (found, printed) in test.mean_ranks.iter().zip([3.143, 2.000, 2.893, 1.964]) {
            assert!((found - printed).abs() < 5e-4, "{:?}", test.mean_ranks);
        }
        // Without the correction, 9.28: k = 4, n = 14, and a tie of four and two of two among them.
        let ties = 60.0 + 6.0 + 6.0 + 6.0;
        let uncorrected = test.statistic * (1.0 - ties / (14.0 * 4.0 * 15.0));
        assert!((uncorrected - 9.28).abs() < 0.01, "{uncorrected}");
        assert!((test.critical_difference.unwrap() - 1.25).abs() < 0.005);
    }

    #[test]
    fn ties_and_what_cannot_be_tested() {
        let test = Friedman::of(&[[1.0, 1.0], [2.0, 2.0]]).unwrap();
        assert_eq!((test.statistic, test.p), (0.0, 1.0));
        assert_eq!(test.mean_ranks, [1.5, 1.5]);
        assert!(Friedman::of(&[[1.0, 2.0]]).is_none());
        assert!(Friedman::of(&[[1.0], [2.0]]).is_none());
        assert!(Friedman::of(&[vec![1.0, 2.0], vec![1.0]]).is_none());
        assert!(Friedman::of(&[[1.0, f64::NAN], [1.0, 2.0]]).is_none());
    }
}
