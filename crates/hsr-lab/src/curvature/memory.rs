//! The memory that the closed form of a deep network takes, before any of it is allocated.

use hsr_core::Error;
use hsr_core::depth::LayerShape;

use super::sizes;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    /// L, its gradient, logits.
    Loss,
    /// Products with the Hessian.
    Product,
    /// t_l and q_{kl}.
    Bounds,
    /// Their gradient.
    Gradient,
}

/// Values beyond which a block of layers is never assembled.
const LARGEST_BLOCK: f64 = (1 << 26) as f64;

/// The bytes that it takes: what each layer keeps of a sample, the tangents of every pair of layers with their adjoints,
/// and the largest block where that is formed. An estimate, from above.
fn bytes(needed: Needed, layers: &[LayerShape], samples: usize) -> f64 {
    let samples = samples as f64 + 8.0;
    let inputs = layers.first().map_or(0, |layer| layer.inputs);
    let widths: f64 = layers.iter().map(|layer| layer.outputs as f64).sum();
    let parameters: f64 = layers
        .iter()
        .map(|layer| layer.outputs as f64 * (layer.inputs as f64 + 1.0))
        .sum();
    let units = 10.0 * widths + 2.0 * inputs as f64;
    let mut pairs = 0.0;
    let mut block: f64 = 0.0;
    for (l, seed) in layers.iter().enumerate() {
        for above in &layers[l..] {
            pairs += seed.outputs as f64 * above.outputs as f64;
            let of_block = (seed.outputs * seed.inputs_extended()) as f64
                * above.outputs as f64
                * above.inputs_extended() as f64;
            block = block.max(of_block);
        }
    }
    let block = block.min(LARGEST_BLOCK);
    let values = match needed {
        Needed::Loss => samples * units + 2.0 * parameters,
        Needed::Product => samples * 4.0 * units + 4.0 * parameters,
        Needed::Bounds => samples * (units + 5.0 * pairs) + 2.0 * block,
        Needed::Gradient => samples * (2.0 * units + 10.0 * pairs) + 3.0 * block + 2.0 * parameters,
    };
    8.0 * values
}

/// Refuses what does not fit the limit.
pub(crate) fn check(
    needed: Needed,
    layers: &[LayerShape],
    samples: usize,
    limit: u64,
) -> Result<(), Error> {
    let takes = bytes(needed, layers, samples);
    if takes <= limit as f64 {
        return Ok(());
    }
    let (hidden, outputs) = sizes(layers);
    Err(Error::Memory {
        what: match needed {
            Needed::Loss => "the loss",
            Needed::Product => "products with the Hessian",
            Needed::Bounds => "‖H‖",
            Needed::Gradient => "the gradient of λ_sup",
        },
        samples,
        hidden,
        outputs,
        needed: takes as u64,
        limit,
    })
}
