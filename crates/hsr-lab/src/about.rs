//! What a trained network says of itself: the meaning of its inputs and outputs. It travels in the metadata of the
//! safetensors file, under the key `hsr`, and in a run's `config.json`.

use hsr_core::OutputLoss;
use serde::{Deserialize, Serialize};

use crate::architecture::{Activations, NetworkKind};
use crate::data::{FeatureColumn, Standardizer, TableOptions};

/// What a network says of itself; what it does not say is `None`. `hsr train` says everything, a file of another program
/// perhaps nothing.
///
/// ```
/// use hsr_lab::About;
///
/// let about: About = serde_json::from_str(r#"{"activation": "tanh", "classes": ["no", "yes"], "features": ["age"]}"#)?;
/// assert_eq!(about.classes, Some(vec!["no".to_owned(), "yes".to_owned()]));
/// assert_eq!(about.standardizer, None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The task or the name of the file that it was trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The method with which it was trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The kind of network; unsaid of a feed-forward one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkKind>,
    /// The hidden activation, by name; a list where the hidden layers have several.
    #[serde(with = "activation_name", skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activations>,
    /// Whether each hidden layer that is as wide as its inputs adds them to its activations; unsaid where there is one
    /// hidden layer, unless it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual: Option<bool>,
    /// The loss: `softmax`, `sigmoid` or `mse`.
    #[serde(with = "loss_name", skip_serializing_if = "Option::is_none")]
    pub loss: Option<OutputLoss>,
    /// The names of the classes in the order of the outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The column of the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The columns from which the inputs are made, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<FeatureColumn>>,
    /// Mean and standard deviation of each feature, by which the inputs are standardised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standardizer: Option<Standardizer>,
    /// How the table was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableOptions>,
}

impl About {
    /// What does not go together with a network of these ends, in words that follow the file's name.
    pub(crate) fn fault(&self, inputs: usize, outputs: usize) -> Option<String> {
        let wrong = |what: &str, found: usize, expected: usize, unit: &str| {
            (found != expected)
                .then(|| format!("its metadata has {what} of {found} {unit}, expected {expected}"))
        };
        let outputs = match self.loss {
            // One output tells two classes apart.
            Some(OutputLoss::SigmoidCrossEntropy) => outputs.max(2),
            _ => outputs,
        };
        let features = self.features.as_ref().map(|columns| {
            let counts = columns.iter().map(|column| column.features().len());
            counts.sum::<usize>()
        });
        let classes = self.classes.as_ref().map(Vec::len);
        let standardizer = self.standardizer.as_ref();
        let (mean, std) = standardizer.map(|it| (it.mean.len(), it.std.len())).unzip();
        let sizes = [
            (classes, outputs, "names", "classes"),
            (features, inputs, "names", "features"),
            (mean, inputs, "means", "features"),
            (std, inputs, "deviations", "features"),
        ];
        let size = sizes
            .into_iter()
            .find_map(|(found, expected, what, unit)| wrong(what, found?, expected, unit));
        let numbers = standardizer.is_some_and(|it| {
            it.mean.iter().any(|mean| !mean.is_finite())
                || it.std.iter().any(|std| !(std.is_finite() && *std > 0.0))
        });
        size.or_else(|| {
            numbers.then(|| {
                "its metadata has a mean or a standard deviation that standardises nothing"
                    .to_owned()
            })
        })
    }
}

mod activation_name {
    use hsr_core::Activation;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::architecture::{Activations, PerLayer};

    /// By name, or with its parameters where these are not the usual ones.
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Name(String),
        Whole(Activation),
    }

    impl Written {
        fn of(activation: &Activation) -> Self {
            match activation.name().parse::<Activation>() {
                Ok(usual) if usual == *activation => Self::Name(activation.name().to_owned()),
                _ => Self::Whole(*activation),
            }
        }

        fn activation(&self) -> Result<Activation, hsr_core::Error> {
            match self {
                Self::Name(name) => name.parse(),
                Self::Whole(activation) => Ok(*activation),
            }
        }
    }

    pub fn serialize<S: Serializer>(it: &Option<Activations>, to: S) -> Result<S::Ok, S::Error> {
        let named = |it: &Activations| it.as_slice().iter().map(Written::of).collect::<Vec<_>>();
        it.as_ref()
            .map(|it| PerLayer::<Written>::from(named(it)))
            .serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Activations>, D::Error> {
        let Some(written) = Option::<PerLayer<Written>>::deserialize(from)? else {
            return Ok(None);
        };
        let list = written.as_slice().iter().map(Written::activation);
        let list: Result<Vec<Activation>, hsr_core::Error> = list.collect();
        Ok(Some(list.map_err(D::Error::custom)?.into()))
    }
}

mod loss_name {
    use hsr_core::OutputLoss;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::named::Named;

    pub fn serialize<S: Serializer>(it: &Option<OutputLoss>, to: S) -> Result<S::Ok, S::Error> {
        match it {
            Some(loss) => to.serialize_str(loss.named()),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OutputLoss>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        OutputLoss::of(&name).map(Some).ok_or_else(|| {
            D::Error::custom(format!(
                "unknown loss {name:?}, expected softmax, sigmoid or mse"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsr_core::Activation;

    fn whole() -> About {
        About {
            task: Some("mine".to_owned()),
            method: Some("hsr".to_owned()),
            network: None,
            activation: Some(Activation::GeluTanh.into()),
            residual: None,
            loss: Some(OutputLoss::SoftmaxCrossEntropy),
            classes: Some(vec!["a".to_owned(), "b".to_owned()]),
            label: Some("y".to_owned()),
            features: Some(vec![
                FeatureColumn::Number("age".to_owned()),
                FeatureColumn::OneHot {
                    name: "sex".to_owned(),
                    categories: vec!["f".to_owned(), "m".to_owned()],
                },
            ]),
            standardizer: Some(Standardizer {
                mean: vec![0.1, 0.5, 0.5],
                std: vec![1.0, 0.5, 0.5],
            }),
            table: Some(TableOptions::default()),
        }
    }

    #[test]
    fn it_survives_its_json_and_an_older_one_is_read() {
        let text = serde_json::to_string(&whole()).unwrap();
        assert_eq!(serde_json::from_str::<About>(&text).unwrap(), whole());
        assert!(
            text.contains(r#""activation":"gelu_tanh","loss":"softmax""#),
            "{text}"
        );
        let older = r#"{"activation":"tanh","loss":"softmax","method":"hsr","task":"iris"}"#;
        let older: About = serde_json::from_str(older).unwrap();
        assert_eq!(
            (older.activation.clone(), older.classes),
            (Some(Activation::Tanh.into()), None)
        );
        let steep = About {
            activation: Some(
                Activation::LeakyRelu {
                    negative_slope: 0.3,
                }
                .into(),
            ),
            ..About::default()
        };
        let text = serde_json::to_string(&steep).unwrap();
        assert_eq!(serde_json::from_str::<About>(&text).unwrap(), steep);
        let deep = About {
            activation: Some("tanh,gelu_tanh".parse().unwrap()),
            residual: Some(true),
            ..About::default()
        };
        let text = serde_json::to_string(&deep).unwrap();
        assert_eq!(
            text,
            r#"{"activation":["tanh","gelu_tanh"],"residual":true}"#
        );
        assert_eq!(serde_json::from_str::<About>(&text).unwrap(), deep);
        assert!(serde_json::from_str::<About>(r#"{"loss": "hinge"}"#).is_err());
        assert!(serde_json::from_str::<About>(r#"{"activation": "tahn"}"#).is_err());
    }

    #[test]
    fn what_does_not_fit_the_network_is_told() {
        let fault =
            |about: &About, inputs, outputs| about.fault(inputs, outputs).unwrap_or_default();
        assert_eq!(fault(&whole(), 3, 2), "");
        assert_eq!(
            fault(&whole(), 3, 3),
            "its metadata has names of 2 classes, expected 3"
        );
        assert_eq!(
            fault(&whole(), 2, 2),
            "its metadata has names of 3 features, expected 2"
        );
        let mut about = whole();
        about.standardizer.as_mut().unwrap().std[1] = 0.0;
        assert!(fault(&about, 3, 2).contains("standardises nothing"));
        about.standardizer.as_mut().unwrap().std.pop();
        assert_eq!(
            fault(&about, 3, 2),
            "its metadata has deviations of 2 features, expected 3"
        );
        assert_eq!(fault(&About::default(), 7, 7), "");
    }
}
