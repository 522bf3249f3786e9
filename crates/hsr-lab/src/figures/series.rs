//! Points that belong together, and how they are drawn.

use plotters::backend::SVGBackend;
use plotters::chart::ChartContext;
use plotters::coord::cartesian::Cartesian2d;
use plotters::element::{
    Circle, DashedPathElement, DynElement, EmptyElement, IntoDynElement, PathElement, Polygon,
    Rectangle, TriangleMarker,
};
use plotters::series::{AreaSeries, DashedLineSeries, LineSeries};
use plotters::style::{Color, RGBColor, ShapeStyle, TRANSPARENT, WHITE};

use super::axis::{Axis, LARGEST};
use super::error::FigureError;
use super::figure::{px, stroke};

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
    /// A line, and the area below it.
    Area,
    /// Translucent discs.
    Dots,
    /// Discs with a white rim.
    Point,
    /// The same for a class, whose shape tells it even without colours.
    Class(usize),
    /// Bars of this width from the bottom, centred.
    Bars(f64),
}

/// A chart of plotters on a part of a sheet.
pub type Context<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// The most points of a series that are drawn: more hide each other, and a renderer takes only so many.
pub const MOST_POINTS: usize = 2000;

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

    /// Where its points and the ends of its band and bars are.
    pub(super) fn reach(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        let band = self.band.iter();
        let band = band.flat_map(|[x, low, high]| [[*x, *low], [*x, *high]]);
        // Bars stand on zero.
        let bars = self.points.iter().flat_map(|[x, y]| match self.mark {
            Mark::Bars(width) => vec![[x - 0.5 * width, *y], [x + 0.5 * width, 0.0]],
            _ => Vec::new(),
        });
        self.points.iter().copied().chain(band).chain(bars)
    }

    /// Whether not all of its points are drawn.
    pub(super) fn is_thinned(&self) -> bool {
        let apart = matches!(self.mark, Mark::Dots | Mark::Point | Mark::Class(_));
        apart && self.points.len() > MOST_POINTS
    }

    /// Draws what `shows` lets through.
    pub(super) fn draw(
        &self,
        context: &mut Context<'_>,
        color: RGBColor,
        shows: impl Fn([f64; 2]) -> bool,
    ) -> Result<(), FigureError> {
        let mut band = self.band.clone();
        band.retain(|[x, low, high]| shows([*x, *low]) && shows([*x, *high]));
        if band.len() > 1 {
            let upper = band.iter().map(|[x, _, high]| (*x, *high));
            let lower = band.iter().rev().map(|[x, low, _]| (*x, *low));
            let outline: Vec<_> = upper.chain(lower).collect();
            context.draw_series([Polygon::new(outline, color.mix(0.16).filled())])?;
        }
        let points: Vec<[f64; 2]> = self.points.iter().copied().filter(|p| shows(*p)).collect();
        let count = points.len();
        let line = stroke(color, 1.8).filled();
        match self.mark {
            Mark::Line if count > 1 => {
                context.draw_series(LineSeries::new(line_of(&points), line))?;
            }
            Mark::Dashed => {
                let dashes = DashedLineSeries::new(line_of(&points), px(5.5), px(3.5), line);
                context.draw_series(dashes)?;
            }
            Mark::Area => {
                let area = AreaSeries::new(line_of(&points), -LARGEST, color.mix(0.25));
                context.draw_series(area.border_style(stroke(color, 1.4)))?;
            }
            Mark::Line | Mark::Marked => {
                let points = LineSeries::new(line_of(&points), line);
                context.draw_series(points.point_size(px(3.2).unsigned_abs()))?;
            }
            Mark::Bars(width) => {
                let bars = points.iter().map(|[x, y]| {
                    let corners = [(x - 0.47 * width, *y), (x + 0.47 * width, 0.0)];
                    Rectangle::new(corners, color.mix(0.8).filled())
                });
                context.draw_series(bars)?;
            }
            Mark::Dots | Mark::Point | Mark::Class(_) => {
                let step = count.div_ceil(MOST_POINTS).max(1);
                for [x, y] in points.into_iter().step_by(step) {
                    let [below, above] = self.mark.shape(color, count);
                    let element = EmptyElement::at((x, y)) + below + above;
                    context.plotting_area().draw(&element)?;
                }
            }
        }
        Ok(())
    }
}

impl Mark {
    /// How one of `count` points looks, or what stands for a line or a bar in a legend, in units around its place.
    pub(super) fn shape<'a>(self, color: RGBColor, count: usize) -> [Shape<'a>; 2] {
        let circle = |r: f64, style: ShapeStyle| Circle::new((0, 0), px(r), style).into_dyn();
        let blank = || circle(0.0, TRANSPARENT.filled());
        let ends = vec![(-px(12.0), 0), (px(12.0), 0)];
        let line = |width: f64| PathElement::new(ends.clone(), stroke(color, width)).into_dyn();
        match self {
            Self::Line => [line(3.0), blank()],
            Self::Marked => [line(2.2), circle(4.0, color.filled())],
            Self::Dashed => {
                let ends = ends.into_iter();
                let line = DashedPathElement::new(ends, px(5.5), px(3.5), stroke(color, 2.4));
                [line.into_dyn(), blank()]
            }
            Self::Area | Self::Bars(_) => {
                let corners = [(-px(7.0), -px(6.0)), (px(7.0), px(6.0))];
                let bar = Rectangle::new(corners, color.mix(0.8).filled());
                [bar.into_dyn(), blank()]
            }
            Self::Dots => {
                let (radius, alpha) = match count {
                    0..=60 => (3.4, 0.75),
                    61..=600 => (2.6, 0.5),
                    _ => (2.1, 0.32),
                };
                [circle(radius, color.mix(alpha).filled()), blank()]
            }
            Self::Point => [circle(6.5, WHITE.filled()), circle(4.8, color.filled())],
            Self::Class(class) => {
                let radius = if count <= 400 { 3.6 } else { 2.6 };
                [(radius + 1.0, WHITE), (radius, color)].map(|(radius, color)| {
                    // Radii that give the shapes about equal areas.
                    let (style, r) = (color.filled(), px(1.3 * radius));
                    let half = 2 * r / 3;
                    match class % 4 {
                        0 => circle(radius, style),
                        1 => Rectangle::new([(-half, -half), (half, half)], style).into_dyn(),
                        2 => TriangleMarker::new((0, 0), r + r / 8, style).into_dyn(),
                        _ => Polygon::new([(0, -r), (r, 0), (0, r), (-r, 0)], style).into_dyn(),
                    }
                })
            }
        }
    }
}

/// An element of plotters in units around a place.
pub type Shape<'a> = DynElement<'static, SVGBackend<'a>, (i32, i32)>;

/// A line without most of the points that do not show: of many neighbours, the lowest and the highest.
fn line_of(points: &[[f64; 2]]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(MOST_POINTS / 2).max(1);
    let kept = points.chunks(size).flat_map(|near| {
        let order = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
        let ends = [near.iter().min_by(order), near.iter().max_by(order)];
        let mut ends: Vec<_> = ends.into_iter().flatten().map(|[x, y]| (*x, *y)).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        ends
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::extent;

    #[test]
    fn a_long_line_keeps_its_extremes() {
        let line: Vec<[f64; 2]> = (0..10_007)
            .map(|i| [f64::from(i), f64::from(i * 7919 % 1000)])
            .collect();
        let thin = line_of(&line);
        assert!(thin.len() <= MOST_POINTS && thin.is_sorted_by_key(|p| p.0));
        let values = |points: &[(f64, f64)]| extent(points.iter().map(|p| p.1));
        assert_eq!(values(&thin), extent(line.iter().map(|p| p[1])));
        assert_eq!(line_of(&line[..500]).len(), 500);
    }
}
