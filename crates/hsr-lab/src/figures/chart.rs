//! Curves, clouds of points and bars in panels beside and below each other, with one legend.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::palette::{self, AXIS, INK, MUTED};
use super::panel::{Panel, title_distance};
use super::{drawable, extent, wrapped};

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

/// Points that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name in the legend; equal names have one colour, in every panel.
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

const WIDTH: f64 = 900.0;
const RIGHT: f64 = 20.0;
const BETWEEN: f64 = 14.0;
/// Above a panel for its title, and below for the axis.
const ABOVE: f64 = 26.0;
const BELOW: f64 = 56.0;
const TITLE: Type = Type::bold(17.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);
const NOTE_LINE: f64 = 17.0;
const PLOT_TITLE: Type = Type::bold(13.5, INK);
const LEGEND: Type = Type::regular(13.0, INK);
const LEGEND_LINE: f64 = 22.0;
const SWATCH: f64 = 24.0;

/// Draws a chart.
///
/// # Errors
/// [`FigureError::Empty`] without a panel. One that has nothing to draw says so.
pub fn chart(chart: &Chart) -> Result<Figure, FigureError> {
    if chart.plots.is_empty() {
        return Err(FigureError::Empty("panel"));
    }
    let axes: Vec<(Axis, Axis)> = chart.plots.iter().map(Plot::axes).collect();
    let distance = axes
        .iter()
        .map(|(_, y)| title_distance(y))
        .fold(0.0, f64::max);
    let columns = chart.columns.clamp(1, chart.plots.len());
    let left = distance + 16.0;
    let width = (WIDTH - (left + BETWEEN) * columns as f64 + BETWEEN - RIGHT) / columns as f64;
    let height = match columns {
        1 => 250.0,
        2 => 270.0,
        _ => 215.0,
    };
    let legend = Legend::new(chart);
    let notes = wrapped(&chart.note, NOTE, WIDTH - 2.0 * 16.0);
    let first = 44.0 + NOTE_LINE * notes.len() as f64 + legend.height() + ABOVE;
    let row_height = ABOVE + height + BELOW;
    let rows = chart.plots.len().div_ceil(columns) as f64;
    Canvas::figure(WIDTH, first - ABOVE + rows * row_height, |canvas| {
        let title = TITLE.fitted(&chart.title, WIDTH - 32.0);
        canvas.text(&title, (16.0, 12.0), (HPos::Left, VPos::Top), TITLE)?;
        for (i, line) in notes.iter().enumerate() {
            let top = 37.0 + NOTE_LINE * i as f64;
            canvas.text(line, (16.0, top), (HPos::Left, VPos::Top), NOTE)?;
        }
        legend.draw(canvas, 42.0 + NOTE_LINE * notes.len() as f64)?;
        for (i, (plot, (x, y))) in chart.plots.iter().zip(axes).enumerate() {
            let (row, column) = ((i / columns) as f64, (i % columns) as f64);
            let panel = Panel {
                left: left + (left + BETWEEN + width) * column,
                top: first + row_height * row,
                width,
                height,
                x,
                y,
            };
            plot.draw(canvas, &panel, &legend)?;
            let title = PLOT_TITLE.fitted(&plot.title, width + 0.5 * left);
            let at = (panel.left + width / 2.0, panel.top - 13.0);
            canvas.text(&title, at, (HPos::Center, VPos::Center), PLOT_TITLE)?;
            panel.x_axis(canvas, Some(&plot.x))?;
            panel.y_axis(canvas, &plot.y, distance)?;
        }
        Ok(())
    })
}

impl Plot {
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
        let mut ends: Vec<[f64; 2]> = self.reach.clone();
        for series in &self.series {
            ends.extend(&series.points);
            ends.extend(
                series
                    .band
                    .iter()
                    .flat_map(|[x, low, high]| [[*x, *low], [*x, *high]]),
            );
            if let Mark::Bars(width) = series.mark {
                let sides = [-0.5, 0.5].map(|side| side * width);
                ends.extend(
                    series
                        .points
                        .iter()
                        .flat_map(|p| sides.map(|s| [p[0] + s, p[1]])),
                );
                // Bars stand on zero.
                ends.extend(
                    series
                        .points
                        .iter()
                        .map(|p| [p[0], 0.0])
                        .filter(|_| !self.y_log),
                );
            }
        }
        ends.retain(|p| self.shows(*p));
        let mut along = [0, 1].map(|i| extent(ends.iter().map(|p| p[i])));
        if self.diagonal {
            // The same range both ways, so that the line is the diagonal.
            let both = extent(along.iter().flatten().flat_map(|(low, high)| [*low, *high]));
            along = [both, both];
        }
        let [Some(x), Some(y)] = along else {
            return (
                Axis::linear_exact((0.0, 1.0), 2),
                Axis::linear_exact((0.0, 1.0), 2),
            );
        };
        let axis = |range, log, count| {
            if log {
                Axis::log(range, count)
            } else {
                Axis::linear(range, count)
            }
        };
        let bars = self.series.iter().any(|s| matches!(s.mark, Mark::Bars(_)));
        let vertical = if bars && !self.y_log {
            Axis::linear_exact((0.0, 1.06 * y.1), 5)
        } else {
            axis(y, self.y_log, 5)
        };
        (axis(x, self.x_log, 6), vertical)
    }

    fn draw(&self, canvas: &Canvas<'_>, panel: &Panel, legend: &Legend) -> Result<(), FigureError> {
        panel.x_grid(canvas)?;
        panel.y_grid(canvas)?;
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
            dashes(canvas, &ends, AXIS, 1.2)?;
        }
        for series in &self.series {
            let color = legend.color(&series.label);
            let band: Vec<_> = series
                .band
                .iter()
                .filter(|[x, low, high]| self.shows([*x, *low]) && self.shows([*x, *high]))
                .map(|[x, low, high]| (panel.x_of(*x), panel.y_of(*low), panel.y_of(*high)))
                .collect();
            if band.len() > 1 {
                let upper = band.iter().map(|(x, _, high)| (*x, *high));
                let lower = band.iter().rev().map(|(x, low, _)| (*x, *low));
                canvas.area(upper.chain(lower), color, 0.16)?;
            }
            let points: Vec<_> = series
                .points
                .iter()
                .filter(|p| self.shows(**p))
                .map(|p| (panel.x_of(p[0]), panel.y_of(p[1])))
                .collect();
            series.mark.draw(canvas, panel, &points, color)?;
        }
        Ok(())
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
        match self {
            Self::Line | Self::Marked => {
                if points.len() > 1 {
                    canvas.line(points.iter().copied(), color, 1.9)?;
                }
                if self == Self::Marked || points.len() == 1 {
                    for point in points {
                        canvas.disc(*point, 3.2, color)?;
                    }
                }
                Ok(())
            }
            Self::Dashed => dashes(canvas, points, color, 1.7),
            Self::Dots => {
                let (radius, alpha) = match points.len() {
                    0..=60 => (3.4, 0.75),
                    61..=600 => (2.6, 0.5),
                    _ => (2.1, 0.32),
                };
                for point in points {
                    canvas.dot(*point, radius, color, alpha)?;
                }
                Ok(())
            }
            Self::Bars(width) => {
                // Linear by nature: a bar's width is a difference of values.
                let half = 0.5 * (panel.x_of(width) - panel.x_of(0.0)).abs().max(1.5);
                for (x, y) in points {
                    let corners = ((x - half + 0.3, *y), (x + half - 0.3, panel.bottom()));
                    canvas.fill(corners.0, corners.1, color, 0.8)?;
                }
                Ok(())
            }
        }
    }
}

/// A dashed line through points.
fn dashes(
    canvas: &Canvas<'_>,
    points: &[(f64, f64)],
    color: RGBColor,
    width: f64,
) -> Result<(), FigureError> {
    const PERIOD: f64 = 9.0;
    const DASH: f64 = 5.5;
    // How far into the period the line is; a dash goes on around a corner.
    let mut phase = 0.0;
    for ends in points.windows(2) {
        let (from, to) = (ends[0], ends[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |s: f64| {
            let share = s / length;
            (
                from.0 + share * (to.0 - from.0),
                from.1 + share * (to.1 - from.1),
            )
        };
        let mut s = 0.0;
        while s < length {
            let rest = if phase < DASH {
                DASH - phase
            } else {
                PERIOD - phase
            };
            let end = (s + rest).min(length);
            if phase < DASH {
                canvas.line([at(s), at(end)], color, width)?;
            }
            phase = (phase + end - s) % PERIOD;
            // A rounding error must not stop the walk.
            s = if end > s { end } else { length };
        }
    }
    Ok(())
}

/// The names of the series and their colours, in as many lines as they need.
struct Legend {
    entries: Vec<Entry>,
    lines: usize,
}

struct Entry {
    label: String,
    mark: Mark,
    color: RGBColor,
    /// Relative to the legend's origin.
    at: (f64, f64),
}

impl Legend {
    fn new(chart: &Chart) -> Self {
        let mut names: Vec<(&str, Mark)> = Vec::new();
        for series in chart.plots.iter().flat_map(|plot| &plot.series) {
            if !names.iter().any(|(label, _)| *label == series.label) {
                names.push((&series.label, series.mark));
            }
        }
        let colors = palette::series(names.iter().map(|(label, _)| *label));
        let limit = WIDTH - 32.0;
        let (mut x, mut line) = (0.0, 0);
        let mut entries = Vec::new();
        for ((label, mark), color) in names.into_iter().zip(colors) {
            let width = SWATCH + 8.0 + LEGEND.width(&LEGEND.fitted(label, 0.6 * limit)) + 22.0;
            if x > 0.0 && x + width > limit {
                (x, line) = (0.0, line + 1);
            }
            entries.push(Entry {
                label: label.to_owned(),
                mark,
                color,
                at: (x, LEGEND_LINE * f64::from(line)),
            });
            x += width;
        }
        let lines = if entries.len() > 1 {
            line as usize + 1
        } else {
            0
        };
        Self { entries, lines }
    }

    /// A single series needs no legend: the titles of the axes name it.
    fn height(&self) -> f64 {
        LEGEND_LINE * self.lines as f64 + 8.0
    }

    fn color(&self, label: &str) -> RGBColor {
        let entry = self.entries.iter().find(|entry| entry.label == label);
        entry.map_or(INK, |entry| entry.color)
    }

    fn draw(&self, canvas: &Canvas<'_>, top: f64) -> Result<(), FigureError> {
        if self.lines == 0 {
            return Ok(());
        }
        for entry in &self.entries {
            let (x, y) = (16.0 + entry.at.0, top + entry.at.1 + LEGEND_LINE / 2.0);
            let (color, ends) = (entry.color, [(x, y), (x + SWATCH, y)]);
            match entry.mark {
                Mark::Line => canvas.line(ends, color, 3.0)?,
                Mark::Marked => {
                    canvas.line(ends, color, 2.2)?;
                    canvas.disc((x + SWATCH / 2.0, y), 4.0, color)?;
                }
                Mark::Dashed => dashes(canvas, &ends, color, 2.4)?,
                Mark::Dots => canvas.disc((x + SWATCH / 2.0, y), 4.2, color)?,
                Mark::Bars(_) => {
                    canvas.fill((x + 5.0, y - 6.0), (x + SWATCH - 5.0, y + 6.0), color, 0.8)?;
                }
            }
            let name = LEGEND.fitted(&entry.label, 0.6 * (WIDTH - 32.0));
            let at = (x + SWATCH + 8.0, y);
            canvas.text(&name, at, (HPos::Left, VPos::Center), LEGEND)?;
        }
        Ok(())
    }
}
