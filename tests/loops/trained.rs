//! Every loop trains as before, with HSR and with SAM: the loss falls by the share that is named for it, all numbers are finite, HSR
//! ends with a smaller λ_sup than plain training from the same start, and neither is the plain training in disguise.

use std::sync::Mutex;

use hsr_user_loops::{Error, Method, Outcome};
use hsr_user_loops::{
    accumulation, custom_learning_strategy, custom_training_loop, dqn, guide, iris, mnist,
    modern_lstm, policy_value, simple_regression, text_classification, wasm_mnist, wgan,
};

/// Burn's seed is one for the process: a loop that draws beside another would draw the other's numbers.
static ALONE: Mutex<()> = Mutex::new(());

/// `share` of the loss at the start is gone at the end, whatever the method.
fn trains(train: fn(Method) -> Result<Outcome, Error>, share: f32) {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    let outcomes = Method::ALL.map(|method| train(method).unwrap());
    for (method, outcome) in Method::ALL.into_iter().zip(outcomes) {
        println!("{method:?}: {outcome:?}");
        let Outcome {
            before,
            after,
            lambda_sup,
        } = outcome;
        assert!(
            after.is_finite() && lambda_sup.is_finite(),
            "{method:?}: {outcome:?}"
        );
        assert!(
            before - after > share * before.abs(),
            "{method:?}: {outcome:?}"
        );
    }
    let [plain, hsr, sam] = outcomes;
    // The closed form's loss is Burn's to rounding.
    let same = |before: f32| (before - plain.before).abs() <= 1e-5 * plain.before.abs();
    assert!(same(hsr.before) && same(sam.before), "another start");
    assert!(
        hsr.lambda_sup < plain.lambda_sup,
        "{hsr:?} against {plain:?}"
    );
    assert_ne!(sam.after, plain.after);
}

#[test]
fn burns_custom_training_loop() {
    trains(custom_training_loop::train, 0.3);
}

#[test]
fn burns_guide() {
    trains(guide::train, 0.3);
}

#[test]
fn burns_mnist() {
    trains(mnist::train, 0.3);
}

#[test]
fn burns_simple_regression() {
    trains(simple_regression::train, 0.7);
}

#[test]
fn burns_text_classification() {
    trains(text_classification::train, 0.3);
}

#[test]
fn burns_modern_lstm() {
    trains(modern_lstm::train, 0.5);
}

#[test]
fn burns_custom_learning_strategy() {
    trains(custom_learning_strategy::train, 0.3);
}

#[test]
fn burns_wgan() {
    trains(wgan::train, 0.5);
}

#[test]
fn a_trainer_for_webassembly() {
    trains(wasm_mnist::train, 0.3);
}

#[test]
fn accumulated_and_clipped_gradients() {
    trains(accumulation::train, 0.3);
}

#[test]
fn irises_through_two_hidden_layers() {
    trains(iris::train, 0.3);
}

#[test]
fn a_deep_q_network() {
    trains(dqn::train, 0.2);
}

#[test]
fn a_policy_and_a_value_head() {
    trains(policy_value::train, 0.1);
}
