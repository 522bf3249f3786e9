//! What the regulariser descends.

use serde::{Deserialize, Serialize};

/// The measure of sharpness that is descended: λ_sup, which is HSR, or one of its peers in its place, so that a
/// comparison differs in nothing else. All gradients are exact. H is the loss Hessian of the three layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharpness {
    /// λ_sup, the Wolkowicz-Styan bound on the largest eigenvalue of H.
    #[default]
    LambdaSup,
    /// tr H, the sum of the eigenvalues. Cheaper than λ_sup: no product of two samples is needed.
    Trace,
    /// ‖H‖_F, the root of the sum of the squared eigenvalues. As dear as λ_sup.
    Frobenius,
    /// λ_max itself. Its eigenvector is found anew at every step, by Lanczos on exact Hessian-vector products to a
    /// relative residual of 10⁻⁴, always on the host and in f64. Where λ_max is multiple it has no gradient; this is
    /// one of its subgradients.
    LambdaMax,
    /// ‖∇L‖, the length of the loss's gradient: one Hessian-vector product, always on the host. Reference: Y. Zhao,
    /// H. Zhang, X. Hu, "Penalizing gradient norm for efficiently improving generalization in deep learning", ICML
    /// 2022 (who take a difference of gradients for the product).
    GradientNorm,
}

impl Sharpness {
    /// Every measure.
    pub const ALL: [Sharpness; 5] = [
        Sharpness::LambdaSup,
        Sharpness::Trace,
        Sharpness::Frobenius,
        Sharpness::LambdaMax,
        Sharpness::GradientNorm,
    ];

    /// The symbol.
    pub fn name(self) -> &'static str {
        match self {
            Sharpness::LambdaSup => "λ_sup",
            Sharpness::Trace => "tr H",
            Sharpness::Frobenius => "‖H‖_F",
            Sharpness::LambdaMax => "λ_max",
            Sharpness::GradientNorm => "‖∇L‖",
        }
    }

    /// Whether the device execution computes it.
    pub(crate) fn on_device(self) -> bool {
        match self {
            Sharpness::LambdaSup | Sharpness::Trace | Sharpness::Frobenius => true,
            Sharpness::LambdaMax | Sharpness::GradientNorm => false,
        }
    }
}
