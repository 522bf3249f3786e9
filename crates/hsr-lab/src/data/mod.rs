//! Data sets: reading a CSV, interpreting its labels, splitting and standardising.
//!
//! ```text
//! Table (a CSV, labels still text) ── into_dataset ──> Dataset (class indices) ── Split, Standardizer
//! ```

mod dataset;
mod error;
mod labels;
pub(crate) mod nearest;
pub(crate) mod random;
mod split;
mod standardize;
mod table;

pub use dataset::Dataset;
pub use error::{ColumnRole, DataError, Side};
pub use split::{Split, stratified_split};
pub use standardize::Standardizer;
pub use table::Table;
