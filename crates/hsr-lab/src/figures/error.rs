//! What can be wrong with a figure.

use super::axis::drawable;

/// An error in drawing or rendering a figure. The message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// There is nothing to draw.
    #[error("nothing to draw: no {0} given")]
    Empty(&'static str),
    /// No value of a series can be drawn.
    #[error("{label}: no finite value among its {what}")]
    NoFiniteValue {
        /// The series.
        label: String,
        /// What its values are.
        what: &'static str,
    },
    /// Two sequences that belong together differ in length.
    #[error("{label}: {found} {what}, expected {expected}")]
    Length {
        /// The series or panel.
        label: String,
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A range of a panel is empty or not finite.
    #[error(
        "{title}: {axis} range {low} to {high}, expected finite ends, the first below the second"
    )]
    Range {
        /// The panel.
        title: String,
        /// The axis, x or y.
        axis: char,
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// The scale of a picture is not positive, or makes the picture too large.
    #[error(
        "scale {scale} gives no picture, expected a positive number that keeps width and height within {limit} pixels"
    )]
    Scale {
        /// The scale.
        scale: f32,
        /// The largest width or height.
        limit: u32,
    },
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
        if found == expected {
            return Ok(());
        }
        Err(Self::Length {
            label: label.to_owned(),
            what,
            found,
            expected,
        })
    }

    /// An error unless a range can be drawn.
    pub(super) fn unless_drawable(
        title: &str,
        axis: char,
        (low, high): (f64, f64),
    ) -> Result<(), Self> {
        if drawable(low) && drawable(high) && low < high {
            return Ok(());
        }
        Err(Self::Range {
            title: title.to_owned(),
            axis,
            low,
            high,
        })
    }

    pub(super) fn no_value(label: &str, what: &'static str) -> Self {
        let label = label.to_owned();
        Self::NoFiniteValue { label, what }
    }
}
