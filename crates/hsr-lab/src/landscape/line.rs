//! The loss on the line between two networks.

use core::ops::ControlFlow;
use std::path::Path;

use burn_sharpness::landscape::{Line, Profile, Progress};

use super::report::{LandscapeOptions, LandscapeReport, sentence};
use crate::curvature::Curvature;
use crate::curvature::loss_anywhere;
use crate::error::{LabError, refuse};
use crate::figures::{Figure, FigureError, LossProfile, loss_profile, value as short};
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
        refuse!("--range is {range}, expected 1 or more: the line reaches from network to network");
    }
    let (first, plain) = beginning(subject, options)?;
    let points = options.points.unwrap_or(121);
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
            "--directions line and curve go from the plain network to another, and this is the plain one"
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
    loss_profile(&LossProfile {
        title: match subject.report().run {
            Some(_) => format!("Loss between the networks of {}", subject.place()),
            None => format!("Loss between {first} and {}", subject.network()),
        },
        note,
        t: profile.t.clone(),
        loss: profile.loss.clone(),
        networks: [first, subject.network().to_owned()],
        ends: profile.ends,
        barrier: (barrier.height > 0.0 && barrier.height.is_finite())
            .then_some((barrier.t, barrier.height)),
    })
}
