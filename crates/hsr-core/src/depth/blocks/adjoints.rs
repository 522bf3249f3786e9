//! The adjoints of what the blocks are made of.

use crate::depth::block::{BlockId, triangle};
use crate::depth::passes::pass::Pass;
use crate::depth::want::Want;
use crate::evaluation::block::BlockEvaluation;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::number::Number;

/// The adjoints of what one block is made of, for weight 1.
#[derive(Default)]
pub struct BlockAdjoints<T> {
    /// Of Q_{kl}, [n_k·n_l]; of the last layer's own block what S̄ means for the pull, [K].
    pub q: Buffer<T>,
    /// Of A_{k−1,l}, [n_{k−1}·n_l], or of its diagonal between neighbours, [n_l].
    pub a: Buffer<T>,
    /// Of δ_k, [n_k].
    pub delta: Buffer<T>,
    /// Of the input a_{k−1} of the row layer, [n_{k−1}].
    pub upper: Buffer<T>,
    /// Of the input a_{l−1} of the column layer, [n_{l−1}].
    pub lower: Buffer<T>,
}

/// The adjoints of all blocks.
#[derive(Default)]
pub struct Adjoints<T> {
    blocks: Vec<BlockAdjoints<T>>,
}

impl<T: Number> Adjoints<T> {
    /// Room for every block of this network, with zeros where an evaluation does not write before it adds.
    pub fn clear(&mut self, pass: &Pass<T>, want: &Want, plan: &[BlockEvaluation]) {
        let (n, depth) = (pass.stride, pass.depth());
        self.blocks
            .resize_with(depth * (depth + 1) / 2, BlockAdjoints::default);
        for id in BlockId::every(depth) {
            let BlockId { row: k, column: l } = id;
            // Above a frozen layer the adjoints of its tangents are needed, of its own seeds there are none.
            if !pass.shapes[l].is_trained() {
                self.blocks[id.index()] = BlockAdjoints::default();
                continue;
            }
            let block = &mut self.blocks[id.index()];
            let (rows, seeds) = (pass.width(k), pass.width(l));
            let of_q = if k == l && k + 1 == depth {
                rows
            } else {
                rows * seeds
            };
            if want.block(id)
                && overwrites(id, depth, plan[id.index()])
                && pass.shapes[k].is_trained()
            {
                fit(&mut block.q, of_q * n);
            } else {
                zeros(&mut block.q, of_q * n);
            }
            zeros(&mut block.lower, pass.shapes[l].inputs * n);
            let (of_a, of_delta, of_upper) = if k == l {
                (0, 0, 0)
            } else if id.is_between_neighbours() {
                (seeds, rows, pass.shapes[k].inputs)
            } else {
                (pass.shapes[k].inputs * seeds, rows, pass.shapes[k].inputs)
            };
            zeros(&mut block.a, of_a * n);
            zeros(&mut block.delta, of_delta * n);
            zeros(&mut block.upper, of_upper * n);
        }
    }

    /// The adjoints of a block, for an evaluation that may not want any.
    pub fn block_or_none(&mut self, id: BlockId, depth: usize) -> &mut BlockAdjoints<T> {
        if self.blocks.len() < triangle(depth) {
            self.blocks
                .resize_with(triangle(depth), BlockAdjoints::default);
        }
        self.block(id)
    }

    pub fn block(&mut self, id: BlockId) -> &mut BlockAdjoints<T> {
        &mut self.blocks[id.index()]
    }
}

/// Whether Q̄ of a block is written whole before anything is added to it.
fn overwrites(id: BlockId, depth: usize, evaluation: BlockEvaluation) -> bool {
    let adds_rows = evaluation == BlockEvaluation::Assembled && !id.is_between_neighbours();
    if id.is_diagonal() {
        id.row + 1 < depth
    } else {
        !adds_rows
    }
}
