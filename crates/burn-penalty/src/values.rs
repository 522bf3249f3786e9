//! Vectors by the names of parameters, as records keep them.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::error::PenaltyError;

/// A parameter's part of a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterValues {
    /// Where the parameter stands in the module: `layer.weight`.
    pub path: String,
    /// The numbers, in the order of its tensor.
    pub values: Vec<f64>,
}

/// The numbers of a vector; reads the device. `what` is the vector's name in a message.
///
/// # Errors
///
/// [`PenaltyError::Read`] where the device cannot be read.
pub fn read<M: Module>(
    module: &M,
    vector: &GradientsParams,
    what: &'static str,
) -> Result<Vec<ParameterValues>, PenaltyError> {
    struct Values<'a> {
        vector: &'a GradientsParams,
        what: &'static str,
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
                            what: self.what,
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
        what,
        path: Vec::new(),
        out: Ok(Vec::new()),
    };
    module.visit(&mut values);
    values.out
}

/// The vector for a module, of the parameters that it trains in the same places and sizes, on their devices and at least
/// in single precision.
pub fn write<M: Module>(module: &M, values: &[ParameterValues]) -> GradientsParams {
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
