//! Figures: what a regulariser does to a network, drawn from plain numbers.
//!
//! [`spectrum`] shows the eigenvalues of loss Hessians above each other and [`density`] the density of them,
//! [`decision_boundary`] what two-dimensional classifiers decide and [`loss_plane`] the loss around a network;
//! [`distributions`] compares the runs of several methods, [`mean_ranks`] the methods over several tasks, and [`chart`] draws
//! any curves, points and bars. Plotters draws them all. Each gives a [`Figure`], an SVG that renders itself to PNG with a
//! typeface of its own: the pictures are the same on every machine, whatever fonts it has.
//!
//! ```
//! use hsr_core::{Activation, Batch, OutputLoss, Targets};
//! use hsr_lab::figures::{Spectrum, spectrum};
//! use hsr_lab::tasks::{self, TaskOptions};
//! use hsr_lab::{Curvature, Weights, layers};
//!
//! let data = tasks::load("iris", &TaskOptions::default(), 0)?;
//! let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &data.features, Targets::Classes(&data.labels));
//! let weights = Weights::random(layers(4, &3.into(), 3, &Activation::Tanh.into(), false)?, 0);
//! let mut curvature = Curvature::new();
//! let bounds = curvature.bounds(&weights.view()?, &batch)?;
//! let ends = hsr_lab::spectrum::ends(&mut curvature, &weights, &batch, 0)?;
//!
//! let figure = spectrum(&[Spectrum {
//!     label: "random weights".to_owned(),
//!     eigenvalues: ends.eigenvalues.unwrap_or_default(),
//!     lambda_sup: bounds.lambda_sup,
//! }])?;
//! assert!(figure.svg().starts_with("<svg"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A label has the same colour in every figure, from a palette that colour-blind readers can tell apart. In any label or
//! title, `λ_` and the letters after it become a λ with a subscript.

mod axis;
mod chart;
mod contour;
mod decision;
mod density;
mod error;
mod figure;
mod font;
mod landscape;
mod number;
mod palette;
mod rows;
mod series;
mod spectrum;

#[cfg(test)]
mod tests;

pub(crate) use axis::{drawable, extent};
pub(crate) use chart::spans_decades;
pub use chart::{Chart, Plot, chart};
pub use decision::{DecisionPanel, decision_boundary};
pub use density::{Density, density};
pub use error::FigureError;
pub use figure::Figure;
pub(crate) use font::FACES;
pub use landscape::{LossPlane, loss_plane};
pub(crate) use number::{exponent, value};
pub use rows::{Distribution, DistributionPanel, distributions, mean_ranks};
pub(crate) use series::MOST_POINTS;
pub use series::{Mark, Series};
pub use spectrum::{Spectrum, spectrum};

/// A picture that says why there is none.
pub(crate) fn nothing(title: &str) -> Result<Figure, FigureError> {
    chart(&Chart {
        title: title.to_owned(),
        plots: vec![Plot::default()],
        ..Chart::default()
    })
}
