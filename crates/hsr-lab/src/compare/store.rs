//! The directory of a comparison.
//!
//! ```text
//! compare.json            what is compared: another comparison may not go on here
//! runs/METHOD-SEED.json   a finished run each, from which an interrupted comparison goes on
//! runs.csv, statistics.csv, comparison.svg and .png, tradeoff.svg and .png, report.html
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CompareConfig, RunRecord};
use crate::train::Method;
use crate::{LabError, files};

const FILE: &str = "compare.json";
const RUNS: &str = "runs";

/// `compare.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    pub versions: BTreeMap<String, String>,
    /// Of the data of the first seed.
    pub data_fingerprint: String,
    pub config: CompareConfig,
}

/// Makes the directory, or checks that it is that of the same comparison.
pub(super) fn open(directory: &Path, stored: &Stored) -> Result<(), LabError> {
    let path = directory.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => return same(&path, &bytes, stored),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(LabError::io(&path, "be read")(error)),
    }
    let occupied = match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(LabError::io(directory, "be used as the directory")(error)),
    };
    if occupied {
        return Err(LabError::Run {
            path: directory.to_owned(),
            message: "is not empty and holds no comparison, expected a new directory".to_owned(),
        });
    }
    let runs = directory.join(RUNS);
    std::fs::create_dir_all(&runs).map_err(LabError::io(&runs, "be created"))?;
    files::write(&path, &files::json(stored))
}

fn same(path: &Path, bytes: &[u8], stored: &Stored) -> Result<(), LabError> {
    let refuse = |message: String| {
        Err(LabError::Run {
            path: path.to_owned(),
            message,
        })
    };
    let before: Stored = match serde_json::from_slice(bytes) {
        Ok(before) => before,
        Err(error) => return refuse(format!("is not the configuration of a comparison: {error}")),
    };
    if before == *stored {
        // Killed between the two, a comparison has its configuration and no folder for its runs.
        let runs = path.with_file_name(RUNS);
        return std::fs::create_dir_all(&runs).map_err(LabError::io(&runs, "be created"));
    }
    let [before, now] = [&before, stored].map(|it| serde_json::to_value(it).unwrap_or(Value::Null));
    let (name, before, now) = difference("", &before, &now).unwrap_or_default();
    refuse(format!(
        "was begun with {name} {before}, now {now}; expected the same options, or another --out"
    ))
}

/// The first value in which two objects differ: its name and both values.
fn difference(name: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    if a == b {
        return None;
    }
    if let (Value::Object(a), Value::Object(b)) = (a, b) {
        let null = Value::Null;
        let keys = a.keys().chain(b.keys());
        return keys
            .filter_map(|key| {
                difference(
                    key,
                    a.get(key).unwrap_or(&null),
                    b.get(key).unwrap_or(&null),
                )
            })
            .next();
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

fn file(directory: &Path, method: Method, seed: u64) -> PathBuf {
    directory
        .join(RUNS)
        .join(format!("{}-{seed}.json", method.name()))
}

/// Stores a finished run.
pub(super) fn write(directory: &Path, record: &RunRecord) -> Result<(), LabError> {
    let path = file(directory, record.method, record.seed);
    files::write(&path, &files::json(record))
}

/// A finished run; none where it is not finished.
pub(super) fn read(
    directory: &Path,
    method: Method,
    seed: u64,
) -> Result<Option<RunRecord>, LabError> {
    let path = file(directory, method, seed);
    let refuse = |message: String| LabError::Run {
        path: path.clone(),
        message,
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LabError::io(&path, "be read")(error)),
    };
    let record: RunRecord = serde_json::from_slice(&bytes).map_err(|error| {
        refuse(format!(
            "is not the record of a run: {error}; delete it to do the run again"
        ))
    })?;
    if (record.method, record.seed) != (method, seed) {
        return Err(refuse("is the record of another run".to_owned()));
    }
    Ok(Some(record))
}
