//! What a regulariser must remember to go on where it was.

use burn_penalty::RecordError;
use serde::{Deserialize, Serialize};

use crate::probes::ProbeAverages;

/// The state of an [`Hsr`](crate::Hsr), to be saved beside the model's and the optimizer's records. With it and the
/// same configuration a resumed run takes the very steps that an uninterrupted one would have taken.
///
/// ```
/// use burn_hsr::{HsrConfig, HsrRecord};
///
/// let config = HsrConfig::new();
/// let bytes = config.init()?.to_record()?.into_bytes();
/// let hsr = config.init()?.load_record(HsrRecord::from_bytes(&bytes)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsrRecord {
    /// Steps taken: what the schedule, the choice of rows and the probes depend on.
    pub steps: u64,
    /// What probes said so far, where they are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averages: Option<ProbeAverages>,
    /// The running mean of the loss's gradient, where the strength is [projected](crate::Strength::Projected) as the default
    /// is: one list for each parameter, in the order of the layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<Vec<f64>>>,
}

burn_penalty::record_files!(HsrRecord, "the record of a regulariser");
