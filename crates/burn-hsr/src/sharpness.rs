//! What the regulariser descends.

use serde::{Deserialize, Serialize};

/// The measure of sharpness that is descended: λ_sup, which is HSR, or one of its peers in its place, so that a
/// comparison differs in nothing else. All gradients are exact. H is the loss Hessian for the trainable parameters of the
/// layers.
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
    /// λ_blk, the best bound on λ_max that the norms of the blocks of H allow, between λ_max and λ_sup: the largest
    /// eigenvalue of the L × L matrix of the layers' own λ_sup and the ‖H_kl‖ between layers. On the host.
    LambdaBlock,
    /// λ_diag, the sum of λ_sup of the layers' own blocks, in a quarter to two thirds of the time of λ_sup. It bounds every
    /// layer's λ_max, but not that of H where H is indefinite. On the host.
    LambdaDiagonal,
    /// λ_sup of the Gauss-Newton part of H, which is positive semidefinite. On the host.
    GaussNewton,
}

impl Sharpness {
    /// Every measure.
    pub const ALL: [Sharpness; 8] = [
        Sharpness::LambdaSup,
        Sharpness::Trace,
        Sharpness::Frobenius,
        Sharpness::LambdaMax,
        Sharpness::GradientNorm,
        Sharpness::LambdaBlock,
        Sharpness::LambdaDiagonal,
        Sharpness::GaussNewton,
    ];

    /// The symbol.
    pub fn name(self) -> &'static str {
        match self {
            Sharpness::LambdaSup => "λ_sup",
            Sharpness::Trace => "tr H",
            Sharpness::Frobenius => "‖H‖_F",
            Sharpness::LambdaMax => "λ_max",
            Sharpness::GradientNorm => "‖∇L‖",
            Sharpness::LambdaBlock => "λ_blk",
            Sharpness::LambdaDiagonal => "λ_diag",
            Sharpness::GaussNewton => "λ_sup of Gauss-Newton",
        }
    }

    /// Whether the device execution computes it.
    pub(crate) fn on_device(self) -> bool {
        self.is_of_whole()
    }

    /// Whether it is a function of tr H and ‖H‖ alone, which is what random probes estimate.
    pub(crate) fn is_of_whole(self) -> bool {
        matches!(
            self,
            Sharpness::LambdaSup | Sharpness::Trace | Sharpness::Frobenius
        )
    }

    /// Whether it needs the moments of the blocks, layer by layer.
    pub(crate) fn is_of_blocks(self) -> bool {
        matches!(
            self,
            Sharpness::LambdaBlock | Sharpness::LambdaDiagonal | Sharpness::GaussNewton
        )
    }

    /// Whether it is a function of moments at all.
    pub(crate) fn is_of_moments(self) -> bool {
        self.is_of_whole() || self.is_of_blocks()
    }
}
