//! The parameters of a network in memory and as safetensors in the layout of PyTorch's `nn.Linear`.

mod chain;
mod file;
mod flat;
mod tensors;
mod view;
mod written;

pub use file::{Found, LayerKeys, WeightsFile};
pub(crate) use flat::ranges;
pub use flat::{Weights, names};
pub use view::View;
pub(crate) use view::three_layers;
pub(crate) use written::tensors_file;
