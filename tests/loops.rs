//! HSR in the loops that people have: losses of Burn, heads of deeper models, schedules, subsamples, adaptive strength,
//! resuming, half precision, and what is asked of a model before. All on flex in f64, so that finite differences are a
//! judge.

use std::sync::{Mutex, OnceLock};

use burn::module::{Module, Param};
use burn::nn::activation::ActivationConfig;
use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig, MseLoss, Reduction};
use burn::nn::{
    CeluConfig, DropoutConfig, EluConfig, HardShrinkConfig, HardSigmoidConfig, LeakyReluConfig,
    Linear, PReluConfig, ShrinkConfig, SoftShrinkConfig, SoftplusConfig, SwiGluConfig,
    ThresholdedReluConfig,
};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};
use burn_hsr::{
    Activation, Evaluation, Execution, Hsr, HsrConfig, HsrError, HsrRecord, Layer, LayerGradient,
    Layers, LossGradients, Mode, OutputLoss, ScheduleConfig, Sharpness, Strength, Subsample,
    Targets, ThreeLayer, ThreeLayerNet, ThreeLayerNetConfig, activation_forward, activation_of,
};
use hsr_tests::{relative_error, tensor, values};

/// Flex with autodiff and f64 as its default type.
fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let mut device = Device::flex();
            device
                .configure(FloatDType::F64)
                .expect("flex takes f64 before its first use");
            device
        })
        .clone()
        .autodiff()
}

/// Reproducible numbers in −1…1.
fn noise(count: usize, seed: usize) -> Vec<f64> {
    (0..count)
        .map(|i| (1.7 * (i + 31 * seed) as f64 + 0.3).sin() * (0.9 * i as f64).cos())
        .collect()
}

fn matrix(rows: usize, columns: usize, seed: usize) -> Tensor<2> {
    let values = noise(rows * columns, seed);
    tensor(&values, [rows, columns], &device(), DType::F64)
}

fn layer(inputs: usize, outputs: usize, seed: usize) -> Linear {
    let bias = tensor(&noise(outputs, seed + 1), [outputs], &device(), DType::F64);
    Linear {
        weight: Param::from_tensor(matrix(inputs, outputs, seed)),
        bias: Some(Param::from_tensor(bias)),
    }
}

fn net(inputs: usize, hidden: usize, outputs: usize) -> ThreeLayerNet {
    ThreeLayerNet::new(
        layer(inputs, hidden, 3),
        Activation::Tanh,
        layer(hidden, outputs, 7),
    )
}

fn classes(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &device())
}

/// A linear layer's numbers, weight first.
fn of_linear(linear: &Linear) -> Vec<f64> {
    let mut all = values(linear.weight.val());
    all.extend(linear.bias.iter().flat_map(|bias| values(bias.val())));
    all
}

fn gradient_of_linear(linear: &Linear, gradients: &GradientsParams) -> Vec<f64> {
    let weight = gradients.get::<2>(linear.weight.id).expect("a gradient");
    let mut all = values(weight);
    if let Some(bias) = &linear.bias {
        all.extend(values(gradients.get::<1>(bias.id).expect("a gradient")));
    }
    all
}

/// The layer with other numbers.
fn with_numbers(linear: &Linear, numbers: &[f64]) -> Linear {
    let shape = linear.weight.shape();
    let [inputs, outputs] = shape.dims();
    let (weight, bias) = numbers.split_at(inputs * outputs);
    let data = |values: &[f64], shape: Vec<usize>| TensorData::new(values.to_vec(), shape);
    Linear {
        weight: Param::from_data(data(weight, vec![inputs, outputs]), &device()),
        bias: linear
            .bias
            .as_ref()
            .map(|_| Param::from_data(data(bias, vec![outputs]), &device())),
    }
}

fn theta(net: &ThreeLayerNet) -> Vec<f64> {
    [of_linear(&net.hidden), of_linear(&net.output)].concat()
}

fn with_theta(net: &ThreeLayerNet, theta: &[f64]) -> ThreeLayerNet {
    let (hidden, output) = theta.split_at(of_linear(&net.hidden).len());
    ThreeLayerNet::new(
        with_numbers(&net.hidden, hidden),
        net.activation(),
        with_numbers(&net.output, output),
    )
}

fn gradient(net: &ThreeLayerNet, gradients: &GradientsParams) -> Vec<f64> {
    [
        gradient_of_linear(&net.hidden, gradients),
        gradient_of_linear(&net.output, gradients),
    ]
    .concat()
}

/// Trace and squared norm of the Hessian of a loss, by central differences of Burn's gradients.
fn moments_by_differences(
    net: &ThreeLayerNet,
    loss: impl Fn(&ThreeLayerNet) -> Tensor<1>,
) -> [f64; 2] {
    let at = theta(net);
    let gradient_at = |theta: &[f64]| {
        let net = with_theta(net, theta);
        gradient(
            &net,
            &GradientsParams::from_grads(loss(&net).backward(), &net),
        )
    };
    let step = f64::EPSILON.cbrt();
    let (mut trace, mut norm) = (0.0, 0.0);
    for i in 0..at.len() {
        let mut moved = at.clone();
        moved[i] = at[i] + step;
        let after = gradient_at(&moved);
        moved[i] = at[i] - step;
        let before = gradient_at(&moved);
        let column = after
            .iter()
            .zip(&before)
            .map(|(a, b)| (a - b) / (2.0 * step));
        for (j, value) in column.enumerate() {
            norm += value * value;
            if i == j {
                trace += value;
            }
        }
    }
    [trace, norm]
}

fn assert_same_hessian(
    name: &str,
    config: HsrConfig,
    net: &ThreeLayerNet,
    targets: impl Into<Targets>,
    x: Tensor<2>,
    loss: impl Fn(&ThreeLayerNet) -> Tensor<1>,
) {
    let expected = moments_by_differences(net, loss);
    let targets = targets.into();
    let hsr = config.init().unwrap();
    let moments = hsr.bounds(net, x.clone(), targets.clone()).unwrap().moments;
    let got = [moments.trace, moments.frobenius_squared];
    let error = relative_error(&got, &expected, 0.0);
    assert!(error < 1e-7, "{name}: {got:?} against {expected:?}");
    // The device sees the same loss as the host.
    let of = |execution| {
        let hsr = config.clone().with_execution(execution).init().unwrap();
        let gradient = hsr
            .gradient(net, x.clone(), targets.clone(), false)
            .unwrap();
        values(gradient.layers[1].weight.clone().unwrap())
    };
    let error = relative_error(&of(Execution::Device), &of(Execution::Host), 0.0);
    assert!(error < 1e-10, "{name}: {error}");
}

#[test]
fn the_regulariser_of_burns_cross_entropy_has_the_hessian_of_burns_cross_entropy() {
    let net = net(3, 4, 3);
    let x = matrix(9, 3, 11);
    let y = classes(&[0, 1, 2, 1, 0, 2, 2, 1, 0]);
    let weights = Some(vec![0.5_f32, 2.0, 1.25]);
    let base = CrossEntropyLossConfig::new();
    let configs = [
        ("plain", base.clone()),
        ("smoothed", base.clone().with_smoothing(Some(0.125))),
        ("weighted", base.clone().with_weights(weights.clone())),
        ("padded", base.clone().with_pad_tokens(Some(vec![1]))),
        (
            "weighted, smoothed and padded",
            base.with_weights(weights)
                .with_smoothing(Some(0.125))
                .with_pad_tokens(Some(vec![2])),
        ),
    ];
    for (name, config) in configs {
        let loss = config.init(&device());
        assert_same_hessian(
            name,
            HsrConfig::for_cross_entropy(&config).unwrap(),
            &net,
            y.clone(),
            x.clone(),
            |net| loss.forward(net.forward(x.clone()), y.clone()),
        );
    }
}

#[test]
fn the_regulariser_of_burns_binary_cross_entropy_has_the_hessian_of_burns_binary_cross_entropy() {
    let x = matrix(7, 3, 11);
    for smoothing in [None, Some(0.125)] {
        let config = BinaryCrossEntropyLossConfig::new()
            .with_logits(true)
            .with_smoothing(smoothing);
        let loss = config.init(&device());
        let hsr = HsrConfig::for_binary_cross_entropy(&config).unwrap();
        // Several labels a sample.
        let net_of_three = net(3, 4, 3);
        let labels: Vec<i64> = (0..21)
            .map(|i| i64::from(i % 2 == 0 || i % 5 == 0))
            .collect();
        let y = Tensor::<2, Int>::from_data(TensorData::new(labels, [7, 3]), &device());
        assert_same_hessian(
            "multi-label",
            hsr.clone(),
            &net_of_three,
            y.clone(),
            x.clone(),
            |net| loss.forward(net.forward(x.clone()), y.clone()),
        );
        // One label a sample, in one dimension.
        let net_of_one = net(3, 4, 1);
        let y = classes(&[0, 1, 1, 0, 1, 0, 0]);
        assert_same_hessian("binary", hsr, &net_of_one, y.clone(), x.clone(), |net| {
            loss.forward(net.forward(x.clone()).squeeze_dim::<1>(1), y.clone())
        });
    }
}

#[test]
fn the_regulariser_of_burns_squared_error_has_the_hessian_of_burns_squared_error() {
    let net = net(3, 4, 2);
    let (x, y) = (matrix(6, 3, 11), matrix(6, 2, 13));
    let config = HsrConfig::for_mean_squared_error();
    assert_same_hessian("mse", config, &net, y.clone(), x.clone(), |net| {
        MseLoss::new().forward(net.forward(x.clone()), y.clone(), Reduction::Mean)
    });
}

/// Burn's squared error of one output a sample, as deep Q-networks have it.
#[test]
fn the_regulariser_of_gathered_outputs_has_the_hessian_of_burns_gathered_squared_error() {
    let net = net(3, 4, 3);
    let (x, values) = (matrix(6, 3, 11), noise(6, 13));
    let values = tensor(&values, [6], &device(), DType::F64);
    let actions = classes(&[0, 2, 1, 1, 0, 2]);
    let config = HsrConfig::for_mean_squared_error();
    let targets = Targets::gathered(actions.clone(), values.clone(), 3);
    assert_same_hessian("gathered", config, &net, targets, x.clone(), |net| {
        let chosen = net.forward(x.clone());
        let chosen = chosen.gather(1, actions.clone().unsqueeze_dim(1));
        let values = values.clone().unsqueeze_dim(1);
        MseLoss::new().forward(chosen, values, Reduction::Mean)
    });
}

#[test]
fn weights_of_outputs_weigh_the_squared_error_and_nothing_else() {
    let net = net(3, 4, 3);
    let (x, y) = (matrix(7, 3, 11), matrix(7, 3, 13));
    let weights = tensor(
        &noise(21, 17).iter().map(|v| v.abs()).collect::<Vec<_>>(),
        [7, 3],
        &device(),
        DType::F64,
    );
    // A masked output.
    let weights = weights.slice_assign([0..1, 1..2], Tensor::zeros([1, 1], &device()));
    let of_samples = tensor(
        &[1.0, 2.0, 0.5, 0.0, 1.0, 1.5, 1.0],
        [7],
        &device(),
        DType::F64,
    );
    let loss = |net: &ThreeLayerNet| {
        let squares = (net.forward(x.clone()) - y.clone()).square() * weights.clone();
        let shares = of_samples.clone() / of_samples.clone().sum();
        (squares.mean_dim(1).squeeze_dim::<1>(1) * shares).sum()
    };
    let targets = || {
        Targets::from(y.clone())
            .with_output_weights(weights.clone())
            .with_sample_weights(of_samples.clone())
    };
    for evaluation in [Evaluation::Assembled, Evaluation::Gram] {
        let config = HsrConfig::for_mean_squared_error().with_evaluation(evaluation);
        assert_same_hessian("weighted", config, &net, targets(), x.clone(), loss);
    }

    // The loss in one call, and the gradient of its bound.
    let config = HsrConfig::for_mean_squared_error().with_strength(0.5);
    for execution in [Execution::Host, Execution::Device] {
        let mut hsr = config.clone().with_execution(execution).init().unwrap();
        let of_batch = hsr.loss_gradients(&net, x.clone(), targets()).unwrap();
        let error = relative_error(&values(of_batch.loss), &values(loss(&net)), 0.0);
        assert!(error < 1e-12, "{execution:?}: {error:e}");
        let expected = hsr_tests::central_differences(&theta(&net), |theta| {
            let net = with_theta(&net, theta);
            let bounds = hsr.bounds(&net, x.clone(), targets()).unwrap();
            values(loss(&net))[0] + 0.5 * bounds.lambda_sup
        });
        let got = gradient(&net, &of_batch.gradients);
        let error = relative_error(&got, &expected, 0.0);
        assert!(error < 1e-8, "{execution:?}: {error:e}");
    }

    let hsr = config.init().unwrap();
    let narrow = Targets::from(y.clone()).with_output_weights(weights.clone().narrow(1, 0, 2));
    let error = hsr.bounds(&net, x.clone(), narrow).unwrap_err().to_string();
    assert_eq!(
        error,
        "the output weights has shape [7, 2], expected [7, 3]"
    );
    let negative = Targets::from(y.clone()).with_output_weights(weights.clone().neg());
    let error = hsr.bounds(&net, x.clone(), negative).unwrap_err();
    assert!(error.to_string().contains("non-negative"), "{error}");
    let other = HsrConfig::new().with_loss(OutputLoss::SigmoidCrossEntropy.into());
    let error = other.init().unwrap().bounds(&net, x, targets());
    assert!(
        matches!(
            error,
            Err(HsrError::Core(hsr_core::Error::OutputWeights { .. }))
        ),
        "{error:?}"
    );
}

#[test]
fn weights_of_outputs_go_with_their_samples_where_threads_divide_the_batch() {
    let (net, samples) = (net(8, 48, 3), 1500);
    let (x, y) = (matrix(samples, 8, 11), matrix(samples, 3, 13));
    let weights = matrix(samples, 3, 17).abs();
    let bounds = |threads| {
        let config = HsrConfig::for_mean_squared_error().with_threads(Some(threads));
        let targets = Targets::from(y.clone()).with_output_weights(weights.clone());
        let hsr = config.init().unwrap();
        hsr.bounds(&net, x.clone(), targets).unwrap().lambda_sup
    };
    let error = relative_error(&[bounds(2)], &[bounds(1)], 0.0);
    assert!(error < 1e-12, "{error:e}");
    // The weights matter: without them it is another bound.
    let hsr = HsrConfig::for_mean_squared_error().init().unwrap();
    let plain = hsr.bounds(&net, x.clone(), y.clone()).unwrap().lambda_sup;
    assert!((plain / bounds(1) - 1.0).abs() > 0.01);
}

#[test]
fn one_number_a_sample_is_a_column_of_one() {
    let net = net(3, 4, 1);
    let (x, y) = (matrix(6, 3, 11), matrix(6, 1, 13));
    let hsr = HsrConfig::for_mean_squared_error().init().unwrap();
    let column = hsr.bounds(&net, x.clone(), y.clone()).unwrap();
    let numbers = hsr.bounds(&net, x, y.squeeze_dim::<1>(1)).unwrap();
    assert_eq!(numbers, column);
}

#[test]
fn losses_whose_hessian_is_another_are_refused() {
    let of_probabilities = CrossEntropyLossConfig::new().with_logits(false);
    let error = HsrConfig::for_cross_entropy(&of_probabilities).unwrap_err();
    assert!(matches!(error, HsrError::Loss { .. }) && error.to_string().contains("logits"));
    // Burn's default.
    let of_probabilities = BinaryCrossEntropyLossConfig::new();
    let error = HsrConfig::for_binary_cross_entropy(&of_probabilities).unwrap_err();
    assert!(error.to_string().contains("logits = true"), "{error}");
    let weighted = BinaryCrossEntropyLossConfig::new()
        .with_logits(true)
        .with_weights(Some(vec![1.0, 2.0]));
    let error = HsrConfig::for_binary_cross_entropy(&weighted).unwrap_err();
    assert!(error.to_string().contains("weights"), "{error}");
}

/// A backbone and a three-layer head.
#[derive(Module, Debug)]
struct Deep {
    backbone: Linear,
    head: ThreeLayerNet,
}

impl Deep {
    fn new() -> Self {
        Self {
            backbone: layer(4, 3, 5),
            head: net(3, 5, 3),
        }
    }

    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        self.backbone.forward(x).sin()
    }

    fn numbers(&self) -> Vec<f64> {
        [of_linear(&self.backbone), theta(&self.head)].concat()
    }

    fn with_numbers(&self, numbers: &[f64]) -> Self {
        let (backbone, head) = numbers.split_at(of_linear(&self.backbone).len());
        Self {
            backbone: with_numbers(&self.backbone, backbone),
            head: with_theta(&self.head, head),
        }
    }

    fn gradient(&self, gradients: &GradientsParams) -> Vec<f64> {
        [
            gradient_of_linear(&self.backbone, gradients),
            gradient(&self.head, gradients),
        ]
        .concat()
    }
}

#[test]
fn the_whole_backbone_gets_the_gradient_of_loss_and_bound() {
    let model = Deep::new();
    let x = matrix(8, 4, 11);
    let y = classes(&[0, 1, 2, 1, 0, 2, 2, 1]);
    let loss = CrossEntropyLossConfig::new().init(&device());
    let config = HsrConfig::new().with_strength(0.3);
    let hsr = config.init().unwrap();
    let objective = |numbers: &[f64]| {
        let model = model.with_numbers(numbers);
        let features = model.features(x.clone());
        let bound = hsr
            .bounds(&model.head, features.clone(), y.clone())
            .unwrap()
            .lambda_sup;
        let loss = loss.forward(model.head.forward(features), y.clone());
        values(loss)[0] + 0.3 * bound
    };
    let expected = hsr_tests::central_differences(&model.numbers(), objective);

    for execution in [Execution::Host, Execution::Device] {
        let mut hsr = config.clone().with_execution(execution).init().unwrap();
        let features = model.features(x.clone());
        let loss_value = loss.forward(model.head.forward(features.clone()), y.clone());
        let penalty = hsr
            .penalty(&model.head, features.clone(), y.clone())
            .unwrap();
        let grads = GradientsParams::from_grads((loss_value + penalty).backward(), &model);
        let by_penalty = model.gradient(&grads);
        let error = relative_error(&by_penalty, &expected, 0.0);
        assert!(error < 1e-8, "{execution:?}: penalty {error}");

        let features = model.features(x.clone());
        let loss_value = loss.forward(model.head.forward(features.clone()), y.clone());
        let term = hsr.head(&model.head, features, y.clone()).unwrap();
        assert_eq!(values(term.features_term()), [0.0]);
        let grads = (loss_value + term.features_term()).backward();
        let grads = GradientsParams::from_grads(grads, &model);
        let by_injection = model.gradient(&term.inject(&model.head, grads));
        let error = relative_error(&by_injection, &by_penalty, 0.0);
        assert!(error < 1e-13, "{execution:?}: head {error}");
    }
}

#[test]
fn a_subsample_regularises_its_rows_and_leaves_the_features_of_the_others_alone() {
    let model = Deep::new();
    let x = matrix(8, 4, 11);
    let y = classes(&[0, 1, 2, 1, 0, 2, 2, 1]);
    let mut hsr = HsrConfig::new()
        .with_strength(1.0)
        .with_subsample(Subsample::Rows(3))
        .with_seed(5)
        .init()
        .unwrap();
    let features = model.features(x).detach().require_grad();
    let penalty = hsr
        .penalty(&model.head, features.clone(), y.clone())
        .unwrap();
    let gradients = penalty.clone().backward();
    let of_features = values(features.grad(&gradients).expect("tracked features"));
    let rows: Vec<i64> = of_features
        .chunks(3)
        .zip(0..)
        .filter(|(row, _)| row.iter().any(|&v| v != 0.0))
        .map(|(_, row)| row)
        .collect();
    assert_eq!(rows.len(), 3, "{of_features:?}");
    // The value is λ_sup of these rows alone.
    let index = classes(&rows);
    let expected = hsr
        .bounds(
            &model.head,
            features.select(0, index.clone()),
            y.select(0, index),
        )
        .unwrap()
        .lambda_sup;
    assert!(relative_error(&values(penalty), &[expected], 0.0) < 1e-13);
}

#[test]
fn injections_refuse_features_of_a_backbone_and_name_the_ways_that_take_them() {
    let model = Deep::new();
    let (x, y) = (matrix(8, 4, 11), classes(&[0, 1, 2, 1, 0, 2, 2, 1]));
    let tracked = || model.features(x.clone());
    for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
        for execution in [Execution::Host, Execution::Device] {
            // With a pause of the schedule, too: a loop that is wrong is wrong at every step.
            for strength in [0.1, 0.0] {
                let mut hsr = HsrConfig::new()
                    .with_mode(mode)
                    .with_execution(execution)
                    .with_strength(strength)
                    .init()
                    .unwrap();
                let step = |hsr: &mut Hsr, features: Tensor<2>| {
                    let mut optimizer = SgdConfig::new().init();
                    let (head, none) = (model.head.clone(), GradientsParams::new());
                    hsr.step(&mut optimizer, 0.1, head, features, y.clone(), none)
                };
                let inject = |hsr: &mut Hsr, features: Tensor<2>| {
                    hsr.inject(&model.head, features, y.clone(), GradientsParams::new())
                };
                let mut errors = vec![step(&mut hsr, tracked()).err()];
                if mode != Mode::Decoupled {
                    errors.push(inject(&mut hsr, tracked()).err());
                }
                for error in errors {
                    let error = error.expect("the backbone's part would be lost");
                    assert!(matches!(error, HsrError::TrackedInputs { .. }), "{error}");
                    let message = error.to_string();
                    assert!(
                        message.contains("Hsr::head") && message.contains("Hsr::penalty"),
                        "{message}"
                    );
                }
                assert_eq!(hsr.to_record().unwrap().steps, 0);
                // What no graph waits for is taken: data on an autodiff device, and features that were detached.
                let untracked = matrix(8, 3, 5);
                assert!(untracked.is_autodiff() && !untracked.is_tracked());
                step(&mut hsr, untracked).unwrap();
                step(&mut hsr, tracked().detach()).unwrap();
                assert_eq!(hsr.to_record().unwrap().steps, 2);
            }
        }
    }
}

/// What was said through `log`.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _metadata: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        if record.target().starts_with("burn_hsr") {
            SAID.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_wide_head_takes_as_many_rows_as_the_budget_allows_and_says_so_once() {
    log::set_logger(&Listener).expect("no other logger in this file");
    log::set_max_level(log::LevelFilter::Warn);
    let (inputs, hidden, samples) = (96, 160, 128);
    let net = net(inputs, hidden, 10);
    let x = matrix(samples, inputs, 2).require_grad();
    let y = classes(&(0..samples as i64).map(|i| i % 10).collect::<Vec<_>>());
    let rows_with_gradient = |config: &HsrConfig| {
        let mut hsr = config.init().unwrap();
        for step in 0..2 {
            let penalty = hsr.penalty(&net, x.clone(), y.clone()).unwrap();
            let of_inputs = values(x.grad(&penalty.backward()).expect("tracked inputs"));
            let rows = of_inputs.chunks(inputs);
            let taken = rows.filter(|row| row.iter().any(|&v| v != 0.0)).count();
            assert_eq!(taken, hsr.cost(&net, samples).unwrap().rows, "step {step}");
        }
        let cost = hsr.cost(&net, samples).unwrap();
        (cost.rows, cost.plain_steps)
    };
    let all = HsrConfig::new().with_subsample(Subsample::All);
    let (rows, price) = rows_with_gradient(&all);
    assert_eq!(rows, samples);
    assert!(price > Subsample::BUDGET, "{price}");
    assert!(SAID.lock().unwrap().is_empty());

    let (rows, price) = rows_with_gradient(&HsrConfig::new());
    assert!((8..samples).contains(&rows), "{rows}");
    assert!(price <= Subsample::BUDGET || rows == 8, "{price}");
    {
        let said = SAID.lock().unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        let expected = format!("HSR takes {rows} of {samples} rows of a batch");
        assert!(said[0].starts_with(&expected), "{said:?}");
    }

    // What was asked for is not remarked on, and the call that computes the loss too takes the same rows.
    let (rows, _) = rows_with_gradient(&all.with_subsample(Subsample::Rows(24)));
    assert_eq!(rows, 24);
    assert_eq!(SAID.lock().unwrap().len(), 1);
    let mut hsr = HsrConfig::new().with_strength(0.5).init().unwrap();
    let x = x.detach();
    let x = Tensor::<2>::from_inner(x.inner());
    let of_batch = hsr.loss_gradients(&net, x.clone(), y.clone()).unwrap();
    let mut hsr = HsrConfig::new().with_strength(0.5).init().unwrap();
    let loss = CrossEntropyLossConfig::new().init(&device());
    let loss = loss.forward(net.forward(x.clone()), y.clone());
    let loss = loss + hsr.penalty(&net, x, y).unwrap();
    let expected = GradientsParams::from_grads(loss.backward(), &net);
    let got = gradient(&net, &of_batch.gradients);
    let error = relative_error(&got, &gradient(&net, &expected), 0.0);
    assert!(error < 1e-10, "{error:e}");
}

#[test]
fn the_predicted_price_grows_with_the_work() {
    let price = |sizes: [usize; 3], samples: usize, sharpness: Sharpness| {
        let [inputs, hidden, outputs] = sizes;
        let net = ThreeLayerNetConfig::new(inputs, hidden, outputs).init(&Device::flex());
        let config = HsrConfig::new()
            .with_subsample(Subsample::All)
            .with_sharpness(sharpness);
        let cost = config.init().unwrap().cost(&net, samples).unwrap();
        assert_eq!(cost.rows, samples);
        cost.plain_steps
    };
    let hsr = |sizes, samples| price(sizes, samples, Sharpness::LambdaSup);
    assert!(hsr([4, 16, 3], 64) > 1.0);
    // Pairs of samples, hidden units and classes.
    assert!(hsr([512, 512, 10], 128) > hsr([512, 512, 10], 32));
    assert!(hsr([256, 512, 10], 64) > hsr([256, 64, 10], 64));
    assert!(hsr([64, 16, 10], 64) > hsr([64, 16, 2], 64));
    // What the book says of wide heads.
    let wide = [1024, 1024, 10];
    for (sizes, samples, said, rows, with_rows) in [
        ([784, 128, 10], 64, 2.7, 64, 2.7),
        ([784, 128, 10], 128, 3.6, 64, 2.2),
        (wide, 64, 6.9, 16, 2.5),
    ] {
        let [inputs, hidden, outputs] = sizes;
        let net = ThreeLayerNetConfig::new(inputs, hidden, outputs).init(&Device::flex());
        let auto = HsrConfig::new()
            .init()
            .unwrap()
            .cost(&net, samples)
            .unwrap();
        let rounded = |price: f64| (10.0 * price).round() / 10.0;
        assert_eq!(rounded(hsr(sizes, samples)), said);
        assert_eq!((auto.rows, rounded(auto.plain_steps)), (rows, with_rows));
    }
    // The trace needs no pairs, and λ_max many products.
    let digits = |sharpness| price([64, 16, 10], 64, sharpness);
    assert!(digits(Sharpness::Trace) < digits(Sharpness::LambdaSup));
    assert!(digits(Sharpness::LambdaMax) > digits(Sharpness::LambdaSup));
    // An evaluation whose blocks do not fit has no price, and an empty batch neither.
    let wide = ThreeLayerNetConfig::new(1024, 1024, 10).init(&Device::flex());
    let assembled = HsrConfig::new().with_evaluation(Evaluation::Assembled);
    let error = assembled.init().unwrap().cost(&wide, 64).unwrap_err();
    assert!(error.to_string().contains("limit"), "{error}");
    let error = HsrConfig::new().init().unwrap().cost(&wide, 0).unwrap_err();
    assert!(error.to_string().contains("samples"), "{error}");
}

/// The activations of Burn 0.22, by configuration.
fn activations_of_burn() -> Vec<ActivationConfig> {
    vec![
        ActivationConfig::Identity,
        ActivationConfig::Gelu,
        ActivationConfig::GeluApproximate,
        ActivationConfig::PRelu(PReluConfig::new()),
        ActivationConfig::Relu,
        ActivationConfig::LeakyRelu(LeakyReluConfig::new().with_negative_slope(0.3)),
        ActivationConfig::SwiGlu(SwiGluConfig::new(3, 3)),
        ActivationConfig::Selu,
        ActivationConfig::Sigmoid,
        ActivationConfig::Tanh,
        ActivationConfig::HardSigmoid(HardSigmoidConfig::new()),
        ActivationConfig::HardSwish,
        ActivationConfig::Softplus(SoftplusConfig::new()),
        ActivationConfig::Softplus(SoftplusConfig::new().with_beta(2.0)),
        ActivationConfig::Softsign,
        ActivationConfig::Elu(EluConfig::new()),
        ActivationConfig::Celu(CeluConfig::new()),
        ActivationConfig::ThresholdedRelu(ThresholdedReluConfig::new()),
        ActivationConfig::HardShrink(HardShrinkConfig::new()),
        ActivationConfig::SoftShrink(SoftShrinkConfig::new()),
        ActivationConfig::Shrink(ShrinkConfig::new()),
    ]
}

#[test]
fn an_activation_of_burn_is_the_same_function_here_or_is_refused_by_name() {
    let z = matrix(5, 3, 2) * 4.0;
    let mut known = 0;
    for config in activations_of_burn() {
        let burn = config.init(&device());
        match activation_of(&burn) {
            Ok(activation) => {
                known += 1;
                let here = values(activation_forward(activation, z.clone()));
                let there = values(burn.forward(z.clone()));
                let error = relative_error(&here, &there, 1.0);
                assert!(error < 1e-12, "{config}: {error:e}");
            }
            Err(error) => {
                let shown = format!("{config:?}");
                let name = shown.split('(').next().unwrap();
                let message = error.to_string();
                assert!(
                    message.starts_with(&format!("{name} cannot be regularised: ")),
                    "{message}"
                );
            }
        }
    }
    assert_eq!(known, 8);
}

/// A head as a model may keep it: Burn's activation, and a last layer that may be missing.
#[derive(Module, Debug)]
struct OfBurn {
    up: Linear,
    activation: burn::nn::activation::Activation,
    down: Option<Linear>,
}

impl Layers for OfBurn {
    fn layers(&self) -> Vec<Layer<'_>> {
        let mut layers = vec![Layer::new(&self.up).with_activation(&self.activation)];
        layers.extend(self.down.layers());
        layers
    }
}

#[test]
fn activations_of_burn_and_layers_that_may_be_missing_are_taken_as_they_are() {
    let net = net(3, 4, 3);
    let (x, y) = (matrix(8, 3, 11), classes(&[0, 1, 2, 1, 0, 2, 2, 1]));
    let head = |config: ActivationConfig| OfBurn {
        up: net.hidden.clone(),
        activation: config.init(&device()),
        down: Some(net.output.clone()),
    };
    let mut hsr = HsrConfig::new().with_strength(0.1).init().unwrap();
    let expected = hsr.bounds(&net, x.clone(), y.clone()).unwrap();
    let tanh = head(ActivationConfig::Tanh);
    assert_eq!(hsr.bounds(&tanh, x.clone(), y.clone()).unwrap(), expected);
    let grads = hsr.penalty(&tanh, x.clone(), y.clone()).unwrap();
    let grads = GradientsParams::from_grads(grads.backward(), &tanh);
    assert!(grads.get::<2>(net.output.weight.id).is_some());

    // What the closed form does not have is refused where it is used, by every way in, and no step counts.
    let selu = head(ActivationConfig::Selu);
    let none = GradientsParams::new;
    let refused = [
        hsr.bounds(&selu, x.clone(), y.clone()).err(),
        hsr.penalty(&selu, x.clone(), y.clone()).err(),
        hsr.inject(&selu, x.clone(), y.clone(), none()).err(),
        hsr.head(&selu, x.clone(), y.clone()).err(),
        hsr.loss_gradients(&selu, x.clone(), y.clone()).err(),
        hsr.loss(&selu, x.clone(), y.clone()).err(),
        hsr.verify(&selu, x.clone(), net.forward(x.clone())).err(),
    ];
    for error in refused {
        let error = error.expect("an activation without a closed form");
        assert!(matches!(error, HsrError::Activation { .. }), "{error}");
    }
    assert_eq!(hsr.to_record().unwrap().steps, 1);

    let (some, missing) = (Some(net.clone()), None::<ThreeLayerNet>);
    assert_eq!(hsr.bounds(&some, x.clone(), y.clone()).unwrap(), expected);
    let error = hsr.penalty(&missing, x, y).unwrap_err();
    assert!(
        error.to_string().contains("the number of layers"),
        "{error}"
    );
}

#[test]
fn what_looks_shifts_neither_the_schedule_nor_rows_nor_probes() {
    let net = net(3, 4, 3);
    let (x, y) = (matrix(9, 3, 11), classes(&[0, 1, 2, 1, 0, 2, 2, 1, 0]));
    for probes in [0, 2] {
        let schedule = ScheduleConfig::new().with_warmup_steps(8);
        let config = HsrConfig::new()
            .with_strength(0.1)
            .with_schedule(schedule)
            .with_subsample(Subsample::Rows(5))
            .with_probes(probes)
            .with_seed(3);
        let run = |look: bool| {
            let mut hsr = config.init().unwrap();
            let steps = (0..4).map(|_| {
                if look {
                    hsr.gradient(&net, x.clone(), y.clone(), false).unwrap();
                    hsr.bounds(&net, x.clone(), y.clone()).unwrap();
                    hsr.loss(&net, x.clone(), y.clone()).unwrap();
                }
                values(hsr.penalty(&net, x.clone(), y.clone()).unwrap())
            });
            steps.collect::<Vec<_>>()
        };
        let steps = run(false);
        assert_eq!(run(true), steps);
        assert!(steps.windows(2).all(|pair| pair[0] != pair[1]));
    }
    // The loss to look at is that of the step.
    let mut hsr = HsrConfig::new().init().unwrap();
    let looked = values(hsr.loss(&net, x.clone(), y.clone()).unwrap());
    let stepped = hsr.loss_gradients(&net, x, y).unwrap().loss;
    assert!(relative_error(&looked, &values(stepped), 0.0) < 1e-13);
}

/// Three layers with something between or behind them.
fn disagreeing(net: &ThreeLayerNet, x: &Tensor<2>) -> Vec<(&'static str, Tensor<2>)> {
    let z = net.hidden.forward(x.clone());
    let a = activation_forward(net.activation(), z.clone());
    let dropout = DropoutConfig::new(0.5).init().forward(a.clone());
    let mean = a.clone().mean_dim(1);
    let logits = net.output.forward(a);
    vec![
        ("dropout", net.output.forward(dropout)),
        (
            "normalisation",
            net.output
                .forward(net.hidden.forward(x.clone()).tanh() - mean),
        ),
        ("went through a softmax", softmax(logits.clone(), 1)),
        ("went through a log-softmax", log_softmax(logits.clone(), 1)),
        ("other inputs", logits.clone().flip([0])),
        ("not a number", logits / 0.0 * 0.0),
    ]
}

#[test]
fn verification_passes_what_is_right_and_says_what_is_wrong() {
    let hsr = HsrConfig::new().init().unwrap();
    let x = matrix(8, 5, 11);
    for activation in Activation::ALL {
        let net = ThreeLayerNet::new(layer(5, 16, 3), activation, layer(16, 3, 7));
        // Small numbers, and such as saturate.
        for scale in [1e-3, 1.0, 30.0] {
            let x = x.clone() * scale;
            let logits = net.forward(x.clone());
            hsr.verify(&net, x.clone(), logits.clone()).unwrap();
            let error = hsr.verify(&net, x, logits * (1.0 + 1e-10)).unwrap_err();
            assert!(
                matches!(error, HsrError::Logits { .. }),
                "{activation}, {scale}"
            );
        }
        // Another activation, where it is another: which one is said.
        for other in Activation::ALL
            .into_iter()
            .filter(|&other| other != activation)
        {
            let wrong = ThreeLayerNet::new(net.hidden.clone(), other, net.output.clone());
            let error = hsr
                .verify(&net, x.clone(), wrong.forward(x.clone()))
                .unwrap_err();
            let message = error.to_string();
            let expected =
                format!("they are those of φ = {other}: that is what activation() should say");
            assert!(
                message.ends_with(&expected),
                "{activation} for {other}: {message}"
            );
        }
    }
    let net = ThreeLayerNet::new(layer(5, 16, 3), Activation::Tanh, layer(16, 3, 7));
    for (what, logits) in disagreeing(&net, &x) {
        let error = hsr.verify(&net, x.clone(), logits).unwrap_err().to_string();
        if what.starts_with("went") {
            assert!(error.contains(what), "{what}: {error}");
        } else {
            assert!(error.contains("dropout in training"), "{what}: {error}");
        }
    }
    // Where and by how much.
    let (mut logits, at) = (values(net.forward(x.clone())), 3 * 2 + 1);
    logits[at] += 0.25;
    let logits = tensor(&logits, [8, 3], &device(), DType::F64);
    match hsr.verify(&net, x.clone(), logits).unwrap_err() {
        HsrError::Logits {
            sample,
            output,
            difference,
            tolerance,
            ..
        } => {
            assert_eq!((sample, output), (2, 1));
            assert!((difference - 0.25).abs() < 1e-12);
            assert!(tolerance < 1e-11, "{tolerance}");
        }
        other => panic!("{other}"),
    }
    let error = hsr.verify(&net, x.clone(), matrix(8, 2, 1)).unwrap_err();
    let expected = "the model's logits has shape [8, 2], expected [8, 3]";
    assert_eq!(error.to_string(), expected);
    assert!(hsr.verify(&net, matrix(8, 4, 1), matrix(8, 3, 1)).is_err());
}

#[test]
fn verification_allows_what_rounding_explains_in_every_precision() {
    let hsr = HsrConfig::new().init().unwrap();
    let wide = ThreeLayerNet::new(layer(64, 128, 3), Activation::Gelu, layer(128, 5, 7));
    let x = matrix(16, 64, 11);
    let exact = wide.forward(x.clone());
    for (dtype, coarse) in [(DType::F32, 1e-3), (DType::F16, 3.0), (DType::BF16, 30.0)] {
        let cast = |linear: &Linear| Linear {
            weight: Param::from_tensor(linear.weight.val().inner().cast(dtype)),
            bias: linear
                .bias
                .as_ref()
                .map(|bias| Param::from_tensor(bias.val().inner().cast(dtype))),
        };
        let net = ThreeLayerNet::new(cast(&wide.hidden), Activation::Gelu, cast(&wide.output));
        let x = x.clone().inner().cast(dtype);
        let logits = net.forward(x.clone());
        hsr.verify(&net, x.clone(), logits.clone()).unwrap();
        // Logits of the unrounded network differ by roundings of parameters and inputs alone.
        hsr.verify(&net, x.clone(), exact.clone()).unwrap();
        let error = hsr.verify(&net, x, logits.cast(DType::F64) + coarse);
        assert!(error.is_err(), "{dtype:?}");
    }
}

/// Plain SGD or Adam steps with a regulariser, from one start; the numbers after each step.
struct Run {
    net: ThreeLayerNet,
    optimizer: burn::optim::ModuleOptimizer,
    hsr: burn_hsr::Hsr,
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl Run {
    fn new(config: &HsrConfig, optimizer: burn::optim::ModuleOptimizer) -> Self {
        Self {
            net: net(3, 4, 3),
            optimizer,
            hsr: config.init().unwrap(),
            x: matrix(9, 3, 11),
            y: classes(&[0, 1, 2, 1, 0, 2, 2, 1, 0]),
        }
    }

    fn loss_gradients(&self) -> GradientsParams {
        let loss = CrossEntropyLossConfig::new().init(&device());
        let loss = loss.forward(self.net.forward(self.x.clone()), self.y.clone());
        GradientsParams::from_grads(loss.backward(), &self.net)
    }

    fn step(&mut self) -> Vec<f64> {
        let gradients = self.loss_gradients();
        self.net = self
            .hsr
            .step(
                &mut self.optimizer,
                0.1,
                self.net.clone(),
                self.x.clone(),
                self.y.clone(),
                gradients,
            )
            .unwrap();
        theta(&self.net)
    }
}

#[test]
fn the_loss_step_is_the_step_of_backward_and_hsr() {
    let schedule = ScheduleConfig::new().with_interval(2).with_warmup_steps(3);
    let base = || HsrConfig::new().with_strength(0.2);
    let mut configs = vec![
        base().with_strength(0.0),
        base().with_subsample(Subsample::Rows(4)),
        base().with_strength(Strength::Relative(0.2)),
        base().with_strength(Strength::Auto),
        base()
            .with_strength(Strength::Relative(0.2))
            .with_mode(Mode::Decoupled),
        base().with_execution(Execution::Device),
    ];
    for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
        configs.push(base().with_mode(mode));
        let scheduled = base().with_mode(mode).with_schedule(schedule.clone());
        configs.push(scheduled);
    }
    configs.extend(Sharpness::ALL.map(|sharpness| base().with_sharpness(sharpness)));
    for config in configs {
        let run = || {
            let mut run = Run::new(&config, AdamConfig::new().init());
            let bias = run.net.hidden.bias.take();
            run.net.hidden.bias = bias.map(|bias| bias.set_require_grad(false));
            run
        };
        let (mut by_hand, mut one_call) = (run(), run());
        for step in 0..5 {
            let loss = CrossEntropyLossConfig::new().init(&device());
            let logits = by_hand.net.forward(by_hand.x.clone());
            let expected_loss = values(loss.forward(logits, by_hand.y.clone()));
            let expected = by_hand.step();
            let (net, loss) = one_call
                .hsr
                .loss_step(
                    &mut one_call.optimizer,
                    0.1,
                    one_call.net.clone(),
                    one_call.x.clone(),
                    one_call.y.clone(),
                )
                .unwrap();
            one_call.net = net;
            let error = relative_error(&values(loss), &expected_loss, 0.0);
            assert!(error < 1e-12, "{config}, step {step}: loss {error:e}");
            // Adam divides by the gradient's length, and λ_max's eigenvector is found to 1e-4.
            let error = relative_error(&theta(&one_call.net), &expected, 0.0);
            assert!(error < 1e-9, "{config}, step {step}: {error:e}");
            // The running mean of the loss's gradient is that of two programs.
            let record = |run: &Run| HsrRecord {
                mean: None,
                ..run.hsr.to_record().unwrap()
            };
            assert_eq!(record(&one_call), record(&by_hand));
        }
        let frozen = run().net.hidden.bias.unwrap();
        let after = one_call.net.hidden.bias.unwrap();
        assert_eq!(values(after.val()), values(frozen.val()), "{config}");
    }
}

#[test]
fn the_loss_of_one_call_is_that_of_the_configuration() {
    // Smoothing, class weights and padding, which changes the mean.
    let config = CrossEntropyLossConfig::new()
        .with_smoothing(Some(0.1))
        .with_weights(Some(vec![1.0, 2.5, 0.5]))
        .with_pad_tokens(Some(vec![2]));
    let net = net(3, 4, 3);
    let (x, y) = (matrix(9, 3, 11), classes(&[0, 1, 2, 1, 0, 2, 2, 1, 0]));
    for execution in [Execution::Host, Execution::Device] {
        let mut hsr = HsrConfig::for_cross_entropy(&config)
            .unwrap()
            .with_execution(execution)
            .with_strength(0.3)
            .init()
            .unwrap();
        let loss = config.init(&device());
        let loss = loss.forward(net.forward(x.clone()), y.clone());
        let expected_loss = values(loss.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        let expected = hsr.inject(&net, x.clone(), y.clone(), gradients).unwrap();
        let LossGradients { loss, gradients } =
            hsr.loss_gradients(&net, x.clone(), y.clone()).unwrap();
        // Burn holds smoothing and weights in f32.
        let error = relative_error(&values(loss), &expected_loss, 0.0);
        assert!(error < 1e-6, "{execution:?}: {error:e}");
        let got = gradient(&net, &gradients);
        let error = relative_error(&got, &gradient(&net, &expected), 0.0);
        assert!(error < 1e-6, "{execution:?}: {error:e}");
    }
}

#[test]
fn one_call_refuses_what_it_would_leave_without_a_gradient() {
    let run = Run::new(&HsrConfig::new(), SgdConfig::new().init());
    for config in [
        HsrConfig::new(),
        HsrConfig::new().with_subsample(Subsample::Rows(2)),
        HsrConfig::new().with_execution(Execution::Device),
    ] {
        let mut hsr = config.init().unwrap();
        let tracked = run.x.clone().require_grad();
        let error = hsr.loss_gradients(&run.net, tracked, run.y.clone());
        let error = error.err().expect("a backbone would not be trained");
        assert!(matches!(error, HsrError::TrackedInputs { .. }), "{error}");
        assert_eq!(hsr.to_record().unwrap().steps, 0);
    }
    let mut decoupled = HsrConfig::new().with_mode(Mode::Decoupled).init().unwrap();
    let error = decoupled.loss_gradients(&run.net, run.x.clone(), run.y.clone());
    let error = error.err().expect("no gradient says when it is to act");
    assert!(matches!(error, HsrError::Decoupled { .. }), "{error}");
}

#[test]
fn a_schedule_scales_each_step_and_its_pauses_are_the_plain_optimizer() {
    let schedule = ScheduleConfig::new()
        .with_interval(2)
        .with_warmup_steps(4)
        .with_stop_after(Some(6));
    for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
        let config = HsrConfig::new().with_strength(0.2).with_mode(mode);
        let mut scheduled = Run::new(
            &config.clone().with_schedule(schedule.clone()),
            SgdConfig::new().init(),
        );
        // The same steps with the strength written out: (t + 1)/4 · 2 at t = 0 and 2, 1 · 2 at 4, else 0.
        for strength in [0.1, 0.0, 0.3, 0.0, 0.4, 0.0, 0.0, 0.0] {
            let mut by_hand = Run::new(
                &config.clone().with_strength(strength),
                SgdConfig::new().init(),
            );
            by_hand.net = scheduled.net.clone();
            let expected = by_hand.step();
            let got = scheduled.step();
            if strength == 0.0 {
                assert_eq!(got, expected, "{mode:?}");
            } else {
                let error = relative_error(&got, &expected, 0.0);
                assert!(error < 1e-14, "{mode:?}, {strength}: {error}");
            }
        }
    }
}

#[test]
fn a_resumed_run_takes_the_very_steps_of_an_uninterrupted_one() {
    let config = HsrConfig::new()
        .with_strength(0.2)
        .with_subsample(Subsample::Rows(4))
        .with_seed(9)
        .with_schedule(
            ScheduleConfig::new()
                .with_warmup_steps(3)
                .with_cosine_steps(Some(8)),
        );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hsr.json");
    let mut whole = Run::new(&config, AdamConfig::new().init());
    let mut first = Run::new(&config, AdamConfig::new().init());
    for _ in 0..4 {
        assert_eq!(whole.step(), first.step());
    }
    first.hsr.to_record().unwrap().save(&path).unwrap();
    let optimizer = if Device::default() != Device::flex() {
        // Burn makes a state anew on its default device, a GPU then, which may have no f64.
        first.optimizer.clone()
    } else {
        let bytes = first.optimizer.into_bytes().unwrap();
        AdamConfig::new().init().from_bytes(bytes).unwrap()
    };
    let mut second = Run::new(&config, optimizer);
    second.net = first.net;
    second.hsr = second.hsr.load_record(HsrRecord::load(&path).unwrap());
    let mut forgetful = Run::new(&config, AdamConfig::new().init());
    forgetful.net = second.net.clone();
    forgetful.optimizer = second.optimizer.clone();
    let mut differs = false;
    for _ in 0..6 {
        let expected = whole.step();
        assert_eq!(second.step(), expected);
        differs |= forgetful.step() != expected;
    }
    assert!(
        differs,
        "without its record the run would have been another"
    );
    assert!(HsrRecord::from_bytes(b"{}").is_err());
    assert!(HsrRecord::load(folder.path().join("none")).is_err());
}

/// The numbers of the parameters that are trained, in order.
fn trained(net: &ThreeLayerNet, gradients: &GradientsParams) -> Vec<f64> {
    let mut all = Vec::new();
    for linear in [&net.hidden, &net.output] {
        all.extend(
            gradients
                .get::<2>(linear.weight.id)
                .map_or(Vec::new(), values),
        );
        if let Some(bias) = &linear.bias {
            all.extend(gradients.get::<1>(bias.id).map_or(Vec::new(), values));
        }
    }
    all
}

fn length(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A projected strength over steps, against plain arithmetic, and again from a record in the middle.
#[test]
fn a_projected_strength_does_not_work_against_the_mean_gradient_of_the_loss() {
    for mode in [Mode::Coupled, Mode::Direction] {
        for execution in [Execution::Host, Execution::Device] {
            let config = HsrConfig::new()
                .with_strength(Strength::Projected(1.5))
                .with_mode(mode)
                .with_execution(execution);
            let mut run = Run::new(&config, SgdConfig::new().init());
            let (mut mean, mut conflicts) = (Vec::new(), 0);
            for step in 0..12 {
                let net = run.net.clone();
                // Another part of the batch each step, so that its gradient is not that of the last one.
                let rows = Tensor::<1, Int>::from_ints([step % 5, step % 3 + 2, 5], &device());
                let (x, y) = (
                    run.x.clone().select(0, rows.clone()),
                    run.y.clone().select(0, rows),
                );
                let loss = CrossEntropyLossConfig::new().init(&device());
                let grads = loss.forward(net.forward(x.clone()), y.clone()).backward();
                let gradients = GradientsParams::from_grads(grads, &net);
                let g = trained(&net, &gradients);
                let penalty = run.hsr.gradient(&net, x.clone(), y.clone(), false).unwrap();
                let of_layer = |layer: LayerGradient| {
                    let mut all = layer.weight.map_or(Vec::new(), values);
                    all.extend(layer.bias.map_or(Vec::new(), values));
                    all
                };
                let u: Vec<f64> = penalty.layers.into_iter().flat_map(of_layer).collect();
                if mean.is_empty() {
                    mean = vec![0.0; g.len()];
                }
                for (m, g) in mean.iter_mut().zip(&g) {
                    *m = 0.95 * *m + 0.05 * g;
                }
                let against = (-dot(&u, &mean) / dot(&mean, &mean)).max(0.0);
                conflicts += usize::from(against > 0.0);
                let scale = 1.5 * length(&g) / length(&u);
                let added: Vec<f64> = u
                    .iter()
                    .zip(&mean)
                    .map(|(u, m)| scale * (u + against * m))
                    .collect();
                let context = format!("{mode:?} {execution:?}, step {step}");
                assert!(
                    dot(&added, &mean) >= -1e-12 * length(&added) * length(&mean),
                    "{context}"
                );
                if step == 7 {
                    let record = run.hsr.to_record().unwrap();
                    let record = HsrRecord::from_bytes(&record.into_bytes()).unwrap();
                    run.hsr = config.init().unwrap().load_record(record);
                }
                let gradients = run.hsr.inject(&net, x, y, gradients).unwrap();
                let expected: Vec<f64> = g.iter().zip(&added).map(|(g, a)| g + a).collect();
                let error = relative_error(&trained(&net, &gradients), &expected, 0.0);
                assert!(error < 1e-10, "{context}: {error:e}");
                run.net = run.optimizer.step(0.5, net, gradients);
            }
            assert!(
                (2..=11).contains(&conflicts),
                "{mode:?} {execution:?}: {conflicts}"
            );
        }
    }
}

/// Every rule, mode, entry and execution adds what plain arithmetic does to the gradients of the loss. A frozen parameter
/// counts on neither side.
#[test]
fn every_rule_of_the_strength_adds_what_it_says_in_every_entry() {
    let rules = [
        Strength::Auto,
        Strength::Relative(0.25),
        Strength::Projected(2.0),
        Strength::Safe {
            strength: 0.3,
            share: 1e-3,
        },
        Strength::Safe {
            strength: 1e-3,
            share: 10.0,
        },
        Strength::Fixed(0.3),
    ];
    let schedule = ScheduleConfig::new().with_interval(2);
    for rule in rules {
        for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
            for execution in [Execution::Host, Execution::Device] {
                let config = HsrConfig::new()
                    .with_strength(rule)
                    .with_mode(mode)
                    .with_schedule(schedule.clone())
                    .with_execution(execution);
                let context = format!("{rule} {mode:?} {execution:?}");
                let mut run = Run::new(&config, SgdConfig::new().init());
                run.net.hidden.bias = run.net.hidden.bias.map(|b| b.set_require_grad(false));
                let (net, x, y) = (run.net.clone(), run.x.clone(), run.y.clone());
                let of_loss = trained(&net, &run.loss_gradients());
                let penalty = run.hsr.gradient(&net, x.clone(), y.clone(), false).unwrap();
                let lambda = values(penalty.value.clone())[0];
                let of_layer = |layer: LayerGradient| {
                    let mut all = layer.weight.map_or(Vec::new(), values);
                    all.extend(layer.bias.map_or(Vec::new(), values));
                    all
                };
                let u: Vec<f64> = penalty.layers.into_iter().flat_map(of_layer).collect();
                let own = if mode == Mode::Direction {
                    length(&u)
                } else {
                    1.0
                };
                let longest = |share: f64| share * length(&of_loss) * own / length(&u);
                let factor =
                    2.0 * match config.strength() {
                        Strength::Relative(share) | Strength::Projected(share) => longest(share),
                        Strength::Safe { strength, share } => strength.min(longest(share)),
                        rule => rule.most().unwrap(),
                    } / own;
                // After one step the mean is a multiple of ∇L.
                let against = match config.strength().projects() {
                    true => (-dot(&u, &of_loss) / dot(&of_loss, &of_loss)).max(0.0),
                    false => 0.0,
                };
                let u: Vec<f64> = u
                    .iter()
                    .zip(&of_loss)
                    .map(|(u, l)| u + against * l)
                    .collect();
                let with: Vec<f64> = of_loss
                    .iter()
                    .zip(&u)
                    .map(|(l, u)| l + factor * u)
                    .collect();
                if mode == Mode::Decoupled {
                    let none = config.clone().with_strength(0.0);
                    let mut plain = Run::new(&none, SgdConfig::new().init());
                    plain.net = net;
                    let (plain, after) = (plain.step(), run.step());
                    let taken: Vec<f64> = plain.iter().zip(&after).map(|(a, b)| a - b).collect();
                    let error = (length(&taken) / (0.1 * factor * length(&u)) - 1.0).abs();
                    assert!(error < 1e-9, "{context}: {error}");
                    continue;
                }
                let check = |entry: &str, found: &[f64]| {
                    let error = relative_error(found, &with, 0.0);
                    assert!(error < 1e-10, "{context} {entry}: {error:e}");
                };
                let hsr = || config.init().unwrap();
                let injected = hsr().inject(&net, x.clone(), y.clone(), run.loss_gradients());
                check("inject", &trained(&net, &injected.unwrap()));
                let one_call = hsr().loss_gradients(&net, x.clone(), y.clone()).unwrap();
                check("loss_gradients", &trained(&net, &one_call.gradients));
                let loss = || {
                    let loss = CrossEntropyLossConfig::new().init(&device());
                    loss.forward(net.forward(x.clone()), y.clone())
                };
                let term = hsr().penalty(&net, x.clone(), y.clone()).unwrap();
                let value = values(term.clone().inner())[0];
                let expected = factor * own * lambda;
                assert!((value / expected - 1.0).abs() < 1e-10, "{context}: {value}");
                let gradients = GradientsParams::from_grads((loss() + term).backward(), &net);
                check("penalty", &trained(&net, &gradients));
                let term = hsr().head(&net, x.clone(), y.clone()).unwrap();
                let grads = (loss() + term.features_term()).backward();
                let gradients = term.inject(&net, GradientsParams::from_grads(grads, &net));
                check("head", &trained(&net, &gradients));
            }
        }
    }
}

/// A loss that is nowhere steep, and a batch without curvature: 0 is added, and nothing is NaN.
#[test]
fn a_gradient_of_zero_stays_finite_under_every_rule_in_both_precisions() {
    for dtype in [DType::F32, DType::F64] {
        let (x, y) = (
            Tensor::<2>::zeros([4, 3], (&device(), dtype)),
            classes(&[0, 1, 0, 1]),
        );
        let zero = |linear: &Linear| Linear {
            weight: Param::from_tensor(Tensor::zeros(linear.weight.dims(), (&device(), dtype)))
                .set_require_grad(true),
            bias: None,
        };
        let start = net(3, 4, 2);
        let net = ThreeLayerNet::new(zero(&start.hidden), Activation::Tanh, zero(&start.output));
        for rule in ["auto", "relative:0.5", "safe:0.1", "projected:0.5", "0.1"] {
            for mode in [Mode::Coupled, Mode::Direction] {
                for execution in [Execution::Host, Execution::Device] {
                    let mut hsr = HsrConfig::new()
                        .with_strength(rule.parse::<Strength>().unwrap())
                        .with_mode(mode)
                        .with_execution(execution)
                        .init()
                        .unwrap();
                    let context = format!("{rule} {mode:?} {execution:?} {dtype:?}");
                    let none = GradientsParams::new();
                    let injected = hsr.inject(&net, x.clone(), y.clone(), none).unwrap();
                    let one_call = hsr.loss_gradients(&net, x.clone(), y.clone()).unwrap();
                    let term = hsr.penalty(&net, x.clone(), y.clone()).unwrap();
                    assert!(values(term.clone().inner())[0].is_finite(), "{context}");
                    let by_term = GradientsParams::from_grads(term.backward(), &net);
                    for gradients in [injected, one_call.gradients, by_term] {
                        let all = trained(&net, &gradients);
                        assert!(
                            all.len() == 20 && all.iter().all(|v| *v == 0.0),
                            "{context}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn half_precision_parameters_get_the_gradient_of_single_precision() {
    let net = net(3, 4, 3);
    let x = matrix(9, 3, 11);
    let y = classes(&[0, 1, 2, 1, 0, 2, 2, 1, 0]);
    // bf16 keeps 8 bits, f16 11: the rounded parameters are the same on both sides, so only the result is rounded.
    for (dtype, tolerance) in [(DType::F16, 2e-3), (DType::BF16, 2e-2)] {
        let cast = |linear: &Linear, dtype| Linear {
            weight: Param::from_tensor(linear.weight.val().inner().cast(dtype)),
            bias: linear
                .bias
                .as_ref()
                .map(|bias| Param::from_tensor(bias.val().inner().cast(dtype))),
        };
        let half = |linear: &Linear| cast(linear, dtype);
        let narrow = ThreeLayerNet::new(half(&net.hidden), Activation::Tanh, half(&net.output));
        let wide = ThreeLayerNet::new(
            cast(&narrow.hidden, DType::F32),
            Activation::Tanh,
            cast(&narrow.output, DType::F32),
        );
        let x = x.clone().inner().cast(dtype);
        for execution in [Execution::Host, Execution::Device] {
            let hsr = HsrConfig::new().with_execution(execution).init().unwrap();
            let of = |net: &ThreeLayerNet, x: Tensor<2>| {
                let gradient = hsr.gradient(net, x, y.clone(), false).unwrap();
                let weight = gradient.layers[1].weight.clone().unwrap();
                (weight.dtype(), values(weight))
            };
            let (got_type, got) = of(&narrow, x.clone());
            let (_, expected) = of(&wide, x.clone().cast(DType::F32));
            assert_eq!(got_type, dtype);
            let error = relative_error(&got, &expected, 0.0);
            assert!(error < tolerance, "{dtype:?} {execution:?}: {error}");
            assert!(got.iter().any(|&v| v != 0.0));
        }
        // Every way in with a strength that depends on the loss's gradient, which is computed in single precision.
        for mode in [Mode::Coupled, Mode::Direction] {
            let hsr = || HsrConfig::new().with_mode(mode).init().unwrap();
            let on = |net: &ThreeLayerNet| Linear::clone(&net.output);
            let narrow = ThreeLayerNet::new(
                trainable(&narrow.hidden),
                Activation::Tanh,
                trainable(&on(&narrow)),
            );
            let x = Tensor::from_inner(x.clone()).set_require_grad(true);
            let plain = Tensor::from_inner(x.clone().inner());
            let none = GradientsParams::new;
            let term = hsr().penalty(&narrow, x.clone(), y.clone()).unwrap();
            let by_term = GradientsParams::from_grads(term.backward(), &narrow);
            let term = hsr().head(&narrow, x, y.clone()).unwrap();
            let by_head = GradientsParams::from_grads(term.features_term().backward(), &narrow);
            let by_head = term.inject(&narrow, by_head);
            let one_call = hsr()
                .loss_gradients(&narrow, plain.clone(), y.clone())
                .unwrap();
            let injected = hsr().inject(&narrow, plain, y.clone(), none()).unwrap();
            for gradients in [by_term, by_head, one_call.gradients, injected] {
                let weight = gradients.get::<2>(narrow.output.weight.id).unwrap();
                assert_eq!(weight.dtype(), dtype, "{mode:?}");
                assert!(values(weight).iter().all(|v| v.is_finite()), "{mode:?}");
            }
        }
    }
}

/// The same layer, trained.
fn trainable(linear: &Linear) -> Linear {
    let of =
        |value: Tensor<2>| Param::from_tensor(Tensor::from_inner(value)).set_require_grad(true);
    Linear {
        weight: of(linear.weight.val().inner()),
        bias: linear.bias.as_ref().map(|bias| {
            Param::from_tensor(Tensor::from_inner(bias.val().inner())).set_require_grad(true)
        }),
    }
}

#[test]
fn a_network_made_by_its_configuration_trains_in_burns_own_pattern() {
    // The loop of Burn's book with the three lines of HSR, in f64 here: with it λ_sup ends lower than without.
    let (x, y) = (matrix(9, 3, 11), classes(&[0, 1, 2, 1, 0, 2, 2, 1, 0]));
    let config = CrossEntropyLossConfig::new();
    let start = ThreeLayerNetConfig::new(3, 4, 3).init(&device());
    let after = |strength| {
        let mut model = start.clone();
        let mut optimizer = AdamConfig::new().init();
        let loss = config.init(&device());
        let mut hsr = HsrConfig::for_cross_entropy(&config)
            .unwrap()
            .with_strength(strength)
            .init()
            .unwrap();
        for _ in 0..50 {
            let loss = loss.forward(model.forward(x.clone()), y.clone());
            let loss = loss + hsr.penalty(&model, x.clone(), y.clone()).unwrap();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.02, model, grads);
        }
        hsr.bounds(&model, x.clone(), y.clone()).unwrap().lambda_sup
    };
    let (plain, regularised) = (after(0.0), after(0.5));
    assert!(regularised < 0.9 * plain, "{plain} to {regularised}");
}
