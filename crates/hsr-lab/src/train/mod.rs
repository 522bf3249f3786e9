//! Training a plain and a regularised network from the same start, and what comes of both.
//!
//! ```text
//! TrainConfig ── Problem (data, split, standardised) ── Trainer (epochs of one network) ── Run (directory, summary)
//! ```
//!
//! ```
//! use burn_hsr::{Activation, Backend, Mode};
//! use hsr_lab::NetworkKind;
//! use hsr_lab::tasks::TaskOptions;
//! use hsr_lab::train::{Control, Method, Optimizer, Run, Source, TrainConfig};
//!
//! let config = TrainConfig {
//!     source: Source::Task { name: "iris".to_owned(), options: TaskOptions::default() },
//!     method: Method::Hsr,
//!     backend: Backend::Flex.into(),
//!     optimizer: Optimizer::Sgd,
//!     learning_rate: 0.1,
//!     network: NetworkKind::Mlp,
//!     hidden: 4.into(),
//!     activation: Activation::Tanh.into(),
//!     residual: false,
//!     strength: 0.1.into(),
//!     mode: Mode::Coupled,
//!     epochs: Some(20),
//!     batch: Some(32),
//!     test_fraction: 0.25,
//!     seed: 0,
//!     train_samples: None,
//!     label_noise: 0.0,
//!     refinements: Default::default(),
//!     memory: Default::default(),
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
