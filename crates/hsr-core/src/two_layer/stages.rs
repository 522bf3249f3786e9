//! The stages of an evaluation, each compiled once for every instruction set and both scalar types, here and not in
//! every crate that uses them.

use core::ops::Range;

use pulp::Simd;

use crate::bounds::SpectralWeights;
use crate::error::Error;
use crate::evaluation::out::Out;
use crate::evaluation::watch::Watch;
use crate::numeric::buffer::Buffer;
use crate::numeric::dispatch::{Verb, vectorized};
use crate::numeric::number::Number;
use crate::numeric::vectors::Unit;
use crate::problem::batch::{Batch, Normalizer};
use crate::problem::network::Network;
use crate::two_layer::buffers::Own;
use crate::two_layer::contraction::Contraction;
use crate::two_layer::directional::Directional;
use crate::two_layer::formed::Blocks;
use crate::two_layer::forward::Curvature;
use crate::two_layer::prepared::Manner;
use crate::two_layer::product::{Along, product};
use crate::two_layer::pullback::Pullback;
use crate::two_layer::samples::Forward;
use crate::two_layer::shard::Shared;

/// The stages for a scalar type.
pub trait Stages: Number {
    fn forward(stage: ForwardStage<Self>) -> Result<Self, Error>;
    fn curvature(stage: CurvatureStage<Self>) -> Result<(), Error>;
    fn loss_gradient(stage: LossGradientStage<Self>);
    fn largest(stage: LargestStage<Self>) -> Self;
    fn norms(stage: NormsStage<Self>) -> [Self; 3];
    fn prepare(stage: PrepareStage<Self>);
    fn contract(stage: ContractStage<Self>);
    fn pull_back(stage: PullbackStage<Self>);
    fn product(stage: ProductStage<Self>);
    fn directional(stage: DirectionalStage<Self>) -> Self;
}

macro_rules! stages {
    ($($scalar:ty),*) => {$(
        impl Stages for $scalar {
            fn forward(stage: ForwardStage<Self>) -> Result<Self, Error> {
                vectorized(stage)
            }
            fn curvature(stage: CurvatureStage<Self>) -> Result<(), Error> {
                vectorized(stage)
            }
            fn loss_gradient(stage: LossGradientStage<Self>) {
                vectorized(stage);
            }
            fn largest(stage: LargestStage<Self>) -> Self {
                vectorized(stage)
            }
            fn norms(stage: NormsStage<Self>) -> [Self; 3] {
                vectorized(stage)
            }
            fn prepare(stage: PrepareStage<Self>) {
                vectorized(stage);
            }
            fn contract(stage: ContractStage<Self>) {
                vectorized(stage);
            }
            fn pull_back(stage: PullbackStage<Self>) {
                vectorized(stage);
            }
            fn product(stage: ProductStage<Self>) {
                vectorized(stage);
            }
            fn directional(stage: DirectionalStage<Self>) -> Self {
                vectorized(stage)
            }
        }
    )*};
}

stages!(f32, f64);

/// Up to the residuals of a shard; gives its part of the loss, or 0 where it is not wanted.
pub struct ForwardStage<'a, T> {
    pub forward: &'a mut Forward<T>,
    pub network: &'a Network<'a, T>,
    pub batch: &'a Batch<'a, T>,
    pub normalizer: Normalizer<T>,
    pub range: Range<usize>,
    pub with_loss: bool,
}

impl<T: Number> Verb for ForwardStage<'_, T> {
    type Output = Result<T, Error>;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Self::Output {
        let Self {
            forward,
            network,
            batch,
            normalizer,
            range,
            with_loss,
        } = self;
        forward.run(network, batch, normalizer, range, with_loss)
    }
}

/// From the residuals of a shard to S, U, Q, g and c.
pub struct CurvatureStage<'a, T> {
    pub forward: &'a mut Forward<T>,
    pub network: &'a Network<'a, T>,
    pub what: Curvature,
    pub largest: T,
}

impl<T: Number> Verb for CurvatureStage<'_, T> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        self.forward
            .curvature(Unit::new(simd), self.network, self.what, self.largest)
    }
}

/// ∂L/∂θ of a shard that has been through the forward pass.
pub struct LossGradientStage<'a, T> {
    pub forward: &'a Forward<T>,
    pub network: &'a Network<'a, T>,
    pub delta: &'a mut Buffer<T>,
    pub gradient: &'a mut [T],
}

impl<T: Number> Verb for LossGradientStage<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self {
            forward,
            network,
            delta,
            gradient,
        } = self;
        forward.loss_gradient(network, delta, gradient);
    }
}

/// max(|S|, |r|) of a shard.
pub struct LargestStage<'a, T>(pub &'a Forward<T>);

impl<T: Number> Verb for LargestStage<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> T {
        self.0.largest()
    }
}

/// ‖H22‖², ‖H11‖² and ‖H21‖² where they are formed.
pub struct NormsStage<'a, T>(pub(crate) &'a Blocks<T>);

impl<T: Number> Verb for NormsStage<'_, T> {
    type Output = [T; 3];

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [T; 3] {
        self.0.norms()
    }
}

/// A shard's part of the blocks, and what pairs need of it.
pub struct PrepareStage<'a, T> {
    pub shared: &'a mut Shared<T>,
    pub own: &'a mut Own<T>,
    pub manner: Manner,
}

impl<T: Number> Verb for PrepareStage<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.own.prepare(Unit::new(simd), self.shared, self.manner);
    }
}

/// The norms of the blocks and their contractions with a shard.
pub struct ContractStage<'a, T> {
    pub shards: &'a [Shared<T>],
    pub index: usize,
    pub own: &'a mut Own<T>,
    pub manner: Manner,
    pub(crate) watch: Option<&'a Watch>,
}

impl<T: Number> Verb for ContractStage<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            shards,
            index,
            own,
            manner,
            watch,
        } = self;
        own.contract(Unit::new(simd), shards, index, manner, watch);
    }
}

/// The gradient from the contractions.
pub struct PullbackStage<'a, 'o, T> {
    pub pullback: &'a mut Pullback<T>,
    pub network: &'a Network<'a, T>,
    pub forward: &'a Forward<T>,
    pub contraction: &'a Contraction<T>,
    pub weights: &'a SpectralWeights,
    pub out: &'a mut Out<'o, T>,
}

impl<T: Number> Verb for PullbackStage<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.pullback.run(
            Unit::new(simd),
            self.network,
            self.forward,
            self.contraction,
            self.weights,
            self.out,
        );
    }
}

/// H v.
pub struct ProductStage<'a, T> {
    pub network: &'a Network<'a, T>,
    pub forward: &'a Forward<T>,
    pub buffers: &'a mut Along<T>,
    pub v: &'a [T],
    pub product: &'a mut [T],
}

impl<T: Number> Verb for ProductStage<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        product(
            self.network,
            self.forward,
            self.buffers,
            self.v,
            self.product,
        );
    }
}

/// vᵀHv and its gradient.
pub struct DirectionalStage<'a, 'o, T> {
    pub directional: &'a mut Directional<T>,
    pub network: &'a Network<'a, T>,
    pub forward: &'a Forward<T>,
    pub v: &'a [T],
    pub out: &'a mut Out<'o, T>,
}

impl<T: Number> Verb for DirectionalStage<'_, '_, T> {
    type Output = T;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> T {
        self.directional
            .run(self.network, self.forward, self.v, self.out)
    }
}
