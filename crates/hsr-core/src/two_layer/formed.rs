//! The blocks of the Hessian that are formed.

use crate::evaluation::block::BlockEvaluation;
use crate::numeric::buffer::{Buffer, zeros};
use crate::numeric::lanes::{LANE, dot};
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::two_layer::plan::Plan;
use crate::two_layer::samples::Forward;

/// The blocks of H that are formed, each a sum over samples, so that shards of a batch add.
#[derive(Default)]
pub(crate) struct Blocks<T> {
    /// H22 = Σ S ⊗ ããᵀ, packed × packed: the theory's A.
    pub a: Buffer<T>,
    /// H11 = Σ M ⊗ x̃x̃ᵀ, packed × packed: the theory's C.
    pub c: Buffer<T>,
    /// H21 = Σ B ⊗ x̃, rows (j, k), columns (i, e): the theory's E.
    pub e: Buffer<T>,
}

impl<T: Number> Blocks<T> {
    /// Makes the blocks that `plan` forms empty.
    #[inline(always)]
    pub fn clear(&mut self, f: &Forward<T>, plan: &Plan) {
        let dims = f.dims();
        let (h, d) = (dims.hidden, dims.inputs_extended());
        let ha = dims.hidden_extended();
        let formed = |block| block == BlockEvaluation::Assembled;
        for (formed, block, size) in [
            (
                formed(plan.output),
                &mut self.a,
                svec::len(f.rank) * svec::len(ha),
            ),
            (
                formed(plan.hidden),
                &mut self.c,
                svec::len(h) * svec::len(d),
            ),
            (formed(plan.cross), &mut self.e, h * f.rank * ha * d),
        ] {
            zeros(block, if formed { size } else { 0 });
        }
    }

    /// Adds those of another shard.
    pub fn add(&mut self, other: &Self) {
        for (sum, block) in [
            (&mut self.a, &other.a),
            (&mut self.c, &other.c),
            (&mut self.e, &other.e),
        ] {
            crate::numeric::lanes::add_scaled(sum, T::one(), block);
        }
    }

    /// ‖H22‖², ‖H11‖², ‖H21‖² of the blocks that are formed, 0 for the others.
    pub fn norms(&self) -> [T; 3] {
        [&self.a, &self.c, &self.e].map(|block| norm_squared(block))
    }
}

/// Σ v² in the summation order of [`dot`].
#[inline(always)]
fn norm_squared<T: Number>(values: &[T]) -> T {
    let whole = values.len() / LANE * LANE;
    let rest: T = values[whole..].iter().map(|&v| v * v).sum();
    dot(&values[..whole], &values[..whole]) + rest
}
