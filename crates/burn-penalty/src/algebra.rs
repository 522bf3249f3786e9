//! Gradients as vectors: sums, products, lengths and directions of [`GradientsParams`], on the module's device.
//!
//! A vector has a tensor for each parameter, under the parameter's identity. All functions take the module too, whose
//! parameters they visit in order: it says which there are, and which of them are trained. Nothing is read back from the
//! device: a [`Number`] is known here where the parameters are in the host's memory, else a tensor \[1\] on the device of the
//! first parameter. Half precision is computed with in f32, and vectors stay in it until they are [added](add) to gradients.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rand::Rng;

use crate::error::PenaltyError;
use crate::number::Number;
use crate::tensors::in_precision;
pub use crate::tensors::{reciprocal, together, wide};
pub use crate::trained::{count, filter};
use crate::vector::Vector;

/// Σ factor·vector; a parameter that no vector has is left out.
pub fn combination<M: Module>(module: &M, terms: &[(Number, &GradientsParams)]) -> GradientsParams {
    struct Combine<'a> {
        terms: &'a [(Number, &'a GradientsParams)],
        out: GradientsParams,
    }
    impl ModuleVisitor for Combine<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let terms = self.terms.iter().filter_map(|(factor, vector)| {
                Some(factor.times(wide(vector.get::<D>(param.id)?)))
            });
            if let Some(sum) = terms.reduce(|sum, term| sum + term) {
                self.out.register(param.id, sum);
            }
        }
    }
    let mut combine = Combine {
        terms,
        out: GradientsParams::new(),
    };
    module.visit(&mut combine);
    combine.out
}

/// a − b; a parameter that neither has is left out.
pub fn difference<M: Module>(
    module: &M,
    a: &GradientsParams,
    b: &GradientsParams,
) -> GradientsParams {
    struct Subtract<'a> {
        a: &'a GradientsParams,
        b: &'a GradientsParams,
        out: GradientsParams,
    }
    impl ModuleVisitor for Subtract<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let [a, b] = [self.a, self.b].map(|vector| vector.get::<D>(param.id).map(wide));
            let difference = match (a, b) {
                (Some(a), Some(b)) => a - b,
                (Some(a), None) => a,
                (None, Some(b)) => b.neg(),
                (None, None) => return,
            };
            self.out.register(param.id, difference);
        }
    }
    let mut subtract = Subtract {
        a,
        b,
        out: GradientsParams::new(),
    };
    module.visit(&mut subtract);
    subtract.out
}

/// factor·vector.
pub fn scale<M: Module>(
    module: &M,
    vector: &GradientsParams,
    factor: impl Into<Number>,
) -> GradientsParams {
    combination(module, &[(factor.into(), vector)])
}

/// gradients + factor·vector, each parameter in the precision of its gradient, or of its own where it has none;
/// gradients of other modules stay.
pub fn add<M: Module>(
    module: &M,
    mut gradients: GradientsParams,
    factor: impl Into<Number>,
    vector: &GradientsParams,
) -> GradientsParams {
    struct Add<'a> {
        gradients: &'a mut GradientsParams,
        factor: Number,
        vector: &'a GradientsParams,
    }
    impl ModuleVisitor for Add<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(part) = self.vector.get::<D>(param.id) else {
                return;
            };
            let part = self.factor.times(wide(part));
            let sum = match self.gradients.remove::<D>(param.id) {
                Some(of_loss) => {
                    let dtype = of_loss.dtype();
                    in_precision(wide(of_loss) + part, dtype)
                }
                None => in_precision(part, param.val().dtype()),
            };
            self.gradients.register(param.id, sum);
        }
    }
    module.visit(&mut Add {
        gradients: &mut gradients,
        factor: factor.into(),
        vector,
    });
    gradients
}

/// a·b.
///
/// # Errors
///
/// [`PenaltyError::NoParameters`] where no parameter that is trained is in one of them.
pub fn dot<M: Module>(
    module: &M,
    a: &GradientsParams,
    b: &GradientsParams,
) -> Result<Number, PenaltyError> {
    let [a, b] = [a, b].map(|vector| Vector::gradients(module, None, vector));
    a.dot(&b)
}

/// The largest |component|.
///
/// # Errors
///
/// As [`dot`].
pub fn largest<M: Module>(module: &M, a: &GradientsParams) -> Result<Number, PenaltyError> {
    Vector::gradients(module, None, a).largest()
}

/// A vector's length and its direction.
#[derive(Debug)]
pub struct Polar {
    /// ‖a‖.
    pub norm: Number,
    /// Of length 1, or zero where the vector is.
    pub direction: GradientsParams,
}

/// Squares are taken of a vector whose largest component is 1: those of small gradients in f32 would be zero.
///
/// # Errors
///
/// As [`dot`].
pub fn polar<M: Module>(module: &M, vector: &GradientsParams) -> Result<Polar, PenaltyError> {
    let (norm, direction) = Vector::gradients(module, None, vector).polar()?;
    Ok(Polar {
        norm,
        direction: direction.into_gradients(module),
    })
}

/// ‖a‖, as [`polar`].
///
/// # Errors
///
/// As [`dot`].
pub fn norm<M: Module>(module: &M, vector: &GradientsParams) -> Result<Number, PenaltyError> {
    Vector::gradients(module, None, vector).norm()
}

/// What is done with the tensor of one parameter.
pub trait Change {
    /// The tensor that takes its place; `path` is where the parameter stands in the module, `parameter` its value
    /// without autodiff.
    fn change<const D: usize>(
        &mut self,
        path: &[String],
        parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D>;
}

/// A vector with the tensor of each trained parameter changed. Takes the vector, so that no more than two are held at a
/// time.
pub fn map<M: Module>(
    module: &M,
    vector: GradientsParams,
    change: &mut impl Change,
) -> GradientsParams {
    struct Map<'a, C> {
        path: Vec<String>,
        vector: GradientsParams,
        change: &'a mut C,
        changed: GradientsParams,
    }
    impl<C: Change> ModuleVisitor for Map<'_, C> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() {
                return;
            }
            let Some(tensor) = self.vector.remove::<D>(param.id) else {
                return;
            };
            // Without autodiff: an operation on the parameter itself would be recorded and its graph kept.
            let parameter = param.val().inner();
            let changed = self.change.change(&self.path, &parameter, tensor);
            self.changed.register(param.id, changed);
        }

        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
    }
    let mut map = Map {
        path: Vec::new(),
        vector,
        change,
        changed: GradientsParams::new(),
    };
    module.visit(&mut map);
    map.changed
}

/// Random signs, +1 or −1 with probability ½ each, times `length`, for every trained parameter, at least in single
/// precision. Drawn on the host, so that every device gets the same ones.
pub fn signs<M: Module>(module: &M, length: f64, generator: &mut impl Rng) -> GradientsParams {
    Vector::signs(module, None, length, generator).into_gradients(module)
}
