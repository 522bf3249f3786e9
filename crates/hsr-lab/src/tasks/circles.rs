//! `circles`: two concentric circles. The formula is in the header of [`super`].

use std::f64::consts::TAU;

use super::error::TaskError;
use super::info::TaskInfo;
use super::options::TaskOptions;
use super::synthetic::{LICENCE, SAMPLES, SOURCE, dataset};
use crate::data::Dataset;

pub(super) const INFO: TaskInfo = TaskInfo {
    name: "circles",
    inputs: 2,
    classes: 2,
    samples: SAMPLES,
    description: "two concentric circles in the plane",
    source: SOURCE,
    licence: LICENCE,
    fixed_split: false,
    image: None,
};

/// The radii of the classes.
const RADII: [f64; 2] = [1.0, 0.5];

pub(super) fn load(options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    options.only(INFO.name, &["samples", "noise"])?;
    let samples = options.checked_samples(INFO.name, INFO.samples, INFO.classes)?;
    let noise = options.checked_noise(INFO.name, 0.1)?;
    let classes = vec!["outer".to_owned(), "inner".to_owned()];
    Ok(dataset(INFO.name, classes, samples, seed, |class, draw| {
        let (sin, cos) = (TAU * draw.uniform()).sin_cos();
        draw.displaced([RADII[class] * cos, RADII[class] * sin], noise)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_points_lie_on_the_circles_all_around() {
        let options = TaskOptions {
            noise: Some(0.0),
            ..TaskOptions::default()
        };
        let data = load(&options, 5).unwrap();
        let mut quadrants = [[0; 4]; 2];
        for (sample, &class) in data.labels.iter().enumerate() {
            let [x, y] = [data.row(sample)[0], data.row(sample)[1]];
            assert!((x.hypot(y) - RADII[class]).abs() < 1e-14);
            quadrants[class][usize::from(x < 0.0) + 2 * usize::from(y < 0.0)] += 1;
        }
        assert!(
            quadrants.iter().flatten().all(|&count| count >= 10),
            "{quadrants:?}"
        );
    }
}
