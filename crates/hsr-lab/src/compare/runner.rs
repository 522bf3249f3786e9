//! The runs, one after the other in each of several threads.
//!
//! Threads do not disturb each other's numbers: Burn's autodiff graphs are apart where they share no tracked tensor, its
//! generator, which is one for the process, is not used, and each run draws from generators of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;

use super::store::{self, Stored};
use super::{CompareConfig, Contender, Findings, RunRecord, figures, record, report};
use crate::data::DataWarning;
use crate::train::problem::Problem;
use crate::train::{Control, Method, versions};
use crate::{LabError, files};

/// What the observer of a comparison is told after every epoch of every run.
#[derive(Clone, Copy, Debug)]
pub struct CompareProgress {
    /// The method of the run that went on.
    pub method: Method,
    /// Its seed.
    pub seed: u64,
    /// Epochs of all runs that are done.
    pub done: usize,
    /// Epochs of all runs.
    pub total: usize,
    /// Runs that are done.
    pub runs: usize,
    /// Runs in all.
    pub of: usize,
}

/// A comparison and its directory, new or with some of its runs done.
pub struct Comparison {
    directory: PathBuf,
    config: CompareConfig,
    epochs: usize,
    device: Device,
    first: Arc<Problem>,
    /// In the order in which they are done: all methods of a seed before the next seed.
    pending: Vec<(Contender, u64)>,
}

impl Comparison {
    /// A new comparison in `directory`, which must not exist or be empty; or, where that holds the same comparison, the
    /// rest of it. Data and options are checked before anything is written.
    ///
    /// # Errors
    ///
    /// A [`LabError`] that names the option, file or directory at fault, above all where the directory is that of a
    /// comparison with other options or data.
    pub fn open(mut config: CompareConfig, directory: &Path) -> Result<Self, LabError> {
        config.settle()?;
        let device = config.training.backend.device()?;
        let first = Problem::load(&config.training, &device)?;
        let epochs = config.training.settle_epochs(first.train.data.samples());
        let stored = Stored {
            versions: versions(),
            data_fingerprint: first.fingerprint.clone(),
            config: config.clone(),
        };
        store::open(directory, &stored)?;
        let mut pending = Vec::new();
        for seed in config.seeds() {
            for &contender in &config.methods {
                if store::read(directory, contender.method, seed)?.is_none() {
                    pending.push((contender, seed));
                }
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            config,
            epochs,
            device,
            first: Arc::new(first),
            pending,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &CompareConfig {
        &self.config
    }

    /// What looks wrong with the data.
    pub fn warnings(&self) -> &[DataWarning] {
        &self.first.warnings
    }

    /// Runs in all.
    pub fn runs(&self) -> usize {
        self.config.methods.len() * self.config.seeds
    }

    /// Runs that are not done.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Epochs of all runs.
    pub fn epochs(&self) -> usize {
        self.epochs * self.runs()
    }

    /// Does the pending runs in `jobs` threads and writes tables, figures and the report. `observe` is called by one
    /// thread at a time.
    ///
    /// # Errors
    ///
    /// [`LabError::Paused`] where the observer stopped it, and what can go wrong with data, devices and files; what
    /// is finished by then is kept.
    pub fn execute(
        &self,
        jobs: usize,
        observe: impl FnMut(CompareProgress) -> Control + Send,
    ) -> Result<Findings, LabError> {
        let shared = Shared {
            comparison: self,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            problem: Mutex::new((self.config.training.seed, Arc::clone(&self.first))),
            observer: Mutex::new(Observer {
                observe,
                epochs: self.epochs * (self.runs() - self.pending()),
                runs: self.runs() - self.pending(),
            }),
        };
        let threads = jobs.clamp(1, self.pending.len().max(1));
        let results: Vec<Result<(), LabError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| shared.work()))
                .collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined
                .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        results.into_iter().collect::<Result<(), _>>()?;
        self.conclude()
    }

    /// Reads the runs back, in the order of methods and seeds, and writes what follows from them.
    fn conclude(&self) -> Result<Findings, LabError> {
        let mut records = Vec::with_capacity(self.runs());
        for contender in &self.config.methods {
            for seed in self.config.seeds() {
                records.extend(store::read(&self.directory, contender.method, seed)?);
            }
        }
        if records.len() < self.runs() {
            return Err(LabError::Paused {
                done: records.len(),
                total: self.runs(),
                path: self.directory.clone(),
            });
        }
        let findings = Findings::new(&self.config, &self.first, &self.directory, &records);
        self.write(&findings, &records)?;
        Ok(findings)
    }

    fn write(&self, findings: &Findings, records: &[RunRecord]) -> Result<(), LabError> {
        let save = |name: &str, bytes: &[u8]| files::write(&self.directory.join(name), bytes);
        save("runs.csv", super::findings::runs_csv(records).as_bytes())?;
        save("statistics.csv", findings.statistics_csv().as_bytes())?;
        for (name, figure) in figures::sheets(findings, records)? {
            save(&format!("{name}.svg"), figure.svg().as_bytes())?;
            save(&format!("{name}.png"), &figure.png(2.0)?)?;
        }
        let report = report::report(&self.config, findings, records, &self.directory)?;
        save("report.html", report.as_bytes())
    }
}

/// What the threads share.
struct Shared<'a, F> {
    comparison: &'a Comparison,
    next: AtomicUsize,
    stop: AtomicBool,
    /// The data of the seed that is being worked on.
    problem: Mutex<(u64, Arc<Problem>)>,
    observer: Mutex<Observer<F>>,
}

struct Observer<F> {
    observe: F,
    epochs: usize,
    runs: usize,
}

impl<F: FnMut(CompareProgress) -> Control + Send> Shared<'_, F> {
    /// Does one run after the other. An error stops every thread after its epoch.
    fn work(&self) -> Result<(), LabError> {
        let result = self.work_on();
        if result.is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        result
    }

    fn work_on(&self) -> Result<(), LabError> {
        let Comparison {
            config,
            epochs,
            device,
            directory,
            ..
        } = self.comparison;
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&(contender, seed)) = self.comparison.pending.get(index) else {
                break;
            };
            let problem = self.problem(contender, seed)?;
            let run = config.run(contender, seed);
            let record = record::run(&run, *epochs, &problem, device, || {
                self.report(contender.method, seed, 1, 0)
            })?;
            let Some(record) = record else {
                break;
            };
            store::write(directory, &record)?;
            // The epochs that a diverged run did not take count as done.
            let left = record
                .diverged
                .map_or(0, |epoch| epochs.saturating_sub(epoch));
            self.report(contender.method, seed, left, 1);
        }
        Ok(())
    }

    /// The data of a seed, loaded once for all methods.
    fn problem(&self, contender: Contender, seed: u64) -> Result<Arc<Problem>, LabError> {
        let Comparison { config, device, .. } = self.comparison;
        let mut current = lock(&self.problem);
        if current.0 == seed {
            return Ok(Arc::clone(&current.1));
        }
        let problem = Arc::new(Problem::load(&config.run(contender, seed), device)?);
        // A straggler of the seed before must not take the place of the seed that most are at.
        if seed > current.0 {
            *current = (seed, Arc::clone(&problem));
        }
        Ok(problem)
    }

    fn report(&self, method: Method, seed: u64, epochs: usize, runs: usize) -> Control {
        let mut observer = lock(&self.observer);
        observer.epochs += epochs;
        observer.runs += runs;
        let progress = CompareProgress {
            method,
            seed,
            done: observer.epochs,
            total: self.comparison.epochs(),
            runs: observer.runs,
            of: self.comparison.runs(),
        };
        if (observer.observe)(progress) == Control::Stop {
            self.stop.store(true, Ordering::Relaxed);
        }
        if self.stop.load(Ordering::Relaxed) {
            Control::Stop
        } else {
            Control::Continue
        }
    }
}

/// A thread that panicked ends the comparison anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
