//! Properties that hold for every network: derivatives against finite differences, both evaluations against each
//! other, the bounds against the true spectrum, and the symmetries of the problem.

use std::cell::{Cell, RefCell};
use std::f64::consts::SQRT_2;

use hsr_core::{
    Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Plan, SpectralBounds, Targets,
    Workspace,
};
use hsr_tests::{central_differences, relative_error};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

const EVALUATIONS: [Evaluation; 3] = [Evaluation::Assembled, Evaluation::Gram, Evaluation::Auto];
const LOSSES: [OutputLoss; 3] = [
    OutputLoss::SoftmaxCrossEntropy,
    OutputLoss::SigmoidCrossEntropy,
    OutputLoss::MeanSquaredError,
];

/// A network and a batch that own their numbers.
#[derive(Clone, Debug)]
struct Case {
    dimensions: Dimensions,
    activation: Activation,
    theta: Vec<f64>,
    loss: OutputLoss,
    x: Vec<f64>,
    labels: Labels,
    sample_weights: Option<Vec<f64>>,
    class_weights: Option<Vec<f64>>,
    smoothing: f64,
}

#[derive(Clone, Debug)]
enum Labels {
    Classes(Vec<usize>),
    Values(Vec<f64>),
}

/// What an evaluation gives.
struct Result {
    bounds: SpectralBounds<f64>,
    gradient: Vec<f64>,
    inputs: Vec<f64>,
}

impl Case {
    fn samples(&self) -> usize {
        self.x.len() / self.dimensions.inputs
    }

    fn network(&self) -> Network<'_, f64> {
        Network::from_flat(self.dimensions, self.activation, &self.theta).unwrap()
    }

    fn batch(&self) -> Batch<'_, f64> {
        let targets = match &self.labels {
            Labels::Classes(classes) => Targets::Classes(classes),
            Labels::Values(values) => Targets::Values(values),
        };
        let mut batch =
            Batch::new(self.loss, &self.x, targets).with_label_smoothing(self.smoothing);
        if let Some(weights) = &self.sample_weights {
            batch = batch.with_sample_weights(weights);
        }
        if let Some(weights) = &self.class_weights {
            batch = batch.with_class_weights(weights);
        }
        batch
    }

    fn loss(&self, workspace: &mut Workspace<f64>) -> f64 {
        workspace.loss(&self.network(), &self.batch()).unwrap()
    }

    fn loss_gradient(&self, workspace: &mut Workspace<f64>) -> Vec<f64> {
        let mut gradient = vec![f64::NAN; self.theta.len()];
        workspace
            .loss_gradient(&self.network(), &self.batch(), &mut gradient)
            .unwrap();
        gradient
    }

    fn bounds(&self, workspace: &mut Workspace<f64>) -> SpectralBounds<f64> {
        workspace
            .bounds(&self.network(), &self.batch(), Evaluation::Auto)
            .unwrap()
    }

    fn evaluate(&self, workspace: &mut Workspace<f64>, evaluation: Evaluation) -> Result {
        let mut gradient = vec![f64::NAN; self.theta.len()];
        let mut inputs = vec![f64::NAN; self.x.len()];
        let bounds = workspace
            .bounds_gradient(
                &self.network(),
                &self.batch(),
                evaluation,
                &mut gradient,
                Some(&mut inputs),
            )
            .unwrap();
        Result {
            bounds,
            gradient,
            inputs,
        }
    }

    fn product(&self, workspace: &mut Workspace<f64>, v: &[f64]) -> Vec<f64> {
        let mut product = vec![f64::NAN; v.len()];
        workspace
            .hessian_vector_product(&self.network(), &self.batch(), v, &mut product)
            .unwrap();
        product
    }

    fn with_theta(&self, theta: &[f64]) -> Case {
        Case {
            theta: theta.to_vec(),
            ..self.clone()
        }
    }

    /// The batch made of these samples of this one, in this order.
    fn select(&self, order: &[usize]) -> Case {
        let rows = |values: &[f64], width: usize| -> Vec<f64> {
            order
                .iter()
                .flat_map(|&n| values[n * width..(n + 1) * width].iter().copied())
                .collect()
        };
        Case {
            x: rows(&self.x, self.dimensions.inputs),
            labels: match &self.labels {
                Labels::Classes(classes) => {
                    Labels::Classes(order.iter().map(|&n| classes[n]).collect())
                }
                Labels::Values(values) => Labels::Values(rows(values, self.dimensions.outputs)),
            },
            sample_weights: self.sample_weights.as_ref().map(|weights| rows(weights, 1)),
            ..self.clone()
        }
    }

    /// √(q/D)/s, by which rounding errors of q grow in s = √(q/D − m²) and in its derivative 1/s: 1 where the mean
    /// eigenvalue is 0, infinite where H is a multiple of I.
    fn condition(bounds: &SpectralBounds<f64>) -> f64 {
        let moments = bounds.moments;
        (moments.frobenius_squared / moments.parameters as f64).sqrt() / bounds.std
    }
}

fn dimensions() -> impl Strategy<Value = Dimensions> {
    (1..=5_usize, 1..=6_usize, 1..=4_usize, any::<[bool; 2]>()).prop_map(
        |(inputs, hidden, outputs, [hidden_bias, output_bias])| Dimensions {
            inputs,
            hidden,
            outputs,
            hidden_bias,
            output_bias,
        },
    )
}

fn smooth_activations() -> Vec<Activation> {
    let smooth = Activation::ALL.into_iter().filter(|a| a.is_smooth());
    smooth.collect()
}

/// Labels for `samples` samples, hard or soft.
fn labels(loss: OutputLoss, outputs: usize, samples: usize) -> BoxedStrategy<Labels> {
    let values = vec(0.01..1.0_f64, samples * outputs);
    let hard = |classes: usize| vec(0..classes, samples).prop_map(Labels::Classes).boxed();
    match loss {
        OutputLoss::SoftmaxCrossEntropy => {
            let soft = values.prop_map(move |mut values| {
                for row in values.chunks_mut(outputs) {
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|y| *y /= sum);
                }
                Labels::Values(values)
            });
            prop_oneof![hard(outputs), soft].boxed()
        }
        OutputLoss::SigmoidCrossEntropy => {
            let classes = if outputs == 1 { 2 } else { outputs };
            prop_oneof![hard(classes), values.prop_map(Labels::Values)].boxed()
        }
        OutputLoss::MeanSquaredError => {
            let numbers = vec(-2.0..2.0_f64, samples * outputs).prop_map(Labels::Values);
            prop_oneof![hard(outputs), numbers].boxed()
        }
    }
}

/// Everything that a batch and a network of these sizes may be.
fn case_of(
    dimensions: Dimensions,
    samples: usize,
    loss: OutputLoss,
) -> impl Strategy<Value = Case> {
    let outputs = dimensions.outputs;
    let softmax = loss == OutputLoss::SoftmaxCrossEntropy;
    let option = |strategy: BoxedStrategy<Vec<f64>>, allowed: bool| {
        if allowed {
            prop::option::of(strategy).boxed()
        } else {
            Just(None).boxed()
        }
    };
    let smoothing = if softmax {
        prop_oneof![Just(0.0), 0.0..=1.0_f64].boxed()
    } else {
        Just(0.0).boxed()
    };
    (
        prop::sample::select(smooth_activations()),
        vec(-1.5..1.5_f64, dimensions.parameters()),
        vec(-1.5..1.5_f64, samples * dimensions.inputs),
        labels(loss, outputs, samples),
        option(vec(0.1..3.0_f64, samples).boxed(), true),
        option(vec(0.1..3.0_f64, outputs).boxed(), softmax),
        smoothing,
    )
        .prop_map(
            move |(activation, theta, x, labels, sample_weights, class_weights, smoothing)| Case {
                dimensions,
                activation,
                theta,
                loss,
                x,
                labels,
                sample_weights,
                class_weights,
                smoothing,
            },
        )
}

fn case() -> impl Strategy<Value = Case> {
    (
        dimensions(),
        1..=12_usize,
        prop::sample::select(&LOSSES[..]),
    )
        .prop_flat_map(|(dimensions, samples, loss)| case_of(dimensions, samples, loss))
}

/// Runs `test` on `cases` values, the same in every run. All share one workspace, so that what one size leaves in
/// the buffers would show in the next.
fn for_all<S: Strategy>(cases: u32, strategy: S, test: impl Fn(&mut Workspace<f64>, S::Value)) {
    let workspace = RefCell::new(Workspace::new());
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(20_240_229),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&strategy, |value| {
            test(&mut workspace.borrow_mut(), value);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Asserts |a − b| ≤ `tolerance`·max(|b|, `floor`).
#[track_caller]
fn assert_close(a: &[f64], b: &[f64], floor: f64, tolerance: f64, what: &str) {
    let error = relative_error(a, b, floor);
    assert!(
        error <= tolerance,
        "{what}: {error:e} > {tolerance:e}\n{a:?}\n{b:?}"
    );
}

// Central differences with a step η = ε^⅓ ≈ 6e-6 err by η²/6·|f'''| ≈ 6e-12·|f'''| and by ε|f|/η ≈ 4e-11·|f|. With
// parameters and inputs below 1.5 a third derivative of the loss is some hundred times the loss at most: 1e-8 leaves
// room, and a wrong term (of the size of the gradient itself) is a million times larger.
const DIFFERENCES: f64 = 1e-8;

#[test]
fn loss_gradient_equals_differences_of_the_loss() {
    for_all(200, case(), |workspace, case| {
        let gradient = case.loss_gradient(workspace);
        let differences =
            central_differences(&case.theta, |theta| case.with_theta(theta).loss(workspace));
        assert_close(&gradient, &differences, 1.0, DIFFERENCES, "loss gradient");
    });
}

#[test]
fn hessian_vector_products_equal_differences_of_the_loss_gradient() {
    let strategy = case().prop_flat_map(|case| {
        let size = case.theta.len();
        (Just(case), vec(-1.0..1.0_f64, size))
    });
    for_all(200, strategy, |workspace, (case, v)| {
        let product = case.product(workspace, &v);
        let step = f64::EPSILON.cbrt();
        let mut at = |sign: f64| {
            let moved: Vec<f64> = case
                .theta
                .iter()
                .zip(&v)
                .map(|(t, v)| t + sign * step * v)
                .collect();
            case.with_theta(&moved).loss_gradient(workspace)
        };
        let differences: Vec<f64> = at(1.0)
            .iter()
            .zip(at(-1.0))
            .map(|(after, before)| (after - before) / (2.0 * step))
            .collect();
        // v is not a unit vector: |f'''| grows with |v|³ ≤ D^{3/2}, of which the tolerance takes account.
        let tolerance = 10.0 * DIFFERENCES;
        assert_close(&product, &differences, 1.0, tolerance, "product");
    });
}

#[test]
fn gradients_of_the_bound_equal_its_differences() {
    // λ_sup = m + s√(D − 1), s = √(q/D − m²). With κ = √(q/D)/s a rounding error ε of q and m² becomes κε√(q/D) in s,
    // to which differences add the factor 1/η; and the third derivative of the root has terms 1/s³, so that the error
    // of the differences grows with κ³ at most. Relative to the size of the spectrum, √q, and to that of the
    // gradient the tolerance is thus 1e-7·κ³. Beyond κ = 20 the case would say little and is skipped: there H is
    // nearly a multiple of I, as it is when it is nearly 0.
    const TOLERANCE: f64 = 1e-7;
    const CASES: u32 = 150;
    let skipped = Cell::new(0);
    for_all(CASES, case(), |workspace, case| {
        let bounds = case.bounds(workspace);
        let condition = Case::condition(&bounds);
        // One softmax output has the probability 1 and no Hessian at all.
        let trivial = case.loss == OutputLoss::SoftmaxCrossEntropy && case.dimensions.outputs == 1;
        if condition.is_nan() || condition > 20.0 {
            skipped.set(skipped.get() + u32::from(!trivial));
            return;
        }
        let tolerance = TOLERANCE * condition.powi(3);
        let floor = bounds.moments.frobenius_squared.sqrt();
        for evaluation in EVALUATIONS {
            let mut bound = |case: Case| {
                workspace
                    .bounds(&case.network(), &case.batch(), evaluation)
                    .unwrap()
                    .lambda_sup
            };
            let theta = central_differences(&case.theta, |theta| bound(case.with_theta(theta)));
            let inputs = central_differences(&case.x, |x| {
                bound(Case {
                    x: x.to_vec(),
                    ..case.clone()
                })
            });
            let result = case.evaluate(workspace, evaluation);
            let name = format!("{evaluation:?}, κ = {condition}");
            assert_close(&result.gradient, &theta, floor, tolerance, &name);
            assert_close(&result.inputs, &inputs, floor, tolerance, &name);
        }
    });
    let skipped = skipped.get();
    assert!(skipped * 20 <= CASES, "{skipped} of {CASES} skipped");
}

/// A value with its gradients for parameters and inputs, of what can be descended in the bound's place.
type Peer = fn(&mut Workspace<f64>, &Case, &mut [f64], &mut [f64]) -> f64;

const PEERS: [(&str, Peer); 4] = [
    ("trace", |workspace, case, to, x| {
        let (network, batch) = (case.network(), case.batch());
        let value = workspace.trace_gradient(&network, &batch, to, Some(x));
        value.unwrap()
    }),
    ("norm", |workspace, case, to, x| {
        let (network, batch) = (case.network(), case.batch());
        let value = workspace.frobenius_gradient(&network, &batch, Evaluation::Auto, to, Some(x));
        value.unwrap()
    }),
    ("gradient norm", |workspace, case, to, x| {
        let (network, batch) = (case.network(), case.batch());
        let value = workspace.gradient_norm_gradient(&network, &batch, to, Some(x));
        value.unwrap()
    }),
    ("curvature along a direction", |workspace, case, to, x| {
        let (network, batch) = (case.network(), case.batch());
        let size = case.theta.len();
        let v: Vec<f64> = (0..size).map(|i| (i as f64 + 0.5).cos()).collect();
        let value = workspace.curvature_along_gradient(&network, &batch, &v, to, Some(x));
        value.unwrap() / size as f64
    }),
];

#[test]
fn gradients_of_the_peers_equal_their_differences() {
    for_all(150, case(), |workspace, case| {
        let scale = case.bounds(workspace).moments.frobenius_squared.sqrt();
        let slope = case.loss_gradient(workspace);
        let slope = slope.iter().map(|v| v * v).sum::<f64>().sqrt();
        let size = case.theta.len() as f64;
        for (name, peer) in PEERS {
            // The norms have a kink at 0, near which differences say little: their second derivative grows as 1/value.
            let value_of = match name {
                "norm" => scale,
                "gradient norm" => slope,
                _ => 1.0,
            };
            if value_of < 1e-2 {
                continue;
            }
            let (mut gradient, mut inputs) = (
                vec![f64::NAN; case.theta.len()],
                vec![f64::NAN; case.x.len()],
            );
            peer(workspace, &case, &mut gradient, &mut inputs);
            if name.starts_with("curvature") {
                let share = 1.0 / size;
                gradient
                    .iter_mut()
                    .chain(&mut inputs)
                    .for_each(|v| *v *= share);
            }
            let mut value = |case: &Case| {
                let (mut theta, mut x) = (vec![0.0; case.theta.len()], vec![0.0; case.x.len()]);
                peer(workspace, case, &mut theta, &mut x)
            };
            let theta = central_differences(&case.theta, |theta| value(&case.with_theta(theta)));
            let of_inputs = central_differences(&case.x, |x| {
                let x = x.to_vec();
                value(&Case { x, ..case.clone() })
            });
            let tolerance = 1e-7 / value_of.min(1.0).powi(2);
            assert_close(&gradient, &theta, 1.0, tolerance, name);
            assert_close(&inputs, &of_inputs, 1.0, tolerance, name);
        }
    });
}

/// Asserts that all evaluations agree to 1e-10.
fn assert_evaluations_agree(workspace: &mut Workspace<f64>, case: &Case) {
    let reference = case.evaluate(workspace, Evaluation::Assembled);
    let bounds = &reference.bounds;
    let norm = bounds.moments.frobenius_squared.sqrt();
    let condition = Case::condition(bounds);
    if norm == 0.0 {
        assert!(reference.gradient.iter().all(|&g| g == 0.0));
    }
    // The squares κ² amplify rounding, see above; 1 for all but a few cases.
    let tolerance = 1e-10 * (condition * condition / 100.0).max(1.0);
    for evaluation in EVALUATIONS {
        let name = format!("{evaluation:?}, κ = {condition}");
        let plain = workspace
            .bounds(&case.network(), &case.batch(), evaluation)
            .unwrap();
        let result = case.evaluate(workspace, evaluation);
        for ours in [&plain, &result.bounds] {
            let values = |b: &SpectralBounds<f64>| {
                [
                    b.moments.trace,
                    b.moments.frobenius_squared.sqrt(),
                    b.mean,
                    b.std,
                    b.lambda_sup,
                    b.lambda_inf,
                    b.lambda_max_lower,
                    b.lambda_min_upper,
                    b.spread_upper,
                ]
            };
            for (a, b) in values(ours).into_iter().zip(values(bounds)) {
                // Each on its own: the largest must not hide the others. Differences of large numbers (λ_inf, m) are
                // only as good as those.
                assert_close(&[a], &[b], 1e-3 * norm, tolerance, &name);
            }
        }
        assert_close(&result.gradient, &reference.gradient, 0.0, tolerance, &name);
        assert_close(&result.inputs, &reference.inputs, 0.0, tolerance, &name);

        // Without the gradient for the inputs the rest is the same.
        let mut gradient = vec![f64::NAN; case.theta.len()];
        let network = case.network();
        workspace
            .bounds_gradient(&network, &case.batch(), evaluation, &mut gradient, None)
            .unwrap();
        assert_close(&gradient, &result.gradient, 0.0, 1e-13, &name);
    }
}

#[test]
fn all_evaluations_agree() {
    for_all(300, case(), |workspace, case| {
        assert_evaluations_agree(workspace, &case);
    });
}

#[test]
fn all_evaluations_agree_on_both_sides_of_the_rank_of_the_inputs() {
    // The pairs' terms with R go through projections on x̃ where d̃ is below the padded N, here 8, 16 and 24, and stay
    // pairs elsewhere.
    for inputs in [1, 6, 7, 8, 9, 15, 16, 17, 23, 24, 25] {
        for samples in [1, 2, 7, 8, 9, 16, 17] {
            let case = fixed(Dimensions::new(inputs, 3, 2), samples, inputs + samples);
            assert_evaluations_agree(&mut Workspace::new(), &case);
        }
    }
}

/// A case without chance, for sizes that are too large to draw.
fn fixed(dimensions: Dimensions, samples: usize, seed: usize) -> Case {
    // The fractional parts of multiples of the golden ratio, spread over −1…1.
    let numbers = |count: usize, offset: usize, scale: f64| -> Vec<f64> {
        (0..count)
            .map(|i| {
                let turn = (i + offset) as f64 * 0.618_033_988_749_895;
                scale * (2.0 * (turn - turn.floor()) - 1.0)
            })
            .collect()
    };
    let layout = dimensions.layout();
    let mut theta = numbers(dimensions.parameters(), 17 * seed, 1.0);
    // The usual initialisation, so that nothing saturates however wide the layers are.
    for w in &mut theta[layout.hidden_weight()] {
        *w *= 2.0 / (dimensions.inputs as f64).sqrt();
    }
    for w in &mut theta[layout.output_weight()] {
        *w *= 2.0 / (dimensions.hidden as f64).sqrt();
    }
    let weights = numbers(samples, 5 * seed, 1.0);
    Case {
        dimensions,
        activation: Activation::Tanh,
        theta,
        loss: OutputLoss::SoftmaxCrossEntropy,
        x: numbers(samples * dimensions.inputs, 1000 + seed, 2.0),
        labels: Labels::Classes(
            (0..samples)
                .map(|n| (n * n + n / 3) % dimensions.outputs)
                .collect(),
        ),
        sample_weights: Some(weights.iter().map(|w| w.abs() + 0.1).collect()),
        class_weights: None,
        smoothing: 0.05,
    }
}

#[test]
fn all_evaluations_agree_where_samples_and_pairs_are_cut_into_tiles() {
    let mut workspace = Workspace::new();
    for (dimensions, samples) in [
        // Two tiles of pairs, and samples in tiles of the assembled blocks and of the pullback.
        (Dimensions::new(2, 40, 3), 700),
        // N a multiple of 256, where the row length is padded by a whole lane.
        (Dimensions::new(2, 12, 3), 512),
        (Dimensions::new(3, 12, 4), 768),
        // h·K·N so large that the projections of F and R are summed in tiles as well.
        (Dimensions::new(2, 130, 3), 700),
        // Several tiles of pairs, and as many inputs as samples: no projection.
        (Dimensions::new(620, 2, 2), 600),
        // More outputs than one group of four.
        (Dimensions::new(2, 9, 11), 150),
        // Lanes that are not full.
        (Dimensions::new(2, 6, 3), 521),
    ] {
        assert_evaluations_agree(&mut workspace, &fixed(dimensions, samples, samples));
    }
}

#[test]
fn all_evaluations_agree_where_m_is_formed_in_chunks() {
    // h(h + 1)/2·N is just beyond the 2^24 values of M that the pairs keep: M is formed again for every tile, in two
    // chunks, the second of one lane.
    let case = fixed(Dimensions::new(2, 200, 3), 840, 3);
    let h = case.dimensions.hidden;
    assert!(h * (h + 1) / 2 * case.samples() > 1 << 24);
    assert_evaluations_agree(&mut Workspace::new(), &case);
}

#[test]
fn auto_gives_every_block_its_own_evaluation_somewhere() {
    // The plan that mixes evaluations is one of those compared above.
    let plan = |dimensions, samples| {
        let plan = Plan::new(Evaluation::Auto, &dimensions, samples);
        plan.unwrap().to_string()
    };
    assert_eq!(plan(Dimensions::new(2, 3, 2), 521), "assembled");
    assert_eq!(plan(Dimensions::new(784, 128, 10), 128), "gram");
    let mixed = Dimensions::new(2, 40, 3);
    assert!((1..700).any(|samples| plan(mixed, samples) == "mixed"));
    for samples in (1..700).filter(|&n| plan(mixed, n) == "mixed").step_by(97) {
        assert_evaluations_agree(&mut Workspace::new(), &fixed(mixed, samples, 1));
    }
}

/// The eigenvalues of a symmetric matrix, ascending, by cyclic Jacobi rotations.
fn eigenvalues(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    let total: f64 = a.iter().map(|v| v * v).sum();
    for sweep in 0.. {
        let outside: f64 = (0..n * n)
            .filter(|at| at / n != at % n)
            .map(|at| a[at] * a[at])
            .sum();
        if outside <= 1e-30 * total {
            break;
        }
        assert!(
            sweep < 50,
            "the rotations do not converge: {outside:e} of {total:e}"
        );
        for p in 0..n {
            for q in p + 1..n {
                if a[p * n + q] == 0.0 {
                    continue;
                }
                let ratio = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
                let tangent = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for k in 0..n {
                    let (left, right) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = cosine * left - sine * right;
                    a[k * n + q] = sine * left + cosine * right;
                }
                for k in 0..n {
                    let (left, right) = (a[p * n + k], a[q * n + k]);
                    a[p * n + k] = cosine * left - sine * right;
                    a[q * n + k] = sine * left + cosine * right;
                }
            }
        }
    }
    let mut values: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn rotations_find_the_eigenvalues_of_a_known_matrix() {
    // The second difference of a chain of n: 2 − 2cos(kπ/(n + 1)).
    let n = 12_usize;
    let chain = (0..n * n)
        .map(|at| match (at / n).abs_diff(at % n) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        })
        .collect();
    let known: Vec<f64> = (1..=n)
        .map(|k| 2.0 - 2.0 * (k as f64 * std::f64::consts::PI / (n as f64 + 1.0)).cos())
        .collect();
    assert_close(&eigenvalues(chain, n), &known, 0.0, 1e-14, "eigenvalues");
}

#[test]
fn bounds_bound_the_spectrum_of_the_dense_hessian() {
    for_all(150, case(), |workspace, case| {
        let size = case.theta.len();
        let mut hessian = vec![f64::NAN; size * size];
        workspace
            .hessian(&case.network(), &case.batch(), &mut hessian)
            .unwrap();
        let b = case.bounds(workspace);
        let values = eigenvalues(hessian.clone(), size);
        let (least, largest) = (values[0], values[size - 1]);
        // Some of the inequalities are equalities, for H of rank one or D = 2. Where s is all rounding error it is
        // only as good as √ε.
        let slack = 1e-7 * b.moments.frobenius_squared.sqrt() + 1e-300;
        let name = format!("{b:?}, eigenvalues {least}…{largest}");
        assert!(b.lambda_sup >= largest - slack, "{name}");
        assert!(b.lambda_max_lower <= largest + slack, "{name}");
        assert!(b.lambda_inf <= least + slack, "{name}");
        assert!(b.lambda_min_upper >= least - slack, "{name}");
        assert!(b.spread_upper >= largest - least - slack, "{name}");
        assert!(
            least - slack <= b.mean && b.mean <= largest + slack,
            "{name}"
        );

        let sum: f64 = values.iter().sum();
        let squares: f64 = values.iter().map(|v| v * v).sum();
        let norm = b.moments.frobenius_squared.sqrt();
        assert_close(&[b.moments.trace], &[sum], norm, 1e-10, "trace");
        assert_close(&[norm], &[squares.sqrt()], 0.0, 1e-10, "norm");

        for column in 0..size {
            let mut unit = vec![0.0; size];
            unit[column] = 1.0;
            let product = case.product(workspace, &unit);
            let row = &hessian[column * size..(column + 1) * size];
            assert_close(&product, row, norm, 1e-12, "column");
        }
    });
}

/// Asserts that two cases have the same loss and the same bounds.
#[track_caller]
fn assert_same_values(workspace: &mut Workspace<f64>, a: &Case, b: &Case) {
    let (left, right) = (a.loss(workspace), b.loss(workspace));
    assert_close(&[left], &[right], 1.0, 1e-12, "loss");
    let (left, right) = (a.bounds(workspace), b.bounds(workspace));
    let norm = right.moments.frobenius_squared.sqrt();
    let tolerance = tolerance_of(&right);
    let values = |b: SpectralBounds<f64>| [b.moments.trace, b.lambda_sup, b.lambda_inf];
    assert_close(&values(left), &values(right), norm, tolerance, "bounds");
}

/// The tolerance for two computations of the same gradient that round differently.
fn tolerance_of(bounds: &SpectralBounds<f64>) -> f64 {
    let condition = Case::condition(bounds);
    1e-11 * (condition * condition).max(1.0)
}

#[test]
fn permuted_hidden_units_permute_the_gradient() {
    let strategy = case().prop_flat_map(|case| {
        let order: Vec<usize> = (0..case.dimensions.hidden).collect();
        (Just(case), Just(order).prop_shuffle())
    });
    for_all(100, strategy, |workspace, (case, order)| {
        let permute = |theta: &[f64]| {
            let layout = case.dimensions.layout();
            let (d, h) = (case.dimensions.inputs, case.dimensions.hidden);
            let w1 = &theta[layout.hidden_weight()];
            let b1 = &theta[layout.hidden_bias()];
            let mut out = Vec::new();
            out.extend(order.iter().flat_map(|&j| &w1[j * d..(j + 1) * d]));
            if case.dimensions.hidden_bias {
                out.extend(order.iter().map(|&j| &b1[j]));
            }
            for row in theta[layout.output_weight()].chunks(h) {
                out.extend(order.iter().map(|&j| &row[j]));
            }
            out.extend(&theta[layout.output_bias()]);
            out
        };
        let permuted = case.with_theta(&permute(&case.theta));
        assert_same_values(workspace, &permuted, &case);
        for evaluation in EVALUATIONS {
            let ours = permuted.evaluate(workspace, evaluation);
            let theirs = case.evaluate(workspace, evaluation);
            let tolerance = tolerance_of(&theirs.bounds);
            let gradient = permute(&theirs.gradient);
            assert_close(&ours.gradient, &gradient, 0.0, tolerance, "gradient");
            assert_close(&ours.inputs, &theirs.inputs, 0.0, tolerance, "inputs");
        }
    });
}

#[test]
fn permuted_samples_permute_the_gradient_of_the_inputs() {
    let strategy = case().prop_flat_map(|case| {
        let order: Vec<usize> = (0..case.samples()).collect();
        (Just(case), Just(order).prop_shuffle())
    });
    for_all(100, strategy, |workspace, (case, order)| {
        let permuted = case.select(&order);
        assert_same_values(workspace, &permuted, &case);
        for evaluation in EVALUATIONS {
            let ours = permuted.evaluate(workspace, evaluation);
            let theirs = case.evaluate(workspace, evaluation);
            let tolerance = tolerance_of(&theirs.bounds);
            let d = case.dimensions.inputs;
            let inputs: Vec<f64> = order
                .iter()
                .flat_map(|&n| theirs.inputs[n * d..(n + 1) * d].iter().copied())
                .collect();
            assert_close(&ours.gradient, &theirs.gradient, 0.0, tolerance, "gradient");
            assert_close(&ours.inputs, &inputs, 0.0, tolerance, "inputs");
        }
    });
}

/// Asserts that `repeated`, the samples `order` of `case`, has the same values and gradients as `case`: the copies of
/// an input share its gradient.
fn assert_repetition_changes_nothing(
    workspace: &mut Workspace<f64>,
    repeated: &Case,
    case: &Case,
    order: &[usize],
) {
    assert_same_values(workspace, repeated, case);
    for evaluation in EVALUATIONS {
        let ours = repeated.evaluate(workspace, evaluation);
        let theirs = case.evaluate(workspace, evaluation);
        let tolerance = tolerance_of(&theirs.bounds);
        let d = case.dimensions.inputs;
        let mut inputs = vec![0.0; case.x.len()];
        for (row, &n) in ours.inputs.chunks(d).zip(order) {
            for (sum, value) in inputs[n * d..].iter_mut().zip(row) {
                *sum += value;
            }
        }
        assert_close(&ours.gradient, &theirs.gradient, 0.0, tolerance, "gradient");
        assert_close(&inputs, &theirs.inputs, 0.0, tolerance, "inputs");
    }
}

#[test]
fn every_sample_twice_changes_nothing() {
    for_all(100, case(), |workspace, case| {
        let once: Vec<usize> = (0..case.samples()).collect();
        let order = [once.clone(), once].concat();
        let twice = case.select(&order);
        assert_repetition_changes_nothing(workspace, &twice, &case, &order);
    });
}

#[test]
fn integer_sample_weights_equal_repetition() {
    let strategy = case().prop_flat_map(|case| {
        let samples = case.samples();
        // A weight of 0 leaves the sample out, but one must remain.
        let some = |counts: &Vec<usize>| counts.iter().any(|&count| count > 0);
        let counts = vec(0..4_usize, samples).prop_filter("all weights are 0", some);
        (Just(case), counts)
    });
    for_all(100, strategy, |workspace, (case, counts)| {
        let order: Vec<usize> = (0..case.samples())
            .flat_map(|n| std::iter::repeat_n(n, counts[n]))
            .collect();
        let repeated = Case {
            sample_weights: None,
            ..case.select(&order)
        };
        let weighted = Case {
            sample_weights: Some(counts.iter().map(|&count| count as f64).collect()),
            ..case
        };
        assert_repetition_changes_nothing(workspace, &repeated, &weighted, &order);
    });
}

#[test]
fn only_ratios_of_sample_weights_matter() {
    let strategy = case().prop_flat_map(|case| {
        let weights = vec(0.1..3.0_f64, case.samples());
        (Just(case), weights, -300.0..300.0_f64)
    });
    for_all(100, strategy, |workspace, (case, weights, exponent)| {
        let scale = 10.0_f64.powf(exponent);
        let scaled = Case {
            sample_weights: Some(weights.iter().map(|w| w * scale).collect()),
            ..case.clone()
        };
        let case = Case {
            sample_weights: Some(weights),
            ..case
        };
        let order: Vec<usize> = (0..case.samples()).collect();
        assert_repetition_changes_nothing(workspace, &scaled, &case, &order);
    });
}

#[test]
fn only_ratios_of_class_weights_matter_for_hard_labels() {
    let strategy = (dimensions(), 1..=12_usize)
        .prop_flat_map(|(dimensions, samples)| {
            case_of(dimensions, samples, OutputLoss::SoftmaxCrossEntropy)
        })
        .prop_flat_map(|case| {
            let (samples, outputs) = (case.samples(), case.dimensions.outputs);
            let weights = vec(0.1..3.0_f64, outputs);
            (
                Just(case),
                weights,
                vec(0..outputs, samples),
                -300.0..300.0_f64,
            )
        });
    for_all(
        100,
        strategy,
        |workspace, (case, weights, classes, exponent)| {
            let scale = 10.0_f64.powf(exponent);
            let case = Case {
                labels: Labels::Classes(classes),
                class_weights: Some(weights.clone()),
                ..case
            };
            let scaled = Case {
                class_weights: Some(weights.iter().map(|w| w * scale).collect()),
                ..case.clone()
            };
            let order: Vec<usize> = (0..case.samples()).collect();
            assert_repetition_changes_nothing(workspace, &scaled, &case, &order);
        },
    );
}

#[test]
fn one_hot_values_equal_classes() {
    for_all(200, case(), |workspace, case| {
        let Labels::Classes(classes) = &case.labels else {
            return;
        };
        // Class weights divide by another sum for values than for classes, as in PyTorch.
        let case = Case {
            class_weights: None,
            ..case.clone()
        };
        let outputs = case.dimensions.outputs;
        let binary = outputs == 1 && case.loss != OutputLoss::SoftmaxCrossEntropy;
        let values = classes
            .iter()
            .flat_map(|&class| {
                (0..outputs).map(move |k| {
                    let target = if binary { class == 1 } else { class == k };
                    f64::from(u8::from(target))
                })
            })
            .collect();
        let one_hot = Case {
            labels: Labels::Values(values),
            ..case.clone()
        };
        for evaluation in EVALUATIONS {
            let ours = one_hot.evaluate(workspace, evaluation);
            let theirs = case.evaluate(workspace, evaluation);
            assert_eq!(ours.bounds, theirs.bounds);
            assert_eq!(ours.gradient, theirs.gradient);
            assert_eq!(ours.inputs, theirs.inputs);
        }
        assert_eq!(one_hot.loss(workspace), case.loss(workspace));
    });
}

/// The network's outputs, N × K, computed the plain way.
fn outputs_of(case: &Case) -> Vec<Vec<f64>> {
    let layout = case.dimensions.layout();
    let (d, h) = (case.dimensions.inputs, case.dimensions.hidden);
    let bias =
        |range: std::ops::Range<usize>, i: usize| case.theta[range].get(i).copied().unwrap_or(0.0);
    let affine = |weight: &[f64], bias: f64, x: &[f64]| {
        bias + weight.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
    };
    case.x
        .chunks(d)
        .map(|x| {
            let hidden: Vec<f64> = case.theta[layout.hidden_weight()]
                .chunks(d)
                .enumerate()
                .map(|(j, w)| {
                    let z = affine(w, bias(layout.hidden_bias(), j), x);
                    case.activation.derivatives(z)[0]
                })
                .collect();
            case.theta[layout.output_weight()]
                .chunks(h)
                .enumerate()
                .map(|(k, w)| affine(w, bias(layout.output_bias(), k), &hidden))
                .collect()
        })
        .collect()
}

/// The loss as PyTorch's documentation of `CrossEntropyLoss`, `BCEWithLogitsLoss` and `MSELoss` defines it, with a
/// weight for each sample.
fn plain_loss(case: &Case) -> f64 {
    let outputs = case.dimensions.outputs;
    let sample_weight = |n: usize| case.sample_weights.as_ref().map_or(1.0, |w| w[n]);
    let class_weight = |c: usize| case.class_weights.as_ref().map_or(1.0, |w| w[c]);
    let (mut sum, mut divisor) = (0.0, 0.0);
    for (n, o) in outputs_of(case).iter().enumerate() {
        let y: Vec<f64> = match &case.labels {
            Labels::Values(values) => values[n * outputs..(n + 1) * outputs].to_vec(),
            Labels::Classes(classes) => {
                if outputs == 1 && case.loss != OutputLoss::SoftmaxCrossEntropy {
                    vec![classes[n] as f64]
                } else {
                    (0..outputs)
                        .map(|k| if k == classes[n] { 1.0 } else { 0.0 })
                        .collect()
                }
            }
        };
        let (loss, weight) = match case.loss {
            OutputLoss::SoftmaxCrossEntropy => {
                let total: f64 = o.iter().map(|o| o.exp()).sum();
                let loss = (0..outputs)
                    .map(|c| {
                        let smooth =
                            (1.0 - case.smoothing) * y[c] + case.smoothing / outputs as f64;
                        -class_weight(c) * smooth * (o[c].exp() / total).ln()
                    })
                    .sum::<f64>();
                let weight = match &case.labels {
                    Labels::Classes(classes) => class_weight(classes[n]),
                    Labels::Values(_) => 1.0,
                };
                (loss, weight)
            }
            OutputLoss::SigmoidCrossEntropy => {
                let loss = (0..outputs)
                    .map(|k| {
                        let p = 1.0 / (1.0 + (-o[k]).exp());
                        -y[k] * p.ln() - (1.0 - y[k]) * (1.0 - p).ln()
                    })
                    .sum::<f64>();
                (loss / outputs as f64, 1.0)
            }
            OutputLoss::MeanSquaredError => {
                let squares: f64 = o.iter().zip(&y).map(|(o, y)| (o - y).powi(2)).sum();
                (squares / outputs as f64, 1.0)
            }
        };
        sum += sample_weight(n) * loss;
        divisor += sample_weight(n) * weight;
    }
    sum / divisor
}

#[test]
fn losses_equal_those_of_pytorch() {
    for_all(400, case(), |workspace, case| {
        // The plain sigmoid cancels in 1 − p, hence no smaller tolerance.
        let plain = plain_loss(&case);
        assert_close(&[case.loss(workspace)], &[plain], 1.0, 1e-10, "loss");
    });
}

#[test]
fn losses_with_class_weights_equal_numbers_worked_out_by_hand() {
    // torch.nn.CrossEntropyLoss(weight=[1, 3], label_smoothing=0.2) of logits (ln 3, 0) and (0, 0), which have the
    // probabilities (3/4, 1/4) and (1/2, 1/2), and classes 0 and 1:
    // (0.9·ln(4/3) + 3·0.1·ln 4 + 0.1·ln 2 + 3·0.9·ln 2)/(1 + 3).
    let case = Case {
        dimensions: Dimensions {
            hidden_bias: false,
            output_bias: false,
            ..Dimensions::new(1, 1, 2)
        },
        activation: Activation::Identity,
        theta: vec![1.0, 3.0_f64.ln(), 0.0],
        loss: OutputLoss::SoftmaxCrossEntropy,
        x: vec![1.0, 0.0],
        labels: Labels::Classes(vec![0, 1]),
        sample_weights: None,
        class_weights: Some(vec![1.0, 3.0]),
        smoothing: 0.2,
    };
    let known = (0.9 * (4.0_f64 / 3.0).ln() + 3.4 * 2.0_f64.ln()) / 4.0;
    let ours = case.loss(&mut Workspace::new());
    assert_close(&[ours], &[known], 0.0, 1e-14, "loss");
    // With probabilities as labels the divisor is the number of samples.
    let soft = Case {
        labels: Labels::Values(vec![1.0, 0.0, 0.0, 1.0]),
        ..case
    };
    let ours = soft.loss(&mut Workspace::new());
    assert_close(&[ours], &[2.0 * known], 0.0, 1e-14, "loss");
}

#[test]
fn derivatives_of_activations_equal_differences_of_the_previous_ones() {
    for activation in smooth_activations() {
        for i in -800..=800 {
            let z = f64::from(i) / 100.0;
            let derivatives = activation.derivatives(z);
            for (order, derivative) in derivatives.into_iter().enumerate().skip(1) {
                let previous = |z: &[f64]| activation.derivatives(z[0])[order - 1];
                let difference = central_differences(&[z], previous)[0];
                // η²/6·|f'''| with η = 8·6e-6 at the ends, and ε|f|/η: see `DIFFERENCES`.
                let error = (derivative - difference).abs();
                assert!(
                    error < 2e-9,
                    "{activation}, order {order} at {z}: {error:e}, {difference}"
                );
            }
        }
    }
}

#[test]
fn activations_are_odd_or_even_where_they_should_be() {
    use Activation::{Erf, Gelu, GeluTanh, Identity, Sigmoid, Silu, Sin, Softplus, Tanh};
    for i in 0..=800 {
        let z = f64::from(i) / 100.0;
        for activation in [Tanh, Erf, Sin, Identity] {
            let (right, left) = (activation.derivatives(z), activation.derivatives(-z));
            let mirrored = [-left[0], left[1], -left[2], left[3]];
            assert_eq!(right, mirrored, "{activation} at {z}");
        }
        // σ(z) + σ(−z) = 1, and φ(z) − φ(−z) = z for softplus, both GELUs and SiLU.
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-14, "{a} and {b} at {z}");
        let (right, left) = (Sigmoid.derivatives(z), Sigmoid.derivatives(-z));
        close(right[0] + left[0], 1.0);
        close(right[1], left[1]);
        close(right[2], -left[2]);
        close(right[3], left[3]);
        for activation in [Softplus, Gelu, GeluTanh, Silu] {
            let (right, left) = (activation.derivatives(z), activation.derivatives(-z));
            close(right[0] - left[0], z);
            close(right[1] + left[1], 1.0);
            close(right[2], left[2]);
            close(right[3], -left[3]);
        }
    }
}

#[test]
fn single_precision_activations_equal_double_ones() {
    for activation in Activation::ALL {
        for i in -400..=400 {
            let z = i as f32 / 50.0;
            let single = activation.derivatives(z);
            let double = activation.derivatives(f64::from(z));
            for (single, double) in single.iter().zip(double) {
                let error = (f64::from(*single) - double).abs();
                assert!(error < 4e-6, "{activation} at {z}: {error:e}");
            }
        }
    }
}

#[test]
fn two_parameters_give_the_eigenvalues_themselves() {
    // For D = 2 the bounds are the eigenvalues. One unit, one output, no bias, squared error, identity:
    // H = 2[[w2²x², 2w1w2x² − xy], [·, w1²x²]].
    let (w1, w2, x, y) = (0.7, -1.3, 0.9, 0.4);
    let case = Case {
        dimensions: Dimensions {
            hidden_bias: false,
            output_bias: false,
            ..Dimensions::new(1, 1, 1)
        },
        activation: Activation::Identity,
        theta: vec![w1, w2],
        loss: OutputLoss::MeanSquaredError,
        x: vec![x],
        labels: Labels::Values(vec![y]),
        sample_weights: None,
        class_weights: None,
        smoothing: 0.0,
    };
    let (a, b, c) = (
        2.0 * w2 * w2 * x * x,
        2.0 * (2.0 * w1 * w2 * x * x - x * y),
        2.0 * w1 * w1 * x * x,
    );
    let root = ((a - c) * (a - c) / 2.0 + 2.0 * b * b).sqrt() / SQRT_2;
    let (largest, least) = ((a + c) / 2.0 + root, (a + c) / 2.0 - root);
    let bounds = case.bounds(&mut Workspace::new());
    let ours = [
        bounds.lambda_sup,
        bounds.lambda_max_lower,
        bounds.lambda_inf,
        bounds.lambda_min_upper,
        bounds.spread_upper,
    ];
    let known = [largest, largest, least, least, largest - least];
    assert_close(&ours, &known, 0.0, 1e-14, "bounds");
}
