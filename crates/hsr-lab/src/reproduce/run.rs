//! Doing experiments one after the other, into one directory.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use super::context::{Context, Meter, Observer, discard_parts};
use super::experiment::Experiment;
use super::outcome::{Outcome, finished, write};
use super::plan::{Extent, Plan};
use super::report;
use crate::error::LabError;
use crate::files;
use crate::lock::DirectoryLock;

/// What is to be reproduced, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct ReproduceOptions {
    /// The experiments; each once, in the paper's order.
    pub experiments: Vec<Experiment>,
    /// The directory; created where it does not exist.
    pub out: PathBuf,
    /// How much is done.
    pub extent: Extent,
    /// Threads. They change how long it takes and nothing else.
    pub jobs: NonZero<usize>,
    /// The seed of everything drawn.
    pub seed: u64,
}

/// The result of [`reproduce`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reproduction {
    /// What came of each experiment.
    pub outcomes: Vec<Outcome>,
    /// The report, `report.html`.
    #[serde(serialize_with = "files::shown")]
    pub report: PathBuf,
}

/// An experiment with its plan and what decides its result.
type Planned = (Experiment, Plan, Value);

/// Does the experiments that are not done yet, and writes a report of all that are in the directory.
///
/// An experiment leaves `NAME.svg`, `NAME.png`, `NAME.csv` and, last, `NAME.json`; one that is there with the same
/// version, extent, seed and settings is not done again. Interrupted or killed, the next call goes on.
///
/// ```
/// use std::num::NonZero;
///
/// use hsr_lab::reproduce::{Experiment, Extent, ReproduceOptions, reproduce};
/// use hsr_lab::train::Control;
///
/// let folder = tempfile::tempdir()?;
/// let options = ReproduceOptions {
///     experiments: vec![Experiment::Fig3],
///     out: folder.path().join("paper"),
///     extent: Extent::Tiny,
///     jobs: NonZero::<usize>::MIN,
///     seed: 0,
/// };
/// let reproduction = reproduce(&options, &|_| Control::Continue)?;
/// // Numerical and analytical gradients agree.
/// assert!(reproduction.outcomes[0].claims[0].holds);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`LabError::Halted`] where the observer stopped it, [`LabError::Run`] where another process writes into the directory;
/// what can go wrong with files.
pub fn reproduce(
    options: &ReproduceOptions,
    observer: Observer<'_>,
) -> Result<Reproduction, LabError> {
    let mut experiments = options.experiments.clone();
    experiments.sort_unstable();
    experiments.dedup();
    let out = options.out.as_path();
    let _lock = DirectoryLock::take(out)?;
    let parts = out.join("parts");
    std::fs::create_dir_all(&parts).map_err(LabError::io(&parts, "be created"))?;
    files::sweep(&parts);
    let planned: Vec<Planned> = experiments
        .into_iter()
        .map(|experiment| {
            let plan = experiment.plan(options.extent);
            let key = key(&plan, options);
            (experiment, plan, key)
        })
        .collect();
    let done: Vec<Option<Outcome>> = planned
        .iter()
        .map(|(experiment, _, key)| finished(out, *experiment).filter(|it| it.settings == *key))
        .collect();
    let meter = Meter::new(observer, cost(&planned, &done));
    let mut outcomes = Vec::new();
    for ((experiment, plan, key), done) in planned.into_iter().zip(done) {
        let outcome = match done {
            Some(outcome) => outcome,
            None => {
                let started = Instant::now();
                let context = Context {
                    name: experiment.name(),
                    folder: &parts,
                    key: key.clone(),
                    seed: options.seed,
                    jobs: options.jobs,
                    meter: &meter,
                    cost: plan.cost,
                };
                let finding = (plan.work)(&context)?;
                let outcome = write(out, experiment, finding, key, started)?;
                discard_parts(&parts, experiment.name());
                outcome
            }
        };
        outcomes.push(outcome);
    }
    discard_shared(out, &parts, options);
    // It stays where other calls have left something to go on from.
    let _ = std::fs::remove_dir(&parts);
    let report = out.join("report.html");
    let all: Vec<Outcome> = Experiment::ALL
        .into_iter()
        .filter_map(|experiment| finished(out, experiment))
        .collect();
    files::write(&report, report::html(out, &all)?.as_bytes())?;
    Ok(Reproduction { outcomes, report })
}

/// Expected seconds of what is not done; shared work counts once.
fn cost(planned: &[Planned], done: &[Option<Outcome>]) -> f64 {
    let left = planned.iter().zip(done).filter(|(_, done)| done.is_none());
    let mut names = BTreeSet::new();
    left.map(|((_, plan, _), _)| {
        let shared = plan.shared.iter().filter(|work| names.insert(work.name));
        plan.cost + shared.map(|work| work.cost).sum::<f64>()
    })
    .sum()
}

/// Removes the results of shared work of which every experiment is done.
fn discard_shared(out: &Path, parts: &Path, options: &ReproduceOptions) {
    let mut waiting = BTreeSet::new();
    let mut names = BTreeSet::new();
    for experiment in Experiment::ALL {
        let plan = experiment.plan(options.extent);
        let key = key(&plan, options);
        let done = finished(out, experiment).is_some_and(|it| it.settings == key);
        for work in &plan.shared {
            names.insert(work.name);
            if !done {
                waiting.insert(work.name);
            }
        }
    }
    for name in names.difference(&waiting) {
        discard_parts(parts, name);
    }
}

/// Everything that decides the results of an experiment.
fn key(plan: &Plan, options: &ReproduceOptions) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "extent": options.extent,
        "seed": options.seed,
        "chosen": plan.settings,
        "shared": plan.shared.iter().map(|work| (work.name, &work.settings)).collect::<BTreeMap<_, _>>(),
    })
}
