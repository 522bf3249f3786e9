//! Buffers of the blocks, and how large they are.

use crate::depth::block::{BlockId, triangle};
use crate::depth::plan::{Sizes, packed_rows, through_inputs};
use crate::depth::want::Want;
use crate::evaluation::block::BlockEvaluation;
use crate::numeric::buffer::Buffer;
use crate::numeric::lanes::whole;
use crate::numeric::number::Number;

/// Values that a tile of packed rows holds.
pub(in crate::depth) const DIAGONAL: usize = 1 << 17;

/// Values of E that a tile of some components i of layer k holds.
pub(in crate::depth) const NEIGHBOURS: usize = 1 << 16;

/// Values that a tile of rows of B holds.
pub(in crate::depth) const ASSEMBLED: usize = 1 << 13;

/// Values that one array of pairs holds.
pub(in crate::depth) const PAIRS: usize = 1 << 18;

/// Values that T and V hold together.
pub(in crate::depth) const COUPLED: usize = 1 << 17;

/// Defines the buffers of an evaluation, and how many values each of them takes.
macro_rules! buffers {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// Buffers of an evaluation, shared by all blocks that a thread evaluates.
        #[derive(Default)]
        pub struct Scratch<T> {
            $($(#[$meta])* pub $name: Buffer<T>,)*
            /// The places of packed entries.
            pub entries: Vec<(usize, usize)>,
        }

        /// The values of each of them.
        #[derive(Default)]
        pub(in crate::depth) struct ScratchValues {
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
    /// A tile of a formed block E, and the terms of its samples.
    block,
    formed,
}

/// What a block takes of the buffers; in halves E is kept elsewhere.
pub(in crate::depth) fn scratch_values<T: Number>(
    sizes: &Sizes,
    id: BlockId,
    evaluation: BlockEvaluation,
    want: Want,
    in_halves: bool,
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
    let of_block = |values: usize| of(!in_halves, values);
    let tile = |values: usize, limit: usize| tile_width::<T>(n, &want, values, limit);
    match (id.is_diagonal(), evaluation) {
        (true, BlockEvaluation::Gram) => {
            let all = packed_rows(column, last, sizes.is_softmax());
            let some = all.min((DIAGONAL / n).max(1));
            let width = tile(n, PAIRS);
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
            let some = all.min((DIAGONAL / n).max(1));
            ScratchValues {
                packed: always(some * n),
                packed_bar: of(want.gradient, some * n),
                entries: always(all),
                squares: always(triangle(columns) * n),
                squares_bar: of(lower, triangle(columns) * n),
                block: of_block(some * triangle(columns)),
                ..ScratchValues::default()
            }
        }
        (false, BlockEvaluation::Gram) => {
            let neighbours = with_weight && id.is_between_neighbours();
            let coupled = with_weight && !neighbours;
            let thin = neighbours && through_inputs(columns, n, lower);
            let width = if coupled {
                tile(2 * n * seeds, COUPLED)
            } else {
                tile(n, PAIRS)
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
            let some = row.outputs.min((NEIGHBOURS / (seeds * both)).max(1)) * seeds;
            ScratchValues {
                squares: always(both * n),
                squares_bar: always(both * n),
                block: of_block(some * both),
                packed: of(with_weight, some * columns),
                r: of(with_weight, rows * n),
                r_bar: of(with_weight, rows * n),
                ..ScratchValues::default()
            }
        }
        (false, BlockEvaluation::Assembled) => {
            let per_component = extended * seeds;
            let some = row.outputs.min((ASSEMBLED / (per_component * n)).max(1));
            ScratchValues {
                formed: always(some * per_component * n),
                block: of_block(some * per_component * columns),
                ..ScratchValues::default()
            }
        }
    }
}

/// Tiles of the samples 0..n: first sample and width, whole registers each. A tile holds at most `most` samples, or as
/// many as let `values` values a sample stay within `limit`.
pub(in crate::depth) fn tiles<T>(
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
