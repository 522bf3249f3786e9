//! A run directory that training has left, opened again.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_hsr::Backend;
use hsr_core::{Activation, Batch, Dimensions, Workspace};

use super::config::TrainConfig;
use super::problem::Problem;
use super::run::{Stored, model_file};
use crate::data::nearest;
use crate::memory::MemoryLimit;
use crate::{LabError, Weights};

/// `config.json` of a run directory.
pub(super) fn read_config(directory: &Path) -> Result<Stored, LabError> {
    if !directory.is_dir() {
        return Err(LabError::Run {
            path: directory.to_owned(),
            message: "is not a directory, expected the directory of a run of hsr train".to_owned(),
        });
    }
    let path = directory.join("config.json");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LabError::Run {
                path: directory.to_owned(),
                message: "is not the directory of a run: it has no config.json".to_owned(),
            });
        }
        Err(error) => return Err(LabError::io(&path, "be read")(error)),
    };
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| LabError::Run {
        path,
        message: format!("is not the configuration of a run: {error}"),
    })?;
    stored.config.check()?;
    Ok(stored)
}

/// The data of a run, which must still be those it was begun with.
pub(super) fn load_problem(
    directory: &Path,
    stored: &Stored,
    device: &Device,
) -> Result<Problem, LabError> {
    let problem = Problem::load(&stored.config, device)?;
    if problem.fingerprint != stored.data_fingerprint {
        return Err(LabError::Run {
            path: directory.join("config.json"),
            message: "the data have changed since the run began".to_owned(),
        });
    }
    Ok(problem)
}

/// A split of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the networks were trained on.
    #[default]
    Train,
    /// What was held out.
    Test,
}

impl Split {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

/// A run that is finished: its data and its trained networks, for measuring in f64 on the host.
pub struct SavedRun {
    directory: PathBuf,
    config: TrainConfig,
    problem: Problem,
}

impl SavedRun {
    /// Opens a run directory. The data are loaded anew and compared with those of the run.
    ///
    /// # Errors
    ///
    /// [`LabError::Run`] where the directory holds no run or the data have changed, and what loading data can refuse.
    pub fn open(directory: &Path) -> Result<Self, LabError> {
        let stored = read_config(directory)?;
        // A run that was made on a GPU is measured without one: only where no CPU backend is there, its own is needed.
        let device = match Backend::Flex.device() {
            Ok(device) => device,
            Err(_) => stored.config.backend.device()?,
        };
        Ok(Self {
            problem: load_problem(directory, &stored, &device)?,
            directory: directory.to_owned(),
            config: stored.config,
        })
    }

    /// The same under another limit on memory.
    pub fn with_memory(mut self, limit: MemoryLimit) -> Self {
        self.config.memory = limit;
        self
    }

    /// A workspace under its limit on memory.
    pub(crate) fn workspace(&self) -> Workspace<f64> {
        self.config.memory.workspace()
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory's name, for captions.
    pub fn name(&self) -> String {
        let absolute = std::path::absolute(&self.directory).ok();
        let name = absolute.as_deref().and_then(Path::file_name);
        name.map_or_else(
            || self.config.source.name(),
            |name| name.to_string_lossy().into_owned(),
        )
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The networks' sizes.
    pub fn dimensions(&self) -> Dimensions {
        self.problem.dimensions
    }

    /// The activation of their hidden units.
    pub fn activation(&self) -> Activation {
        self.config.activation
    }

    /// A split of the data, standardised as for training.
    pub fn batch(&self, split: Split) -> Batch<'_, f64> {
        match split {
            Split::Train => self.problem.train.batch(),
            Split::Test => self.problem.test.batch(),
        }
    }

    /// The names of the networks, the baseline first.
    pub fn networks(&self) -> Vec<&'static str> {
        let methods = self.config.methods();
        methods.into_iter().map(|method| method.name()).collect()
    }

    /// The weights of a network and its name; of the one that the run is named after where no name is given.
    ///
    /// # Errors
    ///
    /// [`LabError::Option`] for a name that is none of the networks', [`LabError::Run`] where the run is not finished,
    /// and what reading weights can refuse.
    pub fn weights(&self, name: Option<&str>) -> Result<(&'static str, Weights), LabError> {
        let wanted = name.unwrap_or(self.config.method.name());
        let methods = self.config.methods();
        let Some(&method) = methods.iter().find(|method| method.name() == wanted) else {
            return Err(LabError::Option(format!(
                "{} has no network {wanted:?}{}, expected one of {}",
                self.directory.display(),
                nearest(wanted, self.networks())
                    .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)")),
                self.networks().join(", ")
            )));
        };
        let path = self.directory.join(model_file(method, self.config.method));
        if !path.exists() {
            return Err(LabError::Run {
                path,
                message: format!(
                    "does not exist; finish the run with: hsr train --resume {}",
                    self.directory.display()
                ),
            });
        }
        let weights = Weights::read(&path, "hidden", "output")?;
        if weights.dimensions != self.dimensions() {
            return Err(LabError::Run {
                path,
                message: "has not the layers that config.json says".to_owned(),
            });
        }
        Ok((method.name(), weights))
    }
}
