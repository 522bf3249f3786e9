//! What a trained network is: its scores on both splits, and the curvature of its training loss.

use super::config::TrainConfig;
use super::problem::Problem;
use super::summary::NetworkSummary;
use crate::{Curvature, LabError, Weights, network, scores, spectrum};

/// Measures a network that took `steps` steps in `seconds`, and gives its eigenvalues: all, or only the ends. Curvature
/// and calibration are computed in f64 on the host, predictions on the device of the data.
pub(crate) fn measure(
    config: &TrainConfig,
    problem: &Problem,
    curvature: &mut Curvature,
    weights: &Weights,
    steps: usize,
    seconds: f64,
) -> Result<(NetworkSummary, Vec<f64>), LabError> {
    let Problem { train, test, .. } = problem;
    let batch = train.batch();
    let closed_form = weights.view()?;
    let mut gradient = vec![0.0; weights.parameters()];
    let train_loss = curvature.loss_gradient(&closed_form, &batch, &mut gradient)?;
    let test_loss = curvature.loss(&closed_form, &test.batch())?;
    let logits = curvature.logits(&closed_form, &test.batch())?;
    let bounds = curvature.bounds(&closed_form, &batch)?;
    let ends = spectrum::ends(curvature, weights, &batch, config.seed)?;
    let options = spectrum::measure_options(weights.parameters(), config.seed);
    let measures = curvature.measures(&closed_form, &batch, &options)?;
    let model = network::to_burn(weights, &train.x.device());
    let of_train = network::predict(&model, train.x.clone());
    let of_test = network::predict(&model, test.x.clone());
    let labels = &test.data.labels;
    let summary = NetworkSummary {
        train_loss,
        test_loss,
        train_accuracy: scores::accuracy(&of_train, &train.data.labels),
        accuracy: scores::accuracy(&of_test, labels),
        macro_f1: scores::macro_f1(&of_test, labels, problem.outputs()),
        calibration_error: scores::calibration_error(&logits, labels),
        lambda_max: ends.lambda_max,
        lambda_min: ends.lambda_min,
        lambda_sup: bounds.lambda_sup,
        tightness: ends.tightness(bounds.lambda_sup),
        negative_eigenvalues: ends.negative(),
        grad_norm: gradient.iter().map(|g| g * g).sum::<f64>().sqrt(),
        eigenvalue_method: ends.method().to_owned(),
        eigenvalues_converged: ends.lanczos.as_ref().is_none_or(|report| report.converged),
        measures,
        steps,
        seconds_per_step: seconds / steps.max(1) as f64,
    };
    let eigenvalues = ends
        .eigenvalues
        .unwrap_or_else(|| vec![ends.lambda_min, ends.lambda_max]);
    Ok((summary, eigenvalues))
}
