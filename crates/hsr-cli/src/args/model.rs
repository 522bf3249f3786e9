//! The network that is looked at.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Args};
use hsr_lab::burn_hsr::Activation;
use hsr_lab::hsr_core::OutputLoss;
use hsr_lab::model::{ModelOptions, ModelSource};
use hsr_lab::{LabError, LayerKeys};

use super::named::{Names, activations, named, names};

/// The network that is looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
#[command(group = ArgGroup::new("model").args(["run", "weights"]).required(true))]
pub struct ModelArguments {
    /// The weights; see below for their names.
    #[arg(long, value_name = "FILE.safetensors")]
    pub weights: Option<PathBuf>,
    /// The directory of a run of hsr train.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// The network of the run, by its method [default: that of the run].
    #[arg(long, value_name = "NAME", requires = "run")]
    pub network: Option<String>,
    /// The hidden activation, or one for each hidden layer; hsr train stores it with the weights.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        action = ArgAction::Set,
        value_parser = activations()
    )]
    pub activation: Vec<Activation>,
    /// Each hidden layer that is as wide as its inputs adds them to its activations; hsr train stores it.
    #[arg(long)]
    pub residual: bool,
    /// The loss: softmax (class labels), sigmoid (labels 0 and 1) or mse (numbers); hsr train stores it.
    #[arg(long, value_parser = named::<OutputLoss>())]
    pub loss: Option<OutputLoss>,
    /// The names of the classes in the order of the outputs; hsr train stores them.
    #[arg(long, value_name = "A,B,…", value_parser = names)]
    pub classes: Option<Names>,
    /// The layers' names in the weights file, from the inputs on, without .weight and .bias [default: all that there
    /// are, where names and shapes leave one order].
    #[arg(long, value_name = "KEY,…", value_parser = names, conflicts_with = "run")]
    pub layers: Option<Names>,
    /// Of a network with one hidden layer, the name of that layer in the weights file [default: hidden, beside
    /// --output-key].
    #[arg(long, value_name = "KEY", conflicts_with_all = ["run", "layers"])]
    pub hidden_key: Option<String>,
    /// Of a network with one hidden layer, the name of the output layer [default: output, beside --hidden-key].
    #[arg(long, value_name = "KEY", conflicts_with_all = ["run", "layers"])]
    pub output_key: Option<String>,
    /// Do not refuse a weights file that holds more than these layers.
    #[arg(long, conflicts_with = "run")]
    pub ignore_unused: bool,
}

impl ModelArguments {
    /// As the laboratory takes them.
    pub fn options(self) -> Result<ModelOptions, LabError> {
        let source = match (self.run, self.weights) {
            (Some(directory), _) => ModelSource::Run {
                directory,
                network: self.network,
            },
            (None, Some(path)) => ModelSource::Weights {
                path,
                layers: match (self.layers, self.hidden_key, self.output_key) {
                    (Some(names), ..) => LayerKeys::Named(names.0),
                    (None, None, None) => LayerKeys::Found,
                    (None, hidden, output) => LayerKeys::named([
                        hidden.unwrap_or_else(|| "hidden".to_owned()),
                        output.unwrap_or_else(|| "output".to_owned()),
                    ]),
                },
                ignore_unused: self.ignore_unused,
            },
            (None, None) => {
                return Err(LabError::option("expected --run or --weights"));
            }
        };
        Ok(ModelOptions {
            source,
            activation: (!self.activation.is_empty()).then(|| self.activation.into()),
            residual: self.residual,
            loss: self.loss,
            classes: self.classes.map(|names| names.0),
        })
    }
}
