//! What the examples share: the picture that each of them draws where its arguments end in `--picture FILE.svg`, which the
//! gallery of the book shows, and the comparison of ways to train a classifier of [digits].

pub mod digits;

use std::error::Error;

use burn::tensor::Tensor;
use burn_hsr::{Hsr, Layers, Targets};
use hsr_core::depth::{DeepEvaluation, DeepWorkspace};
use hsr_lab::figures::{Figure, FigureError, Spectrum};
use hsr_lab::spectrum::eigenvalues;

/// Draws the figure and writes it, where the arguments ask for it: `NAME BACKEND --picture FILE.svg`.
///
/// # Errors
///
/// What drawing gives, and a file that cannot be written.
pub fn picture(draw: impl FnOnce() -> Result<Figure, FigureError>) -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--picture");
    if let Some(file) = arguments.nth(1) {
        std::fs::write(file, draw()?.svg())?;
    }
    Ok(())
}

/// Every eigenvalue of the loss Hessian of a feed-forward model on a batch, and λ_sup, under a name.
///
/// # Errors
///
/// What the closed form refuses.
pub fn spectrum_of<M: Layers>(
    name: &str,
    hsr: &Hsr,
    model: &M,
    inputs: Tensor<2>,
    targets: impl Into<Targets>,
) -> Result<Spectrum, Box<dyn Error>> {
    let closed_form = hsr.closed_form::<f64, _>(model, inputs, targets)?;
    let (network, batch) = (closed_form.feed_forward()?, closed_form.batch());
    let size = network.parameters();
    let mut workspace = DeepWorkspace::new();
    let bounds = workspace.bounds(&network, &batch, &DeepEvaluation::Auto)?;
    let mut hessian = vec![0.0; size * size];
    workspace.hessian(&network, &batch, &mut hessian)?;
    Ok(Spectrum {
        label: name.to_owned(),
        eigenvalues: eigenvalues(&hessian, size)?,
        lambda_sup: bounds.whole.lambda_sup,
    })
}
