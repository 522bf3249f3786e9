//! What is refused before anything is computed, and the targets as the closed form takes them.

use burn::tensor::Tensor;
use burn_penalty::Mode;
use hsr_core::depth::LayerShape;
use hsr_core::{Activation, OutputLoss};

use super::Hsr;
use crate::error::HsrError;
use crate::layers::{Layers, outputs, shapes};
use crate::targets::{Labels, Targets};

impl Hsr {
    /// The targets, where they fit, as the closed form takes them.
    pub(crate) fn checked<M: Layers>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: Targets,
    ) -> Result<Targets, HsrError> {
        self.check(model, inputs, &targets)?;
        Ok(self.config.loss.prepare(targets))
    }

    pub(crate) fn refuse_decoupled(&self, entry: &'static str) -> Result<(), HsrError> {
        match self.config.mode {
            Mode::Decoupled => Err(HsrError::Decoupled { entry }),
            Mode::Coupled | Mode::Direction => Ok(()),
        }
    }

    /// Whether the layers fit each other and the inputs.
    pub(crate) fn check_model<M: Layers>(model: &M, inputs: &Tensor<2>) -> Result<(), HsrError> {
        for layer in model.layers() {
            layer.check()?;
        }
        let shapes = shapes(model);
        let Some(first) = shapes.first() else {
            let what = "the number of layers";
            return Err(hsr_core::Error::Empty { what }.into());
        };
        let [samples, features] = inputs.dims();
        if features != first.inputs || samples == 0 {
            let expected = format!("[samples ≥ 1, {}]", first.inputs);
            return refuse("the input batch", &[samples, features], expected);
        }
        for (index, pair) in shapes.windows(2).enumerate() {
            let [below, above] = pair else { continue };
            if above.inputs != below.outputs {
                let got = [above.inputs, above.outputs];
                return if shapes.len() == 2 {
                    let expected = format!("[{}, outputs]", below.outputs);
                    refuse("the output weight", &got, expected)
                } else {
                    let expected = format!("[{}, outputs] in layer {}", below.outputs, index + 2);
                    refuse("the weight of a layer", &got, expected)
                };
            }
        }
        for (layer, shape) in shapes.iter().enumerate() {
            let LayerShape {
                inputs, outputs, ..
            } = *shape;
            if shape.residual && inputs != outputs {
                return Err(hsr_core::Error::ResidualShape {
                    layer,
                    inputs,
                    outputs,
                }
                .into());
            }
        }
        if let Some((layer, last)) = shapes.iter().enumerate().next_back() {
            let got = if last.activation != Activation::Identity {
                last.activation.name()
            } else if last.residual {
                "a residual connection"
            } else {
                return Ok(());
            };
            return Err(hsr_core::Error::LastLayer { layer, got }.into());
        }
        Ok(())
    }

    pub(crate) fn check<M: Layers>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: &Targets,
    ) -> Result<(), HsrError> {
        Self::check_model(model, inputs)?;
        let outputs = outputs(model);
        let [samples, _] = inputs.dims();
        match &targets.labels {
            Labels::Classes(classes) if classes.dims() != [samples] => {
                return refuse("the targets", &classes.dims(), format!("[{samples}]"));
            }
            Labels::Values(values) if values.dims() != [samples, outputs] => {
                return refuse(
                    "the targets",
                    &values.dims(),
                    format!("[{samples}, {}]", outputs),
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
            if weights.dims() != [samples, outputs] {
                return refuse(
                    "the output weights",
                    &weights.dims(),
                    format!("[{samples}, {}]", outputs),
                );
            }
            if self.config.loss.kind != OutputLoss::MeanSquaredError {
                let loss = self.config.loss.kind.name();
                return Err(hsr_core::Error::OutputWeights { loss }.into());
            }
        }
        if let Some(weights) = &self.config.loss.class_weights
            && weights.len() != outputs
        {
            return refuse("class_weights", &[weights.len()], format!("[{}]", outputs));
        }
        let config = &self.config;
        let given = [
            ("a class weight", config.loss.class_weights.is_some()),
            ("a pad token", config.loss.pad_tokens.is_some()),
            ("label smoothing", config.loss.softmax_smoothing() != 0.0),
        ];
        if config.loss.kind != OutputLoss::SoftmaxCrossEntropy
            && let Some((option, _)) = given.into_iter().find(|&(_, given)| given)
        {
            let loss = config.loss.kind.name();
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
