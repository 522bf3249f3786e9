//! Full-batch gradient descent in f64 under each method, through the closed forms of hsr-core.

use hsr_core::{Evaluation, LanczosOptions, Workspace};
use serde::{Deserialize, Serialize};

use super::scene::Bed;
use crate::LabError;
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
            Method::Plain => return Ok(loss),
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
        }
        for (g, o) in gradient.iter_mut().zip(other.iter()) {
            *g += self.strength * o;
        }
        Ok(loss)
    }

    /// One step; gives J before it.
    ///
    /// # Errors
    ///
    /// What hsr-core refuses: above all parameters that are no longer finite.
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
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step), and those of the look.
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
