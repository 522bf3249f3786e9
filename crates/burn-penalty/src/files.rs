//! Records as JSON, in bytes and in files.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are not a record.
    #[error("not {what}: {message}")]
    Format {
        /// What they should be.
        what: &'static str,
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

/// A record as JSON.
pub fn to_bytes(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("finite numbers are JSON, and others become null")
}

/// A record from its bytes; `what` is its name in a message.
///
/// # Errors
///
/// [`RecordError::Format`] where the bytes are no record.
pub fn from_bytes<R: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<R, RecordError> {
    serde_json::from_slice(bytes).map_err(|error| RecordError::Format {
        what,
        message: error.to_string(),
    })
}

/// Writes a record, whole or not at all.
///
/// # Errors
///
/// [`RecordError::File`] where the file cannot be written.
pub fn save(record: &impl Serialize, path: &Path) -> Result<(), RecordError> {
    let refuse = |error| RecordError::File {
        path: path.to_owned(),
        error,
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, to_bytes(record)).map_err(refuse)?;
    std::fs::rename(&beside, path).map_err(refuse)
}

/// Reads a record; `what` is its name in a message.
///
/// # Errors
///
/// [`RecordError`] where the file cannot be read or is no record.
pub fn load<R: DeserializeOwned>(path: &Path, what: &'static str) -> Result<R, RecordError> {
    let bytes = std::fs::read(path).map_err(|error| RecordError::File {
        path: path.to_owned(),
        error,
    })?;
    from_bytes(&bytes, what)
}
