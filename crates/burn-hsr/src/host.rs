//! Host execution: parameters and batch are read into memory, hsr-core evaluates the closed form.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};

use burn::tensor::{Device, Element, Tensor, TensorData};
use hsr_core::{
    Batch, Dimensions, Error, Extremes, LanczosOptions, Network, Real, SpectralBounds, Workspace,
};

use crate::closed_form::{Spare, transpose_into};
use crate::gradient::HsrGradient;
use crate::targets::Targets;
use crate::{ClosedForm, HsrConfig, HsrError, Sharpness, Strength, ThreeLayer};

/// The buffers of the host execution in both precisions, kept between steps.
pub(crate) struct Host {
    single: Mutex<Buffers<f32>>,
    double: Mutex<Buffers<f64>>,
}

struct Buffers<T> {
    workspace: Workspace<T>,
    spare: Spare<T>,
    /// The gradient for the parameters \[D\].
    gradient: Vec<T>,
    /// The measure's part of it, where it is that of a sum \[D\].
    of_measure: Vec<T>,
}

/// What is differentiated.
#[derive(Clone, Copy)]
pub(crate) enum Objective {
    /// The measure that the configuration names, with its gradient for the inputs or without.
    Measure { with_inputs: bool },
    /// The loss L.
    Loss,
    /// L + strength·schedule·measure, whose value is given as that of L.
    Sum { strength: Strength, schedule: f64 },
}

/// A gradient in the host's memory.
struct HostGradient<T> {
    value: T,
    parameters: Vec<T>,
    inputs: Option<Vec<T>>,
}

/// What writes a gradient for the parameters and the inputs, and gives the value.
type Verb<T> = fn(
    &HsrConfig,
    &mut Workspace<T>,
    &Network<T>,
    &Batch<T>,
    &mut [T],
    Option<&mut [T]>,
) -> Result<T, Error>;

/// The verb of a measure that any precision can compute.
fn verb<T: Real>(sharpness: Sharpness) -> Option<Verb<T>> {
    match sharpness {
        Sharpness::LambdaSup => Some(|config, workspace, network, batch, to, x| {
            let bounds = workspace.bounds_gradient(network, batch, config.evaluation, to, x)?;
            Ok(bounds.lambda_sup)
        }),
        Sharpness::Trace => Some(|_, workspace, network, batch, to, x| {
            workspace.trace_gradient(network, batch, to, x)
        }),
        Sharpness::Frobenius => Some(|config, workspace, network, batch, to, x| {
            workspace.frobenius_gradient(network, batch, config.evaluation, to, x)
        }),
        Sharpness::GradientNorm => Some(|_, workspace, network, batch, to, x| {
            workspace.gradient_norm_gradient(network, batch, to, x)
        }),
        Sharpness::LambdaMax => None,
    }
}

/// λ_max, in double precision alone: single precision cannot tell when the eigenvector is found.
const LAMBDA_MAX: Verb<f64> = |config, workspace, network, batch, to, x| {
    // The eigenvalue errs by the square of this residual, and the gradient by far less than it changes in a step.
    let options = LanczosOptions {
        iterations: 300,
        tolerance: 1e-4,
        seed: config.seed,
    };
    let pair = workspace.lambda_max_gradient(network, batch, &options, to, x)?;
    Ok(pair.value)
};

impl<T: Real + Element> Buffers<T> {
    /// The objective and its gradient, in the vector of the last one if the caller has put that back. `verb` is that of
    /// the measure.
    fn gradient(
        &mut self,
        config: &HsrConfig,
        objective: Objective,
        verb: Verb<T>,
        problem: &ClosedForm<T>,
    ) -> Result<HostGradient<T>, Error> {
        let zeros = |vector: &mut Vec<T>| {
            vector.clear();
            vector.resize(problem.theta().len(), T::zero());
        };
        let mut parameters = core::mem::take(&mut self.gradient);
        zeros(&mut parameters);
        let mut inputs = None;
        let (network, batch) = (problem.network()?, problem.batch());
        let workspace = &mut self.workspace;
        let value = match objective {
            Objective::Measure { with_inputs } => {
                inputs = with_inputs.then(|| vec![T::zero(); problem.inputs().len()]);
                let inputs = inputs.as_deref_mut();
                verb(config, workspace, &network, &batch, &mut parameters, inputs)?
            }
            Objective::Loss => workspace.loss_gradient(&network, &batch, &mut parameters)?,
            Objective::Sum { strength, schedule } => {
                let of_measure = &mut self.of_measure;
                zeros(of_measure);
                let loss = if config.sharpness == Sharpness::LambdaSup {
                    let (loss, _) = workspace.loss_and_bounds_gradient(
                        &network,
                        &batch,
                        config.evaluation,
                        &mut parameters,
                        of_measure,
                        None,
                    )?;
                    loss
                } else {
                    verb(config, workspace, &network, &batch, of_measure, None)?;
                    workspace.loss_gradient(&network, &batch, &mut parameters)?
                };
                let strength = match strength {
                    Strength::Fixed(strength) => strength,
                    rule => rule.of_norms(norm(&parameters), norm(of_measure)),
                };
                let strength = strength * schedule;
                for (sum, &part) in parameters.iter_mut().zip(&*of_measure) {
                    // In double precision: the factor of a gradient that is almost 0 can be beyond single.
                    *sum += T::of(strength * part.as_f64());
                }
                loss
            }
        };
        Ok(HostGradient {
            value,
            parameters,
            inputs,
        })
    }
}

/// ‖v‖, also where squares leave the range of numbers.
fn norm<T: Real>(v: &[T]) -> f64 {
    let size = |v: &T| v.as_f64().abs();
    let largest = v.iter().map(size).fold(0.0, f64::max);
    if largest == 0.0 {
        return 0.0;
    }
    let squares = v.iter().map(|v| (size(v) / largest).powi(2));
    largest * squares.sum::<f64>().sqrt()
}

impl HostGradient<f64> {
    /// The same in single precision; what single precision cannot hold is an overflow.
    fn narrow(&self, config: &HsrConfig) -> Result<HostGradient<f32>, Error> {
        let cast = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let parameters = cast(&self.parameters);
        let inputs = self.inputs.as_deref().map(cast);
        let mut all = parameters.iter().chain(inputs.iter().flatten());
        let value = self.value as f32;
        if !value.is_finite() || !all.all(|v| v.is_finite()) {
            return Err(Error::Overflow {
                what: config.sharpness.name(),
            });
        }
        Ok(HostGradient {
            value,
            parameters,
            inputs,
        })
    }
}

impl Host {
    /// Without buffers yet; `threads` is the most that an evaluation takes.
    pub fn new(threads: Option<usize>) -> Self {
        fn buffers<T: Real>(threads: Option<usize>) -> Mutex<Buffers<T>> {
            let workspace = Workspace::new();
            Mutex::new(Buffers {
                workspace: match threads.and_then(NonZeroUsize::new) {
                    Some(threads) => workspace.with_threads(threads),
                    None => workspace,
                },
                spare: Spare::default(),
                gradient: Vec::new(),
                of_measure: Vec::new(),
            })
        }
        Self {
            single: buffers(threads),
            double: buffers(threads),
        }
    }

    /// The objective and its gradient in the model's precision: f64, or f32 for everything narrower. Where f32 overflows
    /// on the way, the computation is done again in f64, where λ_max is computed from the beginning. The gradient, not
    /// the value, is multiplied by `factor`.
    pub fn gradient<M: ThreeLayer>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        objective: Objective,
        factor: f64,
    ) -> Result<HsrGradient, HsrError> {
        let dtype = model.hidden().weight.dtype();
        let device = inputs.device().inner();
        let dimensions = model.dimensions();
        let in_double = verb(config.sharpness).unwrap_or(LAMBDA_MAX);
        let double = |inputs, targets| -> Result<HostGradient<f64>, HsrError> {
            let mut buffers = locked(&self.double);
            let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
            let gradient = buffers.gradient(config, objective, in_double, &problem)?;
            problem.leave(&mut buffers.spare);
            Ok(gradient)
        };
        if dtype == burn::tensor::DType::F64 {
            let mut gradient = double(inputs, targets)?;
            let tensors = to_tensors(&mut gradient, factor, &dimensions, &device, dtype);
            locked(&self.double).gradient = gradient.parameters;
            return Ok(tensors);
        }
        let mut gradient = match verb::<f32>(config.sharpness) {
            None => double(inputs, targets)?.narrow(config)?,
            Some(verb) => {
                let mut buffers = locked(&self.single);
                let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
                let gradient = match buffers.gradient(config, objective, verb, &problem) {
                    Err(Error::Overflow { .. }) => {
                        let problem = problem.widened(config);
                        let mut buffers = locked(&self.double);
                        let wide = buffers.gradient(config, objective, in_double, &problem)?;
                        wide.narrow(config)?
                    }
                    result => result?,
                };
                problem.leave(&mut buffers.spare);
                gradient
            }
        };
        let tensors = to_tensors(&mut gradient, factor, &dimensions, &device, dtype);
        locked(&self.single).gradient = gradient.parameters;
        Ok(tensors)
    }

    /// The bounds, in f64 whatever the model's precision.
    pub fn bounds<M: ThreeLayer>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<SpectralBounds<f64>, HsrError> {
        let mut buffers = locked(&self.double);
        let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
        let workspace = &mut buffers.workspace;
        let bounds = workspace.bounds(&problem.network()?, &problem.batch(), config.evaluation)?;
        problem.leave(&mut buffers.spare);
        Ok(bounds)
    }

    /// Both ends of the spectrum, in f64 whatever the model's precision.
    pub fn extremes<M: ThreeLayer>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        options: &LanczosOptions,
    ) -> Result<Extremes, HsrError> {
        let mut buffers = locked(&self.double);
        let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
        let network = problem.network()?;
        let mut operator = buffers.workspace.linearize(&network, &problem.batch())?;
        Ok(hsr_core::extremes(
            operator.parameters(),
            |v, product| operator.apply(v, product),
            options,
        )?)
    }
}

/// A poisoned lock only means that another thread panicked; buffers carry no state between calls.
fn locked<T>(buffers: &Mutex<Buffers<T>>) -> MutexGuard<'_, Buffers<T>> {
    buffers.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// The value, and the gradient times `factor`: a pass over D numbers here is less than four operations of Burn.
fn to_tensors<T: Real + Element>(
    gradient: &mut HostGradient<T>,
    factor: f64,
    dimensions: &Dimensions,
    device: &Device,
    dtype: burn::tensor::DType,
) -> HsrGradient {
    let Dimensions {
        inputs,
        hidden,
        outputs,
        ..
    } = *dimensions;
    let layout = dimensions.layout();
    if factor != 1.0 {
        let factor = T::of(factor);
        let inputs = gradient.inputs.iter_mut().flatten();
        for value in gradient.parameters.iter_mut().chain(inputs) {
            *value *= factor;
        }
    }
    let theta = &gradient.parameters;
    let matrix = |values: Vec<T>, shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values, shape), (device, dtype))
    };
    let transposed = |range: core::ops::Range<usize>, shape: [usize; 2]| {
        let mut values = Vec::with_capacity(range.len());
        transpose_into(&theta[range], shape[0], &mut values);
        matrix(values, shape)
    };
    let vector = |values: &[T]| {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Tensor::<1>::from_data(data, (device, dtype))
    };
    let bias = |range: core::ops::Range<usize>| (!range.is_empty()).then(|| vector(&theta[range]));
    HsrGradient {
        value: vector(&[gradient.value]),
        hidden_weight: transposed(layout.hidden_weight(), [inputs, hidden]),
        hidden_bias: bias(layout.hidden_bias()),
        output_weight: transposed(layout.output_weight(), [hidden, outputs]),
        output_bias: bias(layout.output_bias()),
        inputs: gradient.inputs.take().map(|values| {
            let samples = values.len() / inputs;
            matrix(values, [samples, inputs])
        }),
    }
}
