//! Data sets: reading a CSV or IDX files, interpreting labels, splitting and standardising.
//!
//! ```text
//! Table (a CSV, labels still text) ── into_dataset ──> Dataset (class indices) ── Split, Standardizer
//! Idx (images or labels in bytes)  ── tasks::mnist ──> Dataset
//! ```
//!
//! ```
//! use hsr_lab::data::{Standardizer, stratified_split};
//! use hsr_lab::tasks::{self, TaskOptions};
//!
//! let data = tasks::load("iris", &TaskOptions::default(), 0)?;
//! let split = stratified_split(&data.labels, data.classes(), 0.2, 0)?;
//! let (mut train, mut test) = (data.subset(&split.train), data.subset(&split.test));
//! assert_eq!((train.class_counts(), test.class_counts()), (vec![40; 3], vec![10; 3]));
//!
//! // What the test split is like must not be known: it is scaled as the training split.
//! let standardizer = Standardizer::fit(&train);
//! standardizer.apply(&mut train)?;
//! standardizer.apply(&mut test)?;
//! let mean = train.features.iter().step_by(train.inputs).sum::<f64>() / 120.0;
//! assert!(mean.abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod columns;
mod dataset;
mod error;
mod fault;
mod idx;
mod labels;
mod nearest;
mod noise;
mod number;
mod options;
pub(crate) mod random;
mod read;
mod records;
pub(crate) mod split;
mod standardize;
mod table;
mod warning;
pub(crate) mod wording;

pub use columns::{FeatureColumn, Roles};
pub use dataset::Dataset;
pub use error::{DataError, DataFault, Place};
pub use fault::ColumnFault;
pub use idx::Idx;
pub use nearest::nearest;
pub use noise::corrupt_labels;
pub use options::{Missing, Separator, TableOptions, name_list, written_list};
pub use split::{Split, stratified_split, stratified_subset};
pub use standardize::Standardizer;
pub use table::Table;
pub use warning::{DataWarning, Doubt};
