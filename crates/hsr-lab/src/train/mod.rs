//! Training a plain and a regularised network from the same start, and what comes of both.
//!
//! ```text
//! TrainConfig ── Problem (data, split, standardised) ── Trainer (epochs of one network) ── Run (directory, summary)
//! ```

mod checkpoint;
mod config;
mod figures;
pub(crate) mod measure;
pub(crate) mod problem;
mod run;
mod saved;
mod summary;
pub(crate) mod trainer;

pub use config::{Method, Optimizer, Source, TrainConfig};
pub(crate) use run::versions;
pub use run::{Control, Progress, Run};
pub use saved::{SavedRun, Split};
pub use summary::{NetworkSummary, Summary};
