//! What is measured of every run, and how it is written.

use super::record::RunRecord;
use crate::figures::{exponent, value as three_digits};
use crate::named::named;

named! {
/// A quantity of a run.
pub enum Metric {
    /// L on the training split.
    TrainLoss = "train_loss",
    /// L on the test split.
    TestLoss = "test_loss",
    /// L on the test split minus L on the training split.
    LossGap = "loss_gap",
    /// The share of training samples that are classified correctly.
    TrainAccuracy = "train_accuracy",
    /// The share of test samples that are classified correctly.
    Accuracy = "accuracy",
    /// Training accuracy minus test accuracy.
    AccuracyGap = "accuracy_gap",
    /// The mean over the classes of F1, on the test split.
    MacroF1 = "macro_f1",
    /// By how much confidence and accuracy differ: [`calibration_error`](crate::scores::calibration_error).
    CalibrationError = "calibration_error",
    /// The largest eigenvalue of the training loss's Hessian.
    LambdaMax = "lambda_max",
    /// Its smallest eigenvalue.
    LambdaMin = "lambda_min",
    /// The upper bound on λ_max that HSR descends.
    LambdaSup = "lambda_sup",
    /// λ_sup/λ_max, where λ_max > 0.
    Tightness = "tightness",
    /// How many eigenvalues are negative beyond rounding, where all are known.
    NegativeEigenvalues = "negative_eigenvalues",
    /// ‖∇L‖ of the training loss.
    GradNorm = "grad_norm",
    /// λ_max of the Hessian in units of |θ|: invariant when layers are rescaled.
    AdaptiveSharpness = "adaptive_sharpness",
    /// The output layer's relative flatness.
    RelativeFlatness = "relative_flatness",
    /// λ_max after the logits are divided by their scale.
    LogitNormalizedLambdaMax = "logit_normalized_lambda_max",
    /// Milliseconds a training step.
    MsPerStep = "ms_per_step",
}
}

impl Metric {
    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            Metric::TrainLoss => "training loss",
            Metric::TestLoss => "test loss",
            Metric::LossGap => "loss, test − training",
            Metric::TrainAccuracy => "training accuracy",
            Metric::Accuracy => "test accuracy",
            Metric::AccuracyGap => "accuracy, training − test",
            Metric::MacroF1 => "test macro-F1",
            Metric::CalibrationError => "calibration error",
            Metric::LambdaMax => "λ_max",
            Metric::LambdaMin => "λ_min",
            Metric::LambdaSup => "λ_sup",
            Metric::Tightness => "tightness λ_sup/λ_max",
            Metric::NegativeEigenvalues => "negative eigenvalues",
            Metric::GradNorm => "‖∇L‖",
            Metric::AdaptiveSharpness => "adaptive sharpness",
            Metric::RelativeFlatness => "relative flatness",
            Metric::LogitNormalizedLambdaMax => "logit-normalised λ_max",
            Metric::MsPerStep => "ms a step",
        }
    }

    /// The name in figures and the report, whose typeface has no nabla.
    pub fn title(self) -> &'static str {
        match self {
            Metric::GradNorm => "norm of the gradient",
            _ => self.label(),
        }
    }

    /// Whether methods are tested for a difference in it. Time is not: runs that share a machine disturb each other.
    pub fn is_tested(self) -> bool {
        self != Metric::MsPerStep
    }

    /// The value of a run; none where the run diverged or the value is not known.
    pub fn of(self, run: &RunRecord) -> Option<f64> {
        let network = run.network.as_ref()?;
        match self {
            Metric::TrainLoss => Some(network.train_loss),
            Metric::TestLoss => Some(network.test_loss),
            Metric::LossGap => Some(network.test_loss - network.train_loss),
            Metric::TrainAccuracy => Some(network.train_accuracy),
            Metric::Accuracy => Some(network.accuracy),
            Metric::AccuracyGap => Some(network.train_accuracy - network.accuracy),
            Metric::MacroF1 => Some(network.macro_f1),
            Metric::CalibrationError => Some(network.calibration_error),
            Metric::LambdaMax => Some(network.lambda_max),
            Metric::LambdaMin => Some(network.lambda_min),
            Metric::LambdaSup => network.lambda_sup,
            Metric::Tightness => network.tightness,
            Metric::NegativeEigenvalues => network.negative_eigenvalues.map(|count| count as f64),
            Metric::GradNorm => Some(network.grad_norm),
            Metric::AdaptiveSharpness => network.measures.adaptive_sharpness,
            Metric::RelativeFlatness => network.measures.relative_flatness,
            Metric::LogitNormalizedLambdaMax => network.measures.logit_normalized_lambda_max,
            Metric::MsPerStep => Some(1e3 * network.seconds_per_step),
        }
    }

    /// The largest number that the value of a run was computed from, which says how far rounding reaches: a small difference
    /// of two accuracies is as uncertain as they are.
    pub fn magnitude(self, run: &RunRecord) -> Option<f64> {
        let network = run.network.as_ref()?;
        let value = self.of(run)?;
        Some(match self {
            Metric::LossGap => network.test_loss.abs().max(network.train_loss.abs()),
            Metric::AccuracyGap => network.train_accuracy.max(network.accuracy),
            _ => value.abs(),
        })
    }

    /// A value for people.
    pub fn text(self, value: f64) -> String {
        match self {
            Metric::TrainAccuracy | Metric::Accuracy | Metric::AccuracyGap => {
                format!("{:.1} %", 100.0 * value).replace('-', "−")
            }
            Metric::MacroF1 | Metric::CalibrationError => format!("{value:.3}").replace('-', "−"),
            Metric::NegativeEigenvalues => three_digits(value),
            _ => aligned(value),
        }
    }
}

/// Three significant digits, zeros at the end kept: below each other they show how well numbers are known.
fn aligned(value: f64) -> String {
    // Rounded first: 0.009999 has the exponent of 0.0100.
    match exponent(&format!("{value:.2e}")) {
        exponent @ -3..=4 if value != 0.0 => {
            let decimals = usize::try_from(2 - exponent).unwrap_or(0);
            format!("{value:.decimals$}").replace('-', "−")
        }
        _ => three_digits(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.2, "0.200"),
            (-0.009_999, "−0.0100"),
            (99.96, "100"),
            (12_345.6, "12346"),
            (1.5e-7, "1.5×10⁻⁷"),
        ];
        for (value, text) in cases {
            assert_eq!(Metric::LambdaMax.text(value), text);
        }
        assert_eq!(Metric::AccuracyGap.text(-0.0123), "−1.2 %");
        assert_eq!(Metric::MacroF1.text(0.95), "0.950");
        assert_eq!(Metric::NegativeEigenvalues.text(9.5), "9.5");
    }
}
