//! Measures of sharpness at any depth.

use burn_sharpness::SharpnessError;
use burn_sharpness::measures::{
    Margins, MeasureOptions, SharpnessMeasures, adaptive_gradient_norm, adaptive_sharpness,
    logit_scale, weight_norm,
};
use hsr_core::depth::{DeepWorkspace, FeedForward, Layer, LayerShape};
use hsr_core::{Activation, Batch, Dimensions, Error, Network};

use super::{Curvature, View};

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
        options: &MeasureOptions,
    ) -> Result<SharpnessMeasures, SharpnessError> {
        match view {
            View::ThreeLayers(network) => {
                SharpnessMeasures::of(&mut self.three, network, batch, options)
            }
            View::Layers(network) => self.measures_of_layers(view, network, batch, options),
        }
    }

    fn measures_of_layers(
        &mut self,
        view: &View,
        network: &FeedForward<f64>,
        batch: &Batch<f64>,
        options: &MeasureOptions,
    ) -> Result<SharpnessMeasures, SharpnessError> {
        let layers: Vec<LayerShape> = network.layers().iter().map(Layer::shape).collect();
        let theta: Vec<f64> = network
            .layers()
            .iter()
            .flat_map(|layer| layer.weight().iter().chain(layer.bias()))
            .copied()
            .collect();
        let mut gradient = vec![0.0; theta.len()];
        self.loss_gradient(view, batch, &mut gradient)?;
        let share = self.gauss_newton_share(view, batch)?;
        let logits = self.logits(view, batch)?;
        let worst = options.worst_case.ascend(&theta, |theta, gradient| {
            let moved = View::new(&layers, theta);
            match moved.and_then(|view| self.loss_gradient(&view, batch, gradient)) {
                // Beyond what numbers can hold there is no way up.
                Err(
                    Error::Overflow { .. } | Error::NotFinite { .. } | Error::LayerNotFinite { .. },
                ) => Ok(f64::INFINITY),
                result => Ok(result?),
            }
        });
        let worst = finite(worst)?;
        let mut operator = self.linearize(view, batch)?;
        let adaptive = finite(adaptive_sharpness(&mut operator, &theta, &options.lanczos))?;
        let adaptive_grad_norm = adaptive_gradient_norm(&theta, &gradient)?;
        let flatness = finite(self.output_flatness(network, batch))?;
        let margins = Margins::of(batch, &logits, network.outputs())?;
        let scale = logit_scale(batch, &logits, network.outputs())?;
        let mut measures = SharpnessMeasures {
            grad_norm: weight_norm(&gradient),
            weight_norm: weight_norm(&theta),
            indefinite_share: 1.0 - share,
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
            let mut divided = theta;
            let of_output = layers.last().map_or(0, LayerShape::parameters);
            let start = divided.len() - of_output;
            divided[start..].iter_mut().for_each(|v| *v /= scale);
            measures.normalized_margin_mean = measures.margin_mean.map(|it| it / scale);
            measures.normalized_margin_min = measures.margin_min.map(|it| it / scale);
            let added = self.add_normalized(&mut measures, &layers, &divided, batch, options);
            finite(added)?;
        }
        Ok(measures)
    }

    /// What the network without the scale of its logits shows.
    fn add_normalized(
        &mut self,
        measures: &mut SharpnessMeasures,
        layers: &[LayerShape],
        theta: &[f64],
        batch: &Batch<f64>,
        options: &MeasureOptions,
    ) -> Result<(), SharpnessError> {
        let view = View::new(layers, theta)?;
        let moments = self.bounds(&view, batch)?.moments;
        measures.logit_normalized_trace = Some(moments.trace);
        let mut operator = self.linearize(&view, batch)?;
        let plain = hsr_core::extremes(
            theta.len(),
            |v, product| operator.apply(v, product),
            &options.lanczos,
        );
        let plain = finite(plain.map_err(SharpnessError::Core))?;
        let adaptive = finite(adaptive_sharpness(&mut operator, theta, &options.lanczos))?;
        measures.logit_normalized_lambda_max = plain.map(|ends| ends.largest);
        measures.logit_normalized_adaptive_sharpness = adaptive.map(|ends| ends.largest);
        for ends in [plain, adaptive] {
            measures.eigenvalues_converged &= ends.is_some_and(|ends| ends.converged);
        }
        Ok(())
    }

    /// Σ_n ‖a‖² tr(W_Lᵀ S W_L), the relative flatness of the output layer, a being its inputs: that of the three-layer
    /// network which passes them on as they are.
    fn output_flatness(
        &mut self,
        network: &FeedForward<f64>,
        batch: &Batch<f64>,
    ) -> Result<f64, SharpnessError> {
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

/// The value; none where numbers do not reach as far as it.
fn finite<T>(result: Result<T, SharpnessError>) -> Result<Option<T>, SharpnessError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            SharpnessError::NotFinite { .. }
            | SharpnessError::Core(
                Error::Overflow { .. }
                | Error::NotFinite { .. }
                | Error::LayerNotFinite { .. }
                | Error::Eigenvalues,
            ),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
