//! Tests, corrections and quantiles against the values of SciPy, statsmodels and NumPy.

use hsr_lab::statistics::{NullDistribution, Quartiles, SignedRank, holm, stars};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    wilcoxon: Vec<Case>,
    holm: Vec<Family>,
    quantiles: Vec<Sample>,
}

#[derive(Deserialize)]
struct Case {
    method: String,
    differences: Vec<f64>,
    statistic: f64,
    p: f64,
    effect: f64,
    median: f64,
    hodges_lehmann: f64,
}

#[derive(Deserialize)]
struct Family {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Sample {
    values: Vec<f64>,
    quartiles: [f64; 3],
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("data/statistics/reference_values.json")).unwrap()
}

/// Within a few units in the last place of the reference, whose own sums round.
fn assert_near(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(
        error <= 4e-14 * expected.abs(),
        "{what}: {found:e}, expected {expected:e}"
    );
}

#[test]
fn signed_rank_tests_are_those_of_scipy() {
    let mut seen = Vec::new();
    for case in reference().wilcoxon {
        let test = match case.method.as_str() {
            "auto" => SignedRank::of(&case.differences),
            "asymptotic" => SignedRank::with(&case.differences, NullDistribution::Normal),
            // SciPy counts ties only by going through every assignment of signs.
            "exact" | "permutation" => SignedRank::with(&case.differences, NullDistribution::Exact),
            other => panic!("{other}"),
        }
        .unwrap();
        let what = format!("{} of {:?}", case.method, case.differences);
        assert_near(test.p, case.p, &what);
        assert_eq!(test.statistic, case.statistic, "{what}");
        assert_near(test.effect, case.effect, &what);
        assert_near(test.median, case.median, &what);
        assert_near(test.hodges_lehmann, case.hodges_lehmann, &what);
        assert_eq!(test.pairs, case.differences.len());
        seen.push((case.method, test.null, test.zeros > 0));
    }
    // Both distributions were chosen by themselves, and zeros occurred under both.
    for null in [NullDistribution::Exact, NullDistribution::Normal] {
        assert!(seen.contains(&("auto".to_owned(), null, true)), "{null:?}");
        assert!(seen.contains(&("auto".to_owned(), null, false)), "{null:?}");
    }
}

/// Three differences tied at ranks 2, 2, 2 and one at 4: of the 16 sums of ranks, 0 and 2 (three times) are as far out
/// as the observed 2 below, and as many above.
#[test]
fn ties_are_counted_by_hand() {
    let differences = [1.0, -1.0, 1.0, 5.0];
    let test = SignedRank::with(&differences, NullDistribution::Exact).unwrap();
    assert_eq!((test.statistic, test.p), (2.0, 2.0 * 4.0 / 16.0));
    assert_eq!(test.effect, (8.0 - 2.0) / 10.0);
    // Walsh means: −1, 0, 0, 1, 1, 1, 2, 3, 3, 5 in order.
    assert_eq!((test.median, test.hodges_lehmann), (1.0, 1.0));
}

#[test]
fn swapping_both_sides_changes_only_the_sign_of_the_effect() {
    let (a, b) = (
        [0.3, 0.1, 0.9, 0.4, 0.2, 0.7],
        [0.1, 0.4, 0.2, 0.3, 0.1, 0.2],
    );
    let (ab, ba) = (
        SignedRank::paired(&a, &b).unwrap(),
        SignedRank::paired(&b, &a).unwrap(),
    );
    assert_eq!((ab.p, ab.statistic), (ba.p, ba.statistic));
    assert_eq!((ab.effect, ab.median), (-ba.effect, -ba.median));
    assert_eq!(ab.hodges_lehmann, -ba.hodges_lehmann);
    assert!(ab.effect < 0.0);
}

#[test]
fn differences_that_only_rounding_tells_apart_are_tied() {
    // Accuracies on 10 samples: +1, +1, +1, −1, −1 of 10, in five places.
    let before = [0.6, 0.1, 0.3, 0.8, 0.4];
    let after = [0.7, 0.2, 0.4, 0.7, 0.3];
    let differences: Vec<f64> = before.iter().zip(after).map(|(b, a)| a - b).collect();
    assert!(differences.iter().any(|d| d.abs() != differences[0].abs()));
    let paired = SignedRank::paired(&before, &after).unwrap();
    assert_eq!(
        Some(paired.statistic),
        SignedRank::of(&[1.0, 1.0, 1.0, -1.0, -1.0]).map(|t| t.statistic)
    );
    assert_eq!((paired.statistic, paired.p), (6.0, 1.0));
    // A difference that is more than rounding is no tie, whatever its size.
    let paired = SignedRank::paired(&[0.5, 0.5], &[0.5 + 1e-12, 0.5 + 2e-12]).unwrap();
    assert_eq!((paired.zeros, paired.p, paired.effect), (0, 0.5, 1.0));
    // 0.1 + 0.2 and 0.3 are the same number.
    assert_eq!(SignedRank::paired(&[0.1 + 0.2], &[0.3]).unwrap().zeros, 1);
}

#[test]
fn nothing_to_compare_is_no_test() {
    assert_eq!(SignedRank::of(&[]), None);
    assert_eq!(SignedRank::of(&[1.0, f64::NAN]), None);
    assert_eq!(SignedRank::paired(&[1.0], &[1.0, 2.0]), None);
    let zero = SignedRank::of(&[0.0, -0.0, 0.0]).unwrap();
    assert_eq!(
        (zero.p, zero.effect, zero.zeros, zero.statistic),
        (1.0, 0.0, 3, 0.0)
    );
}

#[test]
fn holm_corrections_are_those_of_statsmodels() {
    for family in reference().holm {
        let adjusted = holm(&family.p);
        for (found, expected) in adjusted.iter().zip(&family.adjusted) {
            assert_near(*found, *expected, "holm");
        }
        assert_eq!(adjusted.len(), family.adjusted.len());
    }
    assert!(holm(&[]).is_empty());
}

#[test]
fn quartiles_are_those_of_numpy() {
    for sample in reference().quantiles {
        let found = Quartiles::of(&sample.values).unwrap();
        let [lower, median, upper] = sample.quartiles;
        assert_near(found.lower, lower, "lower");
        assert_near(found.median, median, "median");
        assert_near(found.upper, upper, "upper");
    }
    assert_eq!(Quartiles::of(&[]), None);
    assert_eq!(Quartiles::of(&[1.0, f64::INFINITY]), None);
}

#[test]
fn marks_are_strictly_below_their_levels() {
    assert_eq!(
        [0.05, 0.0499, 0.01, 0.0099, 0.001, 0.00099, 0.0].map(stars),
        ["", "*", "*", "**", "**", "***", "***"]
    );
}
