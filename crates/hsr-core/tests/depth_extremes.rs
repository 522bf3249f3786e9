//! Degenerate and extreme inputs at any depth: finite numbers or a typed error, never NaN and never a panic; every typed
//! error with what it names; L = 2 beside the three-layer workspace.

mod common;

use common::{Case, random_case, relative_error};
use hsr_core::depth::{
    DeepEvaluation, DeepPlan, DeepWorkspace, FeedForward, Layer, LayerShape, Objective,
};
use hsr_core::{
    Activation, Batch, BlockEvaluation, Dimensions, Error, Evaluation, Network, OutputLoss,
    Quantity, Real, Targets, Workspace,
};

const LOSSES: [OutputLoss; 3] = [
    OutputLoss::SoftmaxCrossEntropy,
    OutputLoss::SigmoidCrossEntropy,
    OutputLoss::MeanSquaredError,
];

fn tanh(inputs: usize, outputs: usize) -> LayerShape {
    LayerShape::new(inputs, outputs).with_activation(Activation::Tanh)
}

/// Runs every objective; all numbers must be finite. Gives λ_sup with its gradient, or the overflow.
fn run<T: Real>(case: &Case<T>, evaluation: &DeepEvaluation) -> Result<(f64, Vec<f64>), Error> {
    let (network, batch) = (case.network(), case.batch());
    let mut workspace = DeepWorkspace::new();
    let bounds = workspace.bounds(&network, &batch, evaluation)?;
    let (mut gradient, mut inputs) = (
        vec![T::zero(); case.parameters()],
        vec![T::zero(); case.x.len()],
    );
    for objective in [
        Objective::Trace,
        Objective::Frobenius,
        Objective::LambdaBlock,
        Objective::LambdaDiagonal,
        Objective::GaussNewton,
        Objective::LambdaSup,
    ] {
        let value = workspace.objective_gradient(
            &network,
            &batch,
            objective,
            evaluation,
            &mut gradient,
            Some(&mut inputs),
        )?;
        assert!(value.is_finite(), "{objective:?}");
        assert!(
            gradient.iter().chain(&inputs).all(|g| g.is_finite()),
            "{objective:?}"
        );
    }
    assert!(bounds.lambda_block.is_finite() && bounds.whole.lambda_inf.is_finite());
    let gradient = gradient.iter().map(|g| g.as_f64()).collect();
    Ok((bounds.whole.lambda_sup.as_f64(), gradient))
}

#[test]
fn degenerate_shapes_give_finite_numbers_and_agree_between_evaluations() {
    let last = LayerShape::new;
    for (shapes, samples) in [
        (vec![last(1, 1).without_bias()], 1),
        (vec![last(1, 1)], 3),
        (vec![last(3, 2)], 1),
        (vec![tanh(1, 1), tanh(1, 1), last(1, 1)], 1),
        (
            vec![
                tanh(1, 1).with_residual(),
                tanh(1, 1).with_residual(),
                last(1, 2),
            ],
            4,
        ),
        (vec![tanh(4, 1), tanh(1, 5), last(5, 1)], 9),
        (vec![tanh(2, 3), tanh(3, 3), last(3, 3)], 1),
    ] {
        for loss in LOSSES {
            let case = random_case(&shapes, loss, samples, 1.0, 7);
            let (value, gradient) = run(&case, &DeepEvaluation::Assembled).unwrap();
            let (by_pairs, of_pairs) = run(&case, &DeepEvaluation::Gram).unwrap();
            assert!(
                relative_error(&[value], &[by_pairs], 1e-30) < 1e-10,
                "{shapes:?} {loss:?}"
            );
            let error = relative_error(&gradient, &of_pairs, 1e-3 * value.abs() + 1e-30);
            assert!(error < 1e-8, "{shapes:?} {loss:?}: {error:e}");
            run(&case.narrowed(), &DeepEvaluation::Auto).unwrap();
        }
    }
}

#[test]
fn one_parameter_has_its_second_derivative_for_a_bound() {
    // ℓ = (wx − y)², so that H = 2x².
    let shapes = [LayerShape::new(1, 1).without_bias()];
    let batch = Batch::new(
        OutputLoss::MeanSquaredError,
        &[3.0_f64],
        Targets::Values(&[1.0]),
    );
    let network = FeedForward::from_flat(&shapes, &[0.5]).unwrap();
    let bounds = DeepWorkspace::new()
        .bounds(&network, &batch, &DeepEvaluation::Auto)
        .unwrap();
    assert_eq!(bounds.whole.lambda_sup, 18.0);
    assert_eq!((bounds.lambda_block, bounds.lambda_diagonal), (18.0, 18.0));
}

#[test]
fn extreme_weights_give_finite_numbers_or_say_that_something_overflows() {
    let shapes = [
        tanh(3, 4),
        tanh(4, 4).with_residual(),
        LayerShape::new(4, 3),
    ];
    for loss in LOSSES {
        for scale in [0.0, 1e-12, 1e-8, 1e-3, 1e2, 1e4, 1e12] {
            let mut case = random_case(&shapes, loss, 6, 1.0, 3);
            case.theta.iter_mut().for_each(|w| *w *= scale);
            for evaluation in [DeepEvaluation::Assembled, DeepEvaluation::Gram] {
                for error in [
                    run(&case, &evaluation).err(),
                    run(&case.narrowed(), &evaluation).err(),
                ]
                .into_iter()
                .flatten()
                {
                    assert!(
                        matches!(error, Error::Overflow { .. }) && scale > 1e3,
                        "{loss:?}, {scale:e}: {error}"
                    );
                }
                // In f64 there is room for all of it.
                if scale < 1e12 {
                    run(&case, &evaluation).unwrap();
                }
            }
        }
    }
}

#[test]
fn extreme_inputs_and_saturated_units_give_finite_numbers() {
    let shapes = [
        tanh(3, 4),
        tanh(4, 4).with_residual(),
        tanh(4, 3),
        LayerShape::new(3, 3),
    ];
    for loss in LOSSES {
        for scale in [1e-12, 1e-6, 1e6, 1e12] {
            let mut case = random_case(&shapes, loss, 6, 1.0, 5);
            case.x.iter_mut().for_each(|x| *x *= scale);
            let (by_blocks, gradient) = run(&case, &DeepEvaluation::Assembled).unwrap();
            let (by_pairs, of_pairs) = run(&case, &DeepEvaluation::Gram).unwrap();
            let error = (by_blocks - by_pairs).abs() / by_blocks;
            assert!(error < 1e-8, "{loss:?}, {scale:e}: {error:e}");
            if scale <= 1.0 {
                assert!(relative_error(&gradient, &of_pairs, 0.0) < 1e-8);
            }
            for evaluation in [DeepEvaluation::Assembled, DeepEvaluation::Gram] {
                if let Err(error) = run(&case.narrowed(), &evaluation) {
                    assert!(
                        matches!(error, Error::Overflow { .. }) && scale > 1e9,
                        "{error}"
                    );
                }
            }
        }
        // A classifier that is certain of every sample: S is tiny, H/σ is not.
        let mut case = random_case(&shapes, loss, 6, 1.0, 5);
        let last = case.theta.len() - 12;
        case.theta[last..].iter_mut().for_each(|w| *w *= 60.0);
        run(&case, &DeepEvaluation::Auto).unwrap();
        run(&case.narrowed(), &DeepEvaluation::Auto).unwrap();
    }
}

#[test]
fn a_workspace_goes_on_after_a_batch_that_overflowed() {
    // In shards, of which every one overflows; and in one piece.
    for samples in [300, 20] {
        let shapes = [
            LayerShape::new(4, 10).with_activation(Activation::Silu),
            tanh(10, 10),
            LayerShape::new(10, 3),
        ];
        let case = random_case(&shapes, OutputLoss::SoftmaxCrossEntropy, samples, 4.0, 11);
        let mut bad = case.clone();
        bad.x.iter_mut().for_each(|x| *x *= 1e308);
        let mut workspace = DeepWorkspace::new();
        let mut bounds = |case: &Case<f64>| {
            workspace.bounds(&case.network(), &case.batch(), &DeepEvaluation::Assembled)
        };
        let expected = bounds(&case);
        assert!(expected.is_ok());
        assert!(matches!(bounds(&bad), Err(Error::Overflow { .. })));
        assert_eq!(bounds(&case), expected);
    }
}

#[test]
fn a_batch_too_large_for_a_formed_block_is_planned_over_pairs() {
    let shapes = [tanh(2, 8), tanh(8, 8), LayerShape::new(8, 3)];
    let of = |evaluation: DeepEvaluation| {
        let (quantity, loss) = (Quantity::Bounds, OutputLoss::SoftmaxCrossEntropy);
        DeepWorkspace::<f64>::new().memory(quantity, &shapes, loss, 2_000_000, &evaluation)
    };
    assert!(matches!(
        of(DeepEvaluation::Assembled),
        Err(Error::TooLarge { .. })
    ));
    assert!(of(DeepEvaluation::Auto).is_ok());
}

#[test]
fn outputs_have_their_weights_in_the_squared_error() {
    // A weight of 0 leaves an output out: the network with the other output alone, whose mean is over one, not two.
    let shapes = [tanh(2, 3), LayerShape::new(3, 2)];
    let case = random_case(&shapes, OutputLoss::MeanSquaredError, 5, 1.0, 2);
    let weights: Vec<f64> = (0..10)
        .map(|i| if i % 2 == 0 { 2.0 } else { 0.0 })
        .collect();
    let whole = case.batch().with_output_weights(&weights);
    let alone = Case {
        shapes: vec![tanh(2, 3), LayerShape::new(3, 1)],
        theta: [&case.theta[..12], &case.theta[15..16]].concat(),
        y: case.y.iter().copied().step_by(2).collect(),
        ..case.clone()
    };
    let value = |case: &Case<f64>, batch: &Batch<f64>| {
        let bounds = DeepWorkspace::new()
            .bounds(&case.network(), batch, &DeepEvaluation::Auto)
            .unwrap();
        bounds.whole.moments
    };
    let (got, expected) = (value(&case, &whole), value(&alone, &alone.batch()));
    assert!(relative_error(&[got.trace], &[expected.trace], 0.0) < 1e-13);
    let squares = (got.frobenius_squared, expected.frobenius_squared);
    assert!(relative_error(&[squares.0], &[squares.1], 0.0) < 1e-13);
}

#[test]
fn two_layers_are_those_of_the_three_layer_workspace() {
    for (loss, activation) in
        LOSSES
            .into_iter()
            .zip([Activation::Tanh, Activation::Gelu, Activation::Softplus])
    {
        let shapes = [
            LayerShape::new(3, 6).with_activation(activation),
            LayerShape::new(6, 4),
        ];
        let case = random_case(&shapes, loss, 21, 1.0, 11);
        let batch = case.batch();
        let old = Network::from_flat(Dimensions::new(3, 6, 4), activation, &case.theta).unwrap();
        let size = case.parameters();
        let zeros = || (vec![0.0; size], vec![0.0; case.x.len()]);
        let (mut of_theta, mut of_x) = zeros();
        let bounds = Workspace::new()
            .bounds_gradient(
                &old,
                &batch,
                Evaluation::Auto,
                &mut of_theta,
                Some(&mut of_x),
            )
            .unwrap();
        let mut workspace = DeepWorkspace::new();
        let network = case.network();
        let new = workspace
            .bounds(&network, &batch, &DeepEvaluation::Auto)
            .unwrap();
        let (mut gradient, mut inputs) = zeros();
        workspace
            .objective_gradient(
                &network,
                &batch,
                Objective::LambdaSup,
                &DeepEvaluation::Auto,
                &mut gradient,
                Some(&mut inputs),
            )
            .unwrap();
        let got = [
            new.whole.moments.trace,
            new.whole.moments.frobenius_squared,
            new.whole.lambda_sup,
        ];
        let expected = [
            bounds.moments.trace,
            bounds.moments.frobenius_squared,
            bounds.lambda_sup,
        ];
        for (got, expected) in got.into_iter().zip(expected) {
            assert!(relative_error(&[got], &[expected], 0.0) < 1e-12);
        }
        assert!(relative_error(&gradient, &of_theta, 0.0) < 1e-11);
        assert!(relative_error(&inputs, &of_x, 0.0) < 1e-11);
    }
}

#[test]
fn a_network_that_does_not_fit_is_refused_with_the_layer_and_both_numbers() {
    let refused = |shapes: &[LayerShape]| {
        let size = shapes.iter().map(LayerShape::parameters).sum();
        FeedForward::<f64>::from_flat(shapes, &vec![0.1; size])
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(&[]),
        "the number of layers is 0, expected at least 1"
    );
    assert_eq!(
        refused(&[tanh(2, 3), LayerShape::new(4, 2)]),
        "layers[1] takes 4 inputs, expected 3, the outputs of the layer below"
    );
    assert_eq!(
        refused(&[tanh(2, 3).with_residual(), LayerShape::new(3, 2)]),
        "layers[0] is residual with 2 inputs and 3 outputs, expected as many of both"
    );
    assert_eq!(
        refused(&[tanh(2, 3)]),
        "layers[0], the last, has tanh, expected neither an activation nor a residual connection"
    );
    assert_eq!(
        refused(&[LayerShape::new(2, 2).with_residual()]),
        "layers[0], the last, has a residual connection, expected neither an activation nor a residual connection"
    );
    assert_eq!(
        refused(&[tanh(0, 3), LayerShape::new(3, 1)]),
        "layers[0] has 0 inputs and 3 outputs, expected at least 1 of both"
    );
    let error = FeedForward::from_flat(&[LayerShape::new(2, 2)], &[0.0_f64; 5]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "theta has 5 values, expected 6 (values of all layers)"
    );
    let error = FeedForward::new([Layer::new(2, 2, &[0.0_f64; 3], None)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layers[0]: the weight has 3 values, expected 4 (outputs × inputs)"
    );
    let error = FeedForward::new([Layer::new(1, 2, &[0.0, f64::NAN], None)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layers[0]: weight[1] is NaN, expected a finite number"
    );
}

#[test]
fn verbs_refuse_what_does_not_fit() {
    let case = random_case(
        &[tanh(2, 3), LayerShape::new(3, 2)],
        OutputLoss::SoftmaxCrossEntropy,
        4,
        1.0,
        1,
    );
    let (network, batch) = (case.network(), case.batch());
    let mut workspace = DeepWorkspace::new();
    let mut short = vec![0.0; 5];
    let mut gradient = vec![0.0; case.parameters()];
    let error = workspace
        .loss_gradient(&network, &batch, &mut short, None)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "gradient has 5 values, expected 17 (parameters)"
    );
    let error = workspace
        .loss_gradient(&network, &batch, &mut gradient, Some(&mut short))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "input_gradient has 5 values, expected 8 (samples × inputs)"
    );
    let plan = DeepEvaluation::Blocks(DeepPlan::new([BlockEvaluation::Gram]));
    let error = workspace.bounds(&network, &batch, &plan).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plan has 1 blocks, expected 3, one for each pair of layers"
    );
    let error = workspace
        .objective_gradient(
            &network,
            &batch,
            Objective::Layer(2),
            &DeepEvaluation::Auto,
            &mut gradient,
            None,
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the layer of an objective is 2, expected an index below the number of layers"
    );
    let labels = [0, 1, 2, 0];
    let wrong = Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &case.x,
        Targets::Classes(&labels),
    );
    let error = workspace.loss(&network, &wrong).unwrap_err();
    assert!(matches!(
        error,
        Error::Label {
            sample: 2,
            label: 2,
            classes: 2
        }
    ));
}
