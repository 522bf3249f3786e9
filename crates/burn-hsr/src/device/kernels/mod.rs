//! The closed form in few launches: CubeCL kernels for everything that is done to each number, each sample or each
//! hidden unit, and Burn's matrix products between them.
//!
//! λ_sup and its gradient are 30 to 32 launches, with the gradient for the inputs 35 or 36, whatever the sizes; each
//! further strip of a wide hidden layer adds a few. As a [penalty](crate::Hsr::penalty), whose operations Burn fuses, they
//! are 40 to 42 and, with tracked inputs, 48 or 49; its backward pass is 15 or 19 more. Without fusion they are up to 58
//! and 22. `tests/read_backs.rs` counts them, and the read-backs, of which there are none. In half precision each
//! parameter and each part of the gradient is also cast.
//!
//! The kernels are compiled for a precision, a loss, an activation and a plan, not for sizes. They bind at most seven
//! buffers, what WebGPU promises less one for the sizes: see [`layout`]. The device is asked first, whatever its runtime,
//! and [`tensors`](super::tensors) takes over where it has less.
//!
//! The kernels are in [`forward`] (theory §1), [`contraction`] (§3), [`moments`] and [`pullback`] (§4); who launches them,
//! with the matrix products between, in [`batch`], [`blocks`] and [`descent`].
//!
//! Reference for the mechanism: the Burn book, "Custom CubeCL Kernel".

// The macro adds a client and two sizes to the arguments of a kernel, which are the buffers that it binds.
#![allow(clippy::too_many_arguments)]
// A kernel has no iterators, and a condition known at compile time is no operand of one that is not.
#![allow(clippy::needless_range_loop, clippy::collapsible_if)]

mod activation;
mod batch;
mod blocks;
mod boundary;
mod buffer;
mod common;
mod contraction;
mod descent;
mod forward;
mod layout;
mod moments;
mod pullback;

use burn::tensor::DType;
use cubecl::prelude::Float;

use batch::Batch;

use super::problem::Problem;
use crate::gradient::HsrGradient;

/// λ_sup or the trace or the norm of H, and its gradient; `None` where the tensors are not on a device of CubeCL, the
/// device has not the precision, binds too few or too small buffers, or the activation has no kernel.
pub(super) fn gradient(problem: &Problem) -> Option<HsrGradient> {
    match problem.inputs.dtype() {
        DType::F32 => gradient_in::<f32>(problem),
        DType::F64 if problem.inputs.device().supports_dtype(DType::F64) => {
            gradient_in::<f64>(problem)
        }
        _ => None,
    }
}

fn gradient_in<F: Float>(problem: &Problem) -> Option<HsrGradient> {
    let batch = Batch::<F>::run(problem)?;
    let contraction = batch.contract(problem.with_inputs)?;
    let value = batch.moments(problem, &contraction)?;
    batch.pull(problem, &contraction, value)
}
