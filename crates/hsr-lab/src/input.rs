//! Files that others wrote.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::LabError;

/// All of a file or of a pipe. A device is refused: some never end.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    #[cfg(unix)]
    let is_pipe = std::os::unix::fs::FileTypeExt::is_fifo(&kind);
    #[cfg(not(unix))]
    let is_pipe = false;
    if !(kind.is_file() || kind.is_dir() || is_pipe) {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is a device, expected a file or a pipe",
        ));
    }
    std::fs::read(path)
}

/// The same; none where there is no such file.
///
/// # Errors
///
/// [`LabError::Io`] where there is one, and it cannot be read.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, LabError> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(LabError::io(path, "be read")),
    }
}
