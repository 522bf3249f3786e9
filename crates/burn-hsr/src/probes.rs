//! λ_sup by random probes: exact Hessian-vector products of random signs in place of all blocks.
//!
//! For v = ±1 at random, tr H is the mean of t̂ = vᵀHv and ‖H‖² that of q̂ = ‖Hv‖², and with y = w_t v + 2 w_q Hv, held
//! fixed, the mean of ∇(yᵀHv) is ∇λ_sup, where w_t and w_q are the derivatives of λ_sup at the true moments. Those come
//! from moving averages over the steps, which do not depend on the step's own v; the first step has only its own.

use burn_penalty::probe::generator;
use hsr_core::depth::{DeepWorkspace, FeedForward, Probe, ProbeOut};
use hsr_core::{Batch, Error, Moments, Real, SpectralWeights};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::sharpness::Sharpness;

/// What random probes said of tr H and ‖H‖²: the moving averages that are kept from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeAverages {
    /// Of t̂, not yet corrected for its start.
    pub trace: f64,
    /// Of q̂, the same.
    pub frobenius_squared: f64,
    /// The steps that are in them.
    pub updates: u64,
}

/// Estimates of the moments, the mean over one step's probes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub trace: f64,
    pub frobenius_squared: f64,
    /// D, without what is frozen.
    pub parameters: usize,
}

/// How much of the averages stays from one step to the next, β.
const DECAY: f64 = 0.95;

impl ProbeAverages {
    /// With the estimates of one more step.
    pub(crate) fn updated(before: Option<Self>, estimate: Estimate) -> Self {
        let of = |old: f64, new: f64| DECAY * old + (1.0 - DECAY) * new;
        let old = before.unwrap_or(Self {
            trace: 0.0,
            frobenius_squared: 0.0,
            updates: 0,
        });
        Self {
            trace: of(old.trace, estimate.trace),
            frobenius_squared: of(old.frobenius_squared, estimate.frobenius_squared),
            updates: old.updates + 1,
        }
    }

    /// t and q, corrected for the start.
    pub fn moments(&self) -> [f64; 2] {
        let weight = 1.0 - DECAY.powf(self.updates as f64);
        [self.trace / weight, self.frobenius_squared / weight]
    }
}

/// One step's probes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    pub sharpness: Sharpness,
    pub probes: usize,
    pub seed: u64,
    pub step: u64,
    /// The averages of the steps before; none at the first.
    pub before: Option<ProbeAverages>,
}

/// What one direction gives, and the vectors on the way.
struct Along<T> {
    /// H v, \[D\].
    product: Vec<T>,
    /// ∂L/∂θ \[D\].
    of_loss: Vec<T>,
    /// ∂(yᵀHv)/∂θ \[D\], and ∂(yᵀHv)/∂x \[N, d\] where it is wanted.
    gradient: Vec<T>,
    inputs: Option<Vec<T>>,
}

impl<T: Real> Along<T> {
    fn new(parameters: usize, inputs: Option<usize>) -> Self {
        let zeros = |size| vec![T::zero(); size];
        Self {
            product: zeros(parameters),
            of_loss: zeros(parameters),
            gradient: zeros(parameters),
            inputs: inputs.map(zeros),
        }
    }
}

impl Probing {
    /// The loss and what probes say of the moments; in `of_loss` \[D\] the loss's gradient, in `gradient` \[D\] and
    /// `input_gradient` \[N, d\] the estimate of the measure's.
    pub fn gradient<T: Real>(
        &self,
        workspace: &mut DeepWorkspace<T>,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        of_loss: &mut [T],
        gradient: &mut [T],
        mut input_gradient: Option<&mut [T]>,
    ) -> Result<(T, Estimate), Error> {
        let parameters = network.parameters();
        let mut generator = generator(self.seed ^ STREAMS, self.step);
        let mut v = vec![T::zero(); parameters];
        let mut along = Along::new(parameters, input_gradient.as_deref().map(<[T]>::len));
        let share = 1.0 / self.probes as f64;
        let mut moments = [0.0; 2];
        let mut loss = T::zero();
        gradient.fill(T::zero());
        if let Some(sum) = input_gradient.as_deref_mut() {
            sum.fill(T::zero());
        }
        for _ in 0..self.probes {
            signs(&mut generator, &mut v);
            let probe = self.along(workspace, network, batch, &v, &mut along)?;
            loss = probe.loss;
            add(gradient, T::of(share), &along.gradient);
            if let (Some(sum), Some(one)) = (input_gradient.as_deref_mut(), &along.inputs) {
                add(sum, T::of(share), one);
            }
            for (sum, of_one) in moments.iter_mut().zip(numbers(&probe)) {
                *sum += share * of_one;
            }
        }
        of_loss.copy_from_slice(&along.of_loss);
        let [trace, frobenius_squared] = moments;
        let estimate = Estimate {
            trace,
            frobenius_squared,
            parameters,
        };
        Ok((loss, estimate))
    }

    /// The loss with its gradient, vᵀHv and ‖Hv‖², and the gradient of yᵀHv, from one forward pass.
    fn along<T: Real>(
        &self,
        workspace: &mut DeepWorkspace<T>,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        v: &[T],
        along: &mut Along<T>,
    ) -> Result<Probe<T>, Error> {
        let at = |probe: &Probe<T>| {
            let before = self.before.map(|averages| averages.moments());
            let moments = before.unwrap_or_else(|| numbers(probe));
            weights(self.sharpness, moments, v.len()).map(T::of)
        };
        let out = ProbeOut {
            loss_gradient: &mut along.of_loss,
            hv: &mut along.product,
            gradient: &mut along.gradient,
            input_gradient: along.inputs.as_deref_mut(),
        };
        workspace.probe_gradient(network, batch, v, at, out)
    }

    /// The measure as the averages estimate it, with this step's estimates in them.
    pub fn value(&self, estimate: Estimate) -> f64 {
        let averages = ProbeAverages::updated(self.before, estimate);
        value(self.sharpness, averages.moments(), estimate.parameters)
    }
}

/// Keeps the signs apart from the choice of rows, which has the same seed and steps.
const STREAMS: u64 = 0x7072_6f62_6573;

fn add<T: Real>(sum: &mut [T], factor: T, part: &[T]) {
    for (sum, &part) in sum.iter_mut().zip(part) {
        *sum += factor * part;
    }
}

/// t̂ and q̂.
fn numbers<T: Real>(probe: &Probe<T>) -> [f64; 2] {
    [probe.trace, probe.frobenius_squared].map(T::as_f64)
}

/// ±1, each as likely.
fn signs<T: Real>(generator: &mut impl Rng, out: &mut [T]) {
    for some in out.chunks_mut(64) {
        let mut bits = generator.next_u64();
        for sign in some {
            *sign = if bits & 1 == 0 { T::one() } else { -T::one() };
            bits >>= 1;
        }
    }
}

/// The derivatives of the measure at moments t and q of D parameters, and with them its value.
fn spectral_weights(
    sharpness: Sharpness,
    [trace, frobenius_squared]: [f64; 2],
    parameters: usize,
) -> (SpectralWeights, f64) {
    let moments = Moments {
        trace,
        frobenius_squared,
        parameters,
    };
    match sharpness {
        Sharpness::Trace => (SpectralWeights::of(1.0, 0.0), trace),
        Sharpness::Frobenius => {
            let weights = SpectralWeights::of_norm(&moments);
            (weights, frobenius_squared.sqrt())
        }
        _ => {
            let weights = SpectralWeights::new(&moments);
            (weights, weights.lambda_sup(parameters))
        }
    }
}

/// The measure at these moments.
fn value(sharpness: Sharpness, moments: [f64; 2], parameters: usize) -> f64 {
    spectral_weights(sharpness, moments, parameters).1
}

/// Its derivatives w_t and w_q.
fn weights(sharpness: Sharpness, moments: [f64; 2], parameters: usize) -> [f64; 2] {
    let (weights, _) = spectral_weights(sharpness, moments, parameters);
    [weights.trace, weights.frobenius_squared]
}

#[cfg(test)]
mod tests {
    use hsr_core::depth::{DeepEvaluation, DeepWorkspace, FeedForward, LayerShape, Objective};
    use hsr_core::{Activation, Batch, OutputLoss, Targets};

    use super::{Along, ProbeAverages, Probing, add};
    use crate::sharpness::Sharpness;

    #[test]
    fn the_sum_over_unit_vectors_is_the_exact_gradient() {
        let shapes = [
            LayerShape::new(2, 3).with_activation(Activation::Tanh),
            LayerShape::new(3, 3)
                .with_activation(Activation::Gelu)
                .with_residual(),
            LayerShape::new(3, 3).with_frozen_weight(),
        ];
        let theta: Vec<f64> = (0..33).map(|i| 0.7 * f64::from(i).sin()).collect();
        let network = FeedForward::from_flat(&shapes, &theta).unwrap();
        let x = [0.1, 0.2, -0.5, 1.0, 0.7, -0.3, -1.2, 0.4];
        let classes = Targets::Classes(&[0, 1, 2, 1]);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, classes);
        let size = network.parameters();
        let mut workspace = DeepWorkspace::new();
        let auto = DeepEvaluation::Auto;
        let bounds = workspace.bounds(&network, &batch, &auto).unwrap();
        let moments = bounds.whole.moments;
        for (sharpness, objective) in [
            (Sharpness::LambdaSup, Objective::LambdaSup),
            (Sharpness::Frobenius, Objective::Frobenius),
            (Sharpness::Trace, Objective::Trace),
        ] {
            let mut expected = vec![0.0; size];
            let mut of_inputs = vec![0.0; x.len()];
            let inputs = Some(&mut of_inputs[..]);
            workspace
                .objective_gradient(&network, &batch, objective, &auto, &mut expected, inputs)
                .unwrap();
            let probing = Probing {
                sharpness,
                probes: 1,
                seed: 0,
                step: 0,
                before: Some(ProbeAverages {
                    trace: moments.trace,
                    frobenius_squared: moments.frobenius_squared,
                    updates: 100_000,
                }),
            };
            let mut along = Along::new(size, Some(x.len()));
            let (mut sum, mut sum_of_inputs) = (vec![0.0; size], vec![0.0; x.len()]);
            let mut found = [0.0; 2];
            for i in 0..size {
                let mut v = vec![0.0; size];
                v[i] = 1.0;
                let probe = probing
                    .along(&mut workspace, &network, &batch, &v, &mut along)
                    .unwrap();
                let [t, q] = super::numbers(&probe);
                found = [found[0] + t, found[1] + q];
                add(&mut sum, 1.0, &along.gradient);
                add(&mut sum_of_inputs, 1.0, along.inputs.as_ref().unwrap());
            }
            let scale = expected.iter().fold(0.0_f64, |max, v| max.max(v.abs()));
            for (a, b) in sum.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-13 * scale, "{sharpness:?}");
            }
            for (a, b) in sum_of_inputs.iter().zip(&of_inputs) {
                assert!((a - b).abs() < 1e-13 * scale, "{sharpness:?}");
            }
            assert!((found[0] / moments.trace - 1.0).abs() < 1e-12);
            assert!((found[1] / moments.frobenius_squared - 1.0).abs() < 1e-12);
        }
    }
}
