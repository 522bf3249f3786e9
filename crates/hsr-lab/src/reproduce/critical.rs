//! Critical points: found from anywhere by a second-order polish, classified, and told apart.
//!
//! The polish descends ½‖∇L‖², whose zeros are minima, saddles and maxima alike, by the method of Levenberg and
//! Marquardt with the exact Hessian: the step −H(H² + μ²)⁻¹∇L is Newton's for μ → 0, also at a saddle, and leaves
//! directions of no curvature alone. It goes to a critical point nearby, not to a lower one.

use hsr_core::{Activation, OutputLoss, Workspace};
use serde::{Deserialize, Serialize};

use super::curvature::{Curvature, Spectrum, norm};
use super::scene::Bed;
use crate::LabError;

/// What counts as critical: ‖∇L‖ at most this.
pub const TOLERANCE: f64 = 1e-10;
/// Eigenvalues within this share of the largest magnitude count as zero.
pub const FLAT: f64 = 1e-7;
/// Polishing steps at most.
const STEPS: usize = 300;

/// A critical point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Critical {
    /// θ.
    pub theta: Vec<f64>,
    /// The curvature there.
    pub curvature: Curvature,
}

/// What came of a polish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Polished {
    /// An isolated critical point.
    Critical(Critical),
    /// A critical point within a continuum of them, or so far out that saturation alone makes the gradient vanish: more
    /// eigenvalues are zero than the loss has symmetries.
    Degenerate,
    /// The polish ended where ‖∇L‖ is not yet small: a valley to infinity, or a minimum of ‖∇L‖ that is not 0.
    Lost,
}

/// The kind of a critical point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// No eigenvalue is negative.
    Minimum,
    /// Some are negative, some positive.
    Saddle,
    /// None is positive.
    Maximum,
}

impl Kind {
    /// The kind in a word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Minimum => "minimum",
            Kind::Saddle => "saddle",
            Kind::Maximum => "maximum",
        }
    }
}

impl Critical {
    /// Directions that lead down.
    pub fn negative(&self) -> usize {
        self.curvature.negative(FLAT)
    }

    /// The kind, by the signs of the eigenvalues.
    pub fn kind(&self) -> Kind {
        match self.curvature.negative(FLAT) {
            0 => Kind::Minimum,
            n if n + self.curvature.flat(FLAT) == self.theta.len() => Kind::Maximum,
            _ => Kind::Saddle,
        }
    }
}

/// The eigenvalues that are zero everywhere: with softmax a number can be added to all logits, through every column of
/// W2 and b2.
pub fn symmetries(bed: &Bed) -> usize {
    match bed.loss {
        OutputLoss::SoftmaxCrossEntropy if bed.decay == 0.0 => bed.dimensions.hidden_extended(),
        _ => 0,
    }
}

/// Goes from θ to a critical point nearby.
///
/// # Errors
///
/// [`LabError::Eigenvalues`].
pub fn polish(
    workspace: &mut Workspace<f64>,
    bed: &Bed,
    start: &[f64],
) -> Result<Polished, LabError> {
    let mut theta = start.to_vec();
    let mut gradient = vec![0.0; theta.len()];
    let mut trial = theta.clone();
    let mut trial_gradient = gradient.clone();
    bed.objective(workspace, &theta, &mut gradient)?;
    let mut length = norm(&gradient);
    let mut damping = 1e-2;
    for _ in 0..STEPS {
        if length <= TOLERANCE {
            break;
        }
        let spectrum = Spectrum::of(workspace, bed, &theta)?;
        let along: Vec<f64> = spectrum
            .vectors
            .iter()
            .map(|v| v.iter().zip(&gradient).map(|(v, g)| v * g).sum())
            .collect();
        let largest = spectrum
            .values
            .iter()
            .fold(0.0, |max: f64, v| max.max(v.abs()));
        let mut moved = false;
        while damping < 1e3 {
            let mu = damping * largest;
            trial.copy_from_slice(&theta);
            for ((value, vector), along) in
                spectrum.values.iter().zip(&spectrum.vectors).zip(&along)
            {
                let step = value * along / (value * value + mu * mu);
                for (t, v) in trial.iter_mut().zip(vector) {
                    *t -= step * v;
                }
            }
            let reached = bed
                .objective(workspace, &trial, &mut trial_gradient)
                .map(|_| norm(&trial_gradient));
            match reached {
                Ok(reached) if reached < length => {
                    std::mem::swap(&mut theta, &mut trial);
                    std::mem::swap(&mut gradient, &mut trial_gradient);
                    length = reached;
                    damping = (damping / 5.0).max(1e-12);
                    moved = true;
                    break;
                }
                _ => damping *= 4.0,
            }
        }
        if !moved {
            break;
        }
    }
    if length > TOLERANCE {
        return Ok(Polished::Lost);
    }
    center(bed, &mut theta);
    let curvature = Curvature::of(workspace, bed, &theta)?;
    if curvature.flat(FLAT) > symmetries(bed) {
        return Ok(Polished::Degenerate);
    }
    Ok(Polished::Critical(Critical { theta, curvature }))
}

/// Of the points that differ in what is added to all logits, the one with mean 0.
fn center(bed: &Bed, theta: &mut [f64]) {
    if bed.loss != OutputLoss::SoftmaxCrossEntropy {
        return;
    }
    let (layout, dims) = (bed.dimensions.layout(), bed.dimensions);
    for (range, columns) in [
        (layout.output_weight(), dims.hidden),
        (layout.output_bias(), 1),
    ] {
        let values = &mut theta[range];
        for column in 0..columns {
            let each = || (column..dims.outputs * columns).step_by(columns);
            let mean = each().map(|i| values[i]).sum::<f64>() / dims.outputs as f64;
            each().for_each(|i| values[i] -= mean);
        }
    }
}

/// Points apart by less than this in every parameter are the same.
const SAME: f64 = 1e-4;

/// Whether two points are the same network: hidden units may stand in another order, and with an odd activation a unit
/// may have the signs of all its weights turned.
pub fn same(bed: &Bed, a: &[f64], b: &[f64]) -> bool {
    let layout = bed.dimensions.layout();
    let bias = |theta: &[f64]| theta[layout.output_bias()].to_vec();
    if distance(&bias(a), &bias(b), 1.0) > SAME {
        return false;
    }
    let signs: &[f64] = match bed.activation {
        Activation::Tanh | Activation::Erf | Activation::Sin | Activation::Identity => &[1.0, -1.0],
        _ => &[1.0],
    };
    let mut free: Vec<Vec<f64>> = (0..bed.dimensions.hidden)
        .map(|j| unit(bed, b, j))
        .collect();
    (0..bed.dimensions.hidden).all(|j| {
        let unit = unit(bed, a, j);
        let near = |other: &Vec<f64>| {
            signs
                .iter()
                .any(|sign| distance(&unit, other, *sign) <= SAME)
        };
        match free.iter().position(near) {
            Some(place) => {
                free.swap_remove(place);
                true
            }
            None => false,
        }
    })
}

/// The weights into and out of hidden unit j.
fn unit(bed: &Bed, theta: &[f64], j: usize) -> Vec<f64> {
    let (layout, dims) = (bed.dimensions.layout(), bed.dimensions);
    let into = &theta[layout.hidden_weight()][j * dims.inputs..][..dims.inputs];
    let bias = &theta[layout.hidden_bias()][j..=j];
    let out = theta[layout.output_weight()]
        .iter()
        .skip(j)
        .step_by(dims.hidden);
    into.iter().chain(bias).chain(out).copied().collect()
}

/// The largest |a − sign·b|.
fn distance(a: &[f64], b: &[f64], sign: f64) -> f64 {
    let each = a.iter().zip(b).map(|(a, b)| (a - sign * b).abs());
    each.fold(0.0, f64::max)
}

/// The different ones of some critical points, in their order.
pub fn unique(bed: &Bed, points: Vec<Critical>) -> Vec<Critical> {
    let mut kept: Vec<Critical> = Vec::new();
    for point in points {
        // The loss is the same at all copies of a point, and tells most others apart.
        let known = kept.iter().any(|other| {
            (other.curvature.loss - point.curvature.loss).abs() <= 1e-8
                && same(bed, &other.theta, &point.theta)
        });
        if !known {
            kept.push(point);
        }
    }
    kept
}
