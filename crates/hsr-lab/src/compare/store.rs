//! The directory of a comparison.
//!
//! ```text
//! compare.json            what is compared: another comparison may not go on here
//! runs/METHOD-SEED.json   a finished run each, from which an interrupted comparison goes on
//! tuning/METHOD-SEED-NUMBER.json   the same for each strength that was tried
//! runs.csv, statistics.csv, comparison.svg and .png, tradeoff.svg and .png, report.html
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::CompareConfig;
use super::record::RunRecord;
use super::tuning::Trial;
use crate::error::LabError;
use crate::files;
use crate::lock::{self, DirectoryLock};
use crate::train::Method;

const FILE: &str = "compare.json";
const RUNS: &str = "runs";
const TRIALS: &str = "tuning";

/// `compare.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    pub versions: BTreeMap<String, String>,
    /// Of the data of the first seed.
    pub data_fingerprint: String,
    pub config: CompareConfig,
}

/// The directory of a comparison, locked.
pub(super) struct Store {
    lock: DirectoryLock,
    /// The checksum of `compare.json`, to which every record belongs.
    comparison: String,
}

/// Makes the directory, or checks that it is that of the same comparison.
pub(super) fn open(directory: &Path, stored: &Stored) -> Result<Store, LabError> {
    let lock = DirectoryLock::take(directory)?;
    let path = directory.join(FILE);
    let comparison = match files::read_if_there(&path)? {
        Some(bytes) => same(&path, &bytes, stored)?,
        None if lock::is_occupied(directory)? => {
            return Err(LabError::run(
                directory,
                "is not empty and holds no comparison, expected a new directory",
            ));
        }
        None => {
            let (bytes, checksum) = files::sealed(stored, "");
            files::write(&path, &bytes)?;
            checksum
        }
    };
    for (name, wanted) in [(RUNS, true), (TRIALS, stored.config.tune.is_some())] {
        let runs = directory.join(name);
        if wanted {
            std::fs::create_dir_all(&runs).map_err(LabError::io(&runs, "be created"))?;
            files::sweep(&runs);
        }
    }
    Ok(Store { lock, comparison })
}

/// The checksum of `compare.json`, where it is that of the same comparison.
fn same(path: &Path, bytes: &[u8], stored: &Stored) -> Result<String, LabError> {
    let (before, checksum): (Stored, String) = files::unsealed(bytes, "").map_err(|error| {
        LabError::run(
            path,
            format!("is not the configuration of a comparison: it {error}"),
        )
    })?;
    if before == *stored {
        return Ok(checksum);
    }
    let [before, now] = [&before, stored].map(|it| serde_json::to_value(it).unwrap_or(Value::Null));
    let (name, before, now) = difference("", &before, &now).unwrap_or_default();
    let message = format!(
        "was begun with {name} {before}, now {now}; expected the same options, or another `out`"
    );
    Err(LabError::run(path, message))
}

/// The first value in which two objects differ: its name and both values.
fn difference(name: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    if a == b {
        return None;
    }
    if let (Value::Object(a), Value::Object(b)) = (a, b) {
        let null = Value::Null;
        let keys = a.keys().chain(b.keys());
        let of = |key: &String| [a, b].map(|it| it.get(key).unwrap_or(&null));
        let mut found = keys.filter_map(|key| {
            let [a, b] = of(key);
            difference(key, a, b)
        });
        return found.next();
    }
    Some((name.replace('_', " "), shown(a), shown(b)))
}

/// A value as one would write it as an option: methods as `plain=0,hsr=0.05`.
fn shown(value: &Value) -> String {
    let entry = |value: &Value| match value {
        Value::Object(fields) => fields.values().map(shown).collect::<Vec<_>>().join("="),
        other => shown(other),
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(entry).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

impl Store {
    fn of_run(&self, method: Method, seed: u64) -> PathBuf {
        let name = format!("{}-{seed}.json", method.name());
        self.lock.directory().join(RUNS).join(name)
    }

    fn of_trial(&self, method: Method, seed: u64, number: usize) -> PathBuf {
        let name = format!("{}-{seed}-{number}.json", method.name());
        self.lock.directory().join(TRIALS).join(name)
    }

    /// Stores a finished run.
    pub fn write(&self, record: &RunRecord) -> Result<(), LabError> {
        let (bytes, _) = files::sealed(record, &self.comparison);
        files::write(&self.of_run(record.method, record.seed), &bytes)
    }

    /// Stores a strength that was tried.
    pub fn write_trial(&self, trial: &Trial) -> Result<(), LabError> {
        let (bytes, _) = files::sealed(trial, &self.comparison);
        let path = self.of_trial(trial.method, trial.seed, trial.number);
        files::write(&path, &bytes)
    }

    /// A finished run; none where it is not finished.
    pub fn read(&self, method: Method, seed: u64) -> Result<Option<RunRecord>, LabError> {
        self.read_as(self.of_run(method, seed), |record: &RunRecord| {
            (record.method, record.seed) == (method, seed)
        })
    }

    /// A strength that was tried; none where it was not.
    pub fn read_trial(
        &self,
        method: Method,
        seed: u64,
        number: usize,
    ) -> Result<Option<Trial>, LabError> {
        self.read_as(self.of_trial(method, seed, number), |trial: &Trial| {
            (trial.method, trial.seed, trial.number) == (method, seed, number)
        })
    }

    fn read_as<T: DeserializeOwned>(
        &self,
        path: PathBuf,
        is_that: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, LabError> {
        let Some(bytes) = files::read_if_there(&path)? else {
            return Ok(None);
        };
        let message = match files::unsealed::<T>(&bytes, &self.comparison) {
            Ok((record, _)) if is_that(&record) => return Ok(Some(record)),
            Ok(_) => "is the record of another run; delete it to do the run again".to_owned(),
            Err(error) => format!(
                "is not the record of a run of this comparison: it {error}; delete it to do the run again"
            ),
        };
        Err(LabError::run(path, message))
    }
}
