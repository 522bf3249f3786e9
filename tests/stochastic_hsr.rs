//! Stochastic HSR against exact values: the mean over probes against closed forms and golden cases of depth 2 to 5, its
//! schemes against each other, every mode's step against plain arithmetic, the power iteration against the whole
//! spectrum; what stays as it is bit for bit; what is refused.

use std::cell::Cell;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor};
use burn::train::{RegressionOutput, TrainOutput, TrainStep};
use burn_hsr::{Activation, HsrConfig, ThreeLayerNet};
use burn_penalty::stochastic::Part;
use burn_penalty::train::StochasticHsrModel;
use burn_penalty::{
    MeanGradient, Mode, Objective, Outcome, PenaltyError, ScheduleConfig, Scheme,
    StochasticHsrConfig, StochasticHsrGradient, StochasticHsrGradientRecord, Strength,
};
use burn_sharpness::ParameterSpace;
use burn_sharpness::spectrum::DenseSpectrum;
use hsr_tests::mlp::{Batch, Mlp, Problem, noise};
use hsr_tests::{backends, relative_error, tensor, values};
use serde::Deserialize;

const F64: DType = DType::F64;

fn device() -> Device {
    Device::flex().autodiff()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn gradients<M: Module>(model: &M, loss: Tensor<1>) -> GradientsParams {
    GradientsParams::from_grads(loss.backward(), model)
}

/// A closure of a loss.
fn of<M: Module>(loss: impl Fn(&M) -> Tensor<1>) -> impl Fn(&M) -> ((), GradientsParams) {
    move |model: &M| ((), gradients(model, loss(model)))
}

/// HSR with strength 1 and no limit, whose averages are the exact t and q and stay so: the weights do not depend on the
/// probes, and the estimate is unbiased.
fn with_exact_weights(
    config: &StochasticHsrConfig,
    moments: [f64; 2],
    size: usize,
) -> StochasticHsrGradient {
    let [trace, square] = moments;
    let config = config.clone().with_strength(1.0);
    let hsr = config.with_decay(1.0 - 1e-9).init_gradient().unwrap();
    hsr.load_record(StochasticHsrGradientRecord {
        updates: 1 << 50,
        size,
        averages: Some([trace, trace * trace, square.sqrt(), square]),
        ..StochasticHsrGradientRecord::default()
    })
}

/// The mean and the standard error of what HSR adds, coordinate by coordinate.
struct Sample {
    mean: Vec<f64>,
    error: Vec<f64>,
}

fn sample<M: Module>(
    hsr: &mut StochasticHsrGradient,
    model: &M,
    loss: impl Fn(&M) -> Tensor<1>,
    probes: usize,
) -> Sample {
    let space = ParameterSpace::of(model).unwrap();
    let of_loss = gradients(model, loss(model));
    let of_loss = space.read_gradients(model, &of_loss).unwrap();
    let closure = of(loss);
    let mut sums = vec![[0.0; 2]; space.size()];
    for _ in 0..probes {
        let passes = hsr.loss_gradients(model, &closure).unwrap();
        let all = space.read_gradients(model, &passes.gradients).unwrap();
        for ((sum, all), of_loss) in sums.iter_mut().zip(all).zip(&of_loss) {
            let added = all - of_loss;
            sum[0] += added;
            sum[1] += added * added;
        }
    }
    let n = probes as f64;
    let mean: Vec<f64> = sums.iter().map(|[sum, _]| sum / n).collect();
    let error = sums.iter().zip(&mean);
    let error = error
        .map(|([_, squares], mean)| ((squares / n - mean * mean).max(0.0) / n).sqrt())
        .collect();
    Sample { mean, error }
}

impl Sample {
    /// The mean is the exact gradient within its own standard error, which is small enough to tell.
    fn check(&self, name: &str, exact: &[f64], bias: f64) {
        let distance = self.mean.iter().zip(exact);
        let distance: Vec<f64> = distance.map(|(m, e)| m - e).collect();
        let (distance, error, length) = (norm(&distance), norm(&self.error), norm(exact));
        println!(
            "{name}: ‖mean − exact‖ {distance:.4}, standard error {error:.4}, ‖exact‖ {length:.4}"
        );
        assert!(
            distance < 3.0 * error + bias * length,
            "{name}: {distance} {error}"
        );
        assert!(error < 0.2 * length, "{name}: {error} of {length}");
    }
}

/// A case of `golden-depth`, of tanh and softmax.
#[derive(Deserialize)]
struct Golden {
    layers: Vec<Layer>,
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    parameters: usize,
    trace: f64,
    frobenius_squared: f64,
    grad: Vec<f64>,
}

#[derive(Deserialize)]
struct Layer {
    weight: Vec<Vec<f64>>,
    bias_values: Vec<f64>,
    activation: Option<String>,
}

impl Golden {
    fn load(name: &str) -> Self {
        let path = format!("{}/golden-depth/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let case: Self = serde_json::from_str(&text).unwrap();
        for (i, layer) in case.layers.iter().enumerate() {
            let last = i + 1 == case.layers.len();
            assert_eq!(layer.activation.as_deref(), (!last).then_some("tanh"));
        }
        case
    }

    /// The same network as a problem, whose weights are \[inputs\]\[outputs\].
    fn problem(&self) -> Problem {
        let first = self.layers[0].weight[0].len();
        let sizes: Vec<usize> = std::iter::once(first)
            .chain(self.layers.iter().map(|layer| layer.weight.len()))
            .collect();
        let theta = self.transposed(&self.theta());
        let class = |row: &Vec<f64>| row.iter().position(|&p| p == 1.0).unwrap();
        Problem {
            sizes,
            theta,
            x: self.x.concat(),
            y: self.y.iter().map(class).collect(),
        }
    }

    fn theta(&self) -> Vec<f64> {
        let layers = self.layers.iter();
        layers
            .flat_map(|layer| [layer.weight.concat(), layer.bias_values.clone()].concat())
            .collect()
    }

    /// From \[output\]\[input\] to Burn's order.
    fn transposed(&self, vector: &[f64]) -> Vec<f64> {
        let mut rest = vector;
        let mut out = Vec::new();
        for layer in &self.layers {
            let (outputs, inputs) = (layer.weight.len(), layer.weight[0].len());
            let (weight, after) = rest.split_at(outputs * inputs);
            let (bias, after) = after.split_at(outputs);
            rest = after;
            for i in 0..inputs {
                out.extend((0..outputs).map(|j| weight[j * inputs + i]));
            }
            out.extend(bias);
        }
        out
    }
}

#[test]
fn the_mean_over_probes_is_the_exact_gradient_at_depth_two_to_five() {
    for (name, probes) in [
        ("L2-2-3-3-tanh-softmax-n20-b11", 300),
        ("L3-2-4-4-3-tanh-softmax-n16-b111", 300),
        ("L4-2-6-6-6-3-tanh-softmax-n16-b1111-scale0.7", 300),
        ("L5-2-4-4-4-4-3-tanh-softmax-n12-b11111", 300),
    ] {
        let case = Golden::load(name);
        let problem = case.problem();
        let exact = case.transposed(&case.grad);
        for (dtype, bias) in [(F64, 1e-3), (DType::F32, 0.05)] {
            let model = problem.model(&device(), dtype);
            let batch = problem.batch(&device(), dtype);
            let moments = [case.trace, case.frobenius_squared];
            let config = StochasticHsrConfig::new().with_seed(2);
            let mut hsr = with_exact_weights(&config, moments, case.parameters);
            let found = sample(&mut hsr, &model, |model: &Mlp| model.loss(&batch), probes);
            found.check(&format!("{name} {dtype:?}"), &exact, bias);
        }
    }
}

#[test]
fn the_mean_over_probes_is_the_closed_form_of_three_layers() {
    // A network of Burn's own, with the bound and its gradient from hsr-core.
    let problem = Problem::new(&[3, 5, 4], 17, 0.9);
    let layers = problem.model(&device(), F64).layers;
    let [hidden, output]: [Linear; 2] = layers.try_into().unwrap();
    let model = ThreeLayerNet::new(hidden, Activation::Tanh, output);
    let batch = problem.batch(&device(), F64);
    let loss = |model: &ThreeLayerNet| {
        let log_p = burn::tensor::activation::log_softmax(model.forward(batch.x.clone()), 1);
        log_p
            .gather(1, batch.y.clone().unsqueeze_dim(1))
            .mean()
            .neg()
    };
    let mut exact = HsrConfig::new().with_strength(1.0).init().unwrap();
    let (x, y) = (batch.x.clone(), batch.y.clone());
    let bounds = exact.bounds(&model, x.clone(), y.clone()).unwrap();
    let injected = exact.inject(&model, x, y, GradientsParams::new()).unwrap();
    let space = ParameterSpace::of(&model).unwrap();
    let expected = space.read_gradients(&model, &injected).unwrap();
    let moments = [bounds.moments.trace, bounds.moments.frobenius_squared];
    for scheme in [Scheme::S4, Scheme::S5, Scheme::S7] {
        for probes in [1, 3] {
            let config = StochasticHsrConfig::new()
                .with_scheme(scheme)
                .with_probes(probes);
            let mut hsr = with_exact_weights(&config, moments, space.size());
            let found = sample(&mut hsr, &model, loss, 300 / probes);
            found.check(&format!("{scheme:?}, {probes} probes"), &expected, 1e-3);
        }
    }
}

#[test]
fn estimates_of_trace_and_norm_are_unbiased_and_scatter_as_theory_says() {
    // Var t̂ = 2(‖H‖² − Σ H_ii²) for random signs.
    let problem = Problem::new(&[3, 4, 3, 2], 11, 0.9);
    let (model, batch) = (problem.model(&device(), F64), problem.batch(&device(), F64));
    let hessian = problem.hessian();
    let size = problem.theta.len();
    let diagonal: Vec<f64> = (0..size).map(|i| hessian[i * (size + 1)]).collect();
    let trace: f64 = diagonal.iter().sum();
    let square: f64 = hessian.iter().map(|h| h * h).sum();
    let deviation = (2.0 * (square - diagonal.iter().map(|h| h * h).sum::<f64>())).sqrt();
    // Averages over all steps alike: β near 1.
    let config = StochasticHsrConfig::new()
        .with_decay(0.9999)
        .with_scheme(Scheme::S7);
    let mut hsr = config.init_gradient().unwrap();
    let steps = 800;
    for _ in 0..steps {
        let _ = hsr
            .loss_gradients(&model, of(|model: &Mlp| model.loss(&batch)))
            .unwrap();
    }
    let found = hsr.curvature().unwrap().unwrap();
    assert_eq!(found.steps, steps);
    let error = deviation / (steps as f64).sqrt();
    assert!(
        (found.trace - trace).abs() < 5.0 * error,
        "{found:?} {trace} {error}"
    );
    let relative = found.trace_deviation / deviation;
    assert!((0.85..1.15).contains(&relative), "{found:?} {deviation}");
    let relative = found.frobenius.powi(2) / square;
    let scatter = found.frobenius_deviation / found.frobenius / (steps as f64).sqrt();
    assert!(
        (relative - 1.0).abs() < 10.0 * scatter,
        "{found:?} {square}"
    );
    let mean = trace / size as f64;
    let bound = mean + ((square / size as f64 - mean * mean) * (size as f64 - 1.0)).sqrt();
    let lambda_sup = found.lambda_sup.unwrap();
    assert!(
        (lambda_sup / bound - 1.0).abs() < 0.05,
        "{lambda_sup} {bound}"
    );
}

#[test]
fn the_error_of_s4_is_of_first_order_and_vanishes_in_the_mean() {
    let problem = Problem::new(&[3, 4, 3, 2], 11, 0.9);
    let (model, batch) = (problem.model(&device(), F64), problem.batch(&device(), F64));
    let hessian = problem.hessian();
    let size = problem.theta.len();
    let trace: f64 = (0..size).map(|i| hessian[i * (size + 1)]).sum();
    let moments = [trace, hessian.iter().map(|h| h * h).sum()];
    let space = ParameterSpace::of(&model).unwrap();
    let run = |scheme: Scheme, step: f64, probes: usize| -> Vec<Vec<f64>> {
        let config = StochasticHsrConfig::new()
            .with_scheme(scheme)
            .with_step(Some(step));
        let mut hsr = with_exact_weights(&config, moments, size);
        let closure = of(|model: &Mlp| model.loss(&batch));
        (0..probes)
            .map(|_| {
                let passes = hsr.loss_gradients(&model, &closure).unwrap();
                space.read_gradients(&model, &passes.gradients).unwrap()
            })
            .collect()
    };
    let apart =
        |a: &[f64], b: &[f64]| norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>());
    // The same probes, one by one: S4 loses half its error with half the step, S7 three quarters.
    let (fine, n) = (run(Scheme::S7, 1e-4, 8), 8);
    let errors = |scheme, step| -> f64 {
        let found = run(scheme, step, n);
        found.iter().zip(&fine).map(|(a, b)| apart(a, b)).sum()
    };
    let order = |scheme| (errors(scheme, 0.02) / errors(scheme, 0.01)).log2();
    let (of_s4, of_s7) = (order(Scheme::S4), order(Scheme::S7));
    println!("orders: S4 {of_s4:.2}, S7 {of_s7:.2}");
    assert!((0.7..1.3).contains(&of_s4), "{of_s4}");
    assert!((1.7..2.3).contains(&of_s7), "{of_s7}");
    // In the mean, S4's error is no more than chance leaves of it, and S7's.
    let (n, step) = (400, 0.01);
    let (of_s4, of_s7) = (run(Scheme::S4, step, n), run(Scheme::S7, step, n));
    let differences: Vec<Vec<f64>> = of_s4
        .iter()
        .zip(&of_s7)
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a - b).collect())
        .collect();
    let mean: Vec<f64> = (0..size)
        .map(|i| differences.iter().map(|d| d[i]).sum::<f64>() / n as f64)
        .collect();
    let single = differences.iter().map(|d| norm(d).powi(2)).sum::<f64>() / n as f64;
    let chance = (single / n as f64).sqrt();
    println!(
        "S4 − S7: {:.2e} in the mean, {:.2e} by chance",
        norm(&mean),
        chance
    );
    assert!(norm(&mean) < 2.5 * chance, "{} {chance}", norm(&mean));
}

/// L = Σ sin θ: a diagonal Hessian, for which t̂ and q̂ are exact and the gradient does not depend on the signs.
#[derive(Module, Debug)]
struct Waves {
    theta: Param<Tensor<1>>,
}

const SIZE: usize = 7;

fn start() -> Vec<f64> {
    noise(SIZE, 3).iter().map(|v| 0.4 + v).collect()
}

impl Waves {
    fn on(device: &Device, theta: &[f64], dtype: DType) -> Self {
        let theta = tensor(theta, [theta.len()], device, dtype);
        Self {
            theta: Param::from_tensor(theta),
        }
    }

    fn new(theta: &[f64]) -> Self {
        Self::on(&device(), theta, F64)
    }

    fn loss(&self) -> Tensor<1> {
        self.theta.val().sin().sum()
    }

    fn theta(&self) -> Vec<f64> {
        values(self.theta.val())
    }

    fn of(&self, gradients: &GradientsParams) -> Vec<f64> {
        values(gradients.get::<1>(self.theta.id).expect("a gradient"))
    }
}

/// t, q and the gradient of the objective with weights at other t and q.
fn plain(objective: Objective, theta: &[f64], weights_at: [f64; 2]) -> ([f64; 2], Vec<f64>) {
    let d = theta.len() as f64;
    let h: Vec<f64> = theta.iter().map(|t| -t.sin()).collect();
    let moments = [h.iter().sum(), h.iter().map(|h| h * h).sum()];
    let [t, q] = weights_at;
    let (m, s) = (t / d, (q / d - (t / d).powi(2)).sqrt());
    let root = (d - 1.0).sqrt();
    let (of_trace, of_square) = match objective {
        Objective::LambdaSup => (1.0 / d - root * m / (d * s), root / (2.0 * d * s)),
        Objective::Frobenius => (0.0, 0.5 / q.sqrt()),
        Objective::Trace => (1.0, 0.0),
        Objective::LambdaMax => panic!("no function of t and q"),
    };
    let pairs = h.iter().zip(theta);
    let gradient = pairs.map(|(h, t)| (of_trace + 2.0 * of_square * h) * -t.cos());
    (moments, gradient.collect())
}

/// A parameter without a gradient and a component that is not finite keep their part of the mean; a record goes on.
#[test]
fn the_mean_gradient_keeps_what_a_step_does_not_say() {
    let device = device();
    let layer = LinearConfig::new(2, 1).init(&device);
    let gradients = |weight: [f32; 2], bias: Option<f32>| {
        let mut gradients = GradientsParams::new();
        let weight = Tensor::<1>::from_floats(weight, &device).reshape([2, 1]);
        gradients.register(layer.weight.id, weight.inner());
        if let Some(bias) = bias {
            let id = layer.bias.as_ref().unwrap().id;
            gradients.register(id, Tensor::<1>::from_floats([bias], &device).inner());
        }
        gradients
    };
    let strength = Strength::Projected(0.5);
    let mut mean = MeanGradient::default();
    let take = |mean: &mut MeanGradient, of_loss: GradientsParams| {
        let penalty = gradients([1.0, -2.0], Some(0.5));
        Mode::Coupled
            .apply(&layer, strength, 1.0, &of_loss, &penalty, mean)
            .unwrap();
        mean.to_record().unwrap().unwrap()
    };
    let close = |found: &[Vec<f64>], expected: [f64; 3]| {
        let error = relative_error(&found.concat(), &expected, 1.0);
        assert!(error < 1e-6, "{found:?}");
    };
    close(
        &take(&mut mean, gradients([1.0, 2.0], Some(4.0))),
        [0.05, 0.1, 0.2],
    );
    let two = [0.05 * 1.95, 0.1 * 0.95, 0.2];
    close(&take(&mut mean, gradients([1.0, 0.0], None)), two);
    let three = take(&mut mean, gradients([f32::NAN, 1.0], Some(f32::INFINITY)));
    close(&three, [two[0], two[1] * 0.95 + 0.05, two[2]]);
    let mut resumed = MeanGradient::from_record(Some(three));
    assert_eq!(
        take(&mut resumed, gradients([0.0, 1.0], Some(1.0))),
        take(&mut mean, gradients([0.0, 1.0], Some(1.0)))
    );
}

#[test]
fn every_mode_and_objective_takes_the_step_of_plain_arithmetic() {
    let (lr, strength, decay, clip) = (0.2, 0.3, 0.8, 0.9);
    for objective in [Objective::LambdaSup, Objective::Frobenius, Objective::Trace] {
        for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
            for rule in [
                Strength::Fixed(strength),
                Strength::Safe {
                    strength,
                    share: 0.05,
                },
                Strength::Relative(0.4),
                Strength::Projected(0.4),
            ] {
                let sgd = SgdConfig::new()
                    .with_gradient_clipping(Some(GradientClippingConfig::Norm(clip as f32)));
                let schedule = ScheduleConfig::new().with_interval(2);
                let mut hsr = StochasticHsrConfig::new()
                    .with_objective(objective)
                    .with_mode(mode)
                    .with_strength(rule)
                    .with_decay(decay)
                    .with_scheme(Scheme::S7)
                    .with_schedule(schedule)
                    .init(sgd.init())
                    .unwrap();
                let mut model = Waves::new(&start());
                let mut theta = start();
                let (mut averages, mut updates) = ([0.0; 2], 0);
                let mut mean = vec![0.0; SIZE];
                for step in 0..5 {
                    let taken = hsr.step(lr, model, of(Waves::loss)).unwrap();
                    assert_eq!(taken.outcome, Outcome::Stepped);
                    model = taken.module;

                    let of_loss: Vec<f64> = theta.iter().map(|t| t.cos()).collect();
                    let mut added = vec![0.0; SIZE];
                    if step % 2 == 0 {
                        let (own, _) = plain(objective, &theta, [1.0, 1.0]);
                        let correction = 1.0 - f64::powi(decay, updates);
                        let at = if updates == 0 {
                            own
                        } else {
                            averages.map(|a| a / correction)
                        };
                        let (_, gradient) = plain(objective, &theta, at);
                        // A direction's length is 1.
                        let unit = match mode {
                            Mode::Direction => norm(&gradient),
                            _ => 1.0,
                        };
                        let length = norm(&gradient) / unit;
                        let scale = match rule {
                            Strength::Safe { strength, share } => {
                                strength.min(share * norm(&of_loss) / length)
                            }
                            Strength::Relative(share) | Strength::Projected(share) => {
                                share * norm(&of_loss) / length
                            }
                            _ => strength,
                        } / unit;
                        let dot = |a: &[f64], b: &[f64]| -> f64 {
                            a.iter().zip(b).map(|(a, b)| a * b).sum()
                        };
                        for (m, l) in mean.iter_mut().zip(&of_loss) {
                            *m = 0.95 * *m + 0.05 * l;
                        }
                        let against = match rule.projects() {
                            true => (-dot(&gradient, &mean) / dot(&mean, &mean)).max(0.0),
                            false => 0.0,
                        };
                        let parts = gradient.iter().zip(&mean);
                        added = parts
                            .map(|(g, m)| 2.0 * scale * (g + against * m))
                            .collect();
                        for (average, own) in averages.iter_mut().zip(own) {
                            *average = decay * *average + (1.0 - decay) * own;
                        }
                        updates += 1;
                    }
                    let clipped = |g: &[f64]| -> Vec<f64> {
                        let scale = (clip / norm(g)).min(1.0);
                        g.iter().map(|g| scale * g).collect()
                    };
                    let (inside, outside) = match mode {
                        Mode::Decoupled => (of_loss, added),
                        _ => (
                            of_loss.iter().zip(&added).map(|(l, a)| l + a).collect(),
                            vec![0.0; SIZE],
                        ),
                    };
                    let descent = clipped(&inside);
                    for i in 0..SIZE {
                        theta[i] -= lr * (descent[i] + outside[i]);
                    }
                    let error = relative_error(&model.theta(), &theta, 1.0);
                    assert!(
                        error < 1e-5,
                        "{objective:?} {mode:?} {rule} {step}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_same_probes_give_the_same_gradient_on_every_backend() {
    let problem = Problem::new(&[3, 5, 4, 3], 13, 0.8);
    for objective in [Objective::LambdaSup, Objective::Trace, Objective::LambdaMax] {
        let run = |device: &Device, dtype: DType| -> Vec<f64> {
            let (model, batch) = (problem.model(device, dtype), problem.batch(device, dtype));
            let config = StochasticHsrConfig::new().with_objective(objective);
            let mut hsr = config
                .with_scheme(Scheme::S5)
                .with_strength(0.03)
                .init_gradient()
                .unwrap();
            let closure = of(|model: &Mlp| model.loss(&batch));
            let _ = hsr.loss_gradients(&model, &closure).unwrap();
            let passes = hsr.loss_gradients(&model, &closure).unwrap();
            let space = ParameterSpace::of(&model).unwrap();
            space.read_gradients(&model, &passes.gradients).unwrap()
        };
        let expected = run(&device(), F64);
        for (backend, device, dtypes) in backends() {
            for dtype in dtypes {
                let found = run(&device.clone().autodiff(), dtype);
                let error = relative_error(&found, &expected, 0.0);
                let allowed = if dtype == F64 { 1e-6 } else { 0.02 };
                assert!(
                    error < allowed,
                    "{backend} {dtype:?} {objective:?}: {error}"
                );
            }
        }
    }
}

#[test]
fn half_precision_is_computed_with_in_single() {
    let theta: Vec<f64> = start().iter().map(|v| v.clamp(0.2, 1.2)).collect();
    let (moments, expected) = plain(
        Objective::LambdaSup,
        &theta,
        plain(Objective::LambdaSup, &theta, [1.0; 2]).0,
    );
    for dtype in [DType::F16, DType::BF16] {
        let model = Waves::on(&device(), &theta, dtype);
        let config = StochasticHsrConfig::new().with_strength(1.0);
        let mut hsr = config.with_mode(Mode::Decoupled).init_gradient().unwrap();
        let mut sum = vec![0.0; SIZE];
        let steps = 60;
        for _ in 0..steps {
            let passes = hsr.loss_gradients(&model, of(Waves::loss)).unwrap();
            assert_eq!(passes.not_finite, None);
            let decrement = passes.decrement.unwrap();
            let found = model.of(&decrement);
            sum.iter_mut()
                .zip(found)
                .for_each(|(s, f)| *s += f / f64::from(steps));
        }
        let found = hsr.curvature().unwrap().unwrap();
        assert!(
            (found.trace / moments[0] - 1.0).abs() < 0.2,
            "{dtype:?}: {found:?} {moments:?}"
        );
        assert!(sum.iter().all(|v| v.is_finite()), "{dtype:?}: {sum:?}");
        // A gradient in bf16 has two digits, and a mixed difference of four of them none.
        if dtype == DType::F16 {
            let error = relative_error(&sum, &expected, 0.0);
            assert!(error < 0.5, "{dtype:?}: {sum:?} {expected:?}");
        }
    }
}

#[test]
fn strength_zero_and_pauses_are_the_optimizer_as_it_is_bit_for_bit() {
    let problem = Problem::new(&[3, 5, 4, 3], 13, 0.8);
    let batch = problem.batch(&device(), DType::F32);
    let calls = Cell::new(0);
    let loss = |model: &Mlp| {
        calls.set(calls.get() + 1);
        model.loss(&batch)
    };
    let mut plain = vec![problem.model(&device(), DType::F32)];
    // Coordinates go by the identities of the parameters.
    let space = ParameterSpace::of(&plain[0]).unwrap();
    let bits = |model: &Mlp| -> Vec<u64> {
        space
            .read(model)
            .unwrap()
            .into_iter()
            .map(f64::to_bits)
            .collect()
    };
    assert!(bits(&plain[0]).iter().any(|&bits| bits != 0));
    let mut adam = AdamConfig::new().init();
    for step in 0..6 {
        let model = plain[step].clone();
        let of_loss = gradients(&model, model.loss(&batch));
        plain.push(adam.step(0.01, model, of_loss));
    }
    for (config, acts) in [
        (StochasticHsrConfig::new().with_strength(0.0), 6),
        (
            StochasticHsrConfig::new()
                .with_schedule(ScheduleConfig::new().with_stop_after(Some(0))),
            6,
        ),
        // Acts at its first step and not again: the second differs.
        (
            StochasticHsrConfig::new().with_schedule(ScheduleConfig::new().with_interval(10)),
            0,
        ),
    ] {
        let mut hsr = config.init(AdamConfig::new().init()).unwrap();
        let mut model = plain[0].clone();
        for step in 0..6 {
            calls.set(0);
            model = hsr.step(0.01, model, of(loss)).unwrap().module;
            // Adam's first step hardly knows how long a gradient is.
            if acts > 0 || step > 0 {
                let same = bits(&model) == bits(&plain[step + 1]);
                assert_eq!(same, step < acts, "{step}");
            }
            // S4, and the repetition of the first step.
            let expected = if acts == 0 && step == 0 { 5 } else { 1 };
            assert_eq!(calls.get(), expected);
        }
    }
}

#[test]
fn a_step_costs_the_passes_that_the_scheme_says() {
    let problem = Problem::new(&[3, 5, 4, 3], 13, 0.8);
    let (model, batch) = (problem.model(&device(), F64), problem.batch(&device(), F64));
    let calls = Cell::new(0);
    let loss = |model: &Mlp| {
        calls.set(calls.get() + 1);
        model.loss(&batch)
    };
    for (config, expected) in [
        (StochasticHsrConfig::new(), 4),
        (StochasticHsrConfig::new().with_probes(3), 10),
        (
            StochasticHsrConfig::new().with_objective(Objective::Frobenius),
            4,
        ),
        (StochasticHsrConfig::new().with_scheme(Scheme::S5), 5),
        (StochasticHsrConfig::new().with_scheme(Scheme::S7), 7),
        (
            StochasticHsrConfig::new().with_objective(Objective::Trace),
            3,
        ),
        (
            StochasticHsrConfig::new().with_objective(Objective::LambdaMax),
            3,
        ),
    ] {
        let mut hsr = config.init_gradient().unwrap();
        for once in [1, 0, 0] {
            calls.set(0);
            let _ = hsr.loss_gradients(&model, of(loss)).unwrap();
            assert_eq!(calls.get(), expected + once, "{config}");
        }
    }
}

#[test]
fn the_power_iteration_finds_the_largest_eigenvalue_and_its_gradient() {
    for (sizes, scale) in [(&[3, 5, 4][..], 0.7), (&[3, 4, 3, 2], 1.2)] {
        let problem = Problem::new(sizes, 13, scale);
        let (model, batch) = (problem.model(&device(), F64), problem.batch(&device(), F64));
        let largest = |problem: &Problem| {
            let size = problem.theta.len();
            let spectrum = DenseSpectrum::of_matrix(&problem.hessian(), size).unwrap();
            *spectrum.eigenvalues.last().unwrap()
        };
        let exact = largest(&problem);
        let config = StochasticHsrConfig::new().with_objective(Objective::LambdaMax);
        let config = config.with_strength(1.0).with_decay(0.0);
        let mut hsr = config.init_gradient().unwrap();
        let closure = of(|model: &Mlp| model.loss(&batch));
        let mut passes = hsr.loss_gradients(&model, &closure).unwrap();
        for _ in 0..200 {
            passes = hsr.loss_gradients(&model, &closure).unwrap();
        }
        let found = hsr.curvature().unwrap().unwrap();
        assert_eq!(found.lambda_sup, None);
        let value = found.lambda_max.unwrap();
        assert!((value / exact - 1.0).abs() < 1e-5, "{value} {exact}");
        // Along two directions.
        let space = ParameterSpace::of(&model).unwrap();
        let all = space.read_gradients(&model, &passes.gradients).unwrap();
        let of_loss = problem.gradient();
        for seed in 0..2 {
            let direction = noise(space.size(), 40 + seed);
            let at = |step: f64| {
                let theta = problem.theta.iter().zip(&direction);
                largest(&problem.at(&theta.map(|(t, d)| t + step * d).collect::<Vec<_>>()))
            };
            let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
            let found: f64 = (0..space.size())
                .map(|i| (all[i] - of_loss[i]) * direction[i])
                .sum();
            assert!(
                (found - slope).abs() < 1e-3 * (1.0 + slope.abs()),
                "{found} {slope}"
            );
        }
    }
}

#[test]
fn a_negative_end_of_larger_size_is_not_taken_for_the_largest() {
    // Eigenvalues −sin θ: 0.8 and −1.5 of a wave with a larger amplitude.
    #[derive(Module, Debug)]
    struct Saddle {
        theta: Param<Tensor<1>>,
    }
    let theta = [-1.2, 1.3, 1.0, -0.4];
    let amplitudes = [1.0, 1.5, 0.5, 1.0];
    let expected = (0..4).map(|i| -amplitudes[i] * f64::sin(theta[i]));
    let expected = expected.fold(f64::MIN, f64::max);
    let model = Saddle {
        theta: Param::from_tensor(tensor(&theta, [4], &device(), F64)),
    };
    let loss =
        |model: &Saddle| (model.theta.val().sin() * tensor(&amplitudes, [4], &device(), F64)).sum();
    let config = StochasticHsrConfig::new().with_objective(Objective::LambdaMax);
    let mut hsr = config.with_decay(0.0).init_gradient().unwrap();
    for _ in 0..60 {
        let _ = hsr.loss_gradients(&model, of(loss)).unwrap();
    }
    let value = hsr.curvature().unwrap().unwrap().lambda_max.unwrap();
    assert!((value - expected).abs() < 1e-3, "{value} {expected}");
}

#[test]
fn probes_are_new_at_every_step_and_the_same_in_a_resumed_run() {
    let problem = Problem::new(&[3, 5, 4, 3], 13, 0.8);
    let (model, batch) = (problem.model(&device(), F64), problem.batch(&device(), F64));
    let space = ParameterSpace::of(&model).unwrap();
    let closure = of(|model: &Mlp| model.loss(&batch));
    let step = |hsr: &mut StochasticHsrGradient| {
        let passes = hsr.loss_gradients(&model, &closure).unwrap();
        space.read_gradients(&model, &passes.gradients).unwrap()
    };
    let config = StochasticHsrConfig::new().with_seed(1);
    let mut hsr = config.init_gradient().unwrap();
    let first = [step(&mut hsr), step(&mut hsr)];
    let bytes = hsr.to_record(&model).unwrap().into_bytes();
    let third = step(&mut hsr);
    assert!(first[0] != first[1] && first[1] != third);
    let record = StochasticHsrGradientRecord::from_bytes(&bytes).unwrap();
    let mut resumed = config.init_gradient().unwrap().load_record(record);
    assert_eq!(step(&mut resumed), third);
    let mut other = config.with_seed(2).init_gradient().unwrap();
    assert_ne!(step(&mut other), first[0]);
    let error = StochasticHsrGradientRecord::from_bytes(b"{}")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("not the record of a stochastic regulariser: "),
        "{error}"
    );
}

#[test]
fn a_group_has_the_curvature_of_its_parameters_alone_and_moves_no_others() {
    let problem = Problem::new(&[3, 4, 3], 13, 0.8);
    let batch = problem.batch(&device(), F64);
    let model = problem.model(&device(), F64);
    let mut frozen = model.clone();
    for layer in &mut frozen.layers {
        layer.bias = layer.bias.take().map(|bias| bias.set_require_grad(false));
    }
    let closure = of(|model: &Mlp| model.loss(&batch));
    let config = StochasticHsrConfig::new().with_strength(1.0);
    let grouped = config
        .clone()
        .with_group(ParamGroup::from_predicate("weight"));
    let of_group = grouped
        .init_gradient()
        .unwrap()
        .loss_gradients(&model, &closure)
        .unwrap();
    let of_frozen = config
        .init_gradient()
        .unwrap()
        .loss_gradients(&frozen, &closure)
        .unwrap();
    let of_loss = gradients(&model, model.loss(&batch));
    for layer in &model.layers {
        let id = layer.weight.id;
        let [group, frozen] =
            [&of_group, &of_frozen].map(|passes| values(passes.gradients.get::<2>(id).unwrap()));
        let error = relative_error(&group, &frozen, 0.0);
        assert!(error < 1e-8, "{error}");
        assert_ne!(group, values(of_loss.get::<2>(id).unwrap()));
        let id = layer.bias.as_ref().unwrap().id;
        assert_eq!(
            values(of_group.gradients.get::<1>(id).unwrap()),
            values(of_loss.get::<1>(id).unwrap())
        );
        assert!(of_frozen.gradients.get::<1>(id).is_none());
    }
}

#[test]
fn a_gradient_that_is_not_finite_skips_the_step_and_says_of_what() {
    let bits =
        |model: &Waves| -> Vec<u64> { model.theta().into_iter().map(f64::to_bits).collect() };
    let infinite = |model: &Waves| model.loss() * f64::INFINITY;
    // Finite at θ and not beside it.
    let edge = |model: &Waves| {
        let theta = model.theta.val();
        let here = theta.clone().inner();
        let at = tensor(&start(), [SIZE], &device().inner(), F64);
        let away = values((here - at).abs().sum());
        let factor = if away[0] == 0.0 { 1.0 } else { f64::NAN };
        theta.sin().sum() * factor
    };
    type Loss<'a> = &'a dyn Fn(&Waves) -> Tensor<1>;
    let losses: [(Loss, Part); 2] = [(&infinite, Part::Loss), (&edge, Part::Hsr)];
    for (loss, part) in losses {
        for objective in [Objective::LambdaSup, Objective::LambdaMax] {
            let config = StochasticHsrConfig::new().with_objective(objective);
            let mut hsr = config.init(SgdConfig::new().init()).unwrap();
            let model = Waves::new(&start());
            let before = bits(&model);
            // The closure that repeats itself at θ.
            let taken = hsr.step(0.1, model, of(Waves::loss)).unwrap();
            let averages = hsr.gradient().to_record(&taken.module).unwrap();
            let model = Waves::new(&start());
            let taken = hsr.step(0.1, model, of(loss)).unwrap();
            assert_eq!(taken.outcome, Outcome::Skipped { part });
            assert_eq!(bits(&taken.module), before);
            let mut after = hsr.gradient().to_record(&taken.module).unwrap();
            after.steps = averages.steps;
            after.direction = averages.direction.clone();
            assert_eq!(after, averages);
            // It goes on.
            let taken = hsr.step(0.1, taken.module, of(Waves::loss)).unwrap();
            assert_eq!(taken.outcome, Outcome::Stepped);
        }
    }
}

#[test]
fn several_losses_and_accumulated_batches_go_into_one_closure() {
    let problem = Problem::new(&[3, 4, 3, 2], 12, 0.8);
    let model = problem.model(&device(), F64);
    let halves: Vec<Batch> = problem.batches(6, &device(), F64);
    let whole = problem.batch(&device(), F64);
    let space = ParameterSpace::of(&model).unwrap();
    let config = StochasticHsrConfig::new();
    let mut hsr = config.init_gradient().unwrap();
    let passes = hsr.loss_gradients(&model, |model: &Mlp| {
        let mut accumulator = burn::optim::GradientsAccumulator::new();
        let losses = [0, 1].map(|half| {
            let loss = model.loss(&halves[half]) * 0.5;
            accumulator.accumulate(model, gradients(model, loss.clone()));
            loss
        });
        (losses, accumulator.grads())
    });
    let accumulated = passes.unwrap();
    let expected = config.init_gradient().unwrap();
    let expected = { expected }
        .loss_gradients(&model, of(|model: &Mlp| model.loss(&whole)))
        .unwrap();
    let [accumulated_gradients, expected] = [&accumulated.gradients, &expected.gradients]
        .map(|gradients| space.read_gradients(&model, gradients).unwrap());
    let error = relative_error(&accumulated_gradients, &expected, 0.0);
    assert!(error < 1e-6, "{error}");
    let sum: f64 = accumulated
        .loss
        .into_iter()
        .map(|loss| values(loss)[0])
        .sum();
    assert!((sum - values(model.loss(&whole))[0]).abs() < 1e-12);
}

impl TrainStep for Waves {
    type Input = f64;
    type Output = RegressionOutput;

    fn step(&self, factor: f64) -> TrainOutput<RegressionOutput> {
        let loss = self.loss() * factor;
        let nothing = || Tensor::<2>::zeros([1, 1], &device());
        let output = RegressionOutput::new(loss.clone(), nothing(), nothing());
        TrainOutput::new(self, loss.backward(), output)
    }
}

#[test]
fn a_training_step_of_burn_train_gives_the_gradients_of_the_passes() {
    let config = StochasticHsrConfig::new().with_strength(0.2);
    let model = Waves::new(&start());
    let wrapped = StochasticHsrModel::new(model.clone(), config.init_gradient().unwrap()).unwrap();
    let mut hsr = config.init_gradient().unwrap();
    for factor in [1.0, 2.0] {
        // burn-train steps with a clone.
        let output = TrainStep::step(&wrapped.clone(), factor);
        // The loss at θ, not that of a pass nearby.
        let expected: f64 = start().iter().map(|t| factor * t.sin()).sum();
        assert!((values(output.item.loss)[0] - expected).abs() < 1e-14);
        let expected = hsr
            .loss_gradients(&model, of(|model: &Waves| model.loss() * factor))
            .unwrap();
        assert_eq!(model.of(&output.grads), model.of(&expected.gradients));
    }
    assert_eq!(wrapped.curvature().unwrap(), hsr.curvature().unwrap());
    assert_eq!(
        wrapped.to_method_record().unwrap(),
        hsr.to_record(&model).unwrap()
    );
    assert_eq!(wrapped.skipped(), 0);
    let broken = TrainStep::step(&wrapped, f64::NAN);
    assert!(broken.grads.is_empty());
    assert_eq!(wrapped.skipped(), 1);
    assert!(wrapped.refused().is_none());
    let decoupled = config.with_mode(Mode::Decoupled).init_gradient().unwrap();
    let error = StochasticHsrModel::new(model, decoupled).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mode decoupled needs the optimizer's own step: use StochasticHsr::step, or the modes coupled and direction"
    );
}

#[test]
fn what_cannot_be_done_is_an_error_in_one_line() {
    let config = StochasticHsrConfig::new;
    for (config, message) in [
        (
            config().with_strength(-1.0),
            "strength is -1, expected a finite number, 0 or more",
        ),
        (
            config().with_strength(Strength::Relative(f64::NAN)),
            "the strength's share of ‖∇L‖ is NaN, expected a finite number, 0 or more",
        ),
        (config().with_probes(0), "probes is 0, expected 1 or more"),
        (
            config().with_schedule(ScheduleConfig::new().with_interval(0)),
            "the interval of the schedule is 0, expected 1 or more",
        ),
        (
            config().with_decay(1.0),
            "decay is 1, expected a number from 0 to below 1",
        ),
        (
            config().with_step(Some(0.0)),
            "step is 0, expected a finite number above 0",
        ),
    ] {
        let error = config.init_gradient().unwrap_err().to_string();
        assert_eq!(error, message);
    }
    let model = Waves::new(&start());
    let refused = |model: &Waves, config: StochasticHsrConfig| {
        let none = |_: &Waves| ((), GradientsParams::new());
        let error = config.init_gradient().unwrap().loss_gradients(model, none);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        refused(&model.valid(), config()),
        "the module is on a device without autodiff, where no parameter is trainable: take module.train()"
    );
    let none = "the module has no trainable parameters";
    assert_eq!(refused(&model.clone().no_grad(), config()), none);
    let nowhere = config().with_group(ParamGroup::from_path("elsewhere"));
    assert_eq!(refused(&model, nowhere), none);

    let count = Cell::new(0.0);
    let next = |model: &Waves| {
        count.set(count.get() + 1.0);
        (model.theta.val() * count.get()).sin().sum()
    };
    let error = config()
        .init_gradient()
        .unwrap()
        .loss_gradients(&model, of(next))
        .unwrap_err();
    assert!(
        matches!(error, PenaltyError::NotRepeatable { .. }),
        "{error}"
    );
}
