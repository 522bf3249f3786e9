//! The Wilcoxon signed-rank test of paired differences, by our own hand: no kept crate counts its null distribution with
//! ties, which is what small test splits give.

use core::f64::consts::SQRT_2;

use serde::{Deserialize, Serialize};

use crate::named::named;

named! {
/// Where a p-value comes from.
pub enum NullDistribution {
    /// Every assignment of signs to the ranks, counted.
    Exact = "exact",
    /// The normal distribution of the same mean and variance, corrected for ties, without correction for continuity.
    Normal = "normal",
}
}

/// A paired two-sided Wilcoxon signed-rank test: are differences centred on zero?
///
/// With the n differences that are not zero ranked by magnitude, ties by the mean of their ranks R,
///
/// ```text
/// W₊ = Σ R over d > 0,    W₋ = Σ R over d < 0,    W = min(W₊, W₋),    r = (W₊ − W₋)/(W₊ + W₋)
/// ```
///
/// and p is the chance that W is as small or smaller when every sign is a coin's toss. Zeros are left out, as Wilcoxon
/// did. p is that of `scipy.stats.wilcoxon` (1.17) with its defaults, whose decision is followed: the null distribution
/// is counted exactly for up to 50 differences without ties and zeros and for up to 13 with them, and normal otherwise.
/// [`SignedRank::with`] names it instead; the exact one holds for ties too, which SciPy's `method="exact"` does not.
///
/// ```
/// use hsr_lab::statistics::SignedRank;
///
/// // Seven pairs that all rose: 2 of the 2⁷ assignments of signs are as extreme.
/// let test = SignedRank::of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]).unwrap();
/// assert_eq!((test.statistic, test.p, test.effect), (0.0, 2.0 / 128.0, 1.0));
/// ```
///
/// # References
///
/// * Wilcoxon, *Individual comparisons by ranking methods*, Biometrics Bulletin 1, 1945.
/// * Kerby, *The simple difference formula*, Comprehensive Psychology 3, 2014: the matched-pairs rank-biserial correlation.
/// * Hodges and Lehmann, *Estimates of location based on rank tests*, Annals of Mathematical Statistics 34, 1963.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignedRank {
    /// Differences, those of zero included.
    pub pairs: usize,
    /// Differences of zero.
    pub zeros: usize,
    /// W, the smaller of both sums of ranks.
    pub statistic: f64,
    /// The two-sided p-value; 1 where every difference is zero.
    pub p: f64,
    /// What p was computed from.
    pub null: NullDistribution,
    /// The matched-pairs rank-biserial correlation r, −1 (all differences below zero) to 1; 0 where every difference is
    /// zero.
    pub effect: f64,
    /// The median of the differences.
    pub median: f64,
    /// The Hodges-Lehmann estimate: the median of the means of all pairs of differences, each with itself included.
    pub hodges_lehmann: f64,
}

/// SciPy counts up to so many differences; so many too where there are ties or zeros.
const COUNTED: usize = 50;
const COUNTED_WITH_TIES: usize = 13;

impl SignedRank {
    /// The test of some differences; none where there are none, nor where one is not finite.
    pub fn of(differences: &[f64]) -> Option<Self> {
        Self::within(differences, 0.0, None)
    }

    /// The test with a null distribution of one's own choice.
    pub fn with(differences: &[f64], null: NullDistribution) -> Option<Self> {
        Self::within(differences, 0.0, Some(null))
    }

    /// The test of `after` − `before`, pair by pair. None where there is no pair, where the numbers of values differ or
    /// where a value is not finite.
    ///
    /// Differences that rounding alone makes differ are tied: 0.7 − 0.6 and 0.2 − 0.1 count as equal, which bit for bit
    /// they are not. Accuracies on a small test split are full of such ties, and ranking their rounding errors would
    /// decide the test by chance. Two differences are tied, and one is zero, where they are within 64 ε (ε = 2⁻⁵²) of the
    /// largest value: each is a few operations away from numbers of that size.
    pub fn paired(before: &[f64], after: &[f64]) -> Option<Self> {
        let values = before.iter().chain(after);
        let largest = values.fold(0.0_f64, |largest, v| largest.max(v.abs()));
        Self::paired_within(before, after, largest)
    }

    /// The same of values that are differences themselves, and as uncertain as the larger numbers that they come from.
    ///
    /// ```
    /// use hsr_lab::statistics::SignedRank;
    ///
    /// // Accuracies on 100 and on 50 samples: each gap falls by 0.01, which rounding hides.
    /// let gaps = |pairs: [[f64; 2]; 3]| pairs.map(|[train, test]| train - test);
    /// let before = gaps([[0.99, 0.96], [0.97, 0.92], [0.98, 0.94]]);
    /// let after = gaps([[0.98, 0.96], [0.96, 0.92], [0.95, 0.92]]);
    /// let test = SignedRank::paired_within(&before, &after, 0.99).unwrap();
    /// // Tied, they share the middle rank: the sums are 6 and 0, and 2 of the 2³ assignments are as extreme.
    /// assert_eq!((test.statistic, test.p), (0.0, 0.25));
    /// ```
    ///
    /// # Arguments
    ///
    /// * `before`, `after`: the values, pair by pair.
    /// * `largest`: the largest magnitude among the numbers that the values were computed from.
    pub fn paired_within(before: &[f64], after: &[f64], largest: f64) -> Option<Self> {
        if before.len() != after.len() {
            return None;
        }
        let differences: Vec<f64> = before.iter().zip(after).map(|(b, a)| a - b).collect();
        Self::within(&differences, 64.0 * f64::EPSILON * largest, None)
    }

    /// The test where magnitudes within `tolerance` of the next are equal.
    fn within(differences: &[f64], tolerance: f64, null: Option<NullDistribution>) -> Option<Self> {
        if differences.is_empty() || differences.iter().any(|d| !d.is_finite()) {
            return None;
        }
        let mut kept: Vec<f64> = differences
            .iter()
            .copied()
            .filter(|d| d.abs() > tolerance)
            .collect();
        kept.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let zeros = differences.len() - kept.len();
        let ranks = Ranks::new(&kept, tolerance);
        let null = null.unwrap_or({
            let limit = if zeros > 0 || ranks.tied() {
                COUNTED_WITH_TIES
            } else {
                COUNTED
            };
            if differences.len() <= limit {
                NullDistribution::Exact
            } else {
                NullDistribution::Normal
            }
        });
        let sum = |positive: bool| {
            let of_sign = kept.iter().zip(&ranks.doubled);
            let of_sign = of_sign.filter(|(d, _)| (**d > 0.0) == positive);
            of_sign.map(|(_, rank)| *rank).sum::<usize>()
        };
        let (plus, minus) = (sum(true), sum(false));
        let total = plus + minus;
        let least = plus.min(minus);
        Some(Self {
            pairs: differences.len(),
            zeros,
            statistic: least as f64 / 2.0,
            p: match null {
                _ if total == 0 => 1.0,
                NullDistribution::Exact => ranks.counted(least),
                NullDistribution::Normal => ranks.normal(least),
            },
            null,
            effect: if total == 0 {
                0.0
            } else {
                (plus as f64 - minus as f64) / total as f64
            },
            median: median(differences.to_vec()),
            hodges_lehmann: hodges_lehmann(differences),
        })
    }
}

/// The ranks of ascending magnitudes.
struct Ranks {
    /// Twice each rank, so that the mean of two is a whole number.
    doubled: Vec<usize>,
    /// How many share a rank, for each rank there is.
    groups: Vec<usize>,
}

impl Ranks {
    fn new(sorted: &[f64], tolerance: f64) -> Self {
        let mut doubled = Vec::with_capacity(sorted.len());
        let mut groups = Vec::new();
        for group in sorted.chunk_by(|a, b| b.abs() - a.abs() <= tolerance) {
            let (before, size) = (doubled.len(), group.len());
            // The mean of before + 1 to before + size.
            doubled.extend(core::iter::repeat_n(2 * before + size + 1, size));
            groups.push(size);
        }
        Self { doubled, groups }
    }

    fn tied(&self) -> bool {
        self.groups.iter().any(|&size| size > 1)
    }

    /// The chance, doubled for two sides, that the ranks of tossed signs sum to `least` or less; `least` is doubled, as
    /// the ranks are. Counts assignments by their sum, rank by rank: whole numbers, exact in f64 up to 2⁵³, and beyond
    /// within rounding.
    fn counted(&self, least: usize) -> f64 {
        let mut counts = vec![0.0; least + 1];
        counts[0] = 1.0;
        for &rank in &self.doubled {
            for sum in (rank..=least).rev() {
                counts[sum] += counts[sum - rank];
            }
        }
        let assignments = 2.0_f64.powi(i32::try_from(self.doubled.len()).unwrap_or(i32::MAX));
        (2.0 * counts.iter().sum::<f64>() / assignments).min(1.0)
    }

    /// The same from the normal distribution with the mean n(n + 1)/4 and the variance
    /// (n(n + 1)(2n + 1) − Σ(t³ − t)/2)/24, t being the size of each group of ties.
    fn normal(&self, least: usize) -> f64 {
        let n = self.doubled.len() as f64;
        let ties: f64 = self
            .groups
            .iter()
            .map(|&size| (size as f64).powi(3) - size as f64)
            .sum();
        let mean = n * (n + 1.0) / 4.0;
        let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0;
        let z = (mean - least as f64 / 2.0) / variance.sqrt();
        // That of statrs is good to ten digits alone.
        libm::erfc(z / SQRT_2)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lower + upper) / 2.0
}

fn hodges_lehmann(differences: &[f64]) -> f64 {
    let means = differences
        .iter()
        .enumerate()
        .flat_map(|(i, a)| differences[i..].iter().map(move |b| (a + b) / 2.0));
    median(means.collect())
}
