//! One suite over the backends: host and device execution, penalty and inject, both evaluations, against the golden
//! cases. wgpu needs an adapter; without one its tests say that they were skipped, and fail where `HSR_REQUIRE_WGPU`
//! is set, as in CI.

use burn::module::Param;
use burn::nn::Linear;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_hsr::{
    Activation, Backend, Evaluation, Execution, HsrConfig, HsrError, HsrGradient, HsrLossConfig,
    LossGradients, Mode, OutputLoss, Sharpness, Targets, ThreeLayer, ThreeLayerNet,
    activation_forward,
};
use hsr_core::Workspace;
use hsr_core::depth::{DeepEvaluation, DeepWorkspace, FeedForward, Objective};
use hsr_tests::golden::{Golden, cases};
use hsr_tests::{backends, is_host, relative_error, tensor, values};

fn transpose(matrix: &[f64], columns: usize) -> Vec<f64> {
    (0..columns)
        .flat_map(|c| matrix.iter().skip(c).step_by(columns).copied())
        .collect()
}

/// The case as a Burn network on an autodiff device.
fn network(case: &Golden, device: &Device, dtype: DType) -> ThreeLayerNet {
    let layer = |weight: &[f64], bias: Option<&Vec<f64>>, shape: [usize; 2]| Linear {
        weight: Param::from_tensor(tensor(&transpose(weight, shape[0]), shape, device, dtype)),
        bias: bias.map(|bias| Param::from_tensor(tensor(bias, [shape[1]], device, dtype))),
    };
    ThreeLayerNet::new(
        layer(
            &case.hidden_weight,
            case.hidden_bias_values.as_ref(),
            [case.inputs, case.hidden],
        ),
        case.activation(),
        layer(
            &case.output_weight,
            case.output_bias_values.as_ref(),
            [case.hidden, case.outputs],
        ),
    )
}

fn batch(case: &Golden, device: &Device, dtype: DType) -> (Tensor<2>, Targets) {
    let x = tensor(&case.x, [case.samples, case.inputs], device, dtype);
    let y = tensor(&case.y, [case.samples, case.outputs], device, dtype);
    let weights = tensor(&case.sample_weights, [case.samples], device, dtype);
    (x, Targets::from(y).with_sample_weights(weights))
}

/// A gradient in the order of θ (PyTorch's layout).
fn flat(gradient: HsrGradient, case: &Golden) -> Vec<f64> {
    let sizes = [case.hidden, case.outputs];
    let parts = gradient.layers.into_iter().zip(sizes);
    let parts = parts.flat_map(|(layer, size)| {
        let weight = layer.weight.map(values).unwrap_or_default();
        let bias = layer.bias.map(values).unwrap_or_default();
        [transpose(&weight, size), bias]
    });
    parts.collect::<Vec<_>>().concat()
}

/// The gradients that an optimizer would get, in the order of θ.
fn flat_params(gradients: &GradientsParams, model: &ThreeLayerNet, case: &Golden) -> Vec<f64> {
    let matrix = |param: &Param<Tensor<2>>, columns| {
        transpose(
            &values(gradients.get::<2>(param.id).expect("a gradient")),
            columns,
        )
    };
    let vector = |param: &Option<Param<Tensor<1>>>| {
        param
            .as_ref()
            .map(|bias| values(gradients.get::<1>(bias.id).expect("a gradient")))
            .unwrap_or_default()
    };
    [
        matrix(&model.hidden.weight, case.hidden),
        vector(&model.hidden.bias),
        matrix(&model.output.weight, case.outputs),
        vector(&model.output.bias),
    ]
    .concat()
}

fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F64 { 1e-10 } else { 1e-4 }
}

/// What goes through Burn's own activations: its sigmoid is of single precision on ndarray, whatever the type.
fn tolerance_of_forward(backend: Backend, dtype: DType) -> f64 {
    match backend {
        Backend::NdArray => tolerance(dtype).max(1e-6),
        _ => tolerance(dtype),
    }
}

/// A software GPU is slow: a few cases are enough there for what lies above the gradient.
fn cases_for(backend: Backend) -> Vec<Golden> {
    let all = cases();
    if is_host(backend) {
        return all;
    }
    all.into_iter()
        .filter(|case| {
            [
                "tanh-softmax-d2h3k3n20-b11",
                "silu-softmax-d3h4k5n16-b11-smoothed",
                "tanh-sigmoid-d3h4k3n14-b11-weighted",
                "gelu-mse-d5h3k1n9-b01-weighted",
            ]
            .contains(&case.name.as_str())
        })
        .collect()
}

#[test]
fn every_execution_and_evaluation_gives_the_golden_gradient_on_every_backend() {
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            for case in cases() {
                let device = device.clone().autodiff();
                let model = network(&case, &device, dtype);
                for execution in [Execution::Host, Execution::Device, Execution::Auto] {
                    for evaluation in [Evaluation::Assembled, Evaluation::Gram, Evaluation::Auto] {
                        let name = format!(
                            "{backend} {dtype:?} {} {execution:?} {evaluation:?}",
                            case.name
                        );
                        let hsr = HsrConfig::new()
                            .with_loss(case.loss_kind().into())
                            .with_execution(execution)
                            .with_evaluation(evaluation)
                            .init()
                            .unwrap();
                        let (x, y) = batch(&case, &device, dtype);
                        let gradient = hsr.gradient(&model, x, y, true).unwrap();
                        let tolerance = tolerance(dtype);
                        let lambda = values(gradient.value.clone());
                        let error = relative_error(&lambda, &[case.lambda_sup], 0.0);
                        assert!(error < tolerance, "{name}: {error:e}");
                        let inputs = values(gradient.inputs.clone().expect("asked for"));
                        let error = relative_error(&inputs, &case.input_grad, 0.0);
                        assert!(error < tolerance, "{name}: inputs {error:e}");
                        let error = relative_error(&flat(gradient, &case), &case.grad, 0.0);
                        assert!(error < tolerance, "{name}: {error:e}");
                    }
                }
            }
        }
    }
}

#[test]
fn penalty_and_inject_give_the_optimizer_the_same_gradient() {
    let strength = 0.3;
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            for case in cases_for(backend) {
                let device = device.clone().autodiff();
                let model = network(&case, &device, dtype);
                let mut hsr = HsrConfig::new()
                    .with_strength(strength)
                    .with_loss(case.loss_kind().into())
                    .init()
                    .unwrap();
                let (x, y) = batch(&case, &device, dtype);
                // Any differentiable loss will do: the regulariser adds to whatever gradient there is.
                let loss = |x: Tensor<2>| model.forward(x).square().mean();

                let plain = GradientsParams::from_grads(loss(x.clone()).backward(), &model);
                let plain = flat_params(&plain, &model, &case);
                let expected: Vec<f64> = plain
                    .iter()
                    .zip(&case.grad)
                    .map(|(plain, grad)| plain + strength * grad)
                    .collect();

                let grads = GradientsParams::from_grads(loss(x.clone()).backward(), &model);
                let injected = hsr.inject(&model, x.clone(), y.clone(), grads).unwrap();
                let injected = flat_params(&injected, &model, &case);

                let tracked = x.clone().inner().autodiff().require_grad();
                let penalty = hsr.penalty(&model, tracked.clone(), y).unwrap();
                let value = values(penalty.clone());
                let error = relative_error(&value, &[strength * case.lambda_sup], 0.0);
                assert!(
                    error < tolerance(dtype),
                    "{backend} {}: {error:e}",
                    case.name
                );
                let mut grads = (loss(x) + penalty).backward();
                let of_inputs = values(tracked.grad_remove(&mut grads).expect("tracked inputs"));
                let expected_inputs: Vec<f64> =
                    case.input_grad.iter().map(|g| strength * g).collect();
                let penalized = GradientsParams::from_grads(grads, &model);
                let penalized = flat_params(&penalized, &model, &case);

                let name = format!("{backend} {dtype:?} {}", case.name);
                for (path, ours) in [("inject", &injected), ("penalty", &penalized)] {
                    let error = relative_error(ours, &expected, 0.0);
                    assert!(error < tolerance(dtype), "{name} {path}: {error:e}");
                }
                let error = relative_error(&of_inputs, &expected_inputs, 0.0);
                assert!(error < tolerance(dtype), "{name} inputs: {error:e}");
            }
        }
    }
}

#[test]
fn the_forward_pass_has_the_values_and_slopes_of_the_closed_form_on_every_backend() {
    let at = [
        -25.0, -9.0, -3.0, -0.7, -1e-3, 0.0, 1e-3, 0.7, 3.0, 9.0, 25.0,
    ];
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            for activation in Activation::ALL {
                let smooth = |z: &f64| activation.is_smooth() || *z != 0.0;
                let at: Vec<f64> = at.into_iter().filter(smooth).collect();
                let z = tensor(&at, [at.len()], &device.clone().autodiff(), dtype);
                let z = z.require_grad();
                let value = activation_forward(activation, z.clone());
                let slope = z
                    .grad(&value.clone().sum().backward())
                    .map_or_else(Vec::new, values);
                let tolerance = tolerance_of_forward(backend, dtype);
                let exact: Vec<[f64; 4]> = at.iter().map(|&z| activation.derivatives(z)).collect();
                for (ours, order) in [(values(value), 0), (slope, 1)] {
                    let exact: Vec<f64> = exact.iter().map(|all| all[order]).collect();
                    let error = relative_error(&ours, &exact, 1.0);
                    let name = format!("{backend} {dtype:?} {activation} {order}");
                    assert!(error < tolerance, "{name}: {error:e}, {ours:?}");
                }
            }
        }
    }
}

#[test]
fn one_call_gives_the_loss_and_the_gradient_of_loss_and_bound_on_every_backend() {
    let strength = 0.3;
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            for case in cases_for(backend) {
                let device = device.clone().autodiff();
                let model = network(&case, &device, dtype);
                let expected: Vec<f64> = case
                    .loss_grad
                    .iter()
                    .zip(&case.grad)
                    .map(|(of_loss, of_bound)| of_loss + strength * of_bound)
                    .collect();
                for execution in [Execution::Host, Execution::Device, Execution::Auto] {
                    let name = format!("{backend} {dtype:?} {execution:?} {}", case.name);
                    let mut hsr = HsrConfig::new()
                        .with_strength(strength)
                        .with_loss(case.loss_kind().into())
                        .with_execution(execution)
                        .init()
                        .unwrap();
                    let (x, y) = batch(&case, &device, dtype);
                    let LossGradients { loss, gradients } =
                        hsr.loss_gradients(&model, x, y).unwrap();
                    let error = relative_error(&values(loss), &[case.loss], 0.0);
                    let tolerance = match execution {
                        Execution::Host => tolerance(dtype),
                        _ => tolerance_of_forward(backend, dtype),
                    };
                    assert!(error < tolerance, "{name}: loss {error:e}");
                    let ours = flat_params(&gradients, &model, &case);
                    let error = relative_error(&ours, &expected, 0.0);
                    assert!(error < tolerance, "{name}: {error:e}");
                    assert_eq!(hsr.to_record().unwrap().steps, 1, "{name}");
                }
            }
        }
    }
}

/// A measure in f64 through hsr-core, in the order of θ: what `tests/peers.rs` checks.
fn exact(sharpness: Sharpness, case: &Golden) -> (f64, Vec<f64>, Vec<f64>) {
    let mut workspace = Workspace::new();
    let mut gradient = vec![f64::NAN; case.parameters];
    let mut inputs = vec![f64::NAN; case.x.len()];
    let (network, batch) = (case.network(), case.batch());
    let (to, x) = (&mut gradient[..], Some(&mut inputs[..]));
    let auto = Evaluation::Auto;
    let value = match sharpness {
        Sharpness::LambdaSup => workspace
            .bounds_gradient(&network, &batch, auto, to, x)
            .map(|bounds| bounds.lambda_sup),
        Sharpness::Trace => workspace.trace_gradient(&network, &batch, to, x),
        Sharpness::Frobenius => workspace.frobenius_gradient(&network, &batch, auto, to, x),
        Sharpness::GradientNorm => workspace.gradient_norm_gradient(&network, &batch, to, x),
        Sharpness::LambdaMax => {
            let options = hsr_core::LanczosOptions::default();
            let pair = workspace.lambda_max_gradient(&network, &batch, &options, to, x);
            pair.map(|pair| pair.value)
        }
        Sharpness::LambdaBlock | Sharpness::LambdaDiagonal | Sharpness::GaussNewton => {
            let objective = match sharpness {
                Sharpness::LambdaBlock => Objective::LambdaBlock,
                Sharpness::LambdaDiagonal => Objective::LambdaDiagonal,
                _ => Objective::GaussNewton,
            };
            let (shapes, theta) = case.layers();
            let network = FeedForward::from_flat(&shapes, &theta).unwrap();
            let mut workspace = DeepWorkspace::new();
            let auto = &DeepEvaluation::Auto;
            workspace.objective_gradient(&network, &batch, objective, auto, to, x)
        }
    };
    (value.unwrap(), gradient, inputs)
}

#[test]
fn every_measure_of_sharpness_is_injected_and_a_penalty_on_every_backend() {
    let strength = 0.3;
    for (backend, device, dtypes) in backends() {
        for (dtype, case) in dtypes.iter().flat_map(|&dtype| {
            let cases = cases_for(backend).into_iter();
            cases.map(move |case| (dtype, case))
        }) {
            // A multiple eigenvalue has many subgradients.
            let [.., second, largest] = case.eigenvalues[..] else {
                continue;
            };
            let simple = largest - second > 5e-2 * largest.abs();
            for sharpness in Sharpness::ALL {
                if sharpness == Sharpness::LambdaMax && !simple {
                    continue;
                }
                let (value, gradient, of_inputs) = exact(sharpness, &case);
                let device = device.clone().autodiff();
                let model = network(&case, &device, dtype);
                let tolerance = match sharpness {
                    // The iteration ends at a residual of 1e-4, and the gradient errs by that over the gap.
                    Sharpness::LambdaMax => 5e-3,
                    _ => tolerance(dtype),
                };
                for execution in [Execution::Auto, Execution::Host, Execution::Device] {
                    let name = format!(
                        "{backend} {dtype:?} {sharpness:?} {execution:?} {}",
                        case.name
                    );
                    let hsr = HsrConfig::new()
                        .with_sharpness(sharpness)
                        .with_strength(strength)
                        .with_loss(case.loss_kind().into())
                        .with_execution(execution)
                        .init();
                    let mut hsr = match (execution, sharpness) {
                        (
                            Execution::Device,
                            Sharpness::LambdaMax
                            | Sharpness::GradientNorm
                            | Sharpness::LambdaBlock
                            | Sharpness::LambdaDiagonal
                            | Sharpness::GaussNewton,
                        ) => {
                            assert!(matches!(hsr, Err(HsrError::HostOnly { .. })), "{name}");
                            continue;
                        }
                        _ => hsr.unwrap(),
                    };
                    let (x, y) = batch(&case, &device, dtype);
                    let injected = hsr
                        .inject(&model, x.clone(), y.clone(), GradientsParams::new())
                        .unwrap();
                    let tracked = x.inner().autodiff().require_grad();
                    let penalty = hsr.penalty(&model, tracked.clone(), y).unwrap();
                    let error = relative_error(&values(penalty.clone()), &[strength * value], 0.0);
                    assert!(error < tolerance, "{name}: {error:e}");
                    let mut grads = penalty.backward();
                    let inputs = values(tracked.grad_remove(&mut grads).expect("tracked inputs"));
                    let penalized = GradientsParams::from_grads(grads, &model);
                    let scaled = |v: &[f64]| v.iter().map(|v| strength * v).collect::<Vec<f64>>();
                    let floor = 1e-2 * strength * value.abs();
                    for ours in [injected, penalized] {
                        let ours = flat_params(&ours, &model, &case);
                        let error = relative_error(&ours, &scaled(&gradient), floor);
                        assert!(error < tolerance, "{name}: {error:e}");
                    }
                    let error = relative_error(&inputs, &scaled(&of_inputs), floor);
                    assert!(error < tolerance, "{name} inputs: {error:e}");
                }
            }
        }
    }
}

fn first_case() -> Golden {
    cases()
        .into_iter()
        .find(|case| case.name == "tanh-softmax-d2h3k3n20-b11")
        .unwrap()
}

fn parameters(model: &ThreeLayerNet, case: &Golden) -> Vec<f64> {
    [
        transpose(&values(model.hidden.weight.val()), case.hidden),
        values(model.hidden.bias.as_ref().unwrap().val()),
        transpose(&values(model.output.weight.val()), case.outputs),
        values(model.output.bias.as_ref().unwrap().val()),
    ]
    .concat()
}

#[test]
fn each_mode_takes_exactly_its_step() {
    let (lr, strength) = (0.1, 0.5);
    for (backend, device, dtypes) in backends() {
        let dtype = dtypes[0];
        let case = first_case();
        let device = device.autodiff();
        let norm = case.grad.iter().map(|g| g * g).sum::<f64>().sqrt();
        for (mode, factor) in [
            (Mode::Coupled, strength),
            (Mode::Decoupled, strength),
            (Mode::Direction, strength / norm),
        ] {
            let model = network(&case, &device, dtype);
            let mut hsr = HsrConfig::new()
                .with_strength(strength)
                .with_mode(mode)
                .init()
                .unwrap();
            let (x, y) = batch(&case, &device, dtype);
            let before = parameters(&model, &case);
            let loss = model.forward(x.clone()).square().mean();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            let of_loss = flat_params(&grads, &model, &case);
            let mut optimizer = SgdConfig::new().init();
            let model = hsr.step(&mut optimizer, lr, model, x, y, grads).unwrap();
            let expected: Vec<f64> = (0..before.len())
                .map(|i| before[i] - lr * (of_loss[i] + factor * case.grad[i]))
                .collect();
            let error = relative_error(&parameters(&model, &case), &expected, 0.0);
            assert!(error < tolerance(dtype), "{backend} {mode:?}: {error:e}");
            assert!(
                model.hidden.weight.val().is_require_grad(),
                "still trainable"
            );
        }
    }
}

#[test]
fn strength_zero_is_bit_identical_to_the_plain_optimizer() {
    let case = first_case();
    for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
        let device = Device::flex().autodiff();
        let model = network(&case, &device, DType::F32);
        let (x, y) = batch(&case, &device, DType::F32);
        let grads = || {
            let loss = model.forward(x.clone()).square().mean();
            GradientsParams::from_grads(loss.backward(), &model)
        };
        let plain = SgdConfig::new().init().step(0.1, model.clone(), grads());
        let mut hsr = HsrConfig::new()
            .with_strength(0.0)
            .with_mode(mode)
            .init()
            .unwrap();
        let ours = hsr
            .step(
                &mut SgdConfig::new().init(),
                0.1,
                model.clone(),
                x.clone(),
                y.clone(),
                grads(),
            )
            .unwrap();
        assert_eq!(parameters(&plain, &case), parameters(&ours, &case));
    }
}

#[test]
fn frozen_parameters_stay_frozen() {
    let case = first_case();
    for mode in [Mode::Coupled, Mode::Decoupled] {
        let device = Device::flex().autodiff();
        let mut model = network(&case, &device, DType::F32);
        model.hidden.weight = model.hidden.weight.set_require_grad(false);
        let (x, y) = batch(&case, &device, DType::F32);
        let before = values(model.hidden.weight.val());
        let output = values(model.output.weight.val());
        let loss = model.forward(x.clone()).square().mean();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        let mut hsr = HsrConfig::new()
            .with_strength(1.0)
            .with_mode(mode)
            .init()
            .unwrap();
        let model = hsr
            .step(&mut SgdConfig::new().init(), 0.1, model, x, y, grads)
            .unwrap();
        assert_eq!(values(model.hidden.weight.val()), before);
        assert_ne!(values(model.output.weight.val()), output);
    }
}

#[test]
fn class_indices_smoothing_and_class_weights_agree_between_host_and_device() {
    let case = first_case();
    let classes: Vec<i64> = case.classes().unwrap().iter().map(|&c| c as i64).collect();
    for (backend, device, dtypes) in backends() {
        let dtype = dtypes[0];
        let model = network(&case, &device.clone().autodiff(), dtype);
        let (x, _) = batch(&case, &device, dtype);
        let y =
            Tensor::<1, Int>::from_data(TensorData::new(classes.clone(), [case.samples]), &device);
        let run = |execution| {
            let loss = HsrLossConfig::new()
                .with_label_smoothing(0.1)
                .with_class_weights(Some(vec![1.0, 0.25, 3.0]));
            let hsr = HsrConfig::new()
                .with_loss(loss)
                .with_execution(execution)
                .init()
                .unwrap();
            flat(
                hsr.gradient(&model, x.clone(), y.clone(), false).unwrap(),
                &case,
            )
        };
        let error = relative_error(&run(Execution::Device), &run(Execution::Host), 0.0);
        assert!(error < tolerance(dtype), "{backend}: {error:e}");
    }
}

#[test]
fn single_precision_that_overflows_on_the_host_is_computed_in_double() {
    // Identity, weights of 1e7: ‖H‖² is about 1e58, beyond f32, λ_sup about 1e28 is not.
    let mut case = cases()
        .into_iter()
        .find(|case| case.name == "identity-softmax-d2h3k3n20-b11")
        .unwrap();
    case.loss_kind = "mse".into();
    for weight in case.hidden_weight.iter_mut().chain(&mut case.output_weight) {
        *weight *= 1e7;
    }
    let device = Device::flex().autodiff();
    let hsr = HsrConfig::new()
        .with_loss(OutputLoss::MeanSquaredError.into())
        .init()
        .unwrap();
    let lambda = |dtype| {
        let model = network(&case, &device, dtype);
        let (x, y) = batch(&case, &device, dtype);
        values(hsr.gradient(&model, x, y, false).unwrap().value)[0]
    };
    let (single, double) = (lambda(DType::F32), lambda(DType::F64));
    assert!(double > 1e13, "{double:e}");
    assert!(
        ((single - double) / double).abs() < 1e-4,
        "{single:e} {double:e}"
    );
}

#[test]
fn saturated_networks_give_zero_and_never_nan_on_the_device() {
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            let mut case = first_case();
            for weight in case.hidden_weight.iter_mut().chain(&mut case.output_weight) {
                *weight *= 1e12;
            }
            let model = network(&case, &device.clone().autodiff(), dtype);
            let (x, y) = batch(&case, &device, dtype);
            let hsr = HsrConfig::new()
                .with_execution(Execution::Device)
                .init()
                .unwrap();
            let gradient = hsr.gradient(&model, x, y, true).unwrap();
            let lambda = values(gradient.value.clone())[0];
            assert!(lambda >= 0.0, "{backend} {dtype:?}: {lambda}");
            assert!(
                flat(gradient, &case).iter().all(|g| g.is_finite()),
                "{backend} {dtype:?}"
            );
        }
    }
}

#[test]
fn errors_name_what_does_not_fit() {
    let case = first_case();
    let device = Device::flex().autodiff();
    let model = network(&case, &device, DType::F32);
    let (x, y) = batch(&case, &device, DType::F32);
    let hsr = HsrConfig::new().init().unwrap();
    let wide = Tensor::<2>::zeros([case.samples, 7], &device);
    let error = hsr.gradient(&model, wide, y.clone(), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the input batch has shape [20, 7], expected [samples ≥ 1, 2]"
    );
    let few = Tensor::<1, Int>::zeros([3], &device);
    let error = hsr.gradient(&model, x.clone(), few, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the targets has shape [3], expected [20]"
    );
    let outside = Tensor::<1, Int>::full([20], 9, &device);
    let error = hsr.gradient(&model, x.clone(), outside, false).unwrap_err();
    assert!(matches!(
        error,
        HsrError::Core(hsr_core::Error::Label {
            sample: 0,
            label: 9,
            classes: 3
        })
    ));
    let error = HsrConfig::new().with_strength(-1.0).init().unwrap_err();
    assert!(
        matches!(
            error,
            HsrError::Config {
                option: "strength",
                ..
            }
        ),
        "{error}"
    );
    let mut decoupled = HsrConfig::new().with_mode(Mode::Decoupled).init().unwrap();
    let error = decoupled.penalty(&model, x, y).unwrap_err();
    assert_eq!(
        error,
        HsrError::Decoupled {
            entry: "Hsr::penalty"
        }
    );
    assert_eq!(model.dimensions().parameters(), 21);
    let error = "gpu".parse::<Backend>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown backend \"gpu\", expected one of default, flex, ndarray, cpu, wgpu, vulkan, metal, webgpu, cuda, \
         rocm, remote"
    );
}
