//! The memory that the closed form of a deep network takes, before any of it is allocated.

use hsr_core::depth::{DeepEvaluation, DeepWorkspace, LayerShape};
use hsr_core::{Error, OutputLoss, Quantity};

use crate::architecture::ends;

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

/// What the widths of a network are called where there is no room for them all: hidden units in all, and outputs.
pub(crate) fn sizes(layers: &[LayerShape]) -> (usize, usize) {
    let hidden = &layers[..layers.len().saturating_sub(1)];
    let units = hidden.iter().map(|layer| layer.outputs);
    let units = units.fold(0, usize::saturating_add);
    (units, ends(layers)[1])
}
