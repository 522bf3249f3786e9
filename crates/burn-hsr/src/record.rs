//! What a regulariser must remember to go on where it was.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::probes::ProbeAverages;

/// The state of an [`Hsr`](crate::Hsr), to be saved beside the model's and the optimizer's records. With it and the
/// same configuration a resumed run takes the very steps that an uninterrupted one would have taken.
///
/// ```
/// use burn_hsr::{HsrConfig, HsrRecord};
///
/// let config = HsrConfig::new();
/// let bytes = config.init()?.to_record().into_bytes();
/// let hsr = config.init()?.load_record(HsrRecord::from_bytes(&bytes)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsrRecord {
    /// Steps taken: what the schedule, the choice of rows and the probes depend on.
    pub steps: u64,
    /// What probes said so far, where they are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averages: Option<ProbeAverages>,
}

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HsrRecordError {
    /// The bytes are not a record.
    #[error("not the record of a regulariser: {message}")]
    Format {
        /// What is wrong.
        message: String,
    },
    /// The file could not be written or read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

impl HsrRecord {
    /// The record as JSON.
    pub fn into_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("numbers are JSON")
    }

    /// The record from its bytes.
    ///
    /// # Errors
    ///
    /// [`HsrRecordError::Format`] where the bytes are no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HsrRecordError> {
        serde_json::from_slice(bytes).map_err(|error| HsrRecordError::Format {
            message: error.to_string(),
        })
    }

    /// Writes the record, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`HsrRecordError::File`] where the file cannot be written.
    pub fn save(self, path: impl AsRef<Path>) -> Result<(), HsrRecordError> {
        let path = path.as_ref();
        let refuse = |error| HsrRecordError::File {
            path: path.to_owned(),
            error,
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        let beside = PathBuf::from(beside);
        std::fs::write(&beside, self.into_bytes()).map_err(refuse)?;
        std::fs::rename(&beside, path).map_err(refuse)
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`HsrRecordError`] where the file cannot be read or is no record.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HsrRecordError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| HsrRecordError::File {
            path: path.to_owned(),
            error,
        })?;
        Self::from_bytes(&bytes)
    }
}
