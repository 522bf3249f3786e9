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

mod command;
mod config;
mod figures;
mod findings;
mod metric;
mod record;
mod report;
mod runner;
mod store;

pub use config::{CompareConfig, Contender};
pub use findings::{Findings, MethodFindings, PairTest};
pub use metric::Metric;
pub use record::RunRecord;
pub use runner::{CompareProgress, Comparison};
