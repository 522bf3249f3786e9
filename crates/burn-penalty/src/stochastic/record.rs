//! What stochastic HSR must remember to go on where it was.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::estimate::{Averages, Numbers};
use super::gradient::State;
use crate::PenaltyError;

/// The state of a [`StochasticHsrGradient`](super::StochasticHsrGradient), to be saved beside the model's and the
/// optimizer's records. With it and the same configuration a resumed run takes the very steps that an uninterrupted one
/// would have taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StochasticHsrRecord {
    /// Steps taken: what the schedule, the probes and the dropout masks depend on.
    pub steps: u64,
    /// The estimates in the moving averages.
    pub updates: u64,
    /// The number of parameters D that they are of.
    pub size: usize,
    /// The moving averages of t̂, t̂², √q̂ and q̂; none before the first.
    pub averages: Option<[f64; 4]>,
    /// Whether they are in double precision.
    pub double: bool,
    /// The vector of λ_max's iteration.
    pub direction: Option<Vec<ParameterValues>>,
}

/// A parameter's part of a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterValues {
    /// Where the parameter stands in the module: `layer.weight`.
    pub path: String,
    /// The numbers, in the order of its tensor.
    pub values: Vec<f64>,
}

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are not a record.
    #[error("not the record of a stochastic regulariser: {message}")]
    Format {
        /// What is wrong.
        message: String,
    },
    /// The file could not be written or read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

impl StochasticHsrRecord {
    /// The record as JSON.
    pub fn into_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("finite numbers are JSON, and others become null")
    }

    /// The record from its bytes.
    ///
    /// # Errors
    ///
    /// [`RecordError::Format`] where the bytes are no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        serde_json::from_slice(bytes).map_err(|error| RecordError::Format {
            message: error.to_string(),
        })
    }

    /// Writes the record, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`RecordError::File`] where the file cannot be written.
    pub fn save(self, path: impl AsRef<Path>) -> Result<(), RecordError> {
        let path = path.as_ref();
        let refuse = |error| RecordError::File {
            path: path.to_owned(),
            error,
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        let beside = PathBuf::from(beside);
        std::fs::write(&beside, self.into_bytes()).map_err(refuse)?;
        std::fs::rename(&beside, path).map_err(refuse)
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] where the file cannot be read or is no record.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| RecordError::File {
            path: path.to_owned(),
            error,
        })?;
        Self::from_bytes(&bytes)
    }
}

pub(super) fn of<M: Module>(
    steps: u64,
    state: &State,
    module: &M,
) -> Result<StochasticHsrRecord, PenaltyError> {
    let mut record = StochasticHsrRecord {
        steps,
        size: state.size,
        direction: state.recorded.clone(),
        ..StochasticHsrRecord::default()
    };
    if let Some(averages) = &state.averages {
        record.updates = averages.updates;
        record.double = averages.numbers.double();
        record.averages = Some(averages.numbers.read()?);
    }
    if let Some(direction) = &state.direction {
        record.direction = Some(values(module, direction)?);
    }
    Ok(record)
}

pub(super) fn state(record: StochasticHsrRecord) -> State {
    let averages = record.averages.map(|values| Averages {
        numbers: Numbers::Recorded {
            values,
            double: record.double,
        },
        updates: record.updates,
    });
    State {
        averages,
        size: record.size,
        direction: None,
        recorded: record.direction,
    }
}

fn values<M: Module>(
    module: &M,
    vector: &GradientsParams,
) -> Result<Vec<ParameterValues>, PenaltyError> {
    struct Values<'a> {
        vector: &'a GradientsParams,
        path: Vec<String>,
        out: Result<Vec<ParameterValues>, PenaltyError>,
    }
    impl ModuleVisitor for Values<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Ok(out) = &mut self.out
                && let Some(part) = self.vector.get::<D>(param.id)
            {
                match part.try_into_vec_as::<f64>() {
                    Ok(values) => out.push(ParameterValues {
                        path: self.path.join("."),
                        values,
                    }),
                    Err(error) => {
                        self.out = Err(PenaltyError::Read {
                            what: "the vector of the power iteration",
                            message: error.to_string(),
                        });
                    }
                }
            }
        }

        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
    }
    let mut values = Values {
        vector,
        path: Vec::new(),
        out: Ok(Vec::new()),
    };
    module.visit(&mut values);
    values.out
}

/// The vector for a module, of the parameters that it has in the same places and sizes.
pub(super) fn direction<M: Module>(module: &M, values: &[ParameterValues]) -> GradientsParams {
    struct Put<'a> {
        values: &'a [ParameterValues],
        path: Vec<String>,
        out: GradientsParams,
    }
    impl ModuleVisitor for Put<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = self.path.join(".");
            let shape = param.shape();
            let found = self
                .values
                .iter()
                .find(|values| values.path == path && values.values.len() == shape.num_elements());
            if let Some(found) = found
                && param.is_require_grad()
            {
                let value = param.val().inner();
                let dtype = match value.dtype() {
                    DType::F64 => DType::F64,
                    _ => DType::F32,
                };
                let at: (&Device, DType) = (&value.device(), dtype);
                let data = TensorData::new(found.values.clone(), shape);
                self.out
                    .register(param.id, Tensor::<D>::from_data(data, at));
            }
        }

        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
    }
    let mut put = Put {
        values,
        path: Vec::new(),
        out: GradientsParams::new(),
    };
    module.visit(&mut put);
    put.out
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    use super::super::estimate::Numbers;
    use super::{StochasticHsrRecord, of, state};
    use crate::StochasticHsrConfig;

    fn step(hsr: &mut crate::StochasticHsrGradient, layer: &Linear) {
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [0.5, -1.0]], &layer.weight.device());
        let passes = hsr.of(layer, |layer| {
            let loss = layer.forward(x.clone()).powi_scalar(4).mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &layer);
            ((), gradients)
        });
        assert!(passes.unwrap().not_finite.is_none());
    }

    /// Burn's default device, where a build has a GPU, is one that a machine need not have.
    #[test]
    fn a_records_averages_wait_for_the_device_of_the_module() {
        // In a build with a GPU not the default device.
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 2).init(&device);
        let config = StochasticHsrConfig::new();
        let mut hsr = config.init_gradient().unwrap();
        step(&mut hsr, &layer);
        let record = hsr.to_record(&layer).unwrap();
        let loaded = state(record.clone());
        let numbers = loaded.averages.as_ref().unwrap();
        assert!(matches!(numbers.numbers, Numbers::Recorded { .. }));
        // What is loaded can be saved and read before it is anywhere.
        assert_eq!(of(record.steps, &loaded, &layer).unwrap(), record);
        let mut resumed = config.init_gradient().unwrap().load_record(record.clone());
        assert_eq!(resumed.curvature().unwrap(), hsr.curvature().unwrap());
        step(&mut resumed, &layer);
        step(&mut hsr, &layer);
        let after = |hsr: &crate::StochasticHsrGradient| -> StochasticHsrRecord {
            hsr.to_record(&layer).unwrap()
        };
        assert_eq!(after(&resumed), after(&hsr));
        assert_ne!(after(&resumed), record);
        let Some(Numbers::Device(numbers)) = resumed.averages() else {
            panic!("not on a device after a step");
        };
        assert_eq!(numbers.device(), device.inner());
    }
}
