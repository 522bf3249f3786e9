//! Burn's `simple-regression`: eight numbers of a house to its price, `[N]` targets, the squared error, Adam, under
//! burn-train. The whole model is three layers, so HSR is injected.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{
    InferenceStep, Learner, LearnerModel, RegressionOutput, SupervisedTraining, TrainOutput,
    TrainStep,
};
use burn_hsr::train::HsrStep; // HSR
use burn_hsr::{Activation, HsrConfig, ThreeLayer}; // HSR
use burn_sharpness::SamConfig;
use burn_sharpness::train::SamModel;

use crate::data::{noise, number};
use crate::{Error, Method, Outcome};

const NUM_FEATURES: usize = 8;
const HOUSES: usize = 128;

/// A house: its numbers and its price.
type House = ([f32; NUM_FEATURES], f32);

/// Houses.
#[derive(Clone, Debug)]
pub struct HousingBatch {
    inputs: Tensor<2>,
    targets: Tensor<1>,
}

struct HousingBatcher;

impl Batcher<House, HousingBatch> for HousingBatcher {
    fn batch(&self, items: Vec<House>, device: &Device) -> HousingBatch {
        let (samples, mut inputs, mut targets) = (items.len(), Vec::new(), Vec::new());
        for (numbers, price) in items {
            inputs.extend(numbers);
            targets.push(price);
        }
        HousingBatch {
            inputs: Tensor::from_data(TensorData::new(inputs, [samples, NUM_FEATURES]), device),
            targets: Tensor::from_data(TensorData::new(targets, [samples]), device),
        }
    }
}

/// Prices that are no linear function of the numbers.
fn houses() -> Vec<House> {
    let numbers = noise(HOUSES * NUM_FEATURES, 3);
    let (rows, _) = numbers.as_chunks::<NUM_FEATURES>();
    rows.iter()
        .map(|row| (*row, 2.0 + row[0] - 0.5 * row[1] + row[2] * row[3]))
        .collect()
}

/// The network.
#[derive(Module, Debug)]
pub struct RegressionModel {
    input_layer: Linear,
    output_layer: Linear,
    activation: Relu,
    hsr: HsrStep, // HSR
}

impl ThreeLayer for RegressionModel {
    fn hidden(&self) -> &Linear {
        &self.input_layer // HSR
    }
    fn activation(&self) -> Activation {
        Activation::Relu // HSR
    }
    fn output(&self) -> &Linear {
        &self.output_layer // HSR
    }
}

impl RegressionModel {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let x = self.input_layer.forward(input);
        self.output_layer.forward(self.activation.forward(x))
    }

    fn forward_step(&self, item: HousingBatch) -> RegressionOutput {
        let targets: Tensor<2> = item.targets.unsqueeze_dim(1);
        let output = self.forward(item.inputs);
        let loss = MseLoss::new().forward(output.clone(), targets.clone(), Reduction::Mean);
        RegressionOutput {
            loss,
            output,
            targets,
        }
    }
}

impl TrainStep for RegressionModel {
    type Input = HousingBatch;
    type Output = RegressionOutput;

    fn step(&self, batch: HousingBatch) -> TrainOutput<RegressionOutput> {
        let item = self.forward_step(batch.clone());
        let mut step = TrainOutput::new(self, item.loss.backward(), item);
        let gradients = std::mem::replace(&mut step.grads, GradientsParams::new()); // HSR
        let with_hsr = self
            .hsr
            .inject(self, batch.inputs, batch.targets, gradients); // HSR
        step.grads = with_hsr.expect("a batch that fits"); // HSR
        step
    }
}

impl InferenceStep for RegressionModel {
    type Input = HousingBatch;
    type Output = RegressionOutput;

    fn step(&self, item: HousingBatch) -> RegressionOutput {
        self.forward_step(item)
    }
}

fn measure(model: &RegressionModel) -> Result<(f32, f64), Error> {
    let batch = HousingBatcher.batch(houses(), &Device::flex());
    let (inputs, targets) = (batch.inputs.clone(), batch.targets.clone());
    let bounds = model.hsr.hsr().bounds(model, inputs, targets)?;
    Ok((number(model.forward_step(batch).loss), bounds.lambda_sup))
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let hsr = HsrConfig::for_mean_squared_error() // HSR
        .with_strength(method.strength(0.05)) // HSR
        .init()?; // HSR
    let model = RegressionModel {
        input_layer: LinearConfig::new(NUM_FEATURES, 16).init(&device),
        output_layer: LinearConfig::new(16, 1).init(&device),
        activation: Relu::new(),
        hsr: HsrStep::new(hsr)?, // HSR
    };
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

fn loader() -> Arc<dyn DataLoader<HousingBatch>> {
    DataLoaderBuilder::new(HousingBatcher)
        .batch_size(32)
        .shuffle(1337)
        .set_device(Device::flex())
        .build(InMemDataset::new(houses()))
}

fn launch<M>(model: M) -> Result<M, Error>
where
    M: LearnerModel
        + TrainStep<Input = HousingBatch, Output = RegressionOutput>
        + InferenceStep<Input = HousingBatch, Output = RegressionOutput>,
{
    let directory = tempfile::tempdir()?;
    let result = SupervisedTraining::new(directory.path(), loader(), loader())
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .num_epochs(20)
        .launch(Learner::new(model, AdamConfig::new().init(), 1e-2));
    match result.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(result.model),
    }
}
