//! A tile of one shard's samples against the samples of all shards.

use crate::numeric::lanes::dot;
use crate::numeric::matmul::{inner_products, matmul};
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::two_layer::contraction::Want;
use crate::two_layer::prepared::Pairing;
use crate::two_layer::samples::Forward;
use crate::two_layer::shard::Shared;

/// The rows `0..rows` of a feature-major array, all samples.
pub(super) fn all<T>(data: &[T], rows: usize, n: usize) -> Mat<'_, T> {
    Mat::new(data, rows, n, n)
}

/// The rows `0..rows` of a feature-major array, the samples of a tile.
pub(super) fn tile<T>(data: &[T], rows: usize, n: usize, start: usize, width: usize) -> Mat<'_, T> {
    Mat::new(&data[start..], rows, width, n)
}

/// A tile of one shard's samples against the samples of all shards.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a, T> {
    pub(super) shards: &'a [Shared<T>],
    /// The shard whose samples these are.
    pub(super) own: usize,
    pub(super) start: usize,
    pub(super) width: usize,
    pub(super) pairing: Pairing,
    pub(super) want: Want,
}

impl<'a, T: Number> Tile<'a, T> {
    pub(super) fn forward(&self) -> &'a Forward<T> {
        &self.shards[self.own].forward
    }

    /// The number of pairs.
    pub(super) fn size(&self) -> usize {
        total(self.shards) * self.width
    }

    /// Each shard with the place of its rows among all pairs.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&'a Shared<T>, usize)> {
        let width = self.width;
        self.shards.iter().scan(0, move |from, shard| {
            let at = *from;
            *from += shard.forward.stride * width;
            Some((shard, at))
        })
    }

    /// Inner products of `rows` rows of all samples with those of the tile.
    pub(super) fn inner_products(
        &self,
        out: &mut [T],
        rows: usize,
        of: impl Fn(&Shared<T>) -> &[T],
    ) {
        let (start, width) = (self.start, self.width);
        let n = self.forward().stride;
        let columns = tile(of(&self.shards[self.own]), rows, n, start, width);
        for (index, (shard, at)) in self.sources().enumerate() {
            let data = of(shard);
            if index == self.own {
                inner_products(&mut out[at..], all(data, rows, n), columns);
            } else {
                let left = all(data, rows, shard.forward.stride).t();
                matmul(
                    &mut out[at..],
                    width,
                    Write::Replace,
                    T::one(),
                    left,
                    columns,
                );
            }
        }
    }

    /// Σ_m v_m w_m for `rows` rows v of all samples and the pairs' weights w: `out` (+)= v w, rows `stride` apart.
    pub(super) fn weigh(
        &self,
        out: &mut [T],
        stride: usize,
        write: Write,
        rows: usize,
        of: impl Fn(&Shared<T>) -> &[T],
        weights: &[T],
    ) {
        let mut write = write;
        for (shard, at) in self.sources() {
            let n = shard.forward.stride;
            let weights = Mat::new(&weights[at..], n, self.width, self.width);
            matmul(
                out,
                stride,
                write,
                T::one(),
                all(of(shard), rows, n),
                weights,
            );
            write = Write::Add;
        }
    }
}

/// The length of a row over all shards, padding included.
pub(crate) fn total<T>(shards: &[Shared<T>]) -> usize {
    shards.iter().map(|shard| shard.forward.stride).sum()
}

/// Σ p·v·w.
#[inline(always)]
pub(super) fn weighted_sum<T: Number>(products: &mut [T], v: &[T], w: &[T]) -> T {
    for (product, &w) in products.iter_mut().zip(w) {
        *product *= w;
    }
    dot(products, v)
}
