//! What the directory of a run holds: its configuration, its networks, and the data that they belong to.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::method::Method;
use super::problem::Problem;
use crate::about::About;
use crate::error::LabError;
use crate::weights::WeightsFile;
use crate::{files, input};

/// `config.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub versions: BTreeMap<String, String>,
    pub data_fingerprint: String,
    pub config: TrainConfig,
    /// What the run's own network says of itself, as in the metadata of its file.
    #[serde(default)]
    pub network: About,
    /// Of the file, by which a checkpoint knows the run that it belongs to.
    #[serde(skip)]
    pub checksum: String,
}

/// The run's own network is `model.safetensors`; a baseline beside it is named after its method.
pub(super) fn model_file(method: Method, of_run: Method) -> String {
    if method == of_run {
        "model.safetensors".to_owned()
    } else {
        format!("{}.safetensors", method.name())
    }
}

pub(crate) fn versions() -> BTreeMap<String, String> {
    [
        ("hsr", env!("CARGO_PKG_VERSION")),
        ("burn", "0.22.1"),
        ("os", std::env::consts::OS),
        ("arch", std::env::consts::ARCH),
    ]
    .map(|(name, version)| (name.to_owned(), version.to_owned()))
    .into_iter()
    .collect()
}

/// `config.json` of a run directory.
pub(super) fn read_config(directory: &Path) -> Result<Stored, LabError> {
    if !directory.is_dir() {
        return Err(LabError::run(
            directory,
            "is not a directory, expected the directory of a run of hsr train",
        ));
    }
    let path = directory.join("config.json");
    let bytes = files::read_if_there(&path)?.ok_or_else(|| {
        LabError::run(
            directory,
            "is not the directory of a run: it has no config.json",
        )
    })?;
    let (stored, checksum) = files::unsealed::<Stored>(&bytes, "").map_err(|fault| {
        LabError::run(
            path,
            format!("is not the configuration of a run: it {fault}"),
        )
    })?;
    stored.config.check()?;
    Ok(Stored { checksum, ..stored })
}

/// The file of a network that training has left; of it the checksum is known where the checkpoint is still there.
pub(super) fn read_model(path: &Path, checksum: Option<&str>) -> Result<WeightsFile, LabError> {
    let bytes = input::read(path).map_err(LabError::io(path, "be read"))?;
    if checksum.is_some_and(|sum| sum != files::checksum([&bytes[..]])) {
        return Err(LabError::run(path, files::CHANGED));
    }
    Ok(WeightsFile::from_bytes(path, bytes))
}

/// The data of a run, which must still be those it was begun with.
pub(super) fn load_problem(
    directory: &Path,
    stored: &Stored,
    device: &Device,
) -> Result<Problem, LabError> {
    let problem = Problem::load(&stored.config, device)?;
    if problem.fingerprint != stored.data_fingerprint {
        return Err(LabError::run(
            directory.join("config.json"),
            "the data have changed since the run began",
        ));
    }
    Ok(problem)
}
