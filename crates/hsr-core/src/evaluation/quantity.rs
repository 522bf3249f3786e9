//! What can be asked for.

/// What a [`Workspace`](crate::Workspace) is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The loss, or the logits.
    Loss,
    /// The loss with its gradient.
    LossGradient,
    /// Products with the Hessian.
    HessianProduct,
    /// The bounds, or other moments of the Hessian.
    Bounds,
    /// The same with their gradient for the parameters, and the loss with its own.
    BoundsGradient,
    /// The same with that for the inputs.
    BoundsInputGradient,
    /// tr H with its gradients.
    TraceGradient,
    /// vᵀHv with its gradients.
    CurvatureAlongGradient,
}

impl Quantity {
    /// What it is called in the refusal of what does not fit into the memory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "the loss",
            Self::LossGradient => "the gradient of the loss",
            Self::HessianProduct => "products with the Hessian",
            Self::Bounds => "‖H‖",
            Self::BoundsGradient | Self::BoundsInputGradient => "the gradient of ‖H‖",
            Self::TraceGradient => "the gradient of tr H",
            Self::CurvatureAlongGradient => "the gradient of vᵀHv",
        }
    }
}

/// A dense Hessian is refused beyond this many parameters: 1.2 GiB in f64.
pub const DENSE_LIMIT: usize = 12_288;
