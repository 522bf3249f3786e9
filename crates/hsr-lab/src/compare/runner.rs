//! The runs, one after the other in each of several threads.
//!
//! Threads do not disturb each other's numbers: Burn's autodiff graphs are apart where they share no tracked tensor, its
//! generator, which is one for the process, is not used, and each run draws from generators of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use burn::tensor::Device;

use super::config::CompareConfig;
use super::contender::Contender;
use super::findings::Findings;
use super::record::RunRecord;
use super::store::{self, Store, Stored};
use super::tuning::{self, Trial};
use super::{figures, record, report};
use crate::data::DataWarning;
use crate::error::LabError;
use crate::train::problem::Problem;
use crate::train::reading::Reading;
use crate::train::{Control, Method, versions};
use crate::workers::{self, locked};
use crate::{files, pictures};

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
    /// The directory's files, which nobody else writes.
    store: Store,
    /// What the seeds draw their data from, read once.
    reading: Reading,
    first: Arc<Problem>,
    /// In the order in which they are done: all methods of a seed before the next seed, and before them what is tried.
    trials: Vec<Job>,
    pending: Vec<Job>,
}

/// A network to be trained.
#[derive(Clone, Copy)]
struct Job {
    contender: Contender,
    seed: u64,
    /// Its place among the strengths that are tried; none where it is a run of the comparison.
    number: Option<usize>,
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
        let reading = Reading::of(&config.training.source)?;
        let first = Problem::of(&config.training, &reading, &device)?;
        let epochs = config.training.settle_epochs(first.train.data.samples());
        let stored = Stored {
            versions: versions(),
            data_fingerprint: first.fingerprint.clone(),
            config: config.clone(),
        };
        let store = store::open(directory, &stored)?;
        let (mut trials, mut pending) = (Vec::new(), Vec::new());
        for seed in config.seeds() {
            let job = |contender, number| Job {
                contender,
                seed,
                number,
            };
            for &contender in &config.methods {
                let method = contender.method;
                for (number, contender) in config.tried(contender).into_iter().enumerate() {
                    if store.read_trial(method, seed, number)?.is_none() {
                        trials.push(job(contender, Some(number)));
                    }
                }
                if store.read(method, seed)?.is_none() {
                    pending.push(job(contender, None));
                }
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            config,
            epochs,
            device,
            store,
            reading,
            first: Arc::new(first),
            trials,
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

    /// Runs in all, those in which strengths are tried too.
    pub fn runs(&self) -> usize {
        let methods = self.config.methods.iter();
        let tried: usize = methods.map(|&it| self.config.tried(it).len()).sum();
        self.compared() + tried * self.config.seeds
    }

    /// Runs that are compared.
    fn compared(&self) -> usize {
        self.config.methods.len() * self.config.seeds
    }

    /// Runs that are not done.
    pub fn pending(&self) -> usize {
        self.trials.len() + self.pending.len()
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
        let mut shared = Shared {
            comparison: self,
            jobs: self.trials.clone(),
            stop: AtomicBool::new(false),
            problem: Mutex::new((self.config.training.seed, Arc::clone(&self.first))),
            observer: Mutex::new(Observer {
                observe,
                epochs: self.epochs * (self.runs() - self.pending()),
                runs: self.runs() - self.pending(),
            }),
        };
        shared.work_all(jobs)?;
        if !shared.stop.load(Ordering::Relaxed) {
            shared.jobs = self.chosen()?;
            shared.problem = Mutex::new((self.config.training.seed, Arc::clone(&self.first)));
            shared.work_all(jobs)?;
        }
        self.conclude()
    }

    /// What was tried, in the order of methods, seeds and strengths.
    fn tried(&self) -> Result<Vec<Trial>, LabError> {
        let mut trials = Vec::new();
        for &contender in &self.config.methods {
            for seed in self.config.seeds() {
                for number in 0..self.config.tried(contender).len() {
                    trials.extend(self.store.read_trial(contender.method, seed, number)?);
                }
            }
        }
        Ok(trials)
    }

    /// The pending runs, each with the strength that was best.
    fn chosen(&self) -> Result<Vec<Job>, LabError> {
        let trials = self.tried()?;
        let strength = |job: &Job| {
            let of_job =
                |trial: &&Trial| (trial.method, trial.seed) == (job.contender.method, job.seed);
            tuning::best(trials.iter().filter(of_job)).map(|trial| trial.strength)
        };
        let chosen = self.pending.iter().map(|job| Job {
            contender: Contender {
                strength: strength(job).unwrap_or(job.contender.strength),
                ..job.contender
            },
            ..*job
        });
        Ok(chosen.collect())
    }

    /// Reads the runs back, in the order of methods and seeds, and writes what follows from them.
    fn conclude(&self) -> Result<Findings, LabError> {
        let mut records = Vec::with_capacity(self.runs());
        for contender in &self.config.methods {
            for seed in self.config.seeds() {
                records.extend(self.store.read(contender.method, seed)?);
            }
        }
        let trials = self.tried()?;
        if records.len() < self.compared() {
            return Err(LabError::Paused {
                done: records.len() + trials.len(),
                total: self.runs(),
                path: self.directory.clone(),
            });
        }
        let mut findings = Findings::new(&self.config, &self.first, &self.directory, &records);
        findings.tuning = tuning::tuned(&self.config, &trials);
        findings.missing = self.write(&findings, &records)?;
        Ok(findings)
    }

    /// Writes what there is to read, numbers first; gives what could not be drawn, and why.
    fn write(&self, findings: &Findings, records: &[RunRecord]) -> Result<Vec<String>, LabError> {
        let save = |name: &str, bytes: &[u8]| files::write(&self.directory.join(name), bytes);
        let mut notes = Vec::new();
        save("runs.csv", super::findings::runs_csv(records).as_bytes())?;
        save("statistics.csv", findings.statistics_csv().as_bytes())?;
        for (name, figure) in figures::sheets(findings, records) {
            pictures::write(&self.directory, name, figure, &mut notes)?;
        }
        if !findings.tuning.is_empty() {
            let figure = tuning::figure(&findings.tuning);
            pictures::write(&self.directory, "tuning", figure, &mut notes)?;
        }
        match report::report(&self.config, findings, records, &self.directory) {
            Ok(report) => save("report.html", report.as_bytes())?,
            Err(error) => notes.push(format!("no report.html: {error}")),
        }
        Ok(notes)
    }
}

/// What the threads share.
struct Shared<'a, F> {
    comparison: &'a Comparison,
    jobs: Vec<Job>,
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
    /// Does all jobs in so many threads. An error stops every thread after its epoch.
    fn work_all(&self, threads: usize) -> Result<(), LabError> {
        workers::each(threads, &self.jobs, &self.stop, |job| self.work(job))
    }

    fn work(&self, job: &Job) -> Result<(), LabError> {
        let Comparison {
            config,
            epochs,
            device,
            store,
            ..
        } = self.comparison;
        let Job {
            contender,
            seed,
            number,
        } = *job;
        let problem = self.problem(contender, seed)?;
        let run = config.run(contender, seed);
        let method = contender.method;
        let mut taken = 0;
        let after_epoch = || {
            taken += 1;
            self.report(method, seed, 1, 0)
        };
        let limit = (config.budget, *epochs);
        match number {
            None => match record::run(&run, limit, &problem, device, after_epoch)? {
                Some(record) => store.write(&record)?,
                None => return Ok(()),
            },
            Some(number) => {
                let inner = problem.inner(seed, device)?;
                let validated = record::validate(&run, limit, &inner, device, after_epoch)?;
                let Some(validation) = validated else {
                    return Ok(());
                };
                store.write_trial(&Trial {
                    method,
                    seed,
                    number,
                    strength: contender.strength,
                    validation,
                })?;
            }
        }
        // What a run did not take, because it diverged or its steps are dearer, counts as done.
        self.report(method, seed, epochs.saturating_sub(taken), 1);
        Ok(())
    }

    /// The data of a seed, loaded once for all methods.
    fn problem(&self, contender: Contender, seed: u64) -> Result<Arc<Problem>, LabError> {
        let Comparison {
            config,
            device,
            reading,
            ..
        } = self.comparison;
        let mut current = locked(&self.problem);
        if current.0 == seed {
            return Ok(Arc::clone(&current.1));
        }
        let problem = Arc::new(Problem::of(&config.run(contender, seed), reading, device)?);
        // A straggler of the seed before must not take the place of the seed that most are at.
        if seed > current.0 {
            *current = (seed, Arc::clone(&problem));
        }
        Ok(problem)
    }

    fn report(&self, method: Method, seed: u64, epochs: usize, runs: usize) -> Control {
        let mut observer = locked(&self.observer);
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
