//! The blocks H_{kl} of the Hessian, one a pair of layers: their norms, and the adjoints of what they are made of, each
//! in two exact evaluations (theory-depth §2 and §4.1).

pub(in crate::depth) mod adjoints;
mod assembled;
mod diagonal;
mod neighbours;
mod pairs;
pub(in crate::depth) mod scratch;
pub(in crate::depth) mod source;

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::blocks::scratch::Scratch;
use crate::depth::blocks::source::Source;
use crate::evaluation::block::BlockEvaluation;
use crate::numeric::number::Number;

/// q_{kl} = ‖H_kl‖²_F of one block and, where wanted, the adjoints for weight 1.
pub(in crate::depth) fn evaluate<T: Number>(
    source: &Source<T>,
    id: BlockId,
    evaluation: BlockEvaluation,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    match (id.is_diagonal(), evaluation) {
        (true, BlockEvaluation::Gram) => diagonal::gram(source, id.row, adjoints, scratch),
        (true, BlockEvaluation::Assembled) => {
            diagonal::assembled(source, id.row, adjoints, scratch)
        }
        (false, BlockEvaluation::Gram) => pairs::gram(source, id, adjoints, scratch),
        (false, BlockEvaluation::Assembled) if id.is_between_neighbours() => {
            neighbours::assembled(source, id, adjoints, scratch)
        }
        (false, BlockEvaluation::Assembled) => assembled::assembled(source, id, adjoints, scratch),
    }
}
