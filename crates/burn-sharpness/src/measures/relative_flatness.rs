//! Relative flatness: the trace of a layer's Hessian, weighted by the layer's own weights.

use core::ops::Range;

use hsr_core::{Batch, Network, Workspace};

use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;
use crate::parameters::Parameter;

/// Where the weight of neuron s and input i stands in the vector of parameters: start + s·neuron_stride + i·input_stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerWeights {
    start: usize,
    neurons: usize,
    inputs: usize,
    neuron_stride: usize,
    input_stride: usize,
}

impl LayerWeights {
    /// A row a neuron, as in PyTorch, in [`hsr_core`] and in convolutions (whose filters are the neurons): the values of
    /// `range` are `[neurons, inputs]`.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the range is no such matrix.
    pub fn rows(range: Range<usize>, neurons: usize) -> Result<Self, SharpnessError> {
        let inputs = inputs(&range, neurons)?;
        Ok(Self {
            start: range.start,
            neurons,
            inputs,
            neuron_stride: inputs,
            input_stride: 1,
        })
    }

    /// A column a neuron, as in Burn's `Linear`: the values of `range` are `[inputs, neurons]`.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the range is no such matrix.
    pub fn columns(range: Range<usize>, neurons: usize) -> Result<Self, SharpnessError> {
        let inputs = inputs(&range, neurons)?;
        Ok(Self {
            start: range.start,
            neurons,
            inputs,
            neuron_stride: 1,
            input_stride: neurons,
        })
    }

    /// The weight of a Burn `Linear`, as [`ParameterSpace`](crate::ParameterSpace) lists it.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the parameter is no matrix.
    pub fn of_linear(parameter: &Parameter) -> Result<Self, SharpnessError> {
        match parameter.shape[..] {
            [_, neurons] => Self::columns(parameter.range.clone(), neurons),
            _ => Err(SharpnessError::Length {
                what: "the shape of a Linear's weight",
                got: parameter.shape.len(),
                expected: 2,
            }),
        }
    }

    fn at(&self, neuron: usize, input: usize) -> usize {
        self.start + neuron * self.neuron_stride + input * self.input_stride
    }
}

fn inputs(range: &Range<usize>, neurons: usize) -> Result<usize, SharpnessError> {
    let inputs = range.len() / neurons.max(1);
    if neurons > 0 && inputs > 0 && inputs * neurons == range.len() {
        return Ok(inputs);
    }
    Err(SharpnessError::Length {
        what: "the layer's range",
        got: range.len(),
        expected: neurons.max(1) * inputs.max(1),
    })
}

/// Relative flatness of a layer, κ = Σ_ss' ⟨w_s, w_s'⟩ tr H_ss': w_s are the weights into neuron s, H_ss' the block of
/// the loss Hessian between those of s and those of s'. (Reference 3 of [`measures`](crate::measures), definition 3.
/// Biases count neither as weights nor in the blocks. A smaller κ is a flatter layer.) The reference measures the layer
/// whose inputs are the features: by default the output layer.
///
/// Exact; costs a product with H for each weight of the layer. For the output layer of a three-layer network,
/// [`output_relative_flatness`] needs a forward pass alone.
///
/// # Errors
///
/// [`SharpnessError::Length`] where θ or the layer does not fit the operator, and what the products can refuse.
pub fn relative_flatness<A: SymmetricOperator + ?Sized>(
    operator: &mut A,
    theta: &[f64],
    layer: &LayerWeights,
) -> Result<f64, SharpnessError> {
    let size = operator.size();
    let last = layer.at(layer.neurons - 1, layer.inputs - 1);
    for (what, got, fits) in [
        ("theta", theta.len(), theta.len() == size),
        ("the layer's end", last + 1, last < size),
    ] {
        if !fits {
            return Err(SharpnessError::Length {
                what,
                got,
                expected: size,
            });
        }
    }
    let weights = |neuron: usize| (0..layer.inputs).map(move |i| theta[layer.at(neuron, i)]);
    let (mut unit, mut column) = (vec![0.0; size], vec![0.0; size]);
    let mut kappa = 0.0;
    for s in 0..layer.neurons {
        let products: Vec<f64> = (0..layer.neurons)
            .map(|other| weights(other).zip(weights(s)).map(|(a, b)| a * b).sum())
            .collect();
        for i in 0..layer.inputs {
            unit[layer.at(s, i)] = 1.0;
            operator.apply(&unit, &mut column)?;
            unit[layer.at(s, i)] = 0.0;
            for (other, product) in products.iter().enumerate() {
                kappa += product * column[layer.at(other, i)];
            }
        }
    }
    Ok(kappa)
}

/// [`relative_flatness`] of the output layer of a three-layer network in closed form: Σ_n ‖a‖² tr(W2ᵀ S W2), one forward
/// pass. Not negative, for S has no negative eigenvalue.
///
/// # Errors
///
/// [`SharpnessError::Core`] where the batch does not fit the network.
pub fn output_relative_flatness(
    workspace: &mut Workspace<f64>,
    network: &Network<f64>,
    batch: &Batch<f64>,
) -> Result<f64, SharpnessError> {
    Ok(workspace.output_flatness(network, batch)?)
}
