//! The reverse mode: from the adjoints of the blocks to the gradient.

pub(in crate::depth) mod bars;
pub(in crate::depth) mod pullback;
mod tangents;
