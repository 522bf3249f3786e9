//! What a regulariser must remember to go on where it was.

use std::path::Path;

use burn_penalty::{RecordError, files};
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

/// Its name in messages.
const WHAT: &str = "the record of a regulariser";

impl HsrRecord {
    /// The record as JSON.
    pub fn into_bytes(self) -> Vec<u8> {
        files::to_bytes(&self)
    }

    /// The record from its bytes.
    ///
    /// # Errors
    ///
    /// [`RecordError::Format`] where the bytes are no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        files::from_bytes(bytes, WHAT)
    }

    /// Writes the record, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`RecordError::File`] where the file cannot be written.
    pub fn save(self, path: impl AsRef<Path>) -> Result<(), RecordError> {
        files::save(&self, path.as_ref())
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] where the file cannot be read or is no record.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        files::load(path.as_ref(), WHAT)
    }
}
