//! What a step hands to burn-train's metrics.

use burn::tensor::{ExecutionError, Tensor};
use burn::train::metric::{
    AccuracyInput, Adaptor, ConfusionStatsInput, LossInput, PerplexityInput, TopKAccuracyInput,
};
use burn::train::{ClassificationOutput, ItemLazy};
use hsr_core::OutputLoss;

use super::Curvature;
use crate::config::HsrConfig;
use crate::error::HsrError;
use crate::layers::{Layers, outputs};
use crate::targets::{Labels, Targets};

/// The output of a step with HSR, for Burn's metrics (loss, accuracy, top-k accuracy, perplexity, precision, recall,
/// F-score) and for those of the curvature.
pub struct HsrOutput {
    /// The loss without the penalty, \[1\].
    pub loss: Tensor<1>,
    /// The logits, \[N, K\].
    pub logits: Tensor<2>,
    /// The targets.
    pub targets: Targets,
    /// The curvature at this step; none where the step failed.
    pub curvature: Option<Curvature>,
    /// Why the step failed.
    pub error: Option<HsrError>,
    pub(super) kind: OutputLoss,
}

impl HsrOutput {
    pub(super) fn failed<H: Layers>(
        head: &H,
        features: Tensor<2>,
        targets: Targets,
        config: &HsrConfig,
        error: HsrError,
    ) -> Self {
        let options = (&features.device(), features.dtype());
        let [samples, _] = features.dims();
        Self {
            loss: Tensor::full([1], f64::NAN, options),
            logits: Tensor::zeros([samples, outputs(head)], options),
            targets,
            curvature: None,
            error: Some(error),
            kind: config.loss.kind,
        }
    }

    /// The number of samples N.
    pub fn samples(&self) -> usize {
        let [samples, _] = self.logits.dims();
        samples
    }

    /// The output as Burn's metrics of classification take it. Values count as the class of the largest, and with
    /// one output as two classes: its sign with the sigmoid, the side of ½ with the squared error.
    pub fn classification(&self) -> ClassificationOutput {
        let (logits, samples) = (self.logits.clone(), self.samples());
        let [_, outputs] = logits.dims();
        let targets = match &self.targets.labels {
            Labels::Classes(classes) => classes.clone(),
            Labels::Values(values) if outputs == 1 => {
                values.clone().greater_elem(0.5).int().reshape([samples])
            }
            Labels::Values(values) => values.clone().argmax(1).reshape([samples]),
        };
        let other = match self.kind {
            OutputLoss::SoftmaxCrossEntropy => None,
            OutputLoss::SigmoidCrossEntropy => Some(0.0),
            OutputLoss::MeanSquaredError => Some(0.5),
        };
        let output = match other {
            Some(value) if outputs == 1 => {
                let other = logits.full_like(value);
                Tensor::cat(vec![other, logits], 1)
            }
            _ => logits,
        };
        ClassificationOutput::new(self.loss.clone(), output, targets)
    }
}

impl ItemLazy for HsrOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        if let Some(error) = &self.error {
            return Err(ExecutionError::with_context(error.to_string()));
        }
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            logits: self.logits.without_autodiff(),
            targets: self.targets.without_autodiff(),
            ..self
        })
    }
}

impl Adaptor<LossInput> for HsrOutput {
    /// Once for every sample, for that is how burn-train weighs batches: a shorter last one counts less.
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone().expand([self.samples()]))
    }
}

impl Adaptor<AccuracyInput> for HsrOutput {
    fn adapt(&self) -> AccuracyInput {
        self.classification().adapt()
    }
}

impl Adaptor<TopKAccuracyInput> for HsrOutput {
    fn adapt(&self) -> TopKAccuracyInput {
        self.classification().adapt()
    }
}

impl Adaptor<PerplexityInput> for HsrOutput {
    fn adapt(&self) -> PerplexityInput {
        self.classification().adapt()
    }
}

impl Adaptor<ConfusionStatsInput> for HsrOutput {
    fn adapt(&self) -> ConfusionStatsInput {
        self.classification().adapt()
    }
}
