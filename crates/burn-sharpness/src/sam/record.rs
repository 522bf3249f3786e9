//! What must be saved beside the optimizer's state.

use std::path::Path;

use burn::optim::OptimizerRecord;
use burn_penalty::{ParameterValues, RecordError, files};
use serde::{Deserialize, Serialize};

/// Its name in messages.
const WHAT: &str = "the record of a sharpness-aware method";

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

impl SamGradientRecord {
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

/// The state of a [`Sam`](super::Sam), to be saved beside the model's record: of the method and of its optimizer. With it
/// and the same configuration a resumed run takes the very steps that an uninterrupted one would have taken.
#[derive(Debug)]
pub struct SamRecord {
    /// Of the method.
    pub gradient: SamGradientRecord,
    /// Of the optimizer.
    pub optimizer: OptimizerRecord,
}

impl SamRecord {
    /// Both in one: JSON, and Burn's own format.
    ///
    /// # Errors
    ///
    /// [`RecordError::Optimizer`].
    pub fn into_bytes(self) -> Result<Vec<u8>, RecordError> {
        files::to_bytes_with(&self.gradient, self.optimizer)
    }

    /// The record from its bytes.
    ///
    /// # Errors
    ///
    /// [`RecordError`] where the bytes are no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (gradient, optimizer) = files::from_bytes_with(bytes, WHAT)?;
        Ok(Self {
            gradient,
            optimizer,
        })
    }

    /// Writes the record, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`RecordError::File`] where the file cannot be written, [`RecordError::Optimizer`].
    pub fn save(self, path: impl AsRef<Path>) -> Result<(), RecordError> {
        files::save_with(&self.gradient, self.optimizer, path.as_ref())
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] where the file cannot be read or is no record.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let (gradient, optimizer) = files::load_with(path.as_ref(), WHAT)?;
        Ok(Self {
            gradient,
            optimizer,
        })
    }
}
