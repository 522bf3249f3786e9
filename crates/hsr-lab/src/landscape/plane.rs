//! The loss on a plane through a network.

use core::ops::ControlFlow;
use std::path::Path;

use burn_sharpness::landscape::{Plane, Progress, random_direction};

use super::report::{Directions, LandscapeOptions, LandscapeReport, sentence};
use crate::curvature::Curvature;
use crate::curvature::loss_anywhere;
use crate::eigen::pairs_of;
use crate::error::LabError;
use crate::figures::{LossPlane, loss_plane, value as short};
use crate::subject::Subject;

pub(super) fn plane(
    subject: &Subject,
    curvature: &mut Curvature,
    options: &LandscapeOptions,
    out: &Path,
    observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LandscapeReport, LabError> {
    let range = options.range.unwrap_or(1.0);
    let points = options.size.unwrap_or(41);
    let theta = subject.theta();
    let samples = subject.samples();
    let mut surface = samples.surface(curvature)?;
    let (directions, eigenvalues) = match options.directions {
        Directions::Eigen => {
            let pairs = pairs_of(&mut *surface, theta, 2, options.seed)?;
            let [first, second] = <[_; 2]>::try_from(pairs).map_err(|_| {
                LabError::option("`directions` eigen needs two parameters at least")
            })?;
            (
                [first.vector, second.vector],
                Some([first.value, second.value]),
            )
        }
        _ => {
            let filters = surface.filters(theta);
            // Two directions of one seed, and no two of neighbouring seeds.
            let seeds = [0, 1].map(|i| options.seed.wrapping_mul(2).wrapping_add(i));
            (
                seeds.map(|seed| random_direction(theta, &filters, seed)),
                None,
            )
        }
    };
    let plane = Plane::new(directions)?
        .with_points(points)?
        .with_range(range)?;
    let mut loss = |theta: &[f64]| loss_anywhere(&mut *surface, theta);
    let at_network = loss(theta)?;
    let landscape = plane.of_function(theta, loss, observe)?;
    let (axes, about) = match eigenvalues {
        Some(values) => (
            [1, 2].map(|order| {
                let value = short(values[order - 1]);
                format!("step along the eigenvector of λ_{order} = {value}")
            }),
            "eigenvectors of norm 1 of the two largest eigenvalues".to_owned(),
        ),
        None => (
            [1, 2].map(|number| format!("step along random direction {number}")),
            format!(
                "two random directions, a step of 1 moves each unit's weights by their norm; seed {}",
                options.seed
            ),
        ),
    };
    let figure = loss_plane(&LossPlane {
        title: format!("Loss around {}", subject.title()),
        note: format!("{}, {about}.", sentence(&subject.of_samples())),
        axes,
        x: landscape.x.clone(),
        y: landscape.y.clone(),
        loss: landscape.loss.clone(),
        network: subject.network().to_owned(),
        network_loss: at_network,
    });
    let mut csv = Vec::new();
    let written = landscape.write_csv(&mut csv);
    written.map_err(LabError::io(out, "be written into"))?;
    let report = LandscapeReport::of(
        subject,
        options,
        (points, range),
        at_network,
        &landscape.loss,
    );
    LandscapeReport {
        eigenvalues,
        ..report
    }
    .save(out, &csv, figure)
}
