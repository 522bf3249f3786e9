//! What must be saved beside the optimizer's state.

use burn::optim::OptimizerRecord;
use burn_penalty::{ParameterValues, RecordError};
use serde::{Deserialize, Serialize};

/// The state of a [`SamGradient`](super::SamGradient), to be saved beside the model's and the optimizer's records. With
/// it and the same configuration a resumed run takes the very steps that an uninterrupted one would have taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamGradientRecord {
    /// Steps taken: what dropout masks, NSO's noise and the turns of LookSAM and Eigen-SAM depend on.
    pub steps: u64,
    /// The learning rate that ρ follows, where one is known.
    pub rate: Option<f64>,
    /// Friendly-SAM's running mean, LookSAM's direction or Eigen-SAM's vector; `None` for methods that remember nothing.
    pub memory: Option<Vec<ParameterValues>>,
}

burn_penalty::record_files!(SamGradientRecord, "the record of a sharpness-aware method");

/// The state of a [`Sam`](super::Sam), to be saved beside the model's record: of the method and of its optimizer. With it
/// and the same configuration a resumed run takes the very steps that an uninterrupted one would have taken.
#[derive(Debug)]
pub struct SamRecord {
    /// Of the method.
    pub gradient: SamGradientRecord,
    /// Of the optimizer.
    pub optimizer: OptimizerRecord,
}

burn_penalty::record_files!(SamRecord, with an optimizer, "the record of a sharpness-aware method");
