//! How an experiment does its work: in units, over several threads, with progress, and so that it can be interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::LabError;
use crate::train::Control;
use crate::workers::{self, locked};
use crate::{files, input};

/// What the observer of a reproduction is told.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The experiment.
    pub experiment: &'a str,
    /// What of it is done at the moment.
    pub stage: &'a str,
    /// The share of all work that is done, 0 to 1.
    pub done: f64,
}

/// Told now and then, from any thread.
pub type Observer<'a> = &'a (dyn Fn(Progress) -> Control + Sync);

/// The work of all experiments together.
pub(super) struct Meter<'a> {
    observer: Observer<'a>,
    /// Expected seconds: of all, and of what is done.
    total: f64,
    done: Mutex<f64>,
    /// The work that experiments share and that is counted already.
    shared: Mutex<BTreeSet<String>>,
    stop: AtomicBool,
}

impl<'a> Meter<'a> {
    pub fn new(observer: Observer<'a>, total: f64) -> Self {
        Self {
            observer,
            total: total.max(f64::MIN_POSITIVE),
            done: Mutex::new(0.0),
            shared: Mutex::new(BTreeSet::new()),
            stop: AtomicBool::new(false),
        }
    }

    pub fn advance(&self, experiment: &str, stage: &str, seconds: f64) {
        let done = {
            let mut done = locked(&self.done);
            *done += seconds;
            (*done / self.total).min(1.0)
        };
        let progress = Progress {
            experiment,
            stage,
            done,
        };
        if (self.observer)(progress) == Control::Stop {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Results of units that are done already.
#[derive(Serialize, Deserialize)]
struct Part<T> {
    key: Value,
    results: Vec<(usize, T)>,
}

/// The least time between two writes of a part: what a kill may cost.
const SAVE_EVERY: Duration = Duration::from_secs(3);

/// Work whose results several experiments use. It is done by the first of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shared {
    pub name: &'static str,
    pub settings: Value,
    /// Expected seconds.
    pub cost: f64,
}

impl Shared {
    pub fn new(name: &'static str, cost: f64, settings: impl Serialize) -> Self {
        Self {
            name,
            settings: settings_json(settings),
            cost,
        }
    }
}

/// What was chosen, as the files have it.
pub(super) fn settings_json(settings: impl Serialize) -> Value {
    serde_json::to_value(settings).expect("plain data with string keys always serialises")
}

/// What an experiment works with.
pub(super) struct Context<'a> {
    /// The experiment.
    pub name: &'a str,
    /// Where parts are kept until the experiment is done.
    pub folder: &'a Path,
    /// Everything that the results depend on.
    pub key: Value,
    pub seed: u64,
    pub jobs: NonZero<usize>,
    pub meter: &'a Meter<'a>,
    /// Expected seconds.
    pub cost: f64,
}

impl Context<'_> {
    /// The same on one thread, for what is timed.
    pub fn alone(&self) -> Context<'_> {
        Context {
            key: self.key.clone(),
            jobs: NonZero::<usize>::MIN,
            ..*self
        }
    }

    /// The same for work whose results several experiments use, known by a name and settings of its own.
    pub fn shared(&self, work: &Shared) -> Context<'_> {
        let counted = !locked(&self.meter.shared).insert(work.name.to_owned());
        Context {
            name: work.name,
            key: json!({
                "version": env!("CARGO_PKG_VERSION"),
                "seed": self.seed,
                "chosen": work.settings,
            }),
            cost: if counted { 0.0 } else { work.cost },
            ..*self
        }
    }

    /// Does `count` units of work and gives their results in order, whatever order they were done in. `share` of the
    /// experiment's work they are. Units done in an earlier, interrupted call are not done again.
    ///
    /// # Errors
    ///
    /// The first error of a unit; [`LabError::Halted`] where the observer stopped it.
    pub fn map<T: Serialize + DeserializeOwned + Send>(
        &self,
        stage: &str,
        share: f64,
        count: usize,
        unit: impl Fn(usize) -> Result<T, LabError> + Sync,
    ) -> Result<Vec<T>, LabError> {
        let path = self.part(stage);
        let known: BTreeMap<usize, T> = self.load(&path).into_iter().collect();
        let seconds = share * self.cost / count.max(1) as f64;
        self.meter
            .advance(self.name, stage, seconds * known.len() as f64);
        let pending: Vec<usize> = (0..count).filter(|i| !known.contains_key(i)).collect();
        let state = Mutex::new((known, Instant::now()));
        workers::each(self.jobs.get(), &pending, &self.meter.stop, |&index| {
            let result = unit(index)?;
            let mut state = locked(&state);
            let (results, saved) = &mut *state;
            results.insert(index, result);
            if saved.elapsed() >= SAVE_EVERY {
                self.save(&path, results)?;
                *saved = Instant::now();
            }
            drop(state);
            self.meter.advance(self.name, stage, seconds);
            Ok::<_, LabError>(())
        })?;
        let (results, _) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !pending.is_empty() {
            self.save(&path, &results)?;
        }
        if results.len() < count {
            return Err(LabError::Halted {
                experiment: self.name.to_owned(),
            });
        }
        Ok(results.into_values().collect())
    }

    fn part(&self, stage: &str) -> PathBuf {
        let stage: String = stage
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        self.folder.join(format!("{}-{stage}.json", self.name))
    }

    /// What an earlier call left; nothing where it belongs to other settings or is not as it was written.
    fn load<T: DeserializeOwned>(&self, path: &Path) -> Vec<(usize, T)> {
        let part = input::read(path)
            .ok()
            .and_then(|bytes| files::unsealed::<Part<T>>(&bytes, "").ok());
        match part {
            Some((part, _)) if part.key == self.key => part.results,
            _ => Vec::new(),
        }
    }

    fn save<T: Serialize>(
        &self,
        path: &Path,
        results: &BTreeMap<usize, T>,
    ) -> Result<(), LabError> {
        let part = Part {
            key: self.key.clone(),
            results: results
                .iter()
                .map(|(index, result)| (*index, result))
                .collect(),
        };
        let (bytes, _) = files::sealed(&part, "");
        files::write(path, &bytes)
    }
}

/// Removes what a call with more to do would have gone on from. A file that stays is no error: it is read only where its
/// key fits.
pub(super) fn discard_parts(folder: &Path, name: &str) {
    let prefix = format!("{name}-");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn context<'a>(folder: &'a Path, jobs: usize, key: u64, meter: &'a Meter<'a>) -> Context<'a> {
        Context {
            name: "test",
            folder,
            key: json!(key),
            seed: 0,
            jobs: NonZero::new(jobs).unwrap(),
            meter,
            cost: 1.0,
        }
    }

    /// Does 20 units, at most `most` of them, and counts how often each was done.
    fn work(
        folder: &Path,
        jobs: usize,
        key: u64,
        most: usize,
        counts: &[AtomicUsize; 20],
    ) -> Result<Vec<f64>, LabError> {
        let seen = AtomicUsize::new(0);
        let observer = |_: Progress| match seen.fetch_add(1, Ordering::Relaxed) {
            n if n >= most => Control::Stop,
            _ => Control::Continue,
        };
        let meter = Meter::new(&observer, 1.0);
        context(folder, jobs, key, &meter).map("stage", 1.0, 20, |i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
            // Not representable in few digits: what is read back must be the same number.
            Ok((i as f64 + key as f64).sqrt())
        })
    }

    fn expected(key: u64) -> Vec<f64> {
        (0..20)
            .map(|i| (f64::from(i) + key as f64).sqrt())
            .collect()
    }

    fn none() -> [AtomicUsize; 20] {
        std::array::from_fn(|_| AtomicUsize::new(0))
    }

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        for jobs in [1, 2, 7, 50] {
            let folder = tempfile::tempdir().unwrap();
            let results = work(folder.path(), jobs, 2, usize::MAX, &none()).unwrap();
            assert_eq!(results, expected(2));
        }
    }

    #[test]
    fn an_interrupted_call_leaves_what_is_done_to_the_next() {
        for jobs in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let counts = none();
            let error = work(folder.path(), jobs, 2, 6, &counts).unwrap_err();
            assert!(matches!(&error, LabError::Halted { experiment } if experiment == "test"));
            let done = counts
                .iter()
                .filter(|n| n.load(Ordering::Relaxed) > 0)
                .count();
            assert!((6..20).contains(&done), "{done}");
            assert_eq!(
                work(folder.path(), jobs, 2, usize::MAX, &counts).unwrap(),
                expected(2)
            );
            assert!(counts.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            // With other settings nothing of it counts.
            assert_eq!(
                work(folder.path(), jobs, 3, usize::MAX, &none()).unwrap(),
                expected(3)
            );
        }
    }

    #[test]
    fn a_part_that_cannot_be_read_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        work(folder.path(), 1, 2, usize::MAX, &none()).unwrap();
        let part = folder.path().join("test-stage.json");
        let text = std::fs::read_to_string(&part).unwrap();
        std::fs::write(&part, &text[..text.len() / 2]).unwrap();
        let counts = none();
        assert_eq!(
            work(folder.path(), 1, 2, usize::MAX, &counts).unwrap(),
            expected(2)
        );
        assert!(counts.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        discard_parts(folder.path(), "test");
        assert!(!part.exists());
    }

    #[test]
    fn an_error_of_a_unit_is_the_error_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let observer = |_: Progress| Control::Continue;
        let meter = Meter::new(&observer, 1.0);
        let result = context(folder.path(), 2, 2, &meter).map("stage", 1.0, 9, |i| match i {
            5 => Err(hsr_core::Error::Eigenvalues.into()),
            i => Ok(i),
        });
        assert!(matches!(
            result,
            Err(LabError::Core(hsr_core::Error::Eigenvalues))
        ));
    }
}
