//! The blocks H_{kl} of the Hessian, one a pair of layers: their norms, and the adjoints of what they are made of, each
//! in two exact evaluations (theory-depth §2 and §4.1).

pub(in crate::depth) mod adjoints;
mod assembled;
mod diagonal;
mod neighbours;
mod pairs;
pub(in crate::depth) mod scratch;
pub(in crate::depth) mod source;
pub(in crate::depth) mod way;

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::blocks::scratch::Scratch;
use crate::depth::blocks::source::Source;
use crate::depth::blocks::way::Way;
use crate::numeric::number::Number;

/// q_{kl} = ‖H_kl‖²_F of one block and, where wanted, the adjoints for weight 1; a block that is formed may be done in
/// halves.
pub(in crate::depth) fn evaluate<T: Number>(
    source: &Source<T>,
    id: BlockId,
    way: Way<T>,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    match way {
        Way::Gram if id.is_diagonal() => diagonal::gram(source, id.row, adjoints, scratch),
        Way::Gram => pairs::gram(source, id, adjoints, scratch),
        Way::Formed(half) if id.is_diagonal() => {
            diagonal::assembled(source, id.row, half, adjoints, scratch)
        }
        Way::Formed(half) if id.is_between_neighbours() => {
            neighbours::assembled(source, id, half, adjoints, scratch)
        }
        Way::Formed(half) => assembled::assembled(source, id, half, adjoints, scratch),
    }
}
