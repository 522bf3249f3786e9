//! Measures of sharpness: each against an independent value, and all of them under the two transformations that are
//! the critique of flatness, a rescaled layer and scaled logits.

use burn_sharpness::measures::{
    Ascent, LayerWeights, LogitNormalized, Margins, MeasureConfig, Radius, ScaledOperator,
    SharpnessMeasures, WorstCaseConfig, adaptive_gradient_norm, adaptive_sharpness, logit_scale,
    output_relative_flatness, relative_flatness, weight_norm,
};
use burn_sharpness::spectrum::LanczosConfig;
use burn_sharpness::{ParameterSpace, SharpnessError, SymmetricOperator};
use hsr_core::{
    Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Targets, Workspace,
};
use hsr_lab::spectrum::eigenvalues;
use hsr_tests::{central_differences, relative_error};

/// Reproducible numbers in −1…1.
fn noise(count: usize, seed: usize) -> Vec<f64> {
    (0..count)
        .map(|i| (1.7 * (i + 31 * seed) as f64 + 0.3).sin() * (0.9 * i as f64).cos())
        .collect()
}

/// A network and a batch that own their numbers.
#[derive(Clone)]
struct Case {
    dimensions: Dimensions,
    activation: Activation,
    theta: Vec<f64>,
    loss: OutputLoss,
    x: Vec<f64>,
    labels: Labels,
    weights: Option<Vec<f64>>,
    smoothing: f64,
}

#[derive(Clone)]
enum Labels {
    Classes(Vec<usize>),
    Values(Vec<f64>),
}

impl Case {
    /// Five inputs, four hidden units, 17 samples.
    fn new(loss: OutputLoss, outputs: usize, activation: Activation) -> Self {
        let dimensions = Dimensions::new(5, 4, outputs);
        let samples = 17;
        Self {
            dimensions,
            activation,
            theta: noise(dimensions.parameters(), 1)
                .iter()
                .map(|v| 1.5 * v)
                .collect(),
            loss,
            x: noise(samples * 5, 2),
            labels: match loss {
                OutputLoss::SoftmaxCrossEntropy => {
                    Labels::Classes((0..samples).map(|n| (n * n + 1) % outputs).collect())
                }
                OutputLoss::SigmoidCrossEntropy => Labels::Values(
                    (0..samples * outputs)
                        .map(|i| f64::from(u8::from(i % 3 == 0)))
                        .collect(),
                ),
                OutputLoss::MeanSquaredError => Labels::Values(noise(samples * outputs, 3)),
            },
            weights: None,
            smoothing: 0.0,
        }
    }

    fn network(&self) -> Network<'_, f64> {
        Network::from_flat(self.dimensions, self.activation, &self.theta).unwrap()
    }

    fn batch(&self) -> Batch<'_, f64> {
        let targets = match &self.labels {
            Labels::Classes(classes) => Targets::Classes(classes),
            Labels::Values(values) => Targets::Values(values),
        };
        let batch = Batch::new(self.loss, &self.x, targets).with_label_smoothing(self.smoothing);
        match &self.weights {
            Some(weights) => batch.with_sample_weights(weights),
            None => batch,
        }
    }

    fn with_theta(&self, theta: &[f64]) -> Self {
        Self {
            theta: theta.to_vec(),
            ..self.clone()
        }
    }

    fn hessian(&self) -> Dense {
        let size = self.theta.len();
        let mut values = vec![0.0; size * size];
        Workspace::new()
            .hessian(&self.network(), &self.batch(), &mut values)
            .unwrap();
        Dense { size, values }
    }

    fn measures(&self) -> SharpnessMeasures {
        let options = MeasureConfig::default();
        SharpnessMeasures::of(
            &mut Workspace::new(),
            &self.network(),
            &self.batch(),
            &options,
        )
        .unwrap()
    }

    /// The logits, sample by sample, without hsr-core.
    fn logits(&self) -> Vec<f64> {
        let (dims, layout) = (self.dimensions, self.dimensions.layout());
        let affine = |x: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
            weight
                .chunks(x.len())
                .zip(bias)
                .map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b)
                .collect()
        };
        self.x
            .chunks(dims.inputs)
            .flat_map(|x| {
                let z = affine(
                    x,
                    &self.theta[layout.hidden_weight()],
                    &self.theta[layout.hidden_bias()],
                );
                let a: Vec<f64> = z
                    .iter()
                    .map(|&z| self.activation.derivatives(z)[0])
                    .collect();
                affine(
                    &a,
                    &self.theta[layout.output_weight()],
                    &self.theta[layout.output_bias()],
                )
            })
            .collect()
    }
}

/// A matrix as an operator.
struct Dense {
    size: usize,
    values: Vec<f64>,
}

impl Dense {
    fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.size + j]
    }

    /// T A T.
    fn scaled(&self, scale: &[f64]) -> Self {
        let entries = (0..self.size * self.size).map(|at| {
            let (i, j) = (at / self.size, at % self.size);
            scale[i] * self.at(i, j) * scale[j]
        });
        Self {
            size: self.size,
            values: entries.collect(),
        }
    }

    fn largest(&self) -> f64 {
        *eigenvalues(&self.values, self.size)
            .unwrap()
            .last()
            .unwrap()
    }
}

impl SymmetricOperator for Dense {
    fn size(&self) -> usize {
        self.size
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        for (row, product) in self.values.chunks(self.size).zip(product) {
            *product = row.iter().zip(v).map(|(a, b)| a * b).sum();
        }
        Ok(())
    }
}

const LOSSES: [(OutputLoss, usize); 5] = [
    (OutputLoss::SoftmaxCrossEntropy, 3),
    (OutputLoss::SoftmaxCrossEntropy, 2),
    (OutputLoss::SigmoidCrossEntropy, 1),
    (OutputLoss::SigmoidCrossEntropy, 3),
    (OutputLoss::MeanSquaredError, 2),
];

/// Every loss, and the softmax also with weights and smoothed labels.
fn cases(activation: Activation) -> Vec<Case> {
    let mut cases: Vec<Case> = LOSSES
        .iter()
        .map(|&(loss, outputs)| Case::new(loss, outputs, activation))
        .collect();
    let mut weighted = cases[0].clone();
    weighted.weights = Some(noise(17, 9).iter().map(|v| v.abs()).collect());
    weighted.smoothing = 0.2;
    cases.push(weighted);
    cases
}

#[test]
fn logits_are_those_of_the_network_computed_sample_by_sample() {
    for case in cases(Activation::Silu) {
        let logits = Workspace::new()
            .logits(&case.network(), &case.batch())
            .unwrap();
        assert!(relative_error(&logits, &case.logits(), 1e-3) < 1e-14);
    }
}

#[test]
fn traces_of_the_output_blocks_are_those_of_the_dense_hessian() {
    for case in cases(Activation::Tanh) {
        let found = Workspace::new()
            .output_block_traces(&case.network(), &case.batch())
            .unwrap();
        let (dense, outputs) = (case.hessian(), case.dimensions.outputs);
        let (h, start) = (
            case.dimensions.hidden,
            case.dimensions.layout().output_weight().start,
        );
        let expected: Vec<f64> = (0..outputs * outputs)
            .map(|at| {
                let (k, l) = (at / outputs, at % outputs);
                (0..h)
                    .map(|i| dense.at(start + k * h + i, start + l * h + i))
                    .sum()
            })
            .collect();
        let error = relative_error(&found, &expected, 0.0);
        assert!(error < 1e-12, "{:?} {error:e}", case.loss);
    }
}

#[test]
fn relative_flatness_is_its_definition_by_products_and_in_closed_form() {
    for case in cases(Activation::Gelu) {
        let (dense, outputs, h) = (
            case.hessian(),
            case.dimensions.outputs,
            case.dimensions.hidden,
        );
        let range = case.dimensions.layout().output_weight();
        // Σ_ss' ⟨w_s, w_s'⟩ tr H_ss', index by index.
        let mut expected = 0.0;
        for (s, other) in (0..outputs).flat_map(|s| (0..outputs).map(move |o| (s, o))) {
            let weight = |neuron: usize, i: usize| range.start + neuron * h + i;
            let inner: f64 = (0..h)
                .map(|i| case.theta[weight(s, i)] * case.theta[weight(other, i)])
                .sum();
            let trace: f64 = (0..h)
                .map(|i| dense.at(weight(s, i), weight(other, i)))
                .sum();
            expected += inner * trace;
        }
        let mut workspace = Workspace::new();
        let (network, batch) = (case.network(), case.batch());
        let closed = output_relative_flatness(&mut workspace, &network, &batch).unwrap();
        let layer = LayerWeights::rows(range, outputs).unwrap();
        let mut operator = workspace.linearize(&network, &batch).unwrap();
        let by_products = relative_flatness(&mut operator, &case.theta, &layer).unwrap();
        assert!(expected > 0.0);
        assert!(
            (closed / expected - 1.0).abs() < 1e-11,
            "{closed} {expected}"
        );
        assert!(
            (by_products / expected - 1.0).abs() < 1e-11,
            "{by_products} {expected}"
        );
    }
}

#[test]
fn relative_flatness_of_least_squares_is_a_ridge_penalty() {
    // o = w·x through a hidden layer that is the identity: H = 2 x xᵀ, so κ = ‖w‖² · 2 mean ‖x‖².
    let dimensions = Dimensions {
        hidden_bias: false,
        output_bias: false,
        ..Dimensions::new(2, 2, 1)
    };
    let theta = [1.0, 0.0, 0.0, 1.0, 3.0, -4.0];
    let network = Network::from_flat(dimensions, Activation::Identity, &theta).unwrap();
    let x = [1.0, 2.0, 0.0, -3.0];
    let batch = Batch::new(
        OutputLoss::MeanSquaredError,
        &x,
        Targets::Values(&[0.5, 7.0]),
    );
    let kappa = output_relative_flatness(&mut Workspace::new(), &network, &batch).unwrap();
    assert!(
        (kappa - 25.0 * 2.0 * (5.0 + 9.0) / 2.0).abs() < 1e-12,
        "{kappa}"
    );
}

#[test]
fn the_weights_of_a_burn_linear_are_read_by_columns() {
    use burn::nn::LinearConfig;
    let layer = LinearConfig::new(3, 2).init(&burn::tensor::Device::flex().autodiff());
    let space = ParameterSpace::of(&layer).unwrap();
    let weight = &space.parameters()[0];
    // H with entry 10·i + j: κ by the definition, with the weights of neuron s at i·2 + s.
    let theta = noise(space.size(), 4);
    let mut dense = Dense {
        size: 8,
        values: (0..64).map(|at| (10 * (at / 8) + at % 8) as f64).collect(),
    };
    let mut expected = 0.0;
    for (s, other) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let at = |neuron: usize, i: usize| weight.range.start + i * 2 + neuron;
        let inner: f64 = (0..3).map(|i| theta[at(s, i)] * theta[at(other, i)]).sum();
        expected += inner
            * (0..3)
                .map(|i| dense.at(at(s, i), at(other, i)))
                .sum::<f64>();
    }
    let layer = LayerWeights::of_linear(weight).unwrap();
    let found = relative_flatness(&mut dense, &theta, &layer).unwrap();
    assert!(
        (found - expected).abs() < 1e-12 * expected.abs(),
        "{found} {expected}"
    );
    assert!(LayerWeights::of_linear(&space.parameters()[1]).is_err());
    assert!(LayerWeights::rows(0..7, 2).is_err() && LayerWeights::rows(0..6, 0).is_err());
}

#[test]
fn adaptive_sharpness_is_the_largest_eigenvalue_of_the_scaled_dense_hessian() {
    for case in cases(Activation::Tanh) {
        let scale: Vec<f64> = case.theta.iter().map(|v| v.abs()).collect();
        let expected = case.hessian().scaled(&scale).largest();
        let mut workspace = Workspace::new();
        let (network, batch) = (case.network(), case.batch());
        let mut operator = workspace.linearize(&network, &batch).unwrap();
        let found = adaptive_sharpness(&mut operator, &case.theta, &LanczosConfig::new()).unwrap();
        assert!(found.converged);
        assert!((found.largest / expected - 1.0).abs() < 1e-10);
    }
}

#[test]
fn a_vector_of_the_wrong_length_is_refused_with_both_numbers() {
    let mut dense = Dense {
        size: 2,
        values: vec![0.0; 4],
    };
    let error = adaptive_sharpness(&mut dense, &[1.0], &LanczosConfig::new()).unwrap_err();
    assert!(
        error.to_string().contains("1 values, expected 2"),
        "{error}"
    );
    let error = adaptive_gradient_norm(&[1.0, 2.0], &[1.0]).unwrap_err();
    assert!(
        error.to_string().contains("1 values, expected 2"),
        "{error}"
    );
    let mut scaled = ScaledOperator::new(&mut dense, vec![1.0, 1.0]).unwrap();
    let error = scaled.apply(&[1.0], &mut [0.0; 2]).unwrap_err();
    assert!(
        error.to_string().contains("1 values, expected 2"),
        "{error}"
    );
}

/// A quadratic ½(θ − m)ᵀA(θ − m) + bᵀθ with diagonal A.
struct Quadratic {
    curvature: Vec<f64>,
    minimum: Vec<f64>,
    slope: Vec<f64>,
}

impl Quadratic {
    fn ascend(&self, theta: &[f64], worst: &WorstCaseConfig) -> Ascent {
        let worst = worst.init().unwrap();
        worst
            .ascend(theta, |theta, gradient| {
                let mut loss = 0.0;
                for i in 0..theta.len() {
                    let far = theta[i] - self.minimum[i];
                    gradient[i] = self.curvature[i] * far + self.slope[i];
                    loss += 0.5 * self.curvature[i] * far * far + self.slope[i] * theta[i];
                }
                Ok(loss)
            })
            .unwrap()
    }
}

#[test]
fn the_worst_case_of_a_quadratic_is_the_solution_of_the_trust_region() {
    let theta = [2.0, -0.5, 1.0];
    let quadratic = Quadratic {
        curvature: vec![1.0, 6.0, -2.0],
        minimum: vec![1.0, 0.5, 0.0],
        slope: vec![0.3, 0.0, -0.1],
    };
    let (rho, scale) = (0.7, [2.0, 0.5, 1.0]);
    // In u: curvature t²a, gradient t·g. The maximum is at u = g/(μ − c) with ‖u‖ = ρ, μ above every c.
    let c: Vec<f64> = (0..3)
        .map(|i| scale[i] * scale[i] * quadratic.curvature[i])
        .collect();
    let g: Vec<f64> = (0..3)
        .map(|i| {
            let at = quadratic.curvature[i] * (theta[i] - quadratic.minimum[i]);
            scale[i] * (at + quadratic.slope[i])
        })
        .collect();
    let norm = |mu: f64| {
        (0..3)
            .map(|i| (g[i] / (mu - c[i])).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let largest = c.iter().copied().fold(f64::MIN, f64::max);
    let (mut low, mut high) = (largest + 1e-9, largest + 100.0);
    for _ in 0..200 {
        let mu = 0.5 * (low + high);
        if norm(mu) > rho { low = mu } else { high = mu }
    }
    let expected: f64 = (0..3)
        .map(|i| {
            let u = g[i] / (low - c[i]);
            g[i] * u + 0.5 * c[i] * u * u
        })
        .sum();
    let worst = WorstCaseConfig {
        rho,
        steps: 400,
        ..WorstCaseConfig::default()
    };
    let found = quadratic.ascend(&theta, &worst);
    assert!(
        (found.increase / expected - 1.0).abs() < 1e-8,
        "{} {expected}",
        found.increase
    );
    let u: f64 = (0..3)
        .map(|i| (found.displacement[i] / scale[i]).powi(2))
        .sum();
    assert!(u.sqrt() <= rho * (1.0 + 1e-12));
}

#[test]
fn one_step_is_the_ascent_of_asam_and_a_linear_loss_reaches_the_corner() {
    let linear = Quadratic {
        curvature: vec![0.0; 3],
        minimum: vec![0.0; 3],
        slope: vec![3.0, -1.0, 2.0],
    };
    let theta = [0.5, -2.0, 1.0];
    let one = WorstCaseConfig {
        rho: 0.3,
        steps: 1,
        ..WorstCaseConfig::default()
    };
    // ρ T²g/‖Tg‖ and ρ‖Tg‖.
    let norm = adaptive_gradient_norm(&theta, &linear.slope).unwrap();
    assert!((norm - (1.5_f64.powi(2) + 4.0 + 4.0).sqrt()).abs() < 1e-15);
    let found = linear.ascend(&theta, &one);
    let expected: Vec<f64> = (0..3)
        .map(|i| 0.3 * theta[i] * theta[i] * linear.slope[i] / norm)
        .collect();
    assert!(relative_error(&found.displacement, &expected, 0.0) < 1e-14);
    assert!((found.increase - 0.3 * norm).abs() < 1e-14);
    assert_eq!(found.evaluations, 2);

    let corner = WorstCaseConfig {
        radius: Radius::Maximum,
        ..one
    };
    let found = linear.ascend(&theta, &corner);
    assert!(relative_error(&found.displacement, &[0.15, -0.6, 0.3], 0.0) < 1e-14);
    assert!((found.increase - 0.3 * (1.5 + 2.0 + 2.0)).abs() < 1e-14);
    let plain = WorstCaseConfig {
        adaptive: false,
        ..one
    };
    let found = linear.ascend(&theta, &plain);
    assert!((found.increase - 0.3 * 14_f64.sqrt()).abs() < 1e-14);
}

#[test]
fn at_a_minimum_the_worst_case_is_found_although_the_gradient_says_nothing() {
    let theta = [1.0, 2.0, -0.5];
    let bowl = Quadratic {
        curvature: vec![4.0, 1.5, 8.0],
        minimum: theta.to_vec(),
        slope: vec![0.0; 3],
    };
    // T A T = diag(4, 6, 2).
    for seed in 0..3 {
        let worst = WorstCaseConfig {
            rho: 0.1,
            steps: 400,
            seed,
            ..WorstCaseConfig::default()
        };
        let found = bowl.ascend(&theta, &worst);
        assert!(
            (found.increase - 0.5 * 6.0 * 0.01).abs() < 1e-6,
            "{}",
            found.increase
        );
    }
}

#[test]
fn what_is_not_finite_is_refused_at_the_model_and_no_ascent_beyond_it() {
    let config = WorstCaseConfig::new();
    let worst = config.init().unwrap();
    let refused = worst
        .ascend(&[1.0], |_, gradient| {
            gradient[0] = 1.0;
            Ok(f64::NAN)
        })
        .unwrap_err();
    assert!(matches!(refused, SharpnessError::NotFinite { .. }));
    let refused = config.with_rho(0.0).init().unwrap_err();
    assert_eq!(refused.to_string(), "rho is 0, expected a positive number");
    // −ln(1.2 − θ) has a pole inside the radius.
    let found = worst
        .ascend(&[1.0], |theta, gradient| {
            gradient[0] = 1.0 / (1.2 - theta[0]);
            Ok(-(1.2 - theta[0]).ln())
        })
        .unwrap();
    assert!(found.increase.is_finite() && found.increase > 0.0 && found.displacement[0] < 0.2);
}

#[test]
fn the_worst_case_of_a_network_grows_as_its_first_and_second_order_say() {
    let case = Case::new(OutputLoss::SoftmaxCrossEntropy, 3, Activation::Tanh);
    let mut workspace = Workspace::new();
    let mut increase = |rho: f64| {
        let worst = WorstCaseConfig {
            rho,
            ..WorstCaseConfig::default()
        };
        let found = worst
            .init()
            .unwrap()
            .ascend(&case.theta, |theta, gradient| {
                let network = Network::from_flat(case.dimensions, case.activation, theta)?;
                Ok(workspace.loss_gradient(&network, &case.batch(), gradient)?)
            });
        found.unwrap().increase
    };
    let slope = case.measures().adaptive_grad_norm.unwrap();
    let small = 1e-5;
    assert!((increase(small) / (small * slope) - 1.0).abs() < 1e-4);
    // Never less than in a smaller radius, and more than at the linear rate where the curvature adds to it.
    let [near, far] = [increase(0.1), increase(0.4)];
    assert!(far > near && near > 0.1 * slope, "{near} {far} {slope}");
}

#[test]
fn the_measures_of_any_module_are_those_of_the_closed_form_where_there_is_one() {
    use burn::module::Param;
    use burn::nn::Linear;
    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::tensor::{DType, Device, Int, Tensor, TensorData};
    use burn_hsr::ThreeLayerNet;
    use burn_sharpness::FiniteDifferenceHessian;
    use hsr_tests::tensor;

    let case = Case::new(OutputLoss::SoftmaxCrossEntropy, 3, Activation::Tanh);
    let layout = case.dimensions.layout();
    let device = Device::flex().autodiff();
    let layer = |weight: core::ops::Range<usize>, bias: core::ops::Range<usize>, inputs: usize| {
        let outputs = bias.len();
        let rows = tensor(&case.theta[weight], [outputs, inputs], &device, DType::F64);
        let bias = tensor(&case.theta[bias], [outputs], &device, DType::F64);
        Linear {
            weight: Param::from_tensor(rows.transpose()),
            bias: Some(Param::from_tensor(bias)),
        }
    };
    let net = ThreeLayerNet::new(
        layer(layout.hidden_weight(), layout.hidden_bias(), 5),
        Activation::Tanh,
        layer(layout.output_weight(), layout.output_bias(), 4),
    );
    let Labels::Classes(labels) = &case.labels else {
        panic!("class labels");
    };
    // 17 samples as 6, 6 and 5.
    let batches: Vec<(Tensor<2>, Tensor<1, Int>)> = [0..6, 6..12, 12..17]
        .into_iter()
        .map(|rows| {
            let classes: Vec<i64> = labels[rows.clone()].iter().map(|&y| y as i64).collect();
            let classes = TensorData::new(classes, [rows.len()]);
            let x = &case.x[5 * rows.start..5 * rows.end];
            (
                tensor(x, [rows.len(), 5], &device, DType::F64),
                Tensor::from_data(classes, &device),
            )
        })
        .collect();
    let all = || batches.iter().map(Ok::<_, SharpnessError>);
    let loss = |net: &ThreeLayerNet, (x, y): &(Tensor<2>, Tensor<1, Int>)| {
        let loss = CrossEntropyLossConfig::new().init(&device);
        let samples = y.dims()[0] as f64;
        (loss.forward(net.forward(x.clone()), y.clone()), samples)
    };
    let measures = case.measures();
    let space = ParameterSpace::of(&net).unwrap();
    let theta = space.read(&net).unwrap();

    let worst = MeasureConfig::new().worst_case.init().unwrap();
    let found = worst.of_module(&net, all, loss).unwrap();
    let expected = measures.adaptive_worst_case.unwrap();
    assert!(
        (found.increase / expected - 1.0).abs() < 1e-9,
        "{found:?} {expected}"
    );
    assert_eq!(space.read(&net).unwrap(), theta);

    let mut operator = FiniteDifferenceHessian::of_mean(&net, all, loss).unwrap();
    let options = LanczosConfig {
        tolerance: 1e-8,
        ..LanczosConfig::new()
    };
    let found = adaptive_sharpness(&mut operator, &theta, &options).unwrap();
    assert!((found.largest / measures.adaptive_sharpness.unwrap() - 1.0).abs() < 1e-7);
    let output = space
        .parameters()
        .iter()
        .find(|p| p.path == "output.weight");
    let output = LayerWeights::of_linear(output.unwrap()).unwrap();
    let found = relative_flatness(&mut operator, &theta, &output).unwrap();
    assert!((found / measures.relative_flatness.unwrap() - 1.0).abs() < 1e-7);
}

#[test]
fn margins_are_the_right_logit_minus_the_best_other() {
    let logits = [2.0, 0.5, -1.0, 0.0, 3.0, 2.5];
    let x = [0.0, 0.0];
    let softmax = Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &x,
        Targets::Classes(&[0, 2]),
    );
    let margins = Margins::of(&softmax, &logits, 3).unwrap().unwrap();
    assert_eq!([margins.mean, margins.min], [0.5, -0.5]);
    let first = softmax.with_sample_weights(&[2.0, 0.0]);
    let margins = Margins::of(&first, &logits, 3).unwrap().unwrap();
    assert_eq!([margins.mean, margins.min], [1.5, 1.5]);

    let labels = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
    let sigmoid = Batch::new(
        OutputLoss::SigmoidCrossEntropy,
        &x,
        Targets::Values(&labels),
    );
    let margins = Margins::of(&sigmoid, &logits, 3).unwrap().unwrap();
    assert_eq!([margins.mean, margins.min], [-1.5, -2.5]);
    let binary = Batch::new(
        OutputLoss::SigmoidCrossEntropy,
        &x,
        Targets::Classes(&[1, 0]),
    );
    let margins = Margins::of(&binary, &[0.75, -2.0], 1).unwrap().unwrap();
    assert_eq!([margins.mean, margins.min], [1.375, 0.75]);

    let soft = [0.5, 0.5, 0.0, 1.0, 0.0, 0.0];
    for (loss, values) in [
        (OutputLoss::SoftmaxCrossEntropy, &soft),
        (OutputLoss::SigmoidCrossEntropy, &soft),
        (OutputLoss::MeanSquaredError, &labels),
    ] {
        let batch = Batch::new(loss, &x, Targets::Values(values));
        assert_eq!(Margins::of(&batch, &logits, 3).unwrap(), None, "{loss:?}");
    }
    assert!(Margins::of(&softmax, &logits[..3], 3).is_err());
    assert!(Margins::of(&softmax, &logits[..5], 3).is_err());
}

#[test]
fn the_logit_scale_is_a_standard_deviation_over_the_classes() {
    let x = [0.0, 0.0];
    let classes = Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &x,
        Targets::Classes(&[0, 1]),
    );
    // Deviations ±1 around 11 and ±3 around 0: √((1 + 9)/2).
    let logits = [12.0, 10.0, 3.0, -3.0];
    let scale = logit_scale(&classes, &logits, 2).unwrap().unwrap();
    assert!((scale - 5_f64.sqrt()).abs() < 1e-14);
    let weighted = classes.with_sample_weights(&[3.0, 1.0]);
    let scale = logit_scale(&weighted, &logits, 2).unwrap().unwrap();
    assert!((scale - 3_f64.sqrt()).abs() < 1e-14);
    // Sigmoids have a zero of their own.
    let sigmoid = Batch::new(
        OutputLoss::SigmoidCrossEntropy,
        &x,
        Targets::Classes(&[0, 1]),
    );
    let scale = logit_scale(&sigmoid, &[4.0, 2.0], 1).unwrap().unwrap();
    assert!((scale - 10_f64.sqrt()).abs() < 1e-14);
    let numbers = Batch::new(
        OutputLoss::MeanSquaredError,
        &x,
        Targets::Values(&[0.0, 1.0]),
    );
    assert_eq!(logit_scale(&numbers, &[4.0, 2.0], 1).unwrap(), None);
    assert_eq!(
        logit_scale(&classes, &[2.0, 2.0, 5.0, 5.0], 2).unwrap(),
        None
    );
}

#[test]
fn logit_normalised_curvature_is_the_dense_one_of_the_divided_network() {
    for case in cases(Activation::Softplus) {
        let measures = case.measures();
        let Some(scale) = measures.logit_scale else {
            assert_eq!(case.loss, OutputLoss::MeanSquaredError);
            assert_eq!(measures.logit_normalized_lambda_max, None);
            assert_eq!(measures.logit_normalized_trace, None);
            assert_eq!(measures.logit_normalized_adaptive_sharpness, None);
            continue;
        };
        let mut theta = case.theta.clone();
        for v in &mut theta[case.dimensions.layout().output_weight().start..] {
            *v /= scale;
        }
        let divided = case.with_theta(&theta);
        let logits = divided.logits();
        let again = logit_scale(&case.batch(), &logits, case.dimensions.outputs).unwrap();
        assert!((again.unwrap() - 1.0).abs() < 1e-12);
        let dense = divided.hessian();
        let trace: f64 = (0..dense.size).map(|i| dense.at(i, i)).sum();
        let magnitudes: Vec<f64> = theta.iter().map(|v| v.abs()).collect();
        for (found, expected) in [
            (measures.logit_normalized_lambda_max, dense.largest()),
            (measures.logit_normalized_trace, trace),
            (
                measures.logit_normalized_adaptive_sharpness,
                dense.scaled(&magnitudes).largest(),
            ),
        ] {
            let found = found.unwrap();
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
        }
        let normalized = LogitNormalized::of(&case.network(), &case.batch(), &case.logits());
        assert!(relative_error(&normalized.unwrap().unwrap().theta, &theta, 0.0) < 1e-14);
    }
}

#[test]
fn all_measures_of_a_network_are_the_single_ones() {
    for case in cases(Activation::Tanh) {
        let measures = case.measures();
        let gradient = central_differences(&case.theta, |theta| {
            let case = case.with_theta(theta);
            Workspace::new()
                .loss(&case.network(), &case.batch())
                .unwrap()
        });
        assert!((measures.grad_norm / weight_norm(&gradient) - 1.0).abs() < 1e-7);
        let scaled = adaptive_gradient_norm(&case.theta, &gradient).unwrap();
        assert!((measures.adaptive_grad_norm.unwrap() / scaled - 1.0).abs() < 1e-7);
        let norm: f64 = case.theta.iter().map(|v| v * v).sum();
        assert!((measures.weight_norm - norm.sqrt()).abs() < 1e-12);
        let share = Workspace::new()
            .gauss_newton_share(&case.network(), &case.batch(), Evaluation::Auto)
            .unwrap();
        assert_eq!(measures.indefinite_share, Some(1.0 - share));
        assert!(measures.indefinite_share > Some(1e-3) && measures.eigenvalues_converged);
        let margins = Margins::of(&case.batch(), &case.logits(), case.dimensions.outputs).unwrap();
        let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-12,
            (a, b) => a == b,
        };
        assert!(close(measures.margin_mean, margins.map(|m| m.mean)));
        assert!(close(measures.margin_min, margins.map(|m| m.min)));
        let normalized = margins
            .zip(measures.logit_scale)
            .map(|(m, scale)| m.min / scale);
        assert!(close(measures.normalized_margin_min, normalized));
    }
}

#[test]
fn extreme_weights_give_finite_measures_or_none() {
    for case in cases(Activation::Tanh) {
        for scale in [0.0, 1e-200, 1e-60, 1e-8, 1e8, 1e60, 1e150] {
            let theta: Vec<f64> = case.theta.iter().map(|v| scale * v).collect();
            let case = case.with_theta(&theta);
            // Squares of the squared error overflow: then there is no loss to measure.
            let (network, batch) = (case.network(), case.batch());
            let mut gradient = vec![0.0; theta.len()];
            if Workspace::new()
                .loss_gradient(&network, &batch, &mut gradient)
                .is_err()
            {
                assert_eq!(case.loss, OutputLoss::MeanSquaredError);
                continue;
            }
            let measures = case.measures();
            let values = serde_json::to_value(&measures).unwrap();
            for (key, value) in values.as_object().unwrap() {
                // JSON has no NaN and no infinity: what is null must be none.
                let none = ["margin", "logit", "adaptive", "relative"];
                let may_be_none = none.iter().any(|part| key.contains(part));
                assert!(!value.is_null() || may_be_none, "{key} at {scale:e}");
            }
            let again: SharpnessMeasures = serde_json::from_value(values).unwrap();
            assert_eq!(again, measures, "{scale:e}");
            let norm = scale * weight_norm(&cases(Activation::Tanh)[0].theta);
            if case.loss == OutputLoss::SoftmaxCrossEntropy && case.dimensions.outputs == 3 {
                assert!((measures.weight_norm - norm).abs() <= 1e-12 * norm);
            }
            if scale <= 1e8 {
                assert!(measures.adaptive_sharpness.is_some(), "{scale:e}");
            }
        }
    }
}

/// What a transformation does to a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// Nothing, within 10⁻⁹.
    None,
    /// A change by more than a factor of 1.1.
    Changes,
}

/// The measures by name, plain ones first.
fn table(case: &Case) -> Vec<(&'static str, f64)> {
    let measures = case.measures();
    let dense = case.hessian();
    let trace: f64 = (0..dense.size).map(|i| dense.at(i, i)).sum();
    vec![
        ("λ_max", dense.largest()),
        ("trace", trace),
        ("‖∇L‖", measures.grad_norm),
        ("‖θ‖", measures.weight_norm),
        ("indefinite share", measures.indefinite_share.unwrap()),
        ("adaptive sharpness", measures.adaptive_sharpness.unwrap()),
        (
            "adaptive gradient norm",
            measures.adaptive_grad_norm.unwrap(),
        ),
        ("adaptive worst case", measures.adaptive_worst_case.unwrap()),
        ("relative flatness", measures.relative_flatness.unwrap()),
        (
            "logit-normalised λ_max",
            measures.logit_normalized_lambda_max.unwrap(),
        ),
        (
            "logit-normalised trace",
            measures.logit_normalized_trace.unwrap(),
        ),
        (
            "logit-normalised adaptive sharpness",
            measures.logit_normalized_adaptive_sharpness.unwrap(),
        ),
        ("mean margin", measures.margin_mean.unwrap()),
        ("smallest margin", measures.margin_min.unwrap()),
        (
            "normalised mean margin",
            measures.normalized_margin_mean.unwrap(),
        ),
        (
            "normalised smallest margin",
            measures.normalized_margin_min.unwrap(),
        ),
    ]
}

/// Measure, under a rescaled layer, under scaled logits.
const INVARIANCES: [(&str, Effect, Effect); 16] = [
    ("λ_max", Effect::Changes, Effect::Changes),
    ("trace", Effect::Changes, Effect::Changes),
    ("‖∇L‖", Effect::Changes, Effect::Changes),
    ("‖θ‖", Effect::Changes, Effect::Changes),
    ("indefinite share", Effect::Changes, Effect::Changes),
    ("adaptive sharpness", Effect::None, Effect::Changes),
    ("adaptive gradient norm", Effect::None, Effect::Changes),
    ("adaptive worst case", Effect::None, Effect::Changes),
    ("relative flatness", Effect::None, Effect::Changes),
    ("logit-normalised λ_max", Effect::Changes, Effect::None),
    ("logit-normalised trace", Effect::Changes, Effect::None),
    (
        "logit-normalised adaptive sharpness",
        Effect::None,
        Effect::None,
    ),
    ("mean margin", Effect::None, Effect::Changes),
    ("smallest margin", Effect::None, Effect::Changes),
    ("normalised mean margin", Effect::None, Effect::None),
    ("normalised smallest margin", Effect::None, Effect::None),
];

#[test]
fn measures_are_invariant_exactly_where_the_table_says() {
    let leaky = Activation::LeakyRelu {
        negative_slope: 0.2,
    };
    let mut broken = Vec::new();
    for activation in [leaky, Activation::Relu, Activation::Identity] {
        for (loss, outputs) in [
            (OutputLoss::SoftmaxCrossEntropy, 3),
            (OutputLoss::SigmoidCrossEntropy, 1),
        ] {
            let case = Case::new(loss, outputs, activation);
            let layout = case.dimensions.layout();
            // (αW1, αb1, W2/α) computes the same function.
            let mut rescaled = case.theta.clone();
            for v in &mut rescaled[..layout.output_weight().start] {
                *v *= 8.0;
            }
            for v in &mut rescaled[layout.output_weight()] {
                *v /= 8.0;
            }
            let mut confident = case.theta.clone();
            for v in &mut confident[layout.output_weight().start..] {
                *v *= 20.0;
            }
            let plain = table(&case);
            let rescaled = table(&case.with_theta(&rescaled));
            let confident = table(&case.with_theta(&confident));
            for (i, (name, under_rescaling, under_scaling)) in INVARIANCES.into_iter().enumerate() {
                assert_eq!(plain[i].0, name);
                for (what, expected, other) in [
                    ("rescaled", under_rescaling, rescaled[i].1),
                    ("confident", under_scaling, confident[i].1),
                ] {
                    let ratio = other / plain[i].1;
                    let holds = match expected {
                        Effect::None => (ratio - 1.0).abs() < 1e-9,
                        Effect::Changes => !(1.0 / 1.1..=1.1).contains(&ratio),
                    };
                    if !holds {
                        let case = format!("{activation}, {}", loss.name());
                        broken.push(format!("{case}: {name}, {what}: times {ratio}"));
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
