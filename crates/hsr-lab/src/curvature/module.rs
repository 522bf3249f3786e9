//! The loss of a network that has no closed form, through Burn's gradients.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_sharpness::landscape::{Filter, filters};
use burn_sharpness::measures::{MeasureConfig, SharpnessMeasures};
use burn_sharpness::{FiniteDifferenceHessian, SharpnessError};
use hsr_core::{Batch, OutputLoss, Targets};

use super::measures::measures_of;
use super::surface::{Surface, WithHessian};
use crate::data::Dataset;
use crate::error::LabError;
use crate::network::{Classifier, measuring_device};
use crate::scores;

/// Samples of one pass: few enough for the activations of a convolution to stay small.
const AT_ONCE: usize = 256;

/// A classifier on samples, on the [`measuring_device`]. θ is in the order in which Burn visits its module, as in
/// [`ParameterSpace`](burn_sharpness::ParameterSpace).
pub(crate) struct ModuleSurface<'a, C> {
    classifier: C,
    data: &'a Dataset,
    batch: Batch<'a, f64>,
    device: Device,
    dtype: DType,
}

/// Inputs \[n, d\] and classes \[n\].
type Samples = (Tensor<2>, Tensor<1, Int>);

impl<'a, C: Classifier> ModuleSurface<'a, C> {
    /// # Errors
    ///
    /// [`LabError::Backend`] where no backend can be used.
    pub fn new(classifier: C, data: &'a Dataset) -> Result<Self, LabError> {
        let (device, dtype) = measuring_device()?;
        let loss = OutputLoss::SoftmaxCrossEntropy;
        Ok(Self {
            classifier,
            data,
            batch: Batch::new(loss, &data.features, Targets::Classes(&data.labels)),
            device,
            dtype,
        })
    }

    /// The samples in pieces.
    fn pieces(&self) -> impl Iterator<Item = Result<Samples, SharpnessError>> {
        let inputs = self.data.inputs;
        let features = self.data.features.chunks(AT_ONCE * inputs);
        let labels = self.data.labels.chunks(AT_ONCE);
        features.zip(labels).map(move |(features, labels)| {
            let count = labels.len();
            let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
            let x = TensorData::new(features.to_vec(), [count, inputs]);
            let y = TensorData::new(labels, [count]);
            Ok((
                Tensor::from_data(x, (&self.device, self.dtype)),
                Tensor::from_data(y, &self.device),
            ))
        })
    }

    fn differences(
        &self,
        theta: &[f64],
    ) -> Result<FiniteDifferenceHessian<'_, C::Module>, SharpnessError> {
        let device = self.device.clone().autodiff();
        let module = self.classifier.to_burn(theta, &device, self.dtype);
        let of_logits = CrossEntropyLossConfig::new().init(&device);
        FiniteDifferenceHessian::of_mean(
            &module,
            move || self.pieces(),
            move |module: &C::Module, (x, y): Samples| {
                let [count] = y.dims();
                let logits = self.classifier.logits(module, x);
                (of_logits.forward(logits, y), count as f64)
            },
        )
    }
}

impl<C: Classifier> Surface for ModuleSurface<'_, C> {
    fn batch(&self) -> &Batch<'_, f64> {
        &self.batch
    }

    fn outputs(&self) -> usize {
        self.data.classes()
    }

    fn output_parameters(&self) -> usize {
        self.classifier.output_parameters()
    }

    fn filters(&self, theta: &[f64]) -> Vec<Filter> {
        // Only where parameters can be trained are they coordinates.
        let device = self.device.clone().autodiff();
        filters(&self.classifier.to_burn(theta, &device, self.dtype))
    }

    fn tolerance(&self) -> f64 {
        1e-5
    }

    fn loss(&mut self, theta: &[f64]) -> Result<f64, SharpnessError> {
        let logits = self.logits(theta)?;
        Ok(scores::cross_entropy(&logits, &self.data.labels))
    }

    fn loss_gradient(
        &mut self,
        theta: &[f64],
        gradient: &mut [f64],
    ) -> Result<f64, SharpnessError> {
        gradient.copy_from_slice(&self.differences(theta)?.gradient()?);
        self.loss(theta)
    }

    fn logits(&mut self, theta: &[f64]) -> Result<Vec<f64>, SharpnessError> {
        let module = self.classifier.to_burn(theta, &self.device, self.dtype);
        let mut logits = Vec::with_capacity(self.data.samples() * self.data.classes());
        for piece in self.pieces() {
            let (x, _) = piece?;
            let of_piece = self.classifier.logits(&module, x).try_into_vec_as::<f64>();
            logits.extend(of_piece.map_err(|error| SharpnessError::Read {
                what: "the logits",
                message: error.to_string(),
            })?);
        }
        Ok(logits)
    }

    fn with_hessian(
        &mut self,
        theta: &[f64],
        then: &mut WithHessian,
    ) -> Result<(), SharpnessError> {
        then(&mut self.differences(theta)?)
    }

    fn measures(
        &mut self,
        theta: &[f64],
        options: &MeasureConfig,
    ) -> Result<SharpnessMeasures, SharpnessError> {
        measures_of(self, theta, options)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FeedForwardSurface, plain_ends};
    use super::*;
    use crate::architecture::{Activations, layers};
    use crate::curvature::Curvature;
    use crate::network::FeedForward;
    use crate::weights::Weights;
    use hsr_core::LanczosOptions;

    /// What is computed from gradients of Burn is what the closed form says, whatever the order of parameters.
    #[test]
    fn a_feed_forward_network_measured_through_gradients_is_that_of_the_closed_form() {
        let gelu = Activations::from(hsr_core::Activation::Gelu);
        let layers = layers(3, &vec![5, 4].into(), 3, &gelu, false).unwrap();
        let theta = Weights::random(layers.clone(), 2).theta;
        // More than one piece.
        let samples = AT_ONCE + 44;
        let data = Dataset {
            name: "sines".to_owned(),
            features: (0..3 * samples).map(|i| (1.3 * i as f64).sin()).collect(),
            inputs: 3,
            feature_names: ["x", "y", "z"].map(str::to_owned).to_vec(),
            labels: (0..samples).map(|i| i * i % 3).collect(),
            class_names: ["a", "b", "c"].map(str::to_owned).to_vec(),
        };
        let mut curvature = Curvature::new();
        let targets = Targets::Classes(&data.labels);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &data.features, targets);
        let mut exact = FeedForwardSurface::new(&mut curvature, &layers, batch);
        let mut module = ModuleSurface::new(FeedForward(layers.clone()), &data).unwrap();
        let norm = |gradient: &[f64]| gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let numbers = |surface: &mut dyn Surface| {
            let mut gradient = vec![0.0; theta.len()];
            let loss = surface.loss_gradient(&theta, &mut gradient).unwrap();
            let options = LanczosOptions {
                tolerance: 1e-9,
                ..LanczosOptions::default()
            };
            let ends = plain_ends(surface, &theta, &options).unwrap();
            let mut all = surface.logits(&theta).unwrap();
            assert_eq!(all.len(), 3 * samples);
            all.extend([loss, norm(&gradient), ends.largest, ends.smallest]);
            all
        };
        let (exact, module) = (numbers(&mut exact), numbers(&mut module));
        for (i, (exact, found)) in exact.iter().zip(&module).enumerate() {
            let scale = exact.abs().max(1e-3);
            assert!((exact - found).abs() < 1e-7 * scale, "{i}: {exact} {found}");
        }
    }
}
