//! The methods of the family.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::classic::sam;
use super::step::{Descent, Step};
use super::{EigenSamConfig, FriendlySamConfig, GsamConfig, LookSamConfig, NsoConfig, WsamConfig};
use crate::error::SharpnessError;

/// Which method of SAM's family it is: where its passes are and what it makes of their gradients.
///
/// | rule | method | gradients a step |
/// |---|---|---|
/// | [`Sam`](Self::Sam) | SAM; ASAM where [`adaptive`](super::SamConfig::adaptive) is on | 2 |
/// | [`Gsam`](Self::Gsam) | surrogate gap | 2 |
/// | [`Friendly`](Self::Friendly) | ascent without the full gradient | 2 |
/// | [`Look`](Self::Look) | SAM every k-th step, its direction kept | 1 + 1/k |
/// | [`Wsam`](Self::Wsam) | weighted sharpness | 2 |
/// | [`Nso`](Self::Nso) | two-sided Gaussian noise, n pairs | 2n |
/// | [`Eigen`](Self::Eigen) | ascent turned to the top eigenvector, p products every k steps | 2 + 2p/k |
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamRule {
    /// ∇L(θ + e).
    #[default]
    Sam,
    /// GSAM.
    Gsam(GsamConfig),
    /// Friendly-SAM.
    Friendly(FriendlySamConfig),
    /// LookSAM.
    Look(LookSamConfig),
    /// WSAM.
    Wsam(WsamConfig),
    /// Noise stability optimization.
    Nso(NsoConfig),
    /// Eigen-SAM.
    Eigen(EigenSamConfig),
}

impl SamRule {
    /// A usual ρ, from the method's paper or its code. Papers choose it for each network and data set: it is a start.
    pub fn default_rho(&self) -> f64 {
        match self {
            Self::Sam | Self::Gsam(_) | Self::Wsam(_) => 0.05,
            Self::Friendly(_) => 0.2,
            Self::Look(_) | Self::Eigen(_) => 0.1,
            Self::Nso(_) => 0.01,
        }
    }

    /// Gradients of the loss that a step takes, in the mean over many steps.
    pub fn passes(&self) -> f64 {
        match self {
            Self::Sam | Self::Gsam(_) | Self::Friendly(_) | Self::Wsam(_) => 2.0,
            Self::Look(look) => 1.0 + 1.0 / look.interval.max(1) as f64,
            Self::Nso(nso) => 2.0 * nso.pairs as f64,
            Self::Eigen(eigen) => 2.0 + 2.0 * eigen.products as f64 / eigen.interval.max(1) as f64,
        }
    }

    /// Whether it needs the optimizer's own step, so that gradients alone do not carry it.
    pub fn is_decoupled(&self) -> bool {
        matches!(self, Self::Wsam(wsam) if wsam.decoupled)
    }

    /// Whether it is the plain gradient, whatever ρ is.
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Self::Wsam(wsam) if wsam.gamma == 0.0)
    }

    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        match self {
            Self::Sam => Ok(()),
            Self::Gsam(config) => config.check(),
            Self::Friendly(config) => config.check(),
            Self::Look(config) => config.check(),
            Self::Wsam(config) => config.check(),
            Self::Nso(config) => config.check(),
            Self::Eigen(config) => config.check(),
        }
    }

    /// The passes of a step, and what they give.
    pub(super) fn descend<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Descent, SharpnessError> {
        match self {
            Self::Sam => sam(step),
            Self::Gsam(config) => config.descend(step),
            Self::Friendly(config) => config.descend(step),
            Self::Look(config) => config.descend(step),
            Self::Wsam(config) => config.descend(step),
            Self::Nso(config) => config.descend(step),
            Self::Eigen(config) => config.descend(step),
        }
    }
}

/// A rule of each configuration.
macro_rules! from {
    ($($variant:ident($config:ident),)*) => {
        $(impl From<$config> for SamRule {
            fn from(config: $config) -> Self {
                Self::$variant(config)
            }
        })*
    };
}

from! {
    Gsam(GsamConfig),
    Friendly(FriendlySamConfig),
    Look(LookSamConfig),
    Wsam(WsamConfig),
    Nso(NsoConfig),
    Eigen(EigenSamConfig),
}
