//! The blocks of the Hessian, one a pair of layers.

use crate::depth::network::LayerShape;

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
    pub(in crate::depth) fn is_empty(self, shapes: &[LayerShape]) -> bool {
        !shapes[self.row].is_trained() || !shapes[self.column].is_trained()
    }

    /// Its place in [`every`](Self::every).
    pub fn index(self) -> usize {
        self.row * (self.row + 1) / 2 + self.column
    }
}

/// n(n + 1)/2.
pub(in crate::depth) fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}
