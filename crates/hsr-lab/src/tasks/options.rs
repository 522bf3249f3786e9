//! The options of the tasks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::TaskError;
use super::info::TaskInfo;

/// What to change of a task. `None` leaves the default of the task; an option that the task does not take is
/// an error, not ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskOptions {
    /// N, the samples of all classes together, at least 2 a class; class k gets those with index ≡ k (mod K). Default 200.
    /// All synthetic tasks. Of `mnist`, the samples of both splits together that are used (default all): so many of
    /// either that the proportion stays, chosen by the seed, every class with its share.
    pub samples: Option<usize>,
    /// The standard deviation of the normal noise added to either coordinate, ≥ 0. `moons` and `circles` (default 0.1),
    /// `spirals` (default 0.02).
    pub noise: Option<f64>,
    /// K, the number of classes, at least 2. `spirals` (default 2 arms) and `gaussians` (default 3, or as many as there
    /// are `means`).
    pub classes: Option<usize>,
    /// The mean (x, y) of each class, at least 2; excludes `overlap`. `gaussians`.
    pub means: Option<Vec<[f64; 2]>>,
    /// The covariance (xx, xy, yy) that all classes share, positive definite. `gaussians` (default the identity).
    pub covariance: Option<[f64; 3]>,
    /// From 0 (means well apart) to 1 (identical means). `gaussians` (default 0.5).
    pub overlap: Option<f64>,
    /// The directory of the task's files. `mnist`.
    pub data_dir: Option<PathBuf>,
}

/// Samples that may be asked for: a slip of the finger should not ask for all memory.
const MOST_SAMPLES: usize = 10_000_000;
/// The largest number that may be asked for, far from overflow in a square.
const LARGEST: f64 = 1e100;

impl TaskOptions {
    /// The defaults but for what `set` sets.
    pub(crate) fn with(set: impl FnOnce(&mut Self)) -> Self {
        let mut options = Self::default();
        set(&mut options);
        options
    }

    /// The names of the options that are set.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        // Taken apart so that a new option cannot be forgotten here.
        let TaskOptions {
            samples,
            noise,
            classes,
            means,
            covariance,
            overlap,
            data_dir,
        } = self;
        [
            ("samples", samples.is_some()),
            ("noise", noise.is_some()),
            ("classes", classes.is_some()),
            ("means", means.is_some()),
            ("covariance", covariance.is_some()),
            ("overlap", overlap.is_some()),
            ("data-dir", data_dir.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
    }

    /// Refuses options that the task does not take.
    pub(super) fn check(&self, task: &TaskInfo) -> Result<(), TaskError> {
        match self.given().find(|option| !task.takes.contains(option)) {
            None => Ok(()),
            Some(option) => Err(TaskError::ForeignOption {
                task: task.name,
                option,
                allowed: task.takes,
            }),
        }
    }

    /// N, with two samples a class so that every class can be on both sides of a split.
    pub(super) fn checked_samples(
        &self,
        task: &TaskInfo,
        classes: usize,
    ) -> Result<usize, TaskError> {
        let samples = self.samples.unwrap_or(task.samples);
        let least = classes.saturating_mul(2);
        if (least..=MOST_SAMPLES).contains(&samples) {
            return Ok(samples);
        }
        let expected = format!("{least} (2 for each of {classes} classes) to {MOST_SAMPLES}");
        Err(task.invalid("samples", samples, expected))
    }

    /// K.
    pub(super) fn checked_classes(&self, task: &TaskInfo) -> Result<usize, TaskError> {
        let classes = self.classes.unwrap_or(task.classes);
        let most = MOST_SAMPLES / 2;
        if (2..=most).contains(&classes) {
            return Ok(classes);
        }
        Err(task.invalid("classes", classes, format!("2 to {most}")))
    }

    /// The noise, given or default.
    pub(super) fn checked_noise(&self, task: &TaskInfo, default: f64) -> Result<f64, TaskError> {
        let noise = self.noise.unwrap_or(default);
        if noise >= 0.0 && usable(noise) {
            return Ok(noise);
        }
        let expected = format!("a number from 0 to {LARGEST:e}");
        Err(task.invalid("noise", noise, expected))
    }
}

/// Whether a number can be computed with: no NaN, no infinity and nothing near it.
pub(super) fn usable(value: f64) -> bool {
    value.abs() <= LARGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_serialisation() {
        let options = TaskOptions::with(|it| {
            (it.samples, it.means) = (Some(10), Some(vec![[0.0, 1.0], [2.0, 3.0]]));
        });
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<TaskOptions>(&text).unwrap(), options);
        // What an older run directory does not mention is default; what nobody knows is an error.
        let read = serde_json::from_str::<TaskOptions>;
        assert_eq!(read("{}").unwrap(), TaskOptions::default());
        assert!(read(r#"{"sample": 3}"#).is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let task = &crate::tasks::plane::MOONS;
        for samples in [0, 5, usize::MAX] {
            let options = TaskOptions::with(|it| it.samples = Some(samples));
            let text = options.checked_samples(task, 3).unwrap_err().to_string();
            assert!(text.starts_with(&format!(
                "task \"moons\", option samples: found {samples}, expected 6 "
            )));
        }
        // Too many classes for the default N.
        let default = TaskOptions::default();
        assert!(default.checked_samples(task, 101).is_err());
        assert_eq!(default.checked_samples(task, 100).unwrap(), 200);
        for classes in [0, 1, usize::MAX] {
            let options = TaskOptions::with(|it| it.classes = Some(classes));
            assert!(options.checked_classes(task).is_err());
        }
        for noise in [-0.1, f64::NAN, f64::INFINITY] {
            let options = TaskOptions::with(|it| it.noise = Some(noise));
            assert!(options.checked_noise(task, 0.1).is_err());
        }
        assert_eq!(default.checked_noise(task, 0.1).unwrap(), 0.1);
    }
}
