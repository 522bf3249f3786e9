//! The trainable parameters of a module as one vector.

use core::ops::Range;
use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_penalty::algebra;

use crate::error::SharpnessError;

/// One trainable parameter of a module and its place in the vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The identity by which Burn knows it.
    pub id: ParamId,
    /// Where it stands in the module: `layer.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its place in the vector.
    pub range: Range<usize>,
}

/// The trainable parameters of a module, in the order in which Burn visits them, as the coordinates of a vector θ of
/// D values. Frozen parameters are no part of it.
///
/// Vectors are in f64 on the host, whatever the precision and the device of the module. No method changes the module.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use burn_sharpness::ParameterSpace;
///
/// let layer = LinearConfig::new(2, 3).init(&Device::flex().autodiff());
/// let space = ParameterSpace::of(&layer)?;
/// assert_eq!(space.size(), 9);
/// let theta = space.read(&layer)?;
/// let doubled = space.displaced(&layer, &theta, 1.0)?;
/// assert_eq!(space.read(&doubled)?[0], 2.0 * theta[0]);
/// // Another layer of the same size is another module.
/// let other = LinearConfig::new(2, 3).init(&Device::flex().autodiff());
/// assert!(space.read(&other).is_err());
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpace {
    parameters: Vec<Parameter>,
    size: usize,
}

impl ParameterSpace {
    /// The parameters of `module` that are trained. The module must be on an autodiff device, where parameters say
    /// whether they are.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NoParameters`] where there are none; [`SharpnessError::PlainDevice`] where the reason is that
    /// the module is not on an autodiff device.
    pub fn of<M: Module>(module: &M) -> Result<Self, SharpnessError> {
        algebra::count(module)?;
        let mut collect = Collect::default();
        module.visit(&mut collect);
        Ok(Self {
            parameters: collect.parameters,
            size: collect.size,
        })
    }

    /// The number of coordinates D.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The parameters in their order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// θ.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Read`] where a tensor cannot be read, [`SharpnessError::ForeignModule`] where the module has not
    /// the parameters of the space.
    pub fn read<M: Module>(&self, module: &M) -> Result<Vec<f64>, SharpnessError> {
        self.check_module(module)?;
        let mut read = Read {
            space: self,
            gradients: None,
            out: vec![0.0; self.size],
            error: None,
        };
        module.visit(&mut read);
        read.finish()
    }

    /// The gradients as a vector; a parameter without one has zeros.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_gradients<M: Module>(
        &self,
        module: &M,
        gradients: &GradientsParams,
    ) -> Result<Vec<f64>, SharpnessError> {
        self.check_module(module)?;
        let mut read = Read {
            space: self,
            gradients: Some(gradients),
            out: vec![0.0; self.size],
            error: None,
        };
        module.visit(&mut read);
        read.finish()
    }

    /// A vector as gradients, each in its parameter's shape, precision and device.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`], [`SharpnessError::ForeignModule`].
    pub fn to_gradients<M: Module>(
        &self,
        module: &M,
        vector: &[f64],
    ) -> Result<GradientsParams, SharpnessError> {
        self.check("the vector", vector)?;
        self.check_module(module)?;
        let mut write = Write {
            space: self,
            vector,
            gradients: GradientsParams::new(),
        };
        module.visit(&mut write);
        Ok(write.gradients)
    }

    /// A copy of the module at θ + scale·direction, in its own precision. Running statistics are copied too, and not
    /// shared as those of a clone are.
    ///
    /// # Errors
    ///
    /// As [`to_gradients`](Self::to_gradients).
    pub fn displaced<M: Module>(
        &self,
        module: &M,
        direction: &[f64],
        scale: f64,
    ) -> Result<M, SharpnessError> {
        let step: Vec<f64> = direction.iter().map(|v| scale * v).collect();
        Ok(burn_penalty::displaced(
            module,
            self.to_gradients(module, &step)?,
        ))
    }

    /// The parameter of this identity, where it is trained.
    pub fn parameter(&self, id: ParamId) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.id == id)
    }

    /// Refuses a module that has not all parameters of the space, in their sizes.
    fn check_module<M: Module>(&self, module: &M) -> Result<(), SharpnessError> {
        struct Sizes(HashMap<ParamId, usize>);
        impl ModuleVisitor for Sizes {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.insert(param.id, param.shape().num_elements());
            }
        }
        let mut sizes = Sizes(HashMap::new());
        module.visit(&mut sizes);
        let missing = |place: &&Parameter| sizes.0.get(&place.id) != Some(&place.range.len());
        match self.parameters.iter().find(missing) {
            None => Ok(()),
            Some(place) => Err(SharpnessError::ForeignModule {
                path: place.path.clone(),
            }),
        }
    }

    pub(crate) fn check(&self, what: &'static str, vector: &[f64]) -> Result<(), SharpnessError> {
        if vector.len() == self.size {
            return Ok(());
        }
        Err(SharpnessError::Length {
            what,
            got: vector.len(),
            expected: self.size,
        })
    }
}

#[derive(Default)]
struct Collect {
    names: Vec<String>,
    parameters: Vec<Parameter>,
    size: usize,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let shape: Vec<usize> = param.shape().iter().copied().collect();
        let end = self.size + shape.iter().product::<usize>();
        self.parameters.push(Parameter {
            id: param.id,
            path: self.names.join("."),
            shape,
            range: self.size..end,
        });
        self.size = end;
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }
}

/// Reads parameters, or their gradients where those are given.
struct Read<'a> {
    space: &'a ParameterSpace,
    gradients: Option<&'a GradientsParams>,
    out: Vec<f64>,
    error: Option<SharpnessError>,
}

impl Read<'_> {
    fn finish(self) -> Result<Vec<f64>, SharpnessError> {
        match self.error {
            None => Ok(self.out),
            Some(error) => Err(error),
        }
    }
}

impl ModuleVisitor for Read<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(place) = self.space.parameter(param.id) else {
            return;
        };
        let (what, tensor) = match self.gradients {
            None => ("a parameter", Some(param.val().inner())),
            Some(gradients) => ("a gradient", gradients.get::<D>(param.id)),
        };
        let Some(tensor) = tensor else {
            return;
        };
        match tensor.try_into_vec_as::<f64>() {
            Ok(values) => self.out[place.range.clone()].copy_from_slice(&values),
            Err(error) => {
                let message = error.to_string();
                self.error
                    .get_or_insert(SharpnessError::Read { what, message });
            }
        }
    }
}

struct Write<'a> {
    space: &'a ParameterSpace,
    vector: &'a [f64],
    gradients: GradientsParams,
}

impl ModuleVisitor for Write<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(place) = self.space.parameter(param.id) else {
            return;
        };
        let value = param.val().inner();
        let at: (&Device, DType) = (&value.device(), value.dtype());
        let values = self.vector[place.range.clone()].to_vec();
        let tensor = Tensor::<D>::from_data(TensorData::new(values, value.shape()), at);
        self.gradients.register(param.id, tensor);
    }
}
