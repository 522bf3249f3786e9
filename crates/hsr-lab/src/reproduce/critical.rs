//! Critical points: found from anywhere by a second-order polish, classified, and told apart.
//!
//! The polish descends ½‖∇L‖², whose zeros are minima, saddles and maxima alike, by the method of Levenberg and
//! Marquardt with the exact Hessian: the step −H(H² + μ²)⁻¹∇L is Newton's for μ → 0, also at a saddle, and leaves
//! directions of no curvature alone. It goes to a critical point nearby, not to a lower one.

use hsr_core::{Activation, OutputLoss, Workspace};
use serde::{Deserialize, Serialize};

use super::curvature::{Curvature, norm, spectrum};
use super::scene::Bed;
use crate::error::LabError;
use crate::named::named;

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

named! {
/// The kind of a critical point.
pub enum Kind {
    /// No eigenvalue is negative.
    Minimum = "minimum",
    /// Some are negative, some positive.
    Saddle = "saddle",
    /// None is positive.
    Maximum = "maximum",
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
        let spectrum = spectrum(workspace, bed, &theta)?;
        let values = &spectrum.eigenvalues;
        let along: Vec<f64> = spectrum
            .eigenvectors()
            .map(|v| v.iter().zip(&gradient).map(|(v, g)| v * g).sum())
            .collect();
        let largest = values.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
        let mut moved = false;
        while damping < 1e3 {
            let mu = damping * largest;
            trial.copy_from_slice(&theta);
            for ((value, vector), along) in values.iter().zip(spectrum.eigenvectors()).zip(&along) {
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

#[cfg(test)]
mod tests {
    use super::super::descent::{Descent, Pace};
    use super::super::scene::Scene;
    use super::*;
    use crate::train::Method;

    /// Without weights every sample has probability 1/2 and, the classes being balanced, the gradient vanishes. Of the
    /// Hessian only the second derivative of the bias, 1/4, and the coupling Σ r x̃ of each output weight with the
    /// weights into its unit are left: a pair of eigenvalues ±‖Σ r x̃‖ a unit, and zeros.
    #[test]
    fn the_origin_is_a_saddle_with_a_known_spectrum() {
        let mut bed = Scene::moons(0.3).with_samples(30, 2).load(3).unwrap();
        bed.decay = 0.0;
        let hidden = bed.dimensions.hidden;
        let theta = vec![0.0; bed.parameters()];
        let mut coupling = [0.0; 3];
        for (n, label) in bed.train.labels.iter().enumerate() {
            let r = (0.5 - *label as f64) / bed.train.samples() as f64;
            let x = bed.train.row(n);
            for (sum, x) in coupling.iter_mut().zip([x[0], x[1], 1.0]) {
                *sum += r * x;
            }
        }
        let length = norm(&coupling);
        let mut workspace = Workspace::new();
        let point = Critical {
            curvature: Curvature::of(&mut workspace, &bed, &theta).unwrap(),
            theta,
        };
        assert!(point.curvature.gradient_norm < 1e-16);
        assert_eq!((point.kind(), point.negative()), (Kind::Saddle, hidden));
        let mut expected = vec![0.25];
        expected.extend((0..hidden).flat_map(|_| [length, -length]));
        expected.resize(point.theta.len(), 0.0);
        expected.sort_by(f64::total_cmp);
        for (found, expected) in point.curvature.eigenvalues.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
        // The continuum of zeros makes it degenerate: without weight decay it is not counted.
        let polished = polish(&mut workspace, &bed, &point.theta).unwrap();
        assert_eq!(polished, Polished::Degenerate);
    }

    #[test]
    fn the_polish_finds_minima_and_saddles_nearby() {
        let bed = Scene::moons(0.3).load(0).unwrap();
        let mut workspace = Workspace::new();
        // The origin, from a little beside it: weight decay makes it isolated.
        let beside: Vec<f64> = bed.start(1e-3, 4);
        let Polished::Critical(saddle) = polish(&mut workspace, &bed, &beside).unwrap() else {
            panic!("the origin is critical");
        };
        // ‖∇J‖ ≤ 10⁻¹⁰ over the smallest curvature, the 10⁻³ of weight decay.
        assert!(norm(&saddle.theta) < 1.1e-7 && saddle.kind() == Kind::Saddle);
        // Where training came to rest.
        let mut theta = bed.start(1.0, 2);
        Descent::new(&bed, Method::Plain, 0.0, Pace::USUAL)
            .course(&mut theta, &[20_000], |_, _, _| Ok(()))
            .unwrap();
        let Polished::Critical(minimum) = polish(&mut workspace, &bed, &theta).unwrap() else {
            panic!("training came to rest");
        };
        assert!(minimum.curvature.gradient_norm <= TOLERANCE);
        assert_eq!((minimum.kind(), minimum.negative()), (Kind::Minimum, 0));
        let moved: f64 = theta
            .iter()
            .zip(&minimum.theta)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(moved < 0.2, "{moved}");
    }

    #[test]
    fn networks_are_the_same_up_to_order_and_signs_of_their_units() {
        let bed = Scene::gaussians(0.6).load(1).unwrap();
        let theta = bed.start(1.0, 1);
        let (layout, hidden) = (bed.dimensions.layout(), bed.dimensions.hidden);
        // Unit j of the copy is unit (j + 1) mod h, with its signs turned where j is even.
        let mut copy = theta.clone();
        for j in 0..hidden {
            let from = (j + 1) % hidden;
            let sign = if j % 2 == 0 { -1.0 } else { 1.0 };
            for e in 0..2 {
                copy[layout.hidden_weight()][2 * j + e] =
                    sign * theta[layout.hidden_weight()][2 * from + e];
            }
            copy[layout.hidden_bias()][j] = sign * theta[layout.hidden_bias()][from];
            for k in 0..3 {
                copy[layout.output_weight()][k * hidden + j] =
                    sign * theta[layout.output_weight()][k * hidden + from];
            }
        }
        let mut workspace = Workspace::new();
        let point = |theta: &[f64], workspace: &mut Workspace<f64>| Critical {
            curvature: Curvature::of(workspace, &bed, theta).unwrap(),
            theta: theta.to_vec(),
        };
        let (a, b) = (point(&theta, &mut workspace), point(&copy, &mut workspace));
        // It computes the same, so that it must count as the same.
        assert!((a.curvature.loss - b.curvature.loss).abs() < 1e-15);
        assert!(same(&bed, &theta, &copy));
        let mut other = copy.clone();
        other[0] = -other[0];
        let other = point(&other, &mut workspace);
        assert!(!same(&bed, &theta, &other.theta));
        let kept = unique(&bed, vec![a.clone(), b, other.clone(), a.clone()]);
        assert_eq!(kept, [a, other]);
        // With an activation that is not odd, signs matter.
        let even = Bed {
            activation: Activation::Softplus,
            ..bed
        };
        assert!(!same(&even, &theta, &copy));
    }

    #[test]
    fn of_logits_shifted_alike_one_stands_for_all() {
        let bed = Scene::gaussians(0.6).load(1).unwrap();
        let (layout, hidden) = (bed.dimensions.layout(), bed.dimensions.hidden);
        let mut theta = bed.start(1.0, 1);
        let mut shifted = theta.clone();
        for k in 0..3 {
            for j in 0..hidden {
                shifted[layout.output_weight()][k * hidden + j] += 0.5 + j as f64;
            }
            shifted[layout.output_bias()][k] -= 2.0;
        }
        center(&bed, &mut theta);
        center(&bed, &mut shifted);
        for (a, b) in theta.iter().zip(&shifted) {
            assert!((a - b).abs() < 1e-14);
        }
    }
}
