//! The eigenvalue spectra of loss Hessians, above each other on one axis: the narrower one is seen to be narrower.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::number;
use super::palette::{self, AXIS, INK, MUTED};
use super::panel::Panel;
use super::range::{drawable, extent};

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

pub(super) const WIDTH: f64 = 900.0;
pub(super) const LEFT: f64 = 66.0;
pub(super) const PLOT: f64 = WIDTH - LEFT - 26.0;
/// Where the first strip starts.
const FIRST: f64 = 68.0;
/// The height of a strip's name, and of the marked values below it.
pub(super) const NAME: f64 = 25.0;
pub(super) const MARKS: f64 = 32.0;
/// The height of the bars, and of the ticks below them, one an eigenvalue.
const BARS: f64 = 92.0;
pub(super) const RUG: f64 = 14.0;
const STRIP: f64 = NAME + MARKS + BARS + RUG + 20.0;

const TITLE: Type = Type::bold(17.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);
const LABEL: Type = Type::bold(14.0, INK);
const MARK: Type = Type::regular(12.0, INK);

/// Beyond this ratio of the widest spectrum to the narrowest, the narrowest would be a mere line on a linear axis.
const LINEAR_RATIO: f64 = 30.0;

/// Draws spectra as strips above each other that share an axis.
///
/// Each strip shows how many eigenvalues are where (bars, their count on a logarithmic axis), every single one (translucent
/// ticks), the range from λ_min to λ_max (tinted), and λ_sup (dashed), with the values written. Where the widest spectrum
/// is more than 30 times as wide as the narrowest, the axis is linear around zero and logarithmic beyond, and says so.
///
/// # Errors
/// [`FigureError::Empty`] without a series, [`FigureError::NoFiniteValue`] where a series has no finite eigenvalue.
pub fn spectrum(series: &[Spectrum]) -> Result<Figure, FigureError> {
    if series.is_empty() {
        return Err(FigureError::Empty("spectrum"));
    }
    let strips = series
        .iter()
        .map(Strip::new)
        .collect::<Result<Vec<_>, _>>()?;
    let (axis, axis_title) = shared_axis(&strips);
    let colors = palette::series(series.iter().map(|s| s.label.as_str()));
    let bins: Vec<_> = strips.iter().map(|strip| strip.bins(&axis)).collect();
    let highest = bins.iter().flatten().copied().max().unwrap_or(1).max(2);
    // A bar of one eigenvalue starts below one, so that it is seen.
    let counts = Axis::log_exact((0.6_f64.log10(), (1.3 * highest as f64).log10()), 4);

    let height = FIRST + STRIP * strips.len() as f64 + 34.0;
    Canvas::figure(WIDTH, height, |canvas| {
        canvas.text(
            "Eigenvalues of the loss Hessian",
            (LEFT, 12.0),
            (HPos::Left, VPos::Top),
            TITLE,
        )?;
        let note = "Bars count eigenvalues on a logarithmic axis, ticks below mark each one, the tint spans λ_min to λ_max.";
        canvas.text(note, (LEFT, 38.0), (HPos::Left, VPos::Top), NOTE)?;
        for (i, strip) in strips.iter().enumerate() {
            let top = FIRST + STRIP * i as f64 + NAME + MARKS;
            let panel = |height| Panel {
                left: LEFT,
                top,
                width: PLOT,
                height,
                x: axis.clone(),
                y: counts.clone(),
            };
            let (bars, frame) = (panel(BARS), panel(BARS + RUG));
            strip.name(
                canvas,
                top - MARKS - NAME,
                colors[i],
                strips.first().filter(|_| i > 0),
            )?;
            strip.tint(canvas, &frame, colors[i])?;
            let last = i + 1 == strips.len();
            frame.strip(canvas, &bars, last.then_some(axis_title), ("count", 46.0))?;
            strip.plot(canvas, &bars, &bins[i], colors[i])?;
            strip.rug(canvas, &frame, colors[i])?;
            strip.marks(canvas, &frame, colors[i])?;
        }
        Ok(())
    })
}

/// A label with its colour before it, and in what is left of the line a note.
pub(super) fn named(
    canvas: &Canvas<'_>,
    top: f64,
    color: RGBColor,
    label: &str,
    note: &str,
) -> Result<(), FigureError> {
    let label = LABEL.fitted(label, 0.5 * PLOT);
    canvas.fill((LEFT, top + 2.0), (LEFT + 12.0, top + 14.0), color, 1.0)?;
    let at = (LEFT + 19.0, top + 8.0);
    canvas.text(&label, at, (HPos::Left, VPos::Center), LABEL)?;
    let at = (at.0 + LABEL.width(&label) + 12.0, at.1);
    canvas.text(note, at, (HPos::Left, VPos::Center), NOTE)
}

/// A spectrum made ready.
pub(super) struct Strip<'a> {
    label: &'a str,
    /// The eigenvalues that can be drawn, ascending.
    values: Vec<f64>,
    left_out: usize,
    min: f64,
    max: f64,
    sup: Option<f64>,
}

impl<'a> Strip<'a> {
    pub fn new(spectrum: &'a Spectrum) -> Result<Self, FigureError> {
        let mut values: Vec<f64> = spectrum
            .eigenvalues
            .iter()
            .copied()
            .filter(|v| drawable(*v))
            .collect();
        values.sort_by(f64::total_cmp);
        let Some((min, max)) = extent(values.iter().copied()) else {
            return Err(FigureError::NoFiniteValue {
                label: spectrum.label.clone(),
                what: "eigenvalues",
            });
        };
        let left_out = spectrum.eigenvalues.len() - values.len();
        let sup = Some(spectrum.lambda_sup).filter(|v| drawable(*v));
        Ok(Self {
            label: &spectrum.label,
            values,
            left_out,
            min,
            max,
            sup,
        })
    }

    /// The ends of the spectrum and λ_sup, where it is known.
    pub fn ends(&self) -> impl Iterator<Item = f64> + use<> {
        [Some(self.min), Some(self.max), self.sup]
            .into_iter()
            .flatten()
    }

    /// λ_min and λ_max.
    pub fn range(&self) -> (f64, f64) {
        (self.min, self.max)
    }

    /// Leaves out a λ_sup beyond a limit, and gives it.
    pub fn without_sup_beyond(&mut self, limit: f64) -> Option<f64> {
        self.sup.take_if(|sup| *sup > limit)
    }

    /// The largest magnitude of an eigenvalue.
    fn magnitude(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }

    /// How many eigenvalues are in each of the equal parts of the axis.
    fn bins(&self, axis: &Axis) -> Vec<usize> {
        let mut bins = vec![0; (PLOT / 6.0) as usize];
        for v in &self.values {
            let place = ((axis.of(*v) * bins.len() as f64) as usize).min(bins.len() - 1);
            bins[place] += 1;
        }
        bins
    }

    /// The strip's name and what its spectrum is, also beside a first one.
    fn name(
        &self,
        canvas: &Canvas<'_>,
        top: f64,
        color: RGBColor,
        first: Option<&Self>,
    ) -> Result<(), FigureError> {
        let plural = if self.values.len() == 1 { "" } else { "s" };
        let mut note = format!("{} eigenvalue{plural}", number::count(self.values.len()));
        if self.left_out > 0 {
            note += &format!(" ({} not finite, left out)", number::count(self.left_out));
        }
        note += &format!(", spread {}", number::value(self.max - self.min));
        if let Some(first) = first {
            note += &self.beside(first);
        }
        named(canvas, top, color, self.label, &note)
    }

    /// How the spread compares with that of another spectrum; nothing where it hardly differs.
    fn beside(&self, first: &Self) -> String {
        let (own, other) = (self.max - self.min, first.max - first.min);
        let name = NOTE.fitted(first.label, 0.2 * PLOT);
        let ratio = |r: f64| {
            number::value(if r < 9.95 {
                (10.0 * r).round() / 10.0
            } else {
                r.round()
            })
        };
        match (other / own, own / other) {
            (r, _) if r.is_finite() && r >= 1.05 => {
                format!(": {} times narrower than {name}", ratio(r))
            }
            (_, r) if r.is_finite() && r >= 1.05 => {
                format!(": {} times wider than {name}", ratio(r))
            }
            _ => String::new(),
        }
    }

    /// The range of the eigenvalues.
    fn tint(&self, canvas: &Canvas<'_>, frame: &Panel, color: RGBColor) -> Result<(), FigureError> {
        let (from, to) = (frame.x_of(self.min) - 0.5, frame.x_of(self.max) + 0.5);
        let tint = palette::tint(color, 0.13);
        canvas.fill((from, frame.top), (to, frame.bottom()), tint, 1.0)
    }

    fn plot(
        &self,
        canvas: &Canvas<'_>,
        bars: &Panel,
        bins: &[usize],
        color: RGBColor,
    ) -> Result<(), FigureError> {
        let width = PLOT / bins.len() as f64;
        for (i, n) in bins.iter().enumerate().filter(|(_, n)| **n > 0) {
            let left = LEFT + i as f64 * width;
            canvas.fill(
                (left + 0.4, bars.y_of(*n as f64)),
                (left + width - 0.4, bars.bottom()),
                color,
                1.0,
            )?;
        }
        Ok(())
    }

    /// A translucent tick for each eigenvalue. Those within a pixel are drawn as the one tick that they add up to: thousands
    /// of eigenvalues make no larger a file than hundreds.
    pub fn rug(
        &self,
        canvas: &Canvas<'_>,
        frame: &Panel,
        color: RGBColor,
    ) -> Result<(), FigureError> {
        const OPACITY: f64 = 0.3;
        let mut columns = vec![0; PLOT as usize + 1];
        for v in &self.values {
            columns[(frame.x.of(*v) * PLOT).round() as usize] += 1;
        }
        for (x, n) in columns.into_iter().enumerate().filter(|(_, n)| *n > 0) {
            let x = LEFT + x as f64;
            let alpha = 1.0 - (1.0 - OPACITY).powi(n);
            canvas.fill(
                (x - 0.6, frame.bottom() - RUG + 3.0),
                (x + 0.6, frame.bottom() - 2.0),
                color,
                alpha,
            )?;
        }
        Ok(())
    }

    /// The ends of the spectrum and λ_sup: lines through the strip, their values above it.
    pub fn marks(
        &self,
        canvas: &Canvas<'_>,
        frame: &Panel,
        color: RGBColor,
    ) -> Result<(), FigureError> {
        let (from, to) = (frame.x_of(self.min), frame.x_of(self.max));
        canvas.line([(from, frame.top), (from, frame.bottom())], color, 1.2)?;
        canvas.line([(to, frame.top), (to, frame.bottom())], color, 1.2)?;
        let mut marks = if self.min == self.max {
            vec![(from, format!("λ_min = λ_max = {}", number::value(self.min)))]
        } else {
            let (min, max) = (number::value(self.min), number::value(self.max));
            vec![
                (from, format!("λ_min = {min}")),
                (to, format!("λ_max = {max}")),
            ]
        };
        if let Some(sup) = self.sup {
            let x = frame.x_of(sup);
            canvas.dashed([(x, frame.top), (x, frame.bottom())], INK, 1.5)?;
            marks.push((x, format!("λ_sup = {}", number::value(sup))));
        }
        // Stable: λ_max stays before a λ_sup that equals it.
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wishes: Vec<_> = marks
            .iter()
            .map(|(x, text)| (*x, MARK.width(text) + 16.0))
            .collect();
        let places = apart(&wishes, (LEFT - 40.0, WIDTH - 4.0));
        for ((x, text), place) in marks.iter().zip(places) {
            let base = frame.top - MARKS + 18.0;
            canvas.text(
                text,
                (place, base - 9.0),
                (HPos::Center, VPos::Center),
                MARK,
            )?;
            canvas.line(
                [(place, base), (place, base + 3.0), (*x, frame.top - 1.0)],
                AXIS,
                0.9,
            )?;
        }
        Ok(())
    }
}

/// One axis for all strips, and its title.
fn shared_axis(strips: &[Strip<'_>]) -> (Axis, &'static str) {
    let ends = strips.iter().flat_map(Strip::ends);
    // There is a strip, and it has a value.
    let (low, high) = extent(ends).unwrap_or((0.0, 0.0));
    let widest = low.abs().max(high.abs());
    let narrowest = strips
        .iter()
        .map(Strip::magnitude)
        .filter(|m| *m > 0.0)
        .fold(widest, f64::min);
    if widest <= LINEAR_RATIO * narrowest {
        (Axis::linear((low, high), 9), "eigenvalue λ")
    } else {
        // Not more decades than can be told apart, where the narrowest spectrum is next to nothing.
        let threshold = (narrowest / 3.0).max(widest * 1e-9);
        (
            Axis::symmetric_log((low, high), threshold, PLOT),
            "eigenvalue λ (linear around 0, logarithmic beyond)",
        )
    }
}

/// Centres for labels, each `(wished centre, width)` and ascending, as near to their wishes as they can be without touching
/// each other (least squares: neighbours that touch are pooled around their mean) within two bounds.
fn apart(wishes: &[(f64, f64)], bounds: (f64, f64)) -> Vec<f64> {
    // In coordinates from which the widths before are taken off, labels that do not touch ascend.
    let mut before = 0.0;
    let mut offsets = Vec::new();
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (centre, width) in wishes {
        let offset = before + width / 2.0;
        before += width;
        offsets.push(offset);
        let mut pool = (centre - offset, 1);
        while let Some((mean, n)) = pools.pop_if(|(mean, _)| *mean > pool.0) {
            pool = (
                (mean * n as f64 + pool.0 * pool.1 as f64) / (n + pool.1) as f64,
                n + pool.1,
            );
        }
        pools.push(pool);
    }
    let (low, high) = (bounds.0, (bounds.1 - before).max(bounds.0));
    let starts = pools
        .into_iter()
        .flat_map(|(mean, n)| std::iter::repeat_n(mean.clamp(low, high), n));
    starts
        .zip(offsets)
        .map(|(start, offset)| start + offset)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_apart() {
        assert_eq!(
            apart(&[(100.0, 20.0), (200.0, 20.0)], (0.0, 300.0)),
            [100.0, 200.0]
        );
        assert_eq!(
            apart(&[(100.0, 20.0), (100.0, 20.0)], (0.0, 300.0)),
            [90.0, 110.0]
        );
        assert_eq!(
            apart(&[(0.0, 20.0), (0.0, 20.0), (300.0, 30.0)], (0.0, 300.0)),
            [10.0, 30.0, 285.0]
        );
    }
}
