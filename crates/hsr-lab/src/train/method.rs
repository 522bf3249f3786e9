//! The methods by name.

use burn_hsr::{Sharpness, Strength};
use burn_sharpness::SamConfig;
use burn_sharpness::sam::{
    EigenSamConfig, FriendlySamConfig, GsamConfig, LookSamConfig, NsoConfig, SamRule, WsamConfig,
};

use crate::named::named;

named! {
/// How a network is trained.
pub enum Method {
    /// The loss alone.
    Plain = "plain",
    /// The loss and Hessian Spectral Range regularisation: strength·λ_sup.
    Hsr = "hsr",
    /// Sharpness-aware minimisation, the strength being ρ.
    Sam = "sam",
    /// Adaptive sharpness-aware minimisation, the strength being ρ.
    Asam = "asam",
    /// GSAM, the strength being ρ.
    Gsam = "gsam",
    /// Friendly-SAM, the strength being ρ.
    Fsam = "fsam",
    /// LookSAM, the strength being ρ.
    Looksam = "looksam",
    /// Decoupled WSAM, the strength being ρ.
    Wsam = "wsam",
    /// Noise stability optimization, the strength being the noise's standard deviation.
    Nso = "nso",
    /// Eigen-SAM, the strength being ρ.
    EigenSam = "eigen-sam",
    /// The loss and strength·tr H.
    Trace = "trace",
    /// The loss and strength·λ_max.
    LambdaMax = "lambda-max",
    /// The loss and strength·‖H‖_F.
    Frobenius = "frobenius",
    /// The loss and strength·‖∇L‖.
    GradientNorm = "gradient-norm",
    /// The loss, the optimizer's weight decay being the strength.
    WeightDecay = "weight-decay",
    /// The loss with smoothed labels, ε being the strength.
    LabelSmoothing = "label-smoothing",
    /// The loss alone, the weights kept of the epoch that was best on a validation split.
    EarlyStopping = "early-stopping",
}
}

impl Method {
    /// Plain training and the methods that lower curvature, one of each kind.
    pub(crate) const OF_CURVATURE: [Method; 8] = [
        Method::Plain,
        Method::Hsr,
        Method::Sam,
        Method::Asam,
        Method::Trace,
        Method::LambdaMax,
        Method::Frobenius,
        Method::GradientNorm,
    ];

    /// What is added to the loss, for the methods that add something.
    pub fn sharpness(self) -> Option<Sharpness> {
        match self {
            Method::Hsr => Some(Sharpness::LambdaSup),
            Method::Trace => Some(Sharpness::Trace),
            Method::LambdaMax => Some(Sharpness::LambdaMax),
            Method::Frobenius => Some(Sharpness::Frobenius),
            Method::GradientNorm => Some(Sharpness::GradientNorm),
            _ => None,
        }
    }

    /// The method among SAM and its family, for those that are: with the options of its paper.
    pub(crate) fn sam(self) -> Option<SamConfig> {
        let rule = match self {
            Method::Asam => return Some(SamConfig::asam()),
            Method::Sam => SamRule::Sam,
            Method::Gsam => GsamConfig::new().into(),
            Method::Fsam => FriendlySamConfig::new().into(),
            Method::Looksam => LookSamConfig::new().into(),
            Method::Wsam => WsamConfig::new().into(),
            Method::Nso => NsoConfig::new().into(),
            Method::EigenSam => EigenSamConfig::new().into(),
            _ => return None,
        };
        Some(SamConfig::of(rule))
    }

    /// Whether it can be stronger and weaker.
    pub fn has_strength(self) -> bool {
        !matches!(self, Method::Plain | Method::EarlyStopping)
    }

    /// The strength where none is given: for HSR the rule that needs no number.
    pub fn default_strength(self) -> Strength {
        match self {
            Method::Hsr => Strength::Auto,
            other => Strength::Fixed(other.fixed_strength()),
        }
    }

    /// A number for the strength: ρ as in the papers of SAM and its family, for the trace a tenth of the other penalties, for it
    /// sums what they take the largest or the root mean square of.
    pub(crate) fn fixed_strength(self) -> f64 {
        if let Some(sam) = self.sam() {
            return sam.rho;
        }
        match self {
            Method::Plain | Method::EarlyStopping => 0.0,
            Method::Trace => 0.005,
            Method::WeightDecay => 0.001,
            Method::LabelSmoothing => 0.1,
            _ => 0.05,
        }
    }
}
