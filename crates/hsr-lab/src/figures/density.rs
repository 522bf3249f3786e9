//! The density of a loss Hessian's eigenvalues as a curve, with the eigenvalues that are known marked below it.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::number;
use super::palette::{self, INK, MUTED};
use super::panel::{Panel, title_distance};
use super::range::{drawable, extent};
use super::spectrum::{LEFT, MARKS, NAME, PLOT, RUG, Spectrum, Strip, WIDTH, named};

/// The density of the eigenvalues of one loss Hessian.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    /// The network's name, the eigenvalues that are known, all or those at the ends, and λ_sup.
    pub spectrum: Spectrum,
    /// The number of all eigenvalues.
    pub count: usize,
    /// Where the density is given, ascending.
    pub values: Vec<f64>,
    /// The density there. What is not finite is left out.
    pub density: Vec<f64>,
    /// What is lower is drawn at the bottom: the density of a part of one eigenvalue.
    pub floor: f64,
    /// How the density was found, in a line.
    pub note: String,
}

/// Where the first strip starts.
const FIRST: f64 = 68.0;
const CURVE: f64 = 190.0;
const STRIP: f64 = NAME + MARKS + CURVE + RUG + 20.0;
const TITLE: Type = Type::bold(17.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);

/// The most decades of density that are drawn.
const DECADES: f64 = 9.0;

/// Draws densities as strips above each other that share both axes: the density on a logarithmic axis, for most eigenvalues
/// of a loss Hessian are next to 0 and the few that matter would not be seen; below it a tick for each eigenvalue that is
/// known, and lines at the outermost of them and at λ_sup, with their values. A λ_sup that is far beyond the spectrum is
/// written and not drawn.
///
/// # Errors
/// [`FigureError::Empty`] without a series, [`FigureError::Length`] where values and densities differ in number,
/// [`FigureError::NoFiniteValue`] where a series has no eigenvalue or no density above 0.
pub fn density(series: &[Density]) -> Result<Figure, FigureError> {
    let Some(first) = series.first() else {
        return Err(FigureError::Empty("density"));
    };
    let curves = series
        .iter()
        .map(Curve::new)
        .collect::<Result<Vec<_>, _>>()?;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let ends = curves.iter().flat_map(|curve| curve.strip.ends());
    // A λ_sup that is far is no longer among them.
    let x = extent(points().map(|p| p.0).chain(ends)).unwrap_or((0.0, 1.0));
    let x = Axis::linear(x, 9);
    let highest = points().map(|p| p.1).fold(f64::MIN_POSITIVE, f64::max);
    let floor = curves.iter().map(|curve| curve.floor);
    let floor = floor.fold(highest, f64::min);
    let floor = floor.max(highest * 10_f64.powf(-DECADES));
    let y = (floor.log10(), highest.log10() + 0.15);
    // Never less than what is labelled with powers of ten alone, whose labels are short.
    let y = Axis::log_exact((y.0.min(y.1 - 2.7), y.1), 6);
    let distance = title_distance(&y).max(46.0);
    let colors = palette::series(series.iter().map(|s| s.spectrum.label.as_str()));
    let height = FIRST + STRIP * curves.len() as f64 + 34.0;
    Canvas::figure(WIDTH, height, |canvas| {
        canvas.text(
            "Density of the eigenvalues of the loss Hessian",
            (LEFT, 12.0),
            (HPos::Left, VPos::Top),
            TITLE,
        )?;
        let note = NOTE.fitted(&first.note, PLOT);
        canvas.text(&note, (LEFT, 38.0), (HPos::Left, VPos::Top), NOTE)?;
        for (i, (curve, color)) in curves.iter().zip(&colors).enumerate() {
            let top = FIRST + STRIP * i as f64 + NAME + MARKS;
            let panel = |height| Panel {
                left: LEFT,
                top,
                width: PLOT,
                height,
                x: x.clone(),
                y: y.clone(),
            };
            let (plot, frame) = (panel(CURVE), panel(CURVE + RUG));
            named(canvas, top - MARKS - NAME, *color, curve.label, &curve.note)?;
            let last = i + 1 == curves.len();
            let title = last.then_some("eigenvalue λ");
            frame.strip(canvas, &plot, title, ("density (log)", distance))?;
            curve.draw(canvas, &plot, *color)?;
            curve.strip.rug(canvas, &frame, *color)?;
            curve.strip.marks(canvas, &frame, *color)?;
        }
        Ok(())
    })
}

/// A density made ready.
struct Curve<'a> {
    label: &'a str,
    /// What is said beside the label.
    note: String,
    strip: Strip<'a>,
    points: Vec<(f64, f64)>,
    floor: f64,
}

/// A λ_sup is drawn up to this many lengths of the spectrum from its lower end.
const FAR: f64 = 3.0;

impl<'a> Curve<'a> {
    fn new(density: &'a Density) -> Result<Self, FigureError> {
        let label = &density.spectrum.label;
        let (found, expected) = (density.density.len(), density.values.len());
        if found != expected {
            return Err(FigureError::Length {
                label: label.clone(),
                what: "densities",
                found,
                expected,
            });
        }
        let both = density.values.iter().zip(&density.density);
        let points: Vec<(f64, f64)> = both
            .map(|(v, d)| (*v, *d))
            .filter(|(v, d)| drawable(*v) && drawable(*d) && *d >= 0.0)
            .collect();
        if points.len() < 2 || points.iter().all(|(_, d)| *d == 0.0) {
            return Err(FigureError::NoFiniteValue {
                label: label.clone(),
                what: "densities",
            });
        }
        let mut strip = Strip::new(&density.spectrum)?;
        let (low, high) = strip.range();
        let length = high - low;
        let mut note = format!("{} eigenvalues", number::count(density.count));
        if density.spectrum.eigenvalues.len() < density.count {
            note += &format!(
                ", the outermost {} marked",
                number::count(density.spectrum.eigenvalues.len())
            );
        }
        note += &format!(", spread {}", number::value(length));
        if let Some(sup) = strip.without_sup_beyond(low + FAR * length) {
            note += &format!("; λ_sup = {} is far to the right", number::value(sup));
        }
        Ok(Self {
            label,
            note,
            strip,
            points,
            floor: if density.floor > 0.0 {
                density.floor
            } else {
                f64::MIN_POSITIVE
            },
        })
    }

    fn draw(&self, canvas: &Canvas<'_>, plot: &Panel, color: RGBColor) -> Result<(), FigureError> {
        let at = |(v, d): &(f64, f64)| (plot.x_of(*v), plot.y_of(*d));
        let curve: Vec<(f64, f64)> = self.points.iter().map(at).collect();
        let (first, last) = (curve[0].0, curve[curve.len() - 1].0);
        let outline = [(last, plot.bottom()), (first, plot.bottom())];
        let area = curve.iter().copied().chain(outline);
        canvas.polygon(area, palette::tint(color, 0.22), 1.0)?;
        canvas.line(curve, color, 1.6)
    }
}
