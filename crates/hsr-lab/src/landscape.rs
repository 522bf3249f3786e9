//! The loss around a network of a saved run, and between its networks: numbers, table and picture.

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn_sharpness::SharpnessError;
use burn_sharpness::landscape::{Line, Plane, Profile, Progress, random_direction};
use serde::Serialize;

use crate::curvature::loss_anywhere;
use crate::figures::{
    Figure, FigureError, LossPlane, LossProfile, loss_plane, loss_profile, value as short,
};
use crate::lock::DirectoryLock;
use crate::train::{SavedRun, Split};
use crate::{LabError, files, pictures, spectrum};

/// Along what the loss is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Directions {
    /// Two random directions, normalised filter by filter.
    Random,
    /// The eigenvectors of the two largest eigenvalues of the Hessian, of norm 1.
    Eigen,
    /// The line from the plain network to the run's.
    Line,
}

/// What `hsr landscape` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct LandscapeOptions {
    /// The network; the run's own where none is named.
    pub network: Option<String>,
    /// Along what.
    pub directions: Directions,
    /// Points a side, by default 41, or on the line, by default 121.
    pub points: Option<usize>,
    /// Of a plane: from −range to range. Of the line: its length, 1 from network to network. By default 1, of the line
    /// 1.5.
    pub range: Option<f64>,
    /// The seed of random directions.
    pub seed: u64,
    /// The data.
    pub split: Split,
}

/// The answer; its JSON is what `hsr landscape --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LandscapeReport {
    /// The run directory.
    pub run: String,
    /// The network in the middle, or at the end of the line.
    pub network: String,
    /// Along what.
    pub directions: Directions,
    /// The data.
    pub split: Split,
    /// Points a side, or on the line.
    pub points: usize,
    /// The range.
    pub range: f64,
    /// The samples of the split that the loss is the mean over, where that is only a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curvature_samples: Option<usize>,
    /// The seed of random directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The eigenvalues of the directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eigenvalues: Option<[f64; 2]>,
    /// The loss of the network.
    pub loss: f64,
    /// The smallest finite loss that was met.
    pub lowest: Option<f64>,
    /// The largest.
    pub highest: Option<f64>,
    /// The loss of the plain network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain_loss: Option<f64>,
    /// The rise of the loss over the straight line between the networks' losses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barrier: Option<f64>,
    /// Where it is: 0 at the plain network, 1 at the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barrier_at: Option<f64>,
    /// The files that were written.
    #[serde(serialize_with = "files::all_shown")]
    pub files: Vec<PathBuf>,
    /// What could not be drawn, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Evaluates a landscape and writes `landscape.csv`, `.svg` and `.png` into `out`; nothing where it is stopped or fails.
///
/// # Errors
///
/// A one-line [`LabError`] for what can be wrong with options, run and directory; [`LabError::Stopped`] where the
/// observer stopped it.
pub fn landscape(
    run: &SavedRun,
    options: &LandscapeOptions,
    out: &Path,
    observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LandscapeReport, LabError> {
    if let Some(points) = options.points
        && !(2..=LARGEST_SIDE).contains(&points)
    {
        return Err(LabError::Option(format!(
            "--size is {points}, expected 2 to {LARGEST_SIDE}"
        )));
    }
    if let Some(range) = options.range
        && !(range.is_finite() && range > 0.0)
    {
        return Err(LabError::Option(format!(
            "--range is {range}, expected a positive number"
        )));
    }
    let (name, theta) = run.theta(options.network.as_deref())?;
    let _lock = DirectoryLock::of_kind(out, "landscape")?;
    let stopped = |error| match error {
        LabError::Sharpness(SharpnessError::Stopped { done, total }) => LabError::Stopped {
            what: "points",
            done,
            total,
        },
        error => error,
    };
    match options.directions {
        Directions::Line => line(run, name, &theta, options, out, observe),
        _ => plane(run, name, &theta, options, out, observe),
    }
    .map_err(stopped)
}

/// Points a side: a million of them are more than a picture can show.
const LARGEST_SIDE: usize = 1001;

fn plane(
    run: &SavedRun,
    name: &str,
    theta: &[f64],
    options: &LandscapeOptions,
    out: &Path,
    observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LandscapeReport, LabError> {
    let range = options.range.unwrap_or(1.0);
    let points = options.points.unwrap_or(41);
    let samples = run.curved(options.split);
    let mut curvature = run.curvature();
    let mut surface = run.architecture().surface(&mut curvature, &samples)?;
    let (directions, eigenvalues) = match options.directions {
        Directions::Eigen => {
            let pairs = spectrum::pairs_of(&mut *surface, theta, 2, options.seed)?;
            let [first, second] = <[_; 2]>::try_from(pairs).map_err(|_| {
                LabError::Option("--directions eigen needs two parameters at least".to_owned())
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
    let axes = match eigenvalues {
        Some(values) => {
            let title = |order: usize, value: f64| {
                format!("step along the eigenvector of λ_{order} = {}", short(value))
            };
            [title(1, values[0]), title(2, values[1])]
        }
        None => [
            "step along random direction 1".to_owned(),
            "step along random direction 2".to_owned(),
        ],
    };
    let about = match eigenvalues {
        Some(_) => "eigenvectors of norm 1 of the two largest eigenvalues".to_owned(),
        None => format!(
            "two random directions, a step of 1 moves each unit's weights by their norm; seed {}",
            options.seed
        ),
    };
    let figure = loss_plane(&LossPlane {
        title: format!("Loss around the {name} network of {}", run.name()),
        note: format!("{} split, {about}.", sentence(options.split)),
        axes,
        x: landscape.x.clone(),
        y: landscape.y.clone(),
        loss: landscape.loss.clone(),
        network: name.to_owned(),
        network_loss: at_network,
    });
    let mut csv = Vec::new();
    write_csv(|csv| landscape.write_csv(csv), &mut csv);
    let (files, notes) = save(out, &csv, figure)?;
    Ok(LandscapeReport {
        run: run.directory().display().to_string(),
        network: name.to_owned(),
        directions: options.directions,
        split: options.split,
        points,
        range,
        curvature_samples: run.curved_samples(options.split),
        seed: (options.directions == Directions::Random).then_some(options.seed),
        eigenvalues,
        loss: at_network,
        lowest: extreme(&landscape.loss, f64::min),
        highest: extreme(&landscape.loss, f64::max),
        plain_loss: None,
        barrier: None,
        barrier_at: None,
        files,
        notes,
    })
}

fn line(
    run: &SavedRun,
    name: &str,
    theta: &[f64],
    options: &LandscapeOptions,
    out: &Path,
    observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LandscapeReport, LabError> {
    if name == "plain" {
        return Err(LabError::Option(
            "--directions line goes from the plain network to another, and this is the plain one"
                .to_owned(),
        ));
    }
    let range = options.range.unwrap_or(1.5);
    if range < 1.0 {
        return Err(LabError::Option(format!(
            "--range is {range}, expected 1 or more: the line reaches from network to network"
        )));
    }
    let (_, plain) = run.theta(Some("plain"))?;
    let points = options.points.unwrap_or(121);
    let beyond = (range - 1.0) / 2.0;
    let line = Line::default()
        .with_ends(-beyond, 1.0 + beyond)?
        .with_points(points)?;
    let samples = run.curved(options.split);
    let mut curvature = run.curvature();
    let mut surface = run.architecture().surface(&mut curvature, &samples)?;
    let loss = |theta: &[f64]| loss_anywhere(&mut *surface, theta);
    let profile = line.of_function([&plain, theta], loss, observe)?;
    let barrier = profile.barrier();
    let figure = profile_figure(run, name, options.split, &profile);
    let mut csv = Vec::new();
    write_csv(|csv| profile.write_csv(csv), &mut csv);
    let (files, notes) = save(out, &csv, figure)?;
    Ok(LandscapeReport {
        run: run.directory().display().to_string(),
        network: name.to_owned(),
        directions: options.directions,
        split: options.split,
        points,
        range,
        curvature_samples: run.curved_samples(options.split),
        seed: None,
        eigenvalues: None,
        loss: profile.ends[1],
        lowest: extreme(&profile.loss, f64::min),
        highest: extreme(&profile.loss, f64::max),
        plain_loss: Some(profile.ends[0]),
        barrier: Some(barrier.height),
        barrier_at: (barrier.height > 0.0).then_some(barrier.t),
        files,
        notes,
    })
}

fn profile_figure(
    run: &SavedRun,
    name: &str,
    split: Split,
    profile: &Profile,
) -> Result<Figure, FigureError> {
    let barrier = profile.barrier();
    let note = if barrier.height > 0.0 {
        format!(
            "{} split; the loss rises by {} over the straight line between the networks (dashed).",
            sentence(split),
            short(barrier.height)
        )
    } else {
        format!(
            "{} split; no barrier: the loss stays below the straight line between the networks (dashed).",
            sentence(split)
        )
    };
    loss_profile(&LossProfile {
        title: format!("Loss between the networks of {}", run.name()),
        note,
        t: profile.t.clone(),
        loss: profile.loss.clone(),
        networks: ["plain".to_owned(), name.to_owned()],
        ends: profile.ends,
        barrier: (barrier.height > 0.0 && barrier.height.is_finite())
            .then_some((barrier.t, barrier.height)),
    })
}

/// Writing into memory cannot fail.
fn write_csv(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>, csv: &mut Vec<u8>) {
    write(csv).expect("memory takes whatever is written");
}

fn extreme(loss: &[f64], choose: fn(f64, f64) -> f64) -> Option<f64> {
    loss.iter()
        .copied()
        .filter(|v| v.is_finite())
        .reduce(choose)
}

fn sentence(split: Split) -> &'static str {
    match split {
        Split::Train => "Training",
        Split::Test => "Test",
    }
}

/// Writes the table, then the picture; gives the files and what could not be drawn.
fn save(
    out: &Path,
    csv: &[u8],
    figure: Result<Figure, FigureError>,
) -> Result<(Vec<PathBuf>, Vec<String>), LabError> {
    let table = out.join("landscape.csv");
    files::write(&table, csv)?;
    let (mut written, mut notes) = (vec![table], Vec::new());
    written.extend(pictures::write(out, "landscape", figure, &mut notes)?);
    Ok((written, notes))
}
