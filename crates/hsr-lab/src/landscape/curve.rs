//! A curve between two networks on which the loss stays low, beside the straight line: loss and λ_max along both.

use core::ops::ControlFlow;
use std::fmt::Write;
use std::path::Path;

use burn_sharpness::SharpnessError;
use burn_sharpness::landscape::{Curve, CurveConfig, Profile, Progress};
use hsr_core::LanczosOptions;

use super::line::beginning;
use super::report::{CurveReport, LandscapeOptions, LandscapeReport, extreme, sentence};
use crate::curvature::Curvature;
use crate::curvature::{Surface, is_no_number, loss_anywhere, plain_ends};
use crate::error::{LabError, refuse};
use crate::figures::{Chart, Figure, FigureError, Mark, Plot, Series, chart, value as short};
use crate::subject::Subject;

/// Points on either way.
const POINTS: usize = 31;
/// λ_max is wanted as a curve: to the digits of a picture.
const TOLERANCE: f64 = 1e-5;

/// Loss and λ_max on the way from one network to the other; λ_max is no number where the loss is none.
struct Way {
    profile: Profile,
    lambda_max: Vec<f64>,
}

pub(super) fn curve(
    subject: &Subject,
    curvature: &mut Curvature,
    options: &LandscapeOptions,
    out: &Path,
    mut observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LandscapeReport, LabError> {
    if options.range.is_some() {
        refuse!("`range` is no option of `directions` curve, which goes from network to network");
    }
    let defaults = CurveConfig::default();
    let training = CurveConfig {
        steps: options.steps.unwrap_or(defaults.steps),
        seed: options.seed,
        ..defaults
    };
    let points = options.size.unwrap_or(POINTS);
    let (first, start) = beginning(subject, options)?;
    let samples = subject.samples();
    let mut surface = samples.surface(curvature)?;

    // Of the progress, each point of either way counts as one.
    let total = training.steps + 2 * points;
    let mut told = |done: usize| observe(Progress { done, total });
    let straight = Curve::straight([&start, subject.theta()])?;
    let mut bent = straight.clone();
    bent.train(
        &training,
        |theta, gradient| surface.loss_gradient(theta, gradient),
        |progress| told(progress.done),
    )?;
    let mut done = training.steps;
    let mut along = |curve: &Curve| -> Result<Way, SharpnessError> {
        let mut lambda_max = Vec::with_capacity(points);
        let at = |theta: &[f64]| {
            lambda_max.push(largest(&mut *surface, theta, options.seed)?);
            loss_anywhere(&mut *surface, theta)
        };
        let profile = curve.profile(points, at, |_| {
            done += 1;
            told(done)
        })?;
        Ok(Way {
            profile,
            lambda_max,
        })
    };
    let (curve, line) = (along(&bent)?, along(&straight)?);
    let barrier = curve.profile.barrier();
    let report = CurveReport {
        steps: training.steps,
        line_barrier: line.profile.barrier().height,
        curve_lambda_max: extreme(&curve.lambda_max, f64::max).unwrap_or(f64::NAN),
        line_lambda_max: extreme(&line.lambda_max, f64::max).unwrap_or(f64::NAN),
    };
    let note = format!(
        "{}; the loss rises by {} on the curve and by {} on the line over the straight line between the networks' losses.",
        sentence(&subject.of_samples()),
        short(barrier.height),
        short(report.line_barrier),
    );
    let figure = picture(&first, subject.network(), note, &curve, &line);
    let csv = table(&curve, &line);
    let Profile { ends, loss, .. } = &curve.profile;
    let report = LandscapeReport {
        curve: Some(report),
        ..LandscapeReport::of(subject, options, (points, 1.0), ends[1], loss)
    };
    report
        .with_profile(&curve.profile)
        .save(out, csv.as_bytes(), figure)
}

fn largest(surface: &mut dyn Surface, theta: &[f64], seed: u64) -> Result<f64, SharpnessError> {
    let options = LanczosOptions {
        tolerance: TOLERANCE,
        seed,
        ..LanczosOptions::default()
    };
    match plain_ends(surface, theta, &options) {
        Ok(ends) => Ok(ends.largest),
        Err(error) if is_no_number(&error) => Ok(f64::NAN),
        Err(error) => Err(error),
    }
}

fn table(curve: &Way, line: &Way) -> String {
    let mut text = "t,loss,lambda_max,line_loss,line_lambda_max\n".to_owned();
    for (i, t) in curve.profile.t.iter().enumerate() {
        let [own, other] = [curve, line].map(|it| (it.profile.loss[i], it.lambda_max[i]));
        let _ = writeln!(text, "{t},{},{},{},{}", own.0, own.1, other.0, other.1);
    }
    text
}

fn picture(
    first: &str,
    second: &str,
    note: String,
    curve: &Way,
    line: &Way,
) -> Result<Figure, FigureError> {
    let plot = |title: &str, values: &dyn Fn(&Way) -> Vec<f64>| {
        let series = |name: &str, mark: Mark, way: &Way| {
            let points = way.profile.t.iter().zip(values(way));
            Series::new(name, mark, points.map(|(t, v)| [*t, v]).collect())
        };
        Plot {
            x: format!("from {first} (0) to {second} (1)"),
            y: title.to_owned(),
            series: vec![
                series("straight line", Mark::Dashed, line),
                series("curve", Mark::Line, curve),
            ],
            ..Plot::default()
        }
    };
    chart(&Chart {
        title: format!("Loss and λ_max between {first} and {second}"),
        note,
        columns: 2,
        plots: vec![
            plot("loss", &|way| way.profile.loss.clone()),
            plot("λ_max", &|way| way.lambda_max.clone()),
        ],
    })
}
