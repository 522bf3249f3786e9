//! The spectrum of a trained network: eigenvalues, density, trace, tables and a picture.

use core::ops::ControlFlow;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use burn_sharpness::spectrum::{
    DensityConfig, DensityCurve, LanczosConfig, SpectralDensity, TraceConfig, lanczos_within,
    moments, spectral_density,
};
use burn_sharpness::{SharpnessError, SymmetricOperator};
use serde::Serialize;

pub use burn_sharpness::spectrum::{EigenPair, SpectrumEnds};

pub use crate::eigen::{
    DENSE_LIMIT, Eigenvalue, Ends, Extremes, LanczosReport, eigenvalues, ends, extremes,
    largest_of_layers, pairs_at_the_ends,
};

use crate::curvature::{Curvature, of_hessian};
use crate::eigen::{hessian, negative, stopped};
use crate::error::{LabError, refuse};
use crate::figures::{Density, Figure, FigureError, Spectrum, density, value as short};
use crate::lock::DirectoryLock;
use crate::subject::{Subject, SubjectReport};
use crate::train::Estimates;
use crate::{files, pictures};

/// What `hsr spectrum` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectrumOptions {
    /// Eigenvalues at each end.
    pub top: usize,
    /// Random probes of the density and the trace.
    pub probes: usize,
    /// The seed of the probes and of Lanczos.
    pub seed: u64,
}

/// The answer; its JSON is what `hsr spectrum --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpectrumReport {
    /// The network and the data.
    #[serde(flatten)]
    pub subject: SubjectReport,
    /// The seed.
    pub seed: u64,
    /// D.
    pub parameters: usize,
    /// The loss.
    pub loss: f64,
    /// The largest eigenvalue of the Hessian.
    pub lambda_max: f64,
    /// The smallest.
    pub lambda_min: f64,
    /// The Wolkowicz-Styan bound; none where the network has no closed form.
    pub lambda_sup: Option<f64>,
    /// λ_sup/λ_max, where λ_max > 0; none where λ_sup is.
    pub tightness: Option<f64>,
    /// What stands in for the exact numbers where there is no closed form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimates: Option<Estimates>,
    /// The samples of the split from which everything is computed, where that is only a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curvature_samples: Option<usize>,
    /// Eigenvalues below 0 beyond rounding; unknown where only the ends were computed.
    pub negative_eigenvalues: Option<usize>,
    /// `dense` or `lanczos`.
    pub eigenvalue_method: &'static str,
    /// Whether the eigenvalues are converged; always, where dense.
    pub eigenvalues_converged: bool,
    /// The largest, descending.
    pub largest: Vec<f64>,
    /// The smallest, ascending.
    pub smallest: Vec<f64>,
    /// All of them where dense, else those of both ends, ascending.
    pub eigenvalues: Vec<f64>,
    /// ‖Hv − λv‖ of each, where they are by Lanczos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residuals: Option<Vec<f64>>,
    /// tr H in closed form; none where there is none.
    pub trace: Option<f64>,
    /// tr H by random probes, for comparison or in its place.
    pub trace_estimate: TraceReport,
    /// How the density was found.
    pub density: DensityReport,
    /// The files that were written.
    #[serde(serialize_with = "files::all_shown")]
    pub files: Vec<PathBuf>,
    /// What could not be drawn, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An estimate of the trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceReport {
    /// The estimate.
    pub trace: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// The interval that holds the trace with the probability `confidence`.
    pub interval: [f64; 2],
    /// That probability.
    pub confidence: f64,
    /// Products with the Hessian.
    pub products: usize,
}

/// A density.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DensityReport {
    /// Random probes; 0 where it is that of every eigenvalue.
    pub probes: usize,
    /// Lanczos steps a probe.
    pub steps: usize,
    /// The width of the Gaussian that each node became.
    pub width: f64,
    /// Products with the Hessian.
    pub products: usize,
}

/// How far a computation is: what is being done, and products with the Hessian in it, done and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpectrumProgress {
    /// What is being done.
    pub what: &'static str,
    /// Products done.
    pub done: usize,
    /// Products at most.
    pub total: usize,
}

/// Lanczos steps a probe of the density.
const STEPS: usize = 60;
/// Products of the trace for each probe: they are much cheaper than a probe of the density.
const TRACE_PRODUCTS: usize = 9;
/// Points of the density's curve.
const POINTS: usize = 1200;
/// The most probes: with more than a few hundred the estimates change in no digit that is shown.
const MOST_PROBES: usize = 10_000;
/// The most products of a Lanczos run.
const ITERATIONS: usize = 2000;
/// Vectors that a Lanczos run keeps, where they take no more than so many bytes; else as many as do, and restarts.
const VECTORS: usize = 500;
const VECTOR_BYTES: usize = 1 << 30;

/// The vectors of a Lanczos run for so many eigenvalues at each end.
fn most_vectors(size: usize, top: usize) -> usize {
    let room = (VECTOR_BYTES / 8 / size.max(1)).min(VECTORS);
    room.max(8 * top + 8)
}

/// Computes the spectrum of a network and writes `spectrum_eigenvalues.csv`, `spectrum_density.csv`, `.svg` and `.png` into
/// `out`; nothing where it is stopped or fails.
///
/// # Errors
///
/// A one-line [`LabError`] for what can be wrong with options, run and directory; [`LabError::Stopped`] where the
/// observer stopped it, [`hsr_core::Error::Eigenvalues`] where an iteration fails.
pub fn spectrum_of(
    subject: &Subject,
    curvature: &mut Curvature,
    options: &SpectrumOptions,
    out: &Path,
    mut observe: impl FnMut(SpectrumProgress) -> ControlFlow<()>,
) -> Result<SpectrumReport, LabError> {
    if options.top == 0 {
        refuse!("`top` is 0, expected at least 1");
    }
    if !(1..=MOST_PROBES).contains(&options.probes) {
        refuse!(
            "`probes` is {}, expected at least 1 and at most {MOST_PROBES}",
            options.probes
        );
    }
    let theta = subject.theta();
    let _lock = DirectoryLock::of_kind(out, "spectrum")?;
    let samples = subject.samples();
    let size = theta.len();
    let mut surface = samples.surface(curvature)?;
    let loss = surface.loss(theta)?;
    let bounds = surface.bounds(theta)?;
    let mut dense = match hessian(&mut *surface, theta)? {
        Some(hessian) => Some(Eigenvalues::dense(
            eigenvalues(&hessian, size)?,
            options.top,
        )),
        None => None,
    };
    let of_lanczos = LanczosConfig {
        iterations: ITERATIONS,
        tolerance: surface.tolerance().max(1e-8),
        seed: options.seed,
    };
    let steps = match dense {
        Some(_) => 0,
        None => STEPS.min(size),
    };
    let vectors = most_vectors(size, options.top);
    let of_density = DensityConfig {
        probes: options.probes,
        steps,
        seed: options.seed,
    };
    let of_trace = TraceConfig {
        products: TRACE_PRODUCTS * options.probes,
        seed: options.seed,
        ..TraceConfig::default()
    };
    let computed = of_hessian(&mut *surface, theta, |operator| {
        let mut operator = Watched::new(operator, ("eigenvalues", ITERATIONS), &mut observe);
        let (eigenvalues, density) = match dense.take() {
            Some(dense) => {
                let density = SpectralDensity::of_eigenvalues(&dense.all)?;
                (dense, density)
            }
            None => {
                let top = options.top;
                let ends = Eigenvalues::at_the_ends(&mut operator, top, vectors, &of_lanczos)?;
                operator.begin(("density", options.probes * steps));
                (ends, spectral_density(&mut operator, &of_density)?)
            }
        };
        operator.begin(("trace", of_trace.products));
        Ok((eigenvalues, density, moments(&mut operator, &of_trace)?))
    });
    let (found, estimated, moments) = computed.map_err(stopped)?;
    let trace = moments.trace;
    drop(surface);

    let lambda_max = found.largest[0];
    let spectrum = Spectrum {
        label: subject.network().to_owned(),
        eigenvalues: found.all.clone(),
        lambda_sup: bounds.map_or(f64::NAN, |bounds| bounds.lambda_sup),
    };
    let curve = estimated.smoothed(POINTS, None).map_err(stopped)?;
    let figure = picture(subject, options.probes, steps, &curve, spectrum);
    let (files, notes) = save(out, &found, &curve, figure)?;
    Ok(SpectrumReport {
        subject: subject.report(),
        seed: options.seed,
        parameters: size,
        loss,
        lambda_max,
        lambda_min: found.smallest[0],
        lambda_sup: bounds.map(|bounds| bounds.lambda_sup),
        tightness: bounds
            .filter(|_| lambda_max > 0.0)
            .map(|bounds| bounds.lambda_sup / lambda_max),
        estimates: match bounds {
            Some(_) => None,
            None => Some(Estimates::from_moments(&moments)),
        },
        curvature_samples: subject.curved_samples(),
        negative_eigenvalues: found.residuals.is_none().then(|| negative(&found.all)),
        eigenvalue_method: if found.residuals.is_some() {
            "lanczos"
        } else {
            "dense"
        },
        eigenvalues_converged: found.converged,
        largest: found.largest,
        smallest: found.smallest,
        eigenvalues: found.all,
        residuals: found.residuals,
        trace: bounds.map(|bounds| bounds.moments.trace),
        trace_estimate: TraceReport {
            trace: trace.trace,
            standard_error: trace.standard_error,
            interval: trace.interval,
            confidence: trace.confidence,
            products: trace.products,
        },
        density: DensityReport {
            probes: if steps == 0 { 0 } else { options.probes },
            steps,
            width: curve.width,
            products: estimated.products,
        },
        files,
        notes,
    })
}

/// The eigenvalues that are known.
struct Eigenvalues {
    largest: Vec<f64>,
    smallest: Vec<f64>,
    /// Ascending.
    all: Vec<f64>,
    residuals: Option<Vec<f64>>,
    converged: bool,
}

impl Eigenvalues {
    /// From all of them, ascending.
    fn dense(all: Vec<f64>, top: usize) -> Self {
        Self {
            largest: all.iter().rev().take(top).copied().collect(),
            smallest: all.iter().take(top).copied().collect(),
            all,
            residuals: None,
            converged: true,
        }
    }

    fn at_the_ends(
        operator: &mut impl SymmetricOperator,
        top: usize,
        vectors: usize,
        options: &LanczosConfig,
    ) -> Result<Self, SharpnessError> {
        let top = top.min(operator.size());
        let ends = lanczos_within(operator, top, None, options, vectors)?;
        let values = |pairs: &[EigenPair]| pairs.iter().map(|pair| pair.value).collect();
        let both = ends.smallest.iter().chain(ends.largest.iter().rev());
        let (all, residuals) = both.map(|pair| (pair.value, pair.residual)).unzip();
        Ok(Self {
            largest: values(&ends.largest),
            smallest: values(&ends.smallest),
            all,
            residuals: Some(residuals),
            converged: ends.converged,
        })
    }
}

/// The density with the eigenvalues below it; of Lanczos quadrature `steps` for each probe, none where all are known.
fn picture(
    subject: &Subject,
    probes: usize,
    steps: usize,
    curve: &DensityCurve,
    spectrum: Spectrum,
) -> Result<Figure, FigureError> {
    let size = subject.theta().len();
    let of_one = 1.0 / (size as f64 * curve.width * (2.0 * std::f64::consts::PI).sqrt());
    let (how, below) = match steps {
        0 => ("The density of every eigenvalue".to_owned(), "each one"),
        _ => (
            format!("Lanczos quadrature, {probes} probes of {steps} steps"),
            "the outermost eigenvalues",
        ),
    };
    density(&[Density {
        spectrum,
        count: size,
        values: curve.values.clone(),
        density: curve.density.clone(),
        floor: 0.1 * of_one,
        note: format!(
            "{}, {}. {how}, spread by {}; below it {below}.",
            subject.place(),
            subject.of_samples(),
            short(curve.width),
        ),
    }])
}

/// Writes the tables, then the picture; gives the files and what could not be drawn.
fn save(
    out: &Path,
    found: &Eigenvalues,
    curve: &DensityCurve,
    figure: Result<Figure, FigureError>,
) -> Result<(Vec<PathBuf>, Vec<String>), LabError> {
    let mut table = "eigenvalue,residual\n".to_owned();
    for (i, eigenvalue) in found.all.iter().enumerate() {
        let residual = found.residuals.as_ref().map(|residuals| residuals[i]);
        let residual = residual.map_or_else(String::new, |it| it.to_string());
        let _ = writeln!(table, "{eigenvalue},{residual}");
    }
    let mut density = "eigenvalue,density\n".to_owned();
    for (eigenvalue, density_there) in curve.values.iter().zip(&curve.density) {
        let _ = writeln!(density, "{eigenvalue},{density_there}");
    }
    let (mut written, mut notes) = (Vec::new(), Vec::new());
    for (name, bytes) in [
        ("spectrum_eigenvalues.csv", table.as_bytes()),
        ("spectrum_density.csv", density.as_bytes()),
    ] {
        let path = out.join(name);
        files::write(&path, bytes)?;
        written.push(path);
    }
    written.extend(pictures::write(
        out,
        "spectrum_density",
        figure,
        &mut notes,
    )?);
    Ok((written, notes))
}

/// An operator whose products are counted, told to an observer and stopped by it.
struct Watched<'a, A> {
    operator: A,
    observe: &'a mut dyn FnMut(SpectrumProgress) -> ControlFlow<()>,
    what: &'static str,
    done: usize,
    total: usize,
}

impl<'a, A> Watched<'a, A> {
    fn new(
        operator: A,
        (what, total): (&'static str, usize),
        observe: &'a mut dyn FnMut(SpectrumProgress) -> ControlFlow<()>,
    ) -> Self {
        Self {
            operator,
            observe,
            what,
            done: 0,
            total,
        }
    }

    fn begin(&mut self, (what, total): (&'static str, usize)) {
        (self.what, self.done, self.total) = (what, 0, total);
    }
}

impl<A: SymmetricOperator> SymmetricOperator for Watched<'_, A> {
    fn size(&self) -> usize {
        self.operator.size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        self.operator.apply(v, product)?;
        self.done += 1;
        let progress = SpectrumProgress {
            what: self.what,
            done: self.done,
            total: self.total.max(self.done),
        };
        match (self.observe)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(SharpnessError::Stopped {
                done: progress.done,
                total: progress.total,
            }),
        }
    }

    fn accuracy(&self) -> f64 {
        self.operator.accuracy()
    }
}
