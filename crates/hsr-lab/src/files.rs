//! Files that are written whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::LabError;

/// Writes `bytes` to a temporary file beside `path` and renames it, so that a reader sees the old file or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), LabError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".hsr-")
        .tempfile_in(folder)
        .map_err(LabError::io(path, "be written"))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_data())
        .map_err(LabError::io(path, "be written"))?;
    // Temporary files are private; results are read by others.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))
            .map_err(LabError::io(path, "be written"))?;
    }
    file.persist(path)
        .map_err(|error| LabError::io(path, "be written")(error.error))?;
    Ok(())
}

/// A value as indented JSON with a final newline.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut text =
        serde_json::to_vec_pretty(value).expect("plain data with string keys always serialises");
    text.push(b'\n');
    text
}
