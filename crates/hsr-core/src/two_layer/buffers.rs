//! What a shard keeps to itself, and what it does with it.

use pulp::Simd;

use crate::evaluation::watch::Watch;
use crate::numeric::buffer::Buffer;
use crate::numeric::number::Number;
use crate::numeric::vectors::Unit;
use crate::two_layer::assembled::Assembled;
use crate::two_layer::contraction::Contraction;
use crate::two_layer::gram::scratch::Gram;
use crate::two_layer::prepared::Manner;
use crate::two_layer::pullback::Pullback;
use crate::two_layer::shard::Shared;

/// What a shard keeps to itself.
#[derive(Default)]
pub struct Own<T> {
    pub contraction: Contraction<T>,
    assembled: Assembled<T>,
    gram: Gram<T>,
    pub pullback: Pullback<T>,
    /// ∂L/∂z, h rows.
    pub delta: Buffer<T>,
    /// Its part of the gradient \[D\].
    pub gradient: Buffer<T>,
}

impl<T: Number> Own<T> {
    /// Up to the sums over the whole batch: the shard's part of the blocks, and what pairs need.
    #[inline(always)]
    pub(crate) fn prepare<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        shared: &mut Shared<T>,
        manner: Manner,
    ) {
        let Manner {
            plan,
            pairing,
            want,
        } = manner;
        let f = &shared.forward;
        self.contraction.clear(f, want);
        self.assembled
            .form(unit, f, &plan, &mut shared.blocks, want);
        self.gram.prepare(unit, f, pairing, &mut shared.prepared);
    }

    /// The norms that come from pairs, and the contractions. The blocks and projections of shard 0 are the sums.
    #[inline(always)]
    pub(crate) fn contract<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        shards: &[Shared<T>],
        own: usize,
        manner: Manner,
        watch: Option<&Watch>,
    ) {
        let f = &shards[own].forward;
        let out = &mut self.contraction;
        self.assembled
            .contract(unit, f, &manner.plan, &shards[0].blocks, out, manner.want);
        self.gram.blocks(unit, shards, own, manner, out, watch);
    }
}
