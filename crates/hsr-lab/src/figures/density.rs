//! The density of a loss Hessian's eigenvalues as a curve, with the eigenvalues that are known marked below it.

use super::axis::{drawable, extent};
use super::chart::{Chart, Plot, WIDTH, draw};
use super::error::FigureError;
use super::figure::Figure;
use super::series::{Mark, Series};
use super::spectrum::{Spectrum, Strip};

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

/// A λ_sup is drawn up to this many lengths of the spectrum from its lower end.
const FAR: f64 = 3.0;

/// Draws densities as strips above each other that share both axes: the density on a logarithmic axis, for most eigenvalues
/// of a loss Hessian are next to 0 and the few that matter would not be seen; below it a dot for each eigenvalue that is
/// known, and lines at the outermost of them and at λ_sup, with their values in the title. A λ_sup that is far beyond the
/// spectrum is written and not drawn.
///
/// # Errors
/// [`FigureError::Empty`] without a series, [`FigureError::Length`] where values and densities differ in number,
/// [`FigureError::NoFiniteValue`] where a series has no eigenvalue or no density above 0.
pub fn density(series: &[Density]) -> Result<Figure, FigureError> {
    let Some(first) = series.first() else {
        return Err(FigureError::Empty("density"));
    };
    let curves = series.iter().map(Density::curve);
    let curves: Vec<_> = curves.collect::<Result<_, _>>()?;
    let points = || curves.iter().flat_map(|(_, _, points)| points);
    // A λ_sup that is far is no longer among the ends.
    let ends = curves.iter().flat_map(|(strip, ..)| strip.ends());
    let (left, right) = extent(points().map(|p| p[0]).chain(ends)).unwrap_or((0.0, 1.0));
    let highest = points().map(|p| p[1]).fold(f64::MIN_POSITIVE, f64::max);
    let floors = series.iter().map(|it| it.floor).filter(|it| *it > 0.0);
    // Two decades at least, so that there are powers of ten to label, and not more than can be told apart.
    let floor = floors.fold(highest / 300.0, f64::min).max(1e-9 * highest);

    let plots = curves.iter().enumerate().map(|(i, (strip, title, curve))| {
        let points = curve.iter().map(|[v, d]| [*v, d.max(floor)]);
        let curve = Series::new(strip.label, Mark::Area, points.collect());
        Plot {
            title: title.clone(),
            x: match i + 1 == curves.len() {
                true => "eigenvalue λ".to_owned(),
                false => String::new(),
            },
            y: "density (log)".to_owned(),
            ..strip.plot(curve, (left, right), (floor, 1.5 * highest))
        }
    });
    let chart = Chart {
        title: "Density of the eigenvalues of the loss Hessian".to_owned(),
        note: first.note.clone(),
        columns: 1,
        plots: plots.collect(),
    };
    draw(&chart, (WIDTH, 270.0), Vec::new(), |_, _, _| Ok(()))
}

impl Density {
    /// The spectrum made ready, its title, and the curve.
    fn curve(&self) -> Result<(Strip<'_>, String, Vec<[f64; 2]>), FigureError> {
        let label = &self.spectrum.label;
        FigureError::unless_equal(label, "densities", self.density.len(), self.values.len())?;
        let both = self.values.iter().zip(&self.density).map(|(v, d)| [*v, *d]);
        let points = both.filter(|[v, d]| drawable(*v) && drawable(*d) && *d >= 0.0);
        let points: Vec<[f64; 2]> = points.collect();
        if points.len() < 2 || points.iter().all(|p| p[1] == 0.0) {
            return Err(FigureError::NoFiniteValue(label.clone(), "densities"));
        }
        let mut strip = Strip::new(&self.spectrum)?;
        let mut count = format!("{} eigenvalues", self.count);
        let known = self.spectrum.eigenvalues.len();
        if known < self.count {
            count += &format!(", the outermost {known} marked");
        }
        let mut title = strip.described(&count);
        let far = strip.min + FAR * (strip.max - strip.min);
        if strip.sup.take_if(|sup| *sup > far).is_some() {
            title += ", far to the right";
        }
        Ok((strip, title, points))
    }
}
