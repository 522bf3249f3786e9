//! Values that go by names.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hsr_lab::NetworkKind;
use hsr_lab::burn_hsr::{Activation, Mode};
use hsr_lab::compare::Budget;
use hsr_lab::data::{Missing, name_list};
use hsr_lab::hsr_core::OutputLoss;
use hsr_lab::train::{Method, Optimizer, Split};

/// A choice among values that go by names.
pub trait Named: Copy + Send + Sync + 'static {
    /// The values, in the order in which help has them.
    const VALUES: &'static [Self];

    /// The name.
    fn named(self) -> &'static str;

    /// What help says of it.
    fn help(self) -> Option<&'static str> {
        None
    }

    /// The value of a name.
    fn of(name: &str) -> Option<Self> {
        Self::VALUES.iter().copied().find(|it| it.named() == name)
    }
}

/// Reads the name of a value.
pub fn named<T: Named>() -> impl TypedValueParser<Value = T> {
    let possible = |&value: &T| PossibleValue::new(value.named()).help(value.help());
    PossibleValuesParser::new(T::VALUES.iter().map(possible))
        .try_map(|name| T::of(&name).ok_or("no such value"))
}

use Method::*;

impl Named for Method {
    const VALUES: &'static [Self] = &[
        Plain,
        Hsr,
        Sam,
        Asam,
        Gsam,
        Fsam,
        Looksam,
        Wsam,
        Nso,
        EigenSam,
        Trace,
        LambdaMax,
        Frobenius,
        GradientNorm,
        WeightDecay,
        LabelSmoothing,
        EarlyStopping,
    ];

    fn named(self) -> &'static str {
        self.name()
    }

    fn help(self) -> Option<&'static str> {
        Some(match self {
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
    }
}

impl Named for Optimizer {
    const VALUES: &'static [Self] = &[Self::Sgd, Self::Momentum, Self::Adam, Self::Adamw];

    fn named(self) -> &'static str {
        self.name()
    }
}

impl Named for NetworkKind {
    const VALUES: &'static [Self] = &[Self::Mlp, Self::Conv];

    fn named(self) -> &'static str {
        self.name()
    }

    fn help(self) -> Option<&'static str> {
        Some(match self {
            Self::Mlp => "Layers of units, whose curvature is exact",
            Self::Conv => {
                "Convolutions of 3 × 3 and a linear layer, whose curvature comes from differences of gradients"
            }
        })
    }
}

impl Named for Mode {
    const VALUES: &'static [Self] = &[Self::Coupled, Self::Decoupled, Self::Direction];

    fn named(self) -> &'static str {
        match self {
            Self::Coupled => "coupled",
            Self::Decoupled => "decoupled",
            Self::Direction => "direction",
        }
    }

    fn help(self) -> Option<&'static str> {
        Some(match self {
            Self::Coupled => "Added to the loss's gradient",
            Self::Decoupled => "A step of its own after the optimizer's",
            Self::Direction => "Added normalised",
        })
    }
}

impl Named for Budget {
    const VALUES: &'static [Self] = &[Self::Epochs, Self::Passes];

    fn named(self) -> &'static str {
        match self {
            Self::Epochs => "epochs",
            Self::Passes => "passes",
        }
    }

    fn help(self) -> Option<&'static str> {
        Some(match self {
            Self::Epochs => "Epochs, whatever a step costs",
            Self::Passes => "Passes, so that a method whose step takes two has half the epochs",
        })
    }
}

impl Named for Missing {
    const VALUES: &'static [Self] = &[Self::Refuse, Self::DropRows];

    fn named(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::DropRows => "drop-rows",
        }
    }
}

impl Named for OutputLoss {
    const VALUES: &'static [Self] = &[
        Self::SoftmaxCrossEntropy,
        Self::SigmoidCrossEntropy,
        Self::MeanSquaredError,
    ];

    fn named(self) -> &'static str {
        match self {
            Self::SigmoidCrossEntropy => "sigmoid",
            Self::MeanSquaredError => "mse",
            _ => "softmax",
        }
    }
}

impl Named for Split {
    const VALUES: &'static [Self] = &[Self::Train, Self::Test];

    fn named(self) -> &'static str {
        self.name()
    }
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
