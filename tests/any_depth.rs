//! burn-hsr at any depth: the golden cases by every execution, one `Linear`, heads of deeper models, frozen parameters,
//! modes, probes, records and the learner.

use burn::module::{Module, ModuleDisplay};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::store::ModuleRecord;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn::train::TrainStep;
use burn_hsr::train::{HsrBatch, HsrModel, LambdaSup, Quantity};
use burn_hsr::{
    Activation, Execution, Hsr, HsrConfig, HsrError, HsrGradient, HsrRecord, Layer, Layers, Mlp,
    MlpConfig, Mode, ProbeAverages, Sharpness, Targets, ThreeLayerNet,
};
use hsr_core::depth::DeepWorkspace;
use hsr_tests::golden_depth::cases;
use hsr_tests::mlp::Problem;
use hsr_tests::{backends, central_differences, is_host, relative_error, tensor, values};

const LR: f64 = 0.05;
const STRENGTH: f64 = 0.3;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A 3-4-4-4-3 network with a residual layer, in double precision.
fn deep(device: &Device) -> Mlp {
    problem().network(device, DType::F64)
}

fn problem() -> Fixture {
    Fixture(Problem::new(&[3, 4, 4, 4, 3], 10, 0.8))
}

/// The problem of the tests' own perceptron, whose Hessian hyper-dual numbers give.
struct Fixture(Problem);

impl Fixture {
    /// Without residual layers, for that Hessian.
    fn plain(&self, device: &Device, dtype: DType) -> Mlp {
        let layers = self.0.model(device, dtype).layers;
        let hidden = layers.len() - 1;
        Mlp::new(layers, vec![Activation::Tanh; hidden], vec![false; hidden])
    }

    fn network(&self, device: &Device, dtype: DType) -> Mlp {
        let layers = self.0.model(device, dtype).layers;
        let activations = vec![Activation::Tanh, Activation::Silu, Activation::Tanh];
        Mlp::new(layers, activations, vec![false, true, false])
    }

    fn batch(&self, device: &Device, dtype: DType) -> (Tensor<2>, Tensor<1, Int>) {
        let batch = self.0.batch(device, dtype);
        (batch.x, batch.y)
    }
}

fn hsr(config: HsrConfig) -> Hsr {
    config.with_strength(STRENGTH).init().unwrap()
}

/// The numbers of every parameter, in the order in which a module is visited, and whether they are trained.
fn parameters<M: Module>(model: &M) -> Vec<(Vec<f64>, bool)> {
    #[derive(Default)]
    struct Read(Vec<(Vec<f64>, bool)>);
    impl burn::module::ModuleVisitor for Read {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.push((values(param.val()), param.is_require_grad()));
        }
    }
    let mut read = Read::default();
    model.visit(&mut read);
    read.0
}

fn theta<M: Module>(model: &M) -> Vec<f64> {
    let parts = parameters(model).into_iter();
    parts.flat_map(|(numbers, _)| numbers).collect()
}

/// The same module at other numbers.
fn at<M: Module>(model: &M, theta: &[f64]) -> M {
    struct Put<'a>(&'a [f64]);
    impl burn::module::ModuleMapper for Put<'_> {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            let requires = param.is_require_grad();
            param.map(|old| {
                let (first, rest) = self.0.split_at(old.shape().num_elements());
                self.0 = rest;
                let data = TensorData::new(first.to_vec(), old.shape());
                let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
                new.set_require_grad(requires)
            })
        }
    }
    model.clone().map(&mut Put(theta))
}

/// What is registered for the parameters; zeros where nothing is.
fn registered<M: Module>(gradients: &GradientsParams, model: &M) -> Vec<f64> {
    struct Read<'a>(&'a GradientsParams, Vec<f64>);
    impl burn::module::ModuleVisitor for Read<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            let found = self.0.get::<D>(param.id).map(values);
            let zeros = || vec![0.0; param.shape().num_elements()];
            self.1.extend(found.unwrap_or_else(zeros));
        }
    }
    let mut read = Read(gradients, Vec::new());
    model.visit(&mut read);
    read.1
}

/// A gradient in Burn's order, with zeros for frozen parameters.
fn flat(gradient: HsrGradient, model: &impl Layers) -> Vec<f64> {
    let layers = model.layers();
    let parts = gradient.layers.into_iter().zip(&layers);
    parts
        .flat_map(|(part, layer)| {
            let linear = layer.linear();
            let zeros = |shape: burn::tensor::Shape| vec![0.0; shape.num_elements()];
            let weight = part.weight.map(values);
            let weight = weight.unwrap_or_else(|| zeros(linear.weight.shape()));
            let bias = linear.bias.as_ref().map(|bias| {
                let part = part.bias.map(values);
                part.unwrap_or_else(|| zeros(bias.shape()))
            });
            [weight, bias.unwrap_or_default()].concat()
        })
        .collect()
}

fn cross_entropy(logits: Tensor<2>, y: &Tensor<1, Int>) -> Tensor<1> {
    let loss = CrossEntropyLossConfig::new().init(&logits.device());
    loss.forward(logits, y.clone())
}

#[test]
fn every_execution_gives_the_golden_gradient_on_every_backend() {
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            for case in cases() {
                let device = device.clone().autodiff();
                let model = case.model(&device, dtype);
                for execution in [Execution::Host, Execution::Device, Execution::Auto] {
                    let name = format!("{backend} {dtype:?} {} {execution:?}", case.name);
                    // What is left of φ' there is less than the error of a GPU's own exponential.
                    if !is_host(backend)
                        && execution != Execution::Host
                        && case.name.ends_with("scale8")
                    {
                        continue;
                    }
                    let hsr = HsrConfig::new()
                        .with_loss(case.loss_kind().into())
                        .with_execution(execution)
                        .init()
                        .unwrap();
                    let (x, y) = case.batch(&device, dtype);
                    let gradient = hsr.gradient(&model, x, y, true).unwrap();
                    let tolerance = if dtype == DType::F64 { 1e-10 } else { 1e-4 };
                    let check = |what: &str, got: &[f64], expected: &[f64], tolerance: f64| {
                        let error = relative_error(got, expected, 0.0);
                        assert!(error < tolerance, "{name}: {what} {error:e}");
                    };
                    let lambda = values(gradient.value.clone());
                    check("λ_sup", &lambda, &[case.lambda_sup], tolerance);
                    // That of the saturated case is six orders below the gradient for the parameters.
                    let saturated = case.name.ends_with("scale8") && dtype != DType::F64;
                    let of_inputs = if saturated { 1e-3 } else { tolerance };
                    let inputs = values(gradient.inputs.clone().unwrap());
                    check("inputs", &inputs, &case.input_grad.concat(), of_inputs);
                    let parameters = case.flat(gradient);
                    check("parameters", &parameters, &case.grad, tolerance);
                }
            }
        }
    }
}

#[test]
fn the_bounds_of_blocks_and_their_gradients_are_the_golden_ones() {
    let device = device();
    for case in cases() {
        let model = case.model(&device, DType::F64);
        let (x, y) = case.batch(&device, DType::F64);
        let hsr = |sharpness| {
            let config = HsrConfig::new().with_loss(case.loss_kind().into());
            config.with_sharpness(sharpness).init().unwrap()
        };
        let bounds = hsr(Sharpness::LambdaSup)
            .layer_bounds(&model, x.clone(), y.clone())
            .unwrap();
        let own: Vec<f64> = bounds.layers.iter().map(|own| own.lambda_sup).collect();
        let error = relative_error(&own, &case.layer_lambda_sup, case.lambda_sup);
        assert!(error < 1e-10, "{}: {error:e}", case.name);
        for (sharpness, value, expected) in [
            (
                Sharpness::LambdaBlock,
                case.block_lambda_sup,
                &case.block_lambda_sup_grad,
            ),
            (
                Sharpness::LambdaDiagonal,
                case.layer_lambda_sup.iter().sum(),
                &case.layer_lambda_sup_sum_grad,
            ),
        ] {
            let gradient = hsr(sharpness).gradient(&model, x.clone(), y.clone(), false);
            let gradient = gradient.unwrap();
            let found = values(gradient.value.clone())[0];
            assert!((found / value - 1.0).abs() < 1e-10, "{}", case.name);
            let error = relative_error(&case.flat(gradient), expected, 0.0);
            assert!(error < 1e-9, "{} {sharpness:?}: {error:e}", case.name);
        }
    }
}

#[test]
fn one_linear_is_what_a_frozen_identity_before_it_took() {
    let device = device();
    let problem = Fixture(Problem::new(&[3, 3], 10, 0.8));
    let linear = problem.0.model(&device, DType::F64).layers.remove(0);
    let identity: Vec<f64> = (0..9).map(|i| f64::from(i % 4 == 0)).collect();
    let identity = Linear {
        weight: burn::module::Param::from_tensor(tensor(&identity, [3, 3], &device, DType::F64))
            .set_require_grad(false),
        bias: None,
    };
    let behind = ThreeLayerNet::new(identity, Activation::Identity, linear.clone());
    let (x, y) = problem.batch(&device, DType::F64);
    let expected: Vec<Vec<f64>> = problem
        .0
        .hessian()
        .chunks(12)
        .map(<[f64]>::to_vec)
        .collect();
    let trace: f64 = (0..12).map(|i| expected[i][i]).sum();
    for execution in [Execution::Host, Execution::Device] {
        let hsr = hsr(HsrConfig::new().with_execution(execution));
        let bounds = hsr.bounds(&linear, x.clone(), y.clone()).unwrap();
        assert!((bounds.moments.trace / trace - 1.0).abs() < 1e-12);
        assert_eq!(bounds.moments.parameters, 12);
        let alone = hsr.gradient(&linear, x.clone(), y.clone(), true).unwrap();
        let whole = hsr.gradient(&behind, x.clone(), y.clone(), true).unwrap();
        assert!(whole.layers[0].weight.is_none(), "{execution:?}");
        for (a, b) in [
            (values(alone.value), values(whole.value)),
            (values(alone.inputs.unwrap()), values(whole.inputs.unwrap())),
            (
                values(alone.layers[0].weight.clone().unwrap()),
                values(whole.layers[1].weight.clone().unwrap()),
            ),
            (
                values(alone.layers[0].bias.clone().unwrap()),
                values(whole.layers[1].bias.clone().unwrap()),
            ),
        ] {
            let error = relative_error(&a, &b, 0.0);
            assert!(error < 1e-12, "{execution:?}: {error:e}");
        }
    }
}

#[test]
fn frozen_parameters_are_no_part_of_the_hessian() {
    let device = device();
    let problem = Fixture(Problem::new(&[3, 4, 4, 3], 10, 0.8));
    let hessian = problem.0.hessian();
    let size = problem.0.theta.len();
    let (x, y) = problem.batch(&device, DType::F64);
    // Of every layer: whether its weight and its bias are frozen.
    for frozen in [
        [(true, true), (false, false), (false, false)],
        [(false, false), (true, true), (false, false)],
        [(false, true), (true, false), (false, true)],
        [(true, true), (true, true), (false, false)],
    ] {
        let mut model = problem.plain(&device, DType::F64);
        for (linear, (weight, bias)) in model.layers.iter_mut().zip(frozen) {
            linear.weight = linear.weight.clone().set_require_grad(!weight);
            let old = linear.bias.take();
            linear.bias = old.map(|old| old.set_require_grad(!bias));
        }
        let trained: Vec<bool> = parameters(&model)
            .into_iter()
            .flat_map(|(numbers, trained)| vec![trained; numbers.len()])
            .collect();
        let kept: Vec<usize> = (0..size).filter(|&i| trained[i]).collect();
        let trace: f64 = kept.iter().map(|&i| hessian[i * size + i]).sum();
        let square = |&i: &usize| {
            let row = kept.iter().map(|&j| hessian[i * size + j].powi(2));
            row.sum::<f64>()
        };
        let norm: f64 = kept.iter().map(square).sum();
        // A model for inference keeps what was frozen.
        let for_inference = model.valid();
        for model in [&model, &for_inference] {
            let config = HsrConfig::new();
            let (x, y) = (x.clone().without_autodiff(), y.clone());
            let moments = hsr(config).bounds(model, x, y).unwrap().moments;
            assert_eq!(moments.parameters, kept.len(), "{frozen:?}");
            let got = [moments.trace, moments.frobenius_squared];
            let error = relative_error(&got, &[trace, norm], 0.0);
            assert!(error < 1e-12, "{frozen:?}: {error:e}");
        }
        let of = |execution| {
            let hsr = hsr(HsrConfig::new().with_execution(execution));
            let gradient = hsr.gradient(&model, x.clone(), y.clone(), true).unwrap();
            let inputs = values(gradient.inputs.clone().unwrap());
            [
                values(gradient.value.clone()),
                inputs,
                flat(gradient, &model),
            ]
            .concat()
        };
        let error = relative_error(&of(Execution::Device), &of(Execution::Host), 0.0);
        assert!(error < 1e-11, "{frozen:?}: {error:e}");
    }
    // Where nothing is trained nothing is held fixed: a model for inference is measured whole.
    let model = problem.plain(&device, DType::F64).no_grad();
    let bounds = hsr(HsrConfig::new()).bounds(&model, x, y).unwrap();
    assert_eq!(bounds.moments.parameters, size);
}

/// A deeper model, whose head is one layer or several.
#[derive(Module, Debug)]
struct Headed<H: Module> {
    backbone: Linear,
    head: H,
}

impl<H: Module> Headed<H> {
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        self.backbone.forward(x).sin()
    }
}

fn the_backbone_gets_the_gradient_of_the_head<H: Module + ModuleDisplay + Layers>(
    head: H,
    logits: impl Fn(&H, Tensor<2>) -> Tensor<2>,
) {
    let device = device();
    let numbers = hsr_tests::mlp::noise(2 * 3 + 3, 5);
    let fresh = LinearConfig::new(2, 3).init(&device);
    let to_f64 = |linear: Linear| Linear {
        weight: linear.weight.map(|weight| {
            let weight = weight.inner().cast(DType::F64);
            Tensor::from_inner(weight).require_grad()
        }),
        bias: linear.bias.map(|bias| {
            bias.map(|bias| Tensor::from_inner(bias.inner().cast(DType::F64)).require_grad())
        }),
    };
    let model = Headed {
        backbone: at(&to_f64(fresh), &numbers),
        head,
    };
    let x = tensor(&hsr_tests::mlp::noise(16, 7), [8, 2], &device, DType::F64);
    let y: Vec<i64> = (0..8).map(|i| (i * i + 1) % 3).collect();
    let y = Tensor::<1, Int>::from_data(TensorData::new(y, [8]), &device);
    let config = HsrConfig::new();
    let objective = |numbers: &[f64]| {
        let model = at(&model, numbers);
        let features = model.features(x.clone());
        let bounds = hsr(config.clone()).bounds(&model.head, features.clone(), y.clone());
        let loss = cross_entropy(logits(&model.head, features), &y);
        values(loss)[0] + STRENGTH * bounds.unwrap().lambda_sup
    };
    let expected = central_differences(&theta(&model), objective);
    for execution in [Execution::Host, Execution::Device] {
        let mut hsr = hsr(config.clone().with_execution(execution));
        let features = model.features(x.clone());
        let loss = cross_entropy(logits(&model.head, features.clone()), &y);
        let penalty = hsr.penalty(&model.head, features, y.clone()).unwrap();
        let grads = GradientsParams::from_grads((loss + penalty).backward(), &model);
        let by_penalty = registered(&grads, &model);
        let error = relative_error(&by_penalty, &expected, 0.0);
        assert!(error < 1e-8, "{execution:?}: penalty {error:e}");

        let features = model.features(x.clone());
        let loss = cross_entropy(logits(&model.head, features.clone()), &y);
        let term = hsr.head(&model.head, features, y.clone()).unwrap();
        let grads = (loss + term.features_term()).backward();
        let grads = GradientsParams::from_grads(grads, &model);
        let by_head = registered(&term.inject(&model.head, grads), &model);
        let error = relative_error(&by_head, &by_penalty, 0.0);
        assert!(error < 1e-12, "{execution:?}: head {error:e}");
    }
}

#[test]
fn the_backbone_of_one_linear_gets_its_gradient() {
    let problem = Problem::new(&[3, 3], 8, 0.8);
    let linear = problem.model(&device(), DType::F64).layers.remove(0);
    the_backbone_gets_the_gradient_of_the_head(linear, Linear::forward);
}

#[test]
fn the_backbone_of_a_deep_head_gets_its_gradient() {
    the_backbone_gets_the_gradient_of_the_head(deep(&device()), Mlp::forward);
}

#[test]
fn each_mode_takes_exactly_its_step_at_depth() {
    let device = device();
    let mut model = deep(&device);
    let bias = model.layers[1].bias.take();
    model.layers[1].bias = bias.map(|bias| bias.set_require_grad(false));
    let (x, y) = problem().batch(&device, DType::F64);
    let of_loss = || {
        let loss = cross_entropy(model.forward(x.clone()), &y);
        GradientsParams::from_grads(loss.backward(), &model)
    };
    for execution in [Execution::Host, Execution::Device] {
        let config = HsrConfig::new().with_execution(execution);
        let gradient = hsr(config.clone()).gradient(&model, x.clone(), y.clone(), false);
        let lambda = flat(gradient.unwrap(), &model);
        let norm = lambda.iter().map(|v| v * v).sum::<f64>().sqrt();
        let loss = registered(&of_loss(), &model);
        for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
            let length = match mode {
                Mode::Direction => STRENGTH / norm,
                Mode::Coupled | Mode::Decoupled => STRENGTH,
            };
            let parts = theta(&model).into_iter().zip(loss.iter().zip(&lambda));
            let expected: Vec<f64> = parts
                .map(|(theta, (g, h))| theta - LR * (g + length * h))
                .collect();
            let mut hsr = hsr(config.clone().with_mode(mode));
            let mut sgd = SgdConfig::new().init();
            let (inputs, targets) = (x.clone(), y.clone());
            let stepped = hsr
                .step(&mut sgd, LR, model.clone(), inputs, targets, of_loss())
                .unwrap();
            let error = relative_error(&theta(&stepped), &expected, 0.0);
            assert!(error < 1e-13, "{execution:?} {mode:?}: {error:e}");
            let (inputs, targets) = (x.clone(), y.clone());
            let (stepped, _) = hsr
                .loss_step(&mut sgd, LR, model.clone(), inputs, targets)
                .unwrap();
            let error = relative_error(&theta(&stepped), &expected, 0.0);
            assert!(
                error < 1e-12,
                "{execution:?} {mode:?}: in one call {error:e}"
            );
        }
    }
}

#[test]
fn the_mean_of_probes_is_the_exact_gradient() {
    const STEPS: u64 = 4000;
    let device = device();
    let model = deep(&device);
    let (x, y) = problem().batch(&device, DType::F64);
    for sharpness in [Sharpness::LambdaSup, Sharpness::Frobenius, Sharpness::Trace] {
        let config = HsrConfig::new().with_sharpness(sharpness);
        let exact = hsr(config.clone());
        let moments = exact.bounds(&model, x.clone(), y.clone()).unwrap().moments;
        let expected = exact.gradient(&model, x.clone(), y.clone(), true).unwrap();
        let expected = [
            values(expected.inputs.clone().unwrap()),
            flat(expected, &model),
        ]
        .concat();
        // Averages of so many steps are the moments themselves, whatever one step adds.
        let averages = ProbeAverages {
            trace: moments.trace,
            frobenius_squared: moments.frobenius_squared,
            updates: 100_000,
        };
        let mut probing = hsr(config.with_probes(1));
        let (mut sum, mut squares) = (vec![0.0; expected.len()], vec![0.0; expected.len()]);
        for steps in 0..STEPS {
            probing = probing.load_record(HsrRecord {
                steps,
                averages: Some(averages),
                mean: None,
            });
            let one = probing
                .gradient(&model, x.clone(), y.clone(), true)
                .unwrap();
            let one = [values(one.inputs.clone().unwrap()), flat(one, &model)].concat();
            for ((sum, square), v) in sum.iter_mut().zip(&mut squares).zip(one) {
                *sum += v;
                *square += v * v;
            }
        }
        let n = STEPS as f64;
        // Deviations of the mean from the exact gradient in units of their standard error: squares of about 1 in the
        // mean, and none beyond five.
        let deviations: Vec<f64> = expected
            .iter()
            .zip(sum.iter().zip(&squares))
            .map(|(expected, (sum, square))| {
                let mean = sum / n;
                let error = ((square / n - mean * mean) / n).sqrt();
                (mean - expected).abs() / error.max(1e-12)
            })
            .collect();
        let largest = deviations.iter().copied().fold(0.0, f64::max);
        let mean_square = deviations.iter().map(|d| d * d).sum::<f64>() / deviations.len() as f64;
        assert!(largest < 5.0, "{sharpness:?}: {largest}");
        assert!(
            (0.3..2.5).contains(&mean_square),
            "{sharpness:?}: {mean_square}"
        );
        // A second probe halves the variance; it does not repeat the first.
        let of = |probes| {
            let hsr = hsr(HsrConfig::new()
                .with_sharpness(sharpness)
                .with_probes(probes));
            flat(
                hsr.gradient(&model, x.clone(), y.clone(), false).unwrap(),
                &model,
            )
        };
        assert_ne!(of(1), of(2));
        assert_eq!(of(2), of(2));
    }
}

#[test]
fn a_resumed_run_with_probes_takes_the_very_steps_of_an_uninterrupted_one() {
    let device = device();
    let (x, y) = problem().batch(&device, DType::F64);
    let config = HsrConfig::new().with_probes(2);
    let step = |hsr: &mut Hsr, model: Mlp| {
        let mut sgd = SgdConfig::new().init();
        let stepped = hsr.loss_step(&mut sgd, LR, model, x.clone(), y.clone());
        stepped.unwrap().0
    };
    let mut uninterrupted = hsr(config.clone());
    let mut expected = deep(&device);
    for _ in 0..6 {
        expected = step(&mut uninterrupted, expected);
    }
    let mut first = hsr(config.clone());
    let mut model = deep(&device);
    for _ in 0..3 {
        model = step(&mut first, model);
    }
    let record = HsrRecord::from_bytes(&first.to_record().unwrap().into_bytes()).unwrap();
    assert_eq!(record.steps, 3);
    assert_eq!(record.averages.unwrap().updates, 3);
    let mut second = hsr(config).load_record(record);
    for _ in 0..3 {
        model = step(&mut second, model);
    }
    assert_eq!(theta(&model), theta(&expected));
}

#[test]
fn probes_are_for_what_two_moments_say_and_for_the_host() {
    let config = HsrConfig::new().with_probes(1);
    let error = config.clone().with_sharpness(Sharpness::LambdaBlock);
    let error = error.init().unwrap_err();
    assert!(
        matches!(
            error,
            HsrError::Config {
                option: "probes",
                ..
            }
        ),
        "{error}"
    );
    let error = config.with_execution(Execution::Device).init().unwrap_err();
    assert!(matches!(error, HsrError::HostOnly { .. }), "{error}");
}

#[test]
fn a_network_keeps_its_parameters_through_a_record() {
    let device = device();
    let config = MlpConfig::new(4, vec![6, 6], 3).with_residual(true);
    let (trained, fresh) = (config.init(&device), config.init(&device));
    let before = theta(&trained);
    assert_ne!(before, theta(&fresh));
    let bytes = trained.into_record().into_bytes().unwrap();
    let loaded = fresh.load_record(ModuleRecord::from_bytes(bytes).unwrap());
    assert_eq!(theta(&loaded), before);
    assert!(loaded.layers()[1].is_residual() && !loaded.layers()[0].is_residual());
}

#[test]
fn the_learner_trains_a_deep_network_and_measures_it() {
    let device = device();
    let model = deep(&device);
    let (x, y) = problem().batch(&device, DType::F64);
    let mut hsr = hsr(HsrConfig::new());
    let learner = HsrModel::new(model.clone(), hsr.clone()).unwrap();
    let output = TrainStep::step(&learner, HsrBatch::new(x.clone(), y.clone()));
    let loss = cross_entropy(model.forward(x.clone()), &y);
    let penalty = hsr.penalty(&model, x.clone(), y.clone()).unwrap();
    let expected = GradientsParams::from_grads((loss + penalty).backward(), &model);
    let error = relative_error(
        &registered(&output.grads, &model),
        &registered(&expected, &model),
        0.0,
    );
    assert!(error < 1e-13, "{error:e}");
    let curvature = output.item.curvature.unwrap();
    let measured = LambdaSup::measure(&curvature).unwrap().unwrap();
    let bounds = hsr.bounds(&model, x, y).unwrap();
    assert!((measured / bounds.lambda_sup - 1.0).abs() < 1e-12);
}

#[test]
fn verification_finds_the_layer_that_is_another() {
    let device = device();
    let model = deep(&device);
    let (x, _) = problem().batch(&device, DType::F64);
    let hsr = hsr(HsrConfig::new());
    hsr.verify(&model, x.clone(), model.forward(x.clone()))
        .unwrap();
    let activations = vec![Activation::Tanh, Activation::Gelu, Activation::Tanh];
    let other = Mlp::new(model.layers.clone(), activations, vec![false, true, false]);
    let error = hsr.verify(&model, x.clone(), other.forward(x)).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with(
            "the model's logits are not those of its layers with φ = tanh, silu, tanh"
        ) && message.ends_with("they are those of φ = gelu in layer 2"),
        "{message}"
    );
}

/// A module whose layers do not fit what they say.
#[derive(Module, Debug)]
struct Odd {
    first: Linear,
    last: Linear,
    #[module(skip)]
    case: usize,
}

impl Layers for Odd {
    fn layers(&self) -> Vec<Layer<'_>> {
        let (first, last) = (Layer::new(&self.first), Layer::new(&self.last));
        match self.case {
            0 => vec![],
            1 => vec![first.with_residual(), last],
            2 => vec![first, last.with_activation(Activation::Tanh)],
            _ => vec![last, first],
        }
    }
}

#[test]
fn layers_that_do_not_fit_are_refused_by_name_wherever_they_are_computed() {
    let device = device();
    for (case, expected) in [
        (0, "the number of layers"),
        (1, "residual"),
        (2, "tanh"),
        (
            3,
            "the input batch has shape [5, 3], expected [samples ≥ 1, 4]",
        ),
    ] {
        let odd = Odd {
            first: LinearConfig::new(3, 4).init(&device),
            last: LinearConfig::new(4, 2).init(&device),
            case,
        };
        for execution in [Execution::Host, Execution::Device] {
            let x = Tensor::<2>::ones([5, 3], &device);
            let y = Targets::from(Tensor::<1, Int>::zeros([5], &device));
            let hsr = hsr(HsrConfig::new().with_execution(execution));
            let error = hsr.gradient(&odd, x, y, false).unwrap_err().to_string();
            assert!(error.contains(expected), "{case}: {error}");
        }
    }
}

#[test]
fn half_precision_parameters_get_the_gradient_of_single_precision_at_depth() {
    let device = device();
    let fixture = problem();
    let wide = fixture.network(&device, DType::F32);
    let (x, y) = fixture.batch(&device, DType::F32);
    // The rounded parameters are the same on both sides, so only the result is rounded.
    for (dtype, tolerance) in [(DType::F16, 2e-3), (DType::BF16, 2e-2)] {
        let cast = |model: &Mlp, dtype| {
            let linear = |linear: &Linear| Linear {
                weight: linear.weight.clone().map(|w| w.inner().cast(dtype)),
                bias: linear
                    .bias
                    .clone()
                    .map(|b| b.map(|b| b.inner().cast(dtype))),
            };
            let layers = model.layers.iter().map(linear).collect();
            let activations = vec![Activation::Tanh, Activation::Silu, Activation::Tanh];
            Mlp::new(layers, activations, vec![false, true, false])
        };
        let narrow = cast(&wide.valid(), dtype);
        let rounded = cast(&narrow, DType::F32);
        let x = x.clone().inner().cast(dtype);
        for execution in [Execution::Host, Execution::Device] {
            let hsr = hsr(HsrConfig::new().with_execution(execution));
            let of = |model: &Mlp, x: Tensor<2>| {
                let gradient = hsr.gradient(model, x, y.clone(), false).unwrap();
                let weight = gradient.layers[1].weight.clone().unwrap();
                (weight.dtype(), values(weight))
            };
            let (kind, got) = of(&narrow, x.clone());
            let (_, expected) = of(&rounded, x.clone().cast(DType::F32));
            assert_eq!(kind, dtype);
            let error = relative_error(&got, &expected, 0.0);
            assert!(error < tolerance, "{dtype:?} {execution:?}: {error}");
        }
    }
}

#[test]
fn the_closed_form_of_a_deep_network_is_ready_for_every_verb() {
    let device = device();
    let model = deep(&device);
    let (x, y) = problem().batch(&device, DType::F64);
    let hsr = hsr(HsrConfig::new());
    let closed_form = hsr
        .closed_form::<f64, _>(&model, x.clone(), y.clone())
        .unwrap();
    let error = closed_form.network().unwrap_err();
    assert_eq!(error, HsrError::NotThreeLayers { layers: 4 });
    let network = closed_form.feed_forward().unwrap();
    let size = network.parameters();
    let mut hessian = vec![0.0; size * size];
    let mut workspace = DeepWorkspace::new();
    workspace
        .hessian(&network, &closed_form.batch(), &mut hessian)
        .unwrap();
    let trace: f64 = hessian.iter().step_by(size + 1).sum();
    let norm: f64 = hessian.iter().map(|v| v * v).sum();
    let moments = hsr.bounds(&model, x, y).unwrap().moments;
    let got = [moments.trace, moments.frobenius_squared];
    assert!(relative_error(&got, &[trace, norm], 0.0) < 1e-12);
}

#[test]
fn lanczos_finds_the_ends_of_the_golden_spectra() {
    let device = device();
    for case in cases() {
        let model = case.model(&device, DType::F64);
        let (x, y) = case.batch(&device, DType::F64);
        let hsr = HsrConfig::new()
            .with_loss(case.loss_kind().into())
            .init()
            .unwrap();
        let ends = hsr.extremes(&model, x, y, &Default::default()).unwrap();
        let (first, last) = (case.eigenvalues[0], *case.eigenvalues.last().unwrap());
        let expected = [first.min(last), first.max(last)];
        let error = relative_error(&[ends.smallest, ends.largest], &expected, 0.0);
        assert!(error < 1e-7, "{}: {error:e}", case.name);
    }
}
