//! A directory that one process at a time writes into.
//!
//! Whoever holds the lock on the file `.hsr-lock` of a directory has the directory. The system gives a lock back when its
//! process ends, however that ends, so that a killed process blocks nobody; the file itself means nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::error::LabError;
use crate::files;

/// A directory that is held. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    directory: PathBuf,
    lock: PathBuf,
    /// Directories that were made for the lock, the innermost first.
    made: Vec<PathBuf>,
    /// Dropped last: what is above is cleared while the lock is held.
    _file: File,
}

impl DirectoryLock {
    /// Locks a directory for a run, a comparison or a reproduction, of which a directory holds one. It is made where it does
    /// not exist, and cleared of what killed processes left half written.
    ///
    /// # Errors
    ///
    /// [`LabError::Run`] where another process has it, [`LabError::Io`] where it cannot be made or written into.
    pub fn take(directory: &Path) -> Result<Self, LabError> {
        Self::named(directory, "lock")
    }

    /// Locks the files of one kind in a directory, such as those of a spectrum beside the run that it is of.
    pub fn of_kind(directory: &Path, kind: &str) -> Result<Self, LabError> {
        Self::named(directory, &format!("{kind}-lock"))
    }

    /// Locks a directory that has nothing in it: `base`, or the first of `base-2`, `base-3`, … that is free.
    pub fn numbered(base: &Path) -> Result<Self, LabError> {
        let (mut candidate, mut number) = (base.to_owned(), 1_u64);
        loop {
            if !is_occupied(&candidate)? {
                match Self::take(&candidate) {
                    // Somebody may have come between.
                    Ok(lock) if !is_occupied(&candidate)? => return Ok(lock),
                    Ok(_) | Err(LabError::Run { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let mut name = base.as_os_str().to_owned();
            number += 1;
            name.push(format!("-{number}"));
            candidate = name.into();
        }
    }

    fn named(directory: &Path, name: &str) -> Result<Self, LabError> {
        let lock = directory.join(format!("{}{name}", files::TEMPORARY));
        let mut made = Vec::new();
        loop {
            let missing = directory.ancestors().take_while(|it| !it.exists());
            made.extend(missing.map(Path::to_owned));
            std::fs::create_dir_all(directory).map_err(LabError::io(directory, "be created"))?;
            let file = match open(&lock) {
                Ok(file) => file,
                // Who made the directory found nothing to write and has just removed it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(LabError::io(directory, "be written into")(error)),
            };
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    return Err(LabError::run(
                        directory,
                        "another hsr is writing here; wait until it has ended, or name another directory",
                    ));
                }
                Ok(()) if !is_at(&file, &lock) => continue,
                // Some file systems have no locks: there nothing can be held, and work goes on without.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            files::sweep(directory);
            return Ok(Self {
                directory: directory.to_owned(),
                lock,
                made,
                _file: file,
            });
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Elsewhere nobody could tell a removed lock from the one that came after it, so it stays.
        if cfg!(unix) {
            let _ = std::fs::remove_file(&self.lock);
        }
        // A directory in which nothing came to be was not asked for.
        for directory in &self.made {
            if std::fs::remove_dir(directory).is_err() {
                break;
            }
        }
    }
}

/// Whether there is more in a directory than what killed processes left half written, or something else has its name.
///
/// # Errors
///
/// [`LabError::Io`] where that cannot be seen.
pub(crate) fn is_occupied(directory: &Path) -> Result<bool, LabError> {
    let failed = || LabError::io(directory, "be used as a directory for results");
    match std::fs::metadata(directory) {
        Ok(found) if !found.is_dir() => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed()(error)),
    }
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if !files::is_temporary(&entry.file_name()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn open(lock: &Path) -> io::Result<File> {
    // Open for writing: some network file systems lock nothing else.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock)
}

/// Whether a file is still the one of that name. Its holder removes it, and who waited for that one has locked nothing.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: io::Result<std::fs::Metadata>| found.ok().map(|it| (it.dev(), it.ino()));
    identity(file.metadata()) == identity(std::fs::metadata(path))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("a/b");
        let lock = DirectoryLock::take(&directory).unwrap();
        let refused = DirectoryLock::take(&directory).unwrap_err().to_string();
        assert!(refused.contains("another hsr is writing here"), "{refused}");
        // What else is written there has locks of its own.
        drop(DirectoryLock::of_kind(&directory, "spectrum").unwrap());
        drop(lock);
        // Nothing came to be in it.
        assert!(!folder.path().join("a").exists());
        let lock = DirectoryLock::take(&directory).unwrap();
        std::fs::write(directory.join("result"), "").unwrap();
        drop(lock);
        let left: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_a_killed_process_left_is_no_claim_and_no_content() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path();
        std::fs::write(directory.join(".hsr-lock"), "").unwrap();
        std::fs::write(directory.join(".hsr-Xy12"), "half a f").unwrap();
        assert!(!is_occupied(directory).unwrap());
        let lock = DirectoryLock::numbered(directory).unwrap();
        assert_eq!(lock.directory(), directory);
        assert!(!directory.join(".hsr-Xy12").exists());
        std::fs::write(directory.join("config.json"), "").unwrap();
        assert!(is_occupied(directory).unwrap());
    }

    #[test]
    fn threads_that_want_the_same_name_get_one_each() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("run");
        for _ in 0..30 {
            let (mut names, start) = (Vec::new(), std::sync::Barrier::new(4));
            std::thread::scope(|scope| {
                let take = || {
                    start.wait();
                    let lock = DirectoryLock::numbered(&base).unwrap();
                    std::fs::write(lock.directory().join("result"), "").unwrap();
                    lock.directory().to_owned()
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
                names.extend(threads.into_iter().map(|it| it.join().unwrap()));
            });
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 4);
            for name in names {
                std::fs::remove_dir_all(name).unwrap();
            }
        }
    }
}
