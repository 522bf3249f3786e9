//! Files that others wrote.

use std::io::{self, ErrorKind};
use std::path::Path;

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

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_not_read() {
        for path in ["/dev/zero", "/dev/random", "/dev/null"] {
            let error = super::read(path.as_ref()).unwrap_err();
            assert!(error.to_string().contains("device"), "{path}: {error}");
        }
    }
}
