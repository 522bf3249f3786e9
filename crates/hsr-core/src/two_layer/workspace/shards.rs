//! The stages of an evaluation, each for all shards.

use core::ops::Range;

use crate::bounds::{Moments, SpectralWeights};
use crate::error::Error;
use crate::evaluation::out::Out;
use crate::evaluation::quantity::Quantity;
use crate::evaluation::shards;
use crate::evaluation::watch::Watch;
use crate::numeric::buffer::fit;
use crate::numeric::lanes::{add_scaled, dot};
use crate::problem::batch::{Batch, Normalizer};
use crate::problem::network::Network;
use crate::two_layer::buffers::Own;
use crate::two_layer::contraction::Want;
use crate::two_layer::formed::Blocks;
use crate::two_layer::forward::{Curvature, Part};
use crate::two_layer::gram::tile::total;
use crate::two_layer::plan::Plan;
use crate::two_layer::prepared::{Manner, Pairing};
use crate::two_layer::samples::Forward;
use crate::two_layer::shard::Shared;
use crate::two_layer::stages::Stages;
use crate::two_layer::stages::{
    ContractStage, CurvatureStage, ForwardStage, LargestStage, NormsStage, PrepareStage,
    PullbackStage,
};
use crate::two_layer::workspace::Workspace;

/// What the shards do before their blocks are added up.
#[derive(Clone, Copy)]
pub(super) struct Preparation {
    manner: Manner,
    part: Option<Part>,
}

impl Preparation {
    /// For shards that have been through the forward pass.
    pub(super) fn new<T: Stages>(
        shards: &[Shared<T>],
        plan: Plan,
        want: Want,
        part: Option<Part>,
    ) -> Self {
        let pairing = Pairing::new(&shards[0].forward, &plan, total(shards));
        Self {
            manner: Manner {
                plan,
                pairing,
                want,
            },
            part,
        }
    }

    pub(super) fn run<T: Stages>(self, shared: &mut Shared<T>, own: &mut Own<T>) {
        let Self { manner, part } = self;
        if let Some(part) = part {
            shared.forward.keep_part(part);
        }
        T::prepare(PrepareStage {
            shared,
            own,
            manner,
        });
    }
}

impl<T: Stages> Workspace<T> {
    /// The moments of H/σ.
    pub(super) fn contract(&mut self, plan: Plan, want: Want) -> Result<Moments<T>, Error> {
        let preparation = Preparation::new(&self.shards[..self.used], plan, want, None);
        let shards = &mut self.shards[..self.used];
        let own = &mut self.own[..self.used];
        self.team
            .each(shards.iter_mut().zip(own), |_, (shared, own)| {
                preparation.run(shared, own);
            });
        self.contract_prepared(preparation)
    }

    /// The moments of H/σ from what each shard has prepared.
    pub(super) fn contract_prepared(
        &mut self,
        preparation: Preparation,
    ) -> Result<Moments<T>, Error> {
        let Manner { plan, pairing, .. } = preparation.manner;
        let parameters = self.shards[0].forward.dims().parameters();
        self.plan = Some(plan);
        let (first, rest) = self.shards[..self.used].split_at_mut(1);
        for other in rest {
            first[0].blocks.add(&other.blocks);
            first[0].prepared.add_projections(&other.prepared, pairing);
        }
        self.contract_blocks(preparation)?;
        let own = &self.own[..self.used];
        let of_pairs: T = own
            .iter()
            .map(|own| own.contraction.frobenius_squared())
            .sum();
        self.moments_of(&self.shards[0].blocks, self.trace(), of_pairs, parameters)
    }

    /// What each shard makes of the blocks of the whole batch, which are those of the first, and of the pairs.
    pub(super) fn contract_blocks(&mut self, preparation: Preparation) -> Result<(), Error> {
        let manner = preparation.manner;
        let shards = &self.shards[..self.used];
        let watch = self.watch.as_ref();
        self.team
            .each(self.own[..self.used].iter_mut(), |index, own| {
                T::contract(ContractStage {
                    shards,
                    index,
                    own,
                    manner,
                    watch,
                });
            });
        watch.map_or(Ok(()), Watch::check)
    }

    /// The moments from the blocks that are formed and the part of ‖H‖² that pairs of samples give.
    pub(super) fn moments_of(
        &self,
        blocks: &Blocks<T>,
        trace: T,
        of_pairs: T,
        parameters: usize,
    ) -> Result<Moments<T>, Error> {
        let [output, hidden, cross] = T::norms(NormsStage(blocks));
        let formed = output + hidden + T::of(2.0) * cross;
        let moments = Moments {
            trace,
            frobenius_squared: formed + of_pairs,
            parameters,
        };
        if !moments.frobenius_squared.is_finite() || !moments.trace.is_finite() {
            return Err(Error::Overflow { what: "‖H‖²" });
        }
        Ok(moments)
    }

    /// The gradient of what has these weights, after its contraction.
    pub(crate) fn pull_back(
        &mut self,
        network: &Network<T>,
        weights: &SpectralWeights,
        out: &mut Out<T>,
    ) {
        let shards = &self.shards[..self.used];
        let own = &mut self.own[..self.used];
        if let ([shared], [own]) = (shards, &mut *own) {
            return T::pull_back(PullbackStage {
                pullback: &mut own.pullback,
                network,
                forward: &shared.forward,
                contraction: &own.contraction,
                weights,
                out,
            });
        }
        let parameters = out.parameters.len();
        let one = |index: usize, own: &mut Own<T>, inputs: Option<&mut [T]>| {
            T::pull_back(PullbackStage {
                pullback: &mut own.pullback,
                network,
                forward: &shards[index].forward,
                contraction: &own.contraction,
                weights,
                out: &mut Out {
                    parameters: fit(&mut own.gradient, parameters),
                    inputs,
                },
            });
        };
        match out.inputs.as_deref_mut() {
            None => self
                .team
                .each(own.iter_mut(), |index, own| one(index, own, None)),
            Some(inputs) => {
                let length = shards[0].forward.samples * network.dimensions().inputs;
                let parts = own.iter_mut().zip(inputs.chunks_mut(length));
                self.team.each(parts, |index, (own, inputs)| {
                    one(index, own, Some(inputs));
                });
            }
        }
        self.add_gradients(out.parameters);
    }

    /// The sum of the gradients that each shard has written.
    pub(crate) fn add_gradients(&self, out: &mut [T]) {
        out.fill(T::zero());
        for own in &self.own[..self.used] {
            add_scaled(out, T::one(), &own.gradient[..out.len()]);
        }
    }

    /// Everything up to the residuals of the samples in `range`, which are of a checked batch, in `count` shards. Gives
    /// their part of the loss, or 0 where it is not wanted.
    pub(crate) fn forward_in(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        normalizer: Normalizer<T>,
        range: Range<usize>,
        count: usize,
        with_loss: bool,
    ) -> Result<T, Error> {
        let count = shards::count::<T>(range.len(), count);
        self.used = count;
        if self.shards.len() < count {
            self.shards.resize_with(count, Shared::default);
            self.own.resize_with(count, Own::default);
        }
        self.team
            .each(self.shards[..count].iter_mut(), |index, shared| {
                let part = shards::range::<T>(range.len(), count, index);
                shared.loss = T::forward(ForwardStage {
                    forward: &mut shared.forward,
                    network,
                    batch,
                    normalizer,
                    range: range.start + part.start..range.start + part.end,
                    with_loss,
                });
            });
        let mut loss = T::zero();
        for shard in &mut self.shards[..count] {
            loss += core::mem::replace(&mut shard.loss, Ok(T::zero()))?;
        }
        if loss.is_finite() {
            Ok(loss)
        } else {
            Err(Error::Overflow { what: "the loss" })
        }
    }

    /// From the samples to what `what` wants of the curvature, in one shard.
    pub(crate) fn evaluate(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        what: Curvature,
        quantity: Quantity,
    ) -> Result<(), Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let mut case = self.case_of_pass(quantity, &dims, batch.loss(), samples)?;
        case.chunk = samples;
        case.in_basis = what == Curvature::InBasis;
        if case.bytes::<T>() > self.limit() as f64 {
            return Err(case.refuse::<T>(self.limit()));
        }
        self.hold(case)?;
        let normalizer = batch.normalizer(samples)?;
        self.forward_in(network, batch, normalizer, 0..samples, 1, false)?;
        let largest = self.largest();
        self.curvature(network, what, largest, |_, _| ())
    }

    /// max(|S|, |r|) of the samples that have been through the forward pass.
    pub(super) fn largest(&self) -> T {
        self.shards[..self.used]
            .iter()
            .map(|shard| T::largest(LargestStage(&shard.forward)))
            .fold(T::zero(), T::max)
    }

    /// From the residuals to what `what` wants of the curvature, and in the same pass over the shards what `then` makes
    /// of it. `largest` is max(|S|, |r|) of the whole batch.
    pub(super) fn curvature(
        &mut self,
        network: &Network<T>,
        what: Curvature,
        largest: T,
        then: impl Fn(&mut Shared<T>, &mut Own<T>) + Sync,
    ) -> Result<(), Error> {
        let shards = &mut self.shards[..self.used];
        let own = &mut self.own[..self.used];
        let pairs = shards.iter_mut().zip(own);
        self.team.each(pairs, |_, (shared, own)| {
            let curvature = T::curvature(CurvatureStage {
                forward: &mut shared.forward,
                network,
                what,
                largest,
            });
            if curvature.is_ok() {
                then(shared, own);
            }
            shared.loss = curvature.map(|()| T::zero());
        });
        for shard in &mut self.shards[..self.used] {
            core::mem::replace(&mut shard.loss, Ok(T::zero()))?;
        }
        Ok(())
    }

    /// t = Σ tr S · ‖ã‖² + tr M · ‖x̃‖².
    pub(crate) fn trace(&self) -> T {
        let of_shard = |f: &Forward<T>| {
            let n = f.stride;
            dot(&f.trace_s[..n], &f.a_squared[..n]) + dot(&f.trace_m[..n], &f.x_squared[..n])
        };
        self.shards[..self.used]
            .iter()
            .map(|shard| of_shard(&shard.forward))
            .sum()
    }
}
