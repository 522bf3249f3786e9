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
use super::plan::Sizes;
use super::rows::{fit, zeros};
use super::tangents::Tangents;
use crate::lanes::whole;
use crate::watch::Parts;
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

/// Defines the buffers of an evaluation, and how many values each of them takes.
macro_rules! buffers {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// Buffers of an evaluation, shared by all blocks that a thread evaluates.
        #[derive(Default)]
        pub(super) struct Scratch<T> {
            $($(#[$meta])* $name: Vec<T>,)*
            /// The places of packed entries.
            entries: Vec<(usize, usize)>,
        }

        /// The values of each of them.
        #[derive(Default)]
        pub(super) struct ScratchValues {
            $($name: f64,)*
            entries: f64,
        }

        impl ScratchValues {
            /// What is enough for both.
            pub fn cover(&mut self, other: &Self) {
                $(self.$name = self.$name.max(other.$name);)*
                self.entries = self.entries.max(other.entries);
            }

            /// Of all buffers; a place counts as two.
            pub fn total(&self) -> f64 {
                2.0 * self.entries $(+ self.$name)*
            }
        }
    };
}

buffers! {
    /// Pairs: G_l and G_k, their product, inner products of Q, of δ and of A, P.
    gram_lower,
    gram_upper,
    weights,
    inner,
    of_delta,
    of_tangents,
    mixed,
    /// Pairs beyond neighbours: T, V, and Q of a tile with its adjoint.
    t,
    v,
    tile,
    tile_bar,
    /// Neighbours: F and R with their products.
    f,
    r,
    f_bar,
    r_bar,
    /// Packed symmetric matrices, their adjoint, and the packed x̃x̃ᵀ with its own.
    packed,
    packed_bar,
    squares,
    squares_bar,
    /// A formed block.
    formed,
}

/// What a block takes of the buffers.
pub(super) fn scratch_values<T: Real>(
    sizes: &Sizes,
    id: BlockId,
    evaluation: BlockEvaluation,
    want: Want,
) -> ScratchValues {
    let BlockId { row: k, column: l } = id;
    let (row, column) = (&sizes.shapes()[k], &sizes.shapes()[l]);
    let n = sizes.samples();
    let last = k + 1 == sizes.shapes().len();
    let lower = want.lower(l, column);
    let (extended, columns) = (row.inputs_extended(), column.inputs_extended());
    let (rows, seeds) = (row.outputs * column.outputs, column.outputs);
    let with_weight = !row.weight_frozen;
    let of = |wanted: bool, values: usize| if wanted { values as f64 } else { 0.0 };
    let always = |values: usize| values as f64;
    let tile = |values: usize, limit: usize| tile_width::<T>(n, &want, values, limit);
    match (id.is_diagonal(), evaluation) {
        (true, BlockEvaluation::Gram) => {
            let all = packed_rows(column, last, sizes.is_softmax());
            let some = all.min((diagonal::ROWS / n).max(1));
            let width = tile(n, pairs::PAIRS);
            ScratchValues {
                gram_lower: always(width * n),
                weights: always(width * n),
                inner: always(width * n),
                packed: always(some * n),
                packed_bar: of(want.gradient, some * width),
                entries: always(all),
                ..ScratchValues::default()
            }
        }
        (true, BlockEvaluation::Assembled) => {
            let all = packed_rows(column, last, sizes.is_softmax());
            let some = all.min((diagonal::ROWS / n).max(1));
            ScratchValues {
                packed: always(some * n),
                packed_bar: of(want.gradient, some * n),
                entries: always(all),
                squares: always(triangle(columns) * n),
                squares_bar: of(lower, triangle(columns) * n),
                formed: always(some * triangle(columns)),
                ..ScratchValues::default()
            }
        }
        (false, BlockEvaluation::Gram) => {
            let neighbours = with_weight && id.is_between_neighbours();
            let coupled = with_weight && !neighbours;
            let thin = neighbours && through_inputs(columns, n, lower);
            let width = if coupled {
                tile(2 * n * seeds, pairs::COUPLED)
            } else {
                tile(n, pairs::PAIRS)
            };
            let pairs = width * n;
            let with_bars = neighbours && (want.gradient || thin);
            ScratchValues {
                gram_lower: always(pairs),
                gram_upper: always(pairs),
                inner: always(pairs),
                weights: always(pairs),
                mixed: of(want.gradient || coupled || neighbours, pairs),
                of_delta: of(coupled, pairs),
                of_tangents: of(coupled, pairs),
                t: of(coupled, seeds * pairs),
                v: of(coupled, seeds * pairs),
                tile: of(coupled, rows * width),
                tile_bar: of(coupled && want.gradient, rows * width),
                f: of(neighbours, rows * n),
                r: of(neighbours, rows * n),
                f_bar: of(with_bars, rows * n),
                r_bar: of(with_bars, rows * n),
                packed: of(thin, rows * columns),
                formed: of(thin, rows * columns),
                ..ScratchValues::default()
            }
        }
        (false, BlockEvaluation::Assembled) if id.is_between_neighbours() => {
            let both = extended * columns;
            let some = row
                .outputs
                .min((neighbours::VALUES / (seeds * both)).max(1))
                * seeds;
            ScratchValues {
                squares: always(both * n),
                squares_bar: always(both * n),
                formed: always(some * both),
                packed: of(with_weight, some * columns),
                r: of(with_weight, rows * n),
                r_bar: of(with_weight, rows * n),
                ..ScratchValues::default()
            }
        }
        (false, BlockEvaluation::Assembled) => {
            let per_component = extended * seeds;
            let some = row
                .outputs
                .min((assembled::ROWS / (per_component * n)).max(1));
            ScratchValues {
                formed: always(some * per_component * n),
                packed: always(some * per_component * columns),
                ..ScratchValues::default()
            }
        }
    }
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
    pub parts: Parts<'a>,
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
    let width = tile_width::<T>(n, want, values, limit);
    (0..n)
        .step_by(width)
        .map(move |start| (start, width.min(n - start)))
}

/// The width of the first of them.
fn tile_width<T>(n: usize, want: &Want, values: usize, limit: usize) -> usize {
    let unit = whole::<T>();
    let most = want.tile.unwrap_or(limit / values.max(1)) / unit * unit;
    most.clamp(unit, n)
}
