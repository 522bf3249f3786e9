//! Passes over the layers: forward, backward, along directions, and along the pushes of every layer.

pub(in crate::depth) mod kernel;
pub(in crate::depth) mod output;
pub(in crate::depth) mod pass;
pub(in crate::depth) mod product;
pub(in crate::depth) mod tangents;
