//! What an inspection tells.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn_sharpness::measures::SharpnessMeasures;
use serde::Serialize;

use crate::data::DataWarning;
use crate::eigen::{Eigenvalue, LanczosReport};
use crate::files;

/// The answer; the keys of its JSON are relied on by other programs. H is the Hessian of the loss, D × D.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// D.
    pub parameters: usize,
    /// N.
    pub samples: usize,
    /// L, a mean over the samples.
    pub loss: f64,
    /// t = tr H.
    pub trace: f64,
    /// q = ‖H‖²_F.
    pub frobenius_squared: f64,
    /// m = t/D, the mean eigenvalue.
    pub mean: f64,
    /// s, the standard deviation of the eigenvalues.
    pub std: f64,
    /// m + s√(D − 1), no less than λ_max.
    pub lambda_sup: f64,
    /// m − s√(D − 1), no more than λ_min.
    pub lambda_inf: f64,
    /// m + s/√(D − 1), no more than λ_max.
    pub lambda_max_lower: f64,
    /// m − s/√(D − 1), no less than λ_min.
    pub lambda_min_upper: f64,
    /// s√(2D), no less than λ_max − λ_min.
    pub spread_upper: f64,
    /// The largest eigenvalue.
    pub lambda_max: f64,
    /// The smallest eigenvalue.
    pub lambda_min: f64,
    /// λ_sup/λ_max, where λ_max > 0.
    pub tightness: Option<f64>,
    /// The share of ‖H‖² that is the Gauss-Newton part's: [`Curvature::gauss_newton_share`](crate::Curvature::gauss_newton_share).
    pub gauss_newton_share: f64,
    /// Each layer's share, from the inputs on. None where there was no memory for it, as the warnings then say.
    pub layers: Option<Vec<LayerInspection>>,
    /// λ_blk, no less than λ_max and no more than λ_sup: the best bound that norms and traces of the blocks allow.
    pub lambda_block: Option<f64>,
    /// ‖H_kl‖²_F of every pair of layers, symmetric.
    pub blocks: Option<Vec<Vec<f64>>>,
    /// Measures that survive a rescaled layer or scaled logits, and plain ones for comparison.
    #[serde(flatten)]
    pub measures: SharpnessMeasures,
    /// `assembled`, `gram` or `mixed`.
    pub evaluation: String,
    /// `dense` or `lanczos`: where λ_max and λ_min come from.
    pub eigenvalue_method: &'static str,
    /// How well Lanczos converged, where it was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanczos: Option<LanczosReport>,
    /// All of them, ascending, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eigenvalues: Option<Vec<f64>>,
    /// The outermost ones, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<TopEigenvalues>,
    /// ∂λ_sup/∂θ by tensor, `hidden.weight` \[h, d\] and its like, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient: Option<BTreeMap<String, Nested>>,
    /// ∂λ_sup/∂x \[N, d\], where it was asked for; of standardised features, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_gradient: Option<Nested>,
    /// The files that were written.
    #[serde(
        serialize_with = "files::all_shown",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub files: Vec<PathBuf>,
    /// What looks wrong with the table.
    #[serde(skip)]
    pub warnings: Vec<DataWarning>,
    /// What else there is to say: which layers were found where nobody named them, what was left out.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// The diagonal block H_ll of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerInspection {
    /// The layer's name in the weights file.
    pub name: String,
    /// P_l.
    pub parameters: usize,
    /// t_l = tr H_ll.
    pub trace: f64,
    /// q_ll = ‖H_ll‖²_F.
    pub frobenius_squared: f64,
    /// λ_sup of the block, no less than its largest eigenvalue.
    pub lambda_sup: f64,
    /// That eigenvalue, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda_max: Option<f64>,
    /// Its residual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual: Option<f64>,
}

/// The outermost eigenvalues of the Hessian.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopEigenvalues {
    /// The largest, descending.
    pub largest: Vec<Eigenvalue>,
    /// The smallest, ascending.
    pub smallest: Vec<Eigenvalue>,
    /// Whether all residuals are below the tolerance.
    pub converged: bool,
}

/// A vector or a matrix as nested arrays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Nested {
    /// A bias.
    Vector(Vec<f64>),
    /// A weight, row by row.
    Matrix(Vec<Vec<f64>>),
}

impl Nested {
    pub(super) fn matrix(values: &[f64], columns: usize) -> Self {
        Self::Matrix(values.chunks(columns).map(<[f64]>::to_vec).collect())
    }
}
