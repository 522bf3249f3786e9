//! Curves, clouds of points and bars in panels beside and below each other, with one legend.

use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type, wrapped};
use super::error::FigureError;
use super::figure::Figure;
use super::legend::Legend;
use super::palette::{AXIS, INK, MUTED};
use super::panel::{Frame, Panel, title_distance};
use super::range::{drawable, extent};
use super::series::{Mark, Series};

/// Panels with a title and a legend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// What explains the picture, below the title.
    pub note: String,
    /// Panels in a row.
    pub columns: usize,
    /// The panels, row by row.
    pub plots: Vec<Plot>,
}

/// One panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// The panel's title.
    pub title: String,
    /// The title of the horizontal axis.
    pub x: String,
    /// The title of the vertical axis.
    pub y: String,
    /// Whether the horizontal axis is logarithmic; values that are not positive are then left out.
    pub x_log: bool,
    /// The same for the vertical axis.
    pub y_log: bool,
    /// Whether the line y = x is drawn.
    pub diagonal: bool,
    /// Values that the axes reach in any case.
    pub reach: Vec<[f64; 2]>,
    /// What is drawn, the last on top.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 900.0;
const EDGE: f64 = 16.0;
const RIGHT: f64 = 20.0;
const BETWEEN: f64 = 14.0;
/// Above a panel for its title, and below for the axis.
const ABOVE: f64 = 26.0;
const BELOW: f64 = 56.0;
const TITLE: Type = Type::bold(17.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);
const NOTE_LINE: f64 = 17.0;
const PLOT_TITLE: Type = Type::bold(13.5, INK);

/// Draws a chart.
///
/// # Errors
/// [`FigureError::Empty`] without a panel. One that has nothing to draw says so.
pub fn chart(chart: &Chart) -> Result<Figure, FigureError> {
    let height = match chart.columns {
        0 | 1 => 250.0,
        2 => 270.0,
        _ => 215.0,
    };
    Layout {
        height,
        shared: false,
        alone: false,
    }
    .figure(chart)
}

/// How the panels of a chart are placed.
pub(super) struct Layout {
    /// The height of a panel.
    pub height: f64,
    /// Whether the panels of a column share the horizontal axis of the last.
    pub shared: bool,
    /// Whether a single series has a legend too; else the titles of the axes name it.
    pub alone: bool,
}

impl Layout {
    /// The chart so placed.
    pub fn figure(&self, chart: &Chart) -> Result<Figure, FigureError> {
        if chart.plots.is_empty() {
            return Err(FigureError::Empty("panel"));
        }
        let axes: Vec<(Axis, Axis)> = chart.plots.iter().map(Plot::axes).collect();
        let distances = axes.iter().map(|(_, y)| title_distance(y));
        // The titles of the axes are in one line, as far out as the widest label demands.
        let distance = distances.fold(0.0, f64::max);
        let columns = chart.columns.clamp(1, chart.plots.len());
        let rows = chart.plots.len().div_ceil(columns);
        let left = distance + EDGE;
        let width = (WIDTH - (left + BETWEEN) * columns as f64 + BETWEEN - RIGHT) / columns as f64;
        let above = match chart.plots.iter().all(|plot| plot.title.is_empty()) {
            true => 8.0,
            false => ABOVE,
        };
        let row = above + self.height + if self.shared { 12.0 } else { BELOW };
        let series = chart.plots.iter().flat_map(|plot| &plot.series);
        let named = series.filter(|series| !series.label.is_empty());
        let legend = Legend::new(
            named.map(|series| (series.label.as_str(), series.mark)),
            WIDTH - 2.0 * EDGE,
        );
        let has_legend = legend.len() > usize::from(!self.alone);
        let notes = wrapped(&chart.note, NOTE, WIDTH - 2.0 * EDGE);
        let head = if chart.title.is_empty() { 10.0 } else { 42.0 };
        let names = head + NOTE_LINE * notes.len() as f64;
        let first = names + 10.0 + above + if has_legend { legend.height() } else { 0.0 };
        let last = first + row * (rows - 1) as f64;
        Canvas::figure(WIDTH, last + self.height + BELOW, |canvas| {
            let title = TITLE.fitted(&chart.title, WIDTH - 2.0 * EDGE);
            canvas.text(&title, (EDGE, 12.0), (HPos::Left, VPos::Top), TITLE)?;
            for (i, line) in notes.iter().enumerate() {
                let top = head - 5.0 + NOTE_LINE * i as f64;
                canvas.text(line, (EDGE, top), (HPos::Left, VPos::Top), NOTE)?;
            }
            if has_legend {
                legend.draw(canvas, (EDGE, names))?;
            }
            for (i, (plot, (x, y))) in chart.plots.iter().zip(axes).enumerate() {
                let panel = Panel {
                    left: left + (left + BETWEEN + width) * (i % columns) as f64,
                    top: first + row * (i / columns) as f64,
                    width,
                    height: self.height,
                    x,
                    y,
                };
                let titled = !self.shared || i + columns >= chart.plots.len();
                let frame = Frame {
                    grid: true,
                    x: Some(titled.then_some(plot.x.as_str())),
                    y: Some((plot.y.as_str(), distance)),
                };
                panel.frame(canvas, frame)?;
                plot.draw(canvas, &panel, &legend)?;
                let title = PLOT_TITLE.fitted(&plot.title, width + 0.5 * left);
                let at = (panel.left + width / 2.0, panel.top - 13.0);
                canvas.text(&title, at, (HPos::Center, VPos::Center), PLOT_TITLE)?;
            }
            Ok(())
        })
    }
}

impl Plot {
    /// The same with a logarithmic axis for each quantity of which all values are positive and span more than a factor
    /// of 30, which its title then says.
    pub(super) fn settled(mut self) -> Self {
        for (i, (log, title)) in [
            (&mut self.x_log, &mut self.x),
            (&mut self.y_log, &mut self.y),
        ]
        .into_iter()
        .enumerate()
        {
            let points = self.series.iter().flat_map(|series| &series.points);
            let drawn = points.filter(|p| p.iter().all(|v| drawable(*v)));
            match extent(drawn.map(|p| p[i])) {
                None => *title += ": no value",
                Some((low, high)) if low > 0.0 && high > 30.0 * low => {
                    *log = true;
                    *title += " (log)";
                }
                Some(_) => {}
            }
        }
        self
    }

    /// Whether a point is within what the axes can show.
    fn shows(&self, [x, y]: [f64; 2]) -> bool {
        let on = |v: f64, log: bool| drawable(v) && (!log || v > 0.0);
        on(x, self.x_log) && on(y, self.y_log)
    }

    /// Whether there is anything to draw.
    fn has_points(&self) -> bool {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        points.any(|point| self.shows(*point))
    }

    /// The horizontal and the vertical axis.
    fn axes(&self) -> (Axis, Axis) {
        let reach = self.series.iter().flat_map(Series::reach);
        let ends: Vec<[f64; 2]> = reach
            .chain(self.reach.iter().copied())
            .filter(|p| self.shows(*p))
            .collect();
        let mut along = [0, 1].map(|i| extent(ends.iter().map(|p| p[i])));
        if self.diagonal {
            // The same range both ways, so that the line is the diagonal.
            let both = extent(along.iter().flatten().flat_map(|(low, high)| [*low, *high]));
            along = [both, both];
        }
        let axis = |range, log, count| match range {
            None => Axis::linear_exact((0.0, 1.0), 2),
            Some(range) if log => Axis::log(range, count),
            Some(range) => Axis::linear(range, count),
        };
        let bars = self.series.iter().any(|s| matches!(s.mark, Mark::Bars(_)));
        let vertical = match along[1] {
            Some((_, high)) if bars && !self.y_log => Axis::linear_exact((0.0, 1.06 * high), 5),
            range => axis(range, self.y_log, 5),
        };
        (axis(along[0], self.x_log, 6), vertical)
    }

    fn draw(&self, canvas: &Canvas<'_>, panel: &Panel, legend: &Legend) -> Result<(), FigureError> {
        if !self.has_points() {
            let middle = (
                panel.left + panel.width / 2.0,
                panel.top + panel.height / 2.0,
            );
            let centre = (HPos::Center, VPos::Center);
            return canvas.text("nothing to draw", middle, centre, NOTE);
        }
        if self.diagonal {
            let ends = [(panel.left, panel.bottom()), (panel.right(), panel.top)];
            canvas.dashed(ends, AXIS, 1.2)?;
        }
        for series in &self.series {
            series.draw(canvas, panel, legend.color(&series.label), |p| {
                self.shows(p)
            })?;
        }
        Ok(())
    }
}
