//! Burn's `guide`: a convolutional network under burn-train, with its own batch, output and `TrainStep`. HSR is a field of
//! the model and a term of the loss.
//!
//! In the original, dropout stands between the two last layers, where the closed form has none: it moved before them.
//! [`burn_hsr::Hsr::verify`] is how one finds that out.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, Relu};
use burn::optim::AdamConfig;
use burn::prelude::*;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, LearnerModel, SupervisedTraining, TrainOutput,
    TrainStep,
};
use burn_hsr::train::HsrStep; // HSR
use burn_hsr::{Activation, HsrConfig, ThreeLayer}; // HSR
use burn_sharpness::SamConfig;
use burn_sharpness::train::SamModel;

use crate::data::{MnistBatch, digit_batch, digit_loader, number};
use crate::{Error, Method, Outcome};

/// The network.
#[derive(Module, Debug)]
pub struct Model {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: AdaptiveAvgPool2d,
    dropout: Dropout,
    linear1: Linear,
    linear2: Linear,
    activation: Relu,
    hsr: HsrStep, // HSR
}

/// Its sizes.
#[derive(Config, Debug)]
pub struct ModelConfig {
    num_classes: usize,
    hidden_size: usize,
    #[config(default = "0.1")]
    dropout: f64,
}

impl ModelConfig {
    /// Returns the initialized model.
    pub fn init(&self, device: &Device, hsr: HsrStep) -> Model {
        Model {
            conv1: Conv2dConfig::new([1, 4], [3, 3]).init(device),
            conv2: Conv2dConfig::new([4, 8], [3, 3]).init(device),
            pool: AdaptiveAvgPool2dConfig::new([3, 3]).init(),
            activation: Relu::new(),
            linear1: LinearConfig::new(8 * 3 * 3, self.hidden_size).init(device),
            linear2: LinearConfig::new(self.hidden_size, self.num_classes).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            hsr, // HSR
        }
    }
}

/// What HSR has to know of it.
impl ThreeLayer for Model {
    fn hidden(&self) -> &Linear {
        &self.linear1 // HSR
    }
    fn activation(&self) -> Activation {
        Activation::Relu // HSR
    }
    fn output(&self) -> &Linear {
        &self.linear2 // HSR
    }
}

impl Model {
    /// What the three last layers see, `[N, 72]`.
    pub fn features(&self, images: Tensor<3>) -> Tensor<2> {
        let [batch_size, height, width] = images.dims();
        let x = images.reshape([batch_size, 1, height, width]);
        let x = self.conv1.forward(x);
        let x = self.dropout.forward(x);
        let x = self.conv2.forward(x);
        let x = self.dropout.forward(x);
        let x = self.activation.forward(x);
        let x = self.pool.forward(x).flatten::<2>(1, 3);
        self.dropout.forward(x) // HSR: was after `linear1`
    }

    /// The logits of features.
    pub fn head(&self, features: Tensor<2>) -> Tensor<2> {
        let x = self.linear1.forward(features);
        self.linear2.forward(self.activation.forward(x))
    }

    /// The logits of images.
    pub fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        self.head(self.features(images))
    }

    /// What Burn's metrics take.
    pub fn classification(
        &self,
        output: Tensor<2>,
        targets: Tensor<1, Int>,
    ) -> ClassificationOutput {
        let loss = CrossEntropyLossConfig::new()
            .init(&output.device())
            .forward(output.clone(), targets.clone());
        ClassificationOutput::new(loss, output, targets)
    }
}

impl TrainStep for Model {
    type Input = MnistBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: MnistBatch) -> TrainOutput<ClassificationOutput> {
        let features = self.features(batch.images);
        let item = self.classification(self.head(features.clone()), batch.targets.clone());
        let penalty = self.hsr.penalty(self, features, batch.targets); // HSR
        let loss = item.loss.clone() + penalty.expect("a batch that fits"); // HSR
        TrainOutput::new(self, loss.backward(), item)
    }
}

impl InferenceStep for Model {
    type Input = MnistBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: MnistBatch) -> ClassificationOutput {
        self.classification(self.forward(batch.images), batch.targets)
    }
}

/// The loss of all digits, and the bound for the last layers, at a model without autodiff.
pub fn measure(model: &Model) -> Result<(f32, f64), Error> {
    let batch = digit_batch(SAMPLES, &Device::flex());
    let features = model.features(batch.images);
    let bounds = model
        .hsr
        .hsr()
        .bounds(model, features.clone(), batch.targets.clone())?;
    let loss = model
        .classification(model.head(features), batch.targets)
        .loss;
    Ok((number(loss), bounds.lambda_sup))
}

/// Digits of the training.
pub const SAMPLES: usize = 256;

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let hsr = HsrConfig::new()
        .with_strength(method.strength(0.01))
        .init()?; // HSR
    let model = ModelConfig::new(10, 32).init(&device, HsrStep::new(hsr)?);

    let images = digit_batch(8, &device).images;
    let features = model.features(images); // HSR
    let logits = model.head(features.clone()); // HSR
    model.hsr.hsr().verify(&model, features, logits)?; // HSR

    let (before, _) = measure(&model.valid())?;
    let trained = if method == Method::Sam {
        let sam = SamConfig::new().with_rho(0.05).init_gradient()?;
        launch(SamModel::new(model, sam)?)?.into_model()
    } else {
        launch(model)?
    };
    let (after, lambda_sup) = measure(&trained)?;
    Ok(Outcome {
        before,
        after,
        lambda_sup,
    })
}

fn launch<M>(model: M) -> Result<M, Error>
where
    M: LearnerModel
        + TrainStep<Input = MnistBatch, Output = ClassificationOutput>
        + InferenceStep<Input = MnistBatch, Output = ClassificationOutput>,
{
    let device = Device::flex();
    let directory = tempfile::tempdir()?;
    let result = SupervisedTraining::new(
        directory.path(),
        digit_loader(SAMPLES, 64, &device),
        digit_loader(SAMPLES, 64, &device),
    )
    .metrics((AccuracyMetric::new(), LossMetric::new()))
    .with_metric_logger(InMemoryMetricLogger::new())
    .with_application_logger(None)
    .num_epochs(6)
    .launch(Learner::new(model, AdamConfig::new().init(), 0.01));
    match result.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(result.model),
    }
}
