//! The loss on the line between two networks.

use core::ops::ControlFlow;
use std::path::Path;

use burn_sharpness::landscape::{Line, Profile, Progress};

use super::report::{LandscapeOptions, LandscapeReport, sentence};
use crate::curvature::Curvature;
use crate::curvature::loss_anywhere;
use crate::error::{LabError, refuse};
use crate::figures::{Chart, Figure, FigureError, Mark, Plot, Series, chart, value as short};
use crate::subject::Subject;

pub(super) fn line(
    subject: &Subject,
    curvature: &mut Curvature,
    options: &LandscapeOptions,
    out: &Path,
    observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LandscapeReport, LabError> {
    let range = options.range.unwrap_or(1.5);
    if range < 1.0 {
        refuse!("`range` is {range}, expected 1 or more: the line reaches from network to network");
    }
    let (first, plain) = beginning(subject, options)?;
    let points = options.size.unwrap_or(121);
    let beyond = (range - 1.0) / 2.0;
    let line = Line::default()
        .with_ends(-beyond, 1.0 + beyond)?
        .with_points(points)?;
    let samples = subject.samples();
    let mut surface = samples.surface(curvature)?;
    let loss = |theta: &[f64]| loss_anywhere(&mut *surface, theta);
    let profile = line.of_function([&plain, subject.theta()], loss, observe)?;
    let figure = profile_figure(subject, first, &profile);
    let mut csv = Vec::new();
    let written = profile.write_csv(&mut csv);
    written.map_err(LabError::io(out, "be written into"))?;
    LandscapeReport::of(
        subject,
        options,
        (points, range),
        profile.ends[1],
        &profile.loss,
    )
    .with_profile(&profile)
    .save(out, &csv, figure)
}

/// The network where a line or a curve begins, and its name.
pub(super) fn beginning(
    subject: &Subject,
    options: &LandscapeOptions,
) -> Result<(String, Vec<f64>), LabError> {
    let of_run = subject.report().run.is_some();
    if of_run && options.from.is_none() && subject.network() == "plain" {
        refuse!(
            "`directions` line and curve go from the plain network to another, and this is the plain one"
        );
    }
    subject.other(options.from.as_deref())
}

fn profile_figure(
    subject: &Subject,
    first: String,
    profile: &Profile,
) -> Result<Figure, FigureError> {
    let samples = sentence(&subject.of_samples());
    let barrier = profile.barrier();
    let note = if barrier.height > 0.0 {
        format!(
            "{samples}; the loss rises by {} over the straight line between the networks (dashed).",
            short(barrier.height)
        )
    } else {
        format!(
            "{samples}; no barrier: the loss stays below the straight line between the networks (dashed)."
        )
    };
    let second = subject.network();
    let title = match subject.report().run {
        Some(_) => format!("Loss between the networks of {}", subject.place()),
        None => format!("Loss between {first} and {second}"),
    };
    // The networks are on their own curve.
    let ends = [[0.0, profile.ends[0]], [1.0, profile.ends[1]]];
    let curve = profile
        .t
        .iter()
        .zip(&profile.loss)
        .map(|(t, loss)| [*t, *loss]);
    let mut curve: Vec<[f64; 2]> = curve.chain(ends).collect();
    curve.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let [plain, other] = [(first.as_str(), ends[0]), (second, ends[1])].map(|(name, end)| {
        let label = format!("{name}: {}", short(end[1]));
        Series::new(label, Mark::Point, vec![end])
    });
    let chord = (1.0 - barrier.t) * ends[0][1] + barrier.t * ends[1][1];
    let rise = vec![
        [barrier.t, chord],
        [barrier.t, chord + barrier.height.max(0.0)],
    ];
    let plot = Plot {
        x: format!("position on the line: 0 is {first}, 1 is {second}"),
        y: "loss".to_owned(),
        series: vec![
            Series::new("", Mark::Dashed, ends.to_vec()),
            Series::new("", Mark::Line, curve),
            plain,
            other.clone(),
            Series::new(other.label, Mark::Line, rise),
        ],
        ..Plot::default()
    };
    chart(&Chart {
        title,
        note,
        columns: 1,
        plots: vec![plot],
    })
}
