//! What can be descended in λ_sup's place, tr H, ‖H‖_F, ‖∇L‖ and vᵀHv: values against the golden cases, gradients
//! against the golden gradient of λ_sup where an identity ties them to it, and against central differences.

use hsr_core::{Evaluation, LanczosOptions, Network, Workspace};
use hsr_tests::golden::{Golden, cases};
use hsr_tests::{central_differences, relative_error};

/// Value, gradient for the parameters and for the inputs.
struct Evaluated {
    value: f64,
    gradient: Vec<f64>,
    inputs: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Peer {
    Trace,
    Frobenius(Evaluation),
    GradientNorm,
    /// Along the golden case's v.
    Along,
}

const PEERS: [Peer; 5] = [
    Peer::Trace,
    Peer::Frobenius(Evaluation::Assembled),
    Peer::Frobenius(Evaluation::Gram),
    Peer::GradientNorm,
    Peer::Along,
];

fn evaluate(workspace: &mut Workspace<f64>, peer: Peer, case: &Golden) -> Evaluated {
    // NaN shows what is not written.
    let mut gradient = vec![f64::NAN; case.parameters];
    let mut inputs = vec![f64::NAN; case.x.len()];
    let (network, batch) = (case.network(), case.batch());
    let (to, x) = (&mut gradient[..], Some(&mut inputs[..]));
    let value = match peer {
        Peer::Trace => workspace.trace_gradient(&network, &batch, to, x),
        Peer::Frobenius(evaluation) => {
            workspace.frobenius_gradient(&network, &batch, evaluation, to, x)
        }
        Peer::GradientNorm => workspace.gradient_norm_gradient(&network, &batch, to, x),
        Peer::Along => workspace.curvature_along_gradient(&network, &batch, &case.v, to, x),
    };
    Evaluated {
        value: value.unwrap_or_else(|error| panic!("{} {peer:?}: {error}", case.name)),
        gradient,
        inputs,
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The case with other parameters, in the order of `theta_order`.
fn at(case: &Golden, theta: &[f64]) -> Golden {
    let mut moved = case.clone();
    let mut rest = theta;
    let mut take = |values: &mut Vec<f64>| {
        let (these, others) = rest.split_at(values.len());
        values.copy_from_slice(these);
        rest = others;
    };
    take(&mut moved.hidden_weight);
    if let Some(bias) = &mut moved.hidden_bias_values {
        take(bias);
    }
    take(&mut moved.output_weight);
    if let Some(bias) = &mut moved.output_bias_values {
        take(bias);
    }
    moved
}

#[test]
fn values_equal_the_golden_ones() {
    let mut workspace = Workspace::new();
    for case in cases() {
        for peer in PEERS {
            let golden = match peer {
                Peer::Trace => case.trace,
                Peer::Frobenius(_) => case.frobenius_squared.sqrt(),
                Peer::GradientNorm => dot(&case.loss_grad, &case.loss_grad).sqrt(),
                Peer::Along => dot(&case.v, &case.hessian_vector_product),
            };
            let floor = match peer {
                // vᵀHv may cancel; ‖H‖‖v‖² does not.
                Peer::Along => 1e-2 * case.frobenius_squared.sqrt() * dot(&case.v, &case.v),
                _ => 1e-6 * case.frobenius_squared.sqrt(),
            };
            let value = evaluate(&mut workspace, peer, &case).value;
            let error = relative_error(&[value], &[golden], floor);
            assert!(error < 1e-10, "{} {peer:?}: {error:e}", case.name);
        }
    }
}

/// ∇λ_sup = w_t ∇t + w_q ∇q with ∇q = 2‖H‖ ∇‖H‖: the golden gradient, made of those of trace and norm.
#[test]
fn gradients_of_trace_and_norm_make_up_the_golden_gradient_of_the_bound() {
    let mut workspace = Workspace::new();
    for case in cases() {
        let d = case.parameters as f64;
        if case.std == 0.0 {
            continue;
        }
        let root = (d - 1.0).sqrt();
        let w_t = 1.0 / d - root * case.trace / (d * d * case.std);
        let w_q = root / (2.0 * d * case.std);
        let of_norm = 2.0 * w_q * case.frobenius_squared.sqrt();
        let trace = evaluate(&mut workspace, Peer::Trace, &case);
        for evaluation in [Evaluation::Assembled, Evaluation::Gram] {
            let norm = evaluate(&mut workspace, Peer::Frobenius(evaluation), &case);
            let combine = |t: &[f64], q: &[f64]| -> Vec<f64> {
                t.iter()
                    .zip(q)
                    .map(|(t, q)| w_t * t + of_norm * q)
                    .collect()
            };
            let gradient = combine(&trace.gradient, &norm.gradient);
            let error = relative_error(&gradient, &case.grad, 0.0);
            assert!(error < 1e-10, "{} {evaluation:?}: {error:e}", case.name);
            let inputs = combine(&trace.inputs, &norm.inputs);
            let error = relative_error(&inputs, &case.input_grad, 0.0);
            assert!(
                error < 1e-10,
                "{} {evaluation:?}: inputs {error:e}",
                case.name
            );
        }
    }
}

/// tr H = Σ_i e_iᵀ H e_i, and so are the gradients: two independent derivations.
#[test]
fn curvatures_along_all_coordinates_sum_to_the_trace_with_their_gradients() {
    let mut workspace = Workspace::new();
    for mut case in cases() {
        let trace = evaluate(&mut workspace, Peer::Trace, &case);
        let mut sum = Evaluated {
            value: 0.0,
            gradient: vec![0.0; case.parameters],
            inputs: vec![0.0; case.x.len()],
        };
        for i in 0..case.parameters {
            case.v.fill(0.0);
            case.v[i] = 1.0;
            let along = evaluate(&mut workspace, Peer::Along, &case);
            sum.value += along.value;
            for (sum, value) in sum.gradient.iter_mut().zip(&along.gradient) {
                *sum += value;
            }
            for (sum, value) in sum.inputs.iter_mut().zip(&along.inputs) {
                *sum += value;
            }
        }
        let floor = 1e-3 * trace.value.abs();
        for (ours, whole) in [
            (&[sum.value][..], &[trace.value][..]),
            (&sum.gradient, &trace.gradient),
            (&sum.inputs, &trace.inputs),
        ] {
            let error = relative_error(ours, whole, floor);
            assert!(error < 1e-10, "{}: {error:e}", case.name);
        }
    }
}

/// Central differences with a step of 6e-6 err by some 1e-11 of the value and of its third derivative.
#[test]
fn gradients_equal_central_differences() {
    let mut workspace = Workspace::new();
    for case in cases() {
        for peer in PEERS {
            let ours = evaluate(&mut workspace, peer, &case);
            let parameters = central_differences(&case.theta(), |theta| {
                evaluate(&mut workspace, peer, &at(&case, theta)).value
            });
            let inputs = central_differences(&case.x, |x| {
                let x = x.to_vec();
                evaluate(&mut workspace, peer, &Golden { x, ..case.clone() }).value
            });
            let floor = 1e-2 * ours.value.abs();
            for (what, ours, differences) in [
                ("parameters", &ours.gradient, &parameters),
                ("inputs", &ours.inputs, &inputs),
            ] {
                let error = relative_error(ours, differences, floor);
                assert!(error < 2e-7, "{} {peer:?}, {what}: {error:e}", case.name);
            }
        }
    }
}

#[test]
fn the_largest_eigenvalue_and_its_gradient_equal_the_golden_one_and_its_differences() {
    let mut workspace = Workspace::new();
    let options = LanczosOptions {
        tolerance: 1e-12,
        ..LanczosOptions::default()
    };
    let mut skipped = 0;
    for case in cases() {
        let [.., second, largest] = case.eigenvalues[..] else {
            continue;
        };
        // A multiple eigenvalue has no gradient.
        if largest - second < 1e-3 * largest.abs() {
            skipped += 1;
            continue;
        }
        let mut lambda_max = |case: &Golden| {
            let mut gradient = vec![f64::NAN; case.parameters];
            let mut inputs = vec![f64::NAN; case.x.len()];
            let (network, batch) = (case.network(), case.batch());
            let (to, x) = (&mut gradient[..], Some(&mut inputs[..]));
            let pair = workspace
                .lambda_max_gradient(&network, &batch, &options, to, x)
                .unwrap();
            assert!(pair.converged, "{}: {pair:?}", case.name);
            Evaluated {
                value: pair.value,
                gradient,
                inputs,
            }
        };
        let ours = lambda_max(&case);
        let error = relative_error(&[ours.value], &[largest], 0.0);
        assert!(error < 1e-10, "{}: {error:e}", case.name);
        let parameters =
            central_differences(&case.theta(), |theta| lambda_max(&at(&case, theta)).value);
        let inputs = central_differences(&case.x, |x| {
            let x = x.to_vec();
            lambda_max(&Golden { x, ..case.clone() }).value
        });
        let floor = 1e-2 * largest.abs();
        for (ours, differences) in [(&ours.gradient, parameters), (&ours.inputs, inputs)] {
            let error = relative_error(ours, &differences, floor);
            assert!(error < 1e-6, "{}: {error:e}", case.name);
        }
    }
    assert!(skipped <= 3, "{skipped} of 28 skipped");
}

/// A network and a batch in single precision, from a golden case.
struct Single {
    layers: [Vec<f32>; 4],
    x: Vec<f32>,
    y: Vec<f32>,
    weights: Vec<f32>,
}

#[test]
fn single_precision_agrees_with_double() {
    let cast = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let mut double = Workspace::new();
    let mut single = Workspace::<f32>::new();
    for case in cases() {
        let numbers = Single {
            layers: [
                cast(&case.hidden_weight),
                cast(case.hidden_bias_values.as_deref().unwrap_or_default()),
                cast(&case.output_weight),
                cast(case.output_bias_values.as_deref().unwrap_or_default()),
            ],
            x: cast(&case.x),
            y: cast(&case.y),
            weights: cast(&case.sample_weights),
        };
        let theta = numbers.layers.concat();
        let network = Network::from_flat(case.dimensions(), case.activation(), &theta).unwrap();
        let batch = hsr_core::Batch::new(
            case.loss_kind(),
            &numbers.x,
            hsr_core::Targets::Values(&numbers.y),
        )
        .with_sample_weights(&numbers.weights);
        for peer in PEERS {
            let exact = evaluate(&mut double, peer, &case);
            let mut gradient = vec![f32::NAN; case.parameters];
            let to = &mut gradient[..];
            let v = cast(&case.v);
            let value = match peer {
                Peer::Trace => single.trace_gradient(&network, &batch, to, None),
                Peer::Frobenius(evaluation) => {
                    single.frobenius_gradient(&network, &batch, evaluation, to, None)
                }
                Peer::GradientNorm => single.gradient_norm_gradient(&network, &batch, to, None),
                Peer::Along => single.curvature_along_gradient(&network, &batch, &v, to, None),
            }
            .unwrap();
            let gradient: Vec<f64> = gradient.iter().map(|&v| f64::from(v)).collect();
            let floor = match peer {
                Peer::Along => 1e-1 * case.frobenius_squared.sqrt() * dot(&case.v, &case.v),
                _ => 0.0,
            };
            let error = relative_error(&[f64::from(value)], &[exact.value], floor);
            assert!(error < 1e-4, "{} {peer:?}: {error:e}", case.name);
            let error = relative_error(&gradient, &exact.gradient, floor);
            assert!(error < 1e-4, "{} {peer:?}: gradient {error:e}", case.name);
        }
    }
}

#[test]
fn a_critical_point_and_a_vanished_hessian_give_zeros_and_not_nan() {
    // Identity activation, squared error, targets equal to the outputs: the loss is 0, and so is its gradient.
    let dimensions = hsr_core::Dimensions::new(1, 1, 1);
    let theta = [1.0, 0.0, 1.0, 0.0];
    let network = Network::from_flat(dimensions, hsr_core::Activation::Identity, &theta).unwrap();
    let (x, y) = ([0.5, -1.0], [0.5, -1.0]);
    let batch = hsr_core::Batch::new(
        hsr_core::OutputLoss::MeanSquaredError,
        &x,
        hsr_core::Targets::Values(&y),
    );
    let mut workspace = Workspace::new();
    let mut gradient = [f64::NAN; 4];
    let norm = workspace
        .gradient_norm_gradient(&network, &batch, &mut gradient, None)
        .unwrap();
    assert_eq!((norm, gradient), (0.0, [0.0; 4]));

    // One softmax output has the probability 1: H = 0 everywhere.
    let batch = hsr_core::Batch::new(
        hsr_core::OutputLoss::SoftmaxCrossEntropy,
        &x,
        hsr_core::Targets::Classes(&[0, 0]),
    );
    for norm in [true, false] {
        let mut gradient = [f64::NAN; 4];
        let to = &mut gradient[..];
        let value = if norm {
            workspace.frobenius_gradient(&network, &batch, Evaluation::Auto, to, None)
        } else {
            workspace.trace_gradient(&network, &batch, to, None)
        };
        assert_eq!((value.unwrap(), gradient), (0.0, [0.0; 4]));
    }
}
