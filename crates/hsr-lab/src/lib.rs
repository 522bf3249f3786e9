//! The laboratory of HSR regularisation: tasks, training runs, curvature of trained weights, figures.
//!
//! * [`data`], [`tasks`]: what is learned from.
//! * [`train`]: runs with a directory, a checkpoint and a summary.
//! * [`compare`]: methods over seeds, with tests and a report.
//! * [`inspect`](mod@inspect): exact curvature of weights from any framework.
//! * [`spectrum`]: eigenvalues, dense or by Lanczos.
//! * [`landscape`]: the loss around and between the networks of a run.
//! * [`statistics`]: paired tests and quartiles.
//! * [`reproduce`](mod@reproduce): the paper's figures with their claims checked.
//! * [`figures`] are the pictures.

pub mod compare;
pub mod data;
mod error;
pub mod figures;
mod files;
pub mod inspect;
pub mod landscape;
pub mod network;
pub mod report;
pub mod reproduce;
pub mod scores;
pub mod spectrum;
pub mod statistics;
pub mod tasks;
pub mod train;
mod weights;

pub use burn_hsr;
pub use error::LabError;
pub use hsr_core;
pub use weights::Weights;
