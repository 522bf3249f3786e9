//! Plans: each block of the Hessian evaluated in the way that is named for it.

use hsr_core::{BlockEvaluation, Dimensions, Error, Evaluation, OutputLoss, Plan, Workspace};
use hsr_tests::golden::cases;
use hsr_tests::relative_error;

#[test]
fn each_of_the_eight_plans_gives_the_golden_bound_and_gradients() {
    let mut workspace = Workspace::new();
    let plans: Vec<Plan> = Plan::every().collect();
    assert_eq!(plans.len(), 8);
    for case in cases() {
        for &plan in &plans {
            let mut gradient = vec![f64::NAN; case.parameters];
            let mut inputs = vec![f64::NAN; case.x.len()];
            let bounds = workspace
                .bounds_gradient(
                    &case.network(),
                    &case.batch(),
                    Evaluation::Blocks(plan),
                    &mut gradient,
                    Some(&mut inputs),
                )
                .unwrap();
            assert_eq!(workspace.last_plan(), Some(plan), "{}", case.name);
            for (what, ours, golden) in [
                ("λ_sup", &[bounds.lambda_sup][..], &[case.lambda_sup][..]),
                ("gradient", &gradient, &case.grad),
                ("input gradient", &inputs, &case.input_grad),
            ] {
                let error = relative_error(ours, golden, 0.0);
                assert!(error < 1e-10, "{} {plan:?}: {what} {error:e}", case.name);
            }
        }
    }
}

#[test]
fn the_eight_plans_differ() {
    let plans: Vec<Plan> = Plan::every().collect();
    for (i, plan) in plans.iter().enumerate() {
        assert!(!plans[..i].contains(plan));
    }
    assert!(plans.contains(&Plan::ASSEMBLED) && plans.contains(&Plan::GRAM));
}

#[test]
fn a_block_that_would_not_fit_is_refused_only_where_it_is_to_be_assembled() {
    // H11 packed: 64·65/2 rows of 2,001·2,002/2 values; H22 and H21 are small beside it.
    let dimensions = Dimensions::new(2_000, 64, 2);
    let of = |plan| Plan::new(Evaluation::Blocks(plan), &dimensions, 16);
    let elements = 2_080 * 2_003_001;
    for plan in Plan::every() {
        match (plan.hidden, of(plan)) {
            (BlockEvaluation::Gram, planned) => assert_eq!(planned.unwrap(), plan),
            (BlockEvaluation::Assembled, planned) => {
                let Err(Error::TooLarge {
                    elements: counted, ..
                }) = planned
                else {
                    panic!("{plan:?} was accepted")
                };
                assert_eq!(counted, elements);
            }
        }
    }
    assert_eq!(
        Plan::new(Evaluation::Auto, &dimensions, 16).unwrap().hidden,
        BlockEvaluation::Gram
    );
}

#[test]
fn work_is_counted_block_by_block() {
    // d̃ = 5, h = 6, h̃ = 7, K = 5 and 8 samples; packed 15, 21, 28 and 15 rows. Too large for the kernels of small
    // sizes, small enough for one tile.
    let dimensions = Dimensions::new(4, 6, 5);
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let n = 8.0;
    let assembled = Plan::ASSEMBLED.work(&dimensions, loss, 8);
    assert_eq!(assembled.output.products, 3.0 * n * 15.0 * 28.0);
    assert_eq!(assembled.hidden.products, 2.0 * n * 21.0 * 15.0);
    // M formed, and contracted with both indices of M̃.
    assert_eq!(assembled.hidden.lanes, 3.0 * n * 21.0 * 5.0);
    assert_eq!(
        assembled.cross.products,
        3.0 * n * 30.0 * 35.0 + 2.0 * n * 30.0 * 5.0
    );
    assert_eq!(assembled.shared.products, 0.0);

    let gram = Plan::GRAM.work(&dimensions, loss, 8);
    let pairs = n * n;
    assert_eq!(gram.output.products, 2.0 * pairs * 15.0);
    assert_eq!(gram.hidden.products, pairs * 21.0);
    // Q̃ and ⟨Q_n, Q_m⟩, and R through projections on x̃, for 5 < 8.
    assert_eq!(
        gram.cross.products,
        2.0 * pairs * 30.0 + 4.0 * n * 30.0 * 5.0
    );
    // G, α and the weights of a.
    assert_eq!(gram.shared.products, pairs * (5.0 + 7.0 + 6.0));
    assert_eq!(
        gram.total().products,
        gram.output.products + gram.hidden.products + gram.cross.products + gram.shared.products
    );
}

#[test]
fn named_blocks_survive_a_configuration_file() {
    for plan in Plan::every() {
        let evaluation = Evaluation::Blocks(plan);
        let written = serde_json::to_string(&evaluation).unwrap();
        let read: Evaluation = serde_json::from_str(&written).unwrap();
        assert_eq!(read, evaluation, "{written}");
    }
    let auto: Evaluation = serde_json::from_str("\"auto\"").unwrap();
    assert_eq!(auto, Evaluation::Auto);
}
