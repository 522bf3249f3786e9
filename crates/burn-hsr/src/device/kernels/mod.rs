//! The closed form in few launches: CubeCL kernels for everything that is done to each number, each sample or each
//! hidden unit, and Burn's matrix products between them.
//!
//! λ_sup and its gradient are 30 to 32 launches, with the gradient for the inputs 36 or 37, whatever the sizes. As a
//! [penalty](crate::Hsr::penalty) they are 47 to 49 and, with tracked inputs, 57 or 58; its backward pass is 18 or 22
//! more. `tests/read_backs.rs` counts them, and the read-backs, of which there are none. In half precision each
//! parameter and each part of the gradient is also cast.
//!
//! The kernels are compiled for a loss, an activation and a plan, not for sizes. They bind up to 21 buffers, more than
//! WebGPU in a browser and some software drivers offer: the device is asked first, whatever its runtime, and
//! [`tensors`](super::tensors) takes over where it binds fewer.
//!
//! The kernels are in [`forward`] (theory §1), [`contraction`] (§3), [`moments`] and [`pullback`] (§4); who launches them,
//! with the matrix products between, in [`batch`], [`blocks`] and [`descent`].
//!
//! Reference for the mechanism: the Burn book, "Custom CubeCL Kernel".

// A kernel's arguments are the buffers it binds and its sizes; the macro would take a struct of them apart again.
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
mod moments;
mod pullback;

use hsr_core::{BlockEvaluation, Plan};

use batch::Batch;
use contraction::Blocks;

use super::problem::Problem;
use crate::gradient::HsrGradient;

/// λ_sup or the trace or the norm of H, and its gradient; `None` where the tensors are not on a device of CubeCL or not in single
/// precision, the device binds too few buffers, or the activation has no kernel.
pub(super) fn gradient(problem: &Problem) -> Option<HsrGradient> {
    let batch = Batch::run(problem)?;
    let plan = problem.plan;
    let gram = Blocks::of(plan, BlockEvaluation::Gram);
    let assembled = Blocks::of(plan, BlockEvaluation::Assembled);
    let contraction = batch.contract(gram, assembled, problem.with_inputs)?;
    let moments = batch.moments(problem, &contraction)?;
    batch.pull(problem, gram, &contraction, &moments)
}

/// N, d, h and K, and d̃ and h̃, which count the biases.
#[derive(Clone, Copy)]
struct Sizes {
    samples: usize,
    inputs: usize,
    hidden: usize,
    outputs: usize,
    inputs_extended: usize,
    hidden_extended: usize,
}

impl Sizes {
    /// What the inner product of two extended rows has beyond that of the rows.
    fn ones(&self) -> [f32; 2] {
        [
            (self.inputs_extended - self.inputs) as f32,
            (self.hidden_extended - self.hidden) as f32,
        ]
    }
}

impl Blocks {
    fn of(plan: Plan, evaluation: BlockEvaluation) -> Self {
        Self {
            output: plan.output == evaluation,
            hidden: plan.hidden == evaluation,
            cross: plan.cross == evaluation,
        }
    }
}
