//! What an evaluation has to produce.

use crate::depth::block::BlockId;
use crate::depth::network::LayerShape;
use crate::depth::passes::pass::Part;

/// What an evaluation has to produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Of which part of the Hessian.
    pub part: Part,
    /// ∂L/∂θ beside it.
    pub loss_gradient: bool,
    /// The adjoints for the parameters.
    pub gradient: bool,
    /// Those for the inputs too.
    pub inputs: bool,
    /// The norms of the blocks on the diagonal.
    pub diagonal: bool,
    /// Those of the blocks off the diagonal.
    pub cross: bool,
    /// The most samples a tile of pairs takes on one side, where that was set.
    pub tile: Option<usize>,
}

impl Want {
    /// Whether a block is wanted.
    pub fn block(&self, id: BlockId) -> bool {
        if id.is_diagonal() {
            self.diagonal
        } else {
            self.cross
        }
    }

    /// Whether the adjoint of x̃_l is needed: not where it is data, or nothing but ones.
    pub fn lower(&self, l: usize, shape: &LayerShape) -> bool {
        self.gradient && (l > 0 || self.inputs) && !shape.weight_frozen
    }
}
