//! How a network is trained.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{ArgAction, Args};
use hsr_lab::NetworkKind;
use hsr_lab::burn_hsr::{Activation, Backend, DeviceName, Mode, Subsample};
use hsr_lab::memory::MemoryLimit;
use hsr_lab::train::{ClassWeights, Optimizer};

use super::named::{activations, mode, named, network};
use super::tools::description;

/// The network and its training, whatever the method.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Training")]
pub struct TrainingOptions {
    /// What computes; hsr backends lists what works here. Where there are several devices, NAME:1 is the second.
    #[arg(long, value_name = "NAME", default_value = "flex", value_parser = DeviceNames)]
    pub backend: DeviceName,
    /// The optimizer.
    #[arg(long, value_name = "NAME", default_value = "sgd", value_parser = named::<Optimizer>())]
    pub optimizer: Optimizer,
    /// The learning rate [default: 0.1 for sgd, 0.02 for momentum, 0.01 for adam and adamw].
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// What is trained; conv needs a task of images, digits or mnist.
    #[arg(long, value_name = "KIND", default_value = "mlp", value_parser = network())]
    pub network: NetworkKind,
    /// Hidden units; of several hidden layers a list, from the inputs on, such as 32,16. Of conv the channels of its
    /// convolutions [default: 16, for conv 8,16].
    #[arg(long, value_name = "N,…", value_delimiter = ',', action = ArgAction::Set)]
    pub hidden: Vec<usize>,
    /// The hidden activation, or one for each hidden layer or convolution.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        action = ArgAction::Set,
        default_value = "tanh",
        value_parser = activations()
    )]
    pub activation: Vec<Activation>,
    /// Each hidden layer that is as wide as its inputs adds them to its activations.
    #[arg(long)]
    pub residual: bool,
    /// How the gradient of what is added enters the step: through the optimizer, beside it, or by its direction alone.
    #[arg(long, default_value = "coupled", value_parser = mode())]
    pub mode: Mode,
    /// Raise the strength from 0 over so many steps.
    #[arg(long, value_name = "STEPS")]
    pub warmup: Option<u64>,
    /// Lower the strength to 0 along a cosine over so many steps.
    #[arg(long, value_name = "STEPS")]
    pub cosine: Option<u64>,
    /// Add nothing after so many steps.
    #[arg(long, value_name = "STEPS")]
    pub stop_after: Option<u64>,
    /// Add the penalty at every K-th step alone, K times as strong: nearer to the price of plain training [default: 1, for
    /// conv 4].
    #[arg(long, value_name = "K")]
    pub interval: Option<u64>,
    /// Rows of a batch that the penalty is computed from, others at every step; `auto` where all would be dear [default:
    /// all].
    #[arg(long, value_name = "N|all|auto", value_parser = subsample)]
    pub subsample: Option<Subsample>,
    /// Estimate the penalty from N random probes at every step, without bias, in place of its exact gradient: far cheaper in
    /// deep networks. Of conv there is nothing but such estimates [default: 0, the exact gradient; for conv 1].
    #[arg(long, value_name = "N")]
    pub probes: Option<usize>,
    /// The optimizer's weight decay, for every network [default: 0, or 0.0001 for adamw].
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Smooth the labels that are trained on: 1 − X of the label, X spread over all classes.
    #[arg(long, value_name = "X")]
    pub label_smoothing: Option<f64>,
    /// How much the classes count in training: `balanced` for rare ones as much as for frequent ones, or a number for each.
    #[arg(long, value_name = "balanced|A,B,…", value_parser = class_weights)]
    pub class_weights: Option<ClassWeights>,
    /// Keep the weights of the epoch with the least loss on a validation split: a fifth of the training split, which is not
    /// trained on then.
    #[arg(long)]
    pub early_stopping: bool,
    /// Passes over the training split [default: 100, or as many as make 2000 steps; for conv 5, or as many as make 1000].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Samples a step, or `full` for all of them.
    #[arg(long, value_name = "N|full", default_value = "64", value_parser = batch)]
    pub batch: Batch,
    /// The most memory that curvature may take, such as 2GiB, shared by all jobs [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
}

/// Reads `--backend`, and tells shells the names.
#[derive(Clone)]
struct DeviceNames;

impl TypedValueParser for DeviceNames {
    type Value = DeviceName;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<DeviceName, clap::Error> {
        let known = PossibleValuesParser::new(Backend::ALL.map(Backend::name));
        let parser = StringValueParser::new().try_map(|name| name.parse::<DeviceName>());
        parser.parse_ref(command, argument, value).map_err(|error| {
            // Of a name that is none, the names that there are.
            let backend = value.to_string_lossy();
            let backend = backend.split(':').next().unwrap_or_default().to_owned();
            let unknown = known.parse_ref(command, argument, OsStr::new(&backend));
            unknown.err().unwrap_or(error)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let named =
            |backend: Backend| PossibleValue::new(backend.name()).help(description(backend));
        Some(Box::new(Backend::ALL.into_iter().map(named)))
    }
}

fn subsample(text: &str) -> Result<Subsample, String> {
    match text {
        "all" => Ok(Subsample::All),
        "auto" => Ok(Subsample::Auto),
        _ => match text.parse() {
            Ok(rows) if rows > 0 => Ok(Subsample::Rows(rows)),
            _ => Err("expected a number of rows, at least 1, or all or auto".to_owned()),
        },
    }
}

fn class_weights(text: &str) -> Result<ClassWeights, String> {
    text.parse::<ClassWeights>()
        .map_err(|_| "expected balanced, or a number, 0 or more, for each class".to_owned())
}

/// `--batch`: a number of samples, or none for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch(pub Option<usize>);

fn batch(text: &str) -> Result<Batch, String> {
    if text == "full" {
        return Ok(Batch(None));
    }
    match text.parse() {
        Ok(size) if size > 0 => Ok(Batch(Some(size))),
        _ => Err("expected a number of samples, at least 1, or full".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_number_or_all() {
        assert_eq!(batch("full").unwrap(), Batch(None));
        assert!(batch("0").is_err());
    }
}
