//! Data sets: reading a CSV or IDX files, interpreting labels, splitting and standardising.
//!
//! ```text
//! Table (a CSV, labels still text) ── into_dataset ──> Dataset (class indices) ── Split, Standardizer
//! Idx (images or labels in bytes)  ── tasks::mnist ──> Dataset
//! ```

mod dataset;
mod error;
mod idx;
mod labels;
mod nearest;
mod noise;
pub(crate) mod random;
pub(crate) mod split;
mod standardize;
mod table;

pub use dataset::Dataset;
pub use error::{ColumnRole, DataError, Side};
pub use idx::{Idx, IdxError};
pub use nearest::nearest;
pub use noise::corrupt_labels;
pub use split::{Split, stratified_split, stratified_subset};
pub use standardize::Standardizer;
pub use table::Table;
