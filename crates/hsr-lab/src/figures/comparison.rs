//! Distributions beside each other: one quantity, several methods, marks of significance.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::palette::{self, INK, MUTED};
use super::panel::{Frame, Panel};
use super::range::{drawable, extent};
use crate::statistics::Quartiles;

/// One quantity of several methods.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionPanel {
    /// The quantity.
    pub title: String,
    /// The methods, from the top.
    pub groups: Vec<Distribution>,
}

/// The values of one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The method.
    pub label: String,
    /// A value a run. One that is not finite is left out.
    pub values: Vec<f64>,
    /// What is written at the end of the row, such as stars.
    pub mark: String,
}

/// The width of a panel with its names and marks.
const WIDTH: f64 = 440.0;
const BETWEEN: f64 = 20.0;
/// The edge of the sheet.
const EDGE: f64 = 10.0;
/// The height of a method's row and of its box.
const ROW: f64 = 27.0;
const BOX: f64 = 15.0;
/// The room above a plot, for its title, and below it, for its ticks.
const ABOVE: f64 = 30.0;
const BELOW: f64 = 40.0;
/// The room for marks.
const MARKS: f64 = 34.0;
/// Values of a row that are dots: of more, as many at equal distances in the order of the runs.
pub(crate) const MOST_DOTS: usize = 2000;
/// The most that a name may take.
const WIDEST_NAME: f64 = 130.0;

const TITLE: Type = Type::bold(14.5, INK);
const NAME: Type = Type::regular(12.5, INK);
const MARK: Type = Type::bold(15.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);

/// Draws a panel for each quantity, `columns` beside each other: in each a row a method, with a dot a run, a box from the
/// lower to the upper quartile, a thick line at the median and a thin one from the least to the greatest value; of more than
/// 2000 runs not every one has a dot. The axis
/// is logarithmic where all values are positive and span more than a factor of 30, and the title says so.
///
/// # Errors
/// [`FigureError::Empty`] without a panel, a column or a method. A method without a value has an empty row.
pub fn distributions(panels: &[DistributionPanel], columns: usize) -> Result<Figure, FigureError> {
    let rows = panels.iter().map(|panel| panel.groups.len()).max();
    let (Some(rows), true) = (rows, columns > 0) else {
        return Err(FigureError::Empty("distribution"));
    };
    if panels.iter().any(|panel| panel.groups.is_empty()) {
        return Err(FigureError::Empty("distribution"));
    }
    let columns = columns.min(panels.len());
    let names = panels.iter().flat_map(|panel| &panel.groups);
    let widest = names
        .map(|group| NAME.width(&NAME.fitted(&group.label, WIDEST_NAME)))
        .fold(0.0, f64::max);
    let height = ABOVE + ROW * rows as f64 + BELOW;
    let width = (WIDTH + BETWEEN) * columns as f64 - BETWEEN + 2.0 * EDGE;
    let lines = panels.len().div_ceil(columns);
    Canvas::figure(width, height * lines as f64 + 2.0 * EDGE, |canvas| {
        for (i, panel) in panels.iter().enumerate() {
            let left = EDGE + (WIDTH + BETWEEN) * (i % columns) as f64;
            let top = EDGE + height * (i / columns) as f64;
            panel.draw(canvas, (left, top), widest + 10.0)?;
        }
        Ok(())
    })
}

impl DistributionPanel {
    fn draw(
        &self,
        canvas: &Canvas<'_>,
        (left, top): (f64, f64),
        names: f64,
    ) -> Result<(), FigureError> {
        let values: Vec<Vec<f64>> = self.groups.iter().map(Distribution::drawable).collect();
        let range = extent(values.iter().flatten().copied());
        let (axis, suffix) = match range {
            None => (Axis::linear_exact((0.0, 1.0), 4), ": no value"),
            Some((low, high)) if low > 0.0 && high > 30.0 * low => {
                (Axis::log((low, high), 5), " (log)")
            }
            Some(range) => (Axis::linear(range, 5), ""),
        };
        let plot = Panel {
            left: left + names,
            top: top + ABOVE,
            width: WIDTH - names - MARKS,
            height: ROW * self.groups.len() as f64,
            x: axis,
            // Rows are placed by hand.
            y: Axis::linear_exact((0.0, 1.0), 1),
        };
        let room = WIDTH - TITLE.width(suffix);
        let title = TITLE.fitted(&self.title, room) + suffix;
        canvas.text(&title, (left, top + 4.0), (HPos::Left, VPos::Top), TITLE)?;
        let (grid, x, y) = (true, Some(Some("")), None);
        plot.frame(canvas, Frame { grid, x, y })?;
        let colors = palette::series(self.groups.iter().map(|group| group.label.as_str()));
        for (i, (group, values)) in self.groups.iter().zip(&values).enumerate() {
            let y = plot.top + ROW * (i as f64 + 0.5);
            let name = NAME.fitted(&group.label, WIDEST_NAME);
            let at = (plot.left - 8.0, y);
            canvas.text(&name, at, (HPos::Right, VPos::Center), NAME)?;
            if values.is_empty() {
                let at = (plot.left + 8.0, y);
                canvas.text("no value", at, (HPos::Left, VPos::Center), NOTE)?;
            }
            row(canvas, &plot, y, values, colors[i])?;
            let mark = MARK.fitted(&group.mark, MARKS - 4.0);
            // Stars hang in the upper half of their line.
            let at = (plot.right() + 6.0, y + 2.5);
            canvas.text(&mark, at, (HPos::Left, VPos::Center), MARK)?;
        }
        Ok(())
    }
}

impl Distribution {
    fn drawable(&self) -> Vec<f64> {
        self.values
            .iter()
            .copied()
            .filter(|v| drawable(*v))
            .collect()
    }
}

fn row(
    canvas: &Canvas<'_>,
    plot: &Panel,
    y: f64,
    values: &[f64],
    color: RGBColor,
) -> Result<(), FigureError> {
    let (Some(quartiles), Some((low, high))) =
        (Quartiles::of(values), extent(values.iter().copied()))
    else {
        return Ok(());
    };
    let (from, to) = (plot.x_of(quartiles.lower), plot.x_of(quartiles.upper));
    canvas.line([(plot.x_of(low), y), (plot.x_of(high), y)], color, 1.0)?;
    let (top, bottom) = (y - BOX / 2.0, y + BOX / 2.0);
    canvas.fill((from, top), (to, bottom), palette::tint(color, 0.25), 1.0)?;
    let corners = [
        (from, top),
        (to, top),
        (to, bottom),
        (from, bottom),
        (from, top),
    ];
    canvas.line(corners, color, 0.9)?;
    let step = values.len().div_ceil(MOST_DOTS);
    for (i, v) in values.iter().enumerate().step_by(step) {
        // Spread over the box by the golden ratio: near values do not hide each other, and every picture is the same.
        let spread = (0.5 + i as f64 * 0.618_033_988_749_895) % 1.0 - 0.5;
        canvas.disc((plot.x_of(*v), y + 0.75 * BOX * spread), 2.1, color)?;
    }
    let median = plot.x_of(quartiles.median);
    canvas.line([(median, top - 2.0), (median, bottom + 2.0)], INK, 2.4)
}
