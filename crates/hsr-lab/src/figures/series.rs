//! Points that belong together, and how they are drawn.

use plotters::style::{RGBColor, WHITE};

use super::canvas::Canvas;
use super::error::FigureError;
use super::panel::Panel;

/// Points that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name in the legend; equal names have one colour, in every panel. What has no name is drawn in ink.
    pub label: String,
    /// How the points are drawn.
    pub mark: Mark,
    /// The points. What is not finite is left out.
    pub points: Vec<[f64; 2]>,
    /// A band around the points: x, lower and upper end.
    pub band: Vec<[f64; 3]>,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// A line through them.
    Line,
    /// A dashed line through them.
    Dashed,
    /// A line, and a disc at each.
    Marked,
    /// Translucent discs.
    Dots,
    /// Rings, seen on whatever they lie on.
    Ring,
    /// Discs with a white rim.
    Point,
    /// Bars of this width from the bottom, centred.
    Bars(f64),
}

impl Series {
    /// Points with a name, without a band.
    pub fn new(label: impl Into<String>, mark: Mark, points: Vec<[f64; 2]>) -> Self {
        Self {
            label: label.into(),
            mark,
            points,
            band: Vec::new(),
        }
    }
}

impl Series {
    /// Where its points and the ends of its band and bars are.
    pub(super) fn reach(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        let band = self.band.iter();
        let band = band.flat_map(|[x, low, high]| [[*x, *low], [*x, *high]]);
        let half = match self.mark {
            Mark::Bars(width) => Some(0.5 * width),
            _ => None,
        };
        let bars = half.into_iter().flat_map(|half| {
            // Bars stand on zero.
            let ends = move |[x, y]: &[f64; 2]| [[x - half, *y], [x + half, *y], [*x, 0.0]];
            self.points.iter().flat_map(ends)
        });
        self.points.iter().copied().chain(band).chain(bars)
    }

    /// Draws what `shows` lets through.
    pub(super) fn draw(
        &self,
        canvas: &Canvas<'_>,
        panel: &Panel,
        color: RGBColor,
        shows: impl Fn([f64; 2]) -> bool,
    ) -> Result<(), FigureError> {
        let at = |[x, y]: [f64; 2]| (panel.x_of(x), panel.y_of(y));
        let band = self.band.iter();
        let band: Vec<[f64; 3]> = band
            .filter(|[x, low, high]| shows([*x, *low]) && shows([*x, *high]))
            .copied()
            .collect();
        if band.len() > 1 {
            let upper = band.iter().map(|[x, _, high]| at([*x, *high]));
            let lower = band.iter().rev().map(|[x, low, _]| at([*x, *low]));
            canvas.polygon(upper.chain(lower), color, 0.16)?;
        }
        let points = self.points.iter().copied().filter(|p| shows(*p)).map(at);
        self.mark
            .draw(canvas, panel, &points.collect::<Vec<_>>(), color)
    }
}

impl Mark {
    fn draw(
        self,
        canvas: &Canvas<'_>,
        panel: &Panel,
        points: &[(f64, f64)],
        color: RGBColor,
    ) -> Result<(), FigureError> {
        let (radius, alpha) = match points.len() {
            _ if self != Self::Dots => (3.2, 1.0),
            0..=60 => (3.4, 0.75),
            61..=600 => (2.6, 0.5),
            _ => (2.1, 0.32),
        };
        match self {
            Self::Line | Self::Marked if points.len() > 1 => {
                canvas.line(thinned(points), color, 1.9)?;
            }
            Self::Dashed => canvas.dashed(points.iter().copied(), color, 1.7)?,
            _ => {}
        }
        for &(x, y) in points {
            match self {
                Self::Line if points.len() > 1 => {}
                Self::Dashed => {}
                Self::Ring => canvas.ring((x, y), 7.0, color)?,
                Self::Point => {
                    canvas.disc((x, y), 6.5, WHITE)?;
                    canvas.disc((x, y), 4.8, color)?;
                }
                Self::Line | Self::Marked | Self::Dots => {
                    canvas.dot((x, y), radius, color, alpha)?;
                }
                Self::Bars(width) => {
                    // Linear by nature: a bar's width is a difference of values.
                    let half = 0.5 * (panel.x_of(width) - panel.x_of(0.0)).abs().max(1.5);
                    let corners = ((x - half + 0.3, y), (x + half - 0.3, panel.bottom()));
                    canvas.fill(corners.0, corners.1, color, 0.8)?;
                }
            }
        }
        Ok(())
    }
}

/// The line without the points that do not show: of those within the same pixel column, the first, the lowest, the highest
/// and the last draw the same picture.
fn thinned(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let columns = line.chunk_by(|a, b| a.0.floor() == b.0.floor());
    columns
        .flat_map(|column| {
            let order = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
            let (low, high) = (
                (0..column.len()).min_by(order),
                (0..column.len()).max_by(order),
            );
            let mut kept = vec![0, low.unwrap_or(0), high.unwrap_or(0), column.len() - 1];
            kept.sort_unstable();
            kept.dedup();
            kept.into_iter().map(|i| column[i])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::extent;

    #[test]
    fn thinning_keeps_extremes() {
        let line: Vec<(f64, f64)> = (0..10_000)
            .map(|i| (f64::from(i) / 100.0, f64::from(i * 7919 % 1000)))
            .collect();
        let thin = thinned(&line);
        assert!(thin.len() <= 400);
        assert_eq!(
            extent(thin.iter().map(|p| p.1)),
            extent(line.iter().map(|p| p.1))
        );
        assert!(thin.is_sorted_by_key(|p| p.0));
    }
}
