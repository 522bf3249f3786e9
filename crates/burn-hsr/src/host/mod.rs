//! Host execution: parameters and batch are read into memory, hsr-core evaluates the closed form.

mod evaluate;
mod tensors;

use std::sync::{Mutex, MutexGuard};

use burn::tensor::{DType, Device, Element, Tensor};
use hsr_core::depth::{DeepBounds, LayerShape};
use hsr_core::{Error, Extremes, LanczosOptions, Real, SpectralBounds};

pub(crate) use self::evaluate::Objective;
use self::evaluate::{Buffers, LAMBDA_MAX, View, deep_evaluation, verb};
use self::tensors::{HostGradient, layers, to_tensors};
use crate::closed_form::ClosedForm;
use crate::config::HsrConfig;
use crate::error::HsrError;
use crate::gradient::{HsrGradient, LayerGradient};
use crate::layers::{Layers, shapes};
use crate::probes::{Estimate, Probing};
use crate::targets::Targets;

/// The buffers of the host execution in both precisions, kept between steps.
pub(crate) struct Host {
    threads: Option<usize>,
    single: Mutex<Buffers<f32>>,
    double: Mutex<Buffers<f64>>,
}

/// What is asked of the host.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub config: &'a HsrConfig,
    pub objective: Objective,
    /// How the measure is estimated, where it is not exact.
    pub probing: Option<&'a Probing>,
    /// What the gradient, not the value, is multiplied by.
    pub factor: f64,
}

/// What the host found.
pub(crate) struct OnHost {
    pub gradient: HsrGradient,
    /// The measure's gradient for each layer, where the other is the loss's.
    pub measure: Option<Vec<LayerGradient>>,
    /// What probes said of the moments, where they were used.
    pub estimate: Option<Estimate>,
}

fn on_host<T: Real + Element>(
    gradient: &mut HostGradient<T>,
    factor: f64,
    shapes: &[LayerShape],
    device: &Device,
    dtype: DType,
) -> OnHost {
    let measure = gradient.measure.as_deref();
    OnHost {
        measure: measure.map(|measure| layers(measure, shapes, device, dtype)),
        gradient: to_tensors(gradient, factor, shapes, device, dtype),
        estimate: gradient.estimate,
    }
}

impl Clone for Host {
    /// Buffers of its own, so that two regularisers do not wait for each other.
    fn clone(&self) -> Self {
        Self::new(self.threads)
    }
}

impl Host {
    /// Without buffers yet; `threads` is the most that an evaluation takes.
    pub fn new(threads: Option<usize>) -> Self {
        Self {
            threads,
            single: Mutex::new(Buffers::new(threads)),
            double: Mutex::new(Buffers::new(threads)),
        }
    }

    /// The objective and its gradient in the model's precision: f64, or f32 for everything narrower. Where f32 overflows
    /// on the way, the computation is done again in f64, where λ_max is computed from the beginning.
    pub fn gradient<M: Layers>(
        &self,
        task: Task,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<OnHost, HsrError> {
        let Task {
            config,
            objective,
            probing,
            factor,
        } = task;
        let shapes = shapes(model);
        let dtype = dtype_of(model);
        let device = inputs.device().inner();
        let in_double = verb(config.sharpness).unwrap_or(LAMBDA_MAX);
        let double = |inputs, targets| -> Result<HostGradient<f64>, HsrError> {
            let mut buffers = locked(&self.double);
            let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
            let gradient = buffers.gradient(config, objective, in_double, probing, &problem)?;
            problem.leave(&mut buffers.spare);
            Ok(gradient)
        };
        if dtype == DType::F64 {
            let mut gradient = double(inputs, targets)?;
            let found = on_host(&mut gradient, factor, &shapes, &device, dtype);
            locked(&self.double).leave(gradient);
            return Ok(found);
        }
        let mut gradient = match verb::<f32>(config.sharpness) {
            None => double(inputs, targets)?.narrow(config)?,
            Some(verb) => {
                let mut buffers = locked(&self.single);
                let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
                let gradient = match buffers.gradient(config, objective, verb, probing, &problem) {
                    Err(Error::Overflow { .. }) => {
                        let problem = problem.widened(config);
                        let mut buffers = locked(&self.double);
                        let wide =
                            buffers.gradient(config, objective, in_double, probing, &problem)?;
                        wide.narrow(config)?
                    }
                    result => result?,
                };
                problem.leave(&mut buffers.spare);
                gradient
            }
        };
        let found = on_host(&mut gradient, factor, &shapes, &device, dtype);
        locked(&self.single).leave(gradient);
        Ok(found)
    }

    /// The bounds, in f64 whatever the model's precision.
    pub fn bounds<M: Layers>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<SpectralBounds<f64>, HsrError> {
        let mut buffers = locked(&self.double);
        let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
        let workspaces = &mut buffers.workspaces;
        let bounds = match View::new(&problem)? {
            View::Three(network) => {
                let three = &mut workspaces.three;
                three.bounds(&network, &problem.batch(), config.evaluation)?
            }
            View::Deep(network) => {
                let evaluation = deep_evaluation(config.evaluation);
                let deep = &mut workspaces.deep;
                deep.bounds(&network, &problem.batch(), &evaluation)?.whole
            }
        };
        problem.leave(&mut buffers.spare);
        Ok(bounds)
    }

    /// The bounds of every layer too, in f64 whatever the model's precision.
    pub fn layer_bounds<M: Layers>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<DeepBounds<f64>, HsrError> {
        let mut buffers = locked(&self.double);
        let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
        let evaluation = deep_evaluation(config.evaluation);
        let deep = &mut buffers.workspaces.deep;
        let bounds = deep.bounds(&problem.feed_forward()?, &problem.batch(), &evaluation)?;
        problem.leave(&mut buffers.spare);
        Ok(bounds)
    }

    /// Both ends of the spectrum, in f64 whatever the model's precision.
    pub fn extremes<M: Layers>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        options: &LanczosOptions,
    ) -> Result<Extremes, HsrError> {
        let mut buffers = locked(&self.double);
        let problem = ClosedForm::read(config, model, inputs, targets, &mut buffers.spare)?;
        let workspaces = &mut buffers.workspaces;
        Ok(match View::new(&problem)? {
            View::Three(network) => {
                let mut operator = workspaces.three.linearize(&network, &problem.batch())?;
                let apply = |v: &[f64], product: &mut [f64]| operator.apply(v, product);
                hsr_core::extremes(network.dimensions().parameters(), apply, options)?
            }
            View::Deep(network) => {
                let mut operator = workspaces.deep.linearize(&network, &problem.batch())?;
                let apply = |v: &[f64], product: &mut [f64]| operator.apply(v, product);
                hsr_core::extremes(network.parameters(), apply, options)?
            }
        })
    }
}

/// The type of the parameters.
pub(crate) fn dtype_of<M: Layers>(model: &M) -> DType {
    let layers = model.layers();
    let first = layers.first();
    first.map_or(DType::F32, |layer| layer.linear().weight.dtype())
}

/// A poisoned lock only means that another thread panicked; buffers carry no state between calls.
fn locked<T>(buffers: &Mutex<Buffers<T>>) -> MutexGuard<'_, Buffers<T>> {
    buffers.lock().unwrap_or_else(|poison| poison.into_inner())
}
