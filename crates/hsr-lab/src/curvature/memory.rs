//! The memory that the closed form of a deep network takes, before any of it is allocated.

use hsr_core::depth::{DeepEvaluation, DeepWorkspace, LayerShape};
use hsr_core::{Error, OutputLoss, Quantity};

use super::sizes;

/// Refuses what does not fit the limit.
pub(crate) fn check(
    quantity: Quantity,
    layers: &[LayerShape],
    loss: OutputLoss,
    samples: usize,
    limit: u64,
) -> Result<(), Error> {
    let workspace = DeepWorkspace::<f64>::new();
    let needed = workspace.memory(quantity, layers, loss, samples, &DeepEvaluation::Auto)?;
    if needed <= limit {
        return Ok(());
    }
    let (hidden, outputs) = sizes(layers);
    Err(Error::Memory {
        what: quantity.name(),
        samples,
        hidden,
        outputs,
        needed,
        limit,
    })
}
