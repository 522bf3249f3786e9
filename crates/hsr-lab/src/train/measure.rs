//! What a trained network is: its scores on both splits, and the curvature of its training loss.

use super::config::TrainConfig;
use super::problem::Problem;
use super::summary::{Estimates, NetworkSummary};
use crate::curvature::Curvature;
use crate::error::LabError;
use crate::{eigen, scores};

/// Measures a network that took `steps` steps in `seconds`, and gives its eigenvalues: all, or only the ends. Curvature
/// and calibration are computed in f64 on the host, predictions on the device of the data.
pub(crate) fn measure(
    config: &TrainConfig,
    problem: &Problem,
    curvature: &mut Curvature,
    theta: &[f64],
    steps: usize,
    seconds: f64,
) -> Result<(NetworkSummary, Vec<f64>), LabError> {
    let Problem {
        train,
        test,
        architecture,
        ..
    } = problem;
    let mut gradient = vec![0.0; theta.len()];
    let train_loss = {
        let mut surface = architecture.surface(curvature, &train.data)?;
        surface.loss_gradient(theta, &mut gradient)?
    };
    let (test_loss, logits) = {
        let mut surface = architecture.surface(curvature, &test.data)?;
        (surface.loss(theta)?, surface.logits(theta)?)
    };
    let curved = problem.curved(&train.data, config.seed);
    let mut surface = architecture.surface(curvature, &curved)?;
    let bounds = surface.bounds(theta)?;
    let ends = eigen::ends_of(&mut *surface, theta, config.seed)?;
    let estimates = match bounds {
        Some(_) => None,
        None => Some(Estimates::of(&mut *surface, theta, config.seed)?),
    };
    let options = eigen::measure_options(&*surface, theta.len(), config.seed);
    let measures = surface.measures(theta, &options)?;
    let lambda_sup = bounds.map(|bounds| bounds.lambda_sup);
    let of_train = architecture.predict(theta, train.x.clone());
    let of_test = architecture.predict(theta, test.x.clone());
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
        lambda_sup,
        tightness: lambda_sup.and_then(|it| ends.tightness(it)),
        estimates,
        curvature_samples: (curved.samples() < train.data.samples()).then(|| curved.samples()),
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
