//! How a penalty enters a step.

use serde::{Deserialize, Serialize};

/// How the gradient ∇P of a penalty P enters the step.
///
/// Burn's optimizers clip inside their step, each tensor for itself, then add weight decay, then apply momentum and
/// preconditioner, with the settings of each parameter group. A mode says whether ∇P is there by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// strength·∇P is added to the loss's gradient: the optimizer clips the sum of the two and treats it as one,
    /// as it would with an L2 penalty. Weight decay is added to it; in which order does not matter.
    #[default]
    Coupled,
    /// θ ← θ − lr·strength·∇P after the optimizer's step, as AdamW does with weight decay: neither clipped nor
    /// preconditioned. The gradient is that of the point before the step, as is AdamW's decay, so that neither scales
    /// the other.
    ///
    /// lr is the one that the step is given, for each parameter group its own. What an optimizer makes of it
    /// inside is not known here: Muon's factor for a matrix's shape, AdaGrad's `lr_decay`, Adafactor's relative step,
    /// LAMB's trust ratio.
    Decoupled,
    /// As coupled, with ∇P/‖∇P‖, the norm over all parameters that are trained together: what is added has
    /// the length strength whatever the curvature. A zero gradient stays zero. Clipping comes afterwards and per
    /// tensor, so it can bend the direction.
    Direction,
}
