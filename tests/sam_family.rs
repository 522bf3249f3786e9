//! What came of SAM: every method's exact steps against the formulas of its paper, computed by NumPy, and what must hold
//! beside them: strength 0, resumed runs, running statistics, gradients that are not finite, groups, burn-train.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, Param, ParamGroup};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor};
use burn::train::{RegressionOutput, TrainOutput, TrainStep};
use burn_sharpness::sam::{
    EigenSamConfig, FollowRateConfig, FriendlySamConfig, GsamConfig, LookSamConfig, NsoConfig,
    Pass, SamGradientRecord, SamRecord, SamRule, WsamConfig,
};
use burn_sharpness::train::SamModel;
use burn_sharpness::{Outcome, ParameterSpace, Sam, SamConfig, SamGradient, SharpnessError};
use hsr_tests::mlp::{Batch, Mlp, Problem, noise};
use hsr_tests::{backends, is_host, relative_error, tensor, values};
use serde::Deserialize;

/// Burn's generator is one for the whole process, and every step seeds it.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn flex() -> Device {
    Device::flex().autodiff()
}

/// Each method once, with a radius that shows.
fn methods() -> Vec<(&'static str, SamConfig)> {
    let of = |name, rule: SamRule| (name, SamConfig::of(rule).with_rho(0.2));
    vec![
        of("sam", SamRule::Sam),
        of("gsam", GsamConfig::new().into()),
        of("friendly", FriendlySamConfig::new().into()),
        of("looksam", LookSamConfig::new().with_interval(3).into()),
        of("wsam", WsamConfig::new().into()),
        of(
            "wsam-coupled",
            WsamConfig::new().with_decoupled(false).into(),
        ),
        of("nso", NsoConfig::new().with_pairs(2).into()),
        of("eigen-sam", EigenSamConfig::new().with_interval(2).into()),
    ]
}

// --- The steps.

#[derive(Deserialize)]
struct Reference {
    sizes: Vec<usize>,
    batches: [usize; 2],
    x: Vec<f64>,
    y: Vec<usize>,
    theta: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    steps: Vec<Taken>,
}

#[derive(Deserialize)]
struct Taken {
    rate: f64,
    losses: [Option<f64>; 2],
    theta: Vec<f64>,
}

impl Reference {
    fn load() -> Self {
        serde_json::from_str(include_str!("data/sam/steps.json")).unwrap()
    }

    /// Rows of the data.
    fn problem(&self, rows: core::ops::Range<usize>) -> Problem {
        let inputs = self.sizes[0];
        Problem {
            sizes: self.sizes.clone(),
            theta: self.theta.clone(),
            x: self.x[rows.start * inputs..rows.end * inputs].to_vec(),
            y: self.y[rows].to_vec(),
        }
    }

    /// The two batches that take turns.
    fn problems(&self) -> [Problem; 2] {
        let first = self.batches[0];
        [
            self.problem(0..first),
            self.problem(first..first + self.batches[1]),
        ]
    }
}

/// The configuration of a case of `data/sam/steps.py`.
fn of_case(name: &str) -> SamConfig {
    let gsam = || SamConfig::of(GsamConfig::new().with_alpha(0.4));
    let friendly = |sigma, lambda| {
        let config = FriendlySamConfig::new();
        SamConfig::of(config.with_sigma(sigma).with_lambda(lambda))
    };
    let wsam = |decoupled| {
        let config = WsamConfig::new().with_gamma(0.7);
        SamConfig::of(config.with_decoupled(decoupled))
    };
    let config = match name {
        "sam" => SamConfig::new(),
        "asam" => SamConfig::asam(),
        "sam-late" => SamConfig::new().with_from_step(3),
        "sam-weights" => SamConfig::new().with_group(ParamGroup::from_predicate("weight")),
        "gsam" => gsam(),
        "gsam-adaptive" => gsam().with_adaptive(true),
        "gsam-follow" => {
            gsam().with_follow_rate(Some(FollowRateConfig::new(0.05, 0.1).with_rate_min(0.01)))
        }
        "friendly" => friendly(1.0, 0.6),
        "friendly-half" => friendly(0.5, 0.9),
        "looksam" => SamConfig::of(LookSamConfig::new().with_interval(3).with_alpha(0.7)),
        "wsam" => wsam(true),
        "wsam-coupled" => wsam(false),
        "eigen-sam" => SamConfig::of(
            EigenSamConfig::new()
                .with_alpha(0.5)
                .with_interval(2)
                .with_products(100)
                .with_tolerance(1e-10),
        ),
        other => panic!("{other} is a case without a configuration"),
    };
    config.with_rho(0.3).with_eta(0.02)
}

/// The optimizer of the reference.
fn momentum() -> ModuleOptimizer {
    let half = MomentumConfig::new().with_momentum(0.5).with_dampening(0.0);
    SgdConfig::new().with_momentum(Some(half)).init()
}

fn pass(model: &Mlp, batch: &Batch) -> (f64, GradientsParams) {
    let loss = model.loss(batch);
    let gradients = GradientsParams::from_grads(loss.backward(), model);
    (values(loss)[0], gradients)
}

fn theta<M: Module>(model: &M) -> Vec<f64> {
    let space = ParameterSpace::of(model).unwrap();
    space.read(model).unwrap()
}

fn bits<M: Module>(model: &M) -> Vec<u64> {
    theta(model).into_iter().map(f64::to_bits).collect()
}

#[test]
fn every_method_takes_the_steps_of_its_papers_formulas() {
    let _turn = turn();
    let reference = Reference::load();
    let problems = reference.problems();
    for (backend, device, dtypes) in backends() {
        // Shaders have no exponential in double precision, whatever a driver says of the type.
        let known = |dtype: &DType| is_host(backend) || *dtype == DType::F32;
        for dtype in dtypes.into_iter().filter(known) {
            let device = device.clone().autodiff();
            let batches = problems.each_ref().map(|of| of.batch(&device, dtype));
            for case in &reference.cases {
                // The eigenvector is of differences of gradients.
                let accuracy = match (dtype, &case.name[..]) {
                    (DType::F64, "eigen-sam") => 1e-7,
                    (DType::F64, _) => 1e-12,
                    (_, "eigen-sam") => 1e-2,
                    _ => 1e-4,
                };
                let mut sam = of_case(&case.name).init(momentum()).unwrap();
                let mut model = problems[0].model(&device, dtype);
                for (number, expected) in case.steps.iter().enumerate() {
                    let batch = &batches[number % 2];
                    let step = sam.step(expected.rate, model, |model| pass(model, batch));
                    let step = step.unwrap();
                    assert_eq!(
                        step.outcome,
                        Outcome::Stepped,
                        "{backend} {dtype:?} {} step {number}",
                        case.name
                    );
                    model = step.module;
                    let [loss, ascended] = expected.losses;
                    assert_eq!(step.ascended_loss.is_some(), ascended.is_some());
                    let losses = [Some(step.loss), step.ascended_loss];
                    let losses: Vec<f64> = losses.into_iter().flatten().collect();
                    let of_reference: Vec<f64> = [loss, ascended].into_iter().flatten().collect();
                    let error = relative_error(&losses, &of_reference, 0.0).max(relative_error(
                        &theta(&model),
                        &expected.theta,
                        0.0,
                    ));
                    let name = &case.name;
                    assert!(
                        error < accuracy,
                        "{backend} {dtype:?} {name} step {number}: {error:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_cases_of_the_reference_differ_from_one_another() {
    let reference = Reference::load();
    for (i, a) in reference.cases.iter().enumerate() {
        for b in &reference.cases[..i] {
            let [of_a, of_b] = [a, b].map(|case| &case.steps.last().unwrap().theta);
            let error = relative_error(of_a, of_b, 0.0);
            assert!(error > 1e-4, "{} and {}: {error:e}", a.name, b.name);
        }
    }
}

#[test]
fn noise_is_gaussian_in_both_directions_and_the_step_is_the_mean_gradient_of_its_points() {
    let _turn = turn();
    let reference = Reference::load();
    let problem = reference.problem(0..8);
    let device = flex();
    let (deviation, pairs) = (0.05, 3);
    let config = SamConfig::of(NsoConfig::new().with_pairs(pairs)).with_rho(deviation);
    let mut sam = config.init(SgdConfig::new().init()).unwrap();
    let mut model = problem.model(&device, DType::F64);
    let batch = problem.batch(&device, DType::F64);
    let mut drawn = Vec::new();
    for number in 0..40 {
        let start = theta(&model);
        let mut points = Vec::new();
        let step = sam.step(0.1, model, |model| {
            points.push(theta(model));
            pass(model, &batch)
        });
        model = step.unwrap().module;
        if number == 0 {
            // Whether the first pass repeats itself.
            assert_eq!(points[0], points[1]);
            points.remove(0);
        }
        assert_eq!(points.len(), 2 * pairs as usize);
        let mut gradient = vec![0.0; start.len()];
        for pair in points.chunks(2) {
            let noise = |point: &[f64]| -> Vec<f64> {
                point.iter().zip(&start).map(|(p, s)| p - s).collect()
            };
            let [after, before] = [0, 1].map(|i| noise(&pair[i]));
            let opposite: Vec<f64> = before.iter().map(|v| -v).collect();
            assert!(relative_error(&after, &opposite, 1.0) < 1e-15);
            drawn.extend(after.iter().map(|v| v / deviation));
        }
        for point in &points {
            // Without Burn.
            let of_point = problem.at(point).gradient();
            for (sum, g) in gradient.iter_mut().zip(of_point) {
                *sum += g / points.len() as f64;
            }
        }
        let expected: Vec<f64> = start
            .iter()
            .zip(&gradient)
            .map(|(w, g)| w - 0.1 * g)
            .collect();
        let error = relative_error(&theta(&model), &expected, 0.0);
        assert!(error < 1e-13, "step {number}: {error:e}");
    }
    // 40 steps of 3 draws of 26 standard normal numbers: mean, variance and fourth moment within five deviations.
    let n = drawn.len() as f64;
    let moment = |power| drawn.iter().map(|v: &f64| v.powi(power)).sum::<f64>() / n;
    for (power, mean, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (4, 3.0, 96.0)] {
        let z = (moment(power) - mean) / (variance / n).sqrt();
        assert!(z.abs() < 5.0, "moment {power}: {z} deviations off");
    }
    assert_eq!(drawn.len(), 40 * 3 * reference.theta.len());
    // Another seed draws others.
    let points = |seed| {
        let seen = RefCell::new(Vec::new());
        let passes = config
            .clone()
            .with_seed(seed)
            .init_gradient()
            .unwrap()
            .loss_gradients(&problem.model(&device, DType::F64), |model: &Mlp| {
                seen.borrow_mut().push(theta(model));
                pass(model, &batch)
            });
        drop(passes.unwrap());
        seen.into_inner()
    };
    assert_eq!(points(1), points(1));
    assert_ne!(points(1), points(2));
}

// --- Strength 0.

#[test]
fn strength_zero_is_the_base_optimizer_bit_for_bit_and_takes_one_pass() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    let none = SamConfig::of(WsamConfig::new().with_gamma(0.0));
    let late = methods().into_iter();
    let late = late.map(|(name, config)| (name, config.with_from_step(3)));
    let zero = methods().into_iter();
    let zero = zero.map(|(name, config)| (name, config.with_rho(0.0)));
    for (name, config) in zero.chain(late).chain([("wsam without weight", none)]) {
        for dtype in [DType::F32, DType::F64] {
            let batch = problem.batch(&flex(), dtype);
            let mut sam = config.init(AdamConfig::new().init()).unwrap();
            let mut optimizer = AdamConfig::new().init();
            let start = problem.model(&flex(), dtype);
            let (mut model, mut plain) = (start.clone(), start);
            for _ in 0..3 {
                let mut passes = 0;
                let step = sam.step(0.1, model, |model| {
                    passes += 1;
                    pass(model, &batch)
                });
                let step = step.unwrap();
                assert_eq!((passes, step.ascended_loss), (1, None), "{name}");
                model = step.module;
                let (_, gradients) = pass(&plain, &batch);
                plain = optimizer.step(0.1, plain, gradients);
                assert_eq!(bits(&model), bits(&plain), "{name}");
            }
            assert_eq!(sam.gradient().to_record(&model).unwrap().memory, None);
        }
    }
}

#[test]
fn methods_without_what_they_add_are_sam_bit_for_bit() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    let batch = problem.batch(&flex(), DType::F64);
    let run = |config: SamConfig| {
        let mut sam = config.with_rho(0.2).init(AdamConfig::new().init()).unwrap();
        let mut model = problem.model(&flex(), DType::F64);
        // The same parameters have the same identities in no two models, so bits are compared.
        for _ in 0..4 {
            let step = sam.step(0.1, model, |model| pass(model, &batch));
            model = step.unwrap().module;
        }
        bits(&model)
    };
    let sam = run(SamConfig::new());
    for rule in [
        SamRule::from(GsamConfig::new().with_alpha(0.0)),
        LookSamConfig::new().with_interval(1).into(),
        EigenSamConfig::new().with_alpha(0.0).into(),
    ] {
        assert_eq!(run(SamConfig::of(rule.clone())), sam, "{rule:?}");
    }
    assert_ne!(run(SamConfig::of(GsamConfig::new())), sam);
    // Half the weight is SAM's objective, but another order of additions.
    let half = WsamConfig::new().with_gamma(0.5).with_decoupled(false);
    let theta = |bits: Vec<u64>| -> Vec<f64> { bits.into_iter().map(f64::from_bits).collect() };
    let error = relative_error(&theta(run(SamConfig::of(half))), &theta(sam), 0.0);
    assert!(error < 1e-9, "{error:e}");
}

#[test]
fn a_zero_gradient_gives_the_plain_step() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    for (name, config) in methods() {
        if name == "nso" {
            continue;
        }
        let model = problem.model(&flex(), DType::F32);
        let mut sam = config.init(SgdConfig::new().init()).unwrap();
        for _ in 0..4 {
            let step = sam.step(0.1, model.clone(), |model| {
                let loss = model.loss(&problem.batch(&flex(), DType::F32)) * 0.0;
                ((), GradientsParams::from_grads(loss.backward(), model))
            });
            let step = step.unwrap();
            assert_eq!(step.outcome, Outcome::Stepped, "{name}");
            assert_eq!(bits(&step.module), bits(&model), "{name}");
        }
    }
}

#[test]
fn a_step_takes_the_gradients_that_the_table_says() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    let batch = problem.batch(&flex(), DType::F64);
    let products = EigenSamConfig::new()
        .with_interval(3)
        .with_products(4)
        .with_tolerance(0.0);
    for (rule, expected) in [
        (SamRule::Sam, [2, 2, 2, 2, 2, 2]),
        (GsamConfig::new().into(), [2; 6]),
        (FriendlySamConfig::new().into(), [2; 6]),
        (
            LookSamConfig::new().with_interval(3).into(),
            [2, 1, 1, 2, 1, 1],
        ),
        (WsamConfig::new().into(), [2; 6]),
        (NsoConfig::new().with_pairs(3).into(), [6; 6]),
        (products.into(), [10, 2, 2, 10, 2, 2]),
    ] {
        let mut sam = SamConfig::of(rule.clone())
            .init(SgdConfig::new().init())
            .unwrap();
        let mut model = problem.model(&flex(), DType::F64);
        for (number, expected) in expected.into_iter().enumerate() {
            let mut passes = 0;
            let step = sam.step(0.1, model, |model| {
                passes += 1;
                pass(model, &batch)
            });
            model = step.unwrap().module;
            // The first step repeats its first pass.
            assert_eq!(passes, expected + i32::from(number == 0), "{rule:?}");
        }
    }
}

// --- What a forward pass changes, and what is drawn.

/// Batch normalisation and dropout.
#[derive(Module, Debug)]
struct Normed {
    embed: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    head: Linear,
}

impl Normed {
    fn new(device: &Device, dropout: f64) -> Self {
        let layer = |seed, shape: [usize; 2]| {
            let weight = noise(shape[0] * shape[1], seed);
            let bias = noise(shape[1], seed + 1);
            Linear {
                weight: Param::from_tensor(tensor(&weight, shape, device, DType::F32)),
                bias: Some(Param::from_tensor(tensor(
                    &bias,
                    [shape[1]],
                    device,
                    DType::F32,
                ))),
            }
        };
        Self {
            embed: layer(1, [3, 4]),
            norm: BatchNormConfig::new(4).init(device),
            dropout: DropoutConfig::new(dropout).init(),
            head: layer(3, [4, 2]),
        }
    }

    fn forward(&self, x: &Tensor<2>) -> Tensor<2> {
        let a = self.norm.forward(self.embed.forward(x.clone())).tanh();
        self.head.forward(self.dropout.forward(a))
    }

    fn loss(&self, batch: &Data) -> Tensor<1> {
        let out = self.forward(&batch.x);
        (out - batch.y.clone()).square().mean()
    }

    fn pass(&self, batch: &Data) -> (f64, GradientsParams) {
        let loss = self.loss(batch);
        let gradients = GradientsParams::from_grads(loss.backward(), self);
        (values(loss)[0], gradients)
    }

    fn statistics(&self) -> Vec<f64> {
        let valid = self.valid();
        let parts = [
            values(valid.norm.running_mean.value()),
            values(valid.norm.running_var.value()),
        ];
        parts.concat()
    }
}

#[derive(Clone, Debug)]
struct Data {
    x: Tensor<2>,
    y: Tensor<2>,
}

fn data(device: &Device) -> [Data; 2] {
    [5, 9].map(|seed| Data {
        x: tensor(&noise(6 * 3, seed), [6, 3], device, DType::F32),
        y: tensor(&noise(6 * 2, seed + 1), [6, 2], device, DType::F32),
    })
}

#[test]
fn running_statistics_are_those_of_one_forward_pass_a_step() {
    let _turn = turn();
    let device = flex();
    let [batch, _] = data(&device);
    for (name, config) in methods() {
        // NSO's first pass is at θ + u: as near as that to θ.
        let is_noise = name == "nso";
        let config = if is_noise {
            config.with_rho(1e-4)
        } else {
            config
        };
        let (mut model, twin) = (Normed::new(&device, 0.0), Normed::new(&device, 0.0));
        let mut sam = config.init(SgdConfig::new().init()).unwrap();
        for _ in 0..4 {
            let step = sam.step(0.0, model, |model| model.pass(&batch)).unwrap();
            model = step.module;
            let before = twin.statistics();
            twin.loss(&batch);
            let error = relative_error(&model.statistics(), &twin.statistics(), 0.0);
            assert!(
                error <= if is_noise { 1e-3 } else { 0.0 },
                "{name}: {error:e}"
            );
            // Which says something: an update more would be seen.
            assert!(relative_error(&before, &twin.statistics(), 0.0) > 2e-3);
        }
    }
}

#[test]
fn all_passes_of_a_step_draw_the_same_mask() {
    let _turn = turn();
    let device = flex();
    let [batch, _] = data(&device);
    for (name, config) in methods() {
        let mut masks: Vec<Vec<Vec<f64>>> = Vec::new();
        let mut model = Normed::new(&device, 0.5);
        let mut sam = config.init(SgdConfig::new().init()).unwrap();
        for _ in 0..3 {
            let drawn = RefCell::new(Vec::new());
            let step = sam.step(0.05, model, |model: &Normed| {
                let pass = model.pass(&batch);
                let ones = Tensor::<2>::ones([6, 4], &device);
                // The next mask of the generator tells the state that the pass began with.
                drawn.borrow_mut().push(values(model.dropout.forward(ones)));
                pass
            });
            model = step.unwrap().module;
            let drawn = drawn.into_inner();
            assert!(drawn.iter().all(|mask| *mask == drawn[0]), "{name}");
            masks.push(drawn);
        }
        assert!(masks[0][0] != masks[1][0] && masks[1][0] != masks[2][0]);
    }
}

#[test]
fn a_run_with_dropout_and_adam_resumes_bit_for_bit() {
    let _turn = turn();
    let device = flex();
    let batches = data(&device);
    let adam = || AdamConfig::new().init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sam.json");
    let follow = FollowRateConfig::new(0.01, 0.05);
    let following = SamConfig::of(GsamConfig::new()).with_follow_rate(Some(follow));
    let late = SamConfig::of(LookSamConfig::new().with_interval(4)).with_from_step(1);
    let cases = methods().into_iter();
    for (name, config) in cases.chain([("following", following), ("late", late)]) {
        let run = |sam: &mut Sam, mut model: Normed, steps: core::ops::Range<usize>| {
            for number in steps {
                // Where a method does not act nothing is seeded: the user's own generator, seeded alike here.
                device.seed(number as u64);
                let rate = 0.05 / (1.0 + number as f64);
                let step = sam.step(rate, model, |model| model.pass(&batches[number % 2]));
                let step = step.unwrap();
                assert_eq!(step.outcome, Outcome::Stepped);
                model = step.module;
            }
            model
        };
        let start = Normed::new(&device, 0.25);
        // Running statistics are shared by clones.
        let start = || burn_penalty::isolated(&start);
        let mut whole = config.init(adam()).unwrap();
        let expected = run(&mut whole, start(), 0..6);
        let expected = (bits(&expected), expected.statistics());

        let mut first = config.init(adam()).unwrap();
        let half = run(&mut first, start(), 0..3);
        let record = first.gradient().to_record(&half).unwrap();
        assert_eq!(record.steps, 3);
        record.clone().save(&path).unwrap();
        let loaded = SamGradientRecord::load(&path).unwrap();
        assert_eq!(loaded, record);
        let of_both = || first.to_record(&half).unwrap();
        of_both().save(&path).unwrap();
        let loaded = SamRecord::load(&path).unwrap();
        assert_eq!(loaded.gradient, record);
        let mut second = config.init(adam()).unwrap().load_record(loaded);
        assert_eq!(second.gradient().to_record(&half).unwrap(), record);
        let end = run(&mut second, burn_penalty::isolated(&half), 3..6);
        assert_eq!((bits(&end), end.statistics()), expected, "{name}");
        // Clones go on by themselves.
        let mut clone = first.clone();
        let end = run(&mut clone, burn_penalty::isolated(&half), 3..6);
        assert_eq!(bits(&end), expected.0, "{name}");
        assert_eq!(first.steps(), 3);
        // Without what the method keeps it is another run.
        let optimizer_alone = SamRecord {
            gradient: SamGradientRecord::default(),
            ..of_both()
        };
        let mut without = config.init(adam()).unwrap().load_record(optimizer_alone);
        let end = run(&mut without, half.clone(), 3..6);
        assert_ne!(bits(&end), expected.0, "{name}");
    }
    let error = SamGradientRecord::from_bytes(b"{\"step\":1}")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("not the record of a sharpness-aware method: "),
        "{error}"
    );
}

// --- Beside it.

#[test]
fn a_gradient_that_is_not_finite_skips_the_step_and_changes_nothing() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    let batch = problem.batch(&flex(), DType::F32);
    let broken = |model: &Mlp, value: f64| {
        let (loss, mut gradients) = pass(model, &batch);
        let bias = model.layers[1].bias.as_ref().unwrap().id;
        let gradient = tensor(&[0.1, value], [2], &Device::flex(), DType::F32);
        gradients.register::<1>(bias, gradient);
        (loss, gradients)
    };
    for (name, config) in methods() {
        // The vector of Eigen-SAM and the direction of LookSAM are new at this step.
        let config = match config.rule.clone() {
            SamRule::Eigen(eigen) => config.with_rule(eigen.with_interval(1).into()),
            SamRule::Look(look) => config.with_rule(look.with_interval(1).into()),
            _ => config,
        };
        for (first, pass_of) in [(true, Pass::First), (false, Pass::Second)] {
            for value in [f64::NAN, f64::INFINITY] {
                let mut sam = config.init(AdamConfig::new().init()).unwrap();
                let model = problem.model(&flex(), DType::F32);
                let step = sam.step(0.1, model, |model| pass(model, &batch));
                let model = step.unwrap().module;
                let (before, state) = (bits(&model), sam.optimizer().into_bytes().unwrap());
                let memory = sam.gradient().to_record(&model).unwrap().memory;
                let mut passes = 0;
                let step = sam.step(0.1, model, |model| {
                    passes += 1;
                    match (passes == 1) == first {
                        true => broken(model, value),
                        false => pass(model, &batch),
                    }
                });
                let step = step.unwrap();
                assert_eq!(step.outcome, Outcome::Skipped { pass: pass_of }, "{name}");
                assert_eq!(bits(&step.module), before, "{name}");
                assert_eq!(
                    sam.optimizer().into_bytes().unwrap()[..],
                    state[..],
                    "{name}"
                );
                let record = sam.gradient().to_record(&step.module).unwrap();
                assert_eq!((record.steps, record.memory), (2, memory), "{name}");
                // And goes on.
                let next = sam.step(0.1, step.module, |model| pass(model, &batch));
                let next = next.unwrap();
                assert_eq!(next.outcome, Outcome::Stepped, "{name}");
                assert!(theta(&next.module).iter().all(|v| v.is_finite()), "{name}");
            }
        }
    }
}

#[test]
fn parameters_outside_the_group_stay_where_they_are_in_every_pass_and_are_trained() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    let batch = problem.batch(&flex(), DType::F64);
    let group = ParamGroup::from_predicate("weight");
    for (name, config) in methods() {
        let mut sam = config
            .with_group(group.clone())
            .init(SgdConfig::new().init())
            .unwrap();
        let mut model = problem.model(&flex(), DType::F64);
        let space = ParameterSpace::of(&model).unwrap();
        let part = |theta: &[f64], weights: bool| -> Vec<f64> {
            let parameters = space.parameters().iter();
            parameters
                .filter(|parameter| parameter.path.contains("weight") == weights)
                .flat_map(|parameter| theta[parameter.range.clone()].to_vec())
                .collect()
        };
        for _ in 0..3 {
            let before = theta(&model);
            let mut moved = false;
            let step = sam.step(0.1, model, |model| {
                let there = theta(model);
                assert_eq!(part(&there, false), part(&before, false), "{name}");
                moved |= part(&there, true) != part(&before, true);
                pass(model, &batch)
            });
            let step = step.unwrap();
            assert_eq!(moved, step.ascended_loss.is_some(), "{name}");
            model = step.module;
            assert_ne!(part(&theta(&model), false), part(&before, false), "{name}");
        }
    }
    let nothing = SamConfig::new().with_group(ParamGroup::from_predicate("nowhere"));
    let model = problem.model(&flex(), DType::F64);
    let passes = nothing
        .init_gradient()
        .unwrap()
        .loss_gradients(&model, |model: &Mlp| pass(model, &batch));
    assert!(matches!(passes.unwrap_err(), SharpnessError::NoParameters));
}

#[test]
fn half_precision_takes_every_method() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    let (batch, reference) = (
        problem.batch(&flex(), DType::F16),
        problem.batch(&flex(), DType::F64),
    );
    for (name, config) in methods() {
        let run = |dtype, batch: &Batch| {
            let mut sam = config.init(SgdConfig::new().init()).unwrap();
            let mut model = problem.model(&flex(), dtype);
            for _ in 0..4 {
                let step = sam.step(0.1, model, |model| pass(model, batch)).unwrap();
                assert_eq!(step.outcome, Outcome::Stepped);
                model = step.module;
            }
            theta(&model)
        };
        // Eigen-SAM's differences of gradients are noise here; the step they turn is not.
        let allowed = if name == "eigen-sam" || name == "friendly" {
            0.1
        } else {
            0.01
        };
        let error = relative_error(&run(DType::F16, &batch), &run(DType::F64, &reference), 0.0);
        assert!(error < allowed, "{name}: {error:e}");
    }
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let bad = [-1e-3, f64::NAN, f64::INFINITY];
    let mut cases: Vec<(SamRule, &str)> = vec![
        (LookSamConfig::new().with_interval(0).into(), "interval"),
        (EigenSamConfig::new().with_interval(0).into(), "interval"),
        (EigenSamConfig::new().with_products(0).into(), "products"),
        (NsoConfig::new().with_pairs(0).into(), "pairs"),
        (FriendlySamConfig::new().with_lambda(1.0).into(), "lambda"),
        (WsamConfig::new().with_gamma(1.0).into(), "gamma"),
    ];
    for value in bad {
        cases.extend([
            (GsamConfig::new().with_alpha(value).into(), "alpha"),
            (FriendlySamConfig::new().with_sigma(value).into(), "sigma"),
            (FriendlySamConfig::new().with_lambda(value).into(), "lambda"),
            (LookSamConfig::new().with_alpha(value).into(), "alpha"),
            (WsamConfig::new().with_gamma(value).into(), "gamma"),
            (EigenSamConfig::new().with_alpha(value).into(), "alpha"),
            (
                EigenSamConfig::new().with_tolerance(value).into(),
                "tolerance",
            ),
        ]);
    }
    for (rule, name) in cases {
        let error = SamConfig::of(rule).init_gradient().unwrap_err();
        assert!(
            matches!(error, SharpnessError::Option { option, .. } if option == name),
            "{error}"
        );
    }
    let follow = FollowRateConfig::new(0.0, 0.0);
    let config = SamConfig::new().with_follow_rate(Some(follow));
    assert!(config.init_gradient().is_err());
}

// --- burn-train.

impl TrainStep for Normed {
    type Input = Data;
    type Output = RegressionOutput;

    fn step(&self, batch: Data) -> TrainOutput<RegressionOutput> {
        let out = self.forward(&batch.x);
        let loss = (out.clone() - batch.y.clone()).square().mean();
        let grads = loss.backward();
        TrainOutput::new(self, grads, RegressionOutput::new(loss, out, batch.y))
    }
}

#[test]
fn a_learner_with_any_method_is_bit_for_bit_a_loop_with_it() {
    let _turn = turn();
    let device = flex();
    let batches = data(&device);
    for (name, config) in methods() {
        let gradient = config.init_gradient().unwrap();
        let start = Normed::new(&device, 0.25);
        if config.rule.is_decoupled() {
            let error = SamModel::new(start, gradient).unwrap_err();
            assert!(matches!(error, SharpnessError::DecoupledStep), "{name}");
            continue;
        }
        let mut model = burn_penalty::isolated(&start);
        let mut sam = config.init(AdamConfig::new().init()).unwrap();
        let mut learner = SamModel::new(start, gradient).unwrap();
        let mut optimizer = AdamConfig::new().init();
        for number in 0..5 {
            let batch = &batches[number % 2];
            let output = TrainStep::step(&learner, batch.clone());
            learner = learner.optimize(&mut optimizer, 0.05.into(), output.grads);
            let step = sam.step(0.05, model, |model: &Normed| model.pass(batch));
            let step = step.unwrap();
            assert_eq!(values(output.item.loss), [step.loss], "{name}");
            model = step.module;
            assert_eq!(bits(&learner.model), bits(&model), "{name}");
        }
        assert_eq!(learner.model.statistics(), model.statistics(), "{name}");
        let record = learner.to_method_record().unwrap();
        assert_eq!(record, sam.gradient().to_record(&model).unwrap(), "{name}");
        assert_eq!((learner.skipped(), learner.refused().is_none()), (0, true));
    }
    // What is refused before its first pass still has an output.
    let nothing = SamConfig::of(NsoConfig::new()).with_group(ParamGroup::from_predicate("nowhere"));
    let gradient = nothing.init_gradient().unwrap();
    let learner = SamModel::new(Normed::new(&device, 0.0), gradient).unwrap();
    let output = TrainStep::step(&learner, batches[0].clone());
    assert!(output.grads.is_empty() && values(output.item.loss)[0] > 0.0);
    assert!(matches!(
        learner.refused(),
        Some(SharpnessError::NoParameters)
    ));
}

#[test]
fn a_radius_follows_the_rate_that_a_training_loop_says() {
    let _turn = turn();
    let problem = Problem::new(&[3, 4, 2], 8, 0.7);
    let batch = problem.batch(&flex(), DType::F64);
    let follow = FollowRateConfig::new(0.0, 0.1);
    let config = SamConfig::new()
        .with_rho(0.4)
        .with_follow_rate(Some(follow));
    let mut gradient = config.init_gradient().unwrap();
    let model = problem.model(&flex(), DType::F64);
    let start = theta(&model);
    let length = |gradient: &mut SamGradient| {
        let mut farthest: f64 = 0.0;
        let passes = gradient.loss_gradients(&model, |model: &Mlp| {
            let there = theta(model);
            let squares = there.iter().zip(&start).map(|(a, b)| (a - b).powi(2));
            farthest = farthest.max(squares.sum::<f64>().sqrt());
            pass(model, &batch)
        });
        drop(passes.unwrap());
        farthest
    };
    // Until it is said, ρ itself.
    let mut lengths = vec![length(&mut gradient)];
    for rate in [0.05, 0.0, 0.2] {
        gradient.at_rate(rate);
        lengths.push(length(&mut gradient));
    }
    let error = relative_error(&lengths, &[0.4, 0.2, 0.0, 0.4], 0.0);
    assert!(error < 1e-14, "{lengths:?}");
}
