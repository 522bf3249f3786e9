//! The loss of a feed-forward network, in closed form.

use burn_sharpness::SharpnessError;
use burn_sharpness::landscape::Filter;
use burn_sharpness::measures::{MeasureConfig, SharpnessMeasures};
use hsr_core::depth::LayerShape;
use hsr_core::{Batch, SpectralBounds};

use super::closed_form::Curvature;
use super::surface::{Surface, WithHessian};
use crate::architecture::{ends, parameters};
use crate::weights::{View, ranges};

/// A feed-forward network on a batch. θ is in the order of [`Weights`](crate::weights::Weights).
pub(crate) struct FeedForwardSurface<'a> {
    curvature: &'a mut Curvature,
    layers: &'a [LayerShape],
    batch: Batch<'a, f64>,
}

impl<'a> FeedForwardSurface<'a> {
    pub fn new(
        curvature: &'a mut Curvature,
        layers: &'a [LayerShape],
        batch: Batch<'a, f64>,
    ) -> Self {
        Self {
            curvature,
            layers,
            batch,
        }
    }
}

impl Surface for FeedForwardSurface<'_> {
    fn batch(&self) -> &Batch<'_, f64> {
        &self.batch
    }

    fn outputs(&self) -> usize {
        ends(self.layers)[1]
    }

    fn output_parameters(&self) -> usize {
        self.layers.last().map_or(0, LayerShape::parameters)
    }

    fn filters(&self, _theta: &[f64]) -> Vec<Filter> {
        let layers = self.layers.iter().zip(ranges(self.layers));
        let of_layer = layers.map(|(layer, [weight, _])| {
            let len = layer.inputs;
            weight.step_by(len).map(move |start| Filter {
                start,
                len,
                stride: 1,
            })
        });
        of_layer.flatten().collect()
    }

    fn tolerance(&self) -> f64 {
        0.0
    }

    fn loss(&mut self, theta: &[f64]) -> Result<f64, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        Ok(self.curvature.loss(&view, &self.batch)?)
    }

    fn loss_gradient(
        &mut self,
        theta: &[f64],
        gradient: &mut [f64],
    ) -> Result<f64, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        Ok(self.curvature.loss_gradient(&view, &self.batch, gradient)?)
    }

    fn logits(&mut self, theta: &[f64]) -> Result<Vec<f64>, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        Ok(self.curvature.logits(&view, &self.batch)?)
    }

    fn with_hessian(
        &mut self,
        theta: &[f64],
        then: &mut WithHessian,
    ) -> Result<(), SharpnessError> {
        let view = View::new(self.layers, theta)?;
        then(&mut self.curvature.linearize(&view, &self.batch)?)
    }

    fn hessian(&mut self, theta: &[f64]) -> Result<Option<Vec<f64>>, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        let size = parameters(self.layers);
        let mut hessian = vec![0.0; size * size];
        self.curvature.hessian(&view, &self.batch, &mut hessian)?;
        Ok(Some(hessian))
    }

    fn bounds(&mut self, theta: &[f64]) -> Result<Option<SpectralBounds<f64>>, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        Ok(Some(self.curvature.bounds(&view, &self.batch)?))
    }

    fn gauss_newton_share(&mut self, theta: &[f64]) -> Result<Option<f64>, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        let share = self.curvature.gauss_newton_share(&view, &self.batch)?;
        Ok(Some(share))
    }

    fn output_flatness(&mut self, theta: &[f64]) -> Result<Option<f64>, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        self.curvature.output_flatness(&view, &self.batch).map(Some)
    }

    fn measures(
        &mut self,
        theta: &[f64],
        options: &MeasureConfig,
    ) -> Result<SharpnessMeasures, SharpnessError> {
        let view = View::new(self.layers, theta)?;
        self.curvature.measures(&view, &self.batch, options)
    }
}
