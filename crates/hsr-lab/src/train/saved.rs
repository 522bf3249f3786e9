//! A run directory that training has left, opened again.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use burn_hsr::Backend;
use hsr_core::Batch;
use hsr_core::depth::LayerShape;

use super::architecture::Architecture;
use super::checkpoint;
use super::config::TrainConfig;
use super::problem::{Part, Problem};
use super::stored::{load_problem, model_file, read_config, read_model};
use crate::data::{Dataset, nearest};
use crate::error::{LabError, refuse};
use crate::named::named;
use crate::shell;
use crate::weights::{Weights, WeightsFile};

named! {
/// A split of the data.
#[derive(Default)]
pub enum Split {
    /// What the networks were trained on.
    #[default]
    Train = "train",
    /// What was held out.
    Test = "test",
}
}

/// A run that is finished: its data and its trained networks, for measuring in f64 on the host.
pub struct SavedRun {
    directory: PathBuf,
    config: TrainConfig,
    problem: Problem,
    /// The checksum of `config.json`.
    checksum: String,
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
            checksum: stored.checksum,
        })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The layers of the networks, where these are feed-forward networks.
    pub fn layers(&self) -> Option<&[LayerShape]> {
        self.problem.architecture.layers()
    }

    /// The kind and the sizes of the networks.
    pub(crate) fn architecture(&self) -> &dyn Architecture {
        &*self.problem.architecture
    }

    /// The samples of a split from which curvature is computed, as the run itself does.
    pub(crate) fn curved(&self, split: Split) -> Cow<'_, Dataset> {
        let data = &self.part(split).data;
        self.problem.curved(data, self.config.seed)
    }

    /// How many they are, where that is only a part of the split.
    pub(crate) fn curved_samples(&self, split: Split) -> Option<usize> {
        let most = self.problem.architecture.most_samples();
        (most < self.part(split).data.samples()).then_some(most)
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.problem.train,
            Split::Test => &self.problem.test,
        }
    }

    /// A split of the data, standardised as for training.
    pub fn batch(&self, split: Split) -> Batch<'_, f64> {
        self.part(split).batch()
    }

    /// The features of a split, N × d row-major, standardised as for training.
    pub fn features(&self, split: Split) -> &[f64] {
        &self.part(split).data.features
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
    /// [`LabError::Option`] for a name that is none of the networks', [`LabError::Run`] where the run is not finished or
    /// its networks are not feed-forward ones, and what reading weights can refuse.
    pub fn weights(&self, name: Option<&str>) -> Result<(&'static str, Weights), LabError> {
        let (name, theta) = self.theta(name)?;
        let layers = self.layers().ok_or_else(|| {
            LabError::run(
                &self.directory,
                "holds convolutional networks, expected feed-forward ones",
            )
        })?;
        let layers = layers.to_vec();
        Ok((name, Weights { layers, theta }))
    }

    /// The parameters of a network of any kind and its name.
    pub(crate) fn theta(&self, name: Option<&str>) -> Result<(&'static str, Vec<f64>), LabError> {
        let (name, file) = network_of(&self.directory, &self.config, &self.checksum, name)?;
        Ok((name, self.problem.architecture.read(&file)?))
    }
}

/// The file of a network of a finished run, and the network's name; of the one that the run is named after where no
/// name is given. The data of the run need not be there.
pub(crate) fn network_file(
    directory: &Path,
    name: Option<&str>,
) -> Result<(&'static str, WeightsFile), LabError> {
    let stored = read_config(directory)?;
    network_of(directory, &stored.config, &stored.checksum, name)
}

fn network_of(
    directory: &Path,
    config: &TrainConfig,
    checksum: &str,
    name: Option<&str>,
) -> Result<(&'static str, WeightsFile), LabError> {
    let wanted = name.unwrap_or(config.method.name());
    let methods = config.methods();
    let Some(&method) = methods.iter().find(|method| method.name() == wanted) else {
        let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
        refuse!(
            "{} has no network {wanted:?}{}, expected one of {}",
            directory.display(),
            nearest(wanted, names.iter().copied())
                .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)")),
            names.join(", ")
        );
    };
    let path = directory.join(model_file(method, config.method));
    // Without a checkpoint, which may have been deleted to save room, a finished network is there all the same.
    let checkpoint = checkpoint::load(directory, checksum)?;
    let finished = checkpoint.map(|it| it.state.finished);
    let of_model = finished
        .as_ref()
        .map(|all| all.iter().find(|it| it.method == method));
    if !path.exists() || matches!(of_model, Some(None)) {
        return Err(LabError::run(
            path,
            format!(
                "is not finished; finish the run with: hsr train {}",
                shell::option("resume", directory)
            ),
        ));
    }
    let file = read_model(&path, of_model.flatten().map(|it| it.model.as_str()))?;
    Ok((method.name(), file))
}
