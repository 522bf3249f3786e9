//! Records as JSON, in bytes and in files; with an optimizer's record where they have one.

use std::path::{Path, PathBuf};

use burn::optim::OptimizerRecord;
use burn::tensor::Bytes;
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
    /// The optimizer's record could not be written or read.
    #[error("the optimizer's record: {message}")]
    Optimizer {
        /// What Burn says.
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
    write(&to_bytes(record), path)
}

/// Writes a file, whole or not at all.
fn write(bytes: &[u8], path: &Path) -> Result<(), RecordError> {
    let refuse = |error| RecordError::File {
        path: path.to_owned(),
        error,
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, bytes).map_err(refuse)?;
    std::fs::rename(&beside, path).map_err(refuse)
}

/// Reads a record; `what` is its name in a message.
///
/// # Errors
///
/// [`RecordError`] where the file cannot be read or is no record.
pub fn load<R: DeserializeOwned>(path: &Path, what: &'static str) -> Result<R, RecordError> {
    from_bytes(&read(path)?, what)
}

fn read(path: &Path) -> Result<Vec<u8>, RecordError> {
    std::fs::read(path).map_err(|error| RecordError::File {
        path: path.to_owned(),
        error,
    })
}

/// A record and an optimizer's: the length of the first, in eight bytes of which the lowest comes first, the first as JSON,
/// and the second in Burn's own format.
///
/// # Errors
///
/// [`RecordError::Optimizer`].
pub fn to_bytes_with(
    record: &impl Serialize,
    optimizer: OptimizerRecord,
) -> Result<Vec<u8>, RecordError> {
    let record = to_bytes(record);
    let mut bytes = (record.len() as u64).to_le_bytes().to_vec();
    bytes.extend(record);
    bytes.extend_from_slice(&optimizer.into_bytes().map_err(of_optimizer)?);
    Ok(bytes)
}

/// Both records from their bytes; `what` is the name of the first in a message.
///
/// # Errors
///
/// [`RecordError::Format`] where the bytes are no such records, [`RecordError::Optimizer`].
pub fn from_bytes_with<R: DeserializeOwned>(
    bytes: &[u8],
    what: &'static str,
) -> Result<(R, OptimizerRecord), RecordError> {
    let parts = bytes.split_first_chunk().and_then(|(length, rest)| {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        rest.split_at_checked(length)
    });
    let Some((record, optimizer)) = parts else {
        let message = "the file is cut short".to_owned();
        return Err(RecordError::Format { what, message });
    };
    let optimizer = Bytes::from_bytes_vec(optimizer.to_vec());
    let optimizer = OptimizerRecord::from_bytes(optimizer).map_err(of_optimizer)?;
    Ok((from_bytes(record, what)?, optimizer))
}

/// Writes both records into one file, whole or not at all.
///
/// # Errors
///
/// [`RecordError::Optimizer`]; [`RecordError::File`] where the file cannot be written.
pub fn save_with(
    record: &impl Serialize,
    optimizer: OptimizerRecord,
    path: &Path,
) -> Result<(), RecordError> {
    write(&to_bytes_with(record, optimizer)?, path)
}

/// Reads both records.
///
/// # Errors
///
/// [`RecordError`] where the file cannot be read or is no such records.
pub fn load_with<R: DeserializeOwned>(
    path: &Path,
    what: &'static str,
) -> Result<(R, OptimizerRecord), RecordError> {
    from_bytes_with(&read(path)?, what)
}

fn of_optimizer(error: impl core::fmt::Display) -> RecordError {
    RecordError::Optimizer {
        message: error.to_string(),
    }
}

/// Gives a record its ways into bytes and files and back; the text is its name in a message. `RecordError` must be in scope.
/// A record `with an optimizer` has the fields `gradient` and `optimizer`.
#[doc(hidden)]
#[macro_export]
macro_rules! record_files {
    ($Record:ty, $what:literal) => {
        impl $Record {
            /// The record as JSON.
            pub fn into_bytes(self) -> Vec<u8> {
                $crate::files::to_bytes(&self)
            }

            /// The record from its bytes.
            ///
            /// # Errors
            ///
            /// [`RecordError::Format`] where the bytes are no record.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
                $crate::files::from_bytes(bytes, $what)
            }

            /// Writes the record, whole or not at all.
            ///
            /// # Errors
            ///
            /// [`RecordError::File`] where the file cannot be written.
            pub fn save(self, path: impl AsRef<std::path::Path>) -> Result<(), RecordError> {
                $crate::files::save(&self, path.as_ref())
            }

            /// Reads a record.
            ///
            /// # Errors
            ///
            /// [`RecordError`] where the file cannot be read or is no record.
            pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self, RecordError> {
                $crate::files::load(path.as_ref(), $what)
            }
        }
    };
    ($Record:ty, with an optimizer, $what:literal) => {
        impl $Record {
            /// Both in one: JSON, and Burn's own format.
            ///
            /// # Errors
            ///
            /// [`RecordError::Optimizer`].
            pub fn into_bytes(self) -> Result<Vec<u8>, RecordError> {
                $crate::files::to_bytes_with(&self.gradient, self.optimizer)
            }

            /// The record from its bytes.
            ///
            /// # Errors
            ///
            /// [`RecordError`] where the bytes are no record.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
                let (gradient, optimizer) = $crate::files::from_bytes_with(bytes, $what)?;
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
            pub fn save(self, path: impl AsRef<std::path::Path>) -> Result<(), RecordError> {
                $crate::files::save_with(&self.gradient, self.optimizer, path.as_ref())
            }

            /// Reads a record.
            ///
            /// # Errors
            ///
            /// [`RecordError`] where the file cannot be read or is no record.
            pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self, RecordError> {
                let (gradient, optimizer) = $crate::files::load_with(path.as_ref(), $what)?;
                Ok(Self {
                    gradient,
                    optimizer,
                })
            }
        }
    };
}
