//! What can be wrong with a figure.

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
