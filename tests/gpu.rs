//! The device suite in one executable, for `.ci/gpu` to carry to a machine with a GPU: each would bring all of Burn.

mod any_depth;
mod backends;
mod kernels;
mod sam;
mod stochastic_hsr;
