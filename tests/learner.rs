//! HSR under burn-train: the learner's steps, metrics, early stopping, checkpoints, several devices.

use std::sync::{Arc, Mutex};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::{InMemoryMetricLogger, MetricLogger};
use burn::train::metric::store::{Aggregate, Direction, EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{
    AccuracyMetric, Adaptor, LossMetric, Metric, MetricDefinition, MetricMetadata, Numeric,
    NumericEntry,
};
use burn::train::{
    ExecutionStrategy, InferenceStep, ItemLazy, Learner, MetricEarlyStoppingStrategy,
    MultiDeviceOptim, StoppingCondition, SupervisedTraining, TrainOutput, TrainStep,
};
use burn_hsr::train::{
    CurvatureInput, CurvatureMetric, HessianTraceMetric, HsrBatch, HsrModel, HsrOutput, HsrStep,
    LambdaMaxMetric, LambdaSupMetric, LearnerBatch, Quantity, TightnessMetric,
};
use burn_hsr::{
    Hsr, HsrConfig, HsrError, HsrLossConfig, Mode, OutputLoss, ScheduleConfig, Subsample, Targets,
    ThreeLayer, ThreeLayerNet, ThreeLayerNetConfig,
};
use hsr_core::{Batch, Dimensions, Evaluation, Network, Workspace};
use hsr_lab::data::Standardizer;
use hsr_lab::tasks::{self, TaskOptions};
use hsr_tests::relative_error;

/// A flower and its kind.
type Item = (Vec<f32>, i64);

#[derive(Clone)]
struct Batches;

impl Batcher<Item, HsrBatch> for Batches {
    fn batch(&self, items: Vec<Item>, device: &Device) -> HsrBatch {
        let (x, y) = tensors(&items, device);
        HsrBatch::new(x, y)
    }
}

fn tensors(items: &[Item], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let (samples, inputs) = (items.len(), items[0].0.len());
    let x: Vec<f32> = items.iter().flat_map(|(x, _)| x.clone()).collect();
    let y: Vec<i64> = items.iter().map(|(_, y)| *y).collect();
    (
        Tensor::from_data(TensorData::new(x, [samples, inputs]), device),
        Tensor::from_data(TensorData::new(y, [samples]), device),
    )
}

/// Every seventh flower: 22 samples of all three kinds.
fn flowers() -> Vec<Item> {
    let mut data = tasks::load("iris", &TaskOptions::default(), 0).unwrap();
    Standardizer::fit(&data).apply(&mut data).unwrap();
    data.features
        .chunks(data.inputs)
        .zip(&data.labels)
        .step_by(7)
        .map(|(x, &y)| (x.iter().map(|&v| v as f32).collect(), y as i64))
        .collect()
}

fn loader(batch: usize) -> Arc<dyn DataLoader<HsrBatch>> {
    DataLoaderBuilder::new(Batches)
        .batch_size(batch)
        .build(InMemDataset::new(flowers()))
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// A network of the seed alone. Burn's seed is one for the process and its parameters are drawn when they are first
/// read, so that tests that run beside each other would draw each other's.
fn seeded(seed: u64, inputs: usize, outputs: usize) -> ThreeLayerNet {
    static SEED: Mutex<()> = Mutex::new(());
    let _alone = SEED.lock().unwrap_or_else(|poison| poison.into_inner());
    let device = device();
    device.seed(seed);
    let network = ThreeLayerNetConfig::new(inputs, 5, outputs).init(&device);
    theta(&network);
    network
}

fn network() -> ThreeLayerNet {
    seeded(3, 4, 3)
}

fn hsr(strength: f64) -> Hsr {
    HsrConfig::new().with_strength(strength).init().unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor
        .without_autodiff()
        .into_data()
        .iter::<f64>()
        .collect()
}

fn transpose(matrix: &[f64], columns: usize) -> Vec<f64> {
    (0..columns)
        .flat_map(|c| matrix.iter().skip(c).step_by(columns).copied())
        .collect()
}

/// θ in the order of hsr-core's layout.
fn theta(model: &impl ThreeLayer) -> Vec<f64> {
    let Dimensions {
        hidden, outputs, ..
    } = model.dimensions();
    let bias = |layer: &Linear| values(layer.bias.as_ref().unwrap().val());
    let (first, second) = (model.hidden(), model.output());
    [
        transpose(&values(first.weight.val()), hidden),
        bias(first),
        transpose(&values(second.weight.val()), outputs),
        bias(second),
    ]
    .concat()
}

/// The gradients of a network's parameters in the same order.
fn flat(gradients: &GradientsParams, model: &ThreeLayerNet) -> Vec<f64> {
    let Dimensions {
        hidden, outputs, ..
    } = model.dimensions();
    let weight = |layer: &Linear| values(gradients.get::<2>(layer.weight.id).unwrap());
    let bias =
        |layer: &Linear| values(gradients.get::<1>(layer.bias.as_ref().unwrap().id).unwrap());
    [
        transpose(&weight(&model.hidden), hidden),
        bias(&model.hidden),
        transpose(&weight(&model.output), outputs),
        bias(&model.output),
    ]
    .concat()
}

/// What hsr-core says of flowers at a network: λ_sup, trace, λ_max.
fn curvature(model: &impl ThreeLayer, items: &[Item]) -> [f64; 3] {
    let theta = theta(model);
    let network = Network::from_flat(model.dimensions(), model.activation(), &theta).unwrap();
    let x: Vec<f64> = items
        .iter()
        .flat_map(|(x, _)| x.iter().map(|&v| f64::from(v)))
        .collect();
    let y: Vec<usize> = items.iter().map(|(_, y)| *y as usize).collect();
    let targets = hsr_core::Targets::Classes(&y);
    let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, targets);
    let mut workspace = Workspace::new();
    let bounds = workspace
        .bounds(&network, &batch, Evaluation::Auto)
        .unwrap();
    let parameters = theta.len();
    let mut hessian = vec![0.0; parameters * parameters];
    workspace.hessian(&network, &batch, &mut hessian).unwrap();
    let eigenvalues = hsr_lab::spectrum::eigenvalues(&hessian, parameters).unwrap();
    [
        bounds.lambda_sup,
        bounds.moments.trace,
        eigenvalues[parameters - 1],
    ]
}

/// Metric, split, epoch and what was logged.
type Entry = (String, String, usize, String);

/// A logger that keeps what it is told.
#[derive(Clone, Default)]
struct Recorder {
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl MetricLogger for Recorder {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        let mut entries = self.entries.lock().unwrap();
        for update in update.entries_numeric {
            let metric = format!("{:?}", update.entry.metric_id);
            let entry = update.entry.serialized_entry.serialized;
            entries.push((metric, split.to_string(), epoch, entry));
        }
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let entries = self.of(name, &split.to_string(), epoch);
        Ok(entries
            .iter()
            .filter_map(|entry| NumericEntry::deserialize(entry).ok())
            .collect())
    }

    fn log_metric_definition(&mut self, _definition: MetricDefinition) {}

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {}
}

impl Recorder {
    fn of(&self, metric: &str, split: &str, epoch: usize) -> Vec<String> {
        let name = format!("\"{metric}\"");
        self.entries
            .lock()
            .unwrap()
            .iter()
            .filter(|(m, s, e, _)| m.contains(&name) && s == split && *e == epoch)
            .map(|(.., entry)| entry.clone())
            .collect()
    }

    /// The value of an epoch.
    fn last(&self, metric: &str, split: &str, epoch: usize) -> Option<f64> {
        let entries = self.of(metric, split, epoch);
        match NumericEntry::deserialize(entries.last()?).unwrap() {
            NumericEntry::Final(value) => Some(value),
            other => panic!("not the value of an epoch: {other:?}"),
        }
    }
}

/// A training of the wrapped network without a dashboard, with every metric.
fn training(
    directory: &std::path::Path,
    batch: usize,
    recorder: &Recorder,
) -> SupervisedTraining<HsrModel<ThreeLayerNet>> {
    SupervisedTraining::new(directory, loader(batch), loader(batch))
        .metrics((
            LossMetric::new(),
            AccuracyMetric::new(),
            LambdaSupMetric::new(),
            LambdaMaxMetric::new(),
            TightnessMetric::new(),
            HessianTraceMetric::new(),
        ))
        .with_metric_logger(recorder.clone())
        .with_application_logger(None)
}

fn metadata() -> MetricMetadata {
    MetricMetadata {
        progress: burn::data::dataloader::Progress::new(0, 1, None),
        iteration: None,
        lr: None,
    }
}

fn measured<Q: Quantity>(mut metric: CurvatureMetric<Q>, output: &HsrOutput) -> Option<f64>
where
    HsrOutput: Adaptor<CurvatureInput<Q>>,
{
    metric.update(&output.adapt(), &metadata()).unwrap();
    metric.value().map(|entry| entry.current())
}

#[test]
fn training_is_bit_for_bit_a_loop_with_the_penalty() {
    for mode in [Mode::Coupled, Mode::Direction] {
        let mut hsr = HsrConfig::new()
            .with_strength(0.3)
            .with_mode(mode)
            .init()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let learner = HsrModel::new(network(), hsr.clone()).unwrap();
        let result = training(directory.path(), 8, &Recorder::default())
            .num_epochs(3)
            .launch(Learner::new(
                learner,
                AdamConfig::new().init(),
                ConstantLr::new(0.05),
            ));
        assert!(result.error.is_none(), "{:?}", result.error);

        let (mut model, mut optimizer) = (network(), AdamConfig::new().init());
        let cross_entropy = CrossEntropyLossConfig::new().init(&device());
        for _ in 0..3 {
            for items in flowers().chunks(8) {
                let (x, y) = tensors(items, &device());
                let loss = cross_entropy.forward(model.forward(x.clone()), y.clone());
                let loss = loss + hsr.penalty(&model, x, y).unwrap();
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                model = optimizer.step(0.05, model, gradients);
            }
        }
        assert_ne!(theta(&model), theta(&network()));
        assert_eq!(theta(&result.model.into_model()), theta(&model), "{mode:?}");
    }
}

#[test]
fn the_loss_and_its_gradient_are_those_of_hsr_core_whatever_the_reduction() {
    let device = device();
    let items = flowers();
    let (x, classes) = tensors(&items, &device);
    let n = items.len();
    let weights: Vec<f64> = (0..n).map(|i| 0.25 + (i % 3) as f64).collect();
    let share = |i: usize| 0.2 + 0.6 * (i as f64 / n as f64);
    let binary: Vec<i64> = items.iter().map(|(_, y)| i64::from(*y == 1)).collect();
    let floats = |values: &[f64], columns: usize| {
        let data = TensorData::new(values.to_vec(), [values.len() / columns, columns]);
        Tensor::<2>::from_data(data, &device)
    };
    let soft: Vec<f64> = (0..n)
        .flat_map(|i| [share(i), 0.75 * (1.0 - share(i)), 0.25 * (1.0 - share(i))])
        .collect();
    let sample_weights = Tensor::<1>::from_data(TensorData::new(weights, [n]), &device);
    let ints = Tensor::<1, Int>::from_data(TensorData::new(binary, [n]), &device);
    let softmax = HsrConfig::new();
    let class_weights = HsrLossConfig::new().with_class_weights(Some(vec![1.0, 0.25, 3.0]));
    let weighted = softmax.clone().with_loss(class_weights.clone());
    let smoothed = softmax
        .clone()
        .with_loss(HsrLossConfig::new().with_label_smoothing(0.1));
    let both = softmax
        .clone()
        .with_loss(class_weights.with_label_smoothing(0.1));
    let sigmoid = HsrConfig::new().with_loss(OutputLoss::SigmoidCrossEntropy.into());
    let squared = HsrConfig::new().with_loss(OutputLoss::MeanSquaredError.into());
    let hard = || Targets::from(classes.clone());
    let weigh = |targets: Targets| targets.with_sample_weights(sample_weights.clone());
    let cases: Vec<(&str, HsrConfig, Targets, usize)> = vec![
        ("plain", softmax.clone(), hard(), 3),
        ("sample weights", softmax.clone(), weigh(hard()), 3),
        ("class weights", weighted.clone(), hard(), 3),
        ("smoothing", smoothed.clone(), hard(), 3),
        ("all three", both, weigh(hard()), 3),
        ("soft labels", weighted, weigh(floats(&soft, 3).into()), 3),
        (
            "sigmoid",
            sigmoid.clone(),
            weigh(floats(&soft, 3).into()),
            3,
        ),
        ("one sigmoid", sigmoid, ints.into(), 1),
        (
            "squared error",
            squared.clone(),
            weigh(floats(&soft, 3).into()),
            3,
        ),
        ("one number", squared, floats(&soft[..n], 1).into(), 1),
    ];
    for (name, config, targets, outputs) in cases {
        let model = seeded(5, 4, outputs);
        let step = HsrStep::new(config.clone().with_strength(0.0).init().unwrap()).unwrap();
        let output = step.train_step(&model, &model, x.clone(), targets.clone());
        assert!(
            output.item.error.is_none(),
            "{name}: {:?}",
            output.item.error
        );
        let loss = values(output.item.loss.clone())[0];
        let gradient = flat(&output.grads, &model);

        let theta = theta(&model);
        let network = Network::from_flat(model.dimensions(), model.activation(), &theta).unwrap();
        let x: Vec<f64> = items
            .iter()
            .flat_map(|(x, _)| x.iter().map(|&v| f64::from(v)))
            .collect();
        let indices: Vec<usize> = match name {
            "one sigmoid" => items.iter().map(|(_, y)| usize::from(*y == 1)).collect(),
            _ => items.iter().map(|(_, y)| *y as usize).collect(),
        };
        let reals = &soft[..n * outputs];
        let core_targets = match name {
            "soft labels" | "sigmoid" | "squared error" | "one number" => {
                hsr_core::Targets::Values(reals)
            }
            _ => hsr_core::Targets::Classes(&indices),
        };
        let core_weights: Vec<f64> = (0..n).map(|i| 0.25 + (i % 3) as f64).collect();
        let mut batch = Batch::new(config.loss.kind, &x, core_targets)
            .with_label_smoothing(config.loss.label_smoothing);
        if [
            "sample weights",
            "all three",
            "soft labels",
            "sigmoid",
            "squared error",
        ]
        .contains(&name)
        {
            batch = batch.with_sample_weights(&core_weights);
        }
        if let Some(weights) = &config.loss.class_weights {
            batch = batch.with_class_weights(weights);
        }
        let mut expected = vec![0.0; theta.len()];
        let expected_loss = Workspace::new()
            .loss_gradient(&network, &batch, &mut expected)
            .unwrap();
        let error = relative_error(&[loss], &[expected_loss], 0.0);
        assert!(error < 1e-6, "{name}: {loss} {expected_loss}");
        let error = relative_error(&gradient, &expected, 0.0);
        assert!(error < 1e-5, "{name}: {error:e}");
    }
}

#[test]
fn metrics_are_the_numbers_of_hsr_core() {
    let items = flowers();
    let learner = HsrModel::new(network(), hsr(0.1)).unwrap();
    let (x, y) = tensors(&items, &device());
    let [lambda_sup, trace, lambda_max] = curvature(&learner.model, &items);
    let trained = TrainStep::step(&learner, HsrBatch::new(x.clone(), y.clone())).item;
    let (x, y) = (x.without_autodiff(), y.without_autodiff());
    let validated = InferenceStep::step(&learner.valid(), HsrBatch::new(x, y));
    for output in [trained.sync().unwrap(), validated.sync().unwrap()] {
        let found = [
            measured(LambdaSupMetric::new(), &output).unwrap(),
            measured(HessianTraceMetric::new(), &output).unwrap(),
        ];
        assert_eq!(found, [lambda_sup, trace]);
        let found = [
            measured(LambdaMaxMetric::new(), &output).unwrap(),
            measured(TightnessMetric::new(), &output).unwrap(),
        ];
        let expected = [lambda_max, lambda_sup / lambda_max];
        let error = relative_error(&found, &expected, 0.0);
        assert!(error < 1e-9, "{found:?} {expected:?}");
    }
}

#[test]
fn an_epoch_weighs_batches_by_their_samples_and_follows_the_schedule() {
    let (directory, recorder) = (tempfile::tempdir().unwrap(), Recorder::default());
    let learner = HsrModel::new(network(), hsr(0.0))
        .unwrap()
        .with_lambda_max_every(2);
    // No step, so that every batch is measured at the same point.
    let result = training(directory.path(), 8, &recorder)
        .num_epochs(2)
        .launch(Learner::new(
            learner,
            SgdConfig::new().init(),
            ConstantLr::new(0.0),
        ));
    assert!(result.error.is_none(), "{:?}", result.error);
    let model = result.model.into_model();
    assert_eq!(theta(&model), theta(&network()));

    let items = flowers();
    let batches: Vec<_> = items
        .chunks(8)
        .map(|items| (items.len(), curvature(&model, items)))
        .collect();
    assert_eq!(
        batches.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        [8, 8, 6]
    );
    let mean = |of: &dyn Fn(&[f64; 3]) -> f64, every: usize| {
        let measured = batches.iter().step_by(every);
        let total: usize = measured.clone().map(|(n, _)| n).sum();
        measured.map(|(n, c)| *n as f64 * of(c)).sum::<f64>() / total as f64
    };
    let expected = [
        ("Lambda Sup", mean(&|c| c[0], 1)),
        ("Hessian Trace", mean(&|c| c[1], 1)),
        ("Lambda Max", mean(&|c| c[2], 2)),
        ("Tightness", mean(&|c| c[0] / c[2], 2)),
    ];
    for split in ["train", "valid"] {
        for epoch in [1, 2] {
            for (metric, expected) in expected {
                let found = recorder.last(metric, split, epoch).unwrap();
                let error = relative_error(&[found], &[expected], 0.0);
                assert!(error < 1e-9, "{metric} {split} {epoch}: {found} {expected}");
            }
            let entries = recorder.of("Lambda Max", split, epoch);
            assert_eq!(entries.len(), 4, "three batches and the epoch");
            assert_eq!(entries[1], "N/A");
        }
    }
    // The loss too: a mean over samples, as over one batch of all.
    let (x, y) = tensors(&items, &Device::flex());
    let whole = InferenceStep::step(
        &HsrModel::new(model, hsr(0.0)).unwrap(),
        HsrBatch::new(x, y),
    );
    let found = recorder.last("Loss", "valid", 1).unwrap();
    let error = relative_error(&[found], &values(whole.loss), 0.0);
    assert!(error < 1e-6, "{error:e}");
}

#[test]
fn metrics_that_never_measure_have_no_value() {
    let (directory, recorder) = (tempfile::tempdir().unwrap(), Recorder::default());
    let learner = HsrModel::new(network(), hsr(0.1))
        .unwrap()
        .with_lambda_max_every(0)
        .with_bounds_every(0);
    let result = training(directory.path(), 8, &recorder).launch(Learner::new(
        learner,
        SgdConfig::new().init(),
        ConstantLr::new(0.1),
    ));
    assert!(result.error.is_none(), "{:?}", result.error);
    for metric in ["Lambda Sup", "Lambda Max", "Tightness", "Hessian Trace"] {
        assert_eq!(recorder.of(metric, "train", 1), ["N/A"; 4], "{metric}");
    }
    assert!(recorder.last("Loss", "train", 1).is_some());
}

/// Epochs that a training takes which stops when λ_sup has not fallen for two.
fn epochs_until_stopped(learner: HsrModel<ThreeLayerNet>, lr: f64) -> usize {
    let (directory, recorder) = (tempfile::tempdir().unwrap(), Recorder::default());
    let result = training(directory.path(), 22, &recorder)
        .early_stopping(MetricEarlyStoppingStrategy::new(
            &LambdaSupMetric::new(),
            Aggregate::Mean,
            Direction::Lowest,
            Split::Train,
            StoppingCondition::NoImprovementSince { n_epochs: 2 },
        ))
        .num_epochs(12)
        .launch(Learner::new(
            learner,
            SgdConfig::new().init(),
            ConstantLr::new(lr),
        ));
    assert!(result.error.is_none(), "{:?}", result.error);
    let done = |epoch: &usize| recorder.last("Lambda Sup", "train", *epoch).is_some();
    (1..=12).filter(done).count()
}

#[test]
fn early_stopping_follows_lambda_sup() {
    let still = HsrModel::new(network(), hsr(0.0)).unwrap();
    assert_eq!(
        epochs_until_stopped(still, 0.0),
        3,
        "the first and two more"
    );
    let falling = HsrModel::new(network(), hsr(1.0)).unwrap();
    assert_eq!(
        epochs_until_stopped(falling, 0.02),
        12,
        "λ_sup falls all the time"
    );
}

#[test]
fn a_resumed_training_is_bit_for_bit_the_uninterrupted_one() {
    for probes in [0, 2] {
        resumes_bit_for_bit(probes);
    }
}

/// With so many probes, or with the closed form where there are none.
fn resumes_bit_for_bit(probes: usize) {
    let run = |directory: &std::path::Path, epochs: usize, resume: Option<usize>| {
        let recorder = Recorder::default();
        // A run that resumes starts in a new process: with other parameters, and other identifiers of them.
        let model = match resume {
            None => network(),
            Some(_) => seeded(4, 4, 3),
        };
        // A strength and rows that depend on the step: a run that counted from 0 again would be another.
        let hsr = HsrConfig::new()
            .with_strength(0.2)
            .with_probes(probes)
            .with_subsample(Subsample::Rows(5))
            .with_schedule(ScheduleConfig::new().with_cosine_steps(Some(20)))
            .init()
            .unwrap();
        let learner = HsrModel::new(model, hsr).unwrap().with_lambda_max_every(2);
        let schedule = CosineAnnealingLrSchedulerConfig::new(0.1, 12)
            .init()
            .unwrap();
        let mut training = training(directory, 8, &recorder)
            .with_default_checkpointers()
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
            .num_epochs(epochs);
        if let Some(epoch) = resume {
            training = training.checkpoint(epoch);
        }
        let result = training.launch(Learner::new(learner, AdamConfig::new().init(), schedule));
        assert!(result.error.is_none(), "{:?}", result.error);
        // Three batches an epoch.
        let record = result.model.hsr().to_record().unwrap();
        assert_eq!(record.steps, 3 * epochs as u64);
        assert_eq!(record.averages.is_some(), probes > 0);
        let trained = (theta(&result.model.into_model()), record.averages);
        (trained, recorder)
    };
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (uninterrupted, of_all) = run(whole.path(), 4, None);
    let (half, _) = run(parts.path(), 2, None);
    assert_ne!(half, uninterrupted);
    let (resumed, of_rest) = run(parts.path(), 4, Some(2));
    assert_eq!(resumed, uninterrupted);
    for metric in [
        "Loss",
        "Lambda Sup",
        "Lambda Max",
        "Tightness",
        "Hessian Trace",
    ] {
        for epoch in [3, 4] {
            let entries = of_all.of(metric, "train", epoch);
            assert_eq!(entries.len(), 4, "{metric}");
            assert_eq!(
                of_rest.of(metric, "train", epoch),
                entries,
                "{metric} {epoch}"
            );
        }
    }
}

#[test]
fn the_steps_are_in_the_record_of_the_model_and_of_nothing_else() {
    let learner = |seed| HsrModel::<ThreeLayerNet>::new(seeded(seed, 4, 3), hsr(0.1)).unwrap();
    let trained = learner(3);
    let (x, y) = tensors(&flowers(), &device());
    for _ in 0..5 {
        TrainStep::step(&trained, HsrBatch::new(x.clone(), y.clone()));
    }
    // What maps a model, as optimizers and devices do, leaves the count where it is.
    let mapped = trained.clone().fork(&device()).no_grad();
    assert_eq!(mapped.hsr().to_record().unwrap().steps, 5);
    assert_eq!(trained.num_params(), network().num_params());
    assert_eq!(trained.devices(), network().devices());

    let bytes = trained.into_record().into_bytes().unwrap();
    let record = burn::store::ModuleRecord::from_bytes(bytes).unwrap();
    assert_eq!(record.len(), 5, "four parameters and the count");
    let loaded = learner(4).load_record(record);
    assert_eq!(loaded.hsr().to_record().unwrap().steps, 5);
    assert_eq!(theta(&loaded.model), theta(&network()));
    // Clones count together, as burn-train has it.
    TrainStep::step(&loaded.clone(), HsrBatch::new(x, y));
    assert_eq!(loaded.hsr().to_record().unwrap().steps, 6);
}

/// A batch of one's own.
#[derive(Clone, Debug)]
struct Flowers {
    petals: Tensor<2>,
    species: Tensor<1, Int>,
}

impl LearnerBatch for Flowers {
    fn inputs_and_targets(self) -> (Tensor<2>, Targets) {
        (self.petals, self.species.into())
    }
}

impl Batcher<Item, Flowers> for Batches {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Flowers {
        let (petals, species) = tensors(&items, device);
        Flowers { petals, species }
    }
}

#[test]
fn a_learner_takes_the_batches_of_the_project_it_is_in() {
    fn launch<B: LearnerBatch>(loader: impl Fn() -> Arc<dyn DataLoader<B>>) -> Vec<f64> {
        let directory = tempfile::tempdir().unwrap();
        let learner = HsrModel::new(network(), hsr(0.3)).unwrap();
        let result = SupervisedTraining::new(directory.path(), loader(), loader())
            .metrics((LossMetric::new(), LambdaSupMetric::new()))
            .with_metric_logger(InMemoryMetricLogger::new())
            .with_application_logger(None)
            .num_epochs(2)
            .launch(Learner::new(
                learner,
                AdamConfig::new().init(),
                ConstantLr::new(0.05),
            ));
        assert!(result.error.is_none(), "{:?}", result.error);
        theta(&result.model.into_model())
    }
    let ours = launch(|| loader(8));
    let theirs = launch::<Flowers>(|| {
        DataLoaderBuilder::new(Batches)
            .batch_size(8)
            .build(InMemDataset::new(flowers()))
    });
    assert_ne!(ours, theta(&network()));
    assert_eq!(theirs, ours);
}

#[test]
fn two_devices_add_the_gradients_of_their_batches_with_the_penalty_in_them() {
    let items = flowers();
    let mut hsr = hsr(0.4);
    for optim in [
        MultiDeviceOptim::OptimMainDevice,
        MultiDeviceOptim::OptimSharded,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let learner = HsrModel::new(network(), hsr.clone()).unwrap();
        // The same CPU twice: the workers, the split of the data and the reduction are those of two devices.
        let devices = vec![device(), device()];
        let result = training(directory.path(), 11, &Recorder::default())
            .with_training_strategy(ExecutionStrategy::multi(devices, optim).into())
            .launch(Learner::new(
                learner,
                SgdConfig::new().init(),
                ConstantLr::new(0.1),
            ));
        assert!(result.error.is_none(), "{:?}", result.error);

        let model = network();
        let cross_entropy = CrossEntropyLossConfig::new().init(&device());
        let mut expected = theta(&model);
        for items in items.chunks(11) {
            let (x, y) = tensors(items, &device());
            let loss = cross_entropy.forward(model.forward(x.clone()), y.clone());
            let loss = loss + hsr.penalty(&model, x, y).unwrap();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            for (value, g) in expected.iter_mut().zip(flat(&gradients, &model)) {
                *value -= 0.1 * g;
            }
        }
        let found = theta(&result.model.into_model());
        let error = relative_error(&found, &expected, 0.0);
        assert!(error < 1e-6, "{optim:?}: {error:e}");
    }
}

#[test]
fn ddp_on_cpu_devices_is_refused_by_burn() {
    let devices = vec![Device::flex(), Device::flex()];
    let config = burn::tensor::distributed::DistributedConfig {
        all_reduce_op: burn::tensor::distributed::ReduceOperation::Mean,
    };
    let refusal = std::panic::catch_unwind(|| ExecutionStrategy::ddp(devices, config));
    let Err(message) = refusal.map(|_| ()) else {
        panic!("Burn has DDP on the CPU now: test the learner there");
    };
    let message = message
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| message.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap();
    assert!(message.contains("not supported"), "{message}");
}

/// A deeper network, whose head is regularised.
#[derive(Module, Debug)]
struct Deep {
    backbone: Linear,
    head: ThreeLayerNet,
    #[module(skip)]
    hsr: HsrStep,
}

impl TrainStep for Deep {
    type Input = HsrBatch;
    type Output = HsrOutput;

    fn step(&self, batch: HsrBatch) -> TrainOutput<HsrOutput> {
        let features = self.backbone.forward(batch.inputs).tanh();
        self.hsr
            .train_step(self, &self.head, features, batch.targets)
    }
}

#[test]
fn a_head_regularises_its_backbone_too() {
    let (device, mut hsr) = (device(), hsr(0.5));
    let model = Deep {
        backbone: LinearConfig::new(4, 6).init(&device),
        head: seeded(1, 6, 3),
        hsr: HsrStep::new(hsr.clone()).unwrap(),
    };
    let (x, y) = tensors(&flowers(), &device);
    let output = TrainStep::step(&model, HsrBatch::new(x.clone(), y.clone()));

    // A graph is consumed by its backward pass: each term has one of its own.
    let features = || model.backbone.forward(x.clone()).tanh();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let loss = cross_entropy.forward(model.head.forward(features()), y.clone());
    let penalty = hsr.penalty(&model.head, features(), y.clone()).unwrap();
    let plain = GradientsParams::from_grads(loss.backward(), &model);
    let backbone = model.backbone.weight.id;
    let plain = values(plain.get::<2>(backbone).unwrap());
    let regularised = GradientsParams::from_grads(penalty.backward(), &model);
    let regularised = values(regularised.get::<2>(backbone).unwrap());
    let expected: Vec<f64> = plain.iter().zip(&regularised).map(|(a, b)| a + b).collect();
    let found = values(output.grads.get::<2>(backbone).unwrap());
    assert!(regularised.iter().any(|g| g.abs() > 1e-3));
    assert!(relative_error(&found, &expected, 0.0) < 1e-5);
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let decoupled = HsrConfig::new().with_mode(Mode::Decoupled).init().unwrap();
    let error = HsrModel::<ThreeLayerNet>::new(network(), decoupled).unwrap_err();
    assert!(matches!(error, HsrError::Decoupled { .. }), "{error}");

    // A shape that does not fit: no gradients, and the output says why.
    let learner = HsrModel::new(network(), hsr(0.1)).unwrap();
    let (_, y) = tensors(&flowers(), &device());
    let wide = Tensor::<2>::zeros([22, 7], &device());
    let output = TrainStep::step(&learner, HsrBatch::new(wide.clone(), y.clone()));
    assert_eq!(output.grads.len(), 0);
    let expected = "the input batch has shape [22, 7], expected [samples ≥ 1, 4]";
    assert_eq!(output.item.error.as_ref().unwrap().to_string(), expected);
    let message = output.item.sync().err().unwrap().to_string();
    assert!(message.contains(expected), "{message}");
    let output = InferenceStep::step(&learner, HsrBatch::new(wide, y));
    assert_eq!(output.error.unwrap().to_string(), expected);
}

#[test]
fn a_training_that_leaves_the_range_of_numbers_ends_with_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let learner = HsrModel::new(network(), hsr(0.1)).unwrap();
    let result = SupervisedTraining::new(directory.path(), loader(8), loader(8))
        .metrics((LossMetric::new(),))
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .num_epochs(50)
        .launch(Learner::new(
            learner,
            SgdConfig::new().init(),
            ConstantLr::new(1e38),
        ));
    let message = result.error.unwrap().to_string();
    assert!(message.contains("expected a finite number"), "{message}");
}
