//! A plot's frame, drawn by plotters: grid, axes, ticks and axis titles around a rectangle of the sheet.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::style::TRANSPARENT;

use super::axis::Axis;
use super::canvas::{Canvas, Type, stroke, units};
use super::error::FigureError;
use super::palette::{AXIS, GRID, INK, MUTED};

const TICK: Type = Type::regular(11.5, MUTED);
const AXIS_TITLE: Type = Type::regular(12.5, INK);
/// The length of a tick; plotters puts labels at twice that distance.
const MARK: f64 = 3.5;

/// How far to the left of a vertical axis its title has to be, for its labels to have room.
pub fn title_distance(axis: &Axis) -> f64 {
    let widths = axis.ticks().iter().map(|(_, label)| TICK.width(label));
    widths.fold(0.0, f64::max) + 22.0
}

/// A rectangle of the sheet, in pixels, with an axis each way.
pub struct Panel {
    /// The left edge.
    pub left: f64,
    /// The top edge.
    pub top: f64,
    /// The width.
    pub width: f64,
    /// The height.
    pub height: f64,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
}

/// What is drawn around a panel.
#[derive(Clone, Copy, Default)]
pub struct Frame<'a> {
    /// Whether lines guide the eye from the ticks of the axes that are drawn.
    pub grid: bool,
    /// The horizontal axis, with labels and a title below it where there is a title.
    pub x: Option<Option<&'a str>>,
    /// The vertical axis with its title and how far to the left that is.
    pub y: Option<(&'a str, f64)>,
}

impl Panel {
    /// The right edge.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// The bottom edge.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Where a value of the horizontal axis is.
    pub fn x_of(&self, v: f64) -> f64 {
        self.left + self.x.of(v) * self.width
    }

    /// Where a value of the vertical axis is.
    pub fn y_of(&self, v: f64) -> f64 {
        self.bottom() - self.y.of(v) * self.height
    }

    /// Draws what is around the plot, under what is plotted.
    pub fn frame(&self, canvas: &Canvas<'_>, frame: Frame<'_>) -> Result<(), FigureError> {
        let titled = frame.x.flatten();
        let below = match frame.x {
            Some(Some(_)) => 42.0,
            Some(None) => MARK,
            None => 0.0,
        };
        let beside = frame.y.map_or(0.0, |(_, distance)| distance + 7.0);
        let corner = (self.left - beside, self.top);
        let area = canvas.part(corner, (self.width + beside, self.height + below));
        let mut chart = ChartBuilder::on(&area)
            .set_label_area_size(LabelAreaPosition::Bottom, units(below))
            .set_label_area_size(LabelAreaPosition::Left, units(beside))
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let labelled = titled.map_or_else(Vec::new, |_| self.labelled());
        let x_label = |v: &f64| match labelled.contains(v) {
            true => self.x.format_ext(v),
            false => String::new(),
        };
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(stroke(GRID, 0.8))
            .axis_style(stroke(AXIS, 1.0))
            .set_all_tick_mark_size(units(MARK))
            .label_style(TICK.style())
            .axis_desc_style(AXIS_TITLE.style())
            .x_label_formatter(&x_label);
        if !frame.grid || frame.x.is_none() {
            mesh.disable_x_mesh();
        }
        if !frame.grid || frame.y.is_none() {
            mesh.disable_y_mesh();
        }
        if let Some(title) = titled {
            mesh.x_desc(AXIS_TITLE.fitted(title, self.width + 20.0));
        }
        if let Some((title, _)) = frame.y {
            mesh.y_desc(AXIS_TITLE.fitted(title, self.height + 20.0));
        }
        Ok(mesh.draw()?)
    }

    /// Draws what is around a plot that has a strip of marks below it: `self` is both, `plot` without the strip.
    pub fn strip(
        &self,
        canvas: &Canvas<'_>,
        plot: &Panel,
        x: Option<&str>,
        y: (&str, f64),
    ) -> Result<(), FigureError> {
        let (grid, x) = (true, Some(x));
        self.frame(canvas, Frame { grid, x, y: None })?;
        let (x, y) = (None, Some(y));
        plot.frame(canvas, Frame { grid, x, y })?;
        let ends = [(plot.left, plot.bottom()), (plot.right(), plot.bottom())];
        canvas.line(ends, AXIS, 0.8)
    }

    /// The ticks of the horizontal axis that have a label: every one, or every second, third and so on where they would
    /// touch.
    fn labelled(&self) -> Vec<f64> {
        const APART: f64 = 8.0;
        let mut ticks: Vec<(f64, f64, f64)> = self
            .x
            .ticks()
            .iter()
            .map(|(v, label)| (*v, self.x_of(*v), TICK.width(label) / 2.0))
            .collect();
        ticks.sort_by(|a, b| a.1.total_cmp(&b.1));
        let every = |stride: usize| ticks.iter().step_by(stride);
        let fits = |stride: &usize| {
            let mut pairs = every(*stride).zip(every(*stride).skip(1));
            pairs.all(|(a, b)| a.1 + a.2 + APART <= b.1 - b.2)
        };
        let stride = (1..ticks.len()).find(fits).unwrap_or(ticks.len().max(1));
        every(stride).map(|tick| tick.0).collect()
    }
}
