//! What else may be done to training: the course of the strength, and the usual means against overfitting.

use core::fmt;
use core::str::FromStr;

use burn_hsr::{ScheduleConfig, Subsample};
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::error::{LabError, refuse};

/// Options that are off unless they are given. They apply to every network of a run, the plain one too, but for schedule,
/// subsample and probes, which are those of a penalty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refinements {
    /// When the penalty acts.
    pub schedule: ScheduleConfig,
    /// The rows of a batch that the penalty takes.
    pub subsample: Subsample,
    /// Random probes from which a penalty is estimated at every step; 0 for its exact gradient.
    #[serde(skip_serializing_if = "is_zero")]
    pub probes: usize,
    /// The factor of weight decay; none for what the optimizer does unless told, which is 10⁻⁴ for AdamW and nothing for
    /// the others.
    pub weight_decay: Option<f64>,
    /// ε of the cross-entropy that is trained. Losses are reported without it.
    pub label_smoothing: f64,
    /// The weights of the classes in the cross-entropy that is trained. Losses are reported without them.
    pub class_weights: Option<ClassWeights>,
    /// Whether the weights are kept of the epoch after which the loss of a validation split was least: a fifth of the
    /// training split, which is then not trained on.
    pub early_stopping: bool,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Default for Refinements {
    fn default() -> Self {
        Self {
            schedule: ScheduleConfig::new(),
            // A comparison is of whole batches, whatever they cost.
            subsample: Subsample::All,
            probes: 0,
            weight_decay: None,
            label_smoothing: 0.0,
            class_weights: None,
            early_stopping: false,
        }
    }
}

/// The weights of classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ClassWeights {
    /// N/(K·N_k) for a class with N_k of the N samples trained on, as scikit-learn's `balanced`.
    Balanced,
    /// One a class, in the order of the classes.
    Given(Vec<f64>),
}

impl ClassWeights {
    /// The weights for the samples trained on.
    pub(crate) fn of(&self, train: &Dataset) -> Vec<f64> {
        match self {
            Self::Given(weights) => weights.clone(),
            Self::Balanced => {
                let (samples, classes) = (train.samples() as f64, train.classes() as f64);
                let counts = train.class_counts().into_iter();
                // No sample asks for the weight of a class without any.
                counts
                    .map(|count| samples / (classes * count.max(1) as f64))
                    .collect()
            }
        }
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.write_str("balanced"),
            Self::Given(weights) => {
                let weights: Vec<String> = weights.iter().map(|it| format!("{it:?}")).collect();
                f.write_str(&weights.join(","))
            }
        }
    }
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "balanced" {
            return Ok(Self::Balanced);
        }
        let weights: Result<Vec<f64>, _> = text.split(',').map(|it| it.trim().parse()).collect();
        match weights {
            Ok(weights) if weights.iter().all(|it| it.is_finite() && *it >= 0.0) => {
                Ok(Self::Given(weights))
            }
            _ => Err(format!(
                "{text:?} are no class weights, expected balanced, or a number, 0 or more, for each class, such as 1,2.5"
            )),
        }
    }
}

impl From<ClassWeights> for String {
    fn from(weights: ClassWeights) -> Self {
        weights.to_string()
    }
}

impl TryFrom<String> for ClassWeights {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Refinements {
    /// Refuses values that cannot work, naming the option.
    pub(crate) fn check(&self, penalised: bool) -> Result<(), LabError> {
        let (schedule, smoothing) = (&self.schedule, self.label_smoothing);
        if schedule.interval == 0 {
            refuse!("`interval` is 0, expected at least 1");
        }
        if self.subsample == Subsample::Rows(0) {
            refuse!("`subsample` is 0, expected at least 1 row");
        }
        let plain = Self::default();
        for (option, given) in [
            ("`warmup`", schedule.warmup_steps > 0),
            ("`cosine`", schedule.cosine_steps.is_some()),
            ("`stop_after`", schedule.stop_after.is_some()),
            ("`interval`", schedule.interval > 1),
            ("`subsample`", self.subsample != plain.subsample),
            ("`probes`", self.probes != plain.probes),
        ] {
            if given && !penalised {
                refuse!("{option} belongs to the methods that add a penalty");
            }
        }
        if let Some(decay) = self.weight_decay
            && !(decay.is_finite() && decay >= 0.0)
        {
            refuse!("`weight_decay` is {decay}, expected a number, 0 or more");
        }
        if !(0.0..=1.0).contains(&smoothing) {
            refuse!("`label_smoothing` is {smoothing}, expected a number from 0 to 1");
        }
        Ok(())
    }

    /// Refuses weights of another number of classes than there are.
    pub(crate) fn check_classes(&self, classes: usize) -> Result<(), LabError> {
        if let Some(ClassWeights::Given(weights)) = &self.class_weights
            && weights.len() != classes
        {
            let count = weights.len();
            refuse!("`class_weights` has {count}, expected {classes}, one for each class");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_weights_survive_text_and_balanced_ones_give_every_class_the_same_sum() {
        for text in ["balanced", "1.0,2.5,0.0"] {
            let weights: ClassWeights = text.parse().unwrap();
            assert_eq!(weights.to_string(), text);
            let json = serde_json::to_string(&weights).unwrap();
            assert_eq!(
                serde_json::from_str::<ClassWeights>(&json).unwrap(),
                weights
            );
        }
        for text in ["", "balance", "1,-2", "1,,2", "nan"] {
            assert!(text.parse::<ClassWeights>().is_err(), "{text}");
        }
        let train = Dataset {
            name: String::new(),
            features: vec![0.0; 6],
            inputs: 1,
            feature_names: vec!["x".to_owned()],
            labels: vec![0, 0, 0, 1, 1, 2],
            class_names: ["a", "b", "c"].map(str::to_owned).to_vec(),
        };
        let weights = ClassWeights::Balanced.of(&train);
        let sums = [3.0 * weights[0], 2.0 * weights[1], weights[2]];
        assert_eq!(sums, [2.0; 3]);
    }

    #[test]
    fn an_option_that_is_not_in_a_file_is_off() {
        assert_eq!(
            serde_json::from_str::<Refinements>("{}").unwrap(),
            Refinements::default()
        );
    }
}
