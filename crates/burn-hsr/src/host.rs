//! Host execution: parameters and batch are read into memory, hsr-core evaluates the closed form.

use std::sync::{Mutex, MutexGuard};

use burn::tensor::{Device, Element, Tensor, TensorData};
use hsr_core::{
    Batch, Dimensions, Error, Extremes, LanczosOptions, Network, Real, SpectralBounds, Workspace,
};

use crate::gradient::HsrGradient;
use crate::targets::{Labels, Targets};
use crate::{HsrConfig, HsrError, ThreeLayer};

/// The buffers of the host execution in both precisions, kept between steps.
#[derive(Default)]
pub(crate) struct Host {
    single: Mutex<Workspace<f32>>,
    double: Mutex<Workspace<f64>>,
}

/// A model and a batch in the host's memory, matrices in the layout of hsr-core.
struct Problem<T> {
    dimensions: Dimensions,
    activation: hsr_core::Activation,
    theta: Vec<T>,
    inputs: Vec<T>,
    labels: HostLabels<T>,
    sample_weights: Option<Vec<T>>,
    class_weights: Option<Vec<T>>,
}

enum HostLabels<T> {
    Classes(Vec<usize>),
    Values(Vec<T>),
}

/// A gradient in the host's memory.
struct HostGradient<T> {
    lambda_sup: T,
    parameters: Vec<T>,
    inputs: Option<Vec<T>>,
}

fn read<T: Element, const D: usize>(
    what: &'static str,
    tensor: Tensor<D>,
) -> Result<Vec<T>, HsrError> {
    tensor
        .inner()
        .try_into_vec_as::<T>()
        .map_err(|error| HsrError::Read {
            what,
            message: error.to_string(),
        })
}

/// `[rows, columns]` row-major to `[columns, rows]`.
fn transpose_into<T: Copy>(matrix: &[T], columns: usize, out: &mut Vec<T>) {
    for column in 0..columns {
        out.extend(matrix.iter().skip(column).step_by(columns));
    }
}

impl<T: Real + Element> Problem<T> {
    fn read<M: ThreeLayer>(
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<Self, HsrError> {
        let dimensions = model.dimensions();
        let (hidden, output) = (model.hidden(), model.output());
        let mut theta = Vec::with_capacity(dimensions.parameters());
        let weight = read("the hidden weight", hidden.weight.val())?;
        transpose_into(&weight, dimensions.hidden, &mut theta);
        if let Some(bias) = &hidden.bias {
            theta.extend(read::<T, 1>("the hidden bias", bias.val())?);
        }
        let weight = read("the output weight", output.weight.val())?;
        transpose_into(&weight, dimensions.outputs, &mut theta);
        if let Some(bias) = &output.bias {
            theta.extend(read::<T, 1>("the output bias", bias.val())?);
        }
        let labels =
            match targets.labels {
                Labels::Values(values) => HostLabels::Values(read("the targets", values)?),
                Labels::Classes(classes) => {
                    let classes = classes.inner().try_into_vec_as::<i64>().map_err(|error| {
                        HsrError::Read {
                            what: "the targets",
                            message: error.to_string(),
                        }
                    })?;
                    // A negative index becomes one that is out of range, which hsr-core names with its sample.
                    let index = |class: i64| usize::try_from(class).unwrap_or(usize::MAX);
                    HostLabels::Classes(classes.into_iter().map(index).collect())
                }
            };
        let cast = |weights: &[f64]| weights.iter().map(|&w| T::of(w)).collect();
        Ok(Self {
            dimensions,
            activation: model.activation(),
            theta,
            inputs: read("the inputs", inputs)?,
            labels,
            sample_weights: match targets.sample_weights {
                Some(weights) => Some(read("the sample weights", weights)?),
                None => None,
            },
            class_weights: config.class_weights.as_deref().map(cast),
        })
    }

    fn with<R>(
        &self,
        config: &HsrConfig,
        f: impl FnOnce(&Network<T>, &Batch<T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let network = Network::from_flat(self.dimensions, self.activation, &self.theta)?;
        let targets = match &self.labels {
            HostLabels::Classes(classes) => hsr_core::Targets::Classes(classes),
            HostLabels::Values(values) => hsr_core::Targets::Values(values),
        };
        let mut batch = Batch::new(config.loss, &self.inputs, targets)
            .with_label_smoothing(T::of(config.softmax_smoothing()));
        if let Some(weights) = &self.sample_weights {
            batch = batch.with_sample_weights(weights);
        }
        if let Some(weights) = &self.class_weights {
            batch = batch.with_class_weights(weights);
        }
        f(&network, &batch)
    }

    fn gradient(
        &self,
        config: &HsrConfig,
        workspace: &Mutex<Workspace<T>>,
        with_inputs: bool,
    ) -> Result<HostGradient<T>, Error> {
        let mut workspace = locked(workspace);
        let mut parameters = vec![T::zero(); self.theta.len()];
        let mut inputs = with_inputs.then(|| vec![T::zero(); self.inputs.len()]);
        let bounds = self.with(config, |network, batch| {
            workspace.bounds_gradient(
                network,
                batch,
                config.evaluation,
                &mut parameters,
                inputs.as_deref_mut(),
            )
        })?;
        Ok(HostGradient {
            lambda_sup: bounds.lambda_sup,
            parameters,
            inputs,
        })
    }
}

impl HostGradient<f64> {
    /// The same in single precision; what single precision cannot hold is an overflow.
    fn narrow(&self) -> Result<HostGradient<f32>, Error> {
        let cast = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let parameters = cast(&self.parameters);
        let inputs = self.inputs.as_deref().map(cast);
        let mut all = parameters.iter().chain(inputs.iter().flatten());
        let lambda_sup = self.lambda_sup as f32;
        if !lambda_sup.is_finite() || !all.all(|v| v.is_finite()) {
            return Err(Error::Overflow { what: "λ_sup" });
        }
        Ok(HostGradient {
            lambda_sup,
            parameters,
            inputs,
        })
    }
}

impl Host {
    /// λ_sup and its gradient in the model's precision: f64, or f32 for everything narrower. Where f32 overflows on
    /// the way, the computation is done again in f64.
    pub fn gradient<M: ThreeLayer>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        with_inputs: bool,
    ) -> Result<HsrGradient, HsrError> {
        let dtype = model.hidden().weight.val().dtype();
        let device = inputs.clone().inner().device();
        let dimensions = model.dimensions();
        if dtype == burn::tensor::DType::F64 {
            let problem = Problem::<f64>::read(config, model, inputs, targets)?;
            let gradient = problem.gradient(config, &self.double, with_inputs)?;
            return Ok(to_tensors(gradient, &dimensions, &device, dtype));
        }
        let problem = Problem::<f32>::read(config, model, inputs.clone(), targets.clone())?;
        let gradient = match problem.gradient(config, &self.single, with_inputs) {
            Err(Error::Overflow { .. }) => {
                let problem = Problem::<f64>::read(config, model, inputs, targets)?;
                problem
                    .gradient(config, &self.double, with_inputs)?
                    .narrow()?
            }
            result => result?,
        };
        Ok(to_tensors(gradient, &dimensions, &device, dtype))
    }

    /// The bounds, in f64 whatever the model's precision.
    pub fn bounds<M: ThreeLayer>(
        &self,
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<SpectralBounds<f64>, HsrError> {
        let problem = Problem::<f64>::read(config, model, inputs, targets)?;
        let mut workspace = locked(&self.double);
        Ok(problem.with(config, |network, batch| {
            workspace.bounds(network, batch, config.evaluation)
        })?)
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
        let problem = Problem::<f64>::read(config, model, inputs, targets)?;
        let mut workspace = locked(&self.double);
        Ok(problem.with(config, |network, batch| {
            let mut operator = workspace.linearize(network, batch)?;
            hsr_core::extremes(
                operator.parameters(),
                |v, product| operator.apply(v, product),
                options,
            )
        })?)
    }
}

/// A poisoned lock only means that another thread panicked; buffers carry no state between calls.
fn locked<T>(workspace: &Mutex<Workspace<T>>) -> MutexGuard<'_, Workspace<T>> {
    workspace
        .lock()
        .unwrap_or_else(|poison| poison.into_inner())
}

fn to_tensors<T: Real + Element>(
    gradient: HostGradient<T>,
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
        lambda_sup: vector(&[gradient.lambda_sup]),
        hidden_weight: transposed(layout.hidden_weight(), [inputs, hidden]),
        hidden_bias: bias(layout.hidden_bias()),
        output_weight: transposed(layout.output_weight(), [hidden, outputs]),
        output_bias: bias(layout.output_bias()),
        inputs: gradient.inputs.map(|values| {
            let samples = values.len() / inputs;
            matrix(values, [samples, inputs])
        }),
    }
}
