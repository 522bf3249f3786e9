//! `moons`, `circles` and `spirals`: curves in the plane, with noise. The formulas are in the header of [`super`].

use std::f64::consts::{PI, TAU};

use super::error::TaskError;
use super::info::TaskInfo;
use super::options::TaskOptions;
use super::synthetic::{dataset, info};
use crate::data::Dataset;

pub(super) const MOONS: TaskInfo = info(
    "moons",
    2,
    "two interleaved half circles in the plane",
    &["samples", "noise"],
);

pub(super) fn moons(options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    let samples = options.checked_samples(&MOONS, 2)?;
    let noise = options.checked_noise(&MOONS, 0.1)?;
    let classes = ["upper", "lower"].map(str::to_owned).to_vec();
    Ok(dataset(
        MOONS.name,
        classes,
        samples,
        seed,
        |class, draw| {
            let (sin, cos) = (PI * draw.uniform()).sin_cos();
            let point = match class {
                0 => [cos, sin],
                _ => [1.0 - cos, 0.5 - sin],
            };
            draw.displaced(point, noise)
        },
    ))
}

pub(super) const CIRCLES: TaskInfo = info(
    "circles",
    2,
    "two concentric circles in the plane",
    &["samples", "noise"],
);

/// The radii of the classes.
const RADII: [f64; 2] = [1.0, 0.5];

pub(super) fn circles(options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    let samples = options.checked_samples(&CIRCLES, 2)?;
    let noise = options.checked_noise(&CIRCLES, 0.1)?;
    let classes = ["outer", "inner"].map(str::to_owned).to_vec();
    Ok(dataset(
        CIRCLES.name,
        classes,
        samples,
        seed,
        |class, draw| {
            let (sin, cos) = (TAU * draw.uniform()).sin_cos();
            draw.displaced([RADII[class] * cos, RADII[class] * sin], noise)
        },
    ))
}

pub(super) const SPIRALS: TaskInfo = info(
    "spirals",
    2,
    "spiral arms wound into each other in the plane",
    &["samples", "noise", "classes"],
);

/// The radius at which the arms start.
const INNERMOST: f64 = 0.05;

pub(super) fn spirals(options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    let arms = options.checked_classes(&SPIRALS)?;
    let samples = options.checked_samples(&SPIRALS, arms)?;
    let noise = options.checked_noise(&SPIRALS, 0.02)?;
    let classes = (0..arms).map(|arm| format!("arm {arm}")).collect();
    Ok(dataset(
        SPIRALS.name,
        classes,
        samples,
        seed,
        |arm, draw| {
            let r = INNERMOST + (1.0 - INNERMOST) * draw.uniform();
            let (sin, cos) = (TAU * arm as f64 / arms as f64 + 3.0 * PI * r).sin_cos();
            draw.displaced([r * cos, r * sin], noise)
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The points with their classes.
    fn points(data: &Dataset) -> impl Iterator<Item = ([f64; 2], usize)> {
        let points = data.features.as_chunks::<2>().0.iter().copied();
        points.zip(data.labels.iter().copied())
    }

    #[test]
    fn without_noise_moons_lie_on_half_circles() {
        let options = TaskOptions::with(|it| (it.noise, it.samples) = (Some(0.0), Some(101)));
        let data = moons(&options, 5).unwrap();
        assert_eq!(data.class_counts(), [51, 50]);
        for ([x, y], class) in points(&data) {
            let (cx, cy, side) = [(0.0, 0.0, 1.0), (1.0, 0.5, -1.0)][class];
            assert!(((x - cx).hypot(y - cy) - 1.0).abs() < 1e-14);
            assert!(side * (y - cy) >= 0.0);
        }
    }

    #[test]
    fn without_noise_circles_are_round_and_whole() {
        let data = circles(&TaskOptions::with(|it| it.noise = Some(0.0)), 5).unwrap();
        let mut quadrants = [[0; 4]; 2];
        for ([x, y], class) in points(&data) {
            assert!((x.hypot(y) - RADII[class]).abs() < 1e-14);
            quadrants[class][usize::from(x < 0.0) + 2 * usize::from(y < 0.0)] += 1;
        }
        let whole = quadrants.iter().flatten().all(|&count| count >= 10);
        assert!(whole, "{quadrants:?}");
    }

    #[test]
    fn without_noise_the_radius_gives_the_angle_of_the_arm() {
        for arms in [2, 3, 7] {
            let options = TaskOptions::with(|it| (it.noise, it.classes) = (Some(0.0), Some(arms)));
            let data = spirals(&options, 5).unwrap();
            assert_eq!(data.classes(), arms);
            for ([x, y], arm) in points(&data) {
                let r = x.hypot(y);
                assert!((INNERMOST..1.0).contains(&r));
                let turns = (y.atan2(x) - 3.0 * PI * r) / TAU - arm as f64 / arms as f64;
                assert!((turns - turns.round()).abs() < 1e-12, "{turns}");
            }
        }
    }

    #[test]
    fn noise_displaces_and_changes_nothing_else() {
        let with = |noise| {
            let options =
                TaskOptions::with(|it| (it.noise, it.samples) = (Some(noise), Some(5000)));
            moons(&options, 5).unwrap().features
        };
        let (none, some) = (with(0.0), with(0.2));
        let squares: f64 = none.iter().zip(&some).map(|(a, b)| (a - b).powi(2)).sum();
        // 10 000 squares of standard deviation √2: the mean is 1 within 6 · √(2/10 000).
        assert!((squares / 10_000.0 / 0.04 - 1.0).abs() < 0.085);
    }

    #[test]
    fn one_arm_is_not_enough() {
        let options = TaskOptions::with(|it| it.classes = Some(1));
        assert_eq!(
            spirals(&options, 0).unwrap_err().to_string(),
            "task \"spirals\", option classes: found 1, expected 2 to 5000000"
        );
    }
}
