//! What an option says of a network, and what its file says: one of them has to, and both the same.

use std::fmt::Display;

use hsr_core::OutputLoss;

use super::options::ModelOptions;
use crate::about::About;
use crate::architecture::{Activations, activate};
use crate::data::wording::shown;
use crate::error::LabError;
use crate::weights::{Weights, WeightsFile};

/// Brings together what an option says and what a file says.
pub(super) struct Settled<'a> {
    pub file: &'a WeightsFile,
}

impl Settled<'_> {
    /// Gives the network its activations.
    pub fn activate(
        &self,
        weights: &mut Weights,
        options: &ModelOptions,
        about: &About,
    ) -> Result<(), LabError> {
        let hidden = weights.layers.len() - 1;
        // One for all and the same for each say the same.
        let each = |it: &Activations| it.of_hidden(hidden).map(Activations::from);
        let given = options.activation.as_ref().map(each).transpose();
        let given = given.map_err(|it| LabError::Option(format!("`activation` {it}")))?;
        let stored = about.activation.as_ref().map(each).transpose();
        let stored = stored.map_err(|it| self.file.refuse(format!("its metadata {it}")))?;
        let none = Activations::from(Vec::new());
        let activations = match hidden {
            0 => none,
            _ => self.value("`activation`", given, stored, |it| it.to_string())?,
        };
        // hsr train says it wherever it could be otherwise.
        let by_train = about.method.as_ref().map(|_| false);
        if options.residual && about.residual.or(by_train) == Some(false) {
            return Err(self.file.refuse(
                "says that its layers are not residual, which `residual` contradicts".to_owned(),
            ));
        }
        let residual = options.residual || about.residual == Some(true);
        activate(&mut weights.layers, Some(&activations), residual).map_err(LabError::Option)
    }

    /// Refuses what contradicts a convolutional network, which says everything itself.
    pub fn check_conv(&self, options: &ModelOptions, about: &About) -> Result<(), LabError> {
        if options.residual {
            let message = "is of a convolutional network, which has no residual layers";
            return Err(self.file.refuse(message.to_owned()));
        }
        let (given, stored) = (options.activation.clone(), about.activation.clone());
        self.value("`activation`", given, stored, |it| it.to_string())?;
        Ok(())
    }

    pub fn either<T: PartialEq>(
        &self,
        option: &str,
        given: Option<T>,
        stored: Option<T>,
        name: impl Fn(&T) -> String,
    ) -> Result<Option<T>, LabError> {
        match (given, stored) {
            (Some(given), Some(stored)) if given != stored => Err(self.file.refuse(format!(
                "says {}, which {option} {} contradicts",
                name(&stored),
                name(&given)
            ))),
            (given, stored) => Ok(given.or(stored)),
        }
    }

    pub fn value<T: PartialEq>(
        &self,
        option: &str,
        given: Option<T>,
        stored: Option<T>,
        name: impl Fn(&T) -> String,
    ) -> Result<T, LabError> {
        self.either(option, given, stored, name)?.ok_or_else(|| {
            let what = option.trim_matches('`');
            self.file
                .refuse(format!("does not say its {what}: name it with {option}"))
        })
    }
}

/// Refuses classes that do not fit the outputs.
pub(super) fn check_classes(
    classes: &[String],
    loss: OutputLoss,
    outputs: usize,
) -> Result<(), LabError> {
    let refuse = |found: &dyn Display| Err(LabError::Option(format!("`classes` {found}")));
    let expected = match loss {
        OutputLoss::SoftmaxCrossEntropy => outputs,
        OutputLoss::SigmoidCrossEntropy if outputs == 1 => 2,
        other => {
            return refuse(&format_args!(
                "belongs to a network that tells classes apart, not to the {}",
                other.name()
            ));
        }
    };
    if classes.len() != expected {
        return refuse(&format_args!(
            "names {} classes, expected {expected} for {outputs} outputs",
            classes.len()
        ));
    }
    if let Some(index) =
        (1..classes.len()).find(|&index| classes[..index].contains(&classes[index]))
    {
        return refuse(&format_args!("names {} twice", shown(&classes[index])));
    }
    if classes.iter().any(String::is_empty) {
        return refuse(&"has an empty name");
    }
    Ok(())
}
