//! A seeded split into train and test that keeps the proportions of the classes.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::error::{DataError, DataFault};
use super::random::{Stream, generator};

/// The samples of the two sides of a split: disjoint, together all samples, neither empty, each ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The samples to train on.
    pub train: Vec<usize>,
    /// The samples held back.
    pub test: Vec<usize>,
}

/// Splits N samples so that every class keeps its share on both sides.
///
/// Of the n samples of a class, round(n · `test_fraction`) go to the test side, but at least one to either side where
/// n ≥ 2; which ones, the seed decides. The single sample of a class is trained on. So the test side is `test_fraction`
/// of N up to half a sample a class, more where small classes ask for their one.
///
/// The same arguments give the same split on every platform.
///
/// # Arguments
///
/// * `labels`: the class of each sample, N of them.
/// * `classes`: K; every label is below it, and a class may have no sample.
/// * `test_fraction`: above 0 and below 1.
///
/// # Errors
///
/// [`DataFault::InvalidFraction`]; [`DataFault::LabelOutOfRange`]; [`DataFault::EmptySide`] where no class has two
/// samples.
pub fn stratified_split(
    labels: &[usize],
    classes: usize,
    test_fraction: f64,
    seed: u64,
) -> Result<Split, DataError> {
    split_of(Stream::Split, labels, classes, test_fraction, seed)
}

/// The same for another purpose than testing, from random numbers of its own.
pub(crate) fn split_of(
    stream: Stream,
    labels: &[usize],
    classes: usize,
    test_fraction: f64,
    seed: u64,
) -> Result<Split, DataError> {
    if !(test_fraction > 0.0 && test_fraction < 1.0) {
        return Err(DataFault::InvalidFraction(test_fraction).into());
    }
    let mut members = vec![Vec::new(); classes];
    for (sample, &label) in labels.iter().enumerate() {
        members
            .get_mut(label)
            .ok_or(DataFault::LabelOutOfRange {
                sample,
                label,
                classes,
            })?
            .push(sample);
    }
    let mut random = generator(seed, stream);
    let mut split = Split {
        train: Vec::with_capacity(labels.len()),
        test: Vec::new(),
    };
    for samples in &mut members {
        let count = samples.len();
        let held_back = match count {
            0 | 1 => 0,
            _ => ((count as f64 * test_fraction).round() as usize).clamp(1, count - 1),
        };
        samples.shuffle(&mut random);
        split.test.extend_from_slice(&samples[..held_back]);
        split.train.extend_from_slice(&samples[held_back..]);
    }
    split.train.sort_unstable();
    split.test.sort_unstable();
    for (side, samples) in [("train", &split.train), ("test", &split.test)] {
        if samples.is_empty() {
            let (samples, fraction) = (labels.len(), test_fraction);
            let fault = DataFault::EmptySide {
                side,
                samples,
                fraction,
            };
            return Err(fault.into());
        }
    }
    Ok(split)
}

/// `count` samples in which every class keeps its share, ascending; all of them where there are no more.
///
/// The seed decides which. Of one seed, the samples of a smaller count are among those of a larger one.
///
/// # Panics
///
/// If a label is not below `classes`.
pub fn stratified_subset(labels: &[usize], classes: usize, count: usize, seed: u64) -> Vec<usize> {
    subset_of(Stream::Split, labels, classes, count, seed)
}

/// The same for another purpose than splitting, so that what is held back does not decide what is used of the rest.
pub(crate) fn subset_of(
    stream: Stream,
    labels: &[usize],
    classes: usize,
    count: usize,
    seed: u64,
) -> Vec<usize> {
    let mut members = vec![Vec::new(); classes];
    for (sample, &label) in labels.iter().enumerate() {
        members[label].push(sample);
    }
    let mut random = generator(seed, stream);
    // The r-th of the n samples of a class stands at (r + 1/2)/n: whatever the length of the queue, its head holds the
    // classes in their proportions.
    let mut queue = Vec::with_capacity(labels.len());
    for samples in &mut members {
        samples.shuffle(&mut random);
        let size = samples.len() as f64;
        let places = samples.iter().enumerate();
        queue.extend(places.map(|(rank, &sample)| ((rank as f64 + 0.5) / size, sample)));
    }
    queue.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut subset: Vec<usize> = queue
        .into_iter()
        .take(count)
        .map(|(_, sample)| sample)
        .collect();
    subset.sort_unstable();
    subset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_keeps_the_shares_of_the_classes() {
        let labels: Vec<usize> = (0..1000)
            .map(|i| if i % 10 == 0 { 2 } else { i % 2 })
            .collect();
        let whole = counts(&(0..1000).collect::<Vec<_>>(), &labels, 4);
        for count in [1, 7, 100, 999] {
            let subset = stratified_subset(&labels, 4, count, 3);
            assert_eq!(subset.len(), count);
            assert!(subset.is_sorted_by(|a, b| a < b));
            for (part, whole) in counts(&subset, &labels, 4).iter().zip(&whole) {
                let share = *whole as f64 * count as f64 / 1000.0;
                assert!((*part as f64 - share).abs() <= 1.0, "{part} of {share}");
            }
        }
        let of = |count, seed| stratified_subset(&labels, 4, count, seed);
        assert_eq!(of(5000, 3), (0..1000).collect::<Vec<_>>());
        assert_ne!(of(50, 3), of(50, 4));
        assert!(of(50, 3).iter().all(|sample| of(60, 3).contains(sample)));
        assert!(of(0, 3).is_empty());
    }

    /// The number of samples of each class among `samples`.
    fn counts(samples: &[usize], labels: &[usize], classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &sample in samples {
            counts[labels[sample]] += 1;
        }
        counts
    }

    #[test]
    fn the_two_sides_are_a_partition_and_keep_the_shares() {
        let labels: Vec<usize> = (0..200).map(|i| usize::from(i % 4 == 0)).collect();
        let split = stratified_split(&labels, 2, 0.3, 7).unwrap();
        assert_eq!(counts(&split.test, &labels, 2), [45, 15]);
        assert_eq!(counts(&split.train, &labels, 2), [105, 35]);
        let mut all = [split.train, split.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn every_class_with_two_samples_is_on_both_sides() {
        let labels = [0, 0, 1, 1, 1, 2, 3, 3];
        for fraction in [1e-9, 0.1, 0.5, 0.9, 1.0 - 1e-9] {
            for seed in 0..20 {
                let split = stratified_split(&labels, 5, fraction, seed).unwrap();
                let train = counts(&split.train, &labels, 5);
                let test = counts(&split.test, &labels, 5);
                for class in [0, 1, 3] {
                    assert!(train[class] >= 1 && test[class] >= 1, "{fraction} {seed}");
                }
                assert_eq!((train[2], test[2]), (1, 0));
            }
        }
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let labels: Vec<usize> = (0..60).map(|i| i % 3).collect();
        let split = |seed| stratified_split(&labels, 3, 0.25, seed).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    #[test]
    fn every_sample_is_held_back_under_some_seed() {
        let labels = [0; 10];
        let mut seen = [false; 10];
        for seed in 0..100 {
            for sample in stratified_split(&labels, 1, 0.2, seed).unwrap().test {
                seen[sample] = true;
            }
        }
        assert_eq!(seen, [true; 10]);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let message = |labels: &[usize], fraction: f64| {
            let classes = labels.len().max(1);
            let split = stratified_split(labels, classes, fraction, 0);
            split.unwrap_err().to_string()
        };
        for fraction in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            let found = message(&[0, 0], fraction);
            assert_eq!(
                found,
                format!("test fraction: found {fraction}, expected a number above 0 and below 1")
            );
        }
        for (labels, begin) in [
            (&[0, 1][..], "the test side of the split of 2 samples"),
            (&[], "the train side of the split of 0 samples"),
            (
                &[0, 2],
                "label of sample 1: found 2, expected a class index below 2",
            ),
        ] {
            let found = message(labels, 0.5);
            assert!(found.starts_with(begin), "{found}");
        }
    }
}
