//! Stochastic HSR on what people train: a convolution with batch normalisation and dropout, a transformer encoder with
//! dropout and integer inputs, an LSTM. The mean over probes against the exact bound of the assembled Hessian, and that
//! nothing else of the module changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Embedding, EmbeddingConfig, Linear,
    LinearConfig, Lstm, LstmConfig, LstmState,
};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{log_softmax, tanh};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use burn_penalty::train::StochasticHsrModel;
use burn_penalty::{
    Mode, Objective, Outcome, ScheduleConfig, Scheme, StochasticHsrConfig,
    StochasticHsrGradientRecord, StochasticHsrRecord,
};
use burn_sharpness::spectrum::assemble;
use burn_sharpness::{FiniteDifferenceHessian, ParameterSpace};
use hsr_tests::mlp::noise;
use hsr_tests::{tensor, values};

const F64: DType = DType::F64;

/// Burn's generator is one for the whole process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// Every number of a module in double precision and reproducible: parameters around what they were initialised to be
/// around, running statistics as they are.
struct Double {
    seed: usize,
    scale: f64,
}

impl ModuleMapper for Double {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.is_require_grad();
        self.seed += 1;
        let (seed, scale) = (self.seed, self.scale);
        param.map(|value| {
            let shape = value.shape();
            let at: (&Device, DType) = (&value.device(), F64);
            let value = value.inner();
            if !trained {
                return Tensor::from_inner(value.cast(F64));
            }
            // Scales of normalisation layers are 1, biases 0, weights have a spread.
            let mean = values(value.clone().mean().reshape([1]))[0].round();
            let numbers = noise(shape.num_elements(), seed);
            let numbers: Vec<f64> = numbers.iter().map(|v| mean + scale * v).collect();
            Tensor::from_data(TensorData::new(numbers, shape), at).require_grad()
        })
    }
}

fn doubled<M: Module>(module: M, seed: usize, scale: f64) -> M {
    module.map(&mut Double { seed, scale })
}

fn classes(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &device())
}

fn cross_entropy(logits: Tensor<2>, labels: &[i64]) -> Tensor<1> {
    let log_p = log_softmax(logits, 1);
    let of_class = log_p.gather(1, classes(labels).unsqueeze_dim(1));
    of_class.mean().neg()
}

#[derive(Module, Debug)]
struct Convolution {
    conv: Conv2d,
    norm: BatchNorm,
    pool: AvgPool2d,
    dropout: Dropout,
    last: Linear,
}

impl Convolution {
    fn new() -> Self {
        let module = Self {
            conv: Conv2dConfig::new([1, 3], [3, 3]).init(&device()),
            norm: BatchNormConfig::new(3).init(&device()),
            pool: AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(0.25).init(),
            last: LinearConfig::new(12, 3).init(&device()),
        };
        doubled(module, 3, 0.7)
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [samples, ..] = images.dims();
        let x = tanh(self.norm.forward(self.conv.forward(images)));
        let x = self.pool.forward(x).reshape([samples, 12]);
        self.last.forward(self.dropout.forward(x))
    }

    fn loss(&self) -> Tensor<1> {
        let x = tensor(&noise(8 * 36, 9), [8, 1, 6, 6], &device(), F64);
        cross_entropy(self.forward(x), &[0, 1, 2, 0, 1, 2, 0, 1])
    }
}

#[derive(Module, Debug)]
struct Transformer {
    embedding: Embedding,
    encoder: TransformerEncoder,
    last: Linear,
}

impl Transformer {
    fn new() -> Self {
        let encoder = TransformerEncoderConfig::new(4, 6, 2, 1).with_dropout(0.1);
        let module = Self {
            embedding: EmbeddingConfig::new(5, 4).init(&device()),
            encoder: encoder.init(&device()),
            last: LinearConfig::new(4, 2).init(&device()),
        };
        doubled(module, 5, 0.7)
    }

    fn loss(&self) -> Tensor<1> {
        let tokens: Vec<i64> = (0..6 * 4).map(|i| (i * i + i / 4) % 5).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [6, 4]), &device());
        let x = self.embedding.forward(tokens);
        let x = self.encoder.forward(TransformerEncoderInput::new(x));
        let x = x.mean_dim(1).reshape([6, 4]);
        cross_entropy(self.last.forward(x), &[0, 1, 1, 0, 0, 1])
    }
}

#[derive(Module, Debug)]
struct Recurrent {
    lstm: Lstm,
    last: Linear,
}

impl Recurrent {
    fn new() -> Self {
        let module = Self {
            lstm: LstmConfig::new(2, 3, true).init(&device()),
            last: LinearConfig::new(3, 2).init(&device()),
        };
        doubled(module, 7, 2.0)
    }

    fn loss(&self) -> Tensor<1> {
        let x = tensor(&noise(5 * 4 * 2, 8), [5, 4, 2], &device(), DType::F32);
        let zero = || tensor(&[0.0; 15], [5, 3], &device(), DType::F32);
        let state = LstmState::new(zero(), zero());
        let (_, state) = self.lstm.forward(x, Some(state));
        cross_entropy(self.last.forward(state.hidden), &[0, 1, 1, 0, 1])
    }
}

/// t, q and λ_sup.
fn exact<M: Module>(model: &M, loss: &impl Fn(&M) -> Tensor<1>) -> [f64; 3] {
    let mut operator = FiniteDifferenceHessian::new(model, |model: &M| loss(model)).unwrap();
    let hessian = assemble(&mut operator).unwrap();
    let size = hessian.len().isqrt();
    let trace: f64 = (0..size).map(|i| hessian[i * (size + 1)]).sum();
    let square: f64 = hessian.iter().map(|h| h * h).sum();
    let mean = trace / size as f64;
    let spread = (square / size as f64 - mean * mean).sqrt();
    [trace, square, mean + spread * (size as f64 - 1.0).sqrt()]
}

fn gradients<M: Module>(model: &M, loss: &impl Fn(&M) -> Tensor<1>) -> GradientsParams {
    GradientsParams::from_grads(loss(model).backward(), model)
}

/// Mean and standard error.
fn statistics(numbers: &[f64]) -> [f64; 2] {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    [mean, (variance / n).sqrt()]
}

/// The means over probes of t̂, q̂ and of ∇λ_sup along three directions are the exact ones within five standard errors.
/// The loss seeds its dropout itself, so that all steps see one mask, that of the assembled Hessian.
fn check<M: Module>(name: &str, model: &M, dtype: DType, loss: impl Fn(&M) -> Tensor<1>) {
    let probes = 200;
    // The distance of a difference of bounds, and what single precision leaves of it.
    let (distance, allowed) = match dtype {
        F64 => (1e-3, 1e-3),
        _ => (3e-2, 5e-2),
    };
    let loss = &|model: &M| {
        device().seed(17);
        loss(model)
    };
    let space = ParameterSpace::of(model).unwrap();
    let size = space.size();
    let [trace, square, bound] = exact(model, loss);
    let directions: Vec<Vec<f64>> = (0..3)
        .map(|i| {
            let v = noise(size, 20 + i);
            let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            v.iter().map(|v| v / length).collect()
        })
        .collect();
    let slopes: Vec<f64> = directions
        .iter()
        .map(|direction| {
            let at = |step: f64| {
                let there = space.displaced(model, direction, step).unwrap();
                exact(&there, loss)[2]
            };
            (at(distance) - at(-distance)) / (2.0 * distance)
        })
        .collect();

    // Averages that are the exact values, and stay.
    let config = StochasticHsrConfig::new()
        .with_strength(1.0)
        .with_scheme(Scheme::S4)
        .with_decay(1.0 - 1e-9);
    let mut hsr = config
        .init_gradient()
        .unwrap()
        .load_record(StochasticHsrGradientRecord {
            updates: 1 << 50,
            size,
            averages: Some([trace, trace * trace, square.sqrt(), square]),
            ..StochasticHsrGradientRecord::default()
        });
    // The same probes with averages of one step.
    let mut moments = config.with_decay(0.0).init_gradient().unwrap();
    let of_loss = space
        .read_gradients(model, &gradients(model, loss))
        .unwrap();
    let closure = |model: &M| ((), gradients(model, loss));
    let mut found = vec![Vec::new(); 5];
    for step in 0..probes {
        let passes = hsr.loss_gradients(model, closure).unwrap();
        assert_eq!(passes.not_finite, None);
        let sum = space.read_gradients(model, &passes.gradients).unwrap();
        for (found, direction) in found.iter_mut().zip(&directions) {
            let added = sum.iter().zip(&of_loss).zip(direction);
            found.push(added.map(|((s, l), d)| (s - l) * d).sum());
        }
        if step % 4 == 0 {
            let _ = moments.loss_gradients(model, closure).unwrap();
            let curvature = moments.curvature().unwrap().unwrap();
            found[3].push(curvature.trace);
            found[4].push(curvature.frobenius.powi(2));
        }
    }
    let expected = [&slopes[..], &[trace, square]].concat();
    for (what, (found, expected)) in found.iter().zip(expected).enumerate() {
        let [mean, error] = statistics(found);
        println!("{name} {what}: {mean:.4} ± {error:.4}, exact {expected:.4}");
        assert!(
            (mean - expected).abs() < 5.0 * error + allowed * (0.2 * bound + expected.abs()),
            "{name} {what}: {mean} ± {error}, exact {expected}"
        );
    }
    // The errors are small enough to tell the estimate from nothing.
    let told = (0..5).filter(|&i| {
        let [mean, error] = statistics(&found[i]);
        mean.abs() > 5.0 * error
    });
    assert!(told.count() >= 3, "{name}");
}

#[test]
fn a_convolution_with_batch_norm_and_dropout() {
    let _turn = turn();
    check("convolution", &Convolution::new(), F64, Convolution::loss);
}

#[test]
fn a_transformer_encoder_with_dropout_and_integer_inputs() {
    let _turn = turn();
    check("transformer", &Transformer::new(), F64, Transformer::loss);
}

#[test]
fn an_lstm() {
    let _turn = turn();
    // Burn's LSTM fills its outputs in the default precision.
    let model = Recurrent::new().map(&mut Single);
    check("lstm", &model, DType::F32, Recurrent::loss);
}

/// Every number of a module, running statistics included.
fn bits<M: Module>(module: &M) -> Vec<u64> {
    struct Bits(Vec<u64>);
    impl burn::module::ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0
                .extend(values(param.val()).into_iter().map(f64::to_bits));
        }
    }
    // What is pending is in it.
    let mut bits = Bits(Vec::new());
    module.valid().visit(&mut bits);
    bits.0
}

#[test]
fn running_statistics_are_those_of_one_forward_pass_a_step() {
    let _turn = turn();
    for objective in [Objective::LambdaSup, Objective::LambdaMax] {
        let (model, plain) = (Convolution::new(), Convolution::new());
        let mut hsr = StochasticHsrConfig::new()
            .with_objective(objective)
            .init_gradient()
            .unwrap();
        for _ in 0..3 {
            let passes = hsr.loss_gradients(&model, |model: &Convolution| {
                ((), gradients(model, &Convolution::loss))
            });
            assert_eq!(passes.unwrap().not_finite, None);
            plain.loss();
        }
        assert_eq!(bits(&model), bits(&plain));
    }
}

#[test]
fn a_run_with_dropout_and_adam_resumes_bit_for_bit() {
    let _turn = turn();
    for (objective, interval) in [(Objective::LambdaSup, 2), (Objective::LambdaMax, 1)] {
        let config = StochasticHsrConfig::new()
            .with_objective(objective)
            .with_schedule(ScheduleConfig::new().with_interval(interval))
            .with_seed(3);
        let step = |hsr: &mut burn_penalty::StochasticHsr, model: Transformer| {
            let step = hsr.step(0.01, model, |model: &Transformer| {
                ((), gradients(model, &Transformer::loss))
            });
            let step = step.unwrap();
            assert_eq!(step.outcome, Outcome::Stepped);
            step.module
        };
        // Where HSR does not act nothing is seeded: the user's own generator, seeded alike here.
        let run = |hsr: &mut burn_penalty::StochasticHsr, model: Transformer, steps| {
            let mut model = model;
            for i in steps {
                device().seed(i);
                model = step(hsr, model);
            }
            model
        };
        let adam = || AdamConfig::new().init();
        // The moments of Adam load in the default type of the default device.
        let single = |model: Transformer| model.map(&mut Single);
        let start = single(Transformer::new());
        let mut whole = config.init(adam()).unwrap();
        let expected = bits(&run(&mut whole, start.clone(), 0..7));
        let mut first = config.init(adam()).unwrap();
        let half = run(&mut first, start, 0..3);
        let record = first.gradient().to_record(&half).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hsr.json");
        record.clone().save(&path).unwrap();
        assert_eq!(StochasticHsrGradientRecord::load(&path).unwrap(), record);
        first.to_record(&half).unwrap().save(&path).unwrap();
        let loaded = StochasticHsrRecord::load(&path).unwrap();
        assert_eq!(loaded.gradient, record);
        let mut second = config.init(adam()).unwrap().load_record(loaded);
        assert_eq!(second.gradient().steps(), 3);
        assert_eq!(
            bits(&run(&mut second, half.clone(), 3..7)),
            expected,
            "{objective:?}"
        );
        // Without the record it is another run.
        let mut without = config
            .init(adam().load_record(first.optimizer().to_record()))
            .unwrap();
        assert_ne!(bits(&run(&mut without, half, 3..7)), expected);
    }
}

// --- burn-train.

/// An image and its class.
type Item = (Vec<f64>, i64);

#[derive(Clone, Debug)]
struct Batch {
    x: Tensor<4>,
    y: Tensor<1, Int>,
}

struct Batches;

impl Batcher<Item, Batch> for Batches {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Batch {
        let (x, y): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        Batch {
            x: tensor(&x.concat(), [y.len(), 1, 6, 6], device, DType::F32),
            y: classes(&y).to_device(device),
        }
    }
}

impl Convolution {
    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let logits = self.forward(batch.x);
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits.clone(), batch.y.clone());
        ClassificationOutput::new(loss, logits, batch.y)
    }
}

impl TrainStep for Convolution {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Convolution {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// Five batches of four.
fn items() -> Vec<Item> {
    let images = noise(20 * 36, 12);
    let images = images.chunks(36).map(<[f64]>::to_vec);
    images.zip((0..20).map(|i| i % 3)).collect()
}

#[test]
fn a_training_by_burn_train_is_bit_for_bit_a_loop_with_hsr() {
    let _turn = turn();
    for (objective, mode) in [
        (Objective::LambdaSup, Mode::Coupled),
        (Objective::LambdaMax, Mode::Direction),
    ] {
        let config = StochasticHsrConfig::new()
            .with_objective(objective)
            .with_mode(mode)
            .with_strength(0.1)
            .with_schedule(ScheduleConfig::new().with_interval(2));
        let start = || Convolution::new().map(&mut Single);
        let folder = tempfile::tempdir().unwrap();
        let loader = || -> Arc<dyn DataLoader<Batch>> {
            DataLoaderBuilder::new(Batches)
                .batch_size(4)
                .build(InMemDataset::new(items()))
        };
        // Between the steps in which HSR acts, dropout draws on from where the last of them left the generator.
        device().seed(5);
        let model = StochasticHsrModel::new(start(), config.init_gradient().unwrap()).unwrap();
        let result = SupervisedTraining::new(folder.path(), loader(), loader())
            .metrics((LossMetric::new(), AccuracyMetric::new()))
            .with_metric_logger(InMemoryMetricLogger::new())
            .with_application_logger(None)
            .num_epochs(3)
            .launch(Learner::new(
                model,
                AdamConfig::new().init(),
                ConstantLr::new(0.02),
            ));
        assert!(result.error.is_none(), "{:?}", result.error);
        let trained = result.model;
        assert_eq!(trained.skipped(), 0);
        assert!(trained.refused().is_none());

        device().seed(5);
        let mut hsr = config.init(AdamConfig::new().init()).unwrap();
        let mut model = start();
        for _ in 0..3 {
            for chunk in items().chunks(4) {
                let batch = Batches.batch(chunk.to_vec(), &device());
                let step = hsr.step(0.02, model, |model: &Convolution| {
                    let output = TrainStep::step(model, batch.clone());
                    (output.item, output.grads)
                });
                let step = step.unwrap();
                assert_eq!(step.outcome, Outcome::Stepped);
                model = step.module;
            }
        }
        assert_ne!(bits(&model), bits(&start()));
        let curvature = trained.curvature().unwrap();
        assert_eq!(curvature, hsr.gradient().curvature().unwrap());
        // Eight of fifteen steps.
        assert_eq!(curvature.unwrap().steps, 8);
        assert_eq!(bits(&trained.into_model()), bits(&model), "{objective:?}");
    }
}

/// In single precision.
struct Single;

impl ModuleMapper for Single {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.is_require_grad();
        param.map(|value| {
            let value = Tensor::from_inner(value.inner().cast(DType::F32));
            if trained { value.require_grad() } else { value }
        })
    }
}
