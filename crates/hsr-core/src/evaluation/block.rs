//! The two exact ways to a block of the Hessian.

/// The evaluation of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum BlockEvaluation {
    /// The block is formed.
    Assembled,
    /// Sums over pairs of samples.
    Gram,
}
