//! The closed form of a network of any depth: one set of verbs for what is computed from weights and data.
//!
//! Three layers without a residual connection go through [`Workspace`], which knows them best; any other network through
//! [`DeepWorkspace`].

mod closed_form;
mod feed_forward;
mod measures;
mod memory;
mod module;
mod operator;
mod surface;

pub use closed_form::Curvature;
pub(crate) use feed_forward::FeedForwardSurface;
pub(crate) use measures::plain_ends;
pub(crate) use memory::{check as check_memory, sizes};
pub(crate) use module::ModuleSurface;
pub use operator::Operator;
pub(crate) use surface::{Surface, is_no_number, loss_anywhere, of_hessian};
