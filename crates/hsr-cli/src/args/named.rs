//! Values that go by names.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hsr_lab::burn_hsr::{Activation, Mode};
use hsr_lab::compare::Budget;
use hsr_lab::data::name_list;
use hsr_lab::train::Method;
use hsr_lab::{Named, NetworkKind};

/// Reads the name of a value.
pub fn named<T: Named>() -> impl TypedValueParser<Value = T> {
    explained(|_| None)
}

/// The same with what help says of each.
fn explained<T: Named>(help: fn(T) -> Option<&'static str>) -> impl TypedValueParser<Value = T> {
    let possible = |&(value, name): &(T, _)| PossibleValue::new(name).help(help(value));
    PossibleValuesParser::new(T::NAMES.iter().map(possible))
        .try_map(|name| T::of(&name).ok_or("no such value"))
}

/// The name of a method.
pub fn method() -> impl TypedValueParser<Value = Method> {
    use Method::*;
    explained(|method| {
        Some(match method {
            Plain => "The loss alone",
            Hsr => "The loss and the bound λ_sup on its Hessian's largest eigenvalue",
            Sam => "Sharpness-aware minimisation",
            Asam => "Adaptive sharpness-aware minimisation",
            Gsam => "SAM that also closes the gap between the loss and the ascended loss",
            Fsam => "Friendly-SAM: ascends along the noise of the batch's gradient",
            Looksam => "LookSAM: SAM every fifth step, its direction kept between",
            Wsam => "WSAM: sharpness with a weight, beside the optimizer's step",
            Nso => "The mean gradient over Gaussian noise in the weights, in both directions",
            EigenSam => "SAM, the ascent turned to the Hessian's top eigenvector",
            Trace => "The loss and the trace of its Hessian",
            LambdaMax => "The loss and the largest eigenvalue of its Hessian itself",
            Frobenius => "The loss and the Frobenius norm of its Hessian",
            GradientNorm => "The loss and the norm of its gradient",
            WeightDecay => "The loss, and the optimizer's weight decay",
            LabelSmoothing => "The loss with smoothed labels",
            EarlyStopping => "The loss, and the epoch kept that was best on a validation split",
        })
    })
}

/// The name of a kind of network.
pub fn network() -> impl TypedValueParser<Value = NetworkKind> {
    explained(|kind| {
        Some(match kind {
            NetworkKind::Mlp => "Layers of units, whose curvature is exact",
            NetworkKind::Conv => {
                "Convolutions of 3 × 3 and a linear layer, whose curvature comes from differences of gradients"
            }
        })
    })
}

/// The name of a mode.
pub fn mode() -> impl TypedValueParser<Value = Mode> {
    explained(|mode| {
        Some(match mode {
            Mode::Coupled => "Added to the loss's gradient",
            Mode::Decoupled => "A step of its own after the optimizer's",
            Mode::Direction => "Added normalised",
        })
    })
}

/// The name of a budget.
pub fn budget() -> impl TypedValueParser<Value = Budget> {
    explained(|budget| {
        Some(match budget {
            Budget::Epochs => "Epochs, whatever a step costs",
            Budget::Passes => "Passes, so that a method whose step takes two has half the epochs",
        })
    })
}

/// The name of an activation.
pub fn activations() -> impl TypedValueParser<Value = Activation> {
    PossibleValuesParser::new(Activation::ALL.map(Activation::name))
        .try_map(|name| name.parse::<Activation>())
}

/// A list of names, as of `--drop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

/// Reads such a list.
pub fn names(text: &str) -> Result<Names, String> {
    Ok(Names(name_list(text)))
}
