//! Degenerate and extreme inputs (theory §5): every verb gives finite numbers or says that something overflows, never
//! NaN and never a panic. And every typed error, with what it names.

use hsr_core::{
    Activation, Batch, DENSE_LIMIT, Dimensions, Error, Evaluation, Moments, Network, OutputLoss,
    Plan, Real, SpectralBounds, Targets, Workspace,
};
use hsr_tests::relative_error;

const EVALUATIONS: [Evaluation; 3] = [Evaluation::Assembled, Evaluation::Gram, Evaluation::Auto];
const LOSSES: [OutputLoss; 3] = [
    OutputLoss::SoftmaxCrossEntropy,
    OutputLoss::SigmoidCrossEntropy,
    OutputLoss::MeanSquaredError,
];

/// A network and a batch in f64, which may be seen in f32.
#[derive(Clone, Debug)]
struct Case {
    name: &'static str,
    dimensions: Dimensions,
    theta: Vec<f64>,
    x: Vec<f64>,
    classes: Vec<usize>,
    sample_weights: Option<Vec<f64>>,
}

/// What the verbs give, in f64.
#[derive(Debug)]
struct Values {
    bounds: SpectralBounds<f64>,
    gradient: Vec<f64>,
    inputs: Vec<f64>,
}

fn widen<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.as_f64()).collect()
}

/// All numbers of a set of bounds.
fn numbers<T: Real>(bounds: &SpectralBounds<T>) -> Vec<f64> {
    widen(&[
        bounds.moments.trace,
        bounds.moments.frobenius_squared,
        bounds.mean,
        bounds.std,
        bounds.lambda_sup,
        bounds.lambda_inf,
        bounds.lambda_max_lower,
        bounds.lambda_min_upper,
        bounds.spread_upper,
    ])
}

impl Case {
    /// Runs `verb` on this case in the scalar type `T`.
    fn run<T: Real, R>(
        &self,
        activation: Activation,
        loss: OutputLoss,
        verb: impl FnOnce(&mut Workspace<T>, &Network<T>, &Batch<T>) -> R,
    ) -> R {
        let cast = |values: &[f64]| values.iter().map(|&v| T::of(v)).collect::<Vec<T>>();
        let (theta, x) = (cast(&self.theta), cast(&self.x));
        let weights = self.sample_weights.as_deref().map(cast);
        let network = Network::from_flat(self.dimensions, activation, &theta).unwrap();
        let mut batch = Batch::new(loss, &x, Targets::Classes(&self.classes));
        if let Some(weights) = &weights {
            batch = batch.with_sample_weights(weights);
        }
        verb(&mut Workspace::new(), &network, &batch)
    }

    /// The bounds and their gradients.
    fn values<T: Real>(
        &self,
        activation: Activation,
        loss: OutputLoss,
        evaluation: Evaluation,
    ) -> Result<Values, Error> {
        self.run::<T, _>(activation, loss, |workspace, network, batch| {
            let mut gradient = vec![T::nan(); self.theta.len()];
            let mut inputs = vec![T::nan(); self.x.len()];
            let bounds = workspace.bounds_gradient(
                network,
                batch,
                evaluation,
                &mut gradient,
                Some(&mut inputs),
            )?;
            Ok(Values {
                bounds: SpectralBounds {
                    moments: Moments {
                        trace: bounds.moments.trace.as_f64(),
                        frobenius_squared: bounds.moments.frobenius_squared.as_f64(),
                        parameters: bounds.moments.parameters,
                    },
                    mean: bounds.mean.as_f64(),
                    std: bounds.std.as_f64(),
                    lambda_sup: bounds.lambda_sup.as_f64(),
                    lambda_inf: bounds.lambda_inf.as_f64(),
                    lambda_max_lower: bounds.lambda_max_lower.as_f64(),
                    lambda_min_upper: bounds.lambda_min_upper.as_f64(),
                    spread_upper: bounds.spread_upper.as_f64(),
                },
                gradient: widen(&gradient),
                inputs: widen(&inputs),
            })
        })
    }

    fn map_theta(&self, name: &'static str, map: impl Fn(usize, f64) -> f64) -> Case {
        let theta = self.theta.iter().enumerate();
        Case {
            name,
            theta: theta.map(|(i, &v)| map(i, v)).collect(),
            ..self.clone()
        }
    }

    fn map_x(&self, name: &'static str, map: impl Fn(f64) -> f64) -> Case {
        Case {
            name,
            x: self.x.iter().map(|&v| map(v)).collect(),
            ..self.clone()
        }
    }
}

/// Two inputs, three units, two outputs, five samples: five do not fill a lane.
fn moderate() -> Case {
    let dimensions = Dimensions::new(2, 3, 2);
    let wave = |count: usize, pace: f64| -> Vec<f64> {
        (0..count)
            .map(|i| (pace * (i as f64 + 1.0)).sin())
            .collect()
    };
    Case {
        name: "moderate",
        dimensions,
        theta: wave(dimensions.parameters(), 1.7),
        x: wave(10, 0.9),
        classes: vec![0, 1, 1, 0, 1],
        sample_weights: None,
    }
}

/// The smallest network there is: D = 2. D = 1 cannot be reached, for a layer without weights is refused.
fn smallest() -> Case {
    Case {
        name: "the smallest network",
        dimensions: Dimensions {
            hidden_bias: false,
            output_bias: false,
            ..Dimensions::new(1, 1, 1)
        },
        theta: vec![0.5, -0.7],
        x: vec![0.3],
        classes: vec![0],
        sample_weights: None,
    }
}

/// The inputs that this file is about.
fn cases() -> Vec<Case> {
    let base = moderate();
    let layout = base.dimensions.layout();
    let with_logits = |name, size: f64| {
        base.map_theta(name, |i, v| {
            if !layout.output_bias().contains(&i) {
                v
            } else if i == layout.output_bias().start {
                size
            } else {
                -size
            }
        })
    };
    let scaled = |name, scale: f64| base.map_theta(name, |_, v| v * scale);
    let only_samples = |name, order: &[usize]| Case {
        name,
        x: order
            .iter()
            .flat_map(|&n| base.x[2 * n..2 * n + 2].to_vec())
            .collect(),
        classes: order.iter().map(|&n| base.classes[n]).collect(),
        ..base.clone()
    };
    // z = W1 x + b1 = 0 for every sample, although b1 is huge.
    let cancelled = |name, size: f64| {
        let case = base.map_theta(name, |i, v| {
            if layout.hidden_weight().contains(&i) {
                if i % 2 == 0 { size } else { 0.0 }
            } else if layout.hidden_bias().contains(&i) {
                -size
            } else {
                v * size
            }
        });
        case.map_x(name, |_| 1.0)
    };
    // z = W1 x of order 1 and finite logits, but W2 and x so large that the gradient for W1 is not representable.
    let balanced = |name, size: f64| {
        let case = base.map_theta(name, |i, v| {
            if layout.hidden_weight().contains(&i) {
                v / size
            } else if layout.output_weight().contains(&i) {
                v * size
            } else {
                v
            }
        });
        case.map_x(name, |v| v * size)
    };
    vec![
        base.clone(),
        smallest(),
        with_logits("logits of 1e4 by the bias", 1e4),
        with_logits("logits of 88, where f32 ends", 44.0),
        with_logits("logits of 745, where f64 ends", 372.5),
        base.map_theta("logits of 1e4 by the weights", |i, v| {
            if layout.output_weight().contains(&i) {
                1e4 * v
            } else {
                v
            }
        }),
        scaled("all weights 0", 0.0),
        scaled("weights × 1e-12", 1e-12),
        scaled("weights × 1e12", 1e12),
        scaled("weights × 1e18", 1e18),
        scaled("weights × 1e37", 1e37),
        scaled("weights × 1e75", 1e75),
        scaled("weights × 1e150", 1e150),
        scaled("weights × 1e300", 1e300),
        scaled("weights subnormal in f32", 1e-40),
        scaled("weights subnormal in f64", 1e-310),
        base.map_theta("first layer × 1e12", |i, v| {
            if i < layout.output_weight().start {
                1e12 * v
            } else {
                v
            }
        }),
        base.map_theta("second layer × 1e12", |i, v| {
            if i < layout.output_weight().start {
                v
            } else {
                1e12 * v
            }
        }),
        base.map_x("all inputs 0", |_| 0.0),
        base.map_x("all inputs the same", |_| 0.7),
        base.map_x("inputs × 1e8", |v| v * 1e8),
        base.map_x("inputs × 1e18", |v| v * 1e18),
        base.map_x("inputs × 1e37", |v| v * 1e37),
        base.map_x("inputs × 1e300", |v| v * 1e300),
        base.map_x("inputs subnormal in f32", |v| v * 1e-40),
        base.map_x("inputs subnormal in f64", |v| v * 1e-310),
        cancelled("biases of 1e12 that cancel", 1e12),
        cancelled("biases of 1e25 that cancel", 1e25),
        cancelled("biases of 1e200 that cancel", 1e200),
        balanced("units of order 1 between huge layers, f32", 1e25),
        balanced("units of order 1 between huge layers, f64", 1e200),
        only_samples("one sample", &[2]),
        only_samples("identical samples", &[1; 9]),
        only_samples("one class", &[1, 2, 4, 4]),
        Case {
            name: "samples of weight 0",
            sample_weights: Some(vec![0.0, 1.0, 0.0, 2.0, 0.0]),
            ..base.clone()
        },
        Case {
            name: "a huge sample of weight 0",
            x: [&base.x[..8], &[1e30, -1e30]].concat(),
            sample_weights: Some(vec![1.0, 1.0, 1.0, 1.0, 0.0]),
            ..base.clone()
        },
        Case {
            name: "weights of 1e-30 and 1e30",
            sample_weights: Some(vec![1e-30, 1e30, 1.0, 1e-30, 1e30]),
            ..base.clone()
        },
    ]
}

/// Whether the case can be seen in `T`: a value beyond its range would be infinite and refused as such.
fn fits<T: Real>(case: &Case) -> bool {
    let representable = |values: &[f64]| values.iter().all(|&v| T::of(v).is_finite());
    representable(&case.theta) && representable(&case.x)
}

/// Runs `verb` over everything and asserts that it gives finite numbers or says that something overflows. All
/// offenders are listed.
fn assert_finite_or_overflow<T: Real>(
    verb: impl Fn(&mut Workspace<T>, &Network<T>, &Batch<T>) -> Result<Vec<f64>, Error>,
) {
    let mut offenders = Vec::new();
    for case in cases().into_iter().filter(fits::<T>) {
        for activation in Activation::ALL {
            for loss in LOSSES {
                let name = format!("{}, {activation}, {}", case.name, loss.name());
                match case.run::<T, _>(activation, loss, &verb) {
                    Ok(values) => {
                        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                            offenders.push(format!("{name}: value {at} is {}", values[at]));
                        }
                    }
                    Err(Error::Overflow { .. }) => {}
                    Err(error) => offenders.push(format!("{name}: {error}")),
                }
            }
        }
    }
    let count = offenders.len();
    offenders.truncate(40);
    assert!(
        offenders.is_empty(),
        "{count} offenders, such as {offenders:#?}"
    );
}

fn assert_bounds_are_finite_or_overflow<T: Real>() {
    for evaluation in EVALUATIONS {
        assert_finite_or_overflow::<T>(|workspace, network, batch| {
            let bounds = workspace.bounds(network, batch, evaluation)?;
            let share = workspace.gauss_newton_share(network, batch, evaluation)?;
            Ok([numbers(&bounds), vec![share.as_f64()]].concat())
        });
    }
}

#[test]
fn bounds_are_finite_or_overflow_in_f64() {
    assert_bounds_are_finite_or_overflow::<f64>();
}

#[test]
fn bounds_are_finite_or_overflow_in_f32() {
    assert_bounds_are_finite_or_overflow::<f32>();
}

fn assert_gradients_are_finite_or_overflow<T: Real>() {
    for evaluation in EVALUATIONS {
        assert_finite_or_overflow::<T>(|workspace, network, batch| {
            let dimensions = network.dimensions();
            let mut gradient = vec![T::nan(); dimensions.parameters()];
            workspace.bounds_gradient(network, batch, evaluation, &mut gradient, None)?;
            Ok(widen(&gradient))
        });
    }
}

#[test]
fn gradients_of_the_bound_are_finite_or_overflow_in_f64() {
    assert_gradients_are_finite_or_overflow::<f64>();
}

#[test]
fn gradients_of_the_bound_are_finite_or_overflow_in_f32() {
    assert_gradients_are_finite_or_overflow::<f32>();
}

fn assert_input_gradients_are_finite_or_overflow<T: Real>() {
    for evaluation in EVALUATIONS {
        // The batch does not tell how many inputs it holds; each case is asked.
        let mut offenders = Vec::new();
        for case in cases().into_iter().filter(fits::<T>) {
            for activation in Activation::ALL {
                for loss in LOSSES {
                    match case.values::<T>(activation, loss, evaluation) {
                        Ok(values) => {
                            if !values.inputs.iter().all(|v| v.is_finite()) {
                                let loss = loss.name();
                                offenders.push(format!("{}, {activation}, {loss}", case.name));
                            }
                        }
                        Err(error) => assert!(matches!(error, Error::Overflow { .. }), "{error}"),
                    }
                }
            }
        }
        assert!(offenders.is_empty(), "{evaluation:?}: {offenders:#?}");
    }
}

#[test]
fn gradients_for_the_inputs_are_finite_or_overflow_in_f64() {
    assert_input_gradients_are_finite_or_overflow::<f64>();
}

#[test]
fn gradients_for_the_inputs_are_finite_or_overflow_in_f32() {
    assert_input_gradients_are_finite_or_overflow::<f32>();
}

fn assert_losses_are_finite_or_overflow<T: Real>() {
    assert_finite_or_overflow::<T>(|workspace, network, batch| {
        let mut gradient = vec![T::nan(); network.dimensions().parameters()];
        let loss = workspace.loss_gradient(network, batch, &mut gradient)?;
        assert_eq!(workspace.loss(network, batch)?, loss);
        gradient.push(loss);
        Ok(widen(&gradient))
    });
}

#[test]
fn losses_and_their_gradients_are_finite_or_overflow_in_f64() {
    assert_losses_are_finite_or_overflow::<f64>();
}

#[test]
fn losses_and_their_gradients_are_finite_or_overflow_in_f32() {
    assert_losses_are_finite_or_overflow::<f32>();
}

fn assert_products_are_finite_or_overflow<T: Real>() {
    assert_finite_or_overflow::<T>(|workspace, network, batch| {
        let size = network.dimensions().parameters();
        let v: Vec<T> = (0..size).map(|i| T::of((i as f64).cos())).collect();
        let mut product = vec![T::nan(); size];
        workspace.hessian_vector_product(network, batch, &v, &mut product)?;
        Ok(widen(&product))
    });
}

#[test]
fn hessian_vector_products_are_finite_or_overflow_in_f64() {
    assert_products_are_finite_or_overflow::<f64>();
}

#[test]
fn hessian_vector_products_are_finite_or_overflow_in_f32() {
    assert_products_are_finite_or_overflow::<f32>();
}

fn assert_hessians_are_finite_or_overflow<T: Real>() {
    assert_finite_or_overflow::<T>(|workspace, network, batch| {
        let size = network.dimensions().parameters();
        let mut hessian = vec![T::nan(); size * size];
        workspace.hessian(network, batch, &mut hessian)?;
        Ok(widen(&hessian))
    });
}

#[test]
fn dense_hessians_are_finite_or_overflow_in_f64() {
    assert_hessians_are_finite_or_overflow::<f64>();
}

#[test]
fn dense_hessians_are_finite_or_overflow_in_f32() {
    assert_hessians_are_finite_or_overflow::<f32>();
}

#[test]
fn squared_errors_near_the_largest_f32_are_finite_or_overflow() {
    // H grows with the residual: ‖H‖² overflows long before λ_sup does.
    let dimensions = Dimensions::new(1, 2, 1);
    let theta = [0.5_f32, -0.3, 0.1, 0.2, 0.7, -0.4, 0.0];
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    for exponent in 0..39 {
        let y = [10.0_f32.powi(exponent), 0.0];
        let batch = Batch::new(
            OutputLoss::MeanSquaredError,
            &[0.3, -0.8],
            Targets::Values(&y),
        );
        for evaluation in EVALUATIONS {
            match Workspace::new().bounds(&network, &batch, evaluation) {
                Ok(bounds) => {
                    let numbers = numbers(&bounds);
                    let finite = numbers.iter().all(|v| v.is_finite());
                    assert!(finite, "target 1e{exponent}, {evaluation:?}: {bounds:?}");
                }
                Err(error) => assert!(matches!(error, Error::Overflow { .. }), "{error}"),
            }
        }
    }
}

#[test]
fn huge_weights_of_saturating_activations_are_no_overflow_in_f64() {
    for case in cases() {
        if !case.name.ends_with("× 1e12") {
            continue;
        }
        for activation in [Activation::Tanh, Activation::Sigmoid, Activation::Erf] {
            for loss in LOSSES {
                for evaluation in EVALUATIONS {
                    let values = case.values::<f64>(activation, loss, evaluation);
                    let name = format!("{}, {activation}, {}", case.name, loss.name());
                    let values = values.unwrap_or_else(|error| panic!("{name}: {error}"));
                    assert!(
                        numbers(&values.bounds).iter().all(|v| v.is_finite()),
                        "{name}"
                    );
                }
            }
        }
    }
}

#[test]
fn moderate_and_tiny_inputs_are_no_overflow_in_either_type() {
    let harmless = [
        "moderate",
        "the smallest network",
        "logits of 1e4 by the bias",
        "logits of 88, where f32 ends",
        "logits of 745, where f64 ends",
        "logits of 1e4 by the weights",
        "all weights 0",
        "weights × 1e-12",
        "weights subnormal in f32",
        "weights subnormal in f64",
        "all inputs 0",
        "all inputs the same",
        "inputs subnormal in f32",
        "inputs subnormal in f64",
        "one sample",
        "identical samples",
        "one class",
        "samples of weight 0",
        "weights of 1e-30 and 1e30",
    ];
    let cases = cases();
    for name in harmless {
        let case = cases.iter().find(|case| case.name == name).expect(name);
        for activation in Activation::ALL {
            for loss in LOSSES {
                for evaluation in EVALUATIONS {
                    for values in [
                        case.values::<f64>(activation, loss, evaluation),
                        case.values::<f32>(activation, loss, evaluation),
                    ] {
                        let name = format!("{name}, {activation}, {}", loss.name());
                        values.unwrap_or_else(|error| panic!("{name}: {error}"));
                    }
                }
            }
        }
    }
}

#[test]
fn evaluations_agree_on_inputs_that_are_extreme_but_representable() {
    for case in cases() {
        for activation in Activation::ALL {
            for loss in LOSSES {
                let of = |evaluation| case.values::<f64>(activation, loss, evaluation);
                let Ok(reference) = of(Evaluation::Assembled) else {
                    continue;
                };
                let name = format!("{}, {activation}, {}", case.name, loss.name());
                for evaluation in [Evaluation::Gram, Evaluation::Auto] {
                    // The pairs' sums may overflow where the blocks do not, and the reverse.
                    let Ok(values) = of(evaluation) else { continue };
                    let (ours, known) = (&values.bounds, &reference.bounds);
                    let scale = known.std.max(known.mean.abs());
                    let (ours, known) = ([ours.lambda_sup], [known.lambda_sup]);
                    let error = relative_error(&ours, &known, scale);
                    assert!(error < 1e-7, "{name}, {evaluation:?}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn a_saturated_network_has_the_hessian_zero() {
    // The bias of 1e4 speaks for class 0, and so do all labels: p = y to the last bit.
    let with_right_labels = |case: &Case| Case {
        classes: vec![0; case.classes.len()],
        ..case.clone()
    };
    let cases = cases();
    let found = cases.iter().find(|c| c.name == "logits of 1e4 by the bias");
    let case = with_right_labels(found.unwrap());
    let losses = [
        OutputLoss::SoftmaxCrossEntropy,
        OutputLoss::SigmoidCrossEntropy,
    ];
    for activation in Activation::ALL {
        for loss in losses {
            for evaluation in EVALUATIONS {
                for values in [
                    case.values::<f64>(activation, loss, evaluation).unwrap(),
                    case.values::<f32>(activation, loss, evaluation).unwrap(),
                ] {
                    assert!(numbers(&values.bounds).iter().all(|&v| v == 0.0));
                    assert!(values.gradient.iter().all(|&v| v == 0.0));
                    assert!(values.inputs.iter().all(|&v| v == 0.0));
                }
            }
            let share = case.run::<f64, _>(activation, loss, |workspace, network, batch| {
                workspace.gauss_newton_share(network, batch, Evaluation::Auto)
            });
            assert_eq!(share, Ok(1.0));
        }
    }
    // One softmax output has the probability 1 whatever its logit.
    let values = smallest().values::<f64>(Activation::Tanh, losses[0], Evaluation::Auto);
    assert!(numbers(&values.unwrap().bounds).iter().all(|&v| v == 0.0));
}

#[test]
fn a_confident_and_wrong_network_has_a_loss_as_large_as_its_logits() {
    let cases = cases();
    let found = cases.iter().find(|c| c.name == "logits of 1e4 by the bias");
    let case = Case {
        classes: vec![1; 5],
        ..found.unwrap().clone()
    };
    let loss = |workspace: &mut Workspace<f32>, network: &Network<f32>, batch: &Batch<f32>| {
        workspace.loss(network, batch)
    };
    let softmax = case.run(Activation::Tanh, OutputLoss::SoftmaxCrossEntropy, loss);
    assert!((softmax.unwrap() - 2e4).abs() < 10.0);
    // Both outputs are wrong by 1e4, of which the mean is taken.
    let sigmoid = case.run(Activation::Tanh, OutputLoss::SigmoidCrossEntropy, loss);
    assert!((sigmoid.unwrap() - 1e4).abs() < 10.0);
}

#[test]
fn one_eigenvalue_is_bounded_by_itself() {
    // D = 1 is not reachable through a network, whose smallest has two weights, but through moments it is.
    assert_eq!(smallest().dimensions.parameters(), 2);
    for trace in [3.0_f64, 0.0, -2.0] {
        let bounds = SpectralBounds::new(Moments {
            trace,
            frobenius_squared: trace * trace,
            parameters: 1,
        });
        assert_eq!((bounds.std, bounds.spread_upper), (0.0, 0.0));
        for bound in [
            bounds.mean,
            bounds.lambda_sup,
            bounds.lambda_inf,
            bounds.lambda_max_lower,
            bounds.lambda_min_upper,
        ] {
            assert_eq!(bound, trace);
        }
    }
}

#[test]
fn equal_eigenvalues_have_no_spread_even_where_rounding_says_otherwise() {
    for eigenvalue in [0.1_f64, -0.3, 1e100, 1e-150] {
        for parameters in [2, 3, 7, 100] {
            let count = parameters as f64;
            for rounding in [-2.0, -1.0, 0.0, 1.0, 2.0] {
                let exact = count * eigenvalue * eigenvalue;
                let bounds = SpectralBounds::new(Moments {
                    trace: count * eigenvalue,
                    frobenius_squared: exact * (1.0 + rounding * f64::EPSILON),
                    parameters,
                });
                assert_eq!(bounds.std, 0.0, "{bounds:?}");
                assert_eq!(bounds.lambda_sup, bounds.mean);
            }
        }
    }
}

/// A softmax or sigmoid network that is right by a margin of about `margin`, in numbers that f32 holds exactly.
fn confident(margin: f64) -> Case {
    let mut case = moderate();
    let layout = case.dimensions.layout();
    for (i, k) in layout.output_bias().zip([1.0, -1.0]) {
        case.theta[i] = k * margin / 2.0;
    }
    case.classes = vec![0; 5];
    for value in case.theta.iter_mut().chain(&mut case.x) {
        *value = f64::from(*value as f32);
    }
    case
}

/// λ_sup is positive, and in f32 it and its gradients are those of f64 to 1e-4.
fn assert_single_is_double(name: &str, case: &Case, activations: &[Activation]) {
    for &activation in activations {
        for loss in [
            OutputLoss::SoftmaxCrossEntropy,
            OutputLoss::SigmoidCrossEntropy,
        ] {
            for evaluation in EVALUATIONS {
                let double = case.values::<f64>(activation, loss, evaluation).unwrap();
                let single = case.values::<f32>(activation, loss, evaluation).unwrap();
                let name = format!("{name}, {activation}, {}, {evaluation:?}", loss.name());
                assert!(double.bounds.lambda_sup > 0.0, "{name}");
                let error = |a: &[f64], b: &[f64]| relative_error(a, b, 0.0);
                let value = error(&[single.bounds.lambda_sup], &[double.bounds.lambda_sup]);
                assert!(value < 1e-4, "{name}: {value:e}");
                let gradient = error(&single.gradient, &double.gradient);
                assert!(gradient < 1e-4, "{name}: gradient {gradient:e}");
                let inputs = error(&single.inputs, &double.inputs);
                assert!(inputs < 1e-4, "{name}: inputs {inputs:e}");
            }
        }
    }
}

#[test]
fn a_nearly_vanishing_loss_is_as_exact_in_f32_as_any() {
    // Probabilities down to 1e-30: their squares are 0 in f32, which the scaling by σ is for. The logits themselves
    // are rounded at 1e-7 of the margin, hence 1e-5 of the probability.
    for margin in [10.0, 20.0, 40.0, 60.0, 70.0] {
        let case = confident(margin);
        assert_single_is_double(&margin.to_string(), &case, &Activation::ALL);
    }
}

#[test]
fn saturated_units_beside_others_cost_no_digits_in_f32() {
    // z of the second unit up to 30 or 300, where φ' is 1e-26 or 0 beside that of the first; certain and uncertain samples.
    for scale in [3.0, 10.0, 30.0, 300.0] {
        let mut case = moderate();
        let layout = case.dimensions.layout();
        // The second of three rows of two weights.
        for weight in &mut case.theta[layout.hidden_weight()][2..4] {
            *weight *= scale;
        }
        for weight in &mut case.theta[layout.output_weight()] {
            *weight *= scale / 3.0;
        }
        for value in case.theta.iter_mut().chain(&mut case.x) {
            *value = f64::from(*value as f32);
        }
        let saturating = [Activation::Tanh, Activation::Sigmoid, Activation::Erf];
        assert_single_is_double(&scale.to_string(), &case, &saturating);
    }
}

/// A network that is right by any margin up to where probabilities vanish must not be called an overflow.
fn assert_no_margin_overflows<T: Real>(least: f64, largest: f64) {
    let dimensions = Dimensions::new(1, 1, 3);
    let mut offenders = Vec::new();
    for step in 0..=2000 {
        let margin = least + (largest - least) * f64::from(step) / 2000.0;
        // The third class is so improbable that its probability is 0.
        let case = Case {
            name: "confident",
            dimensions,
            theta: vec![0.5, 0.1, 0.4, -0.3, 0.2, margin, 0.0, -margin],
            x: vec![0.3],
            classes: vec![0],
            sample_weights: None,
        };
        for loss in [
            OutputLoss::SoftmaxCrossEntropy,
            OutputLoss::SigmoidCrossEntropy,
        ] {
            for evaluation in EVALUATIONS {
                match case.values::<T>(Activation::Tanh, loss, evaluation) {
                    Ok(values) => {
                        let all = [numbers(&values.bounds), values.gradient, values.inputs];
                        assert!(all.concat().iter().all(|v| v.is_finite()), "{margin}");
                    }
                    Err(error) => {
                        offenders.push(format!("{margin}, {}, {error}", loss.name()));
                    }
                }
            }
        }
    }
    let count = offenders.len();
    offenders.truncate(8);
    assert!(
        offenders.is_empty(),
        "{count} offenders, such as {offenders:#?}"
    );
}

#[test]
fn no_margin_of_a_confident_network_is_an_overflow_in_f32() {
    assert_no_margin_overflows::<f32>(60.0, 110.0);
}

#[test]
fn no_margin_of_a_confident_network_is_an_overflow_in_f64() {
    assert_no_margin_overflows::<f64>(650.0, 760.0);
}

#[test]
fn samples_of_weight_zero_might_as_well_be_absent() {
    let cases = cases();
    let with = cases
        .iter()
        .find(|c| c.name == "samples of weight 0")
        .unwrap();
    let without = Case {
        x: [&with.x[2..4], &with.x[6..8]].concat(),
        classes: vec![with.classes[1], with.classes[3]],
        sample_weights: Some(vec![1.0, 2.0]),
        ..with.clone()
    };
    for activation in Activation::ALL {
        for loss in LOSSES {
            for evaluation in EVALUATIONS {
                let with = with.values::<f64>(activation, loss, evaluation).unwrap();
                let without = without.values::<f64>(activation, loss, evaluation).unwrap();
                let error = relative_error(&with.gradient, &without.gradient, 0.0);
                assert!(error < 1e-11, "{activation}, {loss:?}: {error:e}");
                let inputs = [
                    &[0.0; 2],
                    &without.inputs[..2],
                    &[0.0; 2],
                    &without.inputs[2..],
                ];
                let inputs = [&inputs.concat()[..], &[0.0; 2]].concat();
                let error = relative_error(&with.inputs, &inputs, 0.0);
                assert!(error < 1e-11, "{activation}, {loss:?}: inputs {error:e}");
            }
        }
    }
}

fn assert_padding_takes_no_part<T: Real>(size: f64) {
    // Rows are padded to whole lanes. The biases cancel for every sample, W1 x + b1 = 0; a padding sample, with x = 0,
    // would see the bias alone and have infinite logits. Eight samples need no padding, seven do.
    let dimensions = Dimensions::new(1, 1, 2);
    for activation in [Activation::Identity, Activation::Sigmoid] {
        for samples in [7, 8] {
            let case = Case {
                name: "biases that cancel",
                dimensions,
                theta: vec![size, -size, -size, -size, 0.1, 0.2],
                x: vec![1.0; samples],
                classes: vec![0; samples],
                sample_weights: None,
            };
            let name = format!("{activation}, {samples} samples");
            let loss = OutputLoss::SoftmaxCrossEntropy;
            let gradient = case.run::<T, _>(activation, loss, |workspace, network, batch| {
                let mut gradient = vec![T::nan(); 6];
                workspace
                    .loss_gradient(network, batch, &mut gradient)
                    .unwrap();
                widen(&gradient)
            });
            let finite = gradient.iter().all(|v| v.is_finite());
            assert!(finite, "{name}: {gradient:?}");
        }
    }
}

#[test]
fn padding_takes_no_part_in_f64() {
    assert_padding_takes_no_part::<f64>(1e200);
}

#[test]
fn padding_takes_no_part_in_f32() {
    assert_padding_takes_no_part::<f32>(1e25);
}

#[test]
fn an_error_leaves_nothing_behind_in_the_workspace() {
    let good = moderate();
    let bad = good.map_theta("overflowing", |_, v| v * 1e200);
    for loss in LOSSES {
        for evaluation in EVALUATIONS {
            let fresh = good
                .values::<f64>(Activation::Identity, loss, evaluation)
                .unwrap();
            let mut workspace = Workspace::new();
            let targets = Targets::Classes(&good.classes);
            let batch = Batch::new(loss, &good.x, targets);
            let mut gradient = vec![0.0; good.theta.len()];
            let mut inputs = vec![0.0; good.x.len()];
            let mut run = |theta: &[f64]| {
                let network = Network::from_flat(good.dimensions, Activation::Identity, theta);
                workspace
                    .bounds_gradient(
                        &network.unwrap(),
                        &batch,
                        evaluation,
                        &mut gradient,
                        Some(&mut inputs),
                    )
                    .map(|bounds| bounds.lambda_sup)
            };
            let error = run(&bad.theta).unwrap_err();
            assert!(matches!(error, Error::Overflow { .. }), "{error}");
            assert_eq!(run(&good.theta), Ok(fresh.bounds.lambda_sup));
            assert_eq!((gradient, inputs), (fresh.gradient, fresh.inputs));
        }
    }
}

#[test]
fn derivatives_of_activations_are_finite_wherever_the_value_is() {
    for activation in Activation::ALL {
        for exponent in -330..=308 {
            for sign in [1.0, -1.0] {
                for digits in [1.0, 1.7, 3.1, 8.9] {
                    let z = sign * format!("{digits}e{exponent}").parse::<f64>().unwrap();
                    if z.is_finite() {
                        let values = activation.derivatives(z);
                        let finite = values.iter().all(|v| v.is_finite());
                        assert!(finite, "{activation} at {z:e}: {values:?}");
                    }
                    let single = z as f32;
                    if single.is_finite() {
                        let values = activation.derivatives(single);
                        let finite = values.iter().all(|v| v.is_finite());
                        assert!(finite, "{activation} at {single:e} in f32: {values:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn saturated_tails_do_not_cancel() {
    // φ(−z) of the activations that vanish there, and 1 − |φ| through φ' of those that saturate, against the first
    // term of the series at infinity, which is exact to a few e^−z < 3e-9.
    let relative = |a: f64, b: f64| (a / b - 1.0).abs();
    for z in [20.0_f64, 25.0, 30.0, 37.0] {
        let tail = (-z).exp();
        let tanh = Activation::Tanh.derivatives(z);
        assert!(relative(tanh[1], 4.0 * tail * tail) < 1e-13);
        assert!(relative(tanh[2], -8.0 * tail * tail) < 1e-13);
        let sigmoid = Activation::Sigmoid.derivatives(-z);
        assert!(
            sigmoid.iter().all(|&v| relative(v, tail) < 1e-7),
            "{sigmoid:?}"
        );
        let softplus = Activation::Softplus.derivatives(-z);
        assert!(
            softplus.iter().all(|&v| relative(v, tail) < 1e-7),
            "{softplus:?}"
        );
        let silu = Activation::Silu.derivatives(-z);
        assert!(relative(silu[0], -z * tail) < 1e-7);
        assert!(relative(silu[1], (1.0 - z) * tail) < 1e-7);
        let mish = Activation::Mish.derivatives(-z);
        assert!(relative(mish[0], -z * tail) < 1e-7);
        assert!(relative(mish[1], (1.0 - z) * tail) < 1e-7);
    }
    // zΦ(z) at −10, from the asymptotic series of Φ to 40 digits.
    let gelu = Activation::Gelu.derivatives(-10.0_f64);
    assert!(
        relative(gelu[0], -7.619_853_024_160_527e-23) < 1e-12,
        "{gelu:?}"
    );
}

#[test]
fn the_tail_of_the_approximate_gelu_does_not_cancel() {
    // z(1 + tanh w)/2 = z·e^2w/(1 + e^2w): formed as 1 + tanh w it is wrong by 1e-16·|z|, which at −6 is 1e-6 of it.
    for z in [-4.0_f64, -5.0, -6.0, -7.0] {
        let w = (2.0 / std::f64::consts::PI).sqrt() * (z + 0.044_715 * z * z * z);
        let value = z * (2.0 * w).exp() / (1.0 + (2.0 * w).exp());
        let ours = Activation::GeluTanh.derivatives(z)[0];
        let error = (ours / value - 1.0).abs();
        assert!(error < 1e-12, "at {z}: {error:e}");
    }
}

// Errors.

/// A network and a batch that are right, and what each test makes wrong in them.
#[derive(Clone)]
struct Parts {
    dimensions: Dimensions,
    layers: [Vec<f64>; 4],
    loss: OutputLoss,
    x: Vec<f64>,
    classes: Option<Vec<usize>>,
    values: Vec<f64>,
    sample_weights: Vec<f64>,
    class_weights: Option<Vec<f64>>,
    smoothing: f64,
}

fn right() -> Parts {
    Parts {
        dimensions: Dimensions::new(2, 3, 2),
        layers: [vec![0.1; 6], vec![0.2; 3], vec![0.3; 6], vec![0.4; 2]],
        loss: OutputLoss::SoftmaxCrossEntropy,
        x: vec![0.5; 8],
        classes: Some(vec![0, 1, 1, 0]),
        values: vec![0.5; 8],
        sample_weights: vec![1.0; 4],
        class_weights: None,
        smoothing: 0.0,
    }
}

impl Parts {
    fn network(&self) -> Result<Network<'_, f64>, Error> {
        let [w1, b1, w2, b2] = &self.layers;
        let activation = Activation::Tanh;
        Network::new(self.dimensions, activation, w1, Some(b1), w2, Some(b2))
    }

    fn batch(&self) -> Batch<'_, f64> {
        let targets = match &self.classes {
            Some(classes) => Targets::Classes(classes),
            None => Targets::Values(&self.values),
        };
        let batch = Batch::new(self.loss, &self.x, targets)
            .with_sample_weights(&self.sample_weights)
            .with_label_smoothing(self.smoothing);
        match &self.class_weights {
            Some(weights) => batch.with_class_weights(weights),
            None => batch,
        }
    }
}

/// The error of the parts once `spoil` has spoiled them: the same from every verb, and one line.
fn error_of(spoil: impl FnOnce(&mut Parts)) -> Error {
    let mut parts = right();
    spoil(&mut parts);
    let network = match parts.network() {
        Ok(network) => network,
        Err(error) => return one_line(error),
    };
    let batch = parts.batch();
    let mut workspace = Workspace::new();
    let size = network.dimensions().parameters();
    let (mut long, mut square) = (vec![0.0; size], vec![0.0; size * size]);
    let v = vec![1.0; size];
    let error = workspace.loss(&network, &batch).unwrap_err();
    let others = [
        workspace
            .loss_gradient(&network, &batch, &mut long)
            .unwrap_err(),
        workspace
            .bounds(&network, &batch, Evaluation::Auto)
            .unwrap_err(),
        workspace
            .moments(&network, &batch, Evaluation::Auto)
            .unwrap_err(),
        workspace
            .bounds_gradient(&network, &batch, Evaluation::Auto, &mut long, None)
            .unwrap_err(),
        workspace
            .gauss_newton_share(&network, &batch, Evaluation::Auto)
            .unwrap_err(),
        workspace
            .hessian_vector_product(&network, &batch, &v, &mut long)
            .unwrap_err(),
        workspace
            .hessian(&network, &batch, &mut square)
            .unwrap_err(),
    ];
    for other in others {
        // A value of NaN is not equal to itself: the messages are.
        assert_eq!(other.to_string(), error.to_string());
    }
    one_line(error)
}

/// Checks that the message is one line that can end in a sentence.
#[track_caller]
fn one_line(error: Error) -> Error {
    let message = error.to_string();
    assert!(
        !message.is_empty() && !message.contains(['\n', '\r']),
        "{message:?}"
    );
    assert!(
        !message.ends_with('.') && message.trim() == message,
        "{message:?}"
    );
    error
}

#[test]
fn the_right_parts_are_right() {
    let parts = right();
    let network = parts.network().unwrap();
    assert!(Workspace::new().loss(&network, &parts.batch()).is_ok());
}

#[test]
fn an_array_of_the_wrong_length_is_named() {
    type Field = fn(&mut Parts) -> &mut Vec<f64>;
    let fields: [(&str, usize, Field); 8] = [
        ("hidden.weight", 6, |p| &mut p.layers[0]),
        ("hidden.bias", 3, |p| &mut p.layers[1]),
        ("output.weight", 6, |p| &mut p.layers[2]),
        ("output.bias", 2, |p| &mut p.layers[3]),
        ("inputs", 8, |p| &mut p.x),
        ("targets", 8, |p| {
            p.classes = None;
            &mut p.values
        }),
        ("sample_weights", 4, |p| &mut p.sample_weights),
        ("class_weights", 2, |p| p.class_weights.insert(vec![1.0; 2])),
    ];
    for (name, length, field) in fields {
        for change in [-1_isize, 1] {
            let error = error_of(|parts| {
                let values = field(parts);
                values.resize(values.len().strict_add_signed(change), 0.5);
            });
            let Error::Length {
                what,
                got,
                expected,
                ..
            } = error
            else {
                panic!("{name}: {error}");
            };
            assert_eq!((what, got), (name, length.strict_add_signed(change)));
            assert_eq!(
                expected,
                if name == "inputs" && change < 0 {
                    6
                } else {
                    length
                }
            );
            let message = error.to_string();
            assert!(
                message.contains(name) && message.contains(&got.to_string()),
                "{message}"
            );
        }
    }
}

#[test]
fn labels_of_the_wrong_number_are_named() {
    let error = error_of(|parts| parts.classes = Some(vec![0; 3]));
    let expected = Error::Length {
        what: "targets",
        shape: "samples",
        got: 3,
        expected: 4,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_flat_vector_of_the_wrong_length_is_named() {
    let dimensions = Dimensions::new(2, 3, 2);
    let theta = vec![0.0; dimensions.parameters() - 1];
    let error = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap_err();
    assert!(matches!(
        one_line(error),
        Error::Length {
            what: "theta",
            got: 16,
            expected: 17,
            ..
        }
    ));
}

#[test]
fn a_bias_that_should_not_be_there_is_named() {
    let error = error_of(|parts| parts.dimensions.output_bias = false);
    assert!(matches!(
        error,
        Error::Length {
            what: "output.bias",
            got: 2,
            expected: 0,
            ..
        }
    ));
}

#[test]
fn results_of_the_wrong_length_are_named() {
    let parts = right();
    let (network, batch) = (parts.network().unwrap(), parts.batch());
    let mut workspace = Workspace::new();
    let (mut short, mut long, mut few) = (vec![0.0; 16], vec![0.0; 17], vec![0.0; 7]);
    let v = vec![0.0; 17];
    let auto = Evaluation::Auto;
    let named = |result: Result<(), Error>, name: &str| match one_line(result.unwrap_err()) {
        Error::Length { what, .. } => assert_eq!(what, name),
        error => panic!("{name}: {error}"),
    };
    let result = workspace.loss_gradient(&network, &batch, &mut short);
    named(result.map(drop), "gradient");
    let result = workspace.bounds_gradient(&network, &batch, auto, &mut short, None);
    named(result.map(drop), "gradient");
    let result = workspace.bounds_gradient(&network, &batch, auto, &mut long, Some(&mut few));
    named(result.map(drop), "input_gradient");
    let result = workspace.hessian_vector_product(&network, &batch, &v[1..], &mut long);
    named(result, "v");
    let result = workspace.hessian_vector_product(&network, &batch, &v, &mut short);
    named(result, "product");
    named(workspace.hessian(&network, &batch, &mut long), "hessian");
}

#[test]
fn a_value_that_is_not_finite_is_named_with_its_index() {
    type Field = fn(&mut Parts) -> &mut Vec<f64>;
    let fields: [(&str, Field); 8] = [
        ("hidden.weight", |p| &mut p.layers[0]),
        ("hidden.bias", |p| &mut p.layers[1]),
        ("output.weight", |p| &mut p.layers[2]),
        ("output.bias", |p| &mut p.layers[3]),
        ("inputs", |p| &mut p.x),
        ("targets", |p| {
            p.classes = None;
            &mut p.values
        }),
        ("sample_weights", |p| &mut p.sample_weights),
        ("class_weights", |p| p.class_weights.insert(vec![1.0; 2])),
    ];
    for (name, field) in fields {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for last in [false, true] {
                let mut place = 0;
                let error = error_of(|parts| {
                    let values = field(parts);
                    place = if last { values.len() - 1 } else { 0 };
                    values[place] = bad;
                });
                let Error::NotFinite { what, index, value } = error else {
                    panic!("{name}: {error}");
                };
                assert_eq!((what, index), (name, place));
                assert_eq!(value.to_bits(), bad.to_bits());
                let message = error.to_string();
                assert!(message.contains(&format!("{name}[{place}]")), "{message}");
            }
        }
    }
}

#[test]
fn labels_out_of_range_are_named_with_their_sample() {
    let error = error_of(|parts| parts.classes = Some(vec![0, 1, 2, 9]));
    let expected = Error::Label {
        sample: 2,
        label: 2,
        classes: 2,
    };
    assert_eq!(error, expected);
    // One logistic output tells two classes apart, one output of another loss has but one class.
    for (loss, classes) in [
        (OutputLoss::SigmoidCrossEntropy, 2),
        (OutputLoss::SoftmaxCrossEntropy, 1),
        (OutputLoss::MeanSquaredError, 1),
    ] {
        let error = error_of(|parts| {
            parts.dimensions.outputs = 1;
            parts.layers[2].truncate(3);
            parts.layers[3].truncate(1);
            parts.loss = loss;
            parts.classes = Some(vec![0, classes, 0, 0]);
        });
        let expected = Error::Label {
            sample: 1,
            label: classes,
            classes,
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn a_soft_label_that_is_no_distribution_is_named_with_its_sample() {
    for (row, sum) in [
        ([0.5, 0.25], 0.75),
        ([0.75, 0.5], 1.25),
        ([1.25, -0.25], 1.0),
    ] {
        let error = error_of(|parts| {
            parts.classes = None;
            parts.values[4..6].copy_from_slice(&row);
        });
        assert_eq!(error, Error::SoftLabel { sample: 2, sum });
    }
}

#[test]
fn a_target_of_the_sigmoid_outside_its_range_is_refused() {
    for bad in [-0.1, 1.1] {
        let error = error_of(|parts| {
            parts.loss = OutputLoss::SigmoidCrossEntropy;
            parts.classes = None;
            parts.values[3] = bad;
        });
        assert!(
            matches!(error, Error::Range { value, .. } if value == bad),
            "{error}"
        );
    }
}

#[test]
fn a_negative_weight_is_refused() {
    let error = error_of(|parts| parts.sample_weights[1] = -0.5);
    assert!(matches!(error, Error::Range { value: -0.5, .. }), "{error}");
    let error = error_of(|parts| parts.class_weights = Some(vec![1.0, -2.0]));
    assert!(matches!(error, Error::Range { value: -2.0, .. }), "{error}");
}

#[test]
fn a_label_smoothing_outside_its_range_is_refused() {
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = error_of(|parts| parts.smoothing = bad);
        let Error::Range { value, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(value.to_bits(), bad.to_bits());
    }
}

#[test]
fn options_of_the_softmax_are_refused_for_other_losses() {
    for loss in [
        OutputLoss::SigmoidCrossEntropy,
        OutputLoss::MeanSquaredError,
    ] {
        let error = error_of(|parts| {
            parts.loss = loss;
            parts.class_weights = Some(vec![1.0, 2.0]);
        });
        let expected = Error::Unsupported {
            option: "a class weight",
            loss: loss.name(),
        };
        assert_eq!(error, expected);
        let error = error_of(|parts| {
            parts.loss = loss;
            parts.smoothing = 0.1;
        });
        let expected = Error::Unsupported {
            option: "label smoothing",
            loss: loss.name(),
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn weights_that_sum_to_zero_are_refused() {
    let error = error_of(|parts| parts.sample_weights = vec![0.0; 4]);
    assert_eq!(error, Error::NoWeight { sum: 0.0 });
    // Only the classes that occur count.
    let error = error_of(|parts| {
        parts.classes = Some(vec![0; 4]);
        parts.class_weights = Some(vec![0.0, 1.0]);
    });
    assert_eq!(error, Error::NoWeight { sum: 0.0 });
}

#[test]
fn class_weights_near_the_ends_of_the_range_change_nothing() {
    // Only their ratios matter for hard labels, so neither an overflow nor an underflow of their sum may show.
    let mut parts = right();
    let mut loss = |weight: f64| {
        parts.class_weights = Some(vec![weight, weight / 2.0]);
        let network = parts.network().unwrap();
        Workspace::new().loss(&network, &parts.batch()).unwrap()
    };
    let plain = loss(1.0);
    for weight in [1e300, 1e308, 1e-300, 1e-310] {
        let ours = loss(weight);
        assert!(
            (ours - plain).abs() < 1e-12 * plain,
            "{weight:e}: {ours} and {plain}"
        );
    }
}

#[test]
fn an_empty_batch_is_refused() {
    let error = error_of(|parts| {
        parts.x.clear();
        parts.classes = Some(Vec::new());
        parts.sample_weights.clear();
    });
    assert!(matches!(error, Error::Empty { .. }), "{error}");
}

#[test]
fn a_dimension_of_zero_is_refused() {
    let spoils: [fn(&mut Dimensions); 3] = [|d| d.inputs = 0, |d| d.hidden = 0, |d| d.outputs = 0];
    for spoil in spoils {
        let error = error_of(|parts| spoil(&mut parts.dimensions));
        assert!(matches!(error, Error::Empty { .. }), "{error}");
    }
}

#[test]
fn hessians_that_are_too_large_are_refused_before_they_are_formed() {
    // H11 alone would hold 500 500 · 5 151 values.
    let dimensions = Dimensions::new(100, 1000, 1);
    let theta = vec![0.01; dimensions.parameters()];
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let x = vec![0.1; 100];
    let batch = Batch::new(OutputLoss::SigmoidCrossEntropy, &x, Targets::Classes(&[1]));
    let mut workspace = Workspace::new();
    let assembled = workspace.bounds(&network, &batch, Evaluation::Assembled);
    let error = one_line(assembled.unwrap_err());
    let plan = Plan::new(Evaluation::Assembled, &dimensions, 1);
    assert_eq!(plan.unwrap_err(), error);
    let Error::TooLarge {
        elements, limit, ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(elements == 500_500 * 5_151 && limit < elements);

    assert!(dimensions.parameters() > DENSE_LIMIT);
    let dense = workspace.hessian(&network, &batch, &mut []);
    let error = one_line(dense.unwrap_err());
    assert!(matches!(error, Error::TooLarge { limit, .. } if limit == DENSE_LIMIT * DENSE_LIMIT));

    // What does not form the blocks still works.
    assert!(workspace.bounds(&network, &batch, Evaluation::Auto).is_ok());
}

#[test]
fn an_unknown_activation_is_refused_with_the_known_ones() {
    for name in ["", "Tanh", "swish", "leaky-relu", "tanh\n"] {
        let error = name.parse::<Activation>().unwrap_err();
        let Error::UnknownName {
            what,
            name: given,
            expected,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((*what, given.as_str()), ("activation", name));
        for activation in Activation::ALL {
            assert!(expected.contains(activation.name()), "{expected}");
        }
        one_line(error);
    }
    for activation in Activation::ALL {
        assert_eq!(activation.to_string().parse(), Ok(activation));
    }
}
