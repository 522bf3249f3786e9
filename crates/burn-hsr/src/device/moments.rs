//! The functions of the two moments that are descended, and what they give the gradient (theory §4).

use burn::tensor::Tensor;

use super::problem::smallest;
use crate::sharpness::Sharpness;

/// The value and the derivatives w_t and w_q of a function of the moments, all of H/σ and all \[1\] (theory §4).
pub(super) struct Weighted {
    pub value: Tensor<1>,
    pub w_t: Tensor<1>,
    pub w_q: Tensor<1>,
}

impl Weighted {
    /// For a measure at t and q, of D parameters.
    pub fn of(sharpness: Sharpness, t: Tensor<1>, q: Tensor<1>, parameters: f64) -> Self {
        match sharpness {
            Sharpness::Trace => Self {
                w_t: t.ones_like(),
                w_q: t.zeros_like(),
                value: t,
            },
            Sharpness::Frobenius => norm(q),
            _ => bound(t, q, parameters),
        }
    }
}

/// λ_sup = m + s√(D − 1).
fn bound(t: Tensor<1>, q: Tensor<1>, parameters: f64) -> Weighted {
    let mean = t.clone() / parameters;
    let square = q / parameters;
    let variance = square.clone() - mean.clone().square();
    let epsilon = t
        .dtype()
        .finfo()
        .map_or(f64::from(f32::EPSILON), |info| info.epsilon);
    let degenerate = variance.clone().lower_equal(square * (8.0 * epsilon));
    let std = variance.mask_fill(degenerate.clone(), 1.0).sqrt();
    let root = (parameters - 1.0).sqrt();
    let w_t = (t / std.clone() * (-root / (parameters * parameters)) + 1.0 / parameters)
        .mask_fill(degenerate.clone(), 1.0 / parameters);
    let w_q =
        (std.clone().recip() * (root / (2.0 * parameters))).mask_fill(degenerate.clone(), 0.0);
    let std = std.mask_fill(degenerate, 0.0);
    Weighted {
        value: mean + std * root,
        w_t,
        w_q,
    }
}

/// ‖H‖_F = √q.
fn norm(q: Tensor<1>) -> Weighted {
    let nothing = q.clone().lower_elem(smallest(q.dtype()));
    let norm = q.sqrt();
    Weighted {
        w_t: norm.zeros_like(),
        w_q: (norm.clone().mask_fill(nothing.clone(), 1.0).recip() * 0.5).mask_fill(nothing, 0.0),
        value: norm,
    }
}
