//! Files that are written whole or not at all, and files that are read back only as they were written.
//!
//! A file that decides how a computation goes on carries a SHA-256 of itself. A bit that flipped on the disk and a value
//! that somebody edited are then refused, where they would otherwise become another result.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::LabError;
use crate::input;

/// How the names of files begin that are not there to stay: what is being written, and locks.
pub(crate) const TEMPORARY: &str = ".hsr-";

/// How often a write is begun anew whose temporary file another process took for one that was left behind.
const TRIES: usize = 5;

/// Writes `bytes` to a temporary file beside `path` and renames it, so that a reader sees the old file or the new one, after
/// a power failure too. A file that is replaced keeps its mode, a new one gets that of the umask.
///
/// # Errors
///
/// [`LabError::Io`] with the system's answer.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), LabError> {
    let mut tries = 1..TRIES;
    loop {
        match replace(path, bytes) {
            // Between its creation and its lock a temporary file looks as if it were left behind.
            Err(error) if error.kind() == ErrorKind::NotFound && tries.next().is_some() => {}
            result => return result.map_err(LabError::io(path, "be written")),
        }
    }
}

/// What another program may have written; none where there is no such file.
///
/// # Errors
///
/// [`LabError::Io`] where there is one, and it cannot be read.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, LabError> {
    match input::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(LabError::io(path, "be read")),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // Less the umask. By default temporary files are private, and results are read by others.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    // A temporary file without a lock is one whose writer was killed. Where the file system has no locks, none is swept.
    let _ = file.as_file().try_lock();
    // Not through the wrapper, which would add the temporary name to an error.
    file.as_file_mut().write_all(bytes)?;
    if let Ok(replaced) = std::fs::metadata(path) {
        file.as_file().set_permissions(replaced.permissions())?;
    }
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| error.error)?;
    synced(folder)
}

/// The directory of a file.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes names that were given in a directory survive a power failure.
#[cfg(unix)]
fn synced(folder: &Path) -> io::Result<()> {
    match std::fs::File::open(folder)?.sync_all() {
        // Not all file systems can.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Elsewhere a directory cannot be opened as a file.
#[cfg(not(unix))]
fn synced(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes what killed writers left in a directory. A temporary file that is still being written is locked and stays.
pub fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !is_temporary(&name) || is_lock(&name) {
            continue;
        }
        let file = std::fs::File::open(entry.path());
        if file.is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a name is that of a file that is not there to stay.
pub(crate) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

fn is_lock(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b"lock")
}

/// A path in JSON, whose texts are UTF-8: what is not is replaced.
pub(crate) fn shown<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Several of them.
pub(crate) fn all_shown<S: serde::Serializer>(
    paths: &[std::path::PathBuf],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// A value as indented JSON with a final newline.
pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text =
        serde_json::to_vec_pretty(value).expect("plain data with string keys always serialises");
    text.push(b'\n');
    text
}

/// The CSV that `write` writes.
pub(crate) fn csv(
    write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
) -> csv::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    write(&mut writer)?;
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// What stands between the fields of a sealed file and its checksum.
const SEAL: &str = ",\n  \"checksum\": \"";
/// What stands behind the checksum.
const END: &str = "\"\n}\n";

/// A value as a JSON object whose last field is the checksum of what is before it and of `context`, which names what the
/// file belongs to; and that checksum.
pub(crate) fn sealed<T: Serialize>(value: &T, context: &str) -> (Vec<u8>, String) {
    let text = json(value);
    let text = str::from_utf8(&text).expect("JSON is UTF-8").trim_end();
    let body = text.strip_suffix('}').map_or(text, str::trim_end);
    let sum = checksum([context.as_bytes(), body.as_bytes()]);
    (format!("{body}{SEAL}{sum}{END}").into_bytes(), sum)
}

/// The value of a sealed file and its checksum.
///
/// # Errors
///
/// What is wrong, for a message that begins with the file.
pub(crate) fn unsealed<T: DeserializeOwned>(
    bytes: &[u8],
    context: &str,
) -> Result<(T, String), String> {
    let text = str::from_utf8(bytes).map_err(|_| NOT_SEALED.to_owned())?;
    let parts = text.rsplit_once(SEAL).and_then(|(body, rest)| {
        let sum = rest.strip_suffix(END)?;
        Some((body, sum))
    });
    let Some((body, sum)) = parts else {
        return Err(NOT_SEALED.to_owned());
    };
    if checksum([context.as_bytes(), body.as_bytes()]) != sum {
        return Err(CHANGED.to_owned());
    }
    let value = serde_json::from_str(&format!("{body}\n}}"))
        .map_err(|error| format!("is of another version of hsr: {error}"))?;
    Ok((value, sum.to_owned()))
}

const NOT_SEALED: &str = "has no checksum at its end, expected a file as hsr wrote it, not edited and not of an older version";

/// What is said of a file that is not as it was written.
pub(crate) const CHANGED: &str =
    "does not fit its checksum: it was edited or damaged, or belongs elsewhere";

/// The SHA-256 of several pieces, each with its length, in hexadecimal digits.
pub(crate) fn checksum<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update((piece.len() as u64).to_le_bytes());
        hash.update(piece);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_sealed_value_is_read_back_and_is_json_for_everyone_else() {
        for value in [
            json!({"a": 1}),
            json!({"a": {"checksum": "x"}, "b": [1.5, "}"]}),
        ] {
            let (bytes, sum) = sealed(&value, "here");
            let (read, same): (Value, String) = unsealed(&bytes, "here").unwrap();
            assert_eq!((&read, &same), (&value, &sum));
            let whole: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(whole["checksum"], sum);
            assert_eq!(unsealed::<Value>(&bytes, "there").unwrap_err(), CHANGED);
        }
    }

    #[test]
    fn every_bit_of_a_sealed_file_counts() {
        let (bytes, _) = sealed(&json!({"strength": 0.05, "seed": 7}), "");
        for place in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            assert!(unsealed::<Value>(&flipped, "").is_err(), "bit {place}");
        }
        assert!(unsealed::<Value>(&bytes[..bytes.len() - 1], "").is_err());
        assert!(unsealed::<Value>(b"{}\n", "").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        for mode in [0o600, 0o664, 0o444] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            write(&path, b"new").unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn only_what_nobody_writes_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [".hsr-left", ".hsr-lock", ".hsr-written", "mine"] {
            std::fs::write(at(name), "").unwrap();
        }
        let written = std::fs::File::open(at(".hsr-written")).unwrap();
        written.lock().unwrap();
        sweep(folder.path());
        assert!(!at(".hsr-left").exists());
        for name in [".hsr-lock", ".hsr-written", "mine"] {
            assert!(at(name).exists(), "{name}");
        }
    }
}
