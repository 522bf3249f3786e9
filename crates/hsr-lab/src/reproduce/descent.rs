//! Full-batch gradient descent in f64 under each method, through the closed forms of hsr-core. SAM, ASAM and momentum are
//! written out here on the flat θ: burn-sharpness and Burn have them for modules of tensors, which one closed form a step on
//! 21 parameters would have to be copied into and out of, in more lines than these.

use hsr_core::{Evaluation, LanczosOptions, Workspace};
use serde::{Deserialize, Serialize};

use super::scene::Bed;
use crate::error::LabError;
use crate::train::Method;

/// ASAM's η, as in its reference.
const ETA: f64 = 0.01;

/// How gradient descent with momentum goes: v ← momentum·v + g, θ ← θ − rate·v, an epoch a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// The learning rate.
    pub rate: f64,
    /// The momentum.
    pub momentum: f64,
}

impl Pace {
    /// What is used wherever nothing else is said.
    pub const USUAL: Self = Self {
        rate: 0.05,
        momentum: 0.9,
    };

    /// In words, for captions.
    pub fn words(self) -> String {
        format!(
            "full-batch gradient descent with learning rate {} and momentum {}",
            self.rate, self.momentum
        )
    }
}

/// Descends the loss of one bed under one method.
pub struct Descent<'a> {
    bed: &'a Bed,
    method: Method,
    strength: f64,
    pace: Pace,
    velocity: Vec<f64>,
    /// Its buffers, for whoever measures on the way.
    pub workspace: Workspace<f64>,
    /// What the step goes against: ∇L and what the method adds or takes in its place.
    gradient: Vec<f64>,
    other: Vec<f64>,
}

impl<'a> Descent<'a> {
    /// A method with its strength (ρ for SAM and ASAM).
    pub fn new(bed: &'a Bed, method: Method, strength: f64, pace: Pace) -> Self {
        Self {
            bed,
            method,
            strength,
            pace,
            velocity: vec![0.0; bed.parameters()],
            workspace: Workspace::new(),
            gradient: vec![0.0; bed.parameters()],
            other: vec![0.0; bed.parameters()],
        }
    }

    /// J at θ, and in `self.gradient` the direction of the method.
    fn evaluate(&mut self, theta: &[f64]) -> Result<f64, LabError> {
        let (network, batch) = (self.bed.network(theta)?, self.bed.batch());
        let Self {
            workspace,
            gradient,
            other,
            ..
        } = self;
        let loss = self.bed.objective(workspace, theta, gradient)?;
        if self.strength == 0.0 {
            return Ok(loss);
        }
        match self.method {
            Method::Sam | Method::Asam => {
                let adaptive = self.method == Method::Asam;
                if ascend(self.bed, adaptive, self.strength, theta, gradient, other) {
                    self.bed.objective(workspace, other, gradient)?;
                }
                return Ok(loss);
            }
            Method::Hsr => {
                workspace.bounds_gradient(&network, &batch, Evaluation::Auto, other, None)?;
            }
            Method::Trace => {
                workspace.trace_gradient(&network, &batch, other, None)?;
            }
            Method::Frobenius => {
                workspace.frobenius_gradient(&network, &batch, Evaluation::Auto, other, None)?;
            }
            Method::GradientNorm => {
                workspace.gradient_norm_gradient(&network, &batch, other, None)?;
            }
            Method::LambdaMax => {
                let options = LanczosOptions::default();
                workspace.lambda_max_gradient(&network, &batch, &options, other, None)?;
            }
            // The loss alone; others are not among the methods that the experiments take.
            _ => return Ok(loss),
        }
        for (g, o) in gradient.iter_mut().zip(other.iter()) {
            *g += self.strength * o;
        }
        Ok(loss)
    }

    /// One step; gives J before it.
    pub fn step(&mut self, theta: &mut [f64]) -> Result<f64, LabError> {
        let objective = self.evaluate(theta)?;
        let each = theta.iter_mut().zip(&mut self.velocity);
        for ((t, v), g) in each.zip(&self.gradient) {
            *v = self.pace.momentum * *v + g;
            *t -= self.pace.rate * *v;
        }
        Ok(objective)
    }

    /// Descends from θ until the last of some ascending epochs, an epoch a step, and looks around at each of them.
    pub fn course<T>(
        &mut self,
        theta: &mut [f64],
        epochs: &[usize],
        mut look: impl FnMut(&mut Workspace<f64>, usize, &[f64]) -> Result<T, LabError>,
    ) -> Result<Vec<T>, LabError> {
        let mut seen = Vec::with_capacity(epochs.len());
        let mut epoch = 0;
        for &next in epochs {
            for _ in epoch..next {
                self.step(theta)?;
            }
            epoch = next;
            seen.push(look(&mut self.workspace, epoch, theta)?);
        }
        Ok(seen)
    }
}

/// θ + e with e = ρ T²g/‖Tg‖ into `raised`; false where the gradient is zero. T = 1 for SAM; for ASAM |w| + η, and 1
/// for biases.
fn ascend(
    bed: &Bed,
    adaptive: bool,
    rho: f64,
    theta: &[f64],
    gradient: &[f64],
    raised: &mut [f64],
) -> bool {
    let layout = bed.dimensions.layout();
    let scale = |i: usize| {
        let weight = layout.hidden_weight().contains(&i) || layout.output_weight().contains(&i);
        if adaptive && weight {
            theta[i].abs() + ETA
        } else {
            1.0
        }
    };
    let squares: f64 = (0..theta.len())
        .map(|i| (scale(i) * gradient[i]).powi(2))
        .sum();
    if squares == 0.0 {
        return false;
    }
    let length = rho / squares.sqrt();
    for i in 0..theta.len() {
        raised[i] = theta[i] + length * scale(i).powi(2) * gradient[i];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::curvature::{Curvature, norm};
    use super::super::scene::Scene;
    use super::*;

    const STRENGTH: f64 = 0.3;

    /// What the step goes against, read off a step.
    fn direction(bed: &Bed, method: Method, theta: &[f64]) -> Vec<f64> {
        let pace = Pace {
            rate: 1.0,
            momentum: 0.0,
        };
        let mut moved = theta.to_vec();
        Descent::new(bed, method, STRENGTH, pace)
            .step(&mut moved)
            .unwrap();
        theta.iter().zip(&moved).map(|(t, m)| t - m).collect()
    }

    fn objective(bed: &Bed, theta: &[f64]) -> (f64, Vec<f64>) {
        let mut gradient = vec![0.0; theta.len()];
        let value = bed
            .objective(&mut Workspace::new(), theta, &mut gradient)
            .unwrap();
        (value, gradient)
    }

    fn beds() -> [Bed; 2] {
        [Scene::gaussians(0.6), Scene::moons(0.3)]
            .map(|scene| scene.with_samples(20, 4).load(5).unwrap())
    }

    #[test]
    fn penalties_descend_the_objective_and_what_they_penalise() {
        for bed in beds() {
            let theta = bed.start(1.0, 7);
            // From the dense Hessian's eigenvalues, not from the verbs that the step uses.
            let penalised = |method: Method, theta: &[f64]| {
                let mut workspace = Workspace::new();
                let c = Curvature::of(&mut workspace, &bed, theta).unwrap();
                let count = theta.len() as f64;
                let trace: f64 = c.eigenvalues.iter().sum();
                let squares: f64 = c.eigenvalues.iter().map(|v| v * v).sum();
                match method {
                    Method::Hsr => {
                        let mean = trace / count;
                        mean + ((count - 1.0) * (squares / count - mean * mean)).sqrt()
                    }
                    Method::Trace => trace,
                    Method::Frobenius => squares.sqrt(),
                    Method::LambdaMax => c.lambda_max(),
                    Method::GradientNorm => {
                        let mut gradient = vec![0.0; theta.len()];
                        let (network, batch) = (bed.network(theta).unwrap(), bed.batch());
                        workspace
                            .loss_gradient(&network, &batch, &mut gradient)
                            .unwrap();
                        norm(&gradient)
                    }
                    _ => 0.0,
                }
            };
            for method in Method::OF_CURVATURE {
                if matches!(method, Method::Sam | Method::Asam) {
                    continue;
                }
                let value =
                    |theta: &[f64]| objective(&bed, theta).0 + STRENGTH * penalised(method, theta);
                let found = direction(&bed, method, &theta);
                for (i, found) in found.iter().enumerate() {
                    let at = |h: f64| {
                        let mut moved = theta.clone();
                        moved[i] += h;
                        value(&moved)
                    };
                    let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!(
                        (found - expected).abs() < 1e-7,
                        "{method:?} {i}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn sam_and_asam_take_the_gradient_where_the_loss_is_highest_nearby() {
        for bed in beds() {
            let theta = bed.start(1.0, 7);
            let layout = bed.dimensions.layout();
            let biases = [layout.hidden_bias(), layout.output_bias()];
            let (_, gradient) = objective(&bed, &theta);
            for (method, eta) in [(Method::Sam, None), (Method::Asam, Some(0.01))] {
                let scale: Vec<f64> = (0..theta.len())
                    .map(|i| match eta {
                        Some(eta) if !biases.iter().any(|range| range.contains(&i)) => {
                            theta[i].abs() + eta
                        }
                        _ => 1.0,
                    })
                    .collect();
                let scaled: Vec<f64> = scale.iter().zip(&gradient).map(|(t, g)| t * g).collect();
                let length = norm(&scaled);
                let raised: Vec<f64> = (0..theta.len())
                    .map(|i| theta[i] + STRENGTH * scale[i] * scaled[i] / length)
                    .collect();
                let (_, expected) = objective(&bed, &raised);
                let found = direction(&bed, method, &theta);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-14, "{method:?}");
                }
            }
        }
    }

    #[test]
    fn momentum_adds_up_the_directions() {
        let [bed, _] = beds();
        let pace = Pace {
            rate: 0.1,
            momentum: 0.5,
        };
        let mut theta = bed.start(1.0, 1);
        let mut expected = theta.clone();
        let mut velocity = vec![0.0; theta.len()];
        for _ in 0..3 {
            let (_, gradient) = objective(&bed, &expected);
            for i in 0..expected.len() {
                velocity[i] = 0.5 * velocity[i] + gradient[i];
                expected[i] -= 0.1 * velocity[i];
            }
        }
        let mut seen = Vec::new();
        Descent::new(&bed, Method::Plain, 0.0, pace)
            .course(&mut theta, &[0, 1, 3], |_, epoch, _| {
                seen.push(epoch);
                Ok(())
            })
            .unwrap();
        assert_eq!((theta, seen), (expected, vec![0, 1, 3]));
    }
}
