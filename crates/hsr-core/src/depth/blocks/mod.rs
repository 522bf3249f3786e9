//! The blocks H_{kl} of the Hessian, one a pair of layers: their norms, and the adjoints of what they are made of, each
//! in two exact evaluations (theory-depth §2 and §4.1).

mod assembled;
mod diagonal;
mod neighbours;
mod pairs;

pub(super) use pairs::through_inputs;

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::network::LayerShape;
use super::pass::Pass;
use super::rows::{fit, zeros};
use super::tangents::Tangents;
use crate::lanes::whole;
use crate::{BlockEvaluation, Real};

/// A block of the Hessian on or below the diagonal, by its layers counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// k, the layer of the rows.
    pub row: usize,
    /// l ≤ k, the layer of the columns.
    pub column: usize,
}

impl BlockId {
    /// The block of row layer k and column layer l ≤ k.
    pub fn new(row: usize, column: usize) -> Self {
        Self { row, column }
    }

    /// Every block of a network of `depth` layers, row by row.
    pub fn every(depth: usize) -> impl Iterator<Item = Self> {
        (0..depth).flat_map(|row| (0..=row).map(move |column| Self { row, column }))
    }

    /// Whether it is the block of one layer with itself.
    pub fn is_diagonal(self) -> bool {
        self.row == self.column
    }

    /// Whether its layers follow each other, so that A_{k−1,l} is diagonal.
    pub fn is_between_neighbours(self) -> bool {
        self.row == self.column + 1
    }

    /// Whether it has no rows or no columns, as one of its layers is frozen.
    pub(super) fn is_empty(self, shapes: &[LayerShape]) -> bool {
        !shapes[self.row].is_trained() || !shapes[self.column].is_trained()
    }

    /// Its place in [`every`](Self::every).
    pub fn index(self) -> usize {
        self.row * (self.row + 1) / 2 + self.column
    }
}

/// The adjoints of what one block is made of, for weight 1.
#[derive(Default)]
pub(super) struct BlockAdjoints<T> {
    /// Of Q_{kl}, [n_k·n_l]; of the last layer's own block what S̄ means for the pull, [K].
    pub q: Vec<T>,
    /// Of A_{k−1,l}, [n_{k−1}·n_l], or of its diagonal between neighbours, [n_l].
    pub a: Vec<T>,
    /// Of δ_k, [n_k].
    pub delta: Vec<T>,
    /// Of the input a_{k−1} of the row layer, [n_{k−1}].
    pub upper: Vec<T>,
    /// Of the input a_{l−1} of the column layer, [n_{l−1}].
    pub lower: Vec<T>,
}

/// The adjoints of all blocks.
#[derive(Default)]
pub(super) struct Adjoints<T> {
    blocks: Vec<BlockAdjoints<T>>,
}

impl<T: Real> Adjoints<T> {
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

/// What an evaluation has to produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Want {
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

/// Buffers of an evaluation, shared by all blocks.
#[derive(Default)]
pub(super) struct Scratch<T> {
    /// Pairs: G_l and G_k, their product, inner products of Q, of δ and of A, P.
    gram_lower: Vec<T>,
    gram_upper: Vec<T>,
    weights: Vec<T>,
    inner: Vec<T>,
    of_delta: Vec<T>,
    of_tangents: Vec<T>,
    mixed: Vec<T>,
    /// Pairs beyond neighbours: T, V, and Q of a tile with its adjoint.
    t: Vec<T>,
    v: Vec<T>,
    tile: Vec<T>,
    tile_bar: Vec<T>,
    /// Neighbours: F and R with their products.
    f: Vec<T>,
    r: Vec<T>,
    f_bar: Vec<T>,
    r_bar: Vec<T>,
    /// Packed symmetric matrices, their adjoint, and the packed x̃x̃ᵀ with its own.
    packed: Vec<T>,
    packed_bar: Vec<T>,
    squares: Vec<T>,
    squares_bar: Vec<T>,
    entries: Vec<(usize, usize)>,
    /// A formed block.
    formed: Vec<T>,
}

/// The buffers of as many threads as have evaluated blocks at once.
#[derive(Default)]
pub(super) struct Pool<T>(Mutex<Vec<Scratch<T>>>);

impl<T: Real> Pool<T> {
    /// Buffers, to be put back.
    pub fn take(&self) -> Scratch<T> {
        self.lock().pop().unwrap_or_default()
    }

    pub fn put(&self, scratch: Scratch<T>) {
        self.lock().push(scratch);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Scratch<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inputs of an evaluation.
pub(super) struct Source<'a, T> {
    pub pass: &'a Pass<T>,
    pub tangents: &'a Tangents<T>,
    pub want: Want,
}

/// q_{kl} = ‖H_kl‖²_F of one block and, where wanted, the adjoints for weight 1.
pub(super) fn evaluate<T: Real>(
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

/// Whether Q̄ of a block is written whole before anything is added to it.
fn overwrites(id: BlockId, depth: usize, evaluation: BlockEvaluation) -> bool {
    let adds_rows = evaluation == BlockEvaluation::Assembled && !id.is_between_neighbours();
    if id.is_diagonal() {
        id.row + 1 < depth
    } else {
        !adds_rows
    }
}

/// n(n + 1)/2.
pub(super) fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}

/// The packed rows of Γ_l: those on the diagonal alone where S is diagonal.
pub(super) fn packed_rows(shape: &LayerShape, last: bool, softmax: bool) -> usize {
    if last && !softmax {
        shape.outputs
    } else {
        triangle(shape.outputs)
    }
}

/// Tiles of the samples 0..n: first sample and width, whole registers each. A tile holds at most `most` samples, or as
/// many as let `values` values a sample stay within `limit`.
fn tiles<T>(
    n: usize,
    want: &Want,
    values: usize,
    limit: usize,
) -> impl Iterator<Item = (usize, usize)> + use<T> {
    let unit = whole::<T>();
    let most = want.tile.unwrap_or(limit / values.max(1)) / unit * unit;
    let width = most.clamp(unit, n);
    (0..n)
        .step_by(width)
        .map(move |start| (start, width.min(n - start)))
}
