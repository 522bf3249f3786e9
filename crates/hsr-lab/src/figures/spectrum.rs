//! The eigenvalue spectra of loss Hessians, above each other on one axis: the narrower one is seen to be narrower.

use super::axis::{drawable, extent};
use super::chart::{Chart, PLOT_TITLE, Plot, WIDTH, draw};
use super::error::FigureError;
use super::figure::Figure;
use super::number;
use super::series::{Mark, Series};

/// The eigenvalues of one loss Hessian.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// The name of the network or method, such as "plain" or "HSR".
    pub label: String,
    /// All eigenvalues, in any order. Values that are not finite are left out and counted.
    pub eigenvalues: Vec<f64>,
    /// The Wolkowicz-Styan upper bound on the largest one; not marked where it is not finite.
    pub lambda_sup: f64,
}

/// Beyond this ratio of the widest spectrum to the narrowest, the narrowest would be a mere line on the axis of the widest.
const SHARED_RATIO: f64 = 30.0;
/// The parts of the axis in which eigenvalues are counted.
const BINS: usize = 120;

/// Draws spectra as strips above each other that share an axis.
///
/// Each strip shows how many eigenvalues are where (bars, their count on a logarithmic axis), every single one (dots), the
/// range from λ_min to λ_max (tinted), and λ_sup (dashed), with the values in its title. Where the widest spectrum is more
/// than 30 times as wide as the narrowest, each has an axis of its own, and the picture says so.
///
/// # Errors
/// [`FigureError::Empty`] without a series, [`FigureError::NoFiniteValue`] where a series has no finite eigenvalue.
pub fn spectrum(series: &[Spectrum]) -> Result<Figure, FigureError> {
    if series.is_empty() {
        return Err(FigureError::Empty("spectrum"));
    }
    let strips: Vec<Strip<'_>> = series.iter().map(Strip::new).collect::<Result<_, _>>()?;
    let magnitude = |(low, high): (f64, f64)| low.abs().max(high.abs());
    let range = extent(strips.iter().flat_map(Strip::ends)).unwrap_or((0.0, 0.0));
    let narrowest = strips.iter().map(|strip| magnitude((strip.min, strip.max)));
    let narrowest = narrowest.filter(|m| *m > 0.0).fold(f64::INFINITY, f64::min);
    let is_shared = magnitude(range) <= SHARED_RATIO * narrowest;
    let plots = strips.iter().enumerate().map(|(i, strip)| {
        let own = extent(strip.ends()).filter(|_| !is_shared);
        let (low, high) = own.unwrap_or(range);
        let bars = strip.bars(low, high);
        // A single eigenvalue is above the bottom, so that it is seen.
        let highest = bars.points.iter().map(|p| p[1]).fold(2.0, f64::max);
        Plot {
            title: strip.title() + &strip.compared(&strips[0]),
            x: match is_shared {
                true if i + 1 < strips.len() => String::new(),
                true => "eigenvalue λ".to_owned(),
                false => "eigenvalue λ, each spectrum on an axis of its own".to_owned(),
            },
            y: "count".to_owned(),
            ..strip.plot(bars, (low, high), (0.5, 1.3 * highest))
        }
    });
    let chart = Chart {
        title: "Eigenvalues of the loss Hessian".to_owned(),
        note: "Bars count eigenvalues on a logarithmic axis, dots below mark each one, the tint spans λ_min to λ_max, \
               λ_sup is dashed."
            .to_owned(),
        columns: 1,
        plots: plots.collect(),
    };
    draw(&chart, (WIDTH, 190.0), Vec::new(), |_, _, _| Ok(()))
}

/// Labels in titles have so many pixels.
const LABEL: f64 = 0.25 * WIDTH;

/// A spectrum made ready.
pub struct Strip<'a> {
    pub label: &'a str,
    /// The eigenvalues that can be drawn, ascending.
    values: Vec<f64>,
    left_out: usize,
    pub min: f64,
    pub max: f64,
    pub sup: Option<f64>,
}

impl<'a> Strip<'a> {
    pub fn new(spectrum: &'a Spectrum) -> Result<Self, FigureError> {
        let mut values = spectrum.eigenvalues.clone();
        values.retain(|v| drawable(*v));
        values.sort_by(f64::total_cmp);
        let label = &spectrum.label;
        let Some((min, max)) = extent(values.iter().copied()) else {
            return Err(FigureError::NoFiniteValue(label.clone(), "eigenvalues"));
        };
        Ok(Self {
            label,
            left_out: spectrum.eigenvalues.len() - values.len(),
            values,
            min,
            max,
            sup: Some(spectrum.lambda_sup).filter(|v| drawable(*v)),
        })
    }

    /// What the axis has to reach.
    pub fn ends(&self) -> impl Iterator<Item = f64> {
        [self.min, self.max].into_iter().chain(self.sup)
    }

    /// The name and what is in the strip, in words.
    fn title(&self) -> String {
        let mut title = format!("{} eigenvalues", self.values.len());
        if self.left_out > 0 {
            title += &format!(" ({} not finite, left out)", self.left_out);
        }
        self.described(&title)
    }

    /// A title with the name, what is said of the count, and the ends.
    pub fn described(&self, count: &str) -> String {
        let label = PLOT_TITLE.fitted(self.label, LABEL);
        let [min, max] = [self.min, self.max].map(number::value);
        let ends = format!("{label}: {count}, λ_min = {min}, λ_max = {max}");
        match self.sup {
            Some(sup) => format!("{ends}, λ_sup = {}", number::value(sup)),
            None => ends,
        }
    }

    /// How the spread compares with that of another spectrum; nothing where it hardly differs.
    fn compared(&self, first: &Self) -> String {
        let (own, other) = (self.max - self.min, first.max - first.min);
        let (ratio, word) = match other / own {
            ratio if ratio < 1.0 => (own / other, "wider"),
            ratio => (ratio, "narrower"),
        };
        let name = PLOT_TITLE.fitted(first.label, 0.5 * LABEL);
        match number::value((10.0 * ratio).round() / 10.0) {
            _ if !(ratio.is_finite() && ratio >= 1.05) => String::new(),
            ratio => format!("; {ratio} times {word} than {name}"),
        }
    }

    /// How many eigenvalues are in each of equal parts of a range, where there are any.
    fn bars(&self, low: f64, high: f64) -> Series {
        let width = (high - low) / BINS as f64;
        let mut counts = [0_u32; BINS];
        for v in &self.values {
            counts[(((v - low) / width) as usize).min(BINS - 1)] += 1;
        }
        let bins = counts.iter().enumerate().filter(|(_, n)| **n > 0);
        let bars = bins.map(|(i, n)| [low + (i as f64 + 0.5) * width, f64::from(*n)]);
        Series::new(self.label, Mark::Bars(width), bars.collect())
    }

    /// The panel: the tinted range with lines at its ends, what is given, and above it the eigenvalues and λ_sup.
    pub fn plot(&self, given: Series, along: (f64, f64), (low, high): (f64, f64)) -> Plot {
        let upright = |label: &str, mark, x| Series::new(label, mark, vec![[x, low], [x, high]]);
        let mut min = upright(self.label, Mark::Line, self.min);
        min.band = vec![[self.min, low, high], [self.max, low, high]];
        // Thousands of eigenvalues make no larger a file than hundreds.
        let mut places = self.values.clone();
        places.dedup_by(|v, before| *v - *before < (self.max - self.min) / 500.0);
        let dots = places.into_iter().map(|v| [v, low]).collect();
        let max = upright(self.label, Mark::Line, self.max);
        let mut series = vec![min, max, given, Series::new("", Mark::Dots, dots)];
        series.extend(self.sup.map(|sup| upright("", Mark::Dashed, sup)));
        Plot {
            y_log: true,
            reach: vec![[along.0, low], [along.1, high]],
            series,
            ..Plot::default()
        }
    }
}
