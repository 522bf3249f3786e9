//! The stages of an evaluation at any depth, each compiled once for both scalar types, here and not in every crate that
//! uses them, so that how fast they are does not depend on how those crates are compiled.

use core::ops::Range;

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::{Adjoints, BlockAdjoints};
use crate::depth::blocks::evaluate;
use crate::depth::blocks::scratch::Scratch;
use crate::depth::blocks::source::Source;
use crate::depth::blocks::way::Way;
use crate::depth::network::FeedForward;
use crate::depth::objective::Weights;
use crate::depth::passes::kernel::Kernel;
use crate::depth::passes::pass::{Part, Pass};
use crate::depth::passes::product::Product;
use crate::depth::passes::tangents::{Tangents, trace};
use crate::depth::reverse::bars::{Bars, Point};
use crate::depth::rows;
use crate::error::Error;
use crate::evaluation::out::Out;
use crate::evaluation::team::Team;
use crate::numeric::buffer::Buffer;
use crate::numeric::number::Number;
use crate::problem::batch::{Batch, Normalizer};

/// Declares a trait of stages, each with the generic function that does it.
macro_rules! stages {
    (
        $(#[$of_trait:meta])*
        trait $name:ident: $base:path;
        $($(#[$meta:meta])* fn $stage:ident($($arg:ident: $type:ty),* $(,)?) $(-> $output:ty)? = $does:expr;)*
    ) => {
        $(#[$of_trait])*
        pub trait $name: $base {
            $($(#[$meta])* fn $stage($($arg: $type),*) $(-> $output)?;)*
        }

        crate::depth::stages::stages! { $name for f32: $($stage($($arg: $type),*) $(-> $output)? = $does;)* }
        crate::depth::stages::stages! { $name for f64: $($stage($($arg: $type),*) $(-> $output)? = $does;)* }
    };
    ($name:ident for $scalar:ty: $($stage:ident($($arg:ident: $type:ty),*) $(-> $output:ty)? = $does:expr;)*) => {
        impl $name for $scalar {
            $(fn $stage($($arg: $type),*) $(-> $output)? {
                $does($($arg),*)
            })*
        }
    };
}
pub(in crate::depth) use stages;

stages! {
    /// The stages for a scalar type.
    trait Stages: Number;

    /// Everything up to the residual r of some samples. Gives their part of the loss.
    fn forward(
        pass: &mut Pass<Self>,
        network: &FeedForward<Self>,
        batch: &Batch<Self>,
        normalizer: Normalizer<Self>,
        range: Range<usize>
    ) -> Result<Self, Error> = Pass::forward;

    /// σ of these samples.
    fn largest(pass: &Pass<Self>) -> Self = Pass::largest;

    /// r and S divided by σ.
    fn divide(pass: &mut Pass<Self>, sigma: Self) = Pass::divide;

    /// δ, u and c of every layer.
    fn backward(pass: &mut Pass<Self>, network: &FeedForward<Self>, part: Part) = Pass::backward;

    /// ∂L/∂θ, times a factor.
    fn loss_gradient(pass: &Pass<Self>, network: &FeedForward<Self>, factor: Self, gradient: &mut [Self])
        = Pass::loss_gradient;

    /// ∂L/∂x, times a factor.
    fn input_adjoint(pass: &Pass<Self>, network: &FeedForward<Self>, factor: Self, out: &mut Buffer<Self>)
        = Pass::input_adjoint;

    /// J, A, U and Q of every seed layer.
    fn tangents(tangents: &mut Tangents<Self>, network: &FeedForward<Self>, pass: &Pass<Self>, part: Part, team: Team)
        = Tangents::run;

    /// t_l.
    fn trace(pass: &Pass<Self>, tangents: &Tangents<Self>, l: usize, sums: &mut [Buffer<Self>; 2]) -> Self = trace;

    /// q_{kl}, and the adjoints that are wanted.
    fn block(
        source: &Source<Self>,
        id: BlockId,
        way: Way<Self>,
        adjoints: &mut BlockAdjoints<Self>,
        scratch: &mut Scratch<Self>
    ) -> Self = evaluate;

    /// The gradient from the blocks' adjoints.
    fn pull_back(
        bars: &mut Bars<Self>,
        point: Point<Self>,
        adjoints: &mut Adjoints<Self>,
        weights: &Weights,
        out: Out<Self>,
        team: Team
    ) = Bars::pull_back;

    /// H v.
    fn product(
        product: &mut Product<Self>,
        network: &FeedForward<Self>,
        pass: &mut Pass<Self>,
        v: &[Self],
        hv: &mut [Self],
        input_gradient: Option<&mut [Self]>
    ) = Product::hessian_vector;

    /// pᵀHv with the v of the last product, and its gradient.
    fn bilinear(
        product: &mut Product<Self>,
        network: &FeedForward<Self>,
        pass: &mut Pass<Self>,
        p: &[Self],
        v: &[Self],
        gradient: &mut [Self],
        input_gradient: Option<&mut [Self]>
    ) -> Self = Product::bilinear;

    /// The blocks of the neural tangent kernel.
    fn kernel(kernel: &mut Kernel<Self>, pass: &Pass<Self>, tangents: &Tangents<Self>) = Kernel::run;

    /// a += b.
    fn add_to(a: &mut [Self], b: &[Self]) = rows::add;

    /// aᵀb.
    fn dot(a: &[Self], b: &[Self]) -> Self = rows::dot;
}
