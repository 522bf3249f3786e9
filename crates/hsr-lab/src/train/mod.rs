//! Training a plain and a regularised network from the same start, and what comes of both.
//!
//! ```text
//! TrainConfig ── Problem (data, split, standardised) ── Trainer (epochs of one network) ── Run (directory, summary)
//! ```

mod checkpoint;
mod config;
mod figures;
mod problem;
mod run;
mod saved;
mod summary;
mod trainer;

pub use config::{Method, Optimizer, Source, TrainConfig};
pub use run::{Control, Progress, Run};
pub use saved::{SavedRun, Split};
pub use summary::{NetworkSummary, Summary};
