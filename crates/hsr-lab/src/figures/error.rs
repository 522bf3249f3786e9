//! What can be wrong with a figure.

use super::axis::drawable;

/// The largest width or height of a PNG, in pixels.
pub const LARGEST_SIDE: u32 = 16_384;

/// An error in drawing or rendering a figure. The message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// There is nothing to draw.
    #[error("nothing to draw: no {0} given")]
    Empty(&'static str),
    /// No value of a series can be drawn: its label, and what its values are.
    #[error("{0}: no finite value among its {1}")]
    NoFiniteValue(String, &'static str),
    /// Two sequences that belong together differ in length: the series or panel, what is counted, how many there are and how
    /// many there should be.
    #[error("{0}: {2} {1}, expected {3}")]
    Length(String, &'static str, usize, usize),
    /// A range of a panel is empty or not finite: the panel, the axis, the ends.
    #[error("{0}: {1} range {2} to {3}, expected finite ends, the first below the second")]
    Range(String, char, f64, f64),
    /// The scale of a picture is not positive, or makes the picture too large.
    #[error(
        "scale {0} gives no picture, expected a positive number that keeps width and height within {LARGEST_SIDE} pixels"
    )]
    Scale(f32),
    /// The drawing library refused.
    #[error("the figure cannot be drawn: {0}")]
    Draw(String),
    /// The picture cannot be rendered or encoded.
    #[error("the figure cannot be rendered: {0}")]
    Render(String),
}

impl FigureError {
    /// An error unless there are as many as expected.
    pub(super) fn unless_equal(
        label: &str,
        what: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        match found == expected {
            true => Ok(()),
            false => Err(Self::Length(label.to_owned(), what, found, expected)),
        }
    }

    /// An error unless a range can be drawn.
    pub(super) fn unless_drawable(
        title: &str,
        axis: char,
        (low, high): (f64, f64),
    ) -> Result<(), Self> {
        match drawable(low) && drawable(high) && low < high {
            true => Ok(()),
            false => Err(Self::Range(title.to_owned(), axis, low, high)),
        }
    }
}
