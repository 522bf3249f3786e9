//! The objectives on hsr-core: the kernels for three layers where the model has that form, any depth otherwise.

use core::num::NonZeroUsize;

use burn::tensor::Element;
use hsr_core::depth::{self, DeepEvaluation, DeepPlan, DeepWorkspace, FeedForward};
use hsr_core::{Batch, Error, Evaluation, LanczosOptions, Network, Real, Workspace};

use super::tensors::HostGradient;
use crate::closed_form::{ClosedForm, Spare};
use crate::config::HsrConfig;
use crate::probes::Probing;
use crate::sharpness::Sharpness;

/// What is differentiated.
#[derive(Clone, Copy)]
pub(crate) enum Objective {
    /// The measure that the configuration names, with its gradient for the inputs or without.
    Measure { with_inputs: bool },
    /// The loss L.
    Loss,
    /// L + strength·measure, whose value is given as that of L.
    Sum { strength: f64 },
    /// L, and the gradient of the measure beside its own.
    Both,
}

/// The buffers of one precision.
pub(super) struct Buffers<T> {
    pub workspaces: Workspaces<T>,
    pub spare: Spare<T>,
    /// The gradient for the parameters \[D\].
    gradient: Vec<T>,
    /// The measure's part of it, where it is that of a sum \[D\].
    of_measure: Vec<T>,
}

pub(super) struct Workspaces<T> {
    pub three: Workspace<T>,
    pub deep: DeepWorkspace<T>,
}

impl<T: Real> Buffers<T> {
    /// Without memory yet; `threads` is the most that an evaluation takes.
    pub fn new(threads: Option<usize>) -> Self {
        let (three, deep) = (Workspace::new(), DeepWorkspace::new());
        let (three, deep) = match threads.and_then(NonZeroUsize::new) {
            Some(threads) => (three.with_threads(threads), deep.with_threads(threads)),
            None => (three, deep),
        };
        Self {
            workspaces: Workspaces { three, deep },
            spare: Spare::default(),
            gradient: Vec::new(),
            of_measure: Vec::new(),
        }
    }
}

/// A network as it is evaluated.
pub(super) enum View<'a, T> {
    /// With the kernels for three layers.
    Three(Network<'a, T>),
    Deep(FeedForward<'a, T>),
}

impl<'a, T: Real + Element> View<'a, T> {
    /// For the verbs that both workspaces have.
    pub fn new(problem: &'a ClosedForm<T>) -> Result<Self, Error> {
        match problem.three_layers() {
            Some(network) => Ok(Self::Three(network?)),
            None => Ok(Self::Deep(problem.feed_forward()?)),
        }
    }

    /// For the measure of a configuration.
    fn of(config: &HsrConfig, problem: &'a ClosedForm<T>) -> Result<Self, Error> {
        if config.probes > 0 || config.sharpness.is_of_blocks() {
            Ok(Self::Deep(problem.feed_forward()?))
        } else {
            Self::new(problem)
        }
    }

    /// D, without what is frozen.
    fn parameters(&self) -> usize {
        match self {
            Self::Three(network) => network.dimensions().parameters(),
            Self::Deep(network) => network.parameters(),
        }
    }
}

/// How the blocks of a network of any depth are evaluated.
pub(super) fn deep_evaluation(evaluation: Evaluation) -> DeepEvaluation {
    match evaluation {
        Evaluation::Auto => DeepEvaluation::Auto,
        Evaluation::Assembled => DeepEvaluation::Assembled,
        Evaluation::Gram => DeepEvaluation::Gram,
        // In the order of the blocks of two layers; hsr-core refuses it for any other number.
        Evaluation::Blocks(plan) => {
            DeepEvaluation::Blocks(DeepPlan::new([plan.hidden, plan.cross, plan.output]))
        }
    }
}

/// What writes a gradient for the parameters and the inputs, and gives the value.
pub(super) type Verb<T> = fn(
    &HsrConfig,
    &mut Workspaces<T>,
    &View<T>,
    &Batch<T>,
    &mut [T],
    Option<&mut [T]>,
) -> Result<T, Error>;

/// The verb of a measure that any precision can compute.
pub(super) fn verb<T: Real>(sharpness: Sharpness) -> Option<Verb<T>> {
    Some(match sharpness {
        Sharpness::LambdaMax => return None,
        Sharpness::GradientNorm => |_, workspaces, view, batch, to, x| match view {
            View::Three(network) => workspaces
                .three
                .gradient_norm_gradient(network, batch, to, x),
            View::Deep(network) => workspaces
                .deep
                .gradient_norm_gradient(network, batch, to, x),
        },
        _ => |config, workspaces, view, batch, to, x| match view {
            View::Three(network) => {
                let three = &mut workspaces.three;
                match config.sharpness {
                    Sharpness::Trace => three.trace_gradient(network, batch, to, x),
                    Sharpness::Frobenius => {
                        three.frobenius_gradient(network, batch, config.evaluation, to, x)
                    }
                    _ => Ok(three
                        .bounds_gradient(network, batch, config.evaluation, to, x)?
                        .lambda_sup),
                }
            }
            View::Deep(network) => workspaces.deep.objective_gradient(
                network,
                batch,
                objective_of(config.sharpness),
                &deep_evaluation(config.evaluation),
                to,
                x,
            ),
        },
    })
}

/// The objective of a measure that is a function of the blocks' moments.
fn objective_of(sharpness: Sharpness) -> depth::Objective {
    match sharpness {
        Sharpness::Trace => depth::Objective::Trace,
        Sharpness::Frobenius => depth::Objective::Frobenius,
        Sharpness::LambdaBlock => depth::Objective::LambdaBlock,
        Sharpness::LambdaDiagonal => depth::Objective::LambdaDiagonal,
        Sharpness::GaussNewton => depth::Objective::GaussNewton,
        // The other two are no functions of moments and have verbs of their own.
        Sharpness::LambdaSup | Sharpness::LambdaMax | Sharpness::GradientNorm => {
            depth::Objective::LambdaSup
        }
    }
}

/// λ_max, in double precision alone: single precision cannot tell when the eigenvector is found.
pub(super) const LAMBDA_MAX: Verb<f64> = |config, workspaces, view, batch, to, x| {
    // The eigenvalue errs by the square of this residual, and the gradient by far less than it changes in a step.
    let options = LanczosOptions {
        iterations: 300,
        tolerance: 1e-4,
        seed: config.seed,
    };
    let pair = match view {
        View::Three(network) => workspaces
            .three
            .lambda_max_gradient(network, batch, &options, to, x)?,
        View::Deep(network) => workspaces
            .deep
            .lambda_max_gradient(network, batch, None, &options, to, x)?,
    };
    Ok(pair.value)
};

impl<T: Real + Element> Workspaces<T> {
    fn loss_gradient(
        &mut self,
        view: &View<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
    ) -> Result<T, Error> {
        match view {
            View::Three(network) => self.three.loss_gradient(network, batch, gradient),
            View::Deep(network) => self.deep.loss_gradient(network, batch, gradient, None),
        }
    }

    /// The loss, and the gradients of the loss and of the measure, from one forward pass where the workspace can.
    fn both_gradients(
        &mut self,
        config: &HsrConfig,
        verb: Verb<T>,
        view: &View<T>,
        batch: &Batch<T>,
        of_loss: &mut [T],
        of_measure: &mut [T],
    ) -> Result<T, Error> {
        match (view, config.sharpness) {
            (View::Three(network), Sharpness::LambdaSup) => {
                let three = &mut self.three;
                let evaluation = config.evaluation;
                let (loss, _) = three.loss_and_bounds_gradient(
                    network, batch, evaluation, of_loss, of_measure, None,
                )?;
                Ok(loss)
            }
            (View::Deep(network), sharpness) if sharpness.is_of_moments() => {
                let (loss, _) = self.deep.loss_and_objective_gradient(
                    network,
                    batch,
                    objective_of(sharpness),
                    &deep_evaluation(config.evaluation),
                    of_loss,
                    of_measure,
                    None,
                )?;
                Ok(loss)
            }
            _ => {
                verb(config, self, view, batch, of_measure, None)?;
                self.loss_gradient(view, batch, of_loss)
            }
        }
    }
}

impl<T: Real + Element> Buffers<T> {
    /// Takes the memory of a gradient for the next one.
    pub fn leave(&mut self, gradient: HostGradient<T>) {
        self.gradient = gradient.parameters;
        if let Some(measure) = gradient.measure {
            self.of_measure = measure;
        }
    }

    /// The objective and its gradient, in the vector of the last one if the caller has put that back. `verb` is that of
    /// the measure, which `probing` estimates instead where it is given.
    pub fn gradient(
        &mut self,
        config: &HsrConfig,
        objective: Objective,
        verb: Verb<T>,
        probing: Option<&Probing>,
        problem: &ClosedForm<T>,
    ) -> Result<HostGradient<T>, Error> {
        let (view, batch) = (View::of(config, problem)?, problem.batch());
        let size = view.parameters();
        let mut parameters = zeros(core::mem::take(&mut self.gradient), size);
        let mut inputs = None;
        let mut estimate = None;
        let mut measure = None;
        let workspaces = &mut self.workspaces;
        let value = match objective {
            Objective::Measure { with_inputs } => {
                inputs = with_inputs.then(|| vec![T::zero(); problem.inputs().len()]);
                let x = inputs.as_deref_mut();
                match (probing, &view) {
                    (Some(probing), View::Deep(network)) => {
                        let deep = &mut workspaces.deep;
                        self.of_measure = zeros(core::mem::take(&mut self.of_measure), size);
                        let of_loss = &mut self.of_measure;
                        let (_, found) =
                            probing.gradient(deep, network, &batch, of_loss, &mut parameters, x)?;
                        estimate = Some(found);
                        T::of(probing.value(found))
                    }
                    _ => verb(config, workspaces, &view, &batch, &mut parameters, x)?,
                }
            }
            Objective::Loss => workspaces.loss_gradient(&view, &batch, &mut parameters)?,
            Objective::Sum { .. } | Objective::Both => {
                self.of_measure = zeros(core::mem::take(&mut self.of_measure), size);
                let of_measure = &mut self.of_measure;
                let loss = match (probing, &view) {
                    (Some(probing), View::Deep(network)) => {
                        let deep = &mut workspaces.deep;
                        let of_loss = &mut parameters;
                        let (loss, found) =
                            probing.gradient(deep, network, &batch, of_loss, of_measure, None)?;
                        estimate = Some(found);
                        loss
                    }
                    _ => workspaces.both_gradients(
                        config,
                        verb,
                        &view,
                        &batch,
                        &mut parameters,
                        of_measure,
                    )?,
                };
                if let Objective::Sum { strength } = objective {
                    for (sum, &part) in parameters.iter_mut().zip(&*of_measure) {
                        // In double precision: the factor of a gradient that is almost 0 can be beyond single.
                        *sum += T::of(strength * part.as_f64());
                    }
                } else {
                    measure = Some(core::mem::take(of_measure));
                }
                loss
            }
        };
        Ok(HostGradient {
            value,
            parameters,
            measure,
            inputs,
            estimate,
        })
    }
}

fn zeros<T: Real>(mut vector: Vec<T>, size: usize) -> Vec<T> {
    vector.clear();
    vector.resize(size, T::zero());
    vector
}
