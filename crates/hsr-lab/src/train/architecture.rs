//! What training and measuring ask of a kind of network, and the two kinds that there are. Parameters are a vector θ \[D\]
//! in f64, in an order of the kind's own.

use std::borrow::Cow;
use std::sync::Arc;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Tensor};
use hsr_core::depth::LayerShape;
use hsr_core::{Batch, OutputLoss, Targets};

use super::config::TrainConfig;
use super::learner::{Learner, Trained};
use super::method::Method;
use super::rule;
use super::source::Source;
use crate::about::About;
use crate::architecture::{NetworkKind, ends, layers, parameters};
use crate::conv::{ConvNetConfig, ConvWeights};
use crate::curvature::{Curvature, FeedForwardSurface, ModuleSurface, Surface};
use crate::data::Dataset;
use crate::data::random::Stream;
use crate::data::split::subset_of;
use crate::error::LabError;
use crate::memory::{MemoryLimit, Sizes};
use crate::network::{Classifier, FeedForward};
use crate::weights::{LayerKeys, Weights, WeightsFile, names};

/// A network's kind and sizes.
pub(crate) trait Architecture: Send + Sync {
    /// The layers, where it is a feed-forward network.
    fn layers(&self) -> Option<&[LayerShape]> {
        None
    }

    /// d.
    fn inputs(&self) -> usize;

    /// K.
    fn outputs(&self) -> usize;

    /// D.
    fn parameters(&self) -> usize;

    /// Refuses what does not fit into the memory, before any of it is allocated.
    fn check_memory(&self, sizes: &Sizes, limit: MemoryLimit) -> Result<(), LabError>;

    /// The parameters to start from, the same on every backend; representable in f32.
    fn start(&self, seed: u64) -> Vec<f64>;

    /// Says of a network what its file must know.
    fn describe(&self, about: &mut About);

    /// The file of a network.
    fn to_safetensors(&self, theta: &[f64], about: Option<&About>) -> Vec<u8>;

    /// The parameters in a file of a network of this kind and these sizes.
    fn read(&self, file: &WeightsFile) -> Result<Vec<f64>, LabError>;

    /// A network to be trained on a device, which is one with autodiff.
    fn learner(
        &self,
        config: &TrainConfig,
        method: Method,
        train: &Dataset,
        theta: &[f64],
        device: &Device,
    ) -> Result<Box<dyn Learner>, LabError>;

    /// The class of the largest logit of each row of `x`, computed in f32 where `x` is.
    fn predict(&self, theta: &[f64], x: Tensor<2>) -> Vec<usize>;

    /// The loss on samples.
    fn surface<'a>(
        &'a self,
        curvature: &'a mut Curvature,
        data: &'a Dataset,
    ) -> Result<Box<dyn Surface + 'a>, LabError>;

    /// The samples from which curvature is computed at most: of more than these, a part.
    fn most_samples(&self) -> usize {
        usize::MAX
    }

    /// The samples from which curvature is computed: all of them, or as many as there may be, every class with its share.
    fn curved<'a>(&self, data: &'a Dataset, seed: u64) -> Cow<'a, Dataset> {
        let most = self.most_samples();
        if data.samples() <= most {
            return Cow::Borrowed(data);
        }
        let classes = data.classes();
        let chosen = subset_of(Stream::Curvature, &data.labels, classes, most, seed);
        Cow::Owned(data.subset(&chosen))
    }
}

/// That of a configuration for its data.
///
/// # Errors
///
/// [`LabError::Option`] where the network is too large, cannot have the activations, or is none for these data.
pub(crate) fn of(config: &TrainConfig, data: &Dataset) -> Result<Arc<dyn Architecture>, LabError> {
    let (inputs, classes) = (data.inputs, data.classes());
    match config.network {
        NetworkKind::Mlp => {
            config.check_size(inputs, classes)?;
            let (hidden, activation) = (&config.hidden, &config.activation);
            let layers = layers(inputs, hidden, classes, activation, config.residual)?;
            Ok(Arc::new(FeedForward(layers)))
        }
        NetworkKind::Conv => {
            let side = side(&config.source)?;
            let channels = config.hidden.as_slice().to_vec();
            let activations = config.activation.of_hidden(channels.len());
            let activations = activations.map_err(LabError::Option)?;
            let config = ConvNetConfig::new(side, classes)
                .with_channels(channels)
                .with_activations(Some(activations));
            check_parameters(&config)?;
            Ok(Arc::new(config))
        }
    }
}

/// Refuses a method that cannot train the network, whatever the data.
pub(crate) fn check_rule(config: &TrainConfig, method: Method) -> Result<(), LabError> {
    match config.network {
        NetworkKind::Mlp => {
            let loss = CrossEntropyLossConfig::new();
            rule::closed_form(config, method, &loss).map(drop)
        }
        NetworkKind::Conv => {
            type Module = <ConvNetConfig as Classifier>::Module;
            side(&config.source)?;
            rule::of_gradients::<Module>(config, method).map(drop)
        }
    }
}

/// The pixels a side of the images of a source.
fn side(source: &Source) -> Result<usize, LabError> {
    source.image_side().ok_or_else(|| {
        let images = crate::tasks::all()
            .into_iter()
            .filter(|it| it.image.is_some());
        let images: Vec<&str> = images.map(|it| it.name).collect();
        LabError::Option(format!(
            "a convolutional network needs images, and {:?} has none; expected {}",
            source.name(),
            images.join(" or ")
        ))
    })
}

/// Beyond this a number is a slip of the finger.
const MOST_PARAMETERS: usize = 10_000_000;

fn check_parameters(config: &ConvNetConfig) -> Result<(), LabError> {
    if config.parameters() <= MOST_PARAMETERS {
        return Ok(());
    }
    Err(LabError::Option(format!(
        "convolutions of {:?} channels on images of {side} × {side} pixels make more than {MOST_PARAMETERS} parameters",
        config.channels,
        side = config.side
    )))
}

impl Architecture for FeedForward {
    fn layers(&self) -> Option<&[LayerShape]> {
        Some(&self.0)
    }

    fn inputs(&self) -> usize {
        ends(&self.0)[0]
    }

    fn outputs(&self) -> usize {
        ends(&self.0)[1]
    }

    fn parameters(&self) -> usize {
        parameters(&self.0)
    }

    fn check_memory(&self, sizes: &Sizes, limit: MemoryLimit) -> Result<(), LabError> {
        sizes.check(&self.0, limit)
    }

    fn start(&self, seed: u64) -> Vec<f64> {
        Weights::random(self.0.clone(), seed).theta
    }

    fn describe(&self, about: &mut About) {
        // Old files of one hidden layer do not say it.
        let residual = self.0.iter().any(|layer| layer.residual);
        about.residual = (residual || self.0.len() != 2).then_some(residual);
    }

    fn to_safetensors(&self, theta: &[f64], about: Option<&About>) -> Vec<u8> {
        let weights = Weights {
            layers: self.0.clone(),
            theta: theta.to_vec(),
        };
        weights.to_safetensors(about)
    }

    fn read(&self, file: &WeightsFile) -> Result<Vec<f64>, LabError> {
        let keys = LayerKeys::Named(names(self.0.len()));
        let found = file.weights(&keys, false)?.weights;
        if found.has_sizes_of(&self.0) {
            return Ok(found.theta);
        }
        Err(LabError::run(
            file.path(),
            "has not the layers that config.json says",
        ))
    }

    fn learner(
        &self,
        config: &TrainConfig,
        method: Method,
        train: &Dataset,
        theta: &[f64],
        device: &Device,
    ) -> Result<Box<dyn Learner>, LabError> {
        let rule = rule::closed_form(config, method, &config.loss(method, train))?;
        Ok(Trained::boxed(
            self,
            theta,
            rule,
            (config, method, train),
            device,
        ))
    }

    fn predict(&self, theta: &[f64], x: Tensor<2>) -> Vec<usize> {
        self.predict_at(theta, x)
    }

    fn surface<'a>(
        &'a self,
        curvature: &'a mut Curvature,
        data: &'a Dataset,
    ) -> Result<Box<dyn Surface + 'a>, LabError> {
        let targets = Targets::Classes(&data.labels);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &data.features, targets);
        Ok(Box::new(FeedForwardSurface::new(curvature, &self.0, batch)))
    }
}

impl Architecture for ConvNetConfig {
    fn inputs(&self) -> usize {
        ConvNetConfig::inputs(self)
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn parameters(&self) -> usize {
        ConvNetConfig::parameters(self)
    }

    fn check_memory(&self, sizes: &Sizes, limit: MemoryLimit) -> Result<(), LabError> {
        let limit = limit.bytes();
        // In f32 what autodiff keeps of a sample of a step, each number with its gradient and the patches of a kernel; in
        // f64 the vectors of the longest Lanczos run.
        let step = sizes.step as f64 * self.units() as f64 * 4.0 * 12.0;
        let vectors = self.parameters() as f64 * VECTORS * 8.0;
        let needed = step + vectors;
        if needed <= limit as f64 {
            return Ok(());
        }
        Err(LabError::Option(format!(
            "a convolutional network of {} parameters in steps of {} samples needs {needed:.2e} bytes of memory, the limit \
             is {:.2e}",
            ConvNetConfig::parameters(self),
            sizes.step,
            limit as f64
        )))
    }

    fn start(&self, seed: u64) -> Vec<f64> {
        ConvWeights::random(self.clone(), seed).theta
    }

    fn describe(&self, about: &mut About) {
        about.network = Some(NetworkKind::Conv);
    }

    fn to_safetensors(&self, theta: &[f64], about: Option<&About>) -> Vec<u8> {
        let weights = ConvWeights {
            config: self.clone(),
            theta: theta.to_vec(),
        };
        weights.to_safetensors(about)
    }

    fn read(&self, file: &WeightsFile) -> Result<Vec<f64>, LabError> {
        Ok(ConvWeights::read(self.clone(), file)?.theta)
    }

    fn learner(
        &self,
        config: &TrainConfig,
        method: Method,
        train: &Dataset,
        theta: &[f64],
        device: &Device,
    ) -> Result<Box<dyn Learner>, LabError> {
        let rule = rule::of_gradients(config, method)?;
        Ok(Trained::boxed(
            self,
            theta,
            rule,
            (config, method, train),
            device,
        ))
    }

    fn predict(&self, theta: &[f64], x: Tensor<2>) -> Vec<usize> {
        self.predict_at(theta, x)
    }

    fn surface<'a>(
        &'a self,
        _curvature: &'a mut Curvature,
        data: &'a Dataset,
    ) -> Result<Box<dyn Surface + 'a>, LabError> {
        Ok(Box::new(ModuleSurface::new(self.clone(), data)?))
    }

    fn most_samples(&self) -> usize {
        MOST_SAMPLES
    }
}

/// Samples from which the curvature of a network without a closed form is computed at most: some hundred passes over them
/// are needed.
const MOST_SAMPLES: usize = 2048;

/// Vectors of D numbers that measuring keeps at most.
const VECTORS: f64 = 320.0;
