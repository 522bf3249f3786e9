//! What must be saved beside the optimizer's state.

use std::path::Path;

use burn_penalty::{RecordError, files};
use serde::{Deserialize, Serialize};

/// Its name in messages.
const WHAT: &str = "the record of a penalty";

/// The state of a [`GradientNorm`](super::GradientNorm) or a [`HutchinsonTrace`](super::HutchinsonTrace), to be saved beside
/// the model's and the optimizer's records. With it and the same configuration a resumed run takes the very steps that an
/// uninterrupted one would have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PenaltyRecord {
    /// Steps taken: what probes and dropout masks depend on.
    pub steps: u64,
}

impl PenaltyRecord {
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
