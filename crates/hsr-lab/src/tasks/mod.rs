//! The built-in tasks: four real data sets embedded in the program, MNIST from the user's files, and four synthetic
//! ones drawn from a seed.
//!
//! # Real tasks
//!
//! `iris`, `wine`, `breast-cancer` and `digits` of the UCI repository, as scikit-learn distributes them.
//!
//! `mnist`, whose files are too large to embed and are read from where the user has them, with the split into train and
//! test with which it is distributed. Any set in the same format will do (Fashion-MNIST, KMNIST).
//!
//! # Synthetic tasks
//!
//! All are in the plane, features x and y. Below, u is uniform in [0, 1), z is standard normal in the plane, and K is
//! the number of classes; sample i is of class i mod K.
//!
//! ## `moons`
//!
//! Two interleaved half circles, t = πu:
//!
//! ```text
//! upper:  (cos t, sin t) + noise · z          lower:  (1 − cos t, 1/2 − sin t) + noise · z
//! ```
//!
//! as in scikit-learn's `make_moons`, whose t is evenly spaced instead.
//!
//! ## `circles`
//!
//! Two concentric circles, t = 2πu, r = 1 for the outer and 1/2 for the inner class:
//!
//! ```text
//! (r cos t, r sin t) + noise · z
//! ```
//!
//! ## `spirals`
//!
//! K ≥ 2 arms of an Archimedean spiral wound into each other, r = 0.05 + 0.95u; for arm k
//!
//! ```text
//! θ = 2πk/K + 3πr          (r cos θ, r sin θ) + noise · z
//! ```
//!
//! Along a ray, neighbouring arms are 2/(3K) apart. The radius starts above 0, where all arms would meet.
//!
//! ## `gaussians`
//!
//! K ≥ 2 bivariate normal classes with one covariance Σ = L Lᵀ (default the identity): a sample of class k is μ_k + L z.
//! The means are as given, or on a circle,
//!
//! ```text
//! μ_k = R (cos 2πk/K, sin 2πk/K),     R = 3 (1 − overlap) / sin(π/K),     k = 0..K−1
//! ```
//!
//! which puts neighbours 6 (1 − overlap) apart, however many classes there are: six standard deviations of the default
//! covariance at overlap 0, where the classes are well separated, and none at overlap 1, where the means are identical
//! and nothing can be learned. Between two classes of the default covariance the Bayes error is Φ(−3 (1 − overlap)):
//! 0.1 % at overlap 0, 6.7 % at the default of 0.5, 50 % at 1. The covariance does not move the means, so that it is a
//! second, independent way to make classes overlap.

mod bundled;
mod error;
mod gaussians;
mod info;
mod mnist;
mod options;
mod plane;
mod synthetic;

pub use error::TaskError;
pub use info::TaskInfo;
pub(crate) use mnist::Files as MnistFiles;
pub use options::TaskOptions;

use crate::data::{Dataset, Split};

/// Draws the data of a synthetic task.
type Draw = fn(&TaskOptions, u64) -> Result<Dataset, TaskError>;

/// The synthetic tasks.
const SYNTHETIC: [(TaskInfo, Draw); 4] = [
    (plane::MOONS, plane::moons),
    (plane::CIRCLES, plane::circles),
    (plane::SPIRALS, plane::spirals),
    (gaussians::INFO, gaussians::load),
];

/// The built-in tasks, the real ones first.
pub fn all() -> Vec<TaskInfo> {
    let real = bundled::ALL.iter().map(|(info, _)| info.clone());
    let drawn = SYNTHETIC.map(|(info, _)| info);
    real.chain([mnist::INFO]).chain(drawn).collect()
}

/// The data of a built-in task, not standardised.
///
/// # Arguments
///
/// * `name`: one of the names in [`all`].
/// * `options`: what to change of the task; a bundled one takes none.
/// * `seed`: decides the samples of a synthetic task. The same seed and options give the same data. Options only shape
///   the random numbers, which stay the same: data that differ in noise, say, differ in nothing else. A bundled task is
///   the same for every seed, and so is all of `mnist`; where only some samples of that are wanted, the seed chooses.
///
/// # Errors
///
/// [`TaskError::UnknownTask`]; [`TaskError::ForeignOption`] for an option which the task does not take;
/// [`TaskError::InvalidOption`] and [`TaskError::ConflictingOptions`] for what an option is set to; of `mnist`,
/// [`TaskError::FilesNeeded`], [`TaskError::Data`] and [`TaskError::Fetch`].
pub fn load(name: &str, options: &TaskOptions, seed: u64) -> Result<Dataset, TaskError> {
    load_with_split(name, options, seed).map(|(data, _)| data)
}

/// As [`load`], with the split of a task whose [`fixed_split`](TaskInfo::fixed_split) is set.
///
/// # Errors
///
/// As [`load`].
pub fn load_with_split(
    name: &str,
    options: &TaskOptions,
    seed: u64,
) -> Result<(Dataset, Option<Split>), TaskError> {
    let tasks = all();
    let Some(info) = tasks.iter().find(|task| task.name == name) else {
        let names = tasks.iter().map(|task| task.name).collect();
        let name = name.to_owned();
        return Err(TaskError::UnknownTask { name, names });
    };
    options.check(info)?;
    if name == mnist::INFO.name {
        let (data, split) = MnistFiles::read(options)?.draw(options, seed)?;
        return Ok((data, Some(split)));
    }
    let drawn = SYNTHETIC.into_iter().find(|(info, _)| info.name == name);
    let data = match drawn {
        Some((_, draw)) => draw(options, seed)?,
        None => bundled::load(name)?,
    };
    Ok((data, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tasks_are_those_promised() {
        let names: Vec<&str> = all().iter().map(|task| task.name).collect();
        assert_eq!(
            names,
            [
                "iris",
                "wine",
                "breast-cancer",
                "digits",
                "mnist",
                "moons",
                "circles",
                "spirals",
                "gaussians"
            ]
        );
    }

    #[test]
    fn every_task_loads_as_it_is_listed() {
        // `mnist` has a test of its own.
        for info in all().into_iter().filter(|info| info.name != "mnist") {
            let data = load(info.name, &TaskOptions::default(), 1).unwrap();
            assert_eq!(data.name, info.name);
            assert_eq!(
                (data.inputs, data.classes(), data.samples()),
                (info.inputs, info.classes, info.samples),
                "{}",
                info.name
            );
            assert_eq!(data.features.len(), data.samples() * data.inputs);
            assert_eq!(data.feature_names.len(), data.inputs);
            assert!(data.features.iter().all(|value| value.is_finite()));
            assert!(data.class_counts().iter().all(|&count| count >= 2));
            for text in [info.description, info.source, info.licence] {
                assert!(!text.is_empty() && !text.contains('\n'));
            }
        }
    }

    #[test]
    fn the_seed_decides_the_synthetic_tasks_only() {
        let features = |name, seed| load(name, &TaskOptions::default(), seed).unwrap().features;
        for name in ["moons", "circles", "spirals", "gaussians"] {
            assert_eq!(features(name, 3), features(name, 3));
            assert_ne!(features(name, 3), features(name, 4));
        }
        assert_eq!(features("wine", 3), features("wine", 4));
    }

    #[test]
    fn an_unknown_name_gets_the_list_and_the_nearest() {
        let message = |name| {
            load(name, &TaskOptions::default(), 0)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            message("gausians"),
            "no task named \"gausians\" (did you mean \"gaussians\"?); the tasks are \"iris\", \"wine\", \
             \"breast-cancer\", \"digits\", \"mnist\", \"moons\", \"circles\", \"spirals\", \"gaussians\""
        );
        assert!(message("breast_cancer").contains("did you mean \"breast-cancer\"?"));
        assert!(!message("cifar2000000").contains("did you mean"));
    }

    #[test]
    fn an_option_of_another_task_is_refused_by_name() {
        for (name, options, message) in [
            (
                "iris",
                TaskOptions::with(|it| it.samples = Some(50)),
                "task \"iris\" does not take the option samples; it takes none",
            ),
            (
                "moons",
                TaskOptions::with(|it| it.overlap = Some(0.5)),
                "task \"moons\" does not take the option overlap; it takes samples, noise",
            ),
            (
                "gaussians",
                TaskOptions::with(|it| it.noise = Some(0.5)),
                "task \"gaussians\" does not take the option noise; it takes samples, classes, means, covariance, overlap",
            ),
        ] {
            let refused = load(name, &options, 0).unwrap_err();
            assert_eq!(refused.to_string(), message);
        }
    }
}
