//! The names of a figure's series, in as many lines as they need.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::palette::INK;

const NAME: Type = Type::regular(13.0, INK);
/// The height of a line of the legend.
const LINE: f64 = 22.0;

/// What stands before a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Swatch {
    /// A piece of a line.
    Line,
    /// A disc.
    Disc,
}

/// Names with their colours' swatches.
pub struct Legend {
    swatch: Swatch,
    /// The place of each entry, relative to the legend's origin, and its name.
    entries: Vec<((f64, f64), String)>,
}

impl Legend {
    /// A legend that is at most `limit` pixels wide.
    pub fn new<'a>(labels: impl IntoIterator<Item = &'a str>, swatch: Swatch, limit: f64) -> Self {
        let (mut x, mut y) = (0.0, 0.0);
        let mut entries = Vec::new();
        for label in labels {
            let name = NAME.fitted(label, 0.5 * limit);
            let width = swatch.width() + 8.0 + NAME.width(&name) + 24.0;
            if x > 0.0 && x + width > limit {
                (x, y) = (0.0, y + LINE);
            }
            entries.push(((x, y), name));
            x += width;
        }
        Self { swatch, entries }
    }

    /// The height, with the room below.
    pub fn height(&self) -> f64 {
        self.entries
            .last()
            .map_or(0.0, |((_, y), _)| y + LINE + 8.0)
    }

    /// Draws the legend with its origin at a point.
    pub fn draw(
        &self,
        canvas: &Canvas<'_>,
        (left, top): (f64, f64),
        colors: &[RGBColor],
    ) -> Result<(), FigureError> {
        let width = self.swatch.width();
        for (((x, y), name), color) in self.entries.iter().zip(colors) {
            let (x, y) = (left + x, top + y + LINE / 2.0 - 2.0);
            match self.swatch {
                Swatch::Line => canvas.line([(x, y), (x + width, y)], *color, 3.0)?,
                Swatch::Disc => canvas.disc((x + width / 2.0, y), 5.0, *color)?,
            }
            canvas.text(name, (x + width + 8.0, y), (HPos::Left, VPos::Center), NAME)?;
        }
        Ok(())
    }
}

impl Swatch {
    fn width(self) -> f64 {
        match self {
            Self::Line => 24.0,
            Self::Disc => 10.0,
        }
    }
}
