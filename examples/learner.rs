//! Burn's `SupervisedTraining` with HSR: the model wrapped, curvature as metrics, early stopping on λ_sup:
//! `cargo build --release --workspace --examples`, then `target/release/examples/learner`.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, MetricEarlyStoppingStrategy, StoppingCondition, SupervisedTraining};
use burn_hsr::train::{HsrModel, LambdaMaxMetric, LambdaSupMetric, TightnessMetric};
use burn_hsr::{Backend, HsrConfig, ThreeLayerNetConfig};
use hsr_examples::{picture, spectrum_of};
use hsr_lab::data::Standardizer;
use hsr_lab::figures;
use hsr_lab::tasks::{self, TaskOptions};

/// The features of a sample and its class.
type Item = (Vec<f32>, i64);

/// Features and classes. A struct of your own says which of its fields they are, see `LearnerBatch`.
type Batch = (Tensor<2>, Tensor<1, Int>);

struct Batches;

impl Batcher<Item, Batch> for Batches {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Batch {
        let (samples, inputs) = (items.len(), items.first().map_or(0, |(x, _)| x.len()));
        let (x, y): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        (
            Tensor::from_data(TensorData::new(x.concat(), [samples, inputs]), device),
            Tensor::from_data(TensorData::new(y, [samples]), device),
        )
    }
}

fn loader(items: Vec<Item>) -> Arc<dyn DataLoader<Batch>> {
    DataLoaderBuilder::new(Batches)
        .batch_size(32)
        .shuffle(0)
        .build(InMemDataset::new(items))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();

    let mut data = tasks::load("iris", &TaskOptions::default(), 0)?;
    Standardizer::fit(&data).apply(&mut data)?;
    let (inputs, classes) = (data.inputs, data.classes());
    let rows = data.features.chunks(inputs).zip(&data.labels);
    let items: Vec<Item> = rows
        .map(|(x, &y)| (x.iter().map(|&v| v as f32).collect(), y as i64))
        .collect();
    // Every fifth flower is for validation.
    let split = |validation: bool| -> Vec<Item> {
        let numbered = items.iter().enumerate();
        let chosen = numbered.filter(|(i, _)| (i % 5 == 0) == validation);
        chosen.map(|(_, item)| item.clone()).collect()
    };
    let (train, valid) = (split(false), split(true));

    device.seed(0);
    let hsr = HsrConfig::new().with_strength(0.1).init()?;
    let network = ThreeLayerNetConfig::new(inputs, 8, classes).init(&device);
    let model = HsrModel::new(network, hsr.clone())?.with_lambda_max_every(2);
    let (x, y) = Batches.batch(valid.clone(), &device);
    let start = spectrum_of("start", &hsr, &model.model, x, y)?;
    let directory = tempfile::tempdir()?;
    let result = SupervisedTraining::new(directory.path(), loader(train), loader(valid.clone()))
        .metrics((
            LossMetric::new(),
            AccuracyMetric::new(),
            LambdaSupMetric::new(),
            LambdaMaxMetric::new(),
            TightnessMetric::new(),
        ))
        .early_stopping(MetricEarlyStoppingStrategy::new(
            &LambdaSupMetric::new(),
            Aggregate::Mean,
            Direction::Lowest,
            Split::Valid,
            StoppingCondition::NoImprovementSince { n_epochs: 5 },
        ))
        .with_default_checkpointers()
        .num_epochs(20)
        .summary()
        .launch(Learner::new(
            model,
            AdamConfig::new().init(),
            ConstantLr::new(0.02),
        ));
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }

    // The trained network, without the wrapper, is on the plain device.
    let network = result.model.into_model();
    let (x, y) = Batches.batch(valid, &device.inner());
    let bounds = hsr.bounds(&network, x.clone(), y.clone())?;
    println!(
        "on the validation flowers λ_max is {:.4}",
        bounds.lambda_max()
    );
    let end = spectrum_of("HSR", &hsr, &network, x, y)?;
    picture(|| figures::spectrum(&[start, end]))
}
