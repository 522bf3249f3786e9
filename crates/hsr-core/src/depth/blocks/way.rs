//! How a block is evaluated: one that is formed in one go, or in two halves with the sum over shards of samples between
//! them.

use crate::evaluation::block::BlockEvaluation;
use crate::numeric::buffer::{Buffer, fit};
use crate::numeric::number::Number;

/// How a block is evaluated.
#[derive(Clone, Copy)]
pub enum Way<'a, T> {
    /// Sums over pairs of samples.
    Gram,
    /// Formed.
    Formed(Half<'a, T>),
}

impl<T> From<BlockEvaluation> for Way<'_, T> {
    fn from(evaluation: BlockEvaluation) -> Self {
        match evaluation {
            BlockEvaluation::Gram => Self::Gram,
            BlockEvaluation::Assembled => Self::Formed(Half::Both),
        }
    }
}

/// What of a formed block is done. The second half finds factors that both need again: to keep them would take more room
/// than E, and time.
#[derive(Clone, Copy)]
pub enum Half<'a, T> {
    /// Its norm and the adjoints, a tile of it at a time.
    Both,
    /// E of the shard's samples, whole, in the scratch's `block`.
    Form,
    /// The adjoints of the shard's samples, from E of all samples.
    Turn(&'a [T]),
}

impl<T: Number> Half<'_, T> {
    /// Whether E is formed.
    pub fn forms(self) -> bool {
        !matches!(self, Self::Turn(_))
    }

    /// Whether adjoints are found from it.
    pub fn turns(self) -> bool {
        !matches!(self, Self::Form)
    }

    /// The rows `first..first + rows` of E, where they go into a buffer: alone, or among all rows where these are kept.
    pub fn tile(
        self,
        buffer: &mut Buffer<T>,
        all: usize,
        (first, rows): (usize, usize),
        columns: usize,
    ) -> &mut [T] {
        match self {
            Self::Form => &mut fit(buffer, all * columns)[first * columns..][..rows * columns],
            Self::Both | Self::Turn(_) => fit(buffer, rows * columns),
        }
    }
}
