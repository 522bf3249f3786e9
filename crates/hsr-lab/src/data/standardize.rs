//! Features brought to mean 0 and standard deviation 1.

use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::error::{DataError, DataFault};

/// The affine map (x − mean) / std of each feature. Fit it to the training side and apply it to both sides, so that
/// nothing of the test side enters training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standardizer {
    /// The mean of each feature, d of them, in the units of the feature.
    pub mean: Vec<f64>,
    /// The population standard deviation (division by N) of each feature, d of them, in its units; 1 for a constant
    /// feature, which standardising then maps to 0.
    pub std: Vec<f64>,
}

impl Standardizer {
    /// The map that standardises this data set. Of a set without samples it is the identity. Features of any scale up to
    /// about 1e307 do; beyond, their differences overflow.
    pub fn fit(data: &Dataset) -> Standardizer {
        Self::of_features(&data.features, data.inputs)
    }

    /// The same for features that belong to no data set: N × `inputs`, row-major.
    pub fn of_features(features: &[f64], inputs: usize) -> Standardizer {
        let (mean, std) = (0..inputs)
            .map(|feature| moments(features, inputs, feature))
            .unzip();
        Standardizer { mean, std }
    }

    /// The first feature value, by its index in the N × `inputs` features, with which standardising would leave the range
    /// of numbers whatever the split is, and what is wrong with it.
    pub(crate) fn extreme(features: &[f64], inputs: usize) -> Option<(usize, &'static str)> {
        (0..inputs).find_map(|feature| {
            let column: Vec<f64> = features
                .iter()
                .skip(feature)
                .step_by(inputs)
                .copied()
                .collect();
            let (row, problem) = extreme_of(&column)?;
            Some((row * inputs + feature, problem))
        })
    }

    /// Maps features that belong to no data set, N × d row-major with the d that was fitted.
    pub fn apply_to_features(&self, features: &mut [f64]) {
        for row in features.chunks_exact_mut(self.mean.len().max(1)) {
            for ((value, mean), std) in row.iter_mut().zip(&self.mean).zip(&self.std) {
                *value = (*value - mean) / std;
            }
        }
    }

    /// Maps the features of a data set.
    ///
    /// # Errors
    ///
    /// [`DataFault::FeatureCount`] where the set has another number of features than the one fitted; the set is then
    /// unchanged.
    pub fn apply(&self, data: &mut Dataset) -> Result<(), DataError> {
        // `std` is a public field of its own and may have been read from a file.
        for expected in [self.mean.len(), self.std.len()] {
            if data.inputs != expected {
                let (dataset, found) = (data.name.clone(), data.inputs);
                let fault = DataFault::FeatureCount {
                    dataset,
                    found,
                    expected,
                };
                return Err(fault.into());
            }
        }
        self.apply_to_features(&mut data.features);
        Ok(())
    }
}

/// Beyond it, differences and their squares leave the range of numbers, as they do below its inverse.
const LARGEST: f64 = 1e290;
/// How much farther from the median than most values one may be: a training split without it would leave it so far from
/// its mean that f32 cannot hold it.
const FARTHEST: f64 = 1e30;

/// The row of a column that makes it impossible to standardise.
fn extreme_of(column: &[f64]) -> Option<(usize, &'static str)> {
    let farthest = |from: f64| {
        let far = |&(_, value): &(usize, &f64)| (value - from).abs();
        // The first of equals.
        column
            .iter()
            .enumerate()
            .rev()
            .max_by(|a, b| far(a).total_cmp(&far(b)))
    };
    let (row, largest) = farthest(0.0)?;
    if largest.abs() > LARGEST {
        return Some((row, "expected a number of at most 1e290"));
    }
    let median = |mut values: Vec<f64>| {
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f64::total_cmp).1
    };
    let centre = median(column.to_vec());
    let deviations: Vec<f64> = column
        .iter()
        .map(|value| (value - centre).abs())
        .filter(|it| *it > 0.0)
        .collect();
    if deviations.is_empty() {
        return None;
    }
    let (row, largest) = farthest(centre)?;
    let largest = (largest - centre).abs();
    if largest < 1.0 / LARGEST {
        return Some((
            row,
            "which differs from the rest of its column by less than 1e-290",
        ));
    }
    let few = 2 * deviations.len() < column.len();
    let usual = median(deviations);
    // Most values being equal, a training split may have nothing else, and is then not scaled.
    let usual = if few { usual.min(1.0) } else { usual };
    (largest > FARTHEST * usual).then_some((
        row,
        "more than 1e30 times as far from the median of its column as is usual there",
    ))
}

/// The mean and standard deviation of one feature.
fn moments(features: &[f64], inputs: usize, feature: usize) -> (f64, f64) {
    let column = || features.iter().skip(feature).step_by(inputs);
    let count = (features.len() / inputs) as f64;
    let Some(&origin) = column().next() else {
        return (0.0, 1.0);
    };
    // Relative to one of its values, the mean of a constant feature is exact: rounding cannot give it a tiny standard
    // deviation, which the division would blow up.
    let mean = origin + column().map(|value| (value - origin) / count).sum::<f64>();
    let largest = column()
        .map(|value| (value - mean).abs())
        .fold(0.0, f64::max);
    if largest == 0.0 {
        return (mean, 1.0);
    }
    // Relative to the largest deviation no square overflows or vanishes.
    let squares: f64 = column()
        .map(|value| ((value - mean) / largest).powi(2))
        .sum();
    (mean, largest * (squares / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(inputs: usize, features: &[f64]) -> Dataset {
        Dataset {
            name: "t".into(),
            features: features.to_vec(),
            inputs,
            feature_names: (0..inputs).map(|i| i.to_string()).collect(),
            labels: vec![0; features.len() / inputs],
            class_names: vec!["a".into(), "b".into()],
        }
    }

    #[test]
    fn the_standard_deviation_is_that_of_the_population() {
        let fitted = Standardizer::fit(&data(2, &[2.0, 10.0, 4.0, 20.0, 4.0, 30.0, 6.0, 40.0]));
        assert_eq!(fitted.mean, [4.0, 25.0]);
        for (std, variance) in fitted.std.iter().zip([2.0, 125.0]) {
            assert!((std * std / variance - 1.0f64).abs() < 1e-14);
        }
    }

    #[test]
    fn standardised_features_have_mean_zero_and_deviation_one() {
        for scale in [1e-250, 1.0, 1e250] {
            let values: Vec<f64> = (0..60)
                .map(|i| scale * (f64::from(i * i % 17) + 3.0))
                .collect();
            let mut set = data(3, &values);
            Standardizer::fit(&set).apply(&mut set).unwrap();
            let again = Standardizer::fit(&set);
            for (mean, std) in again.mean.iter().zip(&again.std) {
                assert!(
                    mean.abs() < 1e-14 && (std - 1.0).abs() < 1e-14,
                    "{scale} {again:?}"
                );
            }
        }
    }

    #[test]
    fn a_constant_feature_is_mapped_to_zero() {
        // 0.1 is not exact in binary: a naive mean of it leaves a deviation of 1e-17.
        let mut set = data(1, &[0.1; 10]);
        let fitted = Standardizer::fit(&set);
        assert_eq!(
            (fitted.mean.as_slice(), fitted.std.as_slice()),
            (&[0.1][..], &[1.0][..])
        );
        fitted.apply(&mut set).unwrap();
        assert_eq!(set.features, [0.0; 10]);
        // Another set may vary where the fitted one did not.
        let mut other = data(1, &[1.1]);
        fitted.apply(&mut other).unwrap();
        assert_eq!(other.features, [1.0]);
    }

    #[test]
    fn values_that_no_split_can_standardise_are_found() {
        let counting = |extra: &[f64]| -> Vec<f64> {
            let mut values: Vec<f64> = (0..20).map(f64::from).collect();
            values.extend(extra);
            values
        };
        for (column, row) in [
            (counting(&[1e308]), 20),
            (counting(&[1.7e308, -1.7e308]), 20),
            (counting(&[-1e291, 3.0]), 20),
            // Among numbers of usual size, and where all others are equal.
            (counting(&[1e40]), 20),
            ([vec![7.0; 9], vec![-1e200]].concat(), 9),
            (vec![0.0, 0.0, 0.0, 5e-324, 0.0], 3),
            (vec![1e-300, 2e-300, 3e-300, 4e-300], 0),
        ] {
            // Of the second column of two.
            let features: Vec<f64> = column.iter().flat_map(|&value| [1.0, value]).collect();
            let found = Standardizer::extreme(&features, 2).map(|(index, _)| index);
            assert_eq!(found, Some(2 * row + 1), "{column:?}");
        }
        for column in [
            counting(&[1e6, -1e9]),
            counting(&[]).iter().map(|value| value * 1e280).collect(),
            counting(&[]).iter().map(|value| value * 1e-280).collect(),
            vec![0.1; 10],
            vec![0.0, 0.0, 0.0, 1e20],
            vec![-1e289, 1e289],
            vec![],
        ] {
            assert_eq!(Standardizer::extreme(&column, 1), None, "{column:?}");
        }
    }

    #[test]
    fn another_width_is_refused_and_left_alone() {
        let fitted = Standardizer::fit(&data(2, &[1.0, 2.0, 3.0, 4.0]));
        let mut narrow = data(1, &[5.0]);
        assert_eq!(
            fitted.apply(&mut narrow).unwrap_err().to_string(),
            "standardizing \"t\": found 1 features, expected 2 as fitted"
        );
        assert_eq!(narrow.features, [5.0]);
        let torn = Standardizer {
            mean: vec![0.0],
            std: vec![],
        };
        assert!(torn.apply(&mut narrow).is_err());
    }

    #[test]
    fn without_samples_it_is_the_identity() {
        let empty = data(2, &[]);
        let fitted = Standardizer::fit(&empty);
        assert_eq!((fitted.mean, fitted.std), (vec![0.0; 2], vec![1.0; 2]));
    }
}
