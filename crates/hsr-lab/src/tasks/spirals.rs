//! `spirals`: two or more arms of an Archimedean spiral. The formula is in the header of [`super`].

use std::f64::consts::{PI, TAU};

use super::error::TaskError;
use super::info::TaskInfo;
use super::options::TaskOptions;
use super::synthetic::{LICENCE, SAMPLES, SOURCE, dataset};
use crate::data::Dataset;

pub(super) const INFO: TaskInfo = TaskInfo {
    name: "spirals",
    inputs: 2,
    classes: 2,
    samples: SAMPLES,
    description: "spiral arms wound into each other in the plane",
    source: SOURCE,
    licence: LICENCE,
    fixed_split: false,
    image: None,
};

/// The radius at which the arms start.
const INNERMOST: f64 = 0.05;

pub(super) fn load(options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    options.only(INFO.name, &["samples", "noise", "classes"])?;
    let arms = options.checked_classes(INFO.name, INFO.classes)?;
    let samples = options.checked_samples(INFO.name, INFO.samples, arms)?;
    let noise = options.checked_noise(INFO.name, 0.02)?;
    let classes = (0..arms).map(|arm| format!("arm {arm}")).collect();
    Ok(dataset(INFO.name, classes, samples, seed, |arm, draw| {
        let r = INNERMOST + (1.0 - INNERMOST) * draw.uniform();
        let (sin, cos) = (TAU * arm as f64 / arms as f64 + 3.0 * PI * r).sin_cos();
        draw.displaced([r * cos, r * sin], noise)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_radius_gives_the_angle_of_the_arm() {
        for arms in [2, 3, 7] {
            let options = TaskOptions {
                noise: Some(0.0),
                classes: Some(arms),
                ..TaskOptions::default()
            };
            let data = load(&options, 5).unwrap();
            assert_eq!(data.classes(), arms);
            for (sample, &arm) in data.labels.iter().enumerate() {
                let [x, y] = [data.row(sample)[0], data.row(sample)[1]];
                let r = x.hypot(y);
                assert!((INNERMOST..1.0).contains(&r));
                let turns = (y.atan2(x) - 3.0 * PI * r) / TAU - arm as f64 / arms as f64;
                assert!((turns - turns.round()).abs() < 1e-12, "{turns}");
            }
        }
    }

    #[test]
    fn one_arm_is_not_enough() {
        let options = TaskOptions {
            classes: Some(1),
            ..TaskOptions::default()
        };
        assert_eq!(
            load(&options, 0).unwrap_err().to_string(),
            "task \"spirals\", option classes: found 1, expected 2 to 5000000"
        );
    }
}
