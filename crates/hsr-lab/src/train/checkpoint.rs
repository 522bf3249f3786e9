//! The state from which an interrupted run goes on: one safetensors file, so that it is whole or not there.

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::config::Method;
use super::trainer::{Row, Trainer};
use crate::weights::WeightsFile;
use crate::{LabError, Weights, files};

/// The file in the run directory.
pub(crate) const FILE: &str = "checkpoint.safetensors";

/// Everything but the weights and the optimizer's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The network in training; those before it in the order of methods are done.
    pub method: Method,
    pub epoch: usize,
    pub steps: usize,
    pub seconds: f64,
    /// Rows of all networks so far.
    pub rows: Vec<Row>,
    /// Steps and seconds of the networks that are done.
    pub finished: Vec<(Method, usize, f64)>,
}

/// A checkpoint in memory.
pub(crate) struct Checkpoint {
    pub state: State,
    pub weights: Weights,
    pub optimizer: Vec<u8>,
}

/// Writes the state of the network in training.
pub(crate) fn save(folder: &Path, trainer: &Trainer, state: &State) -> Result<(), LabError> {
    let path = folder.join(FILE);
    let refuse = |message| LabError::Run {
        path: path.clone(),
        message,
    };
    let optimizer = trainer.optimizer_state().map_err(refuse)?;
    let weights = trainer.weights();
    let weights = weights.to_safetensors(None);
    let state = serde_json::to_string(state).map_err(|error| refuse(error.to_string()))?;
    let view = |bytes| TensorView::new(Dtype::U8, vec![<[u8]>::len(bytes)], bytes);
    let views = [("weights", view(&weights)), ("optimizer", view(&optimizer))]
        .map(|(name, view)| (name, view.expect("bytes have the shape of their length")));
    let metadata = [("state".to_owned(), state)].into_iter().collect();
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|error| refuse(error.to_string()))?;
    files::write(&path, &bytes)
}

/// Reads a checkpoint; `None` where there is none.
pub(crate) fn load(folder: &Path) -> Result<Option<Checkpoint>, LabError> {
    let path = folder.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LabError::io(&path, "be read")(error)),
    };
    let refuse = |message: String| LabError::Run {
        path: path.clone(),
        message,
    };
    let (_, header) = SafeTensors::read_metadata(&bytes)
        .map_err(|error| refuse(format!("is not a checkpoint: {error}")))?;
    let state = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get("state"))
        .ok_or_else(|| refuse("is not a checkpoint: it has no state".to_owned()))?;
    let state = serde_json::from_str(state)
        .map_err(|error| refuse(format!("has a state that cannot be read: {error}")))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| refuse(format!("is not a checkpoint: {error}")))?;
    let tensor = |name: &str| {
        file.tensor(name)
            .map_err(|error| refuse(format!("lacks {name}: {error}")))
    };
    Ok(Some(Checkpoint {
        state,
        weights: WeightsFile::from_bytes(&path, tensor("weights")?.data().to_vec())
            .weights("hidden", "output", false)?,
        optimizer: tensor("optimizer")?.data().to_vec(),
    }))
}
