//! The experiments by name.

use super::plan::{Extent, Plan};
use super::{
    depth, fig2, fig3, fig5, fig6, fig7, fig9, fig10, fig11, fig12, fig14, fig15, referee,
};
use crate::named::named;

named! {
/// A figure of the paper, the answer to its referee, or what lies beyond both.
pub enum Experiment {
    /// What the gradient of λ_sup costs, by three ways.
    Fig2 = "fig2",
    /// The gradient against central differences.
    Fig3 = "fig3",
    /// Bound and gradient against the covariance of the inputs.
    Fig5 = "fig5",
    /// The parts of the gradient that come from m and from s.
    Fig6 = "fig6",
    /// λ_sup and the largest eigenvalues during training.
    Fig7 = "fig7",
    /// λ_1 and λ_sup at critical points.
    Fig9 = "fig9",
    /// How every method trains.
    Fig10 = "fig10",
    /// The loss around a sharp minimum, a saddle and a flat minimum.
    Fig11 = "fig11",
    /// The spectrum that each method leaves.
    Fig12 = "fig12",
    /// Macro-F1 of each method.
    Fig14 = "fig14",
    /// λ_1 against the length of the decision boundary.
    Fig15 = "fig15",
    /// What a referee asked.
    Referee = "referee",
    /// How tight λ_sup is at any depth and width.
    Depth = "depth",
}
}

impl Experiment {
    /// What it shows.
    pub fn title(self) -> &'static str {
        self.work().0
    }

    pub(super) fn plan(self, extent: Extent) -> Plan {
        (self.work().1)(extent)
    }

    /// What it shows, and how it is done.
    fn work(self) -> (&'static str, fn(Extent) -> Plan) {
        use Experiment::*;
        match self {
            Fig2 => ("Computation time of ∂λ_sup/∂θ", fig2::plan),
            Fig3 => ("Numerical against analytical gradient", fig3::plan),
            Fig5 => (
                "Covariance of the inputs, λ_sup and its gradient",
                fig5::plan,
            ),
            Fig6 => (
                "Mean part and standard-deviation part of the gradient",
                fig6::plan,
            ),
            Fig7 => ("λ_sup and the top eigenvalues during training", fig7::plan),
            Fig9 => ("λ_1 and λ_sup at critical points", fig9::plan),
            Fig10 => ("Training dynamics of every method", fig10::plan),
            Fig11 => (
                "The loss around a sharp minimum, a saddle and a flat minimum",
                fig11::plan,
            ),
            Fig12 => ("The eigenspectrum that every method leaves", fig12::plan),
            Fig14 => ("Macro-F1 of every method", fig14::plan),
            Fig15 => ("Decision boundaries and λ_1", fig15::plan),
            Referee => ("The referee's objections", referee::plan),
            Depth => ("How tight λ_sup is over depth and width", depth::plan),
        }
    }
}
