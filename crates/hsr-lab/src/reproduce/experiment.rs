//! The experiments by name.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::{Context, Shared};
use super::finding::Finding;
use crate::LabError;

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

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// As much as the claims deserve: up to three hours on two cores.
    Full,
    /// Fewer seeds and epochs: everything in less than 20 minutes.
    Quick,
    /// As little as still goes through every line, for tests: the numbers mean nothing.
    Tiny,
}

impl Extent {
    /// One of three values.
    pub(super) fn pick<T>(self, full: T, quick: T, tiny: T) -> T {
        match self {
            Extent::Full => full,
            Extent::Quick => quick,
            Extent::Tiny => tiny,
        }
    }
}

/// What an experiment does.
type Work = Box<dyn Fn(&Context) -> Result<Finding, LabError>>;

/// An experiment made ready.
pub(super) struct Plan {
    /// Everything that was chosen.
    pub settings: Value,
    /// Expected seconds on two cores, without what is shared.
    pub cost: f64,
    /// Work whose results other experiments use as well.
    pub shared: Vec<Shared>,
    pub work: Work,
}

impl Plan {
    pub fn new<S: Serialize + 'static>(
        settings: S,
        cost: f64,
        work: impl Fn(&S, &Context) -> Result<Finding, LabError> + 'static,
    ) -> Self {
        Self {
            settings: serde_json::to_value(&settings)
                .expect("plain data with string keys always serialises"),
            cost,
            shared: Vec::new(),
            work: Box::new(move |context| work(&settings, context)),
        }
    }
}

impl Plan {
    /// The same with work that other experiments use as well.
    pub fn sharing(mut self, shared: Shared) -> Self {
        self.shared.push(shared);
        self
    }
}

impl Experiment {
    /// Every experiment, in the paper's order.
    pub const ALL: [Experiment; 13] = [
        Experiment::Fig2,
        Experiment::Fig3,
        Experiment::Fig5,
        Experiment::Fig6,
        Experiment::Fig7,
        Experiment::Fig9,
        Experiment::Fig10,
        Experiment::Fig11,
        Experiment::Fig12,
        Experiment::Fig14,
        Experiment::Fig15,
        Experiment::Referee,
        Experiment::Depth,
    ];

    /// The name on the command line and of the files.
    pub fn name(self) -> &'static str {
        match self {
            Experiment::Fig2 => "fig2",
            Experiment::Fig3 => "fig3",
            Experiment::Fig5 => "fig5",
            Experiment::Fig6 => "fig6",
            Experiment::Fig7 => "fig7",
            Experiment::Fig9 => "fig9",
            Experiment::Fig10 => "fig10",
            Experiment::Fig11 => "fig11",
            Experiment::Fig12 => "fig12",
            Experiment::Fig14 => "fig14",
            Experiment::Fig15 => "fig15",
            Experiment::Referee => "referee",
            Experiment::Depth => "depth",
        }
    }

    /// What it shows.
    pub fn title(self) -> &'static str {
        match self {
            Experiment::Fig2 => "Computation time of ∂λ_sup/∂θ",
            Experiment::Fig3 => "Numerical against analytical gradient",
            Experiment::Fig5 => "Covariance of the inputs, λ_sup and its gradient",
            Experiment::Fig6 => "Mean part and standard-deviation part of the gradient",
            Experiment::Fig7 => "λ_sup and the top eigenvalues during training",
            Experiment::Fig9 => "λ_1 and λ_sup at critical points",
            Experiment::Fig10 => "Training dynamics of every method",
            Experiment::Fig11 => "The loss around a sharp minimum, a saddle and a flat minimum",
            Experiment::Fig12 => "The eigenspectrum that every method leaves",
            Experiment::Fig14 => "Macro-F1 of every method",
            Experiment::Fig15 => "Decision boundaries and λ_1",
            Experiment::Referee => "The referee's objections",
            Experiment::Depth => "How tight λ_sup is over depth and width",
        }
    }

    pub(super) fn plan(self, extent: Extent) -> Plan {
        match self {
            Experiment::Fig2 => super::fig2::plan(extent),
            Experiment::Fig3 => super::fig3::plan(extent),
            Experiment::Fig5 => super::fig5::plan(extent),
            Experiment::Fig6 => super::fig6::plan(extent),
            Experiment::Fig7 => super::fig7::plan(extent),
            Experiment::Fig9 => super::fig9::plan(extent),
            Experiment::Fig10 => super::fig10::plan(extent),
            Experiment::Fig11 => super::fig11::plan(extent),
            Experiment::Fig12 => super::fig12::plan(extent),
            Experiment::Fig14 => super::fig14::plan(extent),
            Experiment::Fig15 => super::fig15::plan(extent),
            Experiment::Referee => super::referee::plan(extent),
            Experiment::Depth => super::depth::plan(extent),
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
