//! Figures: what a regulariser does to a network, drawn from plain numbers.
//!
//! [`spectrum`] shows the eigenvalues of loss Hessians above each other and [`density`] the density of them, [`training`]
//! the course of training, [`decision_boundary`] what two-dimensional classifiers decide, [`loss_plane`] and
//! [`loss_profile`] the loss around a network and between two; [`distributions`] and [`scatter`] compare the runs of
//! several methods, [`mean_ranks`] over several tasks. Each gives a [`Figure`], an SVG that renders itself to PNG with a typeface of its own: the pictures
//! are the same on every machine, whatever fonts it has.
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
mod canvas;
mod chart;
mod comparison;
mod contour;
mod decision;
mod density;
mod error;
mod figure;
mod font;
mod landscape;
mod legend;
mod number;
mod palette;
mod panel;
mod profile;
mod range;
mod ranks;
mod scatter;
mod series;
mod spectrum;
mod training;

#[cfg(test)]
mod tests;

pub use chart::{Chart, Plot, chart};
pub(crate) use comparison::MOST_DOTS;
pub use comparison::{Distribution, DistributionPanel, distributions};
pub use decision::{DecisionPanel, decision_boundary};
pub use density::{Density, density};
pub use error::FigureError;
pub use figure::Figure;
pub(crate) use font::FACES;
pub use landscape::{LossPlane, loss_plane};
pub(crate) use number::value;
pub use profile::{LossProfile, loss_profile};
pub(crate) use range::extent;
pub use ranks::mean_ranks;
pub use scatter::{Cloud, ScatterPanel, scatter};
pub use series::{Mark, Series};
pub use spectrum::{Spectrum, spectrum};
pub use training::{TrainingCurve, training};

/// A picture that says why there is none.
pub(crate) fn nothing(title: &str) -> Result<Figure, FigureError> {
    chart(&Chart {
        title: title.to_owned(),
        plots: vec![Plot::default()],
        ..Chart::default()
    })
}
