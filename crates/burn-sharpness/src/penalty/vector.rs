//! Gradients as vectors on the device.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::Rng;

use crate::operator::rounding_unit;
use crate::spectrum::rademacher;
use crate::{ParameterSpace, SharpnessError};

/// A factor: known here, or a tensor \[1\] on some device.
#[derive(Clone, Debug)]
pub(super) enum Factor {
    Number(f64),
    Device(Box<Tensor<1>>),
}

impl From<Tensor<1>> for Factor {
    fn from(factor: Tensor<1>) -> Self {
        Self::Device(Box::new(factor))
    }
}

/// Σ factor·vector; a parameter that no vector has is left out.
pub(super) fn combination<M: Module>(
    module: &M,
    terms: &[(Factor, &GradientsParams)],
) -> GradientsParams {
    struct Combine<'a> {
        terms: &'a [(Factor, &'a GradientsParams)],
        out: GradientsParams,
    }
    impl ModuleVisitor for Combine<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let mut sum: Option<Tensor<D>> = None;
            for (factor, vector) in self.terms {
                let Some(part) = vector.get::<D>(param.id) else {
                    continue;
                };
                let term = match factor {
                    Factor::Number(1.0) => part,
                    Factor::Number(factor) => part * *factor,
                    Factor::Device(factor) => {
                        let factor = placed(*factor.clone(), &part.device(), part.dtype());
                        part * factor.reshape([1; D])
                    }
                };
                sum = Some(match sum {
                    Some(sum) => sum + term,
                    None => term,
                });
            }
            if let Some(sum) = sum {
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

/// Adds factor·vector to gradients, parameter by parameter; gradients of other modules stay.
pub(super) fn add<M: Module>(
    module: &M,
    mut gradients: GradientsParams,
    factor: f64,
    vector: &GradientsParams,
) -> GradientsParams {
    struct Add<'a> {
        gradients: &'a mut GradientsParams,
        factor: f64,
        vector: &'a GradientsParams,
    }
    impl ModuleVisitor for Add<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(part) = self.vector.get::<D>(param.id) else {
                return;
            };
            let part = part * self.factor;
            let sum = match self.gradients.remove::<D>(param.id) {
                Some(of_loss) => of_loss + part,
                None => part,
            };
            self.gradients.register(param.id, sum);
        }
    }
    module.visit(&mut Add {
        gradients: &mut gradients,
        factor,
        vector,
    });
    gradients
}

/// a·b, \[1\], in the precision and on the device of the first parameter that is trained.
pub(super) fn dot<M: Module>(
    module: &M,
    a: &GradientsParams,
    b: &GradientsParams,
) -> Result<Tensor<1>, SharpnessError> {
    struct Dot<'a>(&'a GradientsParams, &'a GradientsParams);
    impl Part for Dot<'_> {
        fn part<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<1>> {
            Some((self.0.get::<D>(param.id)? * self.1.get::<D>(param.id)?).sum())
        }
    }
    reduce(module, Dot(a, b), |sum, part| sum + part)
}

/// The largest |component|, \[1\], as [`dot`].
fn largest<M: Module>(module: &M, a: &GradientsParams) -> Result<Tensor<1>, SharpnessError> {
    struct Largest<'a>(&'a GradientsParams);
    impl Part for Largest<'_> {
        fn part<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<1>> {
            Some(self.0.get::<D>(param.id)?.abs().max())
        }
    }
    reduce(module, Largest(a), |max, part| max.max_pair(part))
}

/// u(1 + θ̄), \[1\], as [`dot`]: u is the machine epsilon of the parameters that are trained, θ̄ their root mean
/// square. Rounding leaves this much of a gradient, relative to the Hessian.
pub(super) fn noise<M: Module>(module: &M) -> Result<Tensor<1>, SharpnessError> {
    struct Square;
    impl Part for Square {
        fn part<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<1>> {
            Some(param.val().inner().square().sum())
        }
    }
    let size = ParameterSpace::of(module)?.size() as f64;
    let squares = reduce(module, Square, |sum, part| sum + part)?;
    Ok(((squares * (1.0 / size)).sqrt() + 1.0) * rounding_unit(module))
}

/// A vector's length and its direction.
pub(super) struct Polar {
    /// \[1\].
    pub norm: Tensor<1>,
    /// Of length 1, or zero where the vector is.
    pub direction: GradientsParams,
}

/// Squares are taken of a vector whose largest component is 1: those of small gradients in f32 would be zero.
pub(super) fn polar<M: Module>(
    module: &M,
    vector: &GradientsParams,
) -> Result<Polar, SharpnessError> {
    let largest = largest(module, vector)?;
    let none = largest.clone().equal_elem(0.0);
    let divisor = Factor::from(largest.clone().mask_fill(none.clone(), 1.0).recip());
    let scaled = combination(module, &[(divisor, vector)]);
    let length = dot(module, &scaled, &scaled)?.sqrt();
    let divisor = Factor::from(length.clone().mask_fill(none, 1.0).recip());
    Ok(Polar {
        norm: largest * length,
        direction: combination(module, &[(divisor, &scaled)]),
    })
}

/// Random signs, each divided by `length`, for every parameter that is trained.
pub(super) fn probe<M: Module>(
    module: &M,
    length: f64,
    generator: &mut impl Rng,
) -> GradientsParams {
    struct Draw<'a, R> {
        generator: &'a mut R,
        value: f64,
        out: GradientsParams,
    }
    impl<R: Rng> ModuleVisitor for Draw<'_, R> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() {
                return;
            }
            let value = param.val().inner();
            let at: (&Device, DType) = (&value.device(), value.dtype());
            let mut signs = rademacher(value.shape().num_elements(), self.generator);
            signs.iter_mut().for_each(|sign| *sign *= self.value);
            let signs = Tensor::<D>::from_data(TensorData::new(signs, value.shape()), at);
            self.out.register(param.id, signs);
        }
    }
    let mut draw = Draw {
        generator,
        value: 1.0 / length,
        out: GradientsParams::new(),
    };
    module.visit(&mut draw);
    draw.out
}

/// A parameter's part of a number.
trait Part {
    fn part<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<1>>;
}

fn reduce<M: Module>(
    module: &M,
    part: impl Part,
    join: impl Fn(Tensor<1>, Tensor<1>) -> Tensor<1>,
) -> Result<Tensor<1>, SharpnessError> {
    struct Reduce<P, J> {
        part: P,
        join: J,
        found: Option<Tensor<1>>,
    }
    impl<P: Part, J: Fn(Tensor<1>, Tensor<1>) -> Tensor<1>> ModuleVisitor for Reduce<P, J> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() {
                return;
            }
            let Some(part) = self.part.part(param) else {
                return;
            };
            self.found = Some(match self.found.take() {
                None => part,
                Some(found) => {
                    let part = placed(part, &found.device(), found.dtype());
                    (self.join)(found, part)
                }
            });
        }
    }
    let mut reduce = Reduce {
        part,
        join,
        found: None,
    };
    module.visit(&mut reduce);
    reduce.found.ok_or(SharpnessError::NoParameters)
}

/// A scalar on a device, in a precision.
fn placed(scalar: Tensor<1>, device: &Device, dtype: DType) -> Tensor<1> {
    let scalar = if scalar.device() == *device {
        scalar
    } else {
        scalar.to_device(device)
    };
    if scalar.dtype() == dtype {
        scalar
    } else {
        scalar.cast(dtype)
    }
}
