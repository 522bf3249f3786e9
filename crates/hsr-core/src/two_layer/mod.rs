//! One hidden layer: the specialisation that most evaluations take.
//!
//! From the samples' quantities ([`samples`], [`forward`], [`kernels`]) over the blocks, formed ([`assembled`]) or as sums
//! over pairs ([`gram`]), to the gradient ([`pullback`]); [`workspace`] has the verbs.

pub(crate) mod assembled;
pub(crate) mod buffers;
pub(crate) mod contraction;
pub(crate) mod directional;
pub(crate) mod formed;
pub(crate) mod forward;
pub(crate) mod gram;
pub(crate) mod kernels;
pub(crate) mod memory;
pub(crate) mod output_basis;
pub(crate) mod plan;
pub(crate) mod prepared;
pub(crate) mod product;
pub(crate) mod pullback;
pub(crate) mod samples;
pub(crate) mod shard;
pub(crate) mod stages;
pub(crate) mod work;
pub(crate) mod workspace;
