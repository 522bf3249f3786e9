//! SAM and ASAM: the exact step against plain arithmetic in f64, and what must hold beside it: ρ = 0, zero gradients,
//! gradients that are not finite, resumed optimizers, frozen parameters, running statistics, accumulation, burn-train.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::grad_clipping::GradientClippingConfig;
use burn::lr_scheduler::constant::ConstantLr;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, Param, ParamGroup, ParamId};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use burn_sharpness::sam::{Pass, SamRecord};
use burn_sharpness::train::SamModel;
use burn_sharpness::{Outcome, Sam, SamConfig, SharpnessError};
use hsr_tests::{backends, relative_error, tensor, values};

const INPUTS: usize = 3;
const HIDDEN: usize = 4;
const OUTPUTS: usize = 2;
const SAMPLES: usize = 8;
const LR: f64 = 0.05;

/// W1, b1, W2, b2 in Burn's layout.
type Parts = [Vec<f64>; 4];

/// Fixed numbers of about unit size.
fn wave(count: usize, phase: f64) -> Vec<f64> {
    (0..count)
        .map(|i| 0.9 * (1.7 * i as f64 + phase).sin())
        .collect()
}

fn start() -> Parts {
    [
        wave(INPUTS * HIDDEN, 0.3),
        wave(HIDDEN, 1.1),
        wave(HIDDEN * OUTPUTS, 2.9),
        wave(OUTPUTS, 0.7),
    ]
}

// --- The independent path: plain arithmetic in f64.

/// The mean squared error of a tanh network over some samples and outputs, and its gradient.
fn plain_loss(theta: &Parts, x: &[f64], y: &[f64]) -> (f64, Parts) {
    let [w1, b1, w2, b2] = theta;
    let samples = x.len() / INPUTS;
    let mut loss = 0.0;
    let mut gradient = theta.clone().map(|part| vec![0.0; part.len()]);
    for n in 0..samples {
        let x = &x[n * INPUTS..][..INPUTS];
        let a: Vec<f64> = (0..HIDDEN)
            .map(|j| {
                let z: f64 = (0..INPUTS).map(|i| x[i] * w1[i * HIDDEN + j]).sum();
                (z + b1[j]).tanh()
            })
            .collect();
        let mut back = [0.0; HIDDEN];
        for k in 0..OUTPUTS {
            let o: f64 = (0..HIDDEN).map(|j| a[j] * w2[j * OUTPUTS + k]).sum();
            let residual = o + b2[k] - y[n * OUTPUTS + k];
            let count = (samples * OUTPUTS) as f64;
            loss += residual * residual / count;
            let r = 2.0 * residual / count;
            gradient[3][k] += r;
            for j in 0..HIDDEN {
                gradient[2][j * OUTPUTS + k] += r * a[j];
                back[j] += r * w2[j * OUTPUTS + k];
            }
        }
        for j in 0..HIDDEN {
            let d = back[j] * (1.0 - a[j] * a[j]);
            gradient[1][j] += d;
            for i in 0..INPUTS {
                gradient[0][i * HIDDEN + j] += d * x[i];
            }
        }
    }
    (loss, gradient)
}

/// θ + ρ T²g/‖Tg‖ over the parts that are trained; T is |w| + η for the weights where η is given.
fn plain_ascent(
    theta: &Parts,
    gradient: &Parts,
    rho: f64,
    eta: Option<f64>,
    trained: [bool; 4],
) -> Parts {
    let scale = |p: usize, i: usize| match eta {
        Some(eta) if p == 0 || p == 2 => theta[p][i].abs() + eta,
        _ => 1.0,
    };
    let parts = || (0..4).filter(|&p| trained[p]);
    let norm = parts()
        .flat_map(|p| (0..theta[p].len()).map(move |i| (p, i)))
        .map(|(p, i)| (scale(p, i) * gradient[p][i]).powi(2))
        .sum::<f64>()
        .sqrt();
    let mut there = theta.clone();
    for p in parts() {
        for i in 0..theta[p].len() {
            there[p][i] += rho * scale(p, i).powi(2) * gradient[p][i] / norm;
        }
    }
    there
}

/// The optimizers under SAM.
#[derive(Clone, Copy, Debug)]
enum Base {
    Momentum,
    Adam,
}

impl Base {
    fn burn(self) -> ModuleOptimizer {
        match self {
            Base::Momentum => SgdConfig::new()
                .with_momentum(Some(MomentumConfig::new().with_nesterov(true)))
                .init(),
            Base::Adam => AdamConfig::new().init(),
        }
    }

    /// What is subtracted at the `step`-th step, from 1, `state` being two numbers a parameter. Burn keeps the
    /// coefficients in f32.
    fn plain(self, step: i32, gradient: f64, state: &mut [f64; 2]) -> f64 {
        match self {
            Base::Momentum => {
                let momentum = f64::from(0.9f32);
                state[0] = match step {
                    1 => gradient,
                    _ => gradient * (1.0 - 0.1) + state[0] * momentum,
                };
                LR * (state[0] * momentum + gradient)
            }
            Base::Adam => {
                let (beta_1, beta_2) = (0.9f32, 0.999f32);
                state[0] = state[0] * f64::from(beta_1) + gradient * f64::from(1.0 - beta_1);
                state[1] =
                    state[1] * f64::from(beta_2) + gradient.powi(2) * f64::from(1.0 - beta_2);
                let correction = (1.0 - beta_2.powi(step)).sqrt();
                let factor = f64::from(correction / (1.0 - beta_1.powi(step)));
                let epsilon = f64::from(1e-5f32 * correction);
                LR * state[0] * factor / (state[1].sqrt() + epsilon)
            }
        }
    }
}

// --- The same in Burn.

#[derive(Module, Debug)]
struct Net {
    hidden: Linear,
    output: Linear,
}

impl Net {
    fn new(theta: &Parts, device: &Device, dtype: DType) -> Self {
        let [w1, b1, w2, b2] = theta;
        let layer = |weight: &[f64], bias: &[f64], shape: [usize; 2]| Linear {
            weight: Param::from_tensor(tensor(weight, shape, device, dtype)),
            bias: Some(Param::from_tensor(tensor(bias, [shape[1]], device, dtype))),
        };
        Self {
            hidden: layer(w1, b1, [INPUTS, HIDDEN]),
            output: layer(w2, b2, [HIDDEN, OUTPUTS]),
        }
    }

    fn loss(&self, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
        let a = self.hidden.forward(x.clone()).tanh();
        (self.output.forward(a) - y.clone()).square().mean()
    }

    fn parts(&self) -> Parts {
        [
            values(self.hidden.weight.val()),
            values(self.hidden.bias.as_ref().unwrap().val()),
            values(self.output.weight.val()),
            values(self.output.bias.as_ref().unwrap().val()),
        ]
    }
}

struct Problem {
    device: Device,
    dtype: DType,
    x: Tensor<2>,
    y: Tensor<2>,
}

impl Problem {
    fn on(device: &Device, dtype: DType) -> Self {
        let (x, y) = (Self::inputs(), Self::targets());
        Self {
            x: tensor(&x, [SAMPLES, INPUTS], device, dtype),
            y: tensor(&y, [SAMPLES, OUTPUTS], device, dtype),
            device: device.clone(),
            dtype,
        }
    }

    fn new() -> Self {
        Self::on(&Device::flex().autodiff(), DType::F64)
    }

    fn inputs() -> Vec<f64> {
        wave(SAMPLES * INPUTS, 0.1)
    }

    fn targets() -> Vec<f64> {
        wave(SAMPLES * OUTPUTS, 0.4)
    }

    fn net(&self) -> Net {
        Net::new(&start(), &self.device, self.dtype)
    }

    /// What a pass computes.
    fn pass(&self, net: &Net) -> (f64, GradientsParams) {
        let loss = net.loss(&self.x, &self.y);
        let gradients = GradientsParams::from_grads(loss.backward(), net);
        (values(loss)[0], gradients)
    }

    /// A step that must be taken.
    fn step(&self, sam: &mut Sam, net: Net) -> Net {
        let step = sam.step(LR, net, |net| self.pass(net)).unwrap();
        assert_eq!(step.outcome, Outcome::Stepped);
        step.module
    }
}

fn bits(theta: &Parts) -> Vec<u64> {
    theta.concat().into_iter().map(f64::to_bits).collect()
}

fn difference(a: &Parts, b: &Parts) -> f64 {
    relative_error(&a.concat(), &b.concat(), 0.0)
}

/// SAM and ASAM, each with its η.
fn both() -> [(SamConfig, Option<f64>); 2] {
    [
        (SamConfig::new().with_rho(0.3), None),
        (SamConfig::asam().with_eta(0.02), Some(0.02)),
    ]
}

/// The devices to test, each with a type and the accuracy that it has.
fn devices() -> Vec<(Device, DType, f64)> {
    let mut found = Vec::new();
    for (_, device, dtypes) in backends() {
        for dtype in dtypes {
            let accuracy = if dtype == DType::F64 { 1e-13 } else { 1e-5 };
            found.push((device.clone().autodiff(), dtype, accuracy));
        }
    }
    found
}

// --- The step.

#[test]
fn sam_and_asam_take_the_steps_of_plain_arithmetic() {
    let (x, y) = (Problem::inputs(), Problem::targets());
    for (device, dtype, accuracy) in devices() {
        for base in [Base::Momentum, Base::Adam] {
            for (config, eta) in both() {
                let problem = Problem::on(&device, dtype);
                let mut sam = config.init(base.burn()).unwrap();
                let mut net = problem.net();
                let mut theta = start();
                let mut states = start().map(|part| vec![[0.0; 2]; part.len()]);
                for step in 1..=5 {
                    let taken = sam.step(LR, net, |net| problem.pass(net)).unwrap();
                    assert_eq!(taken.outcome, Outcome::Stepped);
                    net = taken.module;

                    let (loss, gradient) = plain_loss(&theta, &x, &y);
                    let there = plain_ascent(&theta, &gradient, config.rho, eta, [true; 4]);
                    let (ascended_loss, gradient) = plain_loss(&there, &x, &y);
                    for p in 0..4 {
                        for i in 0..theta[p].len() {
                            theta[p][i] -= base.plain(step, gradient[p][i], &mut states[p][i]);
                        }
                    }
                    let losses = [taken.loss, taken.ascended_loss.unwrap()];
                    let error = relative_error(&losses, &[loss, ascended_loss], 0.0)
                        .max(difference(&net.parts(), &theta));
                    assert!(
                        error < accuracy,
                        "{device:?} {dtype:?} {base:?} {config} step {step}: {error:e}"
                    );
                }
                assert!(difference(&theta, &start()) > 0.05, "{base:?} {config}");
            }
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_papers_and_bad_options_are_refused() {
    let (sam, asam) = (SamConfig::new(), SamConfig::asam());
    assert_eq!((sam.rho, sam.adaptive), (0.05, false));
    assert_eq!((asam.rho, asam.adaptive, asam.eta), (0.5, true, 0.01));
    assert!(sam.check_finite && asam.check_finite);
    for bad in [-1e-3, f64::NAN, f64::INFINITY] {
        for (config, name) in [
            (SamConfig::new().with_rho(bad), "rho"),
            (SamConfig::asam().with_eta(bad), "eta"),
        ] {
            let error = config.init(SgdConfig::new().init()).unwrap_err();
            assert!(
                matches!(error, SharpnessError::Option { option, .. } if option == name),
                "{error}"
            );
        }
    }
}

#[test]
fn radius_zero_is_the_base_optimizer_bit_for_bit_and_takes_one_pass() {
    for base in [Base::Momentum, Base::Adam] {
        for config in [SamConfig::new(), SamConfig::asam()] {
            for dtype in [DType::F32, DType::F64] {
                let problem = Problem::on(&Device::flex().autodiff(), dtype);
                let mut sam = config.clone().with_rho(0.0).init(base.burn()).unwrap();
                let mut optimizer = base.burn();
                let (mut net, mut plain) = (problem.net(), problem.net());
                for _ in 0..4 {
                    let mut passes = 0;
                    let step = sam.step(LR, net, |net| {
                        passes += 1;
                        problem.pass(net)
                    });
                    let step = step.unwrap();
                    assert_eq!((passes, step.ascended_loss), (1, None));
                    net = step.module;
                    let (_, gradients) = problem.pass(&plain);
                    plain = optimizer.step(LR, plain, gradients);
                    assert_eq!(bits(&net.parts()), bits(&plain.parts()));
                }
            }
        }
    }
}

#[test]
fn a_zero_gradient_gives_the_plain_step() {
    // With weight decay, so that the step is not nothing.
    let make = || {
        SgdConfig::new()
            .with_weight_decay(Some(WeightDecayConfig::new(0.1)))
            .init()
    };
    for config in [SamConfig::new(), SamConfig::asam()] {
        for (device, dtype, _) in devices() {
            let mut problem = Problem::on(&device, dtype);
            let net = problem.net();
            // The network's own outputs as targets: the residuals, and so the gradient, are exactly zero.
            let a = net.hidden.forward(problem.x.clone()).tanh();
            problem.y = net.output.forward(a).inner();
            let (loss, gradients) = problem.pass(&net);
            assert_eq!(loss, 0.0);
            let plain = make().step(LR, net.clone(), gradients);
            let step = config.init(make()).unwrap();
            let step = { step }
                .step(LR, net.clone(), |net| problem.pass(net))
                .unwrap();
            assert_eq!(
                (step.outcome, step.ascended_loss),
                (Outcome::Stepped, Some(0.0))
            );
            assert_eq!(bits(&step.module.parts()), bits(&plain.parts()));
            assert_ne!(bits(&plain.parts()), bits(&net.parts()));
        }
    }
}

#[test]
fn the_ascent_has_the_length_rho_whatever_the_scale_of_the_gradient() {
    // Squares that underflow and overflow the type.
    let mut cases: Vec<_> = devices()
        .into_iter()
        .map(|(device, dtype, _)| (device, dtype, [1e-30, 1.0, 1e30], 1e-6))
        .collect();
    let flex = Device::flex().autodiff();
    cases.push((flex, DType::F16, [1e-4, 1.0, 1e3], 5e-3));
    for (device, dtype, scales, accuracy) in cases {
        for scale in scales {
            let problem = Problem::on(&device, dtype);
            let mut sam = SamConfig::new()
                .with_rho(0.5)
                .init(SgdConfig::new().init())
                .unwrap();
            let mut seen = Vec::new();
            let step = sam.step(0.0, problem.net(), |net| {
                seen.push(net.parts());
                let loss = net.loss(&problem.x, &problem.y) * scale;
                let gradients = GradientsParams::from_grads(loss.backward(), net);
                ((), gradients)
            });
            assert_eq!(step.unwrap().outcome, Outcome::Stepped);
            // The second pass sees whether the first repeats itself.
            let (theta, there) = (seen[0].concat(), seen[2].concat());
            let length = theta
                .iter()
                .zip(&there)
                .map(|(a, b)| (b - a).powi(2))
                .sum::<f64>()
                .sqrt();
            assert!(
                (length - 0.5).abs() < accuracy,
                "{device:?} {dtype:?} {scale:e}: {length}"
            );
        }
    }
}

/// Parameters of every kind of name and rank.
#[derive(Module, Debug)]
struct Zoo {
    kernel: Param<Tensor<2>>,
    bias: Param<Tensor<2>>,
    weight: Param<Tensor<1>>,
    weights: Vec<Param<Tensor<1>>>,
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    scale: Param<Tensor<1>>,
}

#[test]
fn asam_adapts_weights_and_leaves_biases() {
    let device = Device::flex().autodiff();
    let vector = |phase| Param::from_tensor(tensor(&wave(2, phase), [2], &device, DType::F64));
    let matrix = |phase| Param::from_tensor(tensor(&wave(4, phase), [2, 2], &device, DType::F64));
    let zoo = Zoo {
        kernel: matrix(0.1),
        bias: matrix(0.2),
        weight: vector(0.3),
        weights: vec![vector(0.4), vector(0.5)],
        gamma: vector(0.6),
        beta: vector(0.7),
        scale: vector(0.8),
    };
    let read = |zoo: &Zoo| {
        let lists = [
            values(zoo.kernel.val()),
            values(zoo.bias.val()),
            values(zoo.weight.val()),
            values(zoo.weights[0].val()),
            values(zoo.weights[1].val()),
            values(zoo.gamma.val()),
            values(zoo.beta.val()),
            values(zoo.scale.val()),
        ];
        lists.to_vec()
    };
    let adapted = [true, false, true, true, true, true, false, false];

    let mut asam = SamConfig::asam().init(SgdConfig::new().init()).unwrap();
    let mut seen = Vec::new();
    let step = asam.step(0.0, zoo, |zoo| {
        seen.push(read(zoo));
        // ½‖θ‖² of rank 1, ½·‖θ‖² doubled of rank 2: the gradient is θ or 2θ.
        let loss = [&zoo.weight, &zoo.weights[0], &zoo.weights[1], &zoo.gamma]
            .into_iter()
            .chain([&zoo.beta, &zoo.scale])
            .map(|param| param.val().square().sum() * 0.5)
            .chain([
                zoo.kernel.val().square().sum(),
                zoo.bias.val().square().sum(),
            ])
            .reduce(|a, b| a + b)
            .unwrap();
        let gradients = GradientsParams::from_grads(loss.backward(), zoo);
        ((), gradients)
    });
    assert_eq!(step.unwrap().outcome, Outcome::Stepped);

    let theta = &seen[0];
    let scale = |p: usize, w: f64| if adapted[p] { w.abs() + 0.01 } else { 1.0 };
    let slope = |p: usize, w: f64| if p < 2 { 2.0 * w } else { w };
    let square: f64 = (0..theta.len())
        .flat_map(|p| theta[p].iter().map(move |&w| (p, w)))
        .map(|(p, w)| (scale(p, w) * slope(p, w)).powi(2))
        .sum();
    for p in 0..theta.len() {
        let expected: Vec<f64> = theta[p]
            .iter()
            .map(|&w| w + 0.5 * scale(p, w).powi(2) * slope(p, w) / square.sqrt())
            .collect();
        let error = relative_error(&seen[2][p], &expected, 0.0);
        assert!(error < 1e-14, "the parameter {p}: {error:e}");
    }
}

#[test]
fn asams_ascent_does_not_see_how_the_layers_are_scaled_against_each_other() {
    // Doubling one layer and halving the next leaves a linear network as it is. With η = 0 ASAM's ascended loss is then
    // the same, and SAM's is not.
    let device = Device::flex().autodiff();
    let (x, y) = (wave(SAMPLES * INPUTS, 0.1), wave(SAMPLES * OUTPUTS, 0.4));
    let x = tensor(&x, [SAMPLES, INPUTS], &device, DType::F64);
    let y = tensor(&y, [SAMPLES, OUTPUTS], &device, DType::F64);
    let ascended = |config: &SamConfig, scale: f64| {
        let [mut w1, _, mut w2, _] = start();
        w1.iter_mut().for_each(|w| *w *= scale);
        w2.iter_mut().for_each(|w| *w /= scale);
        let layer = |weight: &[f64], shape| Linear {
            weight: Param::from_tensor(tensor(weight, shape, &device, DType::F64)),
            bias: None,
        };
        let net = Net {
            hidden: layer(&w1, [INPUTS, HIDDEN]),
            output: layer(&w2, [HIDDEN, OUTPUTS]),
        };
        let passes = config.init_gradient().unwrap().loss_gradients(&net, |net| {
            let out = net.output.forward(net.hidden.forward(x.clone()));
            let loss = (out - y.clone()).square().mean();
            let gradients = GradientsParams::from_grads(loss.backward(), net);
            (values(loss)[0], gradients)
        });
        passes.unwrap().ascended_loss.unwrap()
    };
    let asam = SamConfig::asam().with_eta(0.0);
    let [one, two] = [1.0, 2.0].map(|scale| ascended(&asam, scale));
    assert!((one - two).abs() < 1e-14, "{one} {two}");
    let sam = SamConfig::new().with_rho(0.5);
    let [one, two] = [1.0, 2.0].map(|scale| ascended(&sam, scale));
    assert!((one - two).abs() > 1e-2, "{one} {two}");
}

#[test]
fn the_module_is_restored_exactly_after_the_ascent() {
    for (config, _) in both() {
        for dtype in [DType::F32, DType::F64] {
            let problem = Problem::on(&Device::flex().autodiff(), dtype);
            let mut sam = config.init(SgdConfig::new().init()).unwrap();
            let net = problem.net();
            let before = bits(&net.parts());
            let mut seen = Vec::new();
            let step = sam.step(0.0, net, |net| {
                seen.push(bits(&net.parts()));
                problem.pass(net)
            });
            let step = step.unwrap();
            assert_eq!(bits(&step.module.parts()), before);
            assert_eq!(seen[0], before);
            assert_eq!(seen[1], before);
            assert!(seen[2].iter().zip(&before).all(|(a, b)| a != b));

            // The gradient alone leaves the module it is given as it is.
            let passes = sam
                .gradient()
                .clone()
                .loss_gradients(&step.module, |net| problem.pass(net));
            assert_eq!(passes.unwrap().gradients.len(), 4);
            assert_eq!(bits(&step.module.parts()), before);
            assert!(step.module.hidden.weight.val().is_require_grad());
        }
    }
}

#[test]
fn a_closure_that_gives_the_loss_is_one_that_gives_its_gradients() {
    let problem = Problem::on(&Device::flex().autodiff(), DType::F64);
    for (config, _) in both() {
        let start = || config.init(Base::Adam.burn()).unwrap();
        let (mut of_loss, mut of_both) = (start(), start());
        let (mut a, mut b) = (problem.net(), problem.net());
        for _ in 0..3 {
            let step = of_loss.step(LR, a, |net| net.loss(&problem.x, &problem.y));
            let step = step.unwrap();
            assert!(!step.loss.is_tracked());
            let own = of_both.step(LR, b, |net| problem.pass(net)).unwrap();
            assert_eq!(values(step.loss), [own.loss]);
            (a, b) = (step.module, own.module);
            assert_eq!(bits(&a.parts()), bits(&b.parts()));
        }
        // A loss without a graph is refused where Burn would panic.
        let plain = Tensor::<1>::ones([1], &Device::flex());
        let error = of_loss.step(LR, a, |_| plain.clone()).unwrap_err();
        assert!(matches!(error, SharpnessError::Untracked { .. }), "{error}");
    }
}

// --- Beside it.

#[test]
fn clipping_decay_and_parameter_groups_act_on_the_second_gradient_at_the_first_point() {
    let clip = 0.05;
    let optimizer = SgdConfig::new()
        .with_weight_decay(Some(WeightDecayConfig::new(0.1)))
        .with_gradient_clipping(Some(GradientClippingConfig::Value(clip)))
        .init()
        .with_group(
            ParamGroup::from_predicate("output"),
            SgdConfig::new().build(),
            None,
        );
    let rates = ModuleLrScheduler::new(ConstantLr::new(0.01))
        .with_group(ParamGroup::from_predicate("bias"), ConstantLr::new(0.2))
        .step();
    let problem = Problem::new();
    let (x, y) = (Problem::inputs(), Problem::targets());
    let theta = start();
    let (_, first) = plain_loss(&theta, &x, &y);
    for (config, eta) in both() {
        let mut sam = config.init(optimizer.clone()).unwrap();
        let step = sam.step(rates.clone(), problem.net(), |net| problem.pass(net));
        let there = plain_ascent(&theta, &first, config.rho, eta, [true; 4]);
        let (_, second) = plain_loss(&there, &x, &y);
        let clip = f64::from(clip);
        assert!(second[0].iter().any(|g| g.abs() > clip));
        let expected: Parts = std::array::from_fn(|p| {
            let step = |(w, g): (&f64, &f64)| {
                let lr = if p % 2 == 0 { 0.01 } else { 0.2 };
                if p < 2 {
                    w - lr * (g.clamp(-clip, clip) + f64::from(0.1f32) * w)
                } else {
                    w - lr * g
                }
            };
            theta[p].iter().zip(&second[p]).map(step).collect()
        });
        let error = difference(&step.unwrap().module.parts(), &expected);
        assert!(error < 1e-13, "{config}: {error:e}");
    }
}

#[test]
fn frozen_parameters_stay_and_do_not_count_in_the_norm() {
    let problem = Problem::new();
    let (x, y) = (Problem::inputs(), Problem::targets());
    let theta = start();
    let trained = [false, false, true, true];
    for (config, eta) in both() {
        let mut net = problem.net();
        net.hidden = net.hidden.freeze();
        let (weight, bias) = (net.hidden.weight.id, net.hidden.bias.as_ref().unwrap().id);
        let mut sam = config.init(SgdConfig::new().init()).unwrap();
        let mut passes = 0;
        let step = sam.step(LR, net, |net| {
            assert!(!net.hidden.weight.val().is_require_grad());
            assert!(net.output.weight.val().is_require_grad());
            let (loss, mut gradients) = problem.pass(net);
            assert!(gradients.get::<2>(weight).is_none());
            // What somebody else registers for them must not bend the ascent either.
            passes += 1;
            if passes == 1 {
                let ones = Tensor::ones(
                    [INPUTS, HIDDEN],
                    (&problem.device.clone().inner(), DType::F64),
                );
                gradients.register::<2>(weight, ones);
                let ones = Tensor::ones([HIDDEN], (&problem.device.clone().inner(), DType::F64));
                gradients.register::<1>(bias, ones);
            }
            (loss, gradients)
        });
        let step = step.unwrap();
        let (_, first) = plain_loss(&theta, &x, &y);
        let there = plain_ascent(&theta, &first, config.rho, eta, trained);
        let (loss, second) = plain_loss(&there, &x, &y);
        assert!((step.ascended_loss.unwrap() - loss).abs() < 1e-14);
        let parts = step.module.parts();
        for p in 0..4 {
            if trained[p] {
                let step = theta[p].iter().zip(&second[p]).map(|(w, g)| w - LR * g);
                let expected: Vec<f64> = step.collect();
                assert!(relative_error(&parts[p], &expected, 0.0) < 1e-14);
            } else {
                assert_eq!(parts[p], theta[p]);
            }
        }
        assert!(!step.module.hidden.weight.val().is_require_grad());
    }
}

#[test]
fn a_gradient_that_is_not_finite_in_either_pass_skips_the_step() {
    for (device, dtype, _) in devices() {
        let problem = Problem::on(&device, dtype);
        let broken = |net: &Net, value: f64| {
            let (loss, mut gradients) = problem.pass(net);
            let mut numbers = vec![0.1; OUTPUTS];
            numbers[1] = value;
            let gradient = tensor(&numbers, [OUTPUTS], &device.clone().inner(), dtype);
            gradients.register::<1>(net.output.bias.as_ref().unwrap().id, gradient);
            (loss, gradients)
        };
        for (number, pass) in [(1, Pass::First), (2, Pass::Second)] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut sam = SamConfig::new().init(Base::Adam.burn()).unwrap();
                let net = problem.step(&mut sam, problem.net());
                let mut twin = sam.clone();
                let (before, state) = (bits(&net.parts()), sam.optimizer().into_bytes().unwrap());
                let mut passes = 0;
                let step = sam.step(LR, net, |net| {
                    passes += 1;
                    match passes == number {
                        true => broken(net, value),
                        false => problem.pass(net),
                    }
                });
                let step = step.unwrap();
                assert_eq!(step.outcome, Outcome::Skipped { pass });
                assert_eq!(bits(&step.module.parts()), before);
                assert_eq!(sam.optimizer().into_bytes().unwrap()[..], state[..]);
                // And goes on as if nothing had been.
                let expected = problem.step(&mut twin, step.module.clone());
                let next = problem.step(&mut sam, step.module);
                assert_eq!(bits(&next.parts()), bits(&expected.parts()));
            }
        }
        // With ρ = 0 the one pass is checked.
        let config = SamConfig::new().with_rho(0.0);
        let mut sam = config.init(Base::Adam.burn()).unwrap();
        let step = sam.step(LR, problem.net(), |net| broken(net, f64::NAN));
        let skipped = Outcome::Skipped { pass: Pass::First };
        assert_eq!(step.unwrap().outcome, skipped);
        // Without the check the gradient goes where it goes without SAM.
        let config = SamConfig::new().with_check_finite(false);
        let mut sam = config.init(Base::Adam.burn()).unwrap();
        let step = sam
            .step(LR, problem.net(), |net| broken(net, f64::NAN))
            .unwrap();
        assert_eq!(step.outcome, Outcome::Stepped);
        assert!(step.module.parts()[3][1].is_nan());
        assert!(step.module.parts()[3][0].is_finite());
    }
}

#[test]
fn the_base_optimizers_state_survives_saving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer");
    for (device, dtype, _) in devices() {
        if dtype == DType::F64 {
            // Burn makes a state anew in the default type of its default device.
            continue;
        }
        for base in [Base::Momentum, Base::Adam] {
            for (config, _) in both() {
                let problem = Problem::on(&device, dtype);
                let fresh = || config.init(base.burn()).unwrap();
                let mut whole = fresh();
                let mut net = problem.net();
                for _ in 0..3 {
                    net = problem.step(&mut whole, net);
                }
                let record = || whole.to_record(&net).unwrap();
                record().save(&path).unwrap();
                let bytes = record().into_bytes().unwrap();
                let resumed = [
                    fresh().load_record(SamRecord::from_bytes(&bytes).unwrap()),
                    fresh().load_record(SamRecord::load(&path).unwrap()),
                    fresh().load_record(record()),
                ];
                assert_eq!(resumed.each_ref().map(Sam::steps), [3; 3]);
                for cut in [0, 7, 8, 20, bytes.len() - 1] {
                    assert!(SamRecord::from_bytes(&bytes[..cut]).is_err(), "{cut}");
                }
                let run = |mut sam: Sam| {
                    let mut net = net.clone();
                    for _ in 0..3 {
                        net = problem.step(&mut sam, net);
                    }
                    bits(&net.parts())
                };
                let expected = run(whole);
                for sam in resumed {
                    assert_eq!(run(sam), expected, "{device:?} {base:?} {config}");
                }
                assert_ne!(run(fresh()), expected);
            }
        }
    }
}

#[test]
fn half_batches_accumulated_in_the_closure_take_the_step_of_the_whole() {
    for (config, _) in both() {
        let problem = Problem::new();
        let sam = || config.init(Base::Momentum.burn()).unwrap();
        let half = SAMPLES / 2;
        let halves = [0, half].map(|from| {
            let rows = |of: &Tensor<2>| of.clone().narrow(0, from, half);
            (rows(&problem.x), rows(&problem.y))
        });
        let whole = problem.step(&mut sam(), problem.net()).parts();
        let accumulated = sam().step(LR, problem.net(), |net| {
            let mut accumulator = GradientsAccumulator::new();
            let mut sum = 0.0;
            for (x, y) in &halves {
                let loss = net.loss(x, y) * 0.5;
                let gradients = GradientsParams::from_grads(loss.backward(), net);
                accumulator.accumulate(net, gradients);
                sum += values(loss)[0];
            }
            (sum, accumulator.grads())
        });
        let accumulated = accumulated.unwrap();
        let (loss, _) = problem.pass(&problem.net());
        assert!((accumulated.loss - loss).abs() < 1e-15);
        let error = difference(&accumulated.module.parts(), &whole);
        assert!(error < 1e-13, "{config}: {error:e}");

        // An ascent for each half is something else, so the above says something.
        let net = problem.net();
        let mut accumulator = GradientsAccumulator::new();
        for (x, y) in &halves {
            let passes = sam().gradient().clone().loss_gradients(&net, |net| {
                let loss = net.loss(x, y) * 0.5;
                ((), GradientsParams::from_grads(loss.backward(), net))
            });
            accumulator.accumulate(&net, passes.unwrap().gradients);
        }
        let apart = Base::Momentum.burn().step(LR, net, accumulator.grads());
        let error = difference(&apart.parts(), &whole);
        assert!(error > 1e-4, "{config}: {error:e}");
    }
}

// --- State that a forward pass changes.

/// A classifier with batch normalisation, and with what else a module can hold: a tensor that is no parameter and one
/// of integers.
#[derive(Module, Debug)]
struct Normed {
    embed: Linear,
    norm: BatchNorm,
    head: Linear,
    table: Tensor<1>,
    order: Param<Tensor<1, Int>>,
}

impl Normed {
    /// The same at every call, in Burn's default type.
    fn new(device: &Device) -> Self {
        let layer = |phase: f64, shape: [usize; 2]| {
            let weight = tensor(&wave(shape[0] * shape[1], phase), shape, device, DType::F32);
            let bias = tensor(&wave(shape[1], phase + 1.0), [shape[1]], device, DType::F32);
            Linear {
                weight: Param::from_tensor(weight),
                bias: Some(Param::from_tensor(bias)),
            }
        };
        Self {
            embed: layer(0.2, [INPUTS, HIDDEN]),
            norm: BatchNormConfig::new(HIDDEN).init(device),
            head: layer(0.5, [HIDDEN, OUTPUTS]),
            table: tensor(&[1.0, 0.5, 2.0], [INPUTS], device, DType::F32),
            order: Param::initialized(ParamId::new(), Tensor::from_ints([2, 0, 1], device)),
        }
    }

    fn embedded(&self, x: &Tensor<2>) -> Tensor<2> {
        let x = self.table.clone().unsqueeze() * x.clone().select(1, self.order.val());
        self.embed.forward(x)
    }

    fn forward(&self, x: &Tensor<2>) -> Tensor<2> {
        self.head
            .forward(self.norm.forward(self.embedded(x)).tanh())
    }

    fn pass(&self, x: &Tensor<2>, y: &Tensor<2>) -> (f64, GradientsParams) {
        let loss = (self.forward(x) - y.clone()).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), self);
        (values(loss)[0], gradients)
    }

    /// The running mean and variance, as validation sees them.
    fn statistics(&self) -> [Vec<f64>; 2] {
        let valid = self.valid();
        [
            values(valid.norm.running_mean.value()),
            values(valid.norm.running_var.value()),
        ]
    }

    fn parts(&self) -> Vec<f64> {
        [
            values(self.embed.weight.val()),
            values(self.norm.gamma.val()),
            values(self.norm.beta.val()),
            values(self.head.weight.val()),
            values(self.head.bias.as_ref().unwrap().val()),
        ]
        .concat()
    }
}

fn normed_problem(device: &Device) -> (Tensor<2>, Tensor<2>) {
    (
        tensor(&Problem::inputs(), [SAMPLES, INPUTS], device, DType::F32),
        tensor(&Problem::targets(), [SAMPLES, OUTPUTS], device, DType::F32),
    )
}

#[test]
fn running_statistics_are_those_of_one_forward_pass() {
    let device = Device::flex().autodiff();
    let (x, y) = normed_problem(&device);
    for config in [SamConfig::new().with_rho(2.0), SamConfig::asam()] {
        // Where the parameters stay, the statistics are bit for bit those of forward passes alone.
        let (mut model, twin) = (Normed::new(&device), Normed::new(&device));
        let mut sam = config.init(SgdConfig::new().init()).unwrap();
        for _ in 0..3 {
            model = sam
                .step(0.0, model, |model| model.pass(&x, &y))
                .unwrap()
                .module;
            twin.forward(&x);
            assert_eq!(model.statistics(), twin.statistics());
        }

        // Where they move, those of the batch at each θ, by hand.
        let mut model = Normed::new(&device);
        let mut expected = [vec![0.0; HIDDEN], vec![1.0; HIDDEN]];
        let mut sam = config.init(Base::Adam.burn()).unwrap();
        for _ in 0..4 {
            let z = values(model.embedded(&x));
            let [means, variances] = &mut expected;
            for (j, (running_mean, running_variance)) in means.iter_mut().zip(variances).enumerate()
            {
                let column = || z.iter().skip(j).step_by(HIDDEN);
                let mean = column().sum::<f64>() / SAMPLES as f64;
                let variance = column().map(|z| (z - mean).powi(2)).sum::<f64>() / SAMPLES as f64;
                *running_mean = 0.9 * *running_mean + 0.1 * mean;
                *running_variance = 0.9 * *running_variance + 0.1 * variance;
            }
            model = sam
                .step(LR, model, |model| model.pass(&x, &y))
                .unwrap()
                .module;
            for (got, expected) in model.statistics().iter().zip(&expected) {
                let error = relative_error(got, expected, 0.0);
                assert!(error < 1e-6, "{config}: {error:e}");
            }
        }
    }
}

#[test]
fn a_frozen_batch_norm_is_in_inference_in_both_passes() {
    let device = Device::flex().autodiff();
    let (x, y) = normed_problem(&device);
    let mut flags = Vec::new();
    let mut losses = Vec::new();
    for frozen in [false, true] {
        let mut model = Normed::new(&device);
        for _ in 0..3 {
            model.forward(&x);
        }
        if frozen {
            let norm = ParamGroup::ids_from_module(model.norm.clone());
            model = model.freeze_group(norm);
        }
        let before = model.statistics();
        let mut sam = SamConfig::new().init(SgdConfig::new().init()).unwrap();
        let step = sam.step(LR, model, |model| {
            flags.push(model.norm.training.is_enabled());
            assert_eq!(model.norm.gamma.val().is_require_grad(), !frozen);
            model.pass(&x, &y)
        });
        let step = step.unwrap();
        losses.push(step.ascended_loss);
        assert_eq!(step.module.statistics() == before, frozen);
        assert_eq!(step.module.norm.training.is_enabled(), !frozen);
    }
    // A first step sees at θ whether the closure repeats itself.
    assert_eq!(flags, [true, true, true, false, false, false]);
    assert_ne!(losses[0], losses[1]);
}

#[test]
fn a_device_with_gradient_checkpointing_takes_the_same_steps() {
    let mut seen = Vec::new();
    let plain = Device::flex().autodiff();
    for device in [plain.clone(), plain.gradient_checkpointing()] {
        let (x, y) = normed_problem(&device);
        let mut model = Normed::new(&device);
        let mut sam = SamConfig::asam().init(Base::Adam.burn()).unwrap();
        for _ in 0..3 {
            let step = sam.step(LR, model, |model| model.pass(&x, &y)).unwrap();
            assert_eq!(step.outcome, Outcome::Stepped);
            model = step.module;
        }
        assert_eq!(
            model.embed.weight.val().gradient_checkpointing_strategy(),
            device.gradient_checkpointing_strategy()
        );
        seen.push((model.parts(), model.statistics()));
    }
    assert_eq!(seen[0], seen[1]);
}

// --- burn-train.

/// A sample and its class.
type Item = ([f32; INPUTS], i64);

#[derive(Clone, Debug)]
struct Batch {
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

struct Batches;

impl Batcher<Item, Batch> for Batches {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Batch {
        let (x, y): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let (samples, x) = (x.len(), x.concat());
        Batch {
            x: Tensor::from_data(TensorData::new(x, [samples, INPUTS]), device),
            y: Tensor::from_data(TensorData::new(y, [samples]), device),
        }
    }
}

impl Normed {
    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let logits = self.forward(&batch.x);
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits.clone(), batch.y.clone());
        ClassificationOutput::new(loss, logits, batch.y)
    }
}

impl TrainStep for Normed {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Normed {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// Five batches of four; the third of the second kind of items holds a number that is none.
fn items(broken: bool) -> Vec<Item> {
    let numbers = wave(20 * INPUTS, 0.6);
    let mut items: Vec<Item> = numbers
        .chunks(INPUTS)
        .map(|row| {
            let x = [row[0] as f32, row[1] as f32, row[2] as f32];
            (x, i64::from(row[0] * row[1] > 0.0))
        })
        .collect();
    if broken {
        items[9].0[1] = f32::NAN;
    }
    items
}

/// Two rates and two optimizers, by names that parameters have in the model.
fn groups() -> (ModuleOptimizer, ModuleLrScheduler) {
    let head = || ParamGroup::from_path("head.weight");
    (
        AdamConfig::new()
            .init()
            .with_group(head(), SgdConfig::new().build(), None),
        ModuleLrScheduler::new(ConstantLr::new(0.02)).with_group(head(), ConstantLr::new(0.2)),
    )
}

/// A training by burn-train: the model and how many steps were skipped.
fn train(
    items: Vec<Item>,
    gradient: burn_sharpness::SamGradient,
    device: &Device,
) -> (Normed, usize) {
    let folder = tempfile::tempdir().unwrap();
    let loader = || -> Arc<dyn DataLoader<Batch>> {
        DataLoaderBuilder::new(Batches)
            .batch_size(4)
            .build(InMemDataset::new(items.clone()))
    };
    let (optimizer, rates) = groups();
    let model = SamModel::new(Normed::new(device), gradient).unwrap();
    let result = SupervisedTraining::new(folder.path(), loader(), loader())
        .metrics((LossMetric::new(),))
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .num_epochs(3)
        .launch(Learner::new(model, optimizer, rates));
    assert!(result.error.is_none(), "{:?}", result.error);
    let skipped = result.model.skipped();
    (result.model.into_model(), skipped)
}

#[test]
fn training_is_bit_for_bit_a_loop_with_sam() {
    let device = Device::flex().autodiff();
    for config in [
        SamConfig::new(),
        SamConfig::asam(),
        SamConfig::new().with_rho(0.0),
    ] {
        let gradient = config.init_gradient().unwrap();
        let (trained, skipped) = train(items(false), gradient, &device);
        assert_eq!(skipped, 0);

        let (optimizer, mut rates) = groups();
        let mut sam = config.init(optimizer).unwrap();
        let mut model = Normed::new(&device);
        for _ in 0..3 {
            for chunk in items(false).chunks(4) {
                let batch = Batches.batch(chunk.to_vec(), &device);
                let step = sam.step(rates.step(), model, |model: &Normed| {
                    let output = TrainStep::step(model, batch.clone());
                    (output.item, output.grads)
                });
                model = step.unwrap().module;
            }
        }
        assert_ne!(model.parts(), Normed::new(&device).parts());
        assert_eq!(trained.parts(), model.parts(), "{config}");
        let statistics = [
            values(trained.norm.running_mean.value()),
            values(trained.norm.running_var.value()),
        ];
        assert_eq!(statistics, model.statistics());
    }
}

#[test]
fn training_counts_the_steps_that_were_skipped() {
    // The batch with NaN comes third in each of three epochs. After the first, NaN is in the running statistics, which
    // training does not look at.
    let device = Device::flex().autodiff();
    let gradient = SamConfig::new().init_gradient().unwrap();
    let (broken, skipped) = train(items(true), gradient.clone(), &device);
    assert_eq!(skipped, 3);
    assert!(broken.parts().iter().all(|value| value.is_finite()));

    // Without that batch the steps are the same.
    let mut whole = items(false);
    whole.drain(8..12);
    let (expected, skipped) = train(whole, gradient, &device);
    assert_eq!(skipped, 0);
    assert_eq!(broken.parts(), expected.parts());
}

#[test]
fn a_training_step_gives_the_output_of_the_first_pass_and_the_gradient_of_the_second() {
    let device = Device::flex().autodiff();
    let batch = Batches.batch(items(false), &device);
    let mut gradient = SamConfig::asam().init_gradient().unwrap();
    let model = Normed::new(&device);
    let passes = gradient.loss_gradients(&model, |model: &Normed| {
        let output = TrainStep::step(model, batch.clone());
        (values(output.item.loss)[0], output.grads)
    });
    let passes = passes.unwrap();
    assert!(passes.ascended_loss.unwrap() > passes.loss);

    let plain = TrainStep::step(&model, batch.clone()).grads;
    let learner = SamModel::new(model, gradient).unwrap();
    let output = TrainStep::step(&learner, batch);
    assert_eq!(values(output.item.loss), [passes.loss]);
    assert_eq!(output.grads.len(), passes.gradients.len());
    let head = |gradients: &GradientsParams| {
        values(gradients.get::<2>(learner.model.head.weight.id).unwrap())
    };
    assert_eq!(head(&output.grads), head(&passes.gradients));
    assert_ne!(head(&output.grads), head(&plain));
}
