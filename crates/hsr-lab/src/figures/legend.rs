//! The names of a figure's series, in as many lines as they need. Plotters' own legend is a box of one column over the data.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::palette::{self, INK};
use super::series::Mark;

const NAME: Type = Type::regular(13.0, INK);
/// The height of a line of the legend.
const LINE: f64 = 22.0;
const SWATCH: f64 = 24.0;

/// Names with how their series are drawn.
pub struct Legend(Vec<Entry>);

struct Entry {
    label: String,
    mark: Mark,
    color: RGBColor,
    /// The place relative to the legend's origin.
    at: (f64, f64),
    /// The label, cut to its room.
    name: String,
}

impl Legend {
    /// A legend of distinct labels that is at most `limit` pixels wide.
    pub fn new<'a>(series: impl IntoIterator<Item = (&'a str, Mark)>, limit: f64) -> Self {
        let mut named: Vec<(&str, Mark)> = Vec::new();
        for (label, mark) in series {
            if !named.iter().any(|(known, _)| *known == label) {
                named.push((label, mark));
            }
        }
        let colors = palette::series(named.iter().map(|(label, _)| *label));
        let (mut x, mut y) = (0.0, 0.0);
        let entries = named.into_iter().zip(colors).map(|((label, mark), color)| {
            let name = NAME.fitted(label, 0.5 * limit);
            let width = room(mark) + 8.0 + NAME.width(&name) + 22.0;
            if x > 0.0 && x + width > limit {
                (x, y) = (0.0, y + LINE);
            }
            let at = (x, y);
            x += width;
            Entry {
                label: label.to_owned(),
                mark,
                color,
                at,
                name,
            }
        });
        Self(entries.collect())
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The height, with the room below.
    pub fn height(&self) -> f64 {
        self.0.last().map_or(0.0, |entry| entry.at.1 + LINE)
    }

    /// The colour of a label, and ink for what has none.
    pub fn color(&self, label: &str) -> RGBColor {
        let entry = self.0.iter().find(|entry| entry.label == label);
        entry.map_or(INK, |entry| entry.color)
    }

    /// Draws the legend with its origin at a point.
    pub fn draw(&self, canvas: &Canvas<'_>, (left, top): (f64, f64)) -> Result<(), FigureError> {
        for entry in &self.0 {
            let (x, y) = (left + entry.at.0, top + entry.at.1 + LINE / 2.0);
            let (color, ends) = (entry.color, [(x, y), (x + SWATCH, y)]);
            match entry.mark {
                Mark::Line => canvas.line(ends, color, 3.0)?,
                Mark::Marked => {
                    canvas.line(ends, color, 2.2)?;
                    canvas.disc((x + SWATCH / 2.0, y), 4.0, color)?;
                }
                Mark::Dashed => canvas.dashed(ends, color, 2.4)?,
                Mark::Dots | Mark::Ring | Mark::Point => canvas.disc((x + 5.0, y), 4.8, color)?,
                Mark::Bars(_) => {
                    canvas.fill((x + 5.0, y - 6.0), (x + SWATCH - 5.0, y + 6.0), color, 0.8)?;
                }
            }
            let at = (x + room(entry.mark) + 8.0, y);
            canvas.text(&entry.name, at, (HPos::Left, VPos::Center), NAME)?;
        }
        Ok(())
    }
}

/// The width of what stands before a name.
fn room(mark: Mark) -> f64 {
    match mark {
        Mark::Dots | Mark::Ring | Mark::Point => 10.0,
        Mark::Line | Mark::Dashed | Mark::Marked | Mark::Bars(_) => SWATCH,
    }
}
