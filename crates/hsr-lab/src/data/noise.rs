//! Labels made wrong on purpose.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::random::{Stream, generator};

/// Gives round(`fraction` · N) of the labels another class, each of the others as likely, and returns how many: symmetric
/// label noise.
///
/// The seed decides which samples and which classes. Of one seed, the samples of a smaller fraction are among those of
/// a larger one, with the same wrong classes.
///
/// # Arguments
///
/// * `labels`: the class of each sample, N of them, each below `classes`.
/// * `fraction`: from 0 to 1.
///
/// # References
///
/// Zhang et al., *Understanding deep learning requires rethinking generalization*, ICLR 2017.
pub fn corrupt_labels(labels: &mut [usize], classes: usize, fraction: f64, seed: u64) -> usize {
    let count = (fraction * labels.len() as f64).round() as usize;
    if classes < 2 || count == 0 {
        return 0;
    }
    let mut random = generator(seed, Stream::LabelNoise);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut random);
    let chosen = order.into_iter().take(count);
    chosen
        .map(|sample| {
            let other = random.random_range(0..classes - 1);
            // Counted without the sample's own class.
            labels[sample] = other + usize::from(other >= labels[sample]);
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrupted(fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
        let clean: Vec<usize> = (0..600).map(|i| i % 4).collect();
        let mut labels = clean.clone();
        let count = corrupt_labels(&mut labels, 4, fraction, seed);
        let wrong: Vec<usize> = (0..600).filter(|&i| labels[i] != clean[i]).collect();
        assert_eq!(wrong.len(), count);
        (labels, wrong)
    }

    #[test]
    fn as_many_labels_as_asked_for_are_wrong_and_the_seed_decides_which() {
        for (fraction, count) in [(0.0, 0), (0.1, 60), (0.201, 121), (1.0, 600)] {
            assert_eq!(corrupted(fraction, 5).1.len(), count);
        }
        assert_eq!(corrupted(0.2, 5), corrupted(0.2, 5));
        assert_ne!(corrupted(0.2, 5).1, corrupted(0.2, 6).1);
        // More noise adds to less.
        let (few, more) = (corrupted(0.1, 5), corrupted(0.3, 5));
        assert!(
            few.1
                .iter()
                .all(|&i| more.1.contains(&i) && few.0[i] == more.0[i])
        );
    }

    #[test]
    fn every_other_class_is_as_likely() {
        let (labels, _) = corrupted(1.0, 1);
        // 150 samples of a class go to three others: 50 each, with a standard deviation of 5.8.
        for from in 0..4 {
            for to in (0..4).filter(|&to| to != from) {
                let found = labels
                    .iter()
                    .enumerate()
                    .filter(|&(i, &l)| i % 4 == from && l == to)
                    .count();
                assert!((27..=73).contains(&found), "{from} to {to}: {found}");
            }
        }
    }
}
