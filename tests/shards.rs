//! A batch divided among threads gives what one thread gives, whatever the evaluation, the loss and the weights.

use std::num::NonZeroUsize;

use hsr_core::{
    Activation, Batch, Dimensions, Error, Evaluation, Network, OutputLoss, Targets, Workspace,
};

fn wave(count: usize, pace: f64) -> Vec<f64> {
    (0..count)
        .map(|i| (pace * (i as f64 + 1.0)).sin())
        .collect()
}

/// A network and a batch large enough to be divided.
struct Problem {
    dimensions: Dimensions,
    theta: Vec<f64>,
    x: Vec<f64>,
    classes: Vec<usize>,
    values: Vec<f64>,
    weights: Option<Vec<f64>>,
    class_weights: Option<Vec<f64>>,
    loss: OutputLoss,
}

/// λ_sup, tr H, ‖H‖_F, ∂λ_sup/∂θ, ∂λ_sup/∂x and ∂‖H‖_F/∂θ.
struct Answer {
    values: [f64; 3],
    gradients: [Vec<f64>; 3],
}

impl Problem {
    fn new([inputs, hidden, outputs, samples]: [usize; 4]) -> Self {
        let dimensions = Dimensions::new(inputs, hidden, outputs);
        Self {
            dimensions,
            theta: wave(dimensions.parameters(), 1.7)
                .iter()
                .map(|v| 0.7 * v)
                .collect(),
            x: wave(samples * inputs, 0.9),
            classes: (0..samples)
                .map(|n| (n * n + n / 3) % outputs.max(2))
                .collect(),
            values: wave(samples * outputs, 2.3),
            weights: None,
            class_weights: None,
            loss: OutputLoss::SoftmaxCrossEntropy,
        }
    }

    fn with_loss(mut self, loss: OutputLoss) -> Self {
        self.loss = loss;
        self
    }

    fn solve(&self, evaluation: Evaluation, threads: usize) -> Result<Answer, Error> {
        let network = Network::from_flat(self.dimensions, Activation::Tanh, &self.theta)?;
        let targets = match self.loss {
            OutputLoss::MeanSquaredError => Targets::Values(&self.values),
            _ => Targets::Classes(&self.classes),
        };
        let mut batch = Batch::new(self.loss, &self.x, targets);
        if let Some(weights) = &self.weights {
            batch = batch.with_sample_weights(weights);
        }
        if let Some(weights) = &self.class_weights {
            batch = batch.with_class_weights(weights);
        }
        let threads = NonZeroUsize::new(threads).unwrap();
        let mut workspace = Workspace::new().with_threads(threads);
        let mut gradients =
            [self.theta.len(), self.x.len(), self.theta.len()].map(|n| vec![0.0; n]);
        let [of_theta, of_x, of_norm] = &mut gradients;
        let bounds =
            workspace.bounds_gradient(&network, &batch, evaluation, of_theta, Some(of_x))?;
        // Without inputs other loops serve: the same gradient, and the same value without one.
        let mut again = vec![0.0; self.theta.len()];
        let same = workspace.bounds_gradient(&network, &batch, evaluation, &mut again, None)?;
        assert!(difference(&again, of_theta) < 1e-12);
        // The loss comes from the same pass.
        let (mut of_loss, mut expected) = (again.clone(), again.clone());
        let loss = workspace.loss_gradient(&network, &batch, &mut expected)?;
        let (same_loss, same_again) = workspace.loss_and_bounds_gradient(
            &network,
            &batch,
            evaluation,
            &mut of_loss,
            &mut again,
            None,
        )?;
        assert!((same_loss / loss - 1.0).abs() < 1e-12);
        assert!(difference(&of_loss, &expected) < 1e-12);
        assert!(difference(&again, of_theta) < 1e-12);
        let only = workspace.bounds(&network, &batch, evaluation)?;
        for other in [same, same_again, only] {
            assert!((other.lambda_sup / bounds.lambda_sup - 1.0).abs() < 1e-12);
        }
        let norm = workspace.frobenius_gradient(&network, &batch, evaluation, of_norm, None)?;
        Ok(Answer {
            values: [bounds.lambda_sup, bounds.moments.trace, norm],
            gradients,
        })
    }

    /// The largest relative difference between one thread and several.
    fn check(&self, evaluation: Evaluation) {
        let one = self.solve(evaluation, 1).unwrap();
        for threads in [2, 3] {
            let several = self.solve(evaluation, threads).unwrap();
            // Sums in another order: had nothing been divided, not a bit would differ.
            let mut same = true;
            for (a, b) in several.values.iter().zip(&one.values) {
                assert!((a / b - 1.0).abs() < 1e-12, "{threads} threads: {a} {b}");
                same &= a == b;
            }
            for (a, b) in several.gradients.iter().zip(&one.gradients) {
                let difference = difference(a, b);
                assert!(difference < 1e-11, "{threads} threads: {difference:e}");
                same &= a == b;
            }
            assert!(
                !same,
                "{evaluation:?} was not divided among {threads} threads"
            );
        }
    }
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    let largest = b.iter().fold(0.0_f64, |max, v| max.max(v.abs()));
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f64::max) / largest
}

#[test]
fn a_wide_network_is_the_same_on_any_number_of_threads() {
    let problem = Problem::new([2, 100, 3, 203]);
    for evaluation in [Evaluation::Auto, Evaluation::Assembled, Evaluation::Gram] {
        problem.check(evaluation);
    }
}

#[test]
fn many_inputs_are_the_same_on_any_number_of_threads() {
    // More inputs than samples: the pairs' terms with R are not projected.
    let problem = Problem::new([400, 40, 10, 165]);
    problem.check(Evaluation::Auto);
    problem.check(Evaluation::Gram);
}

#[test]
fn more_values_of_m_than_are_kept_are_the_same_on_any_number_of_threads() {
    // 592·593/2 values a sample: not formed at all for one output, in strips of rows and again for every tile for more.
    for outputs in [1, 13] {
        Problem::new([3, 592, outputs, 96])
            .with_loss(OutputLoss::SigmoidCrossEntropy)
            .check(Evaluation::Gram);
    }
}

#[test]
fn other_losses_are_the_same_on_any_number_of_threads() {
    for loss in [
        OutputLoss::SigmoidCrossEntropy,
        OutputLoss::MeanSquaredError,
    ] {
        let mut problem = Problem::new([6, 60, 4, 240]).with_loss(loss);
        if loss == OutputLoss::SigmoidCrossEntropy {
            problem = Problem::new([6, 100, 1, 240]).with_loss(loss);
        }
        problem.check(Evaluation::Assembled);
        problem.check(Evaluation::Auto);
    }
}

#[test]
fn weights_are_normalised_over_the_batch_and_not_over_a_shard() {
    let mut problem = Problem::new([2, 100, 3, 203]);
    // The first half weighs nothing at all: a shard may be without weight, a batch may not.
    problem.weights = Some(
        (0..203)
            .map(|n| if n < 104 { 0.0 } else { n as f64 })
            .collect(),
    );
    problem.class_weights = Some(vec![0.2, 3.0, 1.0]);
    problem.check(Evaluation::Auto);
    problem.weights = Some(vec![0.0; 203]);
    for threads in [1, 2] {
        let error = problem.solve(Evaluation::Auto, threads).err();
        assert_eq!(error, Some(Error::NoWeight { sum: 0.0 }));
    }
}

#[test]
fn an_overflow_in_one_shard_is_an_overflow_of_the_batch() {
    let mut problem = Problem::new([2, 100, 3, 203]);
    problem.x[2 * 200] = 1e308;
    problem.theta.iter_mut().for_each(|v| *v *= 1e3);
    for threads in [1, 2] {
        let error = problem.solve(Evaluation::Auto, threads).err();
        assert!(matches!(error, Some(Error::Overflow { .. })), "{error:?}");
    }
}
