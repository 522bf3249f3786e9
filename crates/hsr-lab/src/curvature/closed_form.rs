//! One set of verbs for networks of any depth.

use core::ops::ControlFlow;
use std::sync::Arc;

use hsr_core::depth::{DeepBounds, DeepEvaluation, DeepWorkspace, FeedForward, LayerShape};
use hsr_core::{
    Batch, BlockEvaluation, Error, Evaluation, Progress, Quantity, SpectralBounds, Targets,
    Workspace,
};

use super::memory::check as check_memory;
use super::operator::Operator;
use crate::error::LabError;
use crate::weights::{View, Weights};

/// Computes curvature in f64 on the host, and keeps its buffers. Every verb takes a network and a batch.
///
/// # Errors
///
/// Every verb refuses a batch that does not fit the network, what is not representable, and what does not fit into the
/// memory.
///
/// ```
/// use hsr_lab::hsr_core::{Activation, Batch, OutputLoss, Targets};
/// use hsr_lab::{Activations, Curvature, Weights, layers};
///
/// let tanh = Activations::from(Activation::Tanh);
/// let weights = Weights::random(layers(2, &vec![4, 3].into(), 2, &tanh, false)?, 0);
/// let x = [0.1, 0.2, -0.5, 1.0, 0.7, -0.3];
/// let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, Targets::Classes(&[0, 1, 0]));
/// let mut curvature = Curvature::new();
/// let bounds = curvature.bounds(&weights.view()?, &batch)?;
/// let of_layers = curvature.of_layers(&weights, &batch)?;
/// assert!(of_layers.lambda_block <= bounds.lambda_sup);
/// # Ok::<(), hsr_lab::LabError>(())
/// ```
#[derive(Default)]
pub struct Curvature {
    pub(super) three: Workspace<f64>,
    deep: DeepWorkspace<f64>,
    /// The most bytes that a deep network may take; three layers have a limit of their own.
    limit: Option<u64>,
}

impl Curvature {
    /// Without a limit on memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A workspace for three layers, and the limit for deeper networks.
    pub(crate) fn of(three: Workspace<f64>, limit: u64) -> Self {
        Self {
            three,
            deep: DeepWorkspace::new(),
            limit: Some(limit),
        }
    }

    /// Calls `observe` while an evaluation goes on, as [`Workspace::with_watch`] and [`DeepWorkspace::with_watch`].
    pub fn with_watch(
        mut self,
        observe: impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        let observe = Arc::new(observe);
        let of_deep = observe.clone();
        self.three = self.three.with_watch(move |progress| observe(progress));
        self.deep = self.deep.with_watch(move |progress| of_deep(progress));
        self
    }

    /// The workspace of deep networks, where there is the memory for this one.
    fn deep(
        &mut self,
        network: &FeedForward<f64>,
        batch: &Batch<f64>,
        quantity: Quantity,
    ) -> Result<&mut DeepWorkspace<f64>, Error> {
        if let Some(limit) = self.limit {
            let layers: Vec<LayerShape> = network.layers().iter().map(|it| it.shape()).collect();
            let samples = match batch.targets() {
                Targets::Classes(classes) => classes.len(),
                Targets::Values(values) => values.len() / network.outputs().max(1),
            };
            check_memory(quantity, &layers, batch.loss(), samples, limit)?;
        }
        Ok(&mut self.deep)
    }

    /// The loss L.
    pub fn loss(&mut self, view: &View, batch: &Batch<f64>) -> Result<f64, Error> {
        match view {
            View::ThreeLayers(network) => self.three.loss(network, batch),
            View::Layers(network) => self
                .deep(network, batch, Quantity::Loss)?
                .loss(network, batch),
        }
    }

    /// L and, in `gradient` \[D\], ∂L/∂θ.
    pub fn loss_gradient(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
        gradient: &mut [f64],
    ) -> Result<f64, Error> {
        match view {
            View::ThreeLayers(network) => self.three.loss_gradient(network, batch, gradient),
            View::Layers(network) => self
                .deep(network, batch, Quantity::LossGradient)?
                .loss_gradient(network, batch, gradient, None),
        }
    }

    /// The logits, N × K row-major.
    pub fn logits(&mut self, view: &View, batch: &Batch<f64>) -> Result<Vec<f64>, Error> {
        match view {
            View::ThreeLayers(network) => self.three.logits(network, batch),
            View::Layers(network) => self
                .deep(network, batch, Quantity::Loss)?
                .logits(network, batch),
        }
    }

    /// The bounds of the Hessian's spectrum.
    pub fn bounds(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
    ) -> Result<SpectralBounds<f64>, Error> {
        match view {
            View::ThreeLayers(network) => self.three.bounds(network, batch, Evaluation::Auto),
            View::Layers(network) => {
                let bounds = self.deep(network, batch, Quantity::Bounds)?.bounds(
                    network,
                    batch,
                    &DeepEvaluation::Auto,
                )?;
                Ok(bounds.whole)
            }
        }
    }

    /// λ_sup and, in `gradient` \[D\], ∂λ_sup/∂θ, in `inputs` \[N, d\] ∂λ_sup/∂x.
    pub fn lambda_sup_gradient(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
        gradient: &mut [f64],
        inputs: &mut [f64],
    ) -> Result<f64, Error> {
        match view {
            View::ThreeLayers(network) => {
                let inputs = Some(inputs);
                let bounds = self.three.bounds_gradient(
                    network,
                    batch,
                    Evaluation::Auto,
                    gradient,
                    inputs,
                )?;
                Ok(bounds.lambda_sup)
            }
            View::Layers(network) => self
                .deep(network, batch, Quantity::BoundsInputGradient)?
                .objective_gradient(
                    network,
                    batch,
                    Default::default(),
                    &DeepEvaluation::Auto,
                    gradient,
                    Some(inputs),
                ),
        }
    }

    /// How the last evaluation of bounds was done: `assembled`, `gram` or `mixed`.
    pub fn evaluation(&self, view: &View) -> String {
        match view {
            View::ThreeLayers(_) => self
                .three
                .last_plan()
                .map_or_else(String::new, |plan| plan.to_string()),
            View::Layers(_) => {
                let plan = self.deep.last_plan();
                let is = |way| plan.blocks().iter().all(|it| *it == way);
                let name = if is(BlockEvaluation::Assembled) {
                    "assembled"
                } else if is(BlockEvaluation::Gram) {
                    "gram"
                } else {
                    "mixed"
                };
                name.to_owned()
            }
        }
    }

    /// Trace and norm of every block of layers, the bounds that each layer's own block has, and λ_blk. Of three layers
    /// too.
    pub fn of_layers(
        &mut self,
        weights: &Weights,
        batch: &Batch<f64>,
    ) -> Result<DeepBounds<f64>, LabError> {
        let network = FeedForward::from_flat(&weights.layers, &weights.theta)?;
        Ok(self.deep(&network, batch, Quantity::Bounds)?.bounds(
            &network,
            batch,
            &DeepEvaluation::Auto,
        )?)
    }

    /// How the squared norm splits: ‖G‖²/(‖G‖² + ‖H − G‖²) with G the Gauss-Newton part of H, between 0 and 1; 1 where
    /// H = 0.
    pub fn gauss_newton_share(&mut self, view: &View, batch: &Batch<f64>) -> Result<f64, Error> {
        match view {
            View::ThreeLayers(network) => {
                self.three
                    .gauss_newton_share(network, batch, Evaluation::Auto)
            }
            View::Layers(network) => {
                let split = self.deep(network, batch, Quantity::Bounds)?.gauss_newton(
                    network,
                    batch,
                    &DeepEvaluation::Auto,
                )?;
                let square = |bounds: &DeepBounds<f64>| bounds.whole.moments.frobenius_squared;
                let own = square(&split.bounds);
                // ‖H − G‖² = ‖H‖² + ‖G‖² − 2⟨G, H⟩.
                let rest = (square(&split.whole) + own - 2.0 * split.inner).max(0.0);
                Ok(if own + rest == 0.0 {
                    1.0
                } else {
                    own / (own + rest)
                })
            }
        }
    }

    /// The dense Hessian, D × D row-major, into `hessian`.
    pub fn hessian(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
        hessian: &mut [f64],
    ) -> Result<(), Error> {
        match view {
            View::ThreeLayers(network) => self.three.hessian(network, batch, hessian),
            View::Layers(network) => self
                .deep(network, batch, Quantity::HessianProduct)?
                .hessian(network, batch, hessian),
        }
    }

    /// The Hessian as an operator, for iterative eigensolvers.
    pub fn linearize<'a>(
        &'a mut self,
        view: &'a View<'a>,
        batch: &Batch<'a, f64>,
    ) -> Result<Operator<'a>, Error> {
        Ok(match view {
            View::ThreeLayers(network) => {
                Operator::ThreeLayers(self.three.linearize(network, batch)?)
            }
            View::Layers(network) => Operator::Layers(
                self.deep(network, batch, Quantity::HessianProduct)?
                    .linearize(network, batch)?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Activations, layers};
    use hsr_core::{Activation, OutputLoss};

    /// Both forms of one network agree, whichever the verb takes.
    #[test]
    fn three_layers_and_any_number_of_layers_say_the_same_of_one_network() {
        let gelu = Activations::from(Activation::Gelu);
        let weights = Weights::random(layers(3, &5.into(), 4, &gelu, false).unwrap(), 3);
        let x: Vec<f64> = (0..21).map(|i| (1.3 * f64::from(i)).sin()).collect();
        let classes = [0, 1, 2, 3, 0, 1, 2];
        let loss = OutputLoss::SoftmaxCrossEntropy;
        let batch = Batch::new(loss, &x, Targets::Classes(&classes));
        let forms = [
            weights.view().unwrap(),
            View::Layers(FeedForward::from_flat(&weights.layers, &weights.theta).unwrap()),
        ];
        let mut curvature = Curvature::new();
        let [three, deep] = forms.map(|view| {
            let mut gradient = vec![0.0; view.parameters()];
            let mut inputs = vec![0.0; x.len()];
            let bounds = curvature.bounds(&view, &batch).unwrap();
            let mut all = vec![
                curvature.loss(&view, &batch).unwrap(),
                bounds.lambda_sup,
                bounds.moments.trace,
                curvature.gauss_newton_share(&view, &batch).unwrap(),
                curvature
                    .lambda_sup_gradient(&view, &batch, &mut gradient, &mut inputs)
                    .unwrap(),
            ];
            all.append(&mut gradient);
            all.append(&mut inputs);
            all.extend(curvature.logits(&view, &batch).unwrap());
            let options = burn_sharpness::measures::MeasureConfig::default();
            let measures = curvature.measures(&view, &batch, &options).unwrap();
            let measures = serde_json::to_value(measures).unwrap();
            let numbers = measures.as_object().unwrap().values();
            let count = all.len();
            all.extend(numbers.filter_map(serde_json::Value::as_f64));
            assert_eq!(all.len(), count + 15, "every measure has a meaning here");
            all
        });
        let scale = |v: f64| v.abs().max(1e-3);
        for (i, (three, deep)) in three.iter().zip(&deep).enumerate() {
            // Worst cases and eigenvalues are as good as their iterations.
            assert!(
                (three - deep).abs() < 1e-7 * scale(*three),
                "{i}: {three} {deep}"
            );
        }
    }
}
