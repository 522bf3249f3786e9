//! Methods over seeds, from identical starts, with tests of what differs.
//!
//! ```text
//! CompareConfig ── Comparison (directory, threads) ── RunRecord a method and seed ── Findings (medians, tests)
//!                                                                                       └─ table, CSVs, figures, report
//! ```
//!
//! For a seed every method has the same data, split, start weights and order of samples, so that runs of a seed are
//! pairs. Each run depends on its own options alone: the results are the same bit for bit whatever the number of threads,
//! and whether or not the comparison was interrupted.
//!
//! ```
//! use hsr_lab::compare::{Budget, CompareConfig, Comparison, Contender, Metric};
//! use hsr_lab::train::{Control, Method, Source, TrainConfig};
//!
//! let training = TrainConfig {
//!     hidden: 4.into(),
//!     epochs: Some(5),
//!     batch: Some(32),
//!     ..TrainConfig::new(Source::task("iris"))
//! };
//! let directory = tempfile::tempdir()?;
//! let methods = vec![Contender::new(Method::Plain), Contender::new(Method::Hsr)];
//! let config = CompareConfig { methods, seeds: 3, tune: None, budget: Budget::Epochs, training };
//! let comparison = Comparison::open(config, &directory.path().join("comparison"))?;
//! let findings = comparison.execute(1, |_| Control::Continue)?;
//! let test = findings.test(Metric::LambdaMax, Method::Plain, Method::Hsr);
//! assert!(test.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod across;
mod budget;
mod command;
mod config;
mod contender;
mod figures;
mod findings;
mod metric;
mod record;
mod report;
mod runner;
mod store;
mod tuning;

pub use across::{Across, Ranks};
pub use budget::Budget;
pub use config::CompareConfig;
pub use contender::Contender;
pub use findings::{Findings, MethodFindings, PairTest};
pub use metric::Metric;
pub use record::RunRecord;
pub use runner::{CompareProgress, Comparison};
pub use tuning::{Trial, TunedMethod};
