//! Device execution: the closed form on the model's device, on any backend, with nothing read back.
//!
//! The same formulas as hsr-core (theory §1 to §4), written over whole batches. Shapes: samples first, `[N, K, h]` for
//! U and Q, `[N, h, h]` for M; nothing of size N·K·h² is formed. Two ways of the same:
//!
//! * [`tensors`]: plain tensor operations, on every backend;
//! * [`kernels`]: CubeCL kernels beside Burn's matrix products, for single precision on wgpu (feature `wgpu`).

#[cfg(feature = "wgpu")]
mod kernels;
pub(crate) mod tensors;

use burn::tensor::{DType, Tensor};
use hsr_core::{Activation, Dimensions, Plan};

use crate::gradient::HsrGradient;
use crate::targets::Targets;
use crate::{HsrConfig, HsrError, ThreeLayer};

/// The smallest number that has a reciprocal in the type.
pub(crate) fn smallest(dtype: DType) -> f64 {
    dtype
        .finfo()
        .map_or(f64::from(f32::MIN_POSITIVE), |info| info.min_positive)
}

/// What is to be evaluated: plain tensors, without autodiff, all of one type.
struct Problem<'a> {
    config: &'a HsrConfig,
    dims: Dimensions,
    activation: Activation,
    plan: Plan,
    /// x \[N, d\].
    inputs: Tensor<2>,
    targets: Targets,
    /// W1 \[d, h\] and W2 \[h, K\], as Burn has them.
    weights: [Tensor<2>; 2],
    /// b1 \[h\] and b2 \[K\].
    biases: [Option<Tensor<1>>; 2],
    with_inputs: bool,
}

/// λ_sup or the trace or the norm of H, and its gradient.
pub(crate) fn gradient<M: ThreeLayer>(
    config: &HsrConfig,
    model: &M,
    inputs: Tensor<2>,
    targets: Targets,
    with_inputs: bool,
) -> Result<HsrGradient, HsrError> {
    let dims = model.dimensions();
    let (hidden, output) = (model.hidden(), model.output());
    // Squares of half-precision values overflow and vanish: moments are computed in single precision.
    let given = hidden.weight.val().dtype();
    let dtype = match given {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    };
    let inputs = inputs.inner().cast(dtype);
    let [samples, _] = inputs.dims();
    let problem = Problem {
        config,
        dims,
        activation: model.activation(),
        plan: Plan::new(config.evaluation, &dims, samples)?,
        inputs,
        targets,
        weights: [&hidden.weight, &output.weight].map(|weight| weight.val().inner().cast(dtype)),
        biases: [&hidden.bias, &output.bias]
            .map(|bias| bias.as_ref().map(|bias| bias.val().inner().cast(dtype))),
        with_inputs,
    };
    // The kernels know no weights of outputs.
    #[cfg(feature = "wgpu")]
    if problem.targets.output_weights.is_none()
        && let Some(gradient) = kernels::gradient(&problem)
    {
        return Ok(gradient.cast(given));
    }
    Ok(tensors::gradient(problem).cast(given))
}
