//! Everything that decides the course of a run.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::ModuleOptimizer;
use burn_hsr::{Activation, Backend, DeviceName, Mode, Strength, Subsample};
use serde::{Deserialize, Serialize};

use super::method::Method;
use super::optimizer::Optimizer;
use super::refinements::Refinements;
use super::source::Source;
use crate::architecture::{Activations, NetworkKind, Widths};
use crate::data::Dataset;
use crate::error::{LabError, refuse};
use crate::memory::MemoryLimit;

/// Beyond these a number is a slip of the finger, and its products may leave the range of numbers.
const MOST_HIDDEN: usize = 1_000_000;
const MOST_LAYERS: usize = 100;
const MOST_EPOCHS: usize = 10_000_000;
const MOST_PARAMETERS: usize = 100_000_000;

/// A run of `hsr train`, as stored in its `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The data.
    pub source: Source,
    /// The method; anything but plain is compared with plain.
    pub method: Method,
    /// The device.
    pub backend: DeviceName,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub learning_rate: f64,
    /// The kind of network.
    #[serde(default, skip_serializing_if = "NetworkKind::is_mlp")]
    pub network: NetworkKind,
    /// The hidden layers' widths; of a convolutional network the channels of its convolutions.
    pub hidden: Widths,
    /// Their activations.
    pub activation: Activations,
    /// Whether each hidden layer that is as wide as its inputs adds them to its activations.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub residual: bool,
    /// The factor of what is added to the loss, or the rule for it; ρ for SAM and its family. A file holds a fixed one as a
    /// number.
    pub strength: Strength,
    /// How the gradient of what is added enters the step.
    pub mode: Mode,
    /// Passes over the training split; none for 100, or as many as make 2000 steps, and for a convolutional network 5, or as
    /// many as make 1000 steps. A run's directory holds what was chosen.
    pub epochs: Option<usize>,
    /// Samples a step; none for all of them.
    pub batch: Option<usize>,
    /// The share of samples held out for testing, where the data have no split of their own.
    pub test_fraction: f64,
    /// The seed of data, split, start and order.
    pub seed: u64,
    /// How many samples of the training split are used, every class with its share; none for all of them.
    #[serde(default)]
    pub train_samples: Option<usize>,
    /// The share of the labels trained on that are replaced by another class; test labels stay.
    #[serde(default)]
    pub label_noise: f64,
    /// What else is done.
    #[serde(default)]
    pub refinements: Refinements,
    /// The most memory that the closed form may take. Not a part of the run: no file holds it.
    #[serde(skip)]
    pub memory: MemoryLimit,
}

impl TrainConfig {
    /// A run on a source, everything else as `hsr train` has it where nothing is said.
    pub fn new(source: Source) -> Self {
        let (method, optimizer) = (Method::Hsr, Optimizer::Sgd);
        Self {
            source,
            method,
            backend: Backend::Flex.into(),
            optimizer,
            learning_rate: optimizer.default_learning_rate(),
            network: NetworkKind::Mlp,
            hidden: NetworkKind::Mlp.default_hidden(),
            activation: Activation::Tanh.into(),
            residual: false,
            strength: method.default_strength(),
            mode: Mode::Coupled,
            epochs: None,
            batch: Some(64),
            test_fraction: 0.25,
            seed: 0,
            train_samples: None,
            label_noise: 0.0,
            refinements: Refinements::default(),
            memory: MemoryLimit::default(),
        }
    }

    /// Refuses values that cannot work, naming the option.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        let Self {
            method,
            learning_rate,
            strength,
            refinements,
            label_noise,
            ..
        } = self;
        self.source.check()?;
        if !learning_rate.is_finite() || *learning_rate <= 0.0 {
            refuse!("`learning_rate` is {learning_rate}, expected a positive number");
        }
        let penalised = method.sharpness().is_some();
        if strength.check().is_err() {
            refuse!("`strength` is {strength}, expected a number, 0 or more");
        }
        match strength {
            Strength::Fixed(strength) if *method == Method::LabelSmoothing && *strength > 1.0 => {
                refuse!(
                    "`strength` is {strength}, expected a number from 0 to 1 for `method` label-smoothing"
                );
            }
            Strength::Fixed(_) => {}
            rule if !penalised => {
                refuse!(
                    "`strength` is {rule}, expected a number for `method` {method}, which adds no penalty"
                );
            }
            _ => {}
        }
        refinements.check(penalised)?;
        let (decay, smoothing) = (refinements.weight_decay, refinements.label_smoothing);
        for (option, one, given) in [
            ("`weight_decay`", Method::WeightDecay, decay.is_some()),
            ("`label_smoothing`", Method::LabelSmoothing, smoothing > 0.0),
        ] {
            if given && *method == one {
                refuse!("{option} and `method` {method} are one: give its factor as `strength`");
            }
        }
        if self.mode != Mode::Coupled && !penalised {
            refuse!("`mode` belongs to the methods that add a penalty, not to `method` {method}");
        }
        if !(0.0..=1.0).contains(label_noise) {
            refuse!("`label_noise` is {label_noise}, expected a number from 0 to 1");
        }
        if self.network == NetworkKind::Conv && self.residual {
            refuse!("a convolutional network has no residual layers");
        }
        if self.network == NetworkKind::Conv && refinements.subsample != Subsample::All {
            refuse!(
                "the penalty of a convolutional network is that of whole batches, not of some of their rows"
            );
        }
        let hidden = self.hidden.as_slice();
        let layers = hidden.len();
        if !(1..=MOST_LAYERS).contains(&layers) {
            refuse!("`hidden` names {layers} layers, expected 1 to {MOST_LAYERS}");
        }
        let activations = self.activation.of_hidden(layers);
        activations.map_err(|message| LabError::Option(format!("`activation` {message}")))?;
        let widths = hidden.iter().map(|&width| ("`hidden`", width, MOST_HIDDEN));
        let epochs = ("`epochs`", self.epochs.unwrap_or(1), MOST_EPOCHS);
        for (option, value, most) in widths.chain([epochs]) {
            if !(1..=most).contains(&value) {
                refuse!("{option} is {value}, expected 1 to {most}");
            }
        }
        if self.batch == Some(0) {
            refuse!("`batch` is 0, expected at least 1");
        }
        Ok(())
    }

    /// Refuses a network of more parameters than can be meant, before any memory is taken for it.
    pub(crate) fn check_size(&self, inputs: usize, classes: usize) -> Result<(), LabError> {
        let mut widths = vec![inputs];
        widths.extend(self.hidden.as_slice());
        widths.push(classes);
        let parameters = widths.windows(2).try_fold(0_usize, |sum, of| {
            sum.checked_add(of[0].checked_add(1)?.checked_mul(of[1])?)
        });
        if parameters.is_some_and(|it| it <= MOST_PARAMETERS) {
            return Ok(());
        }
        Err(LabError::Option(format!(
            "`hidden` is {}, which between {inputs} inputs and {classes} classes makes more than {MOST_PARAMETERS} \
             parameters",
            self.hidden
        )))
    }

    /// Settles the number of epochs for a training split of `samples` samples.
    pub(crate) fn settle_epochs(&mut self, samples: usize) -> usize {
        let steps = samples.div_ceil(self.batch.unwrap_or(samples).clamp(1, samples));
        let (least, wanted) = match self.network {
            NetworkKind::Mlp => (100, 2000_usize),
            NetworkKind::Conv => (5, 1000),
        };
        let epochs = self
            .epochs
            .unwrap_or_else(|| least.max(wanted.div_ceil(steps)));
        self.epochs = Some(epochs);
        epochs
    }

    /// The strength where it is a number.
    pub(super) fn number(&self) -> f64 {
        self.strength.most().unwrap_or(0.0)
    }

    /// The loss that a method trains on a training split.
    pub(crate) fn loss(&self, method: Method, train: &Dataset) -> CrossEntropyLossConfig {
        let refinements = &self.refinements;
        let smoothing = match method {
            Method::LabelSmoothing => self.number(),
            _ => refinements.label_smoothing,
        };
        let weights = refinements.class_weights.as_ref();
        let weights = weights.map(|it| it.of(train).into_iter().map(|w| w as f32).collect());
        CrossEntropyLossConfig::new()
            .with_smoothing((smoothing > 0.0).then_some(smoothing as f32))
            .with_weights(weights)
    }

    /// The optimizer of a method.
    pub(crate) fn optimizer(&self, method: Method) -> ModuleOptimizer {
        self.optimizer.init(match method {
            Method::WeightDecay => Some(self.number()),
            _ => self.refinements.weight_decay,
        })
    }

    /// Whether a method keeps the weights that were best on a validation split.
    pub(crate) fn stops_early(&self, method: Method) -> bool {
        method == Method::EarlyStopping || self.refinements.early_stopping
    }

    /// The methods to train, the baseline first.
    pub(crate) fn methods(&self) -> Vec<Method> {
        match self.method {
            Method::Plain => vec![Method::Plain],
            other => vec![Method::Plain, other],
        }
    }
}
