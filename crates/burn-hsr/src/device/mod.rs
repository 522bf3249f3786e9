//! Device execution: the closed form on the model's device, on any backend, with nothing read back.
//!
//! The same formulas as hsr-core (theory §1 to §4), written over whole batches. Shapes: samples first, `[N, K, h]` for
//! U and Q, `[N, h, h]` for M; nothing of size N·K·h² is formed. Three ways of the same:
//!
//! * [`tensors`]: plain tensor operations, on every backend;
//! * [`depth`]: any depth, the value in tensor operations and its gradient by autodiff;
//! * [`kernels`]: CubeCL kernels beside Burn's matrix products, on its devices (feature `kernels`). They form M some rows of
//!   every sample at a time, so that their memory grows with N·(d + K·h).

mod depth;
#[cfg(feature = "kernels")]
mod kernels;
mod moments;
mod output;
mod problem;
mod tensors;

use burn::tensor::{DType, Tensor};
use hsr_core::Plan;

use crate::config::HsrConfig;
use crate::error::HsrError;
use crate::gradient::HsrGradient;
use crate::host::dtype_of;
use crate::layers::{Layer, Layers, shapes, three_layers};
use crate::targets::Targets;

pub(crate) use output::reduce;
use problem::Problem;

/// λ_sup or the trace or the norm of H, and its gradient.
pub(crate) fn gradient<M: Layers>(
    config: &HsrConfig,
    model: &M,
    inputs: Tensor<2>,
    targets: Targets,
    with_inputs: bool,
) -> Result<HsrGradient, HsrError> {
    // Squares of half-precision values overflow and vanish: moments are computed in single precision.
    let given = dtype_of(model);
    let dtype = match given {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    };
    let inputs = inputs.inner().cast(dtype);
    let shapes = shapes(model);
    let layers = model.layers();
    let weight = |layer: &Layer| layer.linear().weight.val().inner().cast(dtype);
    let bias = |layer: &Layer| {
        let bias = layer.linear().bias.as_ref();
        bias.map(|bias| bias.val().inner().cast(dtype))
    };
    let (Some((dims, activation)), [hidden, output]) = (three_layers(&shapes), &layers[..]) else {
        let problem = depth::Problem {
            config,
            inputs,
            targets,
            weights: layers.iter().map(weight).collect(),
            biases: layers.iter().map(bias).collect(),
            shapes: &shapes,
            with_inputs,
        };
        return Ok(depth::gradient(problem).cast(given));
    };
    let [samples, _] = inputs.dims();
    let problem = Problem {
        config,
        dims,
        activation,
        plan: Plan::new(config.evaluation, &dims, samples)?,
        inputs,
        targets,
        weights: [hidden, output].map(weight),
        biases: [hidden, output].map(bias),
        with_inputs,
    };
    #[cfg(not(feature = "kernels"))]
    warn_of_kernels(&problem.inputs.device());
    // The kernels know no weights of outputs.
    #[cfg(feature = "kernels")]
    if problem.targets.output_weights.is_none()
        && let Some(gradient) = kernels::gradient(&problem)
    {
        return Ok(gradient.cast(given));
    }
    Ok(tensors::gradient(problem).cast(given))
}

/// Says once that a GPU is there and its kernels are not: Burn's features alone do not bring them.
#[cfg(not(feature = "kernels"))]
fn warn_of_kernels(device: &burn::tensor::Device) {
    static SAID: std::sync::Once = std::sync::Once::new();
    if burn_penalty::Reach::of(device) == burn_penalty::Reach::Device {
        SAID.call_once(|| {
            log::warn!(
                "burn-hsr was built without the feature of this GPU's backend, such as wgpu: without its kernels a \
                 penalty takes some 300 operations"
            );
        });
    }
}
