//! Burn's `mnist`: batch normalisation, gelu, three fully connected layers, AdamW and a schedule of the learning rate under
//! burn-train. HSR is an [`HsrStep`], which computes loss and penalty and has metrics of the curvature.
//!
//! In the original, dropout stands between the two last layers; here before them alone.

use burn::lr_scheduler::composed::ComposedLrSchedulerConfig;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::optim::AdamWConfig;
use burn::prelude::*;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::metric::{AccuracyMetric, LearningRateMetric, LossMetric};
use burn::train::{
    InferenceStep, Learner, LearnerModel, MetricEarlyStoppingStrategy, StoppingCondition,
    SupervisedTraining, TrainOutput, TrainStep,
};
use burn_hsr::train::{HsrOutput, HsrStep, LambdaSupMetric}; // HSR
use burn_hsr::{HsrConfig, Layer, Layers}; // HSR
use burn_sharpness::SamConfig;
use burn_sharpness::train::SamModel;

use crate::data::{MnistBatch, digit_batch, digit_loader, number};
use crate::{Error, Method, Outcome};

/// The network.
#[derive(Module, Debug)]
pub struct Model {
    conv1: ConvBlock,
    conv2: ConvBlock,
    dropout: nn::Dropout,
    fc1: nn::Linear,
    fc2: nn::Linear,
    fc3: nn::Linear,
    activation: nn::Gelu,
    hsr: HsrStep, // HSR
}

impl Model {
    fn new(device: &Device, hsr: HsrStep) -> Result<Self, Error> {
        Ok(Self {
            conv1: ConvBlock::new([1, 8], device, false),
            conv2: ConvBlock::new([8, 8], device, true),
            dropout: nn::DropoutConfig::new(0.1).init(),
            fc1: nn::LinearConfig::new(8 * 2 * 2, 32).init(device),
            fc2: nn::LinearConfig::new(32, 32).init(device),
            fc3: nn::LinearConfig::new(32, 10).init(device),
            activation: nn::Gelu::new(),
            hsr, // HSR
        })
    }

    /// What `fc2` sees, `[N, 32]`.
    fn features(&self, input: Tensor<3>) -> Tensor<2> {
        let [batch_size, height, width] = input.dims();
        let x = input.reshape([batch_size, 1, height, width]).detach();
        let x = self.conv1.forward(x);
        let x = self.conv2.forward(x);
        let x = self.fc1.forward(x.flatten(1, 3));
        self.dropout.forward(self.activation.forward(x))
    }

    fn head(&self, features: Tensor<2>) -> Tensor<2> {
        let x = self.fc2.forward(features);
        self.fc3.forward(self.activation.forward(x)) // HSR: without the second dropout
    }
}

impl Layers for Model {
    fn layers(&self) -> Vec<Layer<'_>> {
        vec![
            Layer::new(&self.fc2).with_activation(&self.activation), // HSR
            Layer::new(&self.fc3),                                   // HSR
        ]
    }
}

/// Convolution, normalisation, relu, and pooling.
#[derive(Module, Debug)]
pub struct ConvBlock {
    conv: nn::conv::Conv2d,
    norm: BatchNorm,
    pool: Option<MaxPool2d>,
    activation: nn::Relu,
}

impl ConvBlock {
    fn new(channels: [usize; 2], device: &Device, pool: bool) -> Self {
        let conv = Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Valid);
        let pool = pool.then(|| MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init());
        Self {
            conv: conv.init(device),
            norm: nn::BatchNormConfig::new(channels[1]).init(device),
            pool,
            activation: nn::Relu::new(),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.norm.forward(self.conv.forward(input));
        let x = self.activation.forward(x);
        match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        }
    }
}

impl TrainStep for Model {
    type Input = MnistBatch;
    type Output = HsrOutput; // HSR

    fn step(&self, batch: MnistBatch) -> TrainOutput<HsrOutput> {
        let features = self.features(batch.images);
        self.hsr.train_step(self, self, features, batch.targets) // HSR
    }
}

impl InferenceStep for Model {
    type Input = MnistBatch;
    type Output = HsrOutput; // HSR

    fn step(&self, batch: MnistBatch) -> HsrOutput {
        self.hsr
            .valid_step(self, self.features(batch.images), batch.targets) // HSR
    }
}

const SAMPLES: usize = 256;

fn measure(model: &Model) -> Result<(f32, f64), Error> {
    let batch = digit_batch(SAMPLES, &Device::flex());
    let features = model.features(batch.images.clone());
    let bounds = model
        .hsr
        .hsr()
        .bounds(model, features, batch.targets.clone())?;
    Ok((
        number(InferenceStep::step(model, batch).loss),
        bounds.lambda_sup,
    ))
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let hsr = HsrConfig::new()
        .with_strength(method.strength(0.01))
        .init()?; // HSR
    let model = Model::new(&device, HsrStep::new(hsr)?)?;
    let features = model.features(digit_batch(8, &device).images); // HSR
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
        + TrainStep<Input = MnistBatch, Output = HsrOutput>
        + InferenceStep<Input = MnistBatch, Output = HsrOutput>,
{
    let device = Device::flex();
    let lr_scheduler = ComposedLrSchedulerConfig::new()
        .cosine(CosineAnnealingLrSchedulerConfig::new(1.0, 100))
        .linear(LinearLrSchedulerConfig::new(1e-2, 1.0, 4))
        .linear(LinearLrSchedulerConfig::new(1e-2, 1e-3, 100));
    let directory = tempfile::tempdir()?;
    let result = SupervisedTraining::new(
        directory.path(),
        digit_loader(SAMPLES, 64, &device),
        digit_loader(SAMPLES, 64, &device),
    )
    .metrics((AccuracyMetric::new(), LossMetric::new()))
    .metric_train_numeric(LearningRateMetric::new())
    .metric_train_numeric(LambdaSupMetric::new()) // HSR
    .early_stopping(MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 5 },
    ))
    .with_metric_logger(InMemoryMetricLogger::new())
    .with_application_logger(None)
    .num_epochs(5)
    .launch(Learner::new(
        model,
        AdamWConfig::new().with_weight_decay(5e-5).init(),
        lr_scheduler.init()?,
    ));
    match result.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(result.model),
    }
}
