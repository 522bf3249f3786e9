//! Measures of sharpness at any depth, and of any kind of network.

use burn_sharpness::SharpnessError;
use burn_sharpness::measures::{
    Margins, MeasureConfig, SharpnessMeasures, adaptive_gradient_norm, adaptive_sharpness,
    logit_scale, weight_norm,
};
use hsr_core::depth::{DeepWorkspace, FeedForward, Layer, LayerShape};
use hsr_core::{Activation, Batch, Dimensions, Error, Extremes, LanczosOptions, Network, extremes};

use super::closed_form::Curvature;
use super::feed_forward::FeedForwardSurface;
use super::surface::{Surface, is_no_number, of_hessian};
use crate::weights::View;

impl Curvature {
    /// The measures of a network: of three layers as [`SharpnessMeasures::of`] has them, else the same at any depth. The
    /// relative flatness is that of the output layer, the scale of the logits is taken out of the output layer.
    ///
    /// # Errors
    ///
    /// Where the batch does not fit the network or a value overflows.
    pub fn measures(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
        options: &MeasureConfig,
    ) -> Result<SharpnessMeasures, SharpnessError> {
        match view {
            View::ThreeLayers(network) => {
                SharpnessMeasures::of(&mut self.three, network, batch, options)
            }
            View::Layers(network) => {
                let layers: Vec<LayerShape> = network.layers().iter().map(Layer::shape).collect();
                let theta: Vec<f64> = network
                    .layers()
                    .iter()
                    .flat_map(|layer| layer.weight().iter().chain(layer.bias()))
                    .copied()
                    .collect();
                let mut surface = FeedForwardSurface::new(self, &layers, *batch);
                measures_of(&mut surface, &theta, options)
            }
        }
    }

    /// Σ_n ‖a‖² tr(W_Lᵀ S W_L), the relative flatness of the output layer, a being its inputs: that of the three-layer
    /// network which passes them on as they are.
    pub(super) fn output_flatness(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
    ) -> Result<f64, SharpnessError> {
        let network = match view {
            View::ThreeLayers(network) => return Ok(self.three.output_flatness(network, batch)?),
            View::Layers(network) => network,
        };
        let Some((output, below)) = network.layers().split_last() else {
            return Ok(0.0);
        };
        let shape = output.shape();
        let unit = unit_matrix(shape.inputs);
        // The features, as the logits of a network that ends in the unit matrix.
        let mut layers = below.to_vec();
        layers.push(Layer::new(shape.inputs, shape.inputs, &unit, None));
        let features = features(&FeedForward::new(layers)?, batch)?;
        let dimensions = Dimensions {
            inputs: shape.inputs,
            hidden: shape.inputs,
            outputs: shape.outputs,
            hidden_bias: false,
            output_bias: shape.bias,
        };
        let theta = [&unit[..], output.weight(), output.bias()].concat();
        let passing = Network::from_flat(dimensions, Activation::Identity, &theta)?;
        let mut of_output = Batch::new(batch.loss(), &features, batch.targets());
        if let Some(weights) = batch.sample_weights() {
            of_output = of_output.with_sample_weights(weights);
        }
        Ok(self.three.output_flatness(&passing, &of_output)?)
    }
}

/// N × n logits of a network whose outputs are no longer those of the labels.
fn features(network: &FeedForward<f64>, batch: &Batch<f64>) -> Result<Vec<f64>, Error> {
    let inputs = batch.inputs();
    let unknown = vec![0; inputs.len() / network.inputs().max(1)];
    let loss = hsr_core::OutputLoss::SoftmaxCrossEntropy;
    let batch = Batch::new(loss, inputs, hsr_core::Targets::Classes(&unknown));
    DeepWorkspace::new().logits(network, &batch)
}

fn unit_matrix(size: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; size * size];
    matrix.iter_mut().step_by(size + 1).for_each(|v| *v = 1.0);
    matrix
}

/// The measures of a network of any kind; those that its kind does not have are none.
///
/// # Errors
///
/// What the surface refuses, other than numbers that overflow.
pub(super) fn measures_of(
    surface: &mut (impl Surface + ?Sized),
    theta: &[f64],
    options: &MeasureConfig,
) -> Result<SharpnessMeasures, SharpnessError> {
    let mut gradient = vec![0.0; theta.len()];
    surface.loss_gradient(theta, &mut gradient)?;
    let share = surface.gauss_newton_share(theta)?;
    let logits = surface.logits(theta)?;
    let worst = options.worst_case.init()?.ascend(theta, |theta, gradient| {
        match surface.loss_gradient(theta, gradient) {
            // Beyond what numbers can hold there is no way up.
            Err(error) if is_no_number(&error) => Ok(f64::INFINITY),
            result => result,
        }
    });
    let worst = finite(worst)?;
    let adaptive = finite(adaptive_ends(surface, theta, options))?;
    let adaptive_grad_norm = adaptive_gradient_norm(theta, &gradient)?;
    let flatness = finite(surface.output_flatness(theta))?.flatten();
    let margins = Margins::of(surface.batch(), &logits, surface.outputs())?;
    let scale = logit_scale(surface.batch(), &logits, surface.outputs())?;
    let mut measures = SharpnessMeasures {
        grad_norm: weight_norm(&gradient),
        weight_norm: weight_norm(theta),
        indefinite_share: share.map(|share| 1.0 - share),
        adaptive_sharpness: adaptive.map(|ends| ends.largest),
        adaptive_grad_norm: Some(adaptive_grad_norm).filter(|v| v.is_finite()),
        adaptive_worst_case: worst.map(|ascent| ascent.increase),
        relative_flatness: flatness.filter(|v| v.is_finite()),
        logit_scale: scale,
        logit_normalized_lambda_max: None,
        logit_normalized_trace: None,
        logit_normalized_adaptive_sharpness: None,
        margin_mean: margins.map(|margins| margins.mean),
        margin_min: margins.map(|margins| margins.min),
        normalized_margin_mean: None,
        normalized_margin_min: None,
        eigenvalues_converged: adaptive.is_some_and(|ends| ends.converged),
    };
    if let Some(scale) = scale {
        let mut divided = theta.to_vec();
        let start = divided.len() - surface.output_parameters();
        divided[start..].iter_mut().for_each(|v| *v /= scale);
        measures.normalized_margin_mean = measures.margin_mean.map(|it| it / scale);
        measures.normalized_margin_min = measures.margin_min.map(|it| it / scale);
        finite(add_normalized(&mut measures, surface, &divided, options))?;
    }
    Ok(measures)
}

/// What the network without the scale of its logits shows.
fn add_normalized(
    measures: &mut SharpnessMeasures,
    surface: &mut (impl Surface + ?Sized),
    theta: &[f64],
    options: &MeasureConfig,
) -> Result<(), SharpnessError> {
    let bounds = surface.bounds(theta)?;
    measures.logit_normalized_trace = bounds.map(|bounds| bounds.moments.trace);
    let plain = finite(plain_ends(surface, theta, &options.lanczos.into()))?;
    let adaptive = finite(adaptive_ends(surface, theta, options))?;
    measures.logit_normalized_lambda_max = plain.map(|ends| ends.largest);
    measures.logit_normalized_adaptive_sharpness = adaptive.map(|ends| ends.largest);
    for ends in [plain, adaptive] {
        measures.eigenvalues_converged &= ends.is_some_and(|ends| ends.converged);
    }
    Ok(())
}

/// Both ends of the spectrum of the Hessian.
pub(crate) fn plain_ends(
    surface: &mut (impl Surface + ?Sized),
    theta: &[f64],
    options: &LanczosOptions,
) -> Result<Extremes, SharpnessError> {
    of_hessian(surface, theta, |operator| {
        let options = LanczosOptions {
            tolerance: options.tolerance.max(operator.accuracy()),
            ..*options
        };
        let size = operator.size();
        extremes(size, |v, product| operator.apply(v, product), &options)
    })
}

/// Those of T H T, T = diag(|θ|).
fn adaptive_ends(
    surface: &mut (impl Surface + ?Sized),
    theta: &[f64],
    options: &MeasureConfig,
) -> Result<Extremes, SharpnessError> {
    of_hessian(surface, theta, |operator| {
        let options = LanczosOptions {
            tolerance: options.lanczos.tolerance.max(operator.accuracy()),
            ..options.lanczos.into()
        };
        adaptive_sharpness(operator, theta, &options.into())
    })
}

/// The value; none where numbers do not reach as far as it.
fn finite<T>(result: Result<T, SharpnessError>) -> Result<Option<T>, SharpnessError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_no_number(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
