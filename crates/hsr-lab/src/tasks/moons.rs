//! `moons`: two interleaved half circles. The formula is in the header of [`super`].

use std::f64::consts::PI;

use super::error::TaskError;
use super::info::TaskInfo;
use super::options::TaskOptions;
use super::synthetic::{LICENCE, SAMPLES, SOURCE, dataset};
use crate::data::Dataset;

pub(super) const INFO: TaskInfo = TaskInfo {
    name: "moons",
    inputs: 2,
    classes: 2,
    samples: SAMPLES,
    description: "two interleaved half circles in the plane",
    source: SOURCE,
    licence: LICENCE,
    fixed_split: false,
    image: None,
};

pub(super) fn load(options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    options.only(INFO.name, &["samples", "noise"])?;
    let samples = options.checked_samples(INFO.name, INFO.samples, INFO.classes)?;
    let noise = options.checked_noise(INFO.name, 0.1)?;
    let classes = vec!["upper".to_owned(), "lower".to_owned()];
    Ok(dataset(INFO.name, classes, samples, seed, |class, draw| {
        let (sin, cos) = (PI * draw.uniform()).sin_cos();
        let point = match class {
            0 => [cos, sin],
            _ => [1.0 - cos, 0.5 - sin],
        };
        draw.displaced(point, noise)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_points_lie_on_the_half_circles() {
        let options = TaskOptions {
            noise: Some(0.0),
            samples: Some(101),
            ..TaskOptions::default()
        };
        let data = load(&options, 5).unwrap();
        assert_eq!(data.class_counts(), [51, 50]);
        for (sample, &class) in data.labels.iter().enumerate() {
            let [x, y] = [data.row(sample)[0], data.row(sample)[1]];
            let (cx, cy, side) = [(0.0, 0.0, 1.0), (1.0, 0.5, -1.0)][class];
            assert!(((x - cx).hypot(y - cy) - 1.0).abs() < 1e-14);
            assert!(side * (y - cy) >= 0.0);
        }
    }

    #[test]
    fn noise_displaces_and_changes_nothing_else() {
        let with = |noise| {
            let options = TaskOptions {
                noise: Some(noise),
                samples: Some(5000),
                ..TaskOptions::default()
            };
            load(&options, 5).unwrap().features
        };
        let (none, some) = (with(0.0), with(0.2));
        let squares: f64 = none.iter().zip(&some).map(|(a, b)| (a - b).powi(2)).sum();
        // 10 000 squares of standard deviation √2: the mean is 1 within 6 · √(2/10 000).
        assert!((squares / 10_000.0 / 0.04 - 1.0).abs() < 0.085);
    }
}
