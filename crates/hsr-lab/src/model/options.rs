//! Where a network and its table are, and what is told of them.

use std::path::PathBuf;

use hsr_core::OutputLoss;

use crate::architecture::Activations;
use crate::data::TableOptions;
use crate::weights::LayerKeys;

/// Where a network is.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// In the directory of a finished run.
    Run {
        /// The directory.
        directory: PathBuf,
        /// The network, by its method; `None` for that of the run.
        network: Option<String>,
    },
    /// In a safetensors file.
    Weights {
        /// The file.
        path: PathBuf,
        /// The layers' names in it.
        layers: LayerKeys,
        /// Whether other tensors in it are no reason to refuse it.
        ignore_unused: bool,
    },
}

/// A network, and what is told of it. What the network says of itself need not be told, and may not be told otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOptions {
    /// Where it is.
    pub source: ModelSource,
    /// The hidden activations.
    pub activation: Option<Activations>,
    /// Whether each hidden layer that is as wide as its inputs adds them to its activations.
    pub residual: bool,
    /// The loss.
    pub loss: Option<OutputLoss>,
    /// The names of the classes in the order of the outputs.
    pub classes: Option<Vec<String>>,
}

/// A table for a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSource {
    /// The file.
    pub path: PathBuf,
    /// The label column.
    pub label: Option<String>,
    /// The column with the samples' weights.
    pub weight_column: Option<String>,
    /// How it is read.
    pub options: TableOptions,
    /// Whether the features are brought to mean 0 and standard deviation 1 first, by those of this table.
    pub standardize: bool,
}
