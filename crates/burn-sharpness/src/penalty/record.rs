//! What must be saved beside the optimizer's state.

use burn_penalty::RecordError;
use serde::{Deserialize, Serialize};

/// The state of a [`GradientNorm`](super::GradientNorm) or a [`HutchinsonTrace`](super::HutchinsonTrace), to be saved beside
/// the model's and the optimizer's records. With it and the same configuration a resumed run takes the very steps that an
/// uninterrupted one would have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PenaltyRecord {
    /// Steps taken: what probes and dropout masks depend on.
    pub steps: u64,
}

burn_penalty::record_files!(PenaltyRecord, "the record of a penalty");
