//! Adjoints of the per-sample quantities, and what seed layers add to them.

use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::network::FeedForward;
use crate::depth::passes::pass::{Part, Pass};
use crate::depth::passes::tangents::Tangents;
use crate::numeric::buffer::{Buffer, make_room, zeros};
use crate::numeric::number::Number;

/// Where the gradient is taken: a network with all of its passes over a batch.
#[derive(Clone, Copy)]
pub struct Point<'a, T> {
    pub network: &'a FeedForward<'a, T>,
    pub pass: &'a Pass<T>,
    pub part: Part,
    pub tangents: &'a Tangents<T>,
}

/// Adjoints of the per-sample quantities of every layer.
#[derive(Default)]
pub struct Bars<T> {
    /// Of the input a_{l−1}, [n_{l−1}].
    pub input: Vec<Buffer<T>>,
    /// Of φ', φ'', c, u and δ, [n_l].
    pub d1: Vec<Buffer<T>>,
    pub d2: Vec<Buffer<T>>,
    pub c: Vec<Buffer<T>>,
    pub u: Vec<Buffer<T>>,
    pub delta: Vec<Buffer<T>>,
    /// What S̄ means for the pull, [K].
    pub curvature: Buffer<T>,
    pub z: [Buffer<T>; 2],
    /// Of each seed layer.
    pub seeds: Vec<SeedBars<T>>,
    pub squares: Buffer<T>,
    pub traces: Buffer<T>,
}

impl<T: Number> Bars<T> {
    pub fn clear(&mut self, pass: &Pass<T>) {
        let (n, depth) = (pass.stride, pass.depth());
        for values in [
            &mut self.input,
            &mut self.d1,
            &mut self.d2,
            &mut self.c,
            &mut self.u,
            &mut self.delta,
        ] {
            values.resize_with(depth, Buffer::default);
        }
        for l in 0..depth {
            zeros(&mut self.input[l], pass.shapes[l].inputs * n);
            for values in [
                &mut self.d1,
                &mut self.d2,
                &mut self.c,
                &mut self.u,
                &mut self.delta,
            ] {
                zeros(&mut values[l], pass.width(l) * n);
            }
        }
        zeros(&mut self.curvature, pass.output.outputs * n);
        // They change places from layer to layer.
        let widest = (0..depth).map(|l| pass.width(l)).max().unwrap_or_default();
        for z in &mut self.z {
            make_room(z, widest * n);
        }
    }
}

/// What the adjoints of a seed layer's tangents add to those of the quantities that all seeds share.
#[derive(Default)]
pub struct SeedBars<T> {
    /// Of φ' and c of every hidden layer k ≥ l, [n_k].
    pub d1: Vec<Buffer<T>>,
    pub c: Vec<Buffer<T>>,
    /// What S̄ means for the pull, [K].
    pub curvature: Buffer<T>,
    /// Of the parameters above layer l.
    pub gradient: Buffer<T>,
    /// The blocks of the column l while they are pulled back, the diagonal one first.
    pub blocks: Vec<BlockAdjoints<T>>,
    pub u: [Buffer<T>; 2],
    pub j: Buffer<T>,
    pub diagonal: Buffer<T>,
}

impl<T: Number> SeedBars<T> {
    /// Zeros for the seed layer l.
    pub fn clear(&mut self, network: &FeedForward<T>, pass: &Pass<T>, l: usize) {
        let (n, last) = (pass.stride, pass.depth() - 1);
        for values in [&mut self.d1, &mut self.c] {
            values.resize_with(last, Buffer::default);
            for (k, values) in values.iter_mut().enumerate().skip(l) {
                zeros(values, pass.width(k) * n);
            }
        }
        zeros(&mut self.curvature, pass.output.outputs * n);
        zeros(&mut self.gradient, network.parameters());
        // As z.
        let widest = (l..last).map(|k| pass.width(k)).max().unwrap_or_default();
        for u in &mut self.u {
            make_room(u, widest * pass.width(l) * n);
        }
    }
}
