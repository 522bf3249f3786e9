//! HSR with each of Burn's optimizers: the exact step in every mode and by every way in, compared with gradients added
//! by hand; clipping, weight decay, parameter groups, frozen parameters, accumulation and several devices.

use burn::grad_clipping::{GradientClipping, GradientClippingConfig};
use burn::lr_scheduler::constant::ConstantLr;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, Param, ParamGroup};
use burn::nn::Linear;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, GradientsAccumulator,
    GradientsParams, LambConfig, LionConfig, ModuleOptimizer, MultiGradientsParams, MuonConfig,
    RmsPropConfig, SgdConfig,
};
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_hsr::{
    Activation, Execution, Hsr, HsrConfig, HsrError, Mode, OutputLoss, Targets, ThreeLayerNet,
};
use hsr_tests::{relative_error, tensor, values};

const INPUTS: usize = 3;
const HIDDEN: usize = 4;
const CLASSES: usize = 3;
const SAMPLES: usize = 12;
const LR: f64 = 0.05;
const STRENGTH: f64 = 0.7;
const MODES: [Mode; 3] = [Mode::Coupled, Mode::Decoupled, Mode::Direction];

/// W1, b1, W2, b2 in Burn's layout.
type Parts<T> = [T; 4];

/// Fixed numbers of about unit size.
fn wave(count: usize, phase: f64) -> Vec<f64> {
    (0..count)
        .map(|i| 0.9 * (1.7 * i as f64 + phase).sin())
        .collect()
}

fn network(parts: &Parts<Vec<f64>>, device: &Device, dtype: DType) -> ThreeLayerNet {
    let [w1, b1, w2, b2] = parts;
    let layer = |weight: &[f64], bias: &[f64], shape: [usize; 2]| Linear {
        weight: Param::from_tensor(tensor(weight, shape, device, dtype)),
        bias: Some(Param::from_tensor(tensor(bias, [shape[1]], device, dtype))),
    };
    let hidden = layer(w1, b1, [INPUTS, HIDDEN]);
    let output = layer(w2, b2, [HIDDEN, CLASSES]);
    ThreeLayerNet::new(hidden, Activation::Tanh, output)
}

fn start() -> Parts<Vec<f64>> {
    [
        wave(INPUTS * HIDDEN, 0.3),
        wave(HIDDEN, 1.1),
        wave(HIDDEN * CLASSES, 2.9),
        wave(CLASSES, 0.7),
    ]
}

/// A network, its inputs and its classes.
struct Problem {
    model: ThreeLayerNet,
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

fn problem_on(device: &Device, dtype: DType) -> Problem {
    let classes: Vec<i64> = (0..SAMPLES as i64)
        .map(|i| (i * i + 1) % CLASSES as i64)
        .collect();
    Problem {
        model: network(&start(), device, dtype),
        x: tensor(
            &wave(SAMPLES * INPUTS, 0.1),
            [SAMPLES, INPUTS],
            device,
            dtype,
        ),
        y: Tensor::from_data(TensorData::new(classes, [SAMPLES]), device),
    }
}

fn problem(dtype: DType) -> Problem {
    problem_on(&Device::flex().autodiff(), dtype)
}

fn hsr(strength: f64, mode: Mode) -> Hsr {
    HsrConfig::new()
        .with_strength(strength)
        .with_mode(mode)
        .init()
        .unwrap()
}

/// The softmax cross-entropy, [1].
fn loss(model: &ThreeLayerNet, x: &Tensor<2>, y: &Tensor<1, Int>) -> Tensor<1> {
    let log_p = log_softmax(model.forward(x.clone()), 1);
    log_p.gather(1, y.clone().unsqueeze_dim(1)).mean().neg()
}

fn loss_gradients(model: &ThreeLayerNet, x: &Tensor<2>, y: &Tensor<1, Int>) -> GradientsParams {
    GradientsParams::from_grads(loss(model, x, y).backward(), model)
}

fn parameters(model: &ThreeLayerNet) -> Parts<Vec<f64>> {
    [
        values(model.hidden.weight.val()),
        values(model.hidden.bias.as_ref().unwrap().val()),
        values(model.output.weight.val()),
        values(model.output.bias.as_ref().unwrap().val()),
    ]
}

fn bits(model: &ThreeLayerNet) -> Vec<u64> {
    parameters(model)
        .concat()
        .into_iter()
        .map(f64::to_bits)
        .collect()
}

/// The registered gradients; none where nothing is registered.
fn registered(gradients: &GradientsParams, model: &ThreeLayerNet) -> Parts<Option<Vec<f64>>> {
    [
        gradients.get::<2>(model.hidden.weight.id).map(values),
        gradients
            .get::<1>(model.hidden.bias.as_ref().unwrap().id)
            .map(values),
        gradients.get::<2>(model.output.weight.id).map(values),
        gradients
            .get::<1>(model.output.bias.as_ref().unwrap().id)
            .map(values),
    ]
}

fn all_registered(gradients: &GradientsParams, model: &ThreeLayerNet) -> Parts<Vec<f64>> {
    registered(gradients, model).map(|part| part.expect("a gradient"))
}

/// ∇λ_sup as numbers.
fn of_lambda(model: &ThreeLayerNet, x: &Tensor<2>, y: &Tensor<1, Int>) -> Parts<Vec<f64>> {
    let plain = hsr(STRENGTH, Mode::Coupled);
    let gradient = plain.gradient(model, x.clone(), y.clone(), false).unwrap();
    let [hidden, output] = <[_; 2]>::try_from(gradient.layers).unwrap();
    [
        values(hidden.weight.unwrap()),
        values(hidden.bias.unwrap()),
        values(output.weight.unwrap()),
        values(output.bias.unwrap()),
    ]
}

fn lambda_sup(model: &ThreeLayerNet, x: &Tensor<2>, y: &Tensor<1, Int>) -> f64 {
    let bounds = hsr(1.0, Mode::Coupled).bounds(model, x.clone(), y.clone());
    bounds.unwrap().lambda_sup
}

fn norm(part: &[f64]) -> f64 {
    part.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// a + factor·b, part by part.
fn plus(a: &Parts<Vec<f64>>, factor: f64, b: &Parts<Vec<f64>>) -> Parts<Vec<f64>> {
    std::array::from_fn(|i| {
        a[i].iter()
            .zip(&b[i])
            .map(|(a, b)| a + factor * b)
            .collect()
    })
}

fn difference(a: &Parts<Vec<f64>>, b: &Parts<Vec<f64>>) -> f64 {
    relative_error(&a.concat(), &b.concat(), 0.0)
}

/// Gradients that an optimizer takes, from numbers.
fn to_gradients(
    parts: &Parts<Vec<f64>>,
    model: &ThreeLayerNet,
    device: &Device,
    dtype: DType,
) -> GradientsParams {
    let [w1, b1, w2, b2] = parts;
    let (hidden, output) = (&model.hidden, &model.output);
    let mut gradients = GradientsParams::new();
    let matrix = |part: &[f64], shape: [usize; 2]| tensor(part, shape, device, dtype);
    gradients.register(hidden.weight.id, matrix(w1, [INPUTS, HIDDEN]));
    gradients.register(output.weight.id, matrix(w2, [HIDDEN, CLASSES]));
    let hidden_bias = tensor(b1, [HIDDEN], device, dtype);
    gradients.register(hidden.bias.as_ref().unwrap().id, hidden_bias);
    let output_bias = tensor(b2, [CLASSES], device, dtype);
    gradients.register(output.bias.as_ref().unwrap().id, output_bias);
    gradients
}

/// The ways by which HSR enters a loop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    Penalty,
    Inject,
    Step,
    LossGradients,
    LossStep,
}

/// The ways that a mode has.
fn entries(mode: Mode) -> &'static [Entry] {
    match mode {
        Mode::Decoupled => &[Entry::Step, Entry::LossStep],
        Mode::Coupled | Mode::Direction => &[
            Entry::Penalty,
            Entry::Inject,
            Entry::Step,
            Entry::LossGradients,
            Entry::LossStep,
        ],
    }
}

/// One step of a training loop with HSR.
fn advance(
    entry: Entry,
    hsr: &mut Hsr,
    optimizer: &mut ModuleOptimizer,
    model: ThreeLayerNet,
    x: &Tensor<2>,
    y: &Tensor<1, Int>,
) -> ThreeLayerNet {
    let (inputs, targets) = (x.clone(), y.clone());
    match entry {
        Entry::Penalty => {
            let total = loss(&model, x, y) + hsr.penalty(&model, inputs, targets).unwrap();
            let gradients = GradientsParams::from_grads(total.backward(), &model);
            optimizer.step(LR, model, gradients)
        }
        Entry::Inject => {
            let gradients = loss_gradients(&model, x, y);
            let gradients = hsr.inject(&model, inputs, targets, gradients).unwrap();
            optimizer.step(LR, model, gradients)
        }
        Entry::Step => {
            let gradients = loss_gradients(&model, x, y);
            hsr.step(optimizer, LR, model, inputs, targets, gradients)
                .unwrap()
        }
        Entry::LossGradients => {
            let of_batch = hsr.loss_gradients(&model, inputs, targets).unwrap();
            optimizer.step(LR, model, of_batch.gradients)
        }
        Entry::LossStep => {
            let (model, _) = hsr
                .loss_step(optimizer, LR, model, inputs, targets)
                .unwrap();
            model
        }
    }
}

/// The same step without any of the entry points: gradients added as numbers, then Burn's optimizer; in the decoupled
/// mode Burn's optimizer, then the decrement as numbers.
fn advance_by_hand(
    mode: Mode,
    optimizer: &mut ModuleOptimizer,
    model: ThreeLayerNet,
    x: &Tensor<2>,
    y: &Tensor<1, Int>,
    dtype: DType,
) -> ThreeLayerNet {
    let device = Device::flex();
    let of_loss = all_registered(&loss_gradients(&model, x, y), &model);
    let of_lambda = of_lambda(&model, x, y);
    let factor = match mode {
        Mode::Coupled => STRENGTH,
        Mode::Decoupled => 0.0,
        Mode::Direction => STRENGTH / norm(&of_lambda.concat()),
    };
    let sum = plus(&of_loss, factor, &of_lambda);
    let gradients = to_gradients(&sum, &model, &device, dtype);
    let model = optimizer.step(LR, model, gradients);
    if mode != Mode::Decoupled {
        return model;
    }
    let moved = plus(&parameters(&model), -LR * STRENGTH, &of_lambda);
    let fresh = network(&moved, &device.autodiff(), dtype);
    // The same identities, or the optimizer would not find its state.
    let mut model = model;
    model.hidden.weight = model.hidden.weight.map(|_| fresh.hidden.weight.val());
    model.output.weight = model.output.weight.map(|_| fresh.output.weight.val());
    let bias = |ours: Option<Param<Tensor<1>>>, new: Option<Param<Tensor<1>>>| {
        ours.zip(new).map(|(ours, new)| ours.map(|_| new.val()))
    };
    model.hidden.bias = bias(model.hidden.bias, fresh.hidden.bias);
    model.output.bias = bias(model.output.bias, fresh.output.bias);
    model
}

fn decay() -> Option<WeightDecayConfig> {
    Some(WeightDecayConfig::new(0.1))
}

/// Loose enough to leave some gradients alone, tight enough to change others.
fn clip() -> Option<GradientClippingConfig> {
    Some(GradientClippingConfig::Norm(0.3))
}

fn weights_only() -> ParamGroup {
    ParamGroup::from_predicate("weight")
}

/// A fresh optimizer.
type Make = fn() -> ModuleOptimizer;

/// Every first-order optimizer of Burn 0.22, plain and with what each adds.
fn optimizers() -> Vec<(&'static str, Make)> {
    vec![
        ("SGD", || SgdConfig::new().init()),
        ("SGD, momentum", || {
            let momentum = MomentumConfig::new();
            SgdConfig::new().with_momentum(Some(momentum)).init()
        }),
        ("SGD, Nesterov, decay, clipping", || {
            let momentum = MomentumConfig::new().with_nesterov(true);
            SgdConfig::new()
                .with_momentum(Some(momentum))
                .with_weight_decay(decay())
                .with_gradient_clipping(clip())
                .init()
        }),
        ("Adam", || AdamConfig::new().init()),
        ("Adam, AMSGrad, decay, clipping", || {
            AdamConfig::new()
                .with_amsgrad(true)
                .with_weight_decay(decay())
                .with_grad_clipping(clip())
                .init()
        }),
        ("AdamW", || AdamWConfig::new().with_weight_decay(0.1).init()),
        ("AdamW, cautious", || {
            AdamWConfig::new()
                .with_weight_decay(0.1)
                .with_cautious_weight_decay(true)
                .init()
        }),
        ("RMSprop", || RmsPropConfig::new().init()),
        ("RMSprop, centered, decay", || {
            RmsPropConfig::new()
                .with_centered(true)
                .with_weight_decay(decay())
                .init()
        }),
        ("AdaGrad", || AdaGradConfig::new().init()),
        ("AdaGrad, decay, clipping", || {
            AdaGradConfig::new()
                .with_lr_decay(0.1)
                .with_weight_decay(decay())
                .with_grad_clipping(clip())
                .init()
        }),
        ("Adan", || AdanConfig::new().with_weight_decay(0.1).init()),
        ("Lion", || LionConfig::new().with_weight_decay(0.1).init()),
        ("LAMB", || LambConfig::new().with_weight_decay(0.1).init()),
        ("Adafactor", || AdafactorConfig::new().init()),
        // Muon orthogonalises, which only a matrix can be: the biases need another optimizer.
        ("Muon for the weights, SGD for the biases", || {
            let muon = MuonConfig::new().with_weight_decay(decay()).build();
            let sgd = SgdConfig::new().init();
            sgd.with_group(weights_only(), muon, None)
        }),
        (
            "Adam with clipping for the hidden layer, SGD for the output",
            || {
                let hidden = ParamGroup::from_predicate("hidden");
                let clipping = Some(GradientClipping::Norm(0.2));
                let sgd = SgdConfig::new().with_weight_decay(decay()).init();
                sgd.with_group(hidden, AdamConfig::new().build(), clipping)
            },
        ),
    ]
}

#[test]
fn every_optimizer_takes_the_step_of_gradients_added_by_hand_in_every_mode() {
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
        let Problem { model, x, y } = problem(dtype);
        for (name, optimizer) in optimizers() {
            let mut plain = model.clone();
            let mut plain_optimizer = optimizer();
            for _ in 0..3 {
                let gradients = loss_gradients(&plain, &x, &y);
                plain = plain_optimizer.step(LR, plain, gradients);
            }
            for mode in MODES {
                for &entry in entries(mode) {
                    let mut hsr = hsr(STRENGTH, mode);
                    let (mut ours, mut by_hand) = (model.clone(), model.clone());
                    let (mut our_optimizer, mut hand_optimizer) = (optimizer(), optimizer());
                    for step in 0..3 {
                        ours = advance(entry, &mut hsr, &mut our_optimizer, ours, &x, &y);
                        by_hand =
                            advance_by_hand(mode, &mut hand_optimizer, by_hand, &x, &y, dtype);
                        let error = difference(&parameters(&ours), &parameters(&by_hand));
                        assert!(
                            error < tolerance,
                            "{name}, {mode:?}, {entry:?}, {dtype:?}, step {step}: {error:e}"
                        );
                    }
                    // Without this, a regulariser that does nothing would pass.
                    let effect = difference(&parameters(&ours), &parameters(&plain));
                    assert!(effect > 1e-3, "{name}, {mode:?}, {entry:?}: {effect:e}");
                }
            }
        }
    }
}

/// How SGD is set up for the arithmetic below.
#[derive(Clone, Copy, Debug)]
struct Sgd {
    decay: Option<f32>,
    /// Momentum, dampening, Nesterov.
    momentum: Option<(f32, f32, bool)>,
    clipping: Clipping,
}

#[derive(Clone, Copy, Debug)]
enum Clipping {
    Off,
    Norm(f32),
    Value(f32),
}

impl Sgd {
    fn init(self) -> ModuleOptimizer {
        SgdConfig::new()
            .with_weight_decay(self.decay.map(WeightDecayConfig::new))
            .with_momentum(self.momentum.map(|(momentum, dampening, nesterov)| {
                MomentumConfig::new()
                    .with_momentum(f64::from(momentum))
                    .with_dampening(f64::from(dampening))
                    .with_nesterov(nesterov)
            }))
            .with_gradient_clipping(match self.clipping {
                Clipping::Off => None,
                Clipping::Norm(limit) => Some(GradientClippingConfig::Norm(limit)),
                Clipping::Value(limit) => Some(GradientClippingConfig::Value(limit)),
            })
            .init()
    }

    /// The step of one tensor: clipping, then decay, then momentum.
    fn step(self, theta: &mut [f32], gradient: &[f32], velocity: &mut Option<Vec<f32>>) {
        let mut g = gradient.to_vec();
        match self.clipping {
            Clipping::Off => {}
            Clipping::Norm(limit) => {
                let norm = g.iter().map(|v| v * v).sum::<f32>().sqrt();
                if norm > limit {
                    g.iter_mut().for_each(|v| *v *= limit / norm);
                }
            }
            Clipping::Value(limit) => g.iter_mut().for_each(|v| *v = v.clamp(-limit, limit)),
        }
        if let Some(decay) = self.decay {
            g.iter_mut()
                .zip(&*theta)
                .for_each(|(g, theta)| *g += decay * theta);
        }
        if let Some((momentum, dampening, nesterov)) = self.momentum {
            let v: Vec<f32> = match velocity.take() {
                None => g.clone(),
                Some(old) => old
                    .iter()
                    .zip(&g)
                    .map(|(v, g)| momentum * v + (1.0 - dampening) * g)
                    .collect(),
            };
            for (g, v) in g.iter_mut().zip(&v) {
                *g = if nesterov { *g + momentum * v } else { *v };
            }
            *velocity = Some(v);
        }
        for (theta, g) in theta.iter_mut().zip(&g) {
            *theta -= LR as f32 * g;
        }
    }
}

#[test]
fn sgd_with_decay_momentum_and_clipping_is_the_arithmetic_written_out() {
    let device = Device::flex().autodiff();
    let Problem { model, x, y } = problem(DType::F32);
    let single = |parts: Parts<Vec<f64>>| -> Parts<Vec<f32>> {
        parts.map(|part| part.into_iter().map(|v| v as f32).collect())
    };
    for decay in [None, Some(0.2)] {
        for momentum in [None, Some((0.8, 0.25, false)), Some((0.8, 0.25, true))] {
            for clipping in [Clipping::Off, Clipping::Norm(0.1), Clipping::Value(0.05)] {
                let sgd = Sgd {
                    decay,
                    momentum,
                    clipping,
                };
                for mode in MODES {
                    for &entry in entries(mode) {
                        let mut hsr = hsr(STRENGTH, mode);
                        let (mut ours, mut optimizer) = (model.clone(), sgd.init());
                        let mut theta = single(start());
                        let mut velocities: Parts<Option<Vec<f32>>> = Default::default();
                        for step in 0..3 {
                            ours = advance(entry, &mut hsr, &mut optimizer, ours, &x, &y);
                            let wide = theta
                                .clone()
                                .map(|part| part.into_iter().map(f64::from).collect::<Vec<f64>>());
                            let at = network(&wide, &device, DType::F32);
                            let of_loss = all_registered(&loss_gradients(&at, &x, &y), &at);
                            let of_lambda = of_lambda(&at, &x, &y);
                            let length = norm(&of_lambda.concat());
                            let (before, after) = match mode {
                                Mode::Coupled => (STRENGTH, 0.0),
                                Mode::Direction => (STRENGTH / length, 0.0),
                                Mode::Decoupled => (0.0, STRENGTH),
                            };
                            let gradient = single(plus(&of_loss, before, &of_lambda));
                            let of_lambda = single(of_lambda);
                            for part in 0..4 {
                                let theta = &mut theta[part];
                                sgd.step(theta, &gradient[part], &mut velocities[part]);
                                for (theta, g) in theta.iter_mut().zip(&of_lambda[part]) {
                                    *theta -= (LR * after) as f32 * g;
                                }
                            }
                            let expected = theta
                                .clone()
                                .map(|part| part.into_iter().map(f64::from).collect::<Vec<f64>>());
                            let error = difference(&parameters(&ours), &expected);
                            assert!(
                                error < 1e-5,
                                "{sgd:?}, {mode:?}, {entry:?}, step {step}: {error:e}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn strength_zero_is_bit_identical_to_every_plain_optimizer() {
    for dtype in [DType::F64, DType::F32] {
        let Problem { model, x, y } = problem(dtype);
        for (name, optimizer) in optimizers() {
            let (mut plain, mut plain_optimizer) = (model.clone(), optimizer());
            for _ in 0..3 {
                let gradients = loss_gradients(&plain, &x, &y);
                plain = plain_optimizer.step(LR, plain, gradients);
            }
            assert_ne!(bits(&plain), bits(&model), "{name} does not train");
            for mode in MODES {
                // The loss's gradient in closed form is rounded differently.
                let given_gradients = entries(mode)
                    .iter()
                    .filter(|entry| !matches!(entry, Entry::LossGradients | Entry::LossStep));
                for &entry in given_gradients {
                    let mut hsr = hsr(0.0, mode);
                    let (mut ours, mut our_optimizer) = (model.clone(), optimizer());
                    for _ in 0..3 {
                        ours = advance(entry, &mut hsr, &mut our_optimizer, ours, &x, &y);
                    }
                    assert_eq!(
                        bits(&ours),
                        bits(&plain),
                        "{name}, {mode:?}, {entry:?}, {dtype:?}"
                    );
                }
            }
        }
    }
}

/// How far each tensor moved.
fn moved(before: &ThreeLayerNet, after: &ThreeLayerNet) -> Parts<Vec<f64>> {
    plus(&parameters(after), -1.0, &parameters(before))
}

#[test]
fn clipping_bounds_the_sum_in_the_coupled_modes_and_leaves_the_decoupled_decrement_alone() {
    let Problem { model, x, y } = problem(DType::F64);
    let (limit, strength) = (0.05, 40.0);
    let clipped = || {
        let clipping = GradientClippingConfig::Norm(limit as f32);
        SgdConfig::new()
            .with_gradient_clipping(Some(clipping))
            .init()
    };
    let plain = clipped().step(LR, model.clone(), loss_gradients(&model, &x, &y));
    let plain = moved(&model, &plain);
    let of_loss = all_registered(&loss_gradients(&model, &x, &y), &model);
    let of_lambda = of_lambda(&model, &x, &y);
    for mode in MODES {
        for &entry in entries(mode) {
            let mut hsr = hsr(strength, mode);
            let after = advance(entry, &mut hsr, &mut clipped(), model.clone(), &x, &y);
            let step = moved(&model, &after);
            for part in 0..4 {
                let length = norm(&step[part]);
                if mode == Mode::Decoupled {
                    // The clipped step of the loss, and the whole decrement besides.
                    let expected: Vec<f64> = plain[part]
                        .iter()
                        .zip(&of_lambda[part])
                        .map(|(plain, g)| plain - LR * strength * g)
                        .collect();
                    let error = relative_error(&step[part], &expected, 0.0);
                    assert!(error < 1e-9, "part {part}: {error:e}");
                    assert!(length > 2.0 * LR * limit, "part {part}: {length:e}");
                } else {
                    // Per tensor, so a joint direction is cut tensor by tensor as well.
                    let error = (length / (LR * f64::from(limit as f32)) - 1.0).abs();
                    assert!(error < 1e-6, "{mode:?}, {entry:?}, part {part}: {error:e}");
                    // Not the same as clipping the loss's gradient and adding HSR to it.
                    let scale = limit / norm(&of_loss[part]).max(limit);
                    let apart: Vec<f64> = of_loss[part]
                        .iter()
                        .zip(&of_lambda[part])
                        .map(|(loss, g)| -LR * (scale * loss + strength * g))
                        .collect();
                    assert!(relative_error(&step[part], &apart, 0.0) > 0.1);
                }
            }
        }
    }
}

#[test]
fn weight_decay_and_hsr_add_up_whichever_comes_first() {
    let device = Device::flex();
    let Problem { model, x, y } = problem(DType::F64);
    let decay = f64::from(0.1_f32);
    // Decay that is part of the gradient: SGD that decays, against decay added by hand before or after HSR.
    let decaying = || {
        let decay = Some(WeightDecayConfig::new(0.1));
        SgdConfig::new().with_weight_decay(decay).init()
    };
    for mode in [Mode::Coupled, Mode::Direction] {
        let mut hsr = hsr(STRENGTH, mode);
        let ours = advance(
            Entry::Step,
            &mut hsr,
            &mut decaying(),
            model.clone(),
            &x,
            &y,
        );
        let of_loss = all_registered(&loss_gradients(&model, &x, &y), &model);
        let decayed_first = plus(&of_loss, decay, &parameters(&model));
        let gradients = to_gradients(&decayed_first, &model, &device, DType::F64);
        let gradients = hsr.inject(&model, x.clone(), y.clone(), gradients).unwrap();
        let other = SgdConfig::new().init().step(LR, model.clone(), gradients);
        let error = difference(&parameters(&ours), &parameters(&other));
        assert!(error < 1e-12, "{mode:?}: {error:e}");
    }
    // Decay and HSR both decoupled: both are taken from θ before the step, so neither scales the other.
    let adam_w = |decay: f32| AdamWConfig::new().with_weight_decay(decay).init();
    let mut hsr = hsr(STRENGTH, Mode::Decoupled);
    let ours = advance(
        Entry::Step,
        &mut hsr,
        &mut adam_w(0.1),
        model.clone(),
        &x,
        &y,
    );
    let plain = adam_w(0.0).step(LR, model.clone(), loss_gradients(&model, &x, &y));
    let decayed = plus(&parameters(&plain), -LR * decay, &parameters(&model));
    let expected = plus(&decayed, -LR * STRENGTH, &of_lambda(&model, &x, &y));
    let error = difference(&parameters(&ours), &expected);
    assert!(error < 1e-12, "{error:e}");
    assert!(difference(&expected, &parameters(&plain)) > 1e-3);
}

/// 0.01 everywhere, 0.2 in the output layer.
fn two_rates() -> (ModuleLearningRate, Parts<f64>) {
    let output = ParamGroup::from_predicate("output");
    let mut scheduler =
        ModuleLrScheduler::new(ConstantLr::new(0.01)).with_group(output, ConstantLr::new(0.2));
    (scheduler.step(), [0.01, 0.01, 0.2, 0.2])
}

#[test]
fn hsr_goes_through_each_groups_own_optimizer_and_clipping() {
    let Problem { model, x, y } = problem(DType::F64);
    let limit = f64::from(0.01_f32);
    let optimizer = || {
        let output = ParamGroup::from_predicate("output");
        let clipping = Some(GradientClipping::Norm(0.01));
        let sgd = SgdConfig::new().with_weight_decay(decay()).init();
        sgd.with_group(output, SgdConfig::new().build(), clipping)
    };
    let of_loss = all_registered(&loss_gradients(&model, &x, &y), &model);
    let of_lambda = of_lambda(&model, &x, &y);
    let theta = parameters(&model);
    for mode in MODES {
        let factor = match mode {
            Mode::Coupled => STRENGTH,
            Mode::Decoupled => 0.0,
            Mode::Direction => STRENGTH / norm(&of_lambda.concat()),
        };
        let mut expected = plus(&of_loss, factor, &of_lambda);
        for part in &mut expected[2..] {
            let scale = limit / norm(part).max(limit);
            part.iter_mut().for_each(|g| *g *= scale);
        }
        let decayed = plus(&expected, f64::from(0.1_f32), &theta);
        let [w1, b1, ..] = decayed;
        let [_, _, w2, b2] = expected;
        let mut expected = plus(&theta, -LR, &[w1, b1, w2, b2]);
        if mode == Mode::Decoupled {
            expected = plus(&expected, -LR * STRENGTH, &of_lambda);
        }
        let mut hsr = hsr(STRENGTH, mode);
        let ours = advance(
            Entry::Step,
            &mut hsr,
            &mut optimizer(),
            model.clone(),
            &x,
            &y,
        );
        let error = difference(&parameters(&ours), &expected);
        assert!(error < 1e-9, "{mode:?}: {error:e}");
    }
}

#[test]
fn every_mode_uses_the_learning_rate_of_each_parameter_group() {
    let Problem { model, x, y } = problem(DType::F64);
    let of_loss = all_registered(&loss_gradients(&model, &x, &y), &model);
    let of_lambda = of_lambda(&model, &x, &y);
    let theta = parameters(&model);
    let (rates, rate_of) = two_rates();
    for mode in MODES {
        let factor = match mode {
            Mode::Coupled | Mode::Decoupled => STRENGTH,
            Mode::Direction => STRENGTH / norm(&of_lambda.concat()),
        };
        let sum = plus(&of_loss, factor, &of_lambda);
        let expected: Parts<Vec<f64>> = std::array::from_fn(|i| {
            let theta = theta[i].iter().zip(&sum[i]);
            theta.map(|(theta, g)| theta - rate_of[i] * g).collect()
        });
        let ours = hsr(STRENGTH, mode)
            .step(
                &mut SgdConfig::new().init(),
                rates.clone(),
                model.clone(),
                x.clone(),
                y.clone(),
                loss_gradients(&model, &x, &y),
            )
            .unwrap();
        let error = difference(&parameters(&ours), &expected);
        assert!(error < 1e-12, "{mode:?}: {error:e}");
    }
}

/// The network with some of W1, b1, W2, b2 frozen.
fn freeze(mut model: ThreeLayerNet, frozen: [bool; 4]) -> ThreeLayerNet {
    let [w1, b1, w2, b2] = frozen.map(|frozen| !frozen);
    model.hidden.weight = model.hidden.weight.set_require_grad(w1);
    model.hidden.bias = model.hidden.bias.map(|bias| bias.set_require_grad(b1));
    model.output.weight = model.output.weight.set_require_grad(w2);
    model.output.bias = model.output.bias.map(|bias| bias.set_require_grad(b2));
    model
}

fn trainable(model: &ThreeLayerNet) -> [bool; 4] {
    [
        model.hidden.weight.is_require_grad(),
        model.hidden.bias.as_ref().unwrap().is_require_grad(),
        model.output.weight.is_require_grad(),
        model.output.bias.as_ref().unwrap().is_require_grad(),
    ]
}

const FROZEN: [[bool; 4]; 6] = [
    [true, false, false, false],
    [false, true, false, false],
    [false, false, true, false],
    [false, false, false, true],
    // The hidden layer, and the output layer.
    [true, true, false, false],
    [false, false, true, true],
];

#[test]
fn frozen_parameters_keep_their_bits_in_every_mode_and_by_every_entry() {
    let Problem { model, x, y } = problem(DType::F32);
    for frozen in FROZEN {
        let model = freeze(model.clone(), frozen);
        let before = parameters(&model);
        for mode in MODES {
            for &entry in entries(mode) {
                let mut hsr = hsr(STRENGTH, mode);
                // Momentum and decay would move a parameter that has any gradient, even zero.
                let mut optimizer = SgdConfig::new()
                    .with_momentum(Some(MomentumConfig::new()))
                    .with_weight_decay(decay())
                    .init();
                let mut after = model.clone();
                for _ in 0..2 {
                    after = advance(entry, &mut hsr, &mut optimizer, after, &x, &y);
                }
                let name = format!("{frozen:?}, {mode:?}, {entry:?}");
                assert_eq!(trainable(&after), frozen.map(|frozen| !frozen), "{name}");
                let after = parameters(&after);
                for part in 0..4 {
                    assert_eq!(before[part] == after[part], frozen[part], "{name}, {part}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_registered_for_frozen_parameters() {
    let Problem { model, x, y } = problem(DType::F32);
    for frozen in FROZEN {
        let model = freeze(model.clone(), frozen);
        let mut hsr = hsr(STRENGTH, Mode::Coupled);
        let (inputs, targets) = (x.clone(), y.clone());
        let injected = hsr
            .inject(
                &model,
                inputs.clone(),
                targets.clone(),
                GradientsParams::new(),
            )
            .unwrap();
        let penalty = hsr.penalty(&model, inputs, targets).unwrap();
        let penalized = GradientsParams::from_grads(penalty.backward(), &model);
        for gradients in [injected, penalized] {
            let some = registered(&gradients, &model).map(|part| part.is_some());
            assert_eq!(some, frozen.map(|frozen| !frozen));
        }
    }
    let model = model.no_grad();
    let before = bits(&model);
    for mode in MODES {
        let mut hsr = hsr(STRENGTH, mode);
        if mode != Mode::Decoupled {
            let gradients = GradientsParams::new();
            let gradients = hsr.inject(&model, x.clone(), y.clone(), gradients).unwrap();
            assert!(gradients.is_empty(), "{mode:?}");
        }
        let after = hsr
            .step(
                &mut SgdConfig::new().init(),
                LR,
                model.clone(),
                x.clone(),
                y.clone(),
                GradientsParams::new(),
            )
            .unwrap();
        assert_eq!(bits(&after), before, "{mode:?}");
    }
}

#[test]
fn a_direction_has_the_length_of_the_strength_over_what_is_trained() {
    let Problem { model, x, y } = problem(DType::F64);
    let mut hsr = hsr(STRENGTH, Mode::Direction);
    for frozen in [[false; 4]].into_iter().chain(FROZEN) {
        let model = freeze(model.clone(), frozen);
        let gradients = hsr
            .inject(&model, x.clone(), y.clone(), GradientsParams::new())
            .unwrap();
        let injected: Vec<f64> = registered(&gradients, &model)
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let error = (norm(&injected) / STRENGTH - 1.0).abs();
        assert!(error < 1e-12, "{frozen:?}: {error:e}");
    }
}

#[test]
fn a_direction_neither_vanishes_nor_explodes_with_the_scale_of_the_gradient() {
    let device = Device::flex().autodiff();
    let length = |config: HsrConfig, model: &ThreeLayerNet, x: Tensor<2>, y: Targets| {
        let mut hsr = config
            .with_strength(STRENGTH)
            .with_mode(Mode::Direction)
            .init()
            .unwrap();
        let gradients = hsr.inject(model, x, y, GradientsParams::new()).unwrap();
        norm(&all_registered(&gradients, model).concat())
    };
    for execution in [Execution::Host, Execution::Device] {
        let config = HsrConfig::new().with_execution(execution);
        // A margin m leaves derivatives of about e^−m, whose squares are beyond the type.
        for (dtype, margin, tolerance) in [(DType::F32, 60.0, 1e-5), (DType::F64, 600.0, 1e-12)] {
            let [w1, b1, w2, _] = start();
            let model = network(&[w1, b1, w2, vec![margin, 0.0, 0.0]], &device, dtype);
            let Problem { x, .. } = problem(dtype);
            let y = Tensor::<1, Int>::zeros([SAMPLES], &device);
            let error = (length(config.clone(), &model, x, y.into()) / STRENGTH - 1.0).abs();
            assert!(error < tolerance, "{execution:?}, {dtype:?}: {error:e}");
        }
    }
    // A linear network with weights of 1e7 has a bound of about 1e28, and a gradient whose square is beyond f32.
    let huge = start().map(|part| part.into_iter().map(|v| v * 1e7).collect());
    let ThreeLayerNet { hidden, output, .. } = network(&huge, &device, DType::F32);
    let model = ThreeLayerNet::new(hidden, Activation::Identity, output);
    let x = problem(DType::F32).x;
    let y = Tensor::<2>::zeros([SAMPLES, CLASSES], (&device, DType::F32));
    let config = HsrConfig::new().with_loss(OutputLoss::MeanSquaredError.into());
    let error = (length(config, &model, x, y.into()) / STRENGTH - 1.0).abs();
    assert!(error < 1e-5, "{error:e}");
}

#[test]
fn a_model_with_gradient_checkpointing_can_be_trained_in_every_mode() {
    let device = Device::flex().autodiff().gradient_checkpointing();
    let Problem { model, x, y } = problem_on(&device, DType::F32);
    let strategy = model.hidden.weight.val().gradient_checkpointing_strategy();
    for mode in MODES {
        for &entry in entries(mode) {
            let mut hsr = hsr(STRENGTH, mode);
            let (mut after, mut optimizer) = (model.clone(), SgdConfig::new().init());
            // The second step meets the parameters that the first one left.
            for _ in 0..2 {
                after = advance(entry, &mut hsr, &mut optimizer, after, &x, &y);
            }
            let kept = after.hidden.weight.val().gradient_checkpointing_strategy();
            assert_eq!(kept, strategy, "{mode:?}, {entry:?}");
        }
    }
}

/// The rows `from..to` of a batch.
fn shard(x: &Tensor<2>, y: &Tensor<1, Int>, from: usize, to: usize) -> (Tensor<2>, Tensor<1, Int>) {
    (
        x.clone().slice([from..to, 0..INPUTS]),
        y.clone().slice(from..to),
    )
}

/// Shards of a batch with the share of the samples that each holds; the last one is shorter.
fn shards(x: &Tensor<2>, y: &Tensor<1, Int>) -> Vec<(f64, Tensor<2>, Tensor<1, Int>)> {
    [(0, 5), (5, 10), (10, SAMPLES)]
        .into_iter()
        .map(|(from, to)| {
            let (x, y) = shard(x, y, from, to);
            ((to - from) as f64 / SAMPLES as f64, x, y)
        })
        .collect()
}

/// ∇L of the whole batch + strength·Σ share·∇λ_sup(shard).
fn of_mean(model: &ThreeLayerNet, x: &Tensor<2>, y: &Tensor<1, Int>) -> Parts<Vec<f64>> {
    let mut sum = all_registered(&loss_gradients(model, x, y), model);
    for (share, x, y) in shards(x, y) {
        sum = plus(&sum, STRENGTH * share, &of_lambda(model, &x, &y));
    }
    sum
}

#[test]
fn accumulating_shares_of_the_strength_descends_the_loss_and_the_mean_bound() {
    let Problem { model, x, y } = problem(DType::F64);
    let expected = of_mean(&model, &x, &y);
    for entry in [Entry::Penalty, Entry::Inject] {
        // The share scales the loss and the strength alike; with the whole strength each, HSR would count k times.
        for (scaled, right) in [(true, true), (false, false)] {
            let mut accumulator = GradientsAccumulator::new();
            for (share, x, y) in shards(&x, &y) {
                let strength = if scaled { STRENGTH * share } else { STRENGTH };
                let mut hsr = hsr(strength, Mode::Coupled);
                let of_loss = loss(&model, &x, &y) * share;
                let gradients = if entry == Entry::Penalty {
                    let total = of_loss + hsr.penalty(&model, x, y).unwrap();
                    GradientsParams::from_grads(total.backward(), &model)
                } else {
                    let gradients = GradientsParams::from_grads(of_loss.backward(), &model);
                    hsr.inject(&model, x, y, gradients).unwrap()
                };
                accumulator.accumulate(&model, gradients);
            }
            let sum = all_registered(&accumulator.grads(), &model);
            let error = difference(&sum, &expected);
            assert_eq!(error < 1e-12, right, "{entry:?}: {error:e}");
        }
    }
    // A penalty that is part of the scaled loss needs no other strength.
    let mut accumulator = GradientsAccumulator::new();
    let mut hsr = hsr(STRENGTH, Mode::Coupled);
    for (share, x, y) in shards(&x, &y) {
        let total = (loss(&model, &x, &y) + hsr.penalty(&model, x, y).unwrap()) * share;
        let gradients = GradientsParams::from_grads(total.backward(), &model);
        accumulator.accumulate(&model, gradients);
    }
    let sum = all_registered(&accumulator.grads(), &model);
    let error = difference(&sum, &expected);
    assert!(error < 1e-12, "{error:e}");
}

#[test]
fn injecting_once_after_accumulation_descends_the_bound_of_the_whole_batch() {
    let Problem { model, x, y } = problem(DType::F64);
    let mut hsr = hsr(STRENGTH, Mode::Coupled);
    let mut accumulator = GradientsAccumulator::new();
    for (share, x, y) in shards(&x, &y) {
        let of_loss = loss(&model, &x, &y) * share;
        let gradients = GradientsParams::from_grads(of_loss.backward(), &model);
        accumulator.accumulate(&model, gradients);
    }
    let gradients = accumulator.grads();
    let gradients = hsr.inject(&model, x.clone(), y.clone(), gradients).unwrap();
    let whole = all_registered(&loss_gradients(&model, &x, &y), &model);
    let expected = plus(&whole, STRENGTH, &of_lambda(&model, &x, &y));
    let error = difference(&all_registered(&gradients, &model), &expected);
    assert!(error < 1e-12, "{error:e}");
    // Not the same as the mean over shards.
    assert!(difference(&expected, &of_mean(&model, &x, &y)) > 1e-3);
}

#[test]
fn the_mean_bound_of_shards_is_at_least_the_bound_of_the_whole_batch() {
    let Problem { model, x, y } = problem(DType::F64);
    for scale in [0.1, 0.5, 1.0, 3.0] {
        let scaled = start().map(|part| part.into_iter().map(|v| v * scale).collect());
        let model_at = network(&scaled, &Device::flex(), DType::F64);
        let whole = lambda_sup(&model_at, &x.clone().inner(), &y.clone().inner());
        let mean: f64 = shards(&x.clone().inner(), &y.clone().inner())
            .iter()
            .map(|(share, x, y)| share * lambda_sup(&model_at, x, y))
            .sum();
        // λ_sup is convex in H and H is the mean of the shards' H; different shards make it strict.
        assert!(mean > whole * (1.0 + 1e-3), "{scale}: {mean} {whole}");
    }
    // Equal shards have the bound of the whole.
    let (half_x, half_y) = shard(&x, &y, 0, SAMPLES / 2);
    let twice_x = Tensor::cat(vec![half_x.clone(), half_x.clone()], 0);
    let twice_y = Tensor::cat(vec![half_y.clone(), half_y.clone()], 0);
    let (whole, half) = (
        lambda_sup(&model, &twice_x, &twice_y),
        lambda_sup(&model, &half_x, &half_y),
    );
    assert!((whole / half - 1.0).abs() < 1e-12, "{whole} {half}");
}

#[test]
fn devices_whose_gradients_burn_sums_add_the_bound_as_often_as_the_loss() {
    // Burn 0.22 adds the gradients of its devices, it does not average them: the step of D devices is D times that of
    // the mean, for the loss and for HSR alike, so that the strength keeps its meaning.
    let Problem { model, x, y } = problem(DType::F64);
    let device = Device::flex();
    let halves = [
        shard(&x, &y, 0, SAMPLES / 2),
        shard(&x, &y, SAMPLES / 2, SAMPLES),
    ];
    let mut mean = all_registered(&loss_gradients(&model, &x, &y), &model);
    for (x, y) in &halves {
        mean = plus(&mean, STRENGTH / 2.0, &of_lambda(&model, x, y));
    }
    let mut hsr = hsr(STRENGTH, Mode::Coupled);
    for entry in [Entry::Penalty, Entry::Inject] {
        for (factor, rate) in [(2.0, LR), (1.0, LR / 2.0)] {
            let mut several = MultiGradientsParams::default();
            for (x, y) in halves.clone() {
                let of_loss = loss(&model, &x, &y);
                let gradients = if entry == Entry::Penalty {
                    let total = of_loss + hsr.penalty(&model, x, y).unwrap();
                    GradientsParams::from_grads(total.backward(), &model)
                } else {
                    let gradients = GradientsParams::from_grads(of_loss.backward(), &model);
                    hsr.inject(&model, x, y, gradients).unwrap()
                };
                several.grads.push((gradients, device.clone()));
            }
            let mut optimizer = SgdConfig::new().init();
            let after = optimizer.step_multi(rate, model.clone(), several);
            let expected = plus(&parameters(&model), -LR * factor, &mean);
            let error = difference(&parameters(&after), &expected);
            assert!(error < 1e-12, "{entry:?}, {factor}: {error:e}");
        }
    }
}

#[test]
fn the_decoupled_mode_names_itself_where_it_has_no_meaning() {
    let Problem { model, x, y } = problem(DType::F32);
    // At strength 0 as well: a loop must not change its shape with the strength.
    for strength in [0.0, STRENGTH] {
        let mut hsr = hsr(strength, Mode::Decoupled);
        let error = hsr.penalty(&model, x.clone(), y.clone()).unwrap_err();
        let entry = "Hsr::penalty";
        assert_eq!(error, HsrError::Decoupled { entry });
        let gradients = GradientsParams::new();
        let error = hsr.inject(&model, x.clone(), y.clone(), gradients);
        let entry = "Hsr::inject";
        assert_eq!(error.unwrap_err(), HsrError::Decoupled { entry });
    }
}
