//! What is evaluated: a network, a batch, and its loss at the outputs.

pub(crate) mod activation;
pub(crate) mod batch;
pub(crate) mod loss;
pub(crate) mod network;
