//! `gaussians`: bivariate normal classes with one covariance. The formula is in the header of [`super`].

use std::f64::consts::{PI, TAU};

use super::error::TaskError;
use super::info::TaskInfo;
use super::options::{TaskOptions, usable};
use super::synthetic::{dataset, info};
use crate::data::Dataset;

pub(super) const INFO: TaskInfo = info(
    "gaussians",
    3,
    "bivariate normal classes of adjustable means, covariance and overlap",
    &["samples", "classes", "means", "covariance", "overlap"],
);

/// The overlap by default: enough to learn, not enough to be trivial.
const OVERLAP: f64 = 0.5;

pub(super) fn load(options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    let means = means(options)?;
    let samples = options.checked_samples(&INFO, means.len())?;
    let [xx, yx, yy] = cholesky(options.covariance.unwrap_or([1.0, 0.0, 1.0]))?;
    let classes = (0..means.len()).map(|k| format!("class {k}")).collect();
    Ok(dataset(INFO.name, classes, samples, seed, |class, draw| {
        let [u, v] = draw.normals();
        let [x, y] = means[class];
        [x + xx * u, y + yx * u + yy * v]
    }))
}

/// The means of the classes, given or on the circle.
fn means(options: &TaskOptions) -> Result<Vec<[f64; 2]>, TaskError> {
    let Some(means) = &options.means else {
        let classes = options.checked_classes(&INFO)?;
        let overlap = options.overlap.unwrap_or(OVERLAP);
        if !(0.0..=1.0).contains(&overlap) {
            return Err(INFO.invalid("overlap", overlap, "a number from 0 to 1"));
        }
        // Before K points are laid out that no sample could be drawn from.
        options.checked_samples(&INFO, classes)?;
        return Ok(circle(classes, overlap));
    };
    let conflict = |second, reason| {
        Err(TaskError::ConflictingOptions {
            task: INFO.name,
            first: "means",
            second,
            reason,
        })
    };
    let count = means.len();
    if options.overlap.is_some() {
        let reason = "the overlap only places default means".to_owned();
        return conflict("overlap", reason);
    }
    if let Some(classes) = options.classes.filter(|&classes| classes != count) {
        let reason = format!("found {count} means for {classes} classes");
        return conflict("classes", reason);
    }
    if count < 2 {
        return Err(INFO.invalid("means", format!("{count} of them"), "at least 2"));
    }
    match means.iter().flatten().find(|&&value| !usable(value)) {
        None => Ok(means.clone()),
        Some(value) => Err(INFO.invalid("means", value, "numbers from -1e100 to 1e100")),
    }
}

/// The default means, neighbours 6 (1 − overlap) apart.
fn circle(classes: usize, overlap: f64) -> Vec<[f64; 2]> {
    let radius = 3.0 * (1.0 - overlap) / (PI / classes as f64).sin();
    (0..classes)
        .map(|k| {
            let (sin, cos) = (TAU * k as f64 / classes as f64).sin_cos();
            [radius * cos, radius * sin]
        })
        .collect()
}

/// L = [[xx, 0], [yx, yy]] with L Lᵀ = Σ = [[xx, xy], [xy, yy]].
fn cholesky(covariance: [f64; 3]) -> Result<[f64; 3], TaskError> {
    let [xx, xy, yy] = covariance;
    let first = xx.sqrt();
    let below = xy / first;
    let rest = yy - below * below;
    // Also false for NaN, which the square root of a negative number and a division by zero leave behind.
    if covariance.into_iter().all(usable) && first > 0.0 && rest > 0.0 {
        return Ok([first, below, rest.sqrt()]);
    }
    Err(INFO.invalid(
        "covariance",
        format!("(xx, xy, yy) = ({xx}, {xy}, {yy})"),
        "a positive definite one: xx > 0, yy > 0 and xx · yy > xy², none above 1e100",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean and the covariance (xx, xy, yy) of one class.
    fn moments(data: &Dataset, class: usize) -> ([f64; 2], [f64; 3]) {
        let rows: Vec<&[f64]> = (0..data.samples())
            .filter(|&sample| data.labels[sample] == class)
            .map(|sample| data.row(sample))
            .collect();
        let count = rows.len() as f64;
        let mean = [0, 1].map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / count);
        let covariance = [(0, 0), (0, 1), (1, 1)].map(|(i, j)| {
            rows.iter()
                .map(|row| (row[i] - mean[i]) * (row[j] - mean[j]))
                .sum::<f64>()
                / count
        });
        (mean, covariance)
    }

    fn distance([a, b]: [f64; 2], [c, d]: [f64; 2]) -> f64 {
        (a - c).hypot(b - d)
    }

    #[test]
    fn the_classes_have_the_means_and_the_covariance_asked_for() {
        let means = vec![[5.0, -1.0], [-2.0, 3.0]];
        let covariance = [2.0, -0.6, 0.5];
        let options = TaskOptions::with(|it| {
            (it.samples, it.means) = (Some(40_000), Some(means.clone()));
            it.covariance = Some(covariance);
        });
        let data = load(&options, 11).unwrap();
        assert_eq!(data.class_counts(), [20_000, 20_000]);
        for (class, &expected) in means.iter().enumerate() {
            let (mean, found) = moments(&data, class);
            // Six standard errors: √(2 / 20 000) = 0.01 of a mean, twice that of a variance of 2.
            assert!(distance(mean, expected) < 0.06, "{mean:?}");
            for (found, expected) in found.iter().zip(covariance) {
                assert!((found - expected).abs() < 0.12, "{found} {expected}");
            }
        }
    }

    #[test]
    fn neighbours_on_the_circle_are_as_far_apart_as_the_overlap_says() {
        for classes in [2, 3, 4, 10] {
            for overlap in [0.0, 0.5, 0.9, 1.0] {
                let means = circle(classes, overlap);
                for k in 0..classes {
                    let apart = distance(means[k], means[(k + 1) % classes]);
                    assert!(
                        (apart - 6.0 * (1.0 - overlap)).abs() < 1e-12,
                        "{classes} {overlap}"
                    );
                }
            }
        }
        assert_eq!(circle(3, 1.0), vec![[0.0, 0.0]; 3]);
    }

    #[test]
    fn the_overlap_moves_the_means_and_nothing_else() {
        let with = |overlap| {
            let options = TaskOptions::with(|it| it.overlap = Some(overlap));
            load(&options, 3).unwrap()
        };
        let (apart, together) = (with(0.0), with(1.0));
        let means = circle(3, 0.0);
        for (sample, &class) in apart.labels.iter().enumerate() {
            let [a, b] = [apart.row(sample), together.row(sample)];
            let moved = [a[0] - b[0], a[1] - b[1]];
            assert!(distance(moved, means[class]) < 1e-12);
        }
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused() {
        let message = |set: &dyn Fn(&mut TaskOptions)| {
            let loaded = load(&TaskOptions::with(set), 0);
            loaded.unwrap_err().to_string()
        };
        for covariance in [
            [1.0, 1.0, 1.0],
            [1.0, -2.0, 1.0],
            [0.0, 0.0, 1.0],
            [1.0, 0.0, 0.0],
            [-1.0, 0.0, -1.0],
            [-1.0, 0.0, 1.0],
            [f64::NAN, 0.0, 1.0],
            [1.0, f64::NAN, 1.0],
            [1.0, 0.0, f64::INFINITY],
            [f64::INFINITY, 0.0, 1.0],
        ] {
            let text = message(&|it| it.covariance = Some(covariance));
            assert!(text.contains("option covariance") && text.contains("positive definite"));
        }
        for overlap in [-0.1, 1.1, f64::NAN] {
            assert!(message(&|it| it.overlap = Some(overlap)).contains("option overlap"));
        }
        for means in [vec![], vec![[0.0, 0.0]], vec![[0.0, 0.0], [f64::NAN, 0.0]]] {
            assert!(message(&|it| it.means = Some(means.clone())).contains("option means"));
        }
        assert!(message(&|it| it.classes = Some(5_000_000)).contains("option samples"));
    }

    #[test]
    fn means_exclude_what_would_place_them() {
        let with = |overlap, classes| {
            let options = TaskOptions::with(|it| {
                it.means = Some(vec![[0.0, 0.0], [1.0, 1.0]]);
                (it.overlap, it.classes) = (overlap, classes);
            });
            load(&options, 0).map_err(|error| error.to_string())
        };
        let both = with(Some(0.1), None).unwrap_err();
        assert!(both.contains("options means and overlap exclude"));
        let three = with(None, Some(3)).unwrap_err();
        assert!(three.contains("found 2 means for 3 classes"));
        assert_eq!(with(None, Some(2)).unwrap().classes(), 2);
    }
}
