//! Figure 11: the loss around a sharp minimum, a saddle and a flat minimum.

use hsr_core::Workspace;

use super::context::Context;
use super::critical::Critical;
use super::curvature::spectrum;
use super::finding::{Claim, Finding, Table};
use super::plan::{Extent, Plan};
use super::points::{self, Points};
use super::scene::Bed;
use crate::error::{LabError, refuse};
use crate::figures::{self, LossPlane};

pub(super) fn plan(extent: Extent) -> Plan {
    Plan::new((), 1.0, move |(), context| run(extent, context)).sharing(points::shared(extent))
}

/// Points a side of a plane, and how far it reaches from the critical point along unit eigenvectors.
const SIDE: usize = 41;
const REACH: f64 = 2.0;

fn run(extent: Extent, context: &Context) -> Result<Finding, LabError> {
    let points = Points::find(extent, context)?;
    let mut table = Table::new("point,along_top,along_bottom,objective");
    // All of one data set: they belong to one landscape.
    let Some(set) = points.sets.get(points.richest()) else {
        refuse!("no data set to search");
    };
    let (flat, sharp, saddle) = (set.minima.first(), set.minima.last(), set.saddles.first());
    let chosen = [
        ("sharp minimum", "sharp", sharp),
        ("saddle", "saddle", saddle),
        ("flat minimum", "flat", flat),
    ];
    let mut pictures = Vec::new();
    let mut claims = Vec::new();
    let mut rises = Vec::new();
    for (name, suffix, point) in chosen {
        let Some(point) = point else {
            claims.push(Claim::at_least(format!("a {name} was found"), 0.0, 1.0));
            continue;
        };
        let plane = plane(&set.bed, name, point)?;
        for (i, loss) in plane.loss.iter().enumerate() {
            table.row(&[&name, &plane.x[i % SIDE], &plane.y[i / SIDE], loss]);
        }
        let center = plane.network_loss;
        let ring = plane.loss.iter().copied();
        let (low, high) = figures::extent(ring).unwrap_or((center, center));
        claims.push(match name {
            "saddle" => Claim::above(
                format!(
                    "the loss around the saddle goes down by {} and up by {}; {} of its eigenvalues are negative",
                    figures::value(center - low),
                    figures::value(high - center),
                    point.negative()
                ),
                (center - low).min(high - center),
                0.0,
            ),
            _ => {
                rises.push((point.curvature.lambda_max(), nearby(&plane) - center));
                Claim::at_least(
                    format!("no point of the plane next to the {name} (λ_1 = {}) is below it", figures::value(point.curvature.lambda_max())),
                    lowest_nearby(&plane) - center,
                    -1e-12,
                )
            }
        });
        pictures.push((suffix, figures::loss_plane(&plane)?));
    }
    if let [sharp, flat] = rises[..] {
        claims.push(Claim::above(
            format!(
                "around the sharp minimum the loss rises faster: by {} on average within half a unit, against {}",
                figures::value(sharp.1),
                figures::value(flat.1)
            ),
            sharp.1 / flat.1,
            1.0,
        ));
    }
    match pictures.first_mut() {
        Some((suffix, _)) => *suffix = "",
        None => pictures.push(("", figures::nothing("No critical point was found")?)),
    }
    Ok(Finding {
        caption: format!(
            "The training objective J around the sharpest minimum, around the saddle with the most negative eigenvalue, and \
             around the flattest minimum of one loss, that with most minima: planes along the eigenvectors of the largest and the smallest \
             eigenvalue of J's Hessian, both of length 1. Each has its own levels. {}",
            points.words()
        ),
        claims,
        pictures,
        table,
    })
}

/// J over the plane along the top and the bottom eigenvector.
fn plane(bed: &Bed, name: &str, point: &Critical) -> Result<LossPlane, LabError> {
    let mut workspace = Workspace::new();
    let spectrum = spectrum(&mut workspace, bed, &point.theta)?;
    let count = point.theta.len();
    let (top, bottom) = (spectrum.eigenvector(count - 1), spectrum.eigenvector(0));
    let step = |i: usize| REACH * (2.0 * i as f64 / (SIDE - 1) as f64 - 1.0);
    let along: Vec<f64> = (0..SIDE).map(step).collect();
    let mut gradient = vec![0.0; count];
    let mut at = |x: f64, y: f64| -> Result<f64, LabError> {
        let directions = top.iter().zip(bottom);
        let moved: Vec<f64> = point
            .theta
            .iter()
            .zip(directions)
            .map(|(t, (v, w))| t + x * v + y * w)
            .collect();
        bed.objective(&mut workspace, &moved, &mut gradient)
    };
    let center = at(0.0, 0.0)?;
    let mut loss = Vec::with_capacity(SIDE * SIDE);
    for y in &along {
        for x in &along {
            loss.push(at(*x, *y)?);
        }
    }
    let value = |i: usize| figures::value(spectrum.eigenvalues[i]);
    Ok(LossPlane {
        title: name.to_owned(),
        note: format!(
            "λ_1 = {} across, λ_D = {} upwards",
            value(count - 1),
            value(0)
        ),
        axes: ["along the top eigenvector", "along the bottom eigenvector"].map(str::to_owned),
        network: name.to_owned(),
        network_loss: center,
        x: along.clone(),
        y: along,
        loss,
    })
}

/// The losses within half a unit of the centre.
fn near(plane: &LossPlane) -> impl Iterator<Item = f64> {
    plane.loss.iter().enumerate().filter_map(|(i, loss)| {
        let (x, y) = (plane.x[i % SIDE], plane.y[i / SIDE]);
        (x.hypot(y) <= 0.5).then_some(*loss)
    })
}

/// The mean loss nearby.
fn nearby(plane: &LossPlane) -> f64 {
    let (sum, count) = near(plane).fold((0.0, 0.0), |(sum, n), loss| (sum + loss, n + 1.0));
    sum / count
}

/// The lowest loss at the eight neighbours of the centre.
fn lowest_nearby(plane: &LossPlane) -> f64 {
    let middle = SIDE / 2;
    let around = (middle - 1..=middle + 1)
        .flat_map(|row| (middle - 1..=middle + 1).map(move |c| row * SIDE + c));
    around.map(|i| plane.loss[i]).fold(f64::INFINITY, f64::min)
}
