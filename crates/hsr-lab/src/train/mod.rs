//! Training a plain and a regularised network from the same start, and what comes of both.
//!
//! ```text
//! TrainConfig ── Problem (data, split, standardised) ── Trainer (epochs of one network) ── Run (directory, summary)
//! ```
//!
//! ```
//! use hsr_lab::train::{Control, Run, Source, TrainConfig};
//!
//! let config = TrainConfig {
//!     hidden: 4.into(),
//!     strength: 0.1.into(),
//!     epochs: Some(20),
//!     batch: Some(32),
//!     ..TrainConfig::new(Source::task("iris"))
//! };
//! let directory = tempfile::tempdir()?;
//! let run = Run::create(config, &directory.path().join("run"))?;
//! let summary = run.execute(|progress| {
//!     assert!(progress.done <= progress.total);
//!     Control::Continue // or Control::Stop, to be taken up by Run::resume
//! })?;
//! assert_eq!(summary.parameters, 4 * (4 + 1) + 3 * (4 + 1));
//! assert!(summary.networks["hsr"].lambda_sup < summary.networks["plain"].lambda_sup);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod architecture;
mod checkpoint;
mod config;
mod figures;
mod learner;
pub(crate) mod measure;
mod method;
mod optimizer;
pub(crate) mod problem;
pub(crate) mod reading;
mod refinements;
mod rule;
mod run;
mod saved;
mod source;
mod stored;
mod summary;
pub(crate) mod trainer;

pub(crate) use architecture::{Architecture, check_rule};
pub use config::TrainConfig;
pub use method::Method;
pub use optimizer::Optimizer;
pub use refinements::{ClassWeights, Refinements};
pub use run::{Control, Progress, Run};
pub(crate) use saved::network_file;
pub use saved::{SavedRun, Split};
pub use source::Source;
pub(crate) use stored::versions;
pub use summary::{ClassSummary, Estimate, Estimates, NetworkSummary, Summary};
