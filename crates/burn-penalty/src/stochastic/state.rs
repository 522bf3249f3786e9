//! What is kept from step to step.

use super::estimate::Averages;
use crate::mean::MeanGradient;
use crate::values::ParameterValues;
use crate::vector::Vector;

/// What is kept from step to step.
#[derive(Debug, Default)]
pub(super) struct State {
    pub averages: Option<Averages>,
    /// D.
    pub size: usize,
    /// The vector of λ_max's iteration, of length 1.
    pub direction: Option<Vector>,
    /// The same from a record, until there is a module to put it into.
    pub recorded: Option<Vec<ParameterValues>>,
    /// What a projected strength keeps.
    pub mean: MeanGradient,
}
