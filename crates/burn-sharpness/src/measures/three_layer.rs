//! All measures of a three-layer network.

use burn::config::Config;
use burn_hsr::LanczosConfig;
use hsr_core::{Batch, Error, Evaluation, Network, Workspace};
use serde::{Deserialize, Serialize};

use super::{
    LogitNormalized, Margins, WorstCaseConfig, adaptive_gradient_norm, adaptive_sharpness,
    output_relative_flatness, weight_norm,
};
use crate::error::SharpnessError;

/// How the measures are computed.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct MeasureConfig {
    /// Of the eigenvalues: three Lanczos runs.
    #[config(default = "LanczosConfig::new()")]
    pub lanczos: LanczosConfig,
    /// Of [`SharpnessMeasures::adaptive_worst_case`].
    #[config(default = "WorstCaseConfig::new()")]
    pub worst_case: WorstCaseConfig,
}

impl Default for MeasureConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Measures of sharpness of a three-layer network, in f64, beside λ_max, λ_min and tr H, which
/// [`SpectralBounds`](hsr_core::SpectralBounds) and [`extremes`](hsr_core::extremes()) give. What each is invariant under
/// is in the table of [`measures`](crate::measures). A measure that has no meaning for the loss, or whose value is no
/// finite number in f64, is none.
///
/// ```
/// use burn_sharpness::measures::{MeasureConfig, SharpnessMeasures};
/// use hsr_core::{Activation, Batch, Dimensions, Network, OutputLoss, Targets, Workspace};
///
/// // Nine of Fisher's irises, three of a species: length and width of sepal and petal in cm.
/// let x = [
///     5.1, 3.5, 1.4, 0.2,  4.9, 3.0, 1.4, 0.2,  4.7, 3.2, 1.3, 0.2, // setosa
///     7.0, 3.2, 4.7, 1.4,  6.4, 3.2, 4.5, 1.5,  6.9, 3.1, 4.9, 1.5, // versicolor
///     6.3, 3.3, 6.0, 2.5,  5.8, 2.7, 5.1, 1.9,  7.1, 3.0, 5.9, 2.1, // virginica
/// ];
/// let species = [0, 0, 0, 1, 1, 1, 2, 2, 2];
/// let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, Targets::Classes(&species));
/// let theta: Vec<f64> = (0..27).map(|i| 0.5 * f64::from(i).sin()).collect();
/// let network = Network::from_flat(Dimensions::new(4, 3, 3), Activation::Tanh, &theta)?;
/// let measures = SharpnessMeasures::of(&mut Workspace::new(), &network, &batch, &MeasureConfig::new())?;
/// assert!(measures.adaptive_sharpness > Some(0.0) && measures.relative_flatness > Some(0.0));
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharpnessMeasures {
    /// ‖∇L‖₂.
    pub grad_norm: f64,
    /// ‖θ‖₂, biases included.
    pub weight_norm: f64,
    /// The share of ‖H‖² that is not Gauss-Newton: 1 − [`Workspace::gauss_newton_share`]; none where there is no closed form.
    pub indefinite_share: Option<f64>,
    /// λ_max(T H T), T = diag(|θ|): [`adaptive_sharpness`](super::adaptive_sharpness()).
    pub adaptive_sharpness: Option<f64>,
    /// ‖T∇L‖₂: [`adaptive_gradient_norm`](super::adaptive_gradient_norm()).
    pub adaptive_grad_norm: Option<f64>,
    /// The worst increase of the loss that [`WorstCase`](super::WorstCase) found.
    pub adaptive_worst_case: Option<f64>,
    /// κ of the output layer: [`relative_flatness`](super::relative_flatness()).
    pub relative_flatness: Option<f64>,
    /// The scale of the logits: [`logit_scale`](super::logit_scale()).
    pub logit_scale: Option<f64>,
    /// λ_max at the network whose logits are divided by their scale: [`LogitNormalized`].
    pub logit_normalized_lambda_max: Option<f64>,
    /// tr H there.
    pub logit_normalized_trace: Option<f64>,
    /// Adaptive sharpness there: invariant under both transformations.
    pub logit_normalized_adaptive_sharpness: Option<f64>,
    /// The mean margin: [`Margins`].
    pub margin_mean: Option<f64>,
    /// The smallest margin.
    pub margin_min: Option<f64>,
    /// The mean margin over the scale of the logits.
    pub normalized_margin_mean: Option<f64>,
    /// The smallest margin over the scale of the logits.
    pub normalized_margin_min: Option<f64>,
    /// Whether every eigenvalue here is converged.
    pub eigenvalues_converged: bool,
}

impl SharpnessMeasures {
    /// The measures of `network` on `batch`. Costs three Lanczos runs, two evaluations of ‖H‖², and
    /// `worst_case.steps` losses with gradients.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Core`] where the batch does not fit the network or a value overflows.
    pub fn of(
        workspace: &mut Workspace<f64>,
        network: &Network<f64>,
        batch: &Batch<f64>,
        options: &MeasureConfig,
    ) -> Result<Self, SharpnessError> {
        let dimensions = network.dimensions();
        let theta = [
            network.hidden_weight(),
            network.hidden_bias(),
            network.output_weight(),
            network.output_bias(),
        ]
        .concat();
        let mut gradient = vec![0.0; theta.len()];
        workspace.loss_gradient(network, batch, &mut gradient)?;
        let share = workspace.gauss_newton_share(network, batch, Evaluation::Auto)?;
        let logits = workspace.logits(network, batch)?;
        let worst = options
            .worst_case
            .init()?
            .ascend(&theta, |theta, gradient| {
                let network = Network::from_flat(dimensions, network.activation(), theta);
                match network.and_then(|network| workspace.loss_gradient(&network, batch, gradient))
                {
                    // Beyond what numbers can hold there is no way up.
                    Err(Error::Overflow { .. } | Error::NotFinite { .. }) => Ok(f64::INFINITY),
                    result => Ok(result?),
                }
            });
        let worst = finite(worst)?;
        let mut operator = workspace.linearize(network, batch)?;
        let adaptive = finite(adaptive_sharpness(&mut operator, &theta, &options.lanczos))?;
        let adaptive_grad_norm = adaptive_gradient_norm(&theta, &gradient)?;
        let flatness = finite(output_relative_flatness(workspace, network, batch))?;
        let mut measures = Self {
            grad_norm: weight_norm(&gradient),
            weight_norm: weight_norm(&theta),
            indefinite_share: Some(1.0 - share),
            adaptive_sharpness: adaptive.map(|ends| ends.largest),
            adaptive_grad_norm: Some(adaptive_grad_norm).filter(|v| v.is_finite()),
            adaptive_worst_case: worst.map(|ascent| ascent.increase),
            relative_flatness: flatness.filter(|v| v.is_finite()),
            logit_scale: None,
            logit_normalized_lambda_max: None,
            logit_normalized_trace: None,
            logit_normalized_adaptive_sharpness: None,
            margin_mean: None,
            margin_min: None,
            normalized_margin_mean: None,
            normalized_margin_min: None,
            eigenvalues_converged: adaptive.is_some_and(|ends| ends.converged),
        };
        let margins = Margins::of(batch, &logits, dimensions.outputs)?;
        measures.margin_mean = margins.map(|margins| margins.mean);
        measures.margin_min = margins.map(|margins| margins.min);
        if let Some(normalized) = LogitNormalized::of(network, batch, &logits)? {
            finite(measures.add_normalized(workspace, &normalized, network, batch, options))?;
        }
        Ok(measures)
    }

    /// What the network without the scale of its logits shows.
    fn add_normalized(
        &mut self,
        workspace: &mut Workspace<f64>,
        normalized: &LogitNormalized,
        network: &Network<f64>,
        batch: &Batch<f64>,
        options: &MeasureConfig,
    ) -> Result<(), SharpnessError> {
        self.logit_scale = Some(normalized.scale);
        let divided = normalized.network(network)?;
        let moments = workspace.moments(&divided, batch, Evaluation::Auto)?;
        self.logit_normalized_trace = Some(moments.trace);
        let mut operator = workspace.linearize(&divided, batch)?;
        let plain = hsr_core::extremes(
            normalized.theta.len(),
            |v, product| operator.apply(v, product),
            &options.lanczos.into(),
        );
        let plain = finite(plain.map_err(SharpnessError::Core))?;
        let adaptive = adaptive_sharpness(&mut operator, &normalized.theta, &options.lanczos);
        let adaptive = finite(adaptive)?;
        self.logit_normalized_lambda_max = plain.map(|ends| ends.largest);
        self.logit_normalized_adaptive_sharpness = adaptive.map(|ends| ends.largest);
        self.normalized_margin_mean = self.margin_mean.map(|margin| margin / normalized.scale);
        self.normalized_margin_min = self.margin_min.map(|margin| margin / normalized.scale);
        for ends in [plain, adaptive] {
            self.eigenvalues_converged &= ends.is_some_and(|ends| ends.converged);
        }
        Ok(())
    }
}

/// The value; none where numbers do not reach as far as it.
fn finite<T>(result: Result<T, SharpnessError>) -> Result<Option<T>, SharpnessError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            SharpnessError::NotFinite { .. }
            | SharpnessError::Core(
                Error::Overflow { .. } | Error::NotFinite { .. } | Error::Eigenvalues,
            ),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
