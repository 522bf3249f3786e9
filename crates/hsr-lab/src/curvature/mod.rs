//! The closed form of a network of any depth: one set of verbs for what is computed from weights and data.
//!
//! Three layers without a residual connection go through [`Workspace`], which knows them best; any other network through
//! [`DeepWorkspace`].

mod feed_forward;
mod measures;
mod memory;
mod module;
mod operator;
mod surface;

use core::ops::ControlFlow;
use std::sync::Arc;

use hsr_core::depth::{DeepBounds, DeepEvaluation, DeepWorkspace, FeedForward, LayerShape};
use hsr_core::{
    Batch, BlockEvaluation, Error, Evaluation, Progress, Quantity, SpectralBounds, Targets,
    Workspace,
};

use crate::architecture::ends;
use crate::error::LabError;
use crate::weights::View;

pub(crate) use feed_forward::FeedForwardSurface;
pub(crate) use measures::plain_ends;
pub(crate) use memory::check as check_memory;
pub(crate) use module::ModuleSurface;
pub use operator::Operator;
pub(crate) use surface::{Surface, is_no_number, loss_anywhere};

/// Computes curvature in f64 on the host, and keeps its buffers. Every verb takes a network and a batch.
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
    three: Workspace<f64>,
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

    /// Refuses what a deep network does not have the memory for.
    fn admit(
        &self,
        network: &FeedForward<f64>,
        batch: &Batch<f64>,
        quantity: Quantity,
    ) -> Result<(), Error> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let layers: Vec<LayerShape> = network.layers().iter().map(|it| it.shape()).collect();
        let samples = samples(batch, network.outputs());
        check_memory(quantity, &layers, batch.loss(), samples, limit)
    }

    /// The loss L.
    ///
    /// # Errors
    ///
    /// What is wrong with the batch, or what is not representable. The other verbs have the same errors, and refuse what
    /// does not fit into the memory.
    pub fn loss(&mut self, view: &View, batch: &Batch<f64>) -> Result<f64, Error> {
        match view {
            View::ThreeLayers(network) => self.three.loss(network, batch),
            View::Layers(network) => {
                self.admit(network, batch, Quantity::Loss)?;
                self.deep.loss(network, batch)
            }
        }
    }

    /// L and, in `gradient` \[D\], ∂L/∂θ.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn loss_gradient(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
        gradient: &mut [f64],
    ) -> Result<f64, Error> {
        match view {
            View::ThreeLayers(network) => self.three.loss_gradient(network, batch, gradient),
            View::Layers(network) => {
                self.admit(network, batch, Quantity::LossGradient)?;
                self.deep.loss_gradient(network, batch, gradient, None)
            }
        }
    }

    /// The logits, N × K row-major.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn logits(&mut self, view: &View, batch: &Batch<f64>) -> Result<Vec<f64>, Error> {
        match view {
            View::ThreeLayers(network) => self.three.logits(network, batch),
            View::Layers(network) => {
                self.admit(network, batch, Quantity::Loss)?;
                self.deep.logits(network, batch)
            }
        }
    }

    /// The bounds of the Hessian's spectrum.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn bounds(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
    ) -> Result<SpectralBounds<f64>, Error> {
        match view {
            View::ThreeLayers(network) => self.three.bounds(network, batch, Evaluation::Auto),
            View::Layers(network) => {
                self.admit(network, batch, Quantity::Bounds)?;
                let bounds = self.deep.bounds(network, batch, &DeepEvaluation::Auto)?;
                Ok(bounds.whole)
            }
        }
    }

    /// λ_sup and, in `gradient` \[D\], ∂λ_sup/∂θ, in `inputs` \[N, d\] ∂λ_sup/∂x.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
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
            View::Layers(network) => {
                self.admit(network, batch, Quantity::BoundsInputGradient)?;
                self.deep.objective_gradient(
                    network,
                    batch,
                    Default::default(),
                    &DeepEvaluation::Auto,
                    gradient,
                    Some(inputs),
                )
            }
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
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn of_layers(
        &mut self,
        weights: &crate::weights::Weights,
        batch: &Batch<f64>,
    ) -> Result<DeepBounds<f64>, LabError> {
        let network = FeedForward::from_flat(&weights.layers, &weights.theta)?;
        self.admit(&network, batch, Quantity::Bounds)?;
        Ok(self.deep.bounds(&network, batch, &DeepEvaluation::Auto)?)
    }

    /// How the squared norm splits: ‖G‖²/(‖G‖² + ‖H − G‖²) with G the Gauss-Newton part of H, between 0 and 1; 1 where
    /// H = 0.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn gauss_newton_share(&mut self, view: &View, batch: &Batch<f64>) -> Result<f64, Error> {
        match view {
            View::ThreeLayers(network) => {
                self.three
                    .gauss_newton_share(network, batch, Evaluation::Auto)
            }
            View::Layers(network) => {
                self.admit(network, batch, Quantity::Bounds)?;
                let split = self
                    .deep
                    .gauss_newton(network, batch, &DeepEvaluation::Auto)?;
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
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss), and where D is too large.
    pub fn hessian(
        &mut self,
        view: &View,
        batch: &Batch<f64>,
        hessian: &mut [f64],
    ) -> Result<(), Error> {
        match view {
            View::ThreeLayers(network) => self.three.hessian(network, batch, hessian),
            View::Layers(network) => {
                self.admit(network, batch, Quantity::HessianProduct)?;
                self.deep.hessian(network, batch, hessian)
            }
        }
    }

    /// The Hessian as an operator, for iterative eigensolvers.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn linearize<'a>(
        &'a mut self,
        view: &'a View<'a>,
        batch: &Batch<'a, f64>,
    ) -> Result<Operator<'a>, Error> {
        Ok(match view {
            View::ThreeLayers(network) => {
                Operator::ThreeLayers(self.three.linearize(network, batch)?)
            }
            View::Layers(network) => {
                self.admit(network, batch, Quantity::HessianProduct)?;
                Operator::Layers(self.deep.linearize(network, batch)?)
            }
        })
    }
}

/// N, as the labels have it.
fn samples(batch: &Batch<f64>, outputs: usize) -> usize {
    match batch.targets() {
        Targets::Classes(classes) => classes.len(),
        Targets::Values(values) => values.len() / outputs.max(1),
    }
}

/// What the widths of a network are called where there is no room for them all: hidden units in all, and outputs.
pub(crate) fn sizes(layers: &[LayerShape]) -> (usize, usize) {
    let hidden = &layers[..layers.len().saturating_sub(1)];
    let units = hidden.iter().map(|layer| layer.outputs);
    let units = units.fold(0, usize::saturating_add);
    (units, ends(layers)[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Activations, layers};
    use crate::weights::Weights;
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
