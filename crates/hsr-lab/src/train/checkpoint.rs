//! The state from which an interrupted run goes on: one safetensors file, so that it is whole or not there. It names the
//! configuration that it belongs to and carries a checksum, so that nothing else goes on from it.

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::method::Method;
use super::rule::Memory;
use super::trainer::{Row, Trainer};
use crate::error::LabError;
use crate::files;
use crate::weights::WeightsFile;

/// The file in the run directory.
pub(crate) const FILE: &str = "checkpoint.safetensors";

/// Everything but the weights and the optimizer's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// The checksum of the `config.json` of the run.
    pub config: String,
    /// The network in training; those before it in the order of methods are done.
    pub method: Method,
    pub epoch: usize,
    pub steps: usize,
    pub seconds: f64,
    /// Rows of all networks so far.
    pub rows: Vec<Row>,
    /// The networks that are done.
    pub finished: Vec<Finished>,
    /// The validation loss and the epoch of the weights that are kept, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<(f64, usize)>,
    /// What the method remembers.
    #[serde(default)]
    pub memory: Memory,
}

/// A network that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finished {
    pub method: Method,
    pub steps: usize,
    pub seconds: f64,
    /// The checksum of its file.
    pub model: String,
}

/// A checkpoint in memory.
pub(crate) struct Checkpoint {
    pub state: State,
    /// The file of the network, which need not be one of the run's.
    pub weights: WeightsFile,
    pub optimizer: Vec<u8>,
    /// That of the epoch that is kept, where one is.
    pub best: Option<WeightsFile>,
}

/// Writes the state of the network in training.
pub(crate) fn save(folder: &Path, trainer: &Trainer, state: &State) -> Result<(), LabError> {
    let path = folder.join(FILE);
    let refuse = |message| LabError::run(&path, message);
    let optimizer = trainer.optimizer_state().map_err(refuse)?;
    let weights = trainer.file(&trainer.theta());
    let state = serde_json::to_string(state).map_err(|error| refuse(error.to_string()))?;
    let best = trainer.best().map(|best| trainer.file(&best.theta));
    let best = best.unwrap_or_default();
    let sum = files::checksum([state.as_bytes(), &weights, &optimizer, &best]);
    let view = |bytes| TensorView::new(Dtype::U8, vec![<[u8]>::len(bytes)], bytes);
    let views = [
        // Not in the header, whose size is limited: a rule may remember a number a parameter.
        ("state", view(state.as_bytes())),
        ("weights", view(&weights)),
        ("optimizer", view(&optimizer)),
        ("best", view(&best)),
        ("checksum", view(sum.as_bytes())),
    ]
    .map(|(name, view)| (name, view.expect("bytes have the shape of their length")));
    let bytes = safetensors::serialize(views, None).map_err(|error| refuse(error.to_string()))?;
    files::write(&path, &bytes)
}

/// Reads the checkpoint of the run whose `config.json` has the checksum `config`; `None` where there is none.
///
/// # Errors
///
/// [`LabError::Run`] where it is not as it was written, or belongs to another run.
pub(crate) fn load(folder: &Path, config: &str) -> Result<Option<Checkpoint>, LabError> {
    let path = folder.join(FILE);
    let Some(bytes) = files::read_if_there(&path)? else {
        return Ok(None);
    };
    let refuse = |message: String| LabError::run(&path, message);
    let none =
        |error: safetensors::SafeTensorError| refuse(format!("is not a checkpoint: {error}"));
    let file = SafeTensors::deserialize(&bytes).map_err(none)?;
    let tensor = |name: &str| match file.tensor(name) {
        Ok(view) => Ok(view.data().to_vec()),
        Err(_) => Err(refuse(format!(
            "is not a checkpoint of this version: it has no {name}"
        ))),
    };
    let state = tensor("state")?;
    let (weights, optimizer) = (tensor("weights")?, tensor("optimizer")?);
    let best = tensor("best")?;
    let sum = files::checksum([&state[..], &weights, &optimizer, &best]);
    if tensor("checksum")? != sum.as_bytes() {
        return Err(refuse(files::CHANGED.to_owned()));
    }
    let state: State = serde_json::from_slice(&state)
        .map_err(|error| refuse(format!("has a state that cannot be read: {error}")))?;
    if state.config != config {
        return Err(refuse(
            "belongs to a run of another configuration than that of config.json".to_owned(),
        ));
    }
    let file = |bytes| WeightsFile::from_bytes(&path, bytes);
    Ok(Some(Checkpoint {
        weights: file(weights),
        best: state.best.map(|_| file(best)),
        state,
        optimizer,
    }))
}
