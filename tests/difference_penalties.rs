//! The penalties for any module, by differences of gradients: against finite differences of the exact quantity, the
//! closed form and hand-made sums; what is injected; that nothing else changes.

use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::optim::GradientsParams;
use burn::tensor::activation::tanh;
use burn::tensor::{DType, Device, Tensor};
use burn_sharpness::penalty::{
    Difference, GradientNormConfig, HutchinsonTraceConfig, PenaltyRecord,
};
use burn_sharpness::{ParameterSpace, SharpnessError};
use hsr_tests::mlp::{Batch, Mlp, Problem, noise};
use hsr_tests::{backends, central_differences, relative_error, tensor, values};

const F64: DType = DType::F64;

fn device() -> Device {
    Device::flex().autodiff()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// A problem on the device.
struct Setting {
    problem: Problem,
    model: Mlp,
    batch: Batch,
    space: ParameterSpace,
}

fn setting(sizes: &[usize], samples: usize, scale: f64, dtype: DType) -> Setting {
    let problem = Problem::new(sizes, samples, scale);
    let model = problem.model(&device(), dtype);
    Setting {
        batch: problem.batch(&device(), dtype),
        space: ParameterSpace::of(&model).unwrap(),
        problem,
        model,
    }
}

impl Setting {
    fn loss(&self) -> impl Fn(&Mlp) -> Tensor<1> + '_ {
        |model| model.loss(&self.batch)
    }

    fn gradients(&self) -> GradientsParams {
        GradientsParams::from_grads(self.model.loss(&self.batch).backward(), &self.model)
    }

    fn read(&self, gradients: &GradientsParams) -> Vec<f64> {
        self.space.read_gradients(&self.model, gradients).unwrap()
    }
}

const NETWORKS: [(&[usize], f64); 3] = [
    (&[3, 5, 4], 0.7),
    (&[3, 5, 4, 3], 1.0),
    (&[2, 3, 3, 3, 2], 1.6),
];

#[test]
fn the_gradient_of_the_gradient_norm_is_that_of_finite_differences() {
    for (sizes, scale) in NETWORKS {
        let setting = setting(sizes, 13, scale, F64);
        let exact = |theta: &[f64]| norm(&setting.problem.at(theta).gradient());
        let expected = central_differences(&setting.problem.theta, exact);
        for (difference, allowed) in [(Difference::Central, 1e-8), (Difference::Forward, 1e-6)] {
            let mut penalty = GradientNormConfig::new()
                .with_difference(difference)
                .init()
                .unwrap();
            let found = penalty
                .gradient(&setting.model, setting.loss(), &setting.gradients())
                .unwrap();
            let value = values(found.value)[0];
            assert!((value - exact(&setting.problem.theta)).abs() < 1e-13);
            let error = relative_error(&setting.read(&found.gradients), &expected, 0.0);
            assert!(error < allowed, "{sizes:?} {difference:?}: {error}");
        }
    }
}

#[test]
fn the_gradient_of_the_gradient_norm_is_the_hessian_times_the_direction() {
    let setting = setting(&[3, 5, 4, 3], 13, 1.0, F64);
    let gradient = setting.problem.gradient();
    let hessian = setting.problem.hessian();
    let length = norm(&gradient);
    let expected: Vec<f64> = hessian
        .chunks(gradient.len())
        .map(|row| row.iter().zip(&gradient).map(|(h, g)| h * g / length).sum())
        .collect();
    let mut penalty = GradientNormConfig::new().init().unwrap();
    let found = penalty
        .gradient(&setting.model, setting.loss(), &setting.gradients())
        .unwrap();
    let error = relative_error(&setting.read(&found.gradients), &expected, 0.0);
    assert!(error < 1e-9, "{error}");
    // In f32, to its own accuracy.
    let single = self::setting(&[3, 5, 4, 3], 13, 1.0, DType::F32);
    let found = penalty
        .gradient(&single.model, single.loss(), &single.gradients())
        .unwrap();
    let error = relative_error(&single.read(&found.gradients), &expected, 0.0);
    assert!(error < 2e-4, "{error}");
}

#[test]
fn penalties_are_the_same_on_every_backend() {
    let setting = setting(&[3, 5, 4, 3], 13, 1.0, F64);
    let mut norm = GradientNormConfig::new().init().unwrap();
    let trace = HutchinsonTraceConfig::new().init().unwrap();
    let expected = [
        norm.inject(&setting.model, setting.loss(), setting.gradients()),
        trace
            .clone()
            .inject(&setting.model, setting.loss(), setting.gradients()),
    ]
    .map(|gradients| setting.read(&gradients.unwrap()));
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            let device = device.clone().autodiff();
            let batch = setting.problem.batch(&device, dtype);
            let model = setting.problem.model(&device, dtype);
            let space = ParameterSpace::of(&model).unwrap();
            let loss = |model: &Mlp| model.loss(&batch);
            let gradients = || GradientsParams::from_grads(loss(&model).backward(), &model);
            let found = [
                norm.inject(&model, loss, gradients()),
                trace.clone().inject(&model, loss, gradients()),
            ];
            for (found, expected) in found.into_iter().zip(&expected) {
                let found = space.read_gradients(&model, &found.unwrap()).unwrap();
                let error = relative_error(&found, expected, 0.0);
                let allowed = if dtype == F64 { 1e-6 } else { 2e-3 };
                assert!(error < allowed, "{backend} {dtype:?}: {error}");
            }
        }
    }
}

#[test]
fn the_forward_difference_with_a_radius_is_the_step_of_the_paper() {
    // (1 − α)∇L(θ) + α∇L(θ + r ĝ), α = strength/r.
    let setting = setting(&[3, 5, 4, 3], 13, 1.0, F64);
    let (radius, strength) = (0.05, 0.02);
    let gradient = setting.problem.gradient();
    let length = norm(&gradient);
    let pairs = setting.problem.theta.iter().zip(&gradient);
    let there: Vec<f64> = pairs.map(|(v, g)| v + radius * g / length).collect();
    let alpha = strength / radius;
    let expected: Vec<f64> = gradient
        .iter()
        .zip(setting.problem.at(&there).gradient())
        .map(|(here, there)| (1.0 - alpha) * here + alpha * there)
        .collect();
    let mut penalty = GradientNormConfig::new()
        .with_strength(strength)
        .with_difference(Difference::Forward)
        .with_step(Some(radius))
        .init()
        .unwrap();
    let injected = penalty
        .inject(&setting.model, setting.loss(), setting.gradients())
        .unwrap();
    let error = relative_error(&setting.read(&injected), &expected, 0.0);
    assert!(error < 1e-13, "{error}");
}

#[test]
fn the_gradient_of_the_trace_is_that_of_the_same_probes_forms() {
    // vᵀHv at displaced parameters with the probe held fixed: its differences are the gradient, its mean the trace.
    for (sizes, scale) in NETWORKS {
        let setting = setting(sizes, 13, scale, F64);
        let penalty = HutchinsonTraceConfig::new()
            .with_probes(3)
            .with_seed(5)
            .init()
            .unwrap();
        let form = |theta: &[f64]| {
            let model = setting.problem.at(theta).model(&device(), F64);
            let loss = |model: &Mlp| model.loss(&setting.batch);
            let gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
            let mut penalty = penalty.clone().load_record(PenaltyRecord { steps: 7 });
            values(penalty.gradient(&model, loss, &gradients).unwrap().value)[0]
        };
        let expected: Vec<f64> = (0..setting.problem.theta.len())
            .map(|i| {
                let mut theta = setting.problem.theta.clone();
                let mut at = |h: f64| {
                    theta[i] = setting.problem.theta[i] + h;
                    form(&theta)
                };
                (at(1e-3) - at(-1e-3)) / 2e-3
            })
            .collect();
        let found = penalty
            .clone()
            .load_record(PenaltyRecord { steps: 7 })
            .gradient(&setting.model, setting.loss(), &setting.gradients())
            .unwrap();
        let error = relative_error(&setting.read(&found.gradients), &expected, 0.0);
        assert!(error < 1e-4, "{sizes:?}: {error}");
    }
}

#[test]
fn the_mean_over_probes_is_the_trace_and_its_gradient() {
    let setting = setting(&[2, 3, 3, 2], 9, 1.0, F64);
    let size = setting.problem.theta.len();
    let trace = |theta: &[f64]| {
        let hessian = setting.problem.at(theta).hessian();
        (0..size).map(|i| hessian[i * (size + 1)]).sum::<f64>()
    };
    let expected = central_differences(&setting.problem.theta, trace);
    let mut penalty = HutchinsonTraceConfig::new().init().unwrap();
    let gradients = setting.gradients();
    let steps = 3000;
    let mut sums = vec![[0.0; 2]; size + 1];
    for _ in 0..steps {
        let found = penalty
            .gradient(&setting.model, setting.loss(), &gradients)
            .unwrap();
        let mut all = setting.read(&found.gradients);
        all.push(values(found.value)[0]);
        for (sum, v) in sums.iter_mut().zip(all) {
            sum[0] += v;
            sum[1] += v * v;
        }
    }
    assert_eq!(penalty.steps(), steps);
    let n = steps as f64;
    let exact = [expected, vec![trace(&setting.problem.theta)]].concat();
    for (i, ([sum, squares], exact)) in sums.into_iter().zip(exact).enumerate() {
        let mean = sum / n;
        let deviation = ((squares / n - mean * mean) / n).sqrt();
        assert!(
            (mean - exact).abs() < 5.0 * deviation + 1e-6,
            "{i}: {mean} {exact} {deviation}"
        );
        assert!(deviation < 0.1, "{i}: {deviation}");
    }
}

/// A vector of parameters whose loss Σ sin θᵢ has a diagonal Hessian.
#[derive(Module, Debug)]
struct Waves {
    theta: Param<Tensor<1>>,
}

impl Waves {
    fn new(theta: &[f64], dtype: DType) -> Self {
        let theta = tensor(theta, [theta.len()], &device(), dtype);
        Self {
            theta: Param::from_tensor(theta),
        }
    }

    fn loss(&self) -> Tensor<1> {
        self.theta.val().sin().sum()
    }

    fn gradients(&self) -> GradientsParams {
        GradientsParams::from_grads(self.loss().backward(), self)
    }
}

#[test]
fn a_diagonal_hessian_has_its_exact_trace_and_gradient_with_one_probe() {
    // tr H = −Σ sin θᵢ, its gradient −cos θᵢ, whatever the signs.
    let theta = noise(9, 3);
    for (dtype, allowed) in [(F64, 1e-6), (DType::F32, 1e-2)] {
        let model = Waves::new(&theta, dtype);
        let mut penalty = HutchinsonTraceConfig::new()
            .with_strength(0.3)
            .with_limit(None)
            .init()
            .unwrap();
        let gradients = model.gradients();
        let found = penalty.gradient(&model, Waves::loss, &gradients).unwrap();
        let trace: f64 = theta.iter().map(|t| -t.sin()).sum();
        let value = values(found.value)[0];
        assert!((value - trace).abs() < allowed, "{value} {trace}");
        let expected: Vec<f64> = theta.iter().map(|t| -t.cos()).collect();
        let id = model.theta.id;
        let gradient = values(found.gradients.get::<1>(id).unwrap());
        let error = relative_error(&gradient, &expected, 0.0);
        assert!(error < allowed, "{dtype:?}: {error}");
        // Injected: cos θ − 0.3 cos θ.
        let injected = penalty.inject(&model, Waves::loss, gradients).unwrap();
        let injected = values(injected.get::<1>(id).unwrap());
        let expected: Vec<f64> = theta.iter().map(|t| 0.7 * t.cos()).collect();
        let error = relative_error(&injected, &expected, 0.0);
        assert!(error < allowed, "{dtype:?}: {error}");
    }
}

#[test]
fn what_is_injected_is_the_sum_and_the_rest_passes_on() {
    let setting = setting(&[3, 5, 4, 3], 13, 1.0, F64);
    let of_loss = setting.read(&setting.gradients());
    let other = Waves::new(&[0.5], F64);
    let mut penalty = GradientNormConfig::new()
        .with_strength(0.25)
        .init()
        .unwrap();
    let of_penalty = penalty
        .gradient(&setting.model, setting.loss(), &setting.gradients())
        .unwrap();
    let of_penalty = setting.read(&of_penalty.gradients);
    let mut gradients = setting.gradients();
    gradients.register(other.theta.id, tensor(&[3.0], [1], &Device::flex(), F64));
    let injected = penalty
        .inject(&setting.model, setting.loss(), gradients)
        .unwrap();
    let pairs = of_loss.iter().zip(&of_penalty);
    let expected: Vec<f64> = pairs.map(|(l, p)| l + 0.25 * p).collect();
    let error = relative_error(&setting.read(&injected), &expected, 0.0);
    assert!(error < 1e-15, "{error}");
    assert_eq!(values(injected.get::<1>(other.theta.id).unwrap()), [3.0]);

    // No strength is no change, not by a bit, and no pass.
    let never = |_: &Mlp| -> Tensor<1> { panic!("a pass") };
    let mut none = GradientNormConfig::new().with_strength(0.0).init().unwrap();
    let same = none
        .inject(&setting.model, never, setting.gradients())
        .unwrap();
    assert_eq!(setting.read(&same), of_loss);
    let mut none = HutchinsonTraceConfig::new()
        .with_strength(0.0)
        .init()
        .unwrap();
    let same = none
        .inject(&setting.model, never, setting.gradients())
        .unwrap();
    assert_eq!(setting.read(&same), of_loss);
}

#[test]
fn frozen_parameters_get_nothing_and_do_not_count() {
    let problem = Problem::new(&[3, 4, 3, 2], 9, 0.9);
    let mut model = problem.model(&device(), F64);
    model.layers[1] = model.layers[1].clone().no_grad();
    let batch = problem.batch(&device(), F64);
    let loss = |model: &Mlp| model.loss(&batch);
    let gradients = || GradientsParams::from_grads(loss(&model).backward(), &model);
    let space = ParameterSpace::of(&model).unwrap();
    let trained: Vec<usize> = (0..16).chain(31..39).collect();
    let exact = |theta: &[f64]| {
        let gradient = problem.at(theta).gradient();
        norm(&trained.iter().map(|&i| gradient[i]).collect::<Vec<_>>())
    };
    let all = central_differences(&problem.theta, exact);
    let expected: Vec<f64> = trained.iter().map(|&i| all[i]).collect();
    let mut penalty = GradientNormConfig::new().init().unwrap();
    let found = penalty.gradient(&model, loss, &gradients()).unwrap();
    let read = space.read_gradients(&model, &found.gradients).unwrap();
    let error = relative_error(&read, &expected, 0.0);
    assert!(error < 1e-8, "{error}");
    let frozen = model.layers[1].weight.id;
    assert!(found.gradients.get::<2>(frozen).is_none());
    let mut penalty = HutchinsonTraceConfig::new().init().unwrap();
    let injected = penalty.inject(&model, loss, gradients()).unwrap();
    assert!(injected.get::<2>(frozen).is_none());
}

#[test]
fn a_zero_gradient_has_no_direction_and_gives_no_nan() {
    for dtype in [F64, DType::F32] {
        let model = Waves::new(&[0.3, -0.2], dtype);
        let loss = |model: &Waves| (model.theta.val() * 0.0).sum();
        let gradients = || GradientsParams::from_grads(loss(&model).backward(), &model);
        for difference in [Difference::Central, Difference::Forward] {
            let mut penalty = GradientNormConfig::new()
                .with_difference(difference)
                .init()
                .unwrap();
            let found = penalty.gradient(&model, loss, &gradients()).unwrap();
            assert_eq!(values(found.value), [0.0]);
            let gradient = found.gradients.get::<1>(model.theta.id).unwrap();
            assert_eq!(values(gradient), [0.0, 0.0]);
        }
        let mut penalty = HutchinsonTraceConfig::new().init().unwrap();
        let found = penalty.gradient(&model, loss, &gradients()).unwrap();
        assert_eq!(values(found.value), [0.0]);
        let gradient = found.gradients.get::<1>(model.theta.id).unwrap();
        assert_eq!(values(gradient), [0.0, 0.0]);
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_not_hidden() {
    let model = Waves::new(&[0.3, -0.2], F64);
    for factor in [f64::INFINITY, f64::NAN] {
        let loss = |model: &Waves| model.loss() * factor;
        let gradients = || GradientsParams::from_grads(loss(&model).backward(), &model);
        let mut norm = GradientNormConfig::new().init().unwrap();
        let mut trace = HutchinsonTraceConfig::new().init().unwrap();
        for injected in [
            norm.inject(&model, loss, gradients()),
            trace.inject(&model, loss, gradients()),
        ] {
            let gradient = values(injected.unwrap().get::<1>(model.theta.id).unwrap());
            assert!(gradient.iter().all(|v| !v.is_finite()), "{gradient:?}");
        }
    }
}

#[test]
fn gradients_whose_squares_underflow_have_a_norm_and_a_direction() {
    // L = c Σ sin θ with c = 10⁻³⁰ in f32: ‖∇L‖ = c‖cos θ‖, its gradient −c cos θᵢ sin θᵢ/‖cos θ‖.
    let theta = [0.4, -0.7, 1.1];
    let model = Waves::new(&theta, DType::F32);
    let loss = |model: &Waves| model.loss() * 1e-30;
    let gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
    let length = norm(&theta.map(f64::cos));
    let mut penalty = GradientNormConfig::new().init().unwrap();
    let found = penalty.gradient(&model, loss, &gradients).unwrap();
    let value = values(found.value)[0];
    assert!((value / (1e-30 * length) - 1.0).abs() < 1e-6, "{value}");
    let expected: Vec<f64> = theta
        .iter()
        .map(|t| -1e-30 * t.cos() * t.sin() / length)
        .collect();
    let gradient = values(found.gradients.get::<1>(model.theta.id).unwrap());
    let error = relative_error(&gradient, &expected, 0.0);
    assert!(error < 1e-3, "{error}");
}

#[test]
fn probes_are_new_at_every_step_and_those_of_a_resumed_run_the_same() {
    let setting = setting(&[3, 5, 4, 3], 13, 1.0, F64);
    let run = |penalty: &mut burn_sharpness::penalty::HutchinsonTrace| {
        let found = penalty.gradient(&setting.model, setting.loss(), &setting.gradients());
        setting.read(&found.unwrap().gradients)
    };
    let config = HutchinsonTraceConfig::new().with_seed(1);
    let mut penalty = config.init().unwrap();
    let all = [run(&mut penalty), run(&mut penalty), run(&mut penalty)];
    assert_ne!(all[0], all[1]);
    assert_eq!(penalty.steps(), 3);
    let mut resumed = config
        .init()
        .unwrap()
        .load_record(PenaltyRecord { steps: 2 });
    assert_eq!(run(&mut resumed), all[2]);
    let mut other = config.with_seed(2).init().unwrap();
    assert_ne!(run(&mut other), all[0]);
}

/// A network whose training updates running statistics.
#[derive(Module, Debug)]
struct Normalized {
    first: Linear,
    norm: BatchNorm,
}

impl Normalized {
    fn new() -> Self {
        let vector = |value: f64| tensor(&[value; 4], [4], &device(), F64);
        let mut norm = BatchNormConfig::new(4).init(&device());
        norm.gamma = Param::from_tensor(vector(1.1));
        norm.beta = Param::from_tensor(vector(0.2));
        norm.running_mean = RunningState::new(vector(0.0));
        norm.running_var = RunningState::new(vector(1.0));
        let weight = tensor(&noise(12, 1), [3, 4], &device(), F64);
        Self {
            first: Linear {
                weight: Param::from_tensor(weight),
                bias: None,
            },
            norm,
        }
    }

    fn loss(&self, x: &Tensor<2>) -> Tensor<1> {
        let z = self.norm.forward(self.first.forward(x.clone()));
        (tanh(z) - 0.3).square().mean()
    }

    fn bits(&self) -> Vec<u64> {
        [
            values(self.first.weight.val()),
            values(self.norm.gamma.val()),
            values(self.norm.beta.val()),
            values(self.norm.running_mean.value_sync()),
            values(self.norm.running_var.value_sync()),
        ]
        .concat()
        .into_iter()
        .map(f64::to_bits)
        .collect()
    }
}

#[test]
fn running_statistics_are_updated_by_the_loss_alone() {
    let x = tensor(&noise(24, 2), [8, 3], &device(), F64);
    let (model, plain) = (Normalized::new(), Normalized::new());
    let gradients = || GradientsParams::from_grads(model.loss(&x).backward(), &model);
    let loss = |model: &Normalized| model.loss(&x);
    let mut norm = GradientNormConfig::new().init().unwrap();
    let mut trace = HutchinsonTraceConfig::new().init().unwrap();
    norm.inject(&model, loss, gradients()).unwrap();
    trace.inject(&model, loss, gradients()).unwrap();
    // Two passes of training, as many as here.
    plain.loss(&x);
    plain.loss(&x);
    assert_eq!(model.bits(), plain.bits());
}

#[test]
fn a_space_refuses_another_module_and_takes_copies_of_its_own() {
    let model = setting(&[2, 3, 2], 4, 1.0, DType::F64).model;
    let space = ParameterSpace::of(&model).unwrap();
    let theta = space.read(&model).unwrap();
    assert_eq!(space.read(&model.valid()).unwrap(), theta);
    let moved = space.displaced(&model, &theta, 1.0).unwrap();
    let doubled: Vec<f64> = theta.iter().map(|v| 2.0 * v).collect();
    assert_eq!(space.read(&moved).unwrap(), doubled);
    // Of the same sizes, and larger.
    for other in [&[2, 3, 2][..], &[2, 3, 3, 2]] {
        let other = setting(other, 4, 1.0, DType::F64).model;
        for error in [
            space.read(&other).unwrap_err(),
            space.to_gradients(&other, &theta).unwrap_err(),
            space.displaced(&other, &theta, 1.0).unwrap_err(),
            space
                .read_gradients(&other, &GradientsParams::new())
                .unwrap_err(),
        ] {
            let place = &space.parameters()[0].path;
            let found = matches!(&error, SharpnessError::ForeignModule { path } if path == place);
            assert!(found, "{error}");
            assert!(!error.to_string().contains('\n'));
        }
    }
}

#[test]
fn what_cannot_be_done_is_an_error_in_one_line() {
    let refuse = |result: Result<(), SharpnessError>| result.unwrap_err().to_string();
    for strength in [-1.0, f64::NAN, f64::INFINITY] {
        let expected = format!("strength is {strength}, expected a finite number, 0 or more");
        let norm = GradientNormConfig::new().with_strength(strength);
        assert_eq!(refuse(norm.init().map(drop)), expected);
        let trace = HutchinsonTraceConfig::new().with_strength(strength);
        assert_eq!(refuse(trace.init().map(drop)), expected);
    }
    for step in [0.0, -1.0, f64::NAN] {
        let expected = format!("step is {step}, expected a finite number above 0");
        let norm = GradientNormConfig::new().with_step(Some(step));
        assert_eq!(refuse(norm.init().map(drop)), expected);
        let trace = HutchinsonTraceConfig::new().with_step(Some(step));
        assert_eq!(refuse(trace.init().map(drop)), expected);
    }
    let trace = HutchinsonTraceConfig::new().with_probes(0);
    assert_eq!(
        refuse(trace.init().map(drop)),
        "probes is 0, expected 1 or more"
    );

    let model = Waves::new(&[0.1], F64);
    let mut penalty = GradientNormConfig::new().init().unwrap();
    let untracked = |model: &Waves| model.loss().inner();
    let found = penalty.inject(&model, untracked, model.gradients());
    assert_eq!(
        refuse(found.map(drop)),
        "the loss is not tracked by autodiff: was it computed on an autodiff device, from a parameter that is trained?"
    );
    let mut trace = HutchinsonTraceConfig::new().init().unwrap();
    let plain = "the module is on a device without autodiff, where no parameter is trainable: take module.train()";
    let of_plain = model.valid();
    let found = penalty.inject(&of_plain, Waves::loss, GradientsParams::new());
    assert_eq!(refuse(found.map(drop)), plain);
    let found = trace.inject(&of_plain, Waves::loss, GradientsParams::new());
    assert_eq!(refuse(found.map(drop)), plain);
    let frozen = model.no_grad();
    let none = "the module has no trainable parameters";
    let found = penalty.inject(&frozen, Waves::loss, GradientsParams::new());
    assert_eq!(refuse(found.map(drop)), none);
    let found = trace.inject(&frozen, Waves::loss, GradientsParams::new());
    assert_eq!(refuse(found.map(drop)), none);
}

#[test]
fn the_traces_default_does_not_keep_a_wide_network_from_training() {
    // 77,322 parameters under Adam, three classes in 20 dimensions. The default strength without a limit is noise of many
    // times the gradient's length.
    let (device, dtype) = (device(), DType::F32);
    let sizes = [20, 256, 276, 3];
    let x: Vec<f64> = noise(60 * 20, 5);
    let y: Vec<usize> = (0..60).map(|i| i % 3).collect();
    let x: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, v)| v + if i % 20 == y[i / 20] { 1.0 } else { 0.0 })
        .collect();
    let theta = Problem::new(&sizes, 1, 1.0).theta;
    let problem = Problem {
        sizes: sizes.to_vec(),
        theta: theta.iter().map(|v| 0.1 * v).collect(),
        x,
        y,
    };
    let batch = problem.batch(&device, dtype);
    let loss = |model: &Mlp| model.loss(&batch);
    let last = |config: Option<HutchinsonTraceConfig>| {
        let mut model = problem.model(&device, dtype);
        assert!(ParameterSpace::of(&model).unwrap().size() > 77_000);
        let mut penalty = config.map(|config| config.init().unwrap());
        let mut optimizer = burn::optim::AdamConfig::new().init();
        for _ in 0..25 {
            let mut gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
            if let Some(penalty) = &mut penalty {
                gradients = penalty.inject(&model, loss, gradients).unwrap();
            }
            model = optimizer.step(1e-3, model, gradients);
        }
        values(loss(&model))[0]
    };
    let plain = last(None);
    let default = last(Some(HutchinsonTraceConfig::new()));
    let unlimited = last(Some(HutchinsonTraceConfig::new().with_limit(None)));
    println!("plain {plain}, default {default}, without a limit {unlimited}");
    assert!(default < plain + 0.1, "{default} {plain}");
    assert!(unlimited > plain + 0.3, "{unlimited} {plain}");
}

#[test]
fn what_the_trace_adds_is_no_longer_than_its_limit() {
    let setting = setting(&[3, 5, 4, 3], 13, 1.0, F64);
    let of_loss = setting.read(&setting.gradients());
    let added = |strength: f64, limit: Option<f64>| {
        let config = HutchinsonTraceConfig::new().with_strength(strength);
        let mut penalty = config.with_limit(limit).init().unwrap();
        let injected = penalty.inject(&setting.model, setting.loss(), setting.gradients());
        let injected = setting.read(&injected.unwrap());
        injected
            .iter()
            .zip(&of_loss)
            .map(|(i, l)| i - l)
            .collect::<Vec<_>>()
    };
    let free = added(1e-3, None);
    assert!(norm(&free) < 0.1 * norm(&of_loss), "short enough");
    let error = relative_error(&added(1e-3, Some(0.1)), &free, 0.0);
    assert!(error < 1e-9, "{error}");
    let shortened = added(100.0, Some(0.1));
    assert!((norm(&shortened) / norm(&of_loss) - 0.1).abs() < 1e-12);
    let scale = norm(&shortened) / norm(&free);
    let expected: Vec<f64> = free.iter().map(|v| v * scale).collect();
    let error = relative_error(&shortened, &expected, 0.0);
    assert!(error < 1e-9, "{error}");
    assert_eq!(norm(&added(1.0, Some(0.0))), 0.0);
}
