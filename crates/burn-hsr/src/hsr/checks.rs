//! What is refused before anything is computed, and the targets as the closed form takes them.

use burn::tensor::Tensor;
use hsr_core::OutputLoss;

use super::Hsr;
use crate::targets::{Labels, Targets};
use crate::{HsrError, Mode, ThreeLayer};

impl Hsr {
    /// The targets, where they fit, as the closed form takes them.
    pub(crate) fn checked<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: Targets,
    ) -> Result<Targets, HsrError> {
        self.check(model, inputs, &targets)?;
        Ok(self.prepare(targets))
    }

    /// The targets with padding, and the smoothing that acts on them, applied.
    pub(crate) fn prepare(&self, targets: Targets) -> Targets {
        let mut targets = targets;
        if let Some(pad_tokens) = &self.config.pad_tokens {
            targets = targets.without_padding(pad_tokens);
        }
        if self.config.loss == OutputLoss::SigmoidCrossEntropy {
            targets = targets.smoothed(self.config.label_smoothing);
        }
        targets
    }

    pub(crate) fn refuse_decoupled(&self, entry: &'static str) -> Result<(), HsrError> {
        match self.config.mode {
            Mode::Decoupled => Err(HsrError::Decoupled { entry }),
            Mode::Coupled | Mode::Direction => Ok(()),
        }
    }

    /// Whether the layers fit each other and the inputs.
    pub(crate) fn check_model<M: ThreeLayer>(
        model: &M,
        inputs: &Tensor<2>,
    ) -> Result<(), HsrError> {
        let dims = model.dimensions();
        let [samples, features] = inputs.dims();
        if features != dims.inputs || samples == 0 {
            let expected = format!("[samples ≥ 1, {}]", dims.inputs);
            return refuse("the input batch", &[samples, features], expected);
        }
        let [from_hidden, _] = model.output().weight.shape().dims();
        if from_hidden != dims.hidden {
            let expected = format!("[{}, outputs]", dims.hidden);
            return refuse("the output weight", &[from_hidden, dims.outputs], expected);
        }
        Ok(())
    }

    pub(crate) fn check<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: &Targets,
    ) -> Result<(), HsrError> {
        Self::check_model(model, inputs)?;
        let dims = model.dimensions();
        let [samples, _] = inputs.dims();
        match &targets.labels {
            Labels::Classes(classes) if classes.dims() != [samples] => {
                return refuse("the targets", &classes.dims(), format!("[{samples}]"));
            }
            Labels::Values(values) if values.dims() != [samples, dims.outputs] => {
                return refuse(
                    "the targets",
                    &values.dims(),
                    format!("[{samples}, {}]", dims.outputs),
                );
            }
            Labels::Classes(_) | Labels::Values(_) => {}
        }
        if let Some(weights) = &targets.sample_weights
            && weights.dims() != [samples]
        {
            return refuse(
                "the sample weights",
                &weights.dims(),
                format!("[{samples}]"),
            );
        }
        if let Some(weights) = &targets.output_weights {
            if weights.dims() != [samples, dims.outputs] {
                return refuse(
                    "the output weights",
                    &weights.dims(),
                    format!("[{samples}, {}]", dims.outputs),
                );
            }
            if self.config.loss != OutputLoss::MeanSquaredError {
                let loss = self.config.loss.name();
                return Err(hsr_core::Error::OutputWeights { loss }.into());
            }
        }
        if let Some(weights) = &self.config.class_weights
            && weights.len() != dims.outputs
        {
            return refuse(
                "class_weights",
                &[weights.len()],
                format!("[{}]", dims.outputs),
            );
        }
        let config = &self.config;
        let given = [
            ("a class weight", config.class_weights.is_some()),
            ("a pad token", config.pad_tokens.is_some()),
            ("label smoothing", config.softmax_smoothing() != 0.0),
        ];
        if config.loss != OutputLoss::SoftmaxCrossEntropy
            && let Some((option, _)) = given.into_iter().find(|&(_, given)| given)
        {
            let loss = config.loss.name();
            return Err(hsr_core::Error::Unsupported { option, loss }.into());
        }
        Ok(())
    }
}

fn refuse(what: &'static str, got: &[usize], expected: String) -> Result<(), HsrError> {
    Err(HsrError::Shape {
        what,
        got: got.to_vec(),
        expected,
    })
}

/// Refuses inputs that would get no gradient although autodiff waits for one. A tensor of an autodiff device that is
/// no part of a graph is none.
pub(crate) fn refuse_tracked(entry: &'static str, inputs: &Tensor<2>) -> Result<(), HsrError> {
    if inputs.is_tracked() {
        return Err(HsrError::TrackedInputs { entry });
    }
    Ok(())
}
