//! Numbers that are known here, or on a device alone.

use core::ops::{Add, Mul};

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use crate::error::PenaltyError;
use crate::reach::Reach;
use crate::rounding::rounding_unit;
use crate::tensors::{placed, reciprocal, together};

/// A number: known here where it is of parameters in the host's memory, else a tensor \[1\] on a device, which nothing
/// waits for.
#[derive(Clone, Debug)]
pub enum Number {
    /// Known here.
    Here(f64),
    /// Known on the device.
    Device(Box<Tensor<1>>),
}

impl From<Tensor<1>> for Number {
    /// What is in the host's memory becomes a number: a tensor times a number is a loop, times a tensor of one number a
    /// walk over strides.
    fn from(tensor: Tensor<1>) -> Self {
        if Reach::of(&tensor.device()) == Reach::Host
            && let Ok(number) = tensor.clone().try_into_vec_as::<f64>()
            && let [number] = number[..]
        {
            return Self::Here(number);
        }
        Self::Device(Box::new(tensor))
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Here(number)
    }
}

impl Number {
    /// As a tensor \[1\] on a device, in a precision.
    pub fn on(&self, device: &Device, dtype: DType) -> Tensor<1> {
        match self {
            Self::Here(number) => Tensor::from_data([*number], (device, dtype)),
            Self::Device(tensor) => placed(*tensor.clone(), device, dtype),
        }
    }

    /// As a tensor \[1\] beside the parameters of a module, at least in single precision.
    pub fn beside<M: Module>(self, module: &M) -> Tensor<1> {
        let number = match self {
            Self::Device(tensor) => return *tensor,
            Self::Here(number) => number,
        };
        let device = module.devices().into_iter().next().unwrap_or_default();
        let dtype = match rounding_unit(module) {
            unit if unit > f64::EPSILON => DType::F32,
            _ => DType::F64,
        };
        Tensor::from_data([number], (&device.inner(), dtype))
    }

    /// Numbers of one module; reads the device once, where there is one. `what` is their name in a message.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub(crate) fn read(numbers: Vec<Self>, what: &'static str) -> Result<Vec<f64>, PenaltyError> {
        let tensors = numbers.iter().cloned().filter_map(Self::into_device);
        let of_device = match together(tensors.collect()) {
            None => Vec::new(),
            Some(tensors) => {
                tensors
                    .try_into_vec_as::<f64>()
                    .map_err(|error| PenaltyError::Read {
                        what,
                        message: error.to_string(),
                    })?
            }
        };
        let mut of_device = of_device.into_iter();
        let known = numbers.into_iter().map(|number| match number {
            Self::Here(number) => number,
            Self::Device(_) => of_device.next().unwrap_or(f64::NAN),
        });
        Ok(known.collect())
    }

    /// Its tensor, where it is on a device.
    pub(crate) fn into_device(self) -> Option<Tensor<1>> {
        match self {
            Self::Here(_) => None,
            Self::Device(tensor) => Some(*tensor),
        }
    }

    /// Its value; reads the device, and is NaN where that fails.
    pub(crate) fn double(&self) -> f64 {
        match self {
            Self::Here(number) => *number,
            Self::Device(tensor) => match tensor.clone().try_into_vec_as::<f64>().as_deref() {
                Ok([number]) => *number,
                _ => f64::NAN,
            },
        }
    }

    /// The same in single precision.
    pub(crate) fn single(&self) -> f32 {
        self.double() as f32
    }

    /// number·tensor, in the tensor's precision.
    pub fn times<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Here(1.0) => tensor,
            Self::Here(number) => tensor * *number,
            Self::Device(number) => {
                let number = placed(*number.clone(), &tensor.device(), tensor.dtype());
                tensor * number.reshape([1; D])
            }
        }
    }

    fn map(
        self,
        here: impl FnOnce(f64) -> f64,
        there: impl FnOnce(Tensor<1>) -> Tensor<1>,
    ) -> Self {
        match self {
            Self::Here(number) => Self::Here(here(number)),
            Self::Device(tensor) => Self::Device(Box::new(there(*tensor))),
        }
    }

    /// Of two numbers; where one is known here and the other on a device, on the device.
    fn zip(
        self,
        other: Self,
        here: impl FnOnce(f64, f64) -> f64,
        there: impl FnOnce(Tensor<1>, Tensor<1>) -> Tensor<1>,
    ) -> Self {
        let (a, b) = match (self, other) {
            (Self::Here(a), Self::Here(b)) => return Self::Here(here(a, b)),
            (Self::Device(a), b) => {
                let b = b.on(&a.device(), a.dtype());
                (*a, b)
            }
            (a, Self::Device(b)) => (a.on(&b.device(), b.dtype()), *b),
        };
        Self::Device(Box::new(there(a, b)))
    }

    /// √x.
    pub fn sqrt(self) -> Self {
        self.map(f64::sqrt, Tensor::sqrt)
    }

    /// x².
    pub fn square(self) -> Self {
        self.map(|x| x * x, |x| x.square())
    }

    /// xᵃ.
    pub fn powf(self, exponent: f64) -> Self {
        self.map(|x| x.powf(exponent), |x| x.powf_scalar(exponent))
    }

    /// −1, 0 or 1.
    pub fn sign(self) -> Self {
        let here = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
        self.map(here, Tensor::sign)
    }

    /// |x|.
    pub fn abs(self) -> Self {
        self.map(f64::abs, Tensor::abs)
    }

    /// 1/x.
    pub fn recip(self) -> Self {
        self.map(f64::recip, Tensor::recip)
    }

    /// 1/x; 1 where x is too small for that, so that zero stays zero.
    pub fn reciprocal(self) -> Self {
        let here = |x: f64| {
            if x < f64::MIN_POSITIVE {
                1.0
            } else {
                x.recip()
            }
        };
        self.map(here, reciprocal)
    }

    /// The larger one of two; which one beside NaN is the backend's choice.
    pub fn max(self, other: Self) -> Self {
        let here = |a: f64, b: f64| if a > b { a } else { b };
        self.zip(other, here, Tensor::max_pair)
    }

    /// The smaller one of two; which one beside NaN is the backend's choice.
    pub fn min(self, other: Self) -> Self {
        let here = |a: f64, b: f64| if a < b { a } else { b };
        self.zip(other, here, Tensor::min_pair)
    }

    /// At least `least`; NaN stays.
    pub fn at_least(self, least: f64) -> Self {
        let here = |x: f64| if x < least { least } else { x };
        self.map(here, |x| x.clamp_min(least))
    }

    /// At most `most`; NaN stays.
    pub fn at_most(self, most: f64) -> Self {
        let here = |x: f64| if x > most { most } else { x };
        self.map(here, |x| x.clamp_max(most))
    }

    /// x, or `otherwise` where `of` is zero.
    pub fn unless_zero(self, of: &Self, otherwise: f64) -> Self {
        match (self, of) {
            (Self::Here(x), Self::Here(of)) => Self::Here(if *of == 0.0 { otherwise } else { x }),
            (x, of) => x.zip(
                of.clone(),
                |x, _| x,
                |x, of| x.mask_fill(of.equal_elem(0.0), otherwise),
            ),
        }
    }
}

impl Add for Number {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b, |a, b| a + b)
    }
}

impl Mul for Number {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b, |a, b| a * b)
    }
}

impl Add<f64> for Number {
    type Output = Self;

    fn add(self, other: f64) -> Self {
        self.map(|x| x + other, |x| x + other)
    }
}

impl Mul<f64> for Number {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        self.map(|x| x * factor, |x| x * factor)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor};

    use super::Number;

    fn device(value: f64) -> Number {
        Number::Device(Box::new(Tensor::from_data(
            [value],
            (&Device::flex(), DType::F64),
        )))
    }

    fn value(number: Number) -> f64 {
        match number {
            Number::Here(value) => value,
            Number::Device(tensor) => tensor.into_scalar::<f64>(),
        }
    }

    /// Whatever side a number is on, it is the same.
    #[test]
    fn operations_here_are_those_on_the_device() {
        let all = [-3.0, -0.0, 0.0, 1e-320, 0.25, 7.0, f64::INFINITY, f64::NAN];
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        let one: [fn(Number) -> Number; 8] = [
            Number::sqrt,
            Number::square,
            Number::abs,
            Number::reciprocal,
            |x| x.at_least(0.5),
            |x| x.at_most(0.5),
            |x| x * 2.0 + 1.0,
            |x| x.clone().unless_zero(&x, 4.0),
        ];
        for (i, operation) in one.iter().enumerate() {
            for x in all {
                let (here, there) = (value(operation(x.into())), value(operation(device(x))));
                assert!(
                    same(here, there),
                    "operation {i} of {x}: {here} and {there}"
                );
            }
        }
        let two: [fn(Number, Number) -> Number; 3] = [|a, b| a + b, |a, b| a * b, Number::max];
        for (i, operation) in two.iter().enumerate() {
            for a in all {
                for b in all {
                    let here = value(operation(a.into(), b.into()));
                    for (x, y) in [
                        (device(a), device(b)),
                        (device(a), b.into()),
                        (a.into(), device(b)),
                    ] {
                        let there = value(operation(x, y));
                        let beside_nan = i == 2 && (a.is_nan() || b.is_nan());
                        assert!(
                            beside_nan || same(here, there),
                            "{i} of {a} and {b}: {here}, {there}"
                        );
                    }
                }
            }
        }
    }
}
