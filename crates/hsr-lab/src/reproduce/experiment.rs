//! The experiments by name.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::plan::{Extent, Plan};
use super::{
    depth, fig2, fig3, fig5, fig6, fig7, fig9, fig10, fig11, fig12, fig14, fig15, referee,
};
use crate::error::LabError;

/// A figure of the paper, the answer to its referee, or what lies beyond both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Experiment {
    /// What the gradient of λ_sup costs, by three ways.
    Fig2,
    /// The gradient against central differences.
    Fig3,
    /// Bound and gradient against the covariance of the inputs.
    Fig5,
    /// The parts of the gradient that come from m and from s.
    Fig6,
    /// λ_sup and the largest eigenvalues during training.
    Fig7,
    /// λ_1 and λ_sup at critical points.
    Fig9,
    /// How every method trains.
    Fig10,
    /// The loss around a sharp minimum, a saddle and a flat minimum.
    Fig11,
    /// The spectrum that each method leaves.
    Fig12,
    /// Macro-F1 of each method.
    Fig14,
    /// λ_1 against the length of the decision boundary.
    Fig15,
    /// What a referee asked.
    Referee,
    /// How tight λ_sup is at any depth and width.
    Depth,
}

use Experiment::*;

impl Experiment {
    /// Every experiment, in the paper's order.
    pub const ALL: [Experiment; 13] = [
        Fig2, Fig3, Fig5, Fig6, Fig7, Fig9, Fig10, Fig11, Fig12, Fig14, Fig15, Referee, Depth,
    ];

    /// The name on the command line and of the files.
    pub fn name(self) -> &'static str {
        match self {
            Fig2 => "fig2",
            Fig3 => "fig3",
            Fig5 => "fig5",
            Fig6 => "fig6",
            Fig7 => "fig7",
            Fig9 => "fig9",
            Fig10 => "fig10",
            Fig11 => "fig11",
            Fig12 => "fig12",
            Fig14 => "fig14",
            Fig15 => "fig15",
            Referee => "referee",
            Depth => "depth",
        }
    }

    /// What it shows.
    pub fn title(self) -> &'static str {
        match self {
            Fig2 => "Computation time of ∂λ_sup/∂θ",
            Fig3 => "Numerical against analytical gradient",
            Fig5 => "Covariance of the inputs, λ_sup and its gradient",
            Fig6 => "Mean part and standard-deviation part of the gradient",
            Fig7 => "λ_sup and the top eigenvalues during training",
            Fig9 => "λ_1 and λ_sup at critical points",
            Fig10 => "Training dynamics of every method",
            Fig11 => "The loss around a sharp minimum, a saddle and a flat minimum",
            Fig12 => "The eigenspectrum that every method leaves",
            Fig14 => "Macro-F1 of every method",
            Fig15 => "Decision boundaries and λ_1",
            Referee => "The referee's objections",
            Depth => "How tight λ_sup is over depth and width",
        }
    }

    pub(super) fn plan(self, extent: Extent) -> Plan {
        match self {
            Fig2 => fig2::plan(extent),
            Fig3 => fig3::plan(extent),
            Fig5 => fig5::plan(extent),
            Fig6 => fig6::plan(extent),
            Fig7 => fig7::plan(extent),
            Fig9 => fig9::plan(extent),
            Fig10 => fig10::plan(extent),
            Fig11 => fig11::plan(extent),
            Fig12 => fig12::plan(extent),
            Fig14 => fig14::plan(extent),
            Fig15 => fig15::plan(extent),
            Referee => referee::plan(extent),
            Depth => depth::plan(extent),
        }
    }
}

impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Experiment {
    type Err = LabError;

    fn from_str(name: &str) -> Result<Self, LabError> {
        let named = Self::ALL
            .into_iter()
            .find(|experiment| experiment.name() == name);
        named.ok_or_else(|| {
            LabError::Option(format!(
                "unknown experiment {name:?}, expected one of {}, all",
                Self::ALL.map(Experiment::name).join(", ")
            ))
        })
    }
}
