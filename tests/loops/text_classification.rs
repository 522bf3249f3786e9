//! Burn's `text-classification`: a transformer encoder over tokens with padding, classes from its first position, Noam's
//! schedule, under burn-train. HSR regularises a head of three layers, half of it injected ([`HsrStep::head`]).
//!
//! The original ends in one linear layer; a [`ThreeLayerNet`] stands in its place.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::noam::NoamLrSchedulerConfig;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, LearnerModel, SupervisedTraining, TrainOutput,
    TrainStep,
};
use burn_hsr::train::HsrStep; // HSR
use burn_hsr::{HsrConfig, ThreeLayerNet, ThreeLayerNetConfig}; // HSR
use burn_sharpness::SamConfig;
use burn_sharpness::train::SamModel;

use crate::data::{noise, number};
use crate::{Error, Method, Outcome};

const VOCABULARY: usize = 12;
const LENGTH: usize = 6;
const WIDTH: usize = 16;
const TEXTS: usize = 128;

/// Tokens, 0 for padding, and the class.
type Text = ([i64; LENGTH], i64);

/// Texts of one length.
#[derive(Clone, Debug)]
pub struct TextBatch {
    tokens: Tensor<2, Int>,
    labels: Tensor<1, Int>,
    mask_pad: Tensor<2, Bool>,
}

struct TextBatcher;

impl Batcher<Text, TextBatch> for TextBatcher {
    fn batch(&self, items: Vec<Text>, device: &Device) -> TextBatch {
        let (samples, mut tokens, mut labels) = (items.len(), Vec::new(), Vec::new());
        for (text, label) in items {
            tokens.extend(text);
            labels.push(label);
        }
        let tokens = Tensor::from_data(TensorData::new(tokens, [samples, LENGTH]), device);
        TextBatch {
            mask_pad: Tensor::equal_elem(tokens.clone(), 0),
            tokens,
            labels: Tensor::from_data(TensorData::new(labels, [samples]), device),
        }
    }
}

/// Texts whose class is that of their second token: the lower half of the vocabulary or the upper. The rest distracts.
fn texts() -> Vec<Text> {
    let numbers = noise(TEXTS * LENGTH, 5);
    let (rows, _) = numbers.as_chunks::<LENGTH>();
    rows.iter()
        .enumerate()
        .map(|(n, row)| {
            let token = |v: f32| 1 + ((v + 1.0) / 2.0 * (VOCABULARY - 1) as f32) as i64;
            let mut text = row.map(|v| token(v).min(VOCABULARY as i64 - 1));
            text[LENGTH - n % 3..].fill(0);
            (text, i64::from(text[1] >= VOCABULARY as i64 / 2))
        })
        .collect()
}

/// The network.
#[derive(Module, Debug)]
pub struct TextClassificationModel {
    transformer: TransformerEncoder,
    embedding_token: Embedding,
    embedding_pos: Embedding,
    head: ThreeLayerNet, // HSR: was one `Linear`
    hsr: HsrStep,        // HSR
}

impl TextClassificationModel {
    fn new(device: &Device, hsr: HsrStep) -> Self {
        let transformer = TransformerEncoderConfig::new(WIDTH, 2 * WIDTH, 2, 1).with_dropout(0.0);
        Self {
            transformer: transformer.init(device),
            embedding_token: EmbeddingConfig::new(VOCABULARY, WIDTH).init(device),
            embedding_pos: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
            head: ThreeLayerNetConfig::new(WIDTH, WIDTH, 2).init(device), // HSR
            hsr,                                                          // HSR
        }
    }

    /// What the transformer makes of the first position, `[N, 16]`.
    fn features(&self, batch: &TextBatch) -> Tensor<2> {
        let [batch_size, seq_length] = batch.tokens.dims();
        let positions = Tensor::arange(0..seq_length as i64, &batch.tokens.device())
            .reshape([1, seq_length])
            .repeat_dim(0, batch_size);
        let embedding_positions = self.embedding_pos.forward(positions);
        let embedding_tokens = self.embedding_token.forward(batch.tokens.clone());
        let embedding = (embedding_positions + embedding_tokens) / 2;
        let input = TransformerEncoderInput::new(embedding).mask_pad(batch.mask_pad.clone());
        let encoded = self.transformer.forward(input);
        encoded
            .slice([0..batch_size, 0..1])
            .reshape([batch_size, WIDTH])
    }

    fn classification(&self, output: Tensor<2>, targets: Tensor<1, Int>) -> ClassificationOutput {
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), targets.clone());
        ClassificationOutput::new(loss, output, targets)
    }
}

impl TrainStep for TextClassificationModel {
    type Input = TextBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: TextBatch) -> TrainOutput<ClassificationOutput> {
        let features = self.features(&batch);
        let output = self.head.forward(features.clone());
        let item = self.classification(output, batch.labels.clone());
        let term = self.hsr.head(&self.head, features, batch.labels); // HSR
        let term = term.expect("a batch that fits"); // HSR
        let loss = item.loss.clone() + term.features_term(); // HSR
        let mut step = TrainOutput::new(self, loss.backward(), item);
        let gradients = std::mem::replace(&mut step.grads, GradientsParams::new()); // HSR
        step.grads = term.inject(&self.head, gradients); // HSR
        step
    }
}

impl InferenceStep for TextClassificationModel {
    type Input = TextBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: TextBatch) -> ClassificationOutput {
        let output = self.head.forward(self.features(&batch));
        self.classification(output, batch.labels)
    }
}

fn measure(model: &TextClassificationModel) -> Result<(f32, f64), Error> {
    let batch = TextBatcher.batch(texts(), &Device::flex());
    let features = model.features(&batch);
    let bounds = model
        .hsr
        .hsr()
        .bounds(&model.head, features, batch.labels.clone())?;
    let loss = InferenceStep::step(model, batch).loss;
    Ok((number(loss), bounds.lambda_sup))
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let hsr = HsrConfig::new()
        .with_strength(method.strength(0.006))
        .init()?; // HSR
    let model = TextClassificationModel::new(&device, HsrStep::new(hsr)?);
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

fn loader() -> Arc<dyn DataLoader<TextBatch>> {
    DataLoaderBuilder::new(TextBatcher)
        .batch_size(32)
        .set_device(Device::flex())
        .build(InMemDataset::new(texts()))
}

fn launch<M>(model: M) -> Result<M, Error>
where
    M: LearnerModel
        + TrainStep<Input = TextBatch, Output = ClassificationOutput>
        + InferenceStep<Input = TextBatch, Output = ClassificationOutput>,
{
    let lr_scheduler = NoamLrSchedulerConfig::new(0.1)
        .with_warmup_steps(10)
        .with_model_size(WIDTH)
        .init()?;
    let directory = tempfile::tempdir()?;
    let result = SupervisedTraining::new(directory.path(), loader(), loader())
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .metric_train_numeric(AccuracyMetric::new())
        .metric_valid_numeric(AccuracyMetric::new())
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .num_epochs(8)
        .launch(Learner::new(model, AdamConfig::new().init(), lr_scheduler));
    match result.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(result.model),
    }
}
