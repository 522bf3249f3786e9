//! What the synthetic tasks share: samples in the plane, drawn one after the other, the classes taking turns.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::info::TaskInfo;
use crate::data::Dataset;
use crate::data::random::{Stream, generator};

/// What is known of a synthetic task.
pub(super) const fn info(
    name: &'static str,
    classes: usize,
    description: &'static str,
    takes: &'static [&'static str],
) -> TaskInfo {
    TaskInfo {
        name,
        inputs: 2,
        classes,
        samples: 200,
        description,
        source: "generated from the seed",
        licence: "MIT OR Apache-2.0 (as this program)",
        fixed_split: false,
        image: None,
        takes,
    }
}

/// The random numbers of a task.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// A number in [0, 1), uniform.
    pub(super) fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// A pair of independent standard normal numbers.
    pub(super) fn normals(&mut self) -> [f64; 2] {
        [self.0.sample(StandardNormal), self.0.sample(StandardNormal)]
    }

    /// A point displaced by normal noise of this standard deviation in either coordinate.
    pub(super) fn displaced(&mut self, [x, y]: [f64; 2], noise: f64) -> [f64; 2] {
        // Drawn even where it does not count, so that the noise changes nothing but the displacement.
        let [u, v] = self.normals();
        [x + noise * u, y + noise * v]
    }
}

/// A data set of `samples` points, sample i of class i mod K: the classes differ by at most one sample in number, and so
/// they do in every leading part.
pub(super) fn dataset(
    name: &str,
    class_names: Vec<String>,
    samples: usize,
    seed: u64,
    mut point: impl FnMut(usize, &mut Draw) -> [f64; 2],
) -> Dataset {
    let mut draw = Draw(generator(seed, Stream::Samples));
    let labels: Vec<usize> = (0..samples).map(|i| i % class_names.len()).collect();
    let features = labels
        .iter()
        .flat_map(|&class| point(class, &mut draw))
        .collect();
    Dataset {
        name: name.to_owned(),
        features,
        inputs: 2,
        feature_names: vec!["x".to_owned(), "y".to_owned()],
        labels,
        class_names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_take_turns() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let data = dataset("t", names, 7, 0, |class, _| [class as f64, -1.0]);
        assert_eq!(data.labels, [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(data.row(4), [1.0, -1.0]);
    }

    #[test]
    fn a_split_of_the_same_seed_has_random_numbers_of_its_own() {
        let draws = |stream| -> [u64; 4] { generator(9, stream).random() };
        assert_eq!(draws(Stream::Samples), draws(Stream::Samples));
        assert_ne!(draws(Stream::Samples), draws(Stream::Split));
    }
}
