//! The kernels of the device execution, in single precision and in double where the device has it, against hsr-core in
//! double precision: every activation, loss, evaluation and kind of target, on every device of CubeCL that opens. Without
//! one nothing is tested, which is a failure where `HSR_REQUIRE_WGPU` is set.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_hsr::{
    Activation, Evaluation, Execution, HsrConfig, HsrGradient, OutputLoss, Sharpness, Targets,
    ThreeLayerNet,
};
use hsr_core::Plan;
use hsr_tests::{backends, is_host, relative_error, tensor, values};

/// Numbers without a pattern, exact in single precision, and in half precision where the scale is a power of two.
fn numbers(count: usize, seed: f64, scale: f64) -> Vec<f64> {
    (0..count)
        .map(|i| {
            let number = (1024.0 * ((i as f64 + 1.0) * (1.618 + seed)).sin()).round() / 1024.0;
            f64::from((scale * number) as f32)
        })
        .collect()
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    samples: usize,
    inputs: usize,
    hidden: usize,
    outputs: usize,
    biases: [bool; 2],
}

/// What stands for the targets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Labels {
    Soft,
    Classes,
}

#[derive(Clone, Debug)]
struct Case {
    sizes: Sizes,
    activation: Activation,
    labels: Labels,
    weighted: bool,
    config: HsrConfig,
    scale: f64,
}

impl Case {
    fn new(sizes: Sizes, activation: Activation, loss: OutputLoss) -> Self {
        Self {
            sizes,
            activation,
            labels: Labels::Soft,
            weighted: false,
            config: HsrConfig::new()
                .with_loss(loss.into())
                .with_execution(Execution::Device),
            scale: 1.0,
        }
    }

    fn network(&self, device: &Device, dtype: DType) -> ThreeLayerNet {
        let layer = |from: usize, to: usize, bias: bool, seed: f64| Linear {
            weight: Param::from_tensor(tensor(
                &numbers(from * to, seed, self.scale),
                [from, to],
                device,
                dtype,
            )),
            bias: bias.then(|| {
                let bias = numbers(to, seed + 0.3, 0.5 * self.scale);
                Param::from_tensor(tensor(&bias, [to], device, dtype))
            }),
        };
        let Sizes {
            inputs,
            hidden,
            outputs,
            biases,
            ..
        } = self.sizes;
        ThreeLayerNet::new(
            layer(inputs, hidden, biases[0], 0.11),
            self.activation,
            layer(hidden, outputs, biases[1], 0.47),
        )
    }

    fn targets(&self, device: &Device, dtype: DType) -> Targets {
        let Sizes {
            samples, outputs, ..
        } = self.sizes;
        let targets = match self.labels {
            Labels::Classes => {
                let classes: Vec<i32> = (0..samples)
                    .map(|n| (n * n + n / 3) as i32 % outputs.max(2) as i32)
                    .collect();
                Targets::from(Tensor::<1, Int>::from_data(
                    TensorData::new(classes, [samples]),
                    device,
                ))
            }
            Labels::Soft => {
                let mut labels: Vec<f64> = numbers(samples * outputs, 0.7, 1.0)
                    .iter()
                    .map(|v| v.abs())
                    .collect();
                if self.config.loss.kind == OutputLoss::SoftmaxCrossEntropy {
                    for row in labels.chunks_mut(outputs) {
                        let sum: f64 = row.iter().sum();
                        row.iter_mut().for_each(|v| *v /= sum);
                    }
                }
                Targets::from(tensor::<2>(&labels, [samples, outputs], device, dtype))
            }
        };
        if !self.weighted {
            return targets;
        }
        let weights: Vec<f64> = numbers(samples, 0.9, 1.0).iter().map(|v| v.abs()).collect();
        targets.with_sample_weights(tensor(&weights, [samples], device, dtype))
    }

    fn inputs(&self, device: &Device, dtype: DType) -> Tensor<2> {
        let Sizes {
            samples, inputs, ..
        } = self.sizes;
        tensor(
            &numbers(samples * inputs, 0.23, 1.0),
            [samples, inputs],
            device,
            dtype,
        )
    }

    fn gradient(&self, device: &Device, dtype: DType) -> HsrGradient {
        self.config
            .init()
            .unwrap()
            .gradient(
                &self.network(&device.clone().autodiff(), dtype),
                self.inputs(device, dtype),
                self.targets(device, dtype),
                true,
            )
            .unwrap()
    }

    /// By hsr-core.
    fn exact(&self) -> Vec<(&'static str, Vec<f64>)> {
        let mut case = self.clone();
        case.config.execution = Execution::Host;
        parts(case.gradient(&Device::flex(), DType::F64))
    }

    /// Value, gradient and input gradient of the kernels against those of hsr-core.
    fn check(&self, device: &Device) {
        let theirs = self.exact();
        for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::F64, 1e-10)] {
            if !device.supports_dtype(dtype) {
                continue;
            }
            let ours = parts(self.gradient(device, dtype));
            assert_eq!(ours.len(), theirs.len(), "{self:?}");
            for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
                let error = relative_error(ours, theirs, 0.0);
                assert!(error < tolerance, "{self:?}: {dtype:?} {name} {error:e}");
            }
        }
    }
}

/// The gradient's tensors by name, those that are there.
fn parts(gradient: HsrGradient) -> Vec<(&'static str, Vec<f64>)> {
    let mut parts = vec![("value", values(gradient.value))];
    let names = [
        ("hidden weight", "hidden bias"),
        ("output weight", "output bias"),
    ];
    for ((weight, bias), layer) in names.into_iter().zip(gradient.layers) {
        parts.extend(layer.weight.map(|w| (weight, values(w))));
        parts.extend(layer.bias.map(|b| (bias, values(b))));
    }
    parts.extend(gradient.inputs.map(|x| ("inputs", values(x))));
    parts
}

/// The devices of CubeCL.
fn devices() -> Vec<Device> {
    let devices = backends().into_iter();
    let devices = devices.filter(|(backend, ..)| !is_host(*backend));
    devices.map(|(_, device, _)| device).collect()
}

const LOSSES: [OutputLoss; 3] = [
    OutputLoss::SoftmaxCrossEntropy,
    OutputLoss::SigmoidCrossEntropy,
    OutputLoss::MeanSquaredError,
];

const SMALL: Sizes = Sizes {
    samples: 9,
    inputs: 3,
    hidden: 5,
    outputs: 4,
    biases: [true, true],
};

#[test]
fn every_activation_has_the_derivatives_of_hsr_core() {
    for device in devices() {
        for (i, activation) in Activation::ALL.into_iter().enumerate() {
            Case::new(SMALL, activation, LOSSES[i % 3]).check(&device);
        }
    }
}

#[test]
fn activations_far_from_zero_are_as_exact_as_near_it() {
    for device in devices() {
        for activation in Activation::ALL {
            // A shader's sine has an absolute error that grows with its argument.
            if activation == Activation::Sin {
                continue;
            }
            for scale in [1e-3, 6.0] {
                let mut case = Case::new(SMALL, activation, OutputLoss::MeanSquaredError);
                case.scale = scale;
                case.check(&device);
            }
        }
    }
}

#[test]
fn every_loss_and_evaluation_agrees_with_and_without_biases() {
    for device in devices() {
        let biases = [[true, true], [true, false], [false, true], [false, false]];
        for (i, loss) in LOSSES.into_iter().enumerate() {
            for (e, evaluation) in [Evaluation::Assembled, Evaluation::Gram]
                .into_iter()
                .enumerate()
            {
                for biases in [biases[(i + e) % 4], biases[(i + e + 2) % 4]] {
                    let mut case = Case::new(Sizes { biases, ..SMALL }, Activation::Tanh, loss);
                    case.config.evaluation = evaluation;
                    case.weighted = biases[0];
                    case.check(&device);
                }
            }
        }
    }
}

#[test]
fn blocks_of_different_evaluations_add_up() {
    for device in devices() {
        for plan in Plan::every() {
            let mut case = Case::new(SMALL, Activation::Silu, OutputLoss::SoftmaxCrossEntropy);
            case.config.evaluation = Evaluation::Blocks(plan);
            case.check(&device);
        }
    }
}

#[test]
fn sizes_of_one_and_sizes_beyond_a_cube_agree() {
    for device in devices() {
        for (samples, inputs, hidden, outputs) in
            [(1, 1, 1, 2), (3, 2, 1, 1), (150, 90, 70, 3), (70, 3, 4, 80)]
        {
            for loss in [
                OutputLoss::SigmoidCrossEntropy,
                OutputLoss::SoftmaxCrossEntropy,
            ] {
                if outputs == 1 && loss == OutputLoss::SoftmaxCrossEntropy {
                    continue; // One class has no curvature: see the saturated networks in tests/backends.rs.
                }
                let sizes = Sizes {
                    samples,
                    inputs,
                    hidden,
                    outputs,
                    biases: [true, true],
                };
                let mut case = Case::new(sizes, Activation::Tanh, loss);
                // Logits of order one, as networks are initialised.
                case.scale = 1.0 / (inputs.max(hidden) as f64).sqrt();
                case.check(&device);
            }
        }
    }
}

#[test]
fn a_hidden_layer_in_strips_agrees() {
    // 53 units: three strips of 16 and one of 5; 40: five of 8.
    for (hidden, outputs, loss) in [(53, 2, LOSSES[0]), (40, 1, LOSSES[1])] {
        let sizes = Sizes {
            samples: 6,
            inputs: 1,
            hidden,
            outputs,
            biases: [true, true],
        };
        for (device, evaluation) in devices().into_iter().flat_map(|device| {
            [Evaluation::Assembled, Evaluation::Gram].map(|it| (device.clone(), it))
        }) {
            let mut case = Case::new(sizes, Activation::Tanh, loss);
            case.config.evaluation = evaluation;
            case.scale = 0.3;
            case.check(&device);
        }
    }
}

#[test]
fn every_kind_of_target_is_read_as_by_hsr_core() {
    for device in devices() {
        let softmax = Case::new(SMALL, Activation::Tanh, OutputLoss::SoftmaxCrossEntropy);
        let class_weights = Some(vec![1.0, 0.25, 3.0, 0.5]);
        for labels in [Labels::Soft, Labels::Classes] {
            for (weighted, smoothing, class_weights) in [
                (true, 0.0, None),
                (false, 0.1, None),
                (true, 0.0, class_weights.clone()),
                (false, 0.2, class_weights.clone()),
            ] {
                let mut case = softmax.clone();
                case.labels = labels;
                case.weighted = weighted;
                case.config.loss.label_smoothing = smoothing;
                case.config.loss.class_weights = class_weights;
                case.check(&device);
            }
        }
        let mut padded = softmax;
        padded.labels = Labels::Classes;
        padded.config.loss.pad_tokens = Some(vec![2]);
        padded.check(&device);
        // 0 and 1 are the values of a single output.
        let one = Sizes {
            outputs: 1,
            ..SMALL
        };
        for smoothing in [0.0, 0.1] {
            let mut binary = Case::new(one, Activation::Tanh, OutputLoss::SigmoidCrossEntropy);
            binary.labels = Labels::Classes;
            binary.config.loss.label_smoothing = smoothing;
            binary.check(&device);
        }
    }
}

#[test]
fn every_measure_that_the_device_computes_agrees() {
    for device in devices() {
        for sharpness in [Sharpness::LambdaSup, Sharpness::Trace, Sharpness::Frobenius] {
            for evaluation in [Evaluation::Assembled, Evaluation::Gram] {
                let mut case = Case::new(SMALL, Activation::Gelu, OutputLoss::SoftmaxCrossEntropy);
                case.config.sharpness = sharpness;
                case.config.evaluation = evaluation;
                case.check(&device);
            }
        }
    }
}

#[test]
fn what_overflows_is_infinite_and_has_no_gradient() {
    // ‖H‖² is beyond single precision; weights that sum to nothing leave no mean; NaN is no number.
    let mut large = Case::new(SMALL, Activation::Identity, OutputLoss::MeanSquaredError);
    large.scale = 1e12;
    let case = Case::new(SMALL, Activation::Tanh, OutputLoss::SoftmaxCrossEntropy);
    for device in devices().into_iter().chain([Device::flex()]) {
        let mut gradients = vec![("large", large.gradient(&device, DType::F32))];
        for dtype in [DType::F32, DType::F64] {
            if !device.supports_dtype(dtype) {
                continue;
            }
            let x = case.inputs(&device, dtype);
            let y = case.targets(&device, dtype);
            let nothing = y
                .clone()
                .with_sample_weights(Tensor::zeros([SMALL.samples], &device));
            let nan = x.clone().mask_fill(x.clone().greater_elem(0.9), f32::NAN);
            let of = |x: Tensor<2>, y: Targets| {
                let model = case.network(&device, dtype);
                let hsr = case.config.init().unwrap();
                hsr.gradient(&model, x, y, true).unwrap()
            };
            gradients.push(("no weight", of(x, nothing)));
            gradients.push(("NaN", of(nan, y)));
        }
        for (case, gradient) in gradients {
            for (name, values) in parts(gradient) {
                let expected = if name == "value" { f64::INFINITY } else { 0.0 };
                assert!(
                    values.iter().all(|&v| v == expected),
                    "{device:?} {case} {name}: {values:?}"
                );
            }
        }
    }
}

#[test]
fn tensors_that_are_not_in_memory_order_are_read_in_their_own() {
    for device in devices() {
        let case = Case::new(SMALL, Activation::Tanh, OutputLoss::SoftmaxCrossEntropy);
        let plain = case.network(&device, DType::F32);
        let turned = |weight: &Param<Tensor<2>>| {
            let [from, to] = weight.dims();
            let numbers = values(weight.val());
            let transposed: Vec<f64> = (0..to)
                .flat_map(|c| numbers.iter().skip(c).step_by(to).copied())
                .collect();
            let transposed = tensor::<2>(&transposed, [to, from], &device, DType::F32);
            Param::from_tensor(transposed.transpose())
        };
        let mut model = plain.clone();
        model.hidden.weight = turned(&plain.hidden.weight);
        model.output.weight = turned(&plain.output.weight);
        let hsr = case.config.init().unwrap();
        let y = case.targets(&device, DType::F32);
        let of = |model: &ThreeLayerNet, x: Tensor<2>| {
            parts(hsr.gradient(model, x, y.clone(), true).unwrap())
        };
        let x = case.inputs(&device, DType::F32);
        let by_columns = tensor::<2>(
            &values(x.clone().transpose()),
            [SMALL.inputs, SMALL.samples],
            &device,
            DType::F32,
        );
        let expected = of(&plain, x);
        for ((name, ours), (_, theirs)) in of(&model, by_columns.transpose()).iter().zip(&expected)
        {
            let error = relative_error(ours, theirs, 0.0);
            assert!(error < 1e-5, "{name}: {error:e}");
        }
    }
}

#[test]
fn half_precision_has_its_moments_in_single() {
    for device in devices() {
        if !device.supports_dtype(DType::F16) {
            println!("SKIPPED: this adapter has no f16");
            continue;
        }
        // Activations of some tens: the squares of H's entries are beyond f16, the gradient is not.
        let mut case = Case::new(SMALL, Activation::Softplus, OutputLoss::MeanSquaredError);
        case.scale = 16.0;
        let half = parts(case.gradient(&device, DType::F16));
        let double = case.exact();
        for ((name, ours), (_, theirs)) in half.iter().zip(&double) {
            let error = relative_error(ours, theirs, 0.0);
            assert!(error < 2e-3, "{name}: {error:e}");
        }
    }
}
