//! Buffers of sums over pairs, and how large they are.

use core::ops::Range;

use crate::numeric::buffer::Buffer;
use crate::numeric::lanes::whole_registers;
use crate::two_layer::kernels::pairs::{PairLanes, ROWS};

/// Values a tile of pairs may hold.
pub(crate) const PAIRS: usize = 1 << 18;

/// Values of M̃ that a strip of such rows holds for a tile of samples.
pub(crate) const STRIP: usize = 1 << 22;

/// Values of M̃ that are contracted at once: about the second-level cache.
pub(crate) const M_ROWS: usize = 1 << 16;

/// Buffers of the evaluation.
#[derive(Default)]
pub(crate) struct Gram<T> {
    /// G = x̃·x̃ and α = ã·ã, rows all samples, columns the tile.
    pub(super) inner: Buffer<T>,
    pub(super) alpha: Buffer<T>,
    pub(super) products: Buffer<T>,
    /// More values of each pair, where S or M is not formed.
    pub(super) second: Buffer<T>,
    pub(super) third: Buffer<T>,
    pub(super) fourth: Buffer<T>,
    pub(super) weights: Buffer<T>,
    pub(super) input_weights: Buffer<T>,
    pub(super) m: Buffer<T>,
    pub(super) m_tile: Buffer<T>,
    pub(super) values: Buffer<T>,
    pub(super) bars: Buffer<T>,
    /// To form M, and to contract M̃.
    pub(super) lanes: PairLanes<T>,
    pub(super) of_contraction: PairLanes<T>,
}

/// Hidden units from `first` on whose rows of packed M are together `most` or fewer, but as many as [`contract_m`] takes
/// at once.
pub(crate) fn units_from(first: usize, h: usize, most: usize) -> Range<usize> {
    let mut end = h.min(first + ROWS);
    while end < h {
        let next = h.min(end + ROWS);
        if (first..next).map(|i| h - i).sum::<usize>() > most {
            break;
        }
        end = next;
    }
    first..end
}

/// Rows of packed M that these hidden units have.
pub(crate) fn rows_of(units: &Range<usize>, h: usize) -> usize {
    units.clone().map(|i| h - i).sum()
}

/// Samples in a tile of pairs: of a shard whose rows have `n` samples, of `total` in all shards.
pub(crate) fn tile_width<T>(n: usize, total: usize) -> usize {
    whole_registers::<T>(PAIRS / total).min(n)
}
