//! A plot's frame: grid, axes, ticks and axis titles around a rectangle of the sheet.

use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::palette::{AXIS, GRID, INK, MUTED};

const TICK: Type = Type::regular(11.5, MUTED);
const AXIS_TITLE: Type = Type::regular(12.5, INK);

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

    /// Draws the vertical lines that guide the eye, under what is plotted.
    pub fn x_grid(&self, canvas: &Canvas<'_>) -> Result<(), FigureError> {
        for (v, _) in self.x.ticks() {
            canvas.line(
                [(self.x_of(*v), self.top), (self.x_of(*v), self.bottom())],
                GRID,
                0.8,
            )?;
        }
        Ok(())
    }

    /// Draws the horizontal lines that guide the eye, under what is plotted.
    pub fn y_grid(&self, canvas: &Canvas<'_>) -> Result<(), FigureError> {
        for (v, _) in self.y.ticks() {
            canvas.line(
                [(self.left, self.y_of(*v)), (self.right(), self.y_of(*v))],
                GRID,
                0.8,
            )?;
        }
        Ok(())
    }

    /// Draws the vertical axis, its labels and, `distance` to the left, its title.
    pub fn y_axis(
        &self,
        canvas: &Canvas<'_>,
        title: &str,
        distance: f64,
    ) -> Result<(), FigureError> {
        canvas.line(
            [(self.left, self.top), (self.left, self.bottom())],
            AXIS,
            1.0,
        )?;
        for (v, label) in self.y.ticks() {
            let y = self.y_of(*v);
            canvas.line([(self.left - 4.0, y), (self.left, y)], AXIS, 1.0)?;
            canvas.text(
                label,
                (self.left - 7.0, y),
                (HPos::Right, VPos::Center),
                TICK,
            )?;
        }
        let title = AXIS_TITLE.fitted(title, self.height + 20.0);
        canvas.upright(
            &title,
            (self.left - distance, self.top + self.height / 2.0),
            AXIS_TITLE,
        )
    }

    /// Draws the horizontal axis, with labels and a title below it where there is a title.
    pub fn x_axis(&self, canvas: &Canvas<'_>, title: Option<&str>) -> Result<(), FigureError> {
        let bottom = self.bottom();
        canvas.line([(self.left, bottom), (self.right(), bottom)], AXIS, 1.0)?;
        for (v, _) in self.x.ticks() {
            let x = self.x_of(*v);
            canvas.line([(x, bottom), (x, bottom + 4.0)], AXIS, 1.0)?;
        }
        let Some(title) = title else {
            return Ok(());
        };
        for (x, label) in self.x_labels() {
            canvas.text(label, (x, bottom + 8.0), (HPos::Center, VPos::Top), TICK)?;
        }
        let middle = self.left + self.width / 2.0;
        let title = AXIS_TITLE.fitted(title, self.width + 20.0);
        canvas.text(
            &title,
            (middle, bottom + 27.0),
            (HPos::Center, VPos::Top),
            AXIS_TITLE,
        )
    }

    /// The labels of the horizontal axis and where they are: every one, or every second, third and so on where they would
    /// touch.
    fn x_labels(&self) -> Vec<(f64, &str)> {
        const APART: f64 = 8.0;
        let mut labels: Vec<_> = self
            .x
            .ticks()
            .iter()
            .map(|(v, label)| (self.x_of(*v), label.as_str()))
            .collect();
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = labels
            .iter()
            .map(|(_, label)| TICK.width(label) / 2.0)
            .collect::<Vec<_>>();
        let fits = |stride: &usize| {
            let kept: Vec<_> = (0..labels.len()).step_by(*stride).collect();
            kept.windows(2)
                .all(|w| labels[w[0]].0 + half[w[0]] + APART <= labels[w[1]].0 - half[w[1]])
        };
        let stride = (1..labels.len()).find(fits).unwrap_or(labels.len().max(1));
        labels.into_iter().step_by(stride).collect()
    }
}
