//! Vectors over the parameters of a group, and formulas of their components.
//!
//! Where the parameters are in the host's memory a vector is numbers, and a formula is one loop; elsewhere it is tensors,
//! and a formula is their operations. A formula is written once ([`Formula`]).

mod formula;
mod lanes;
mod values;

use std::borrow::Cow;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use rand::Rng;

pub(crate) use self::formula::{
    Difference, Element, Formula, Moved, Product, Scaled, ScaledProduct, TwiceScaled,
};
use self::lanes::{largest, over, sum};
use self::values::Values;
use crate::error::PenaltyError;
use crate::group::Group;
use crate::number::Number;
use crate::probe::random_signs;
use crate::tensors::{in_precision, together, wide};

/// A vector over the parameters of a group, in at least single precision. A parameter that it does not have counts as
/// zero beside vectors that have it.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    parts: Vec<Part>,
}

/// A parameter's part.
#[derive(Clone, Debug)]
struct Part {
    id: ParamId,
    shape: Shape,
    /// The parameter's own precision.
    dtype: DType,
    values: Option<Values>,
}

impl Vector {
    /// A vector whose parts are made from the trained parameters, or the group's among them, in the module's order.
    fn new<M: Module>(module: &M, group: Option<&Group>, make: &mut impl Make) -> Self {
        struct Visit<'a, F> {
            group: Option<&'a Group>,
            make: &'a mut F,
            parts: Vec<Part>,
        }
        impl<F: Make> ModuleVisitor for Visit<'_, F> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let in_group = self.group.is_none_or(|group| group.has(param.id));
                if in_group && param.is_require_grad() {
                    let tensor = param.val().inner();
                    self.parts.push(Part {
                        id: param.id,
                        shape: tensor.shape(),
                        dtype: tensor.dtype(),
                        values: self.make.make(param.id, tensor),
                    });
                }
            }
        }
        let mut visit = Visit {
            group,
            make,
            parts: Vec::new(),
        };
        module.visit(&mut visit);
        Self { parts: visit.parts }
    }

    /// θ.
    pub fn parameters<M: Module>(module: &M, group: Option<&Group>) -> Self {
        struct Own;
        impl Make for Own {
            fn make<const D: usize>(&mut self, _: ParamId, parameter: Tensor<D>) -> Option<Values> {
                Some(Values::beside(&parameter.clone(), parameter))
            }
        }
        Self::new(module, group, &mut Own)
    }

    /// The part of gradients that is of the trained parameters, or of the group's among them.
    pub fn gradients<M: Module>(
        module: &M,
        group: Option<&Group>,
        gradients: &GradientsParams,
    ) -> Self {
        struct Get<'a>(&'a GradientsParams);
        impl Make for Get<'_> {
            fn make<const D: usize>(&mut self, id: ParamId, own: Tensor<D>) -> Option<Values> {
                let part = self.0.get::<D>(id)?;
                Some(Values::beside(&own, part))
            }
        }
        Self::new(module, group, &mut Get(gradients))
    }

    /// The part of gradients that is of the parameters of this vector.
    pub fn beside<M: Module>(&self, module: &M, gradients: &GradientsParams) -> Self {
        let mut vector = Self::gradients(module, None, gradients);
        let mut own = self.parts.iter().peekable();
        // Both are in the module's order.
        vector
            .parts
            .retain(|part| own.next_if(|own| own.id == part.id).is_some());
        vector
    }

    /// The same of gradients that nobody else needs: their memory becomes the vector's.
    pub fn taken<M: Module>(module: &M, group: &Group, gradients: GradientsParams) -> Self {
        struct Remove(GradientsParams);
        impl Make for Remove {
            fn make<const D: usize>(&mut self, id: ParamId, own: Tensor<D>) -> Option<Values> {
                let part = self.0.remove::<D>(id)?;
                Some(Values::beside(&own, part))
            }
        }
        Self::new(module, Some(group), &mut Remove(gradients))
    }

    /// As tensors of the parameters' shapes, at least in single precision.
    pub fn into_gradients<M: Module>(self, module: &M) -> GradientsParams {
        struct Give {
            parts: std::vec::IntoIter<Part>,
            next: Option<Part>,
            out: GradientsParams,
        }
        impl ModuleVisitor for Give {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(part) = self.next.take_if(|part| part.id == param.id) {
                    self.next = self.parts.next();
                    if let Some(values) = part.values {
                        let tensor = values.into_tensor(part.shape, &param.val().device());
                        self.out.register::<D>(param.id, tensor);
                    }
                }
            }
        }
        let mut parts = self.parts.into_iter();
        let mut give = Give {
            next: parts.next(),
            parts,
            out: GradientsParams::new(),
        };
        module.visit(&mut give);
        give.out
    }

    /// The formula, component by component.
    pub fn map<const K: usize, const N: usize, F: Formula<K, N>>(
        _: F,
        numbers: [&Number; K],
        vectors: [&Self; N],
    ) -> Self {
        let parts = vectors[0].parts.iter().enumerate().map(|(i, first)| Part {
            id: first.id,
            shape: first.shape.clone(),
            dtype: first.dtype,
            values: match Parts::at(i, vectors) {
                Parts::None => None,
                Parts::Single(parts) => {
                    let numbers = numbers.map(Number::single);
                    Some(Values::Single(over(&parts, |x| F::at(numbers, x))))
                }
                Parts::Double(parts) => {
                    let numbers = numbers.map(Number::double);
                    Some(Values::Double(over(&parts, |x| F::at(numbers, x))))
                }
                Parts::Device(parts) => {
                    Some(Values::Device(F::at(numbers.map(Number::clone), parts)))
                }
            },
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// The sum of the formula over the components: in double precision in the host's memory, else on the device of the
    /// first part.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::NoParameters`] where no vector has a part.
    pub fn sum<const K: usize, const N: usize, F: Formula<K, N>>(
        _: F,
        numbers: [&Number; K],
        vectors: [&Self; N],
    ) -> Result<Number, PenaltyError> {
        let parts = (0..vectors[0].parts.len()).filter_map(|i| match Parts::at(i, vectors) {
            Parts::None => None,
            Parts::Single(parts) => {
                let numbers = numbers.map(Number::single);
                Some(sum(&parts, |x| F::at::<f32>(numbers, x)).into())
            }
            Parts::Double(parts) => {
                let numbers = numbers.map(Number::double);
                Some(sum(&parts, |x| F::at::<f64>(numbers, x)).into())
            }
            Parts::Device(parts) => {
                let components: Tensor<1> = F::at(numbers.map(Number::clone), parts);
                Some(Number::Device(Box::new(components.sum())))
            }
        });
        join(parts.collect(), |a, b| a + b, Tensor::sum)
    }

    /// ‖a‖_∞, NaN where a component is.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn largest(&self) -> Result<Number, PenaltyError> {
        // In bits, of which those of NaN are above those of infinity: a maximum of numbers would have to look for it.
        let parts = self.parts.iter().filter_map(|part| match &part.values {
            None => None,
            Some(Values::Single(values)) => {
                let bits = largest(values, |x| x.abs().to_bits().cast_signed());
                Some(f64::from(f32::from_bits(bits.cast_unsigned())).into())
            }
            Some(Values::Double(values)) => {
                let bits = largest(values, |x| x.abs().to_bits().cast_signed());
                Some(f64::from_bits(bits.cast_unsigned()).into())
            }
            Some(Values::Device(tensor)) => {
                Some(Number::Device(Box::new(tensor.clone().max_abs())))
            }
        });
        join(
            parts.collect(),
            |a, b| if a > b || a.is_nan() { a } else { b },
            Tensor::max,
        )
    }

    /// The mean of the components, each over their count before they are added up: finite where all of them are.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn mean(&self) -> Result<Number, PenaltyError> {
        let count: usize = self
            .parts
            .iter()
            .map(|part| part.shape.num_elements())
            .sum();
        Self::sum(Scaled, [&(1.0 / count as f64).into()], [self])
    }

    /// a·b.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn dot(&self, other: &Self) -> Result<Number, PenaltyError> {
        Self::sum(Product, [], [self, other])
    }

    /// ‖a‖. Squares are taken of a vector whose largest component is 1: those of small ones would be zero.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn norm(&self) -> Result<Number, PenaltyError> {
        let (largest, _, length) = self.length()?;
        Ok(largest * length)
    }

    /// ‖a‖_∞, 1 over it, and ‖a‖/‖a‖_∞.
    fn length(&self) -> Result<(Number, Number, Number), PenaltyError> {
        let largest = self.largest()?;
        let over = match &largest {
            // Beyond the components' own precision, where they are in single: nothing is smaller.
            Number::Here(largest)
                if *largest < f64::from(f32::MIN_POSITIVE) && self.is_single() =>
            {
                Number::Here(1.0)
            }
            largest => largest.clone().reciprocal(),
        };
        let square = Self::sum(ScaledProduct, [&over, &over], [self, self])?;
        Ok((largest, over, square.sqrt()))
    }

    /// ‖a‖ and a/‖a‖, which is zero where a is.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn polar(&self) -> Result<(Number, Self), PenaltyError> {
        let (largest, over, length) = self.length()?;
        let direction = Self::map(TwiceScaled, [&over, &length.clone().reciprocal()], [self]);
        Ok((largest * length, direction))
    }

    fn is_single(&self) -> bool {
        let single = |part: &Part| matches!(part.values, Some(Values::Single(_)));
        self.parts.iter().any(single)
    }

    /// The same, rounded to the parameters' own precision.
    pub fn rounded(mut self) -> Self {
        for part in &mut self.parts {
            if let Some(Values::Device(tensor)) = part.values.take_if(|it| it.is_tensor()) {
                part.values = Some(Values::Device(wide(in_precision(tensor, part.dtype))));
            }
        }
        self
    }

    /// The running mean m of vectors after this one: decay·m + (1 − decay)·self. A component that is not finite here, or a part
    /// that is not here, stays as it was.
    pub fn averaged(&self, before: Option<&Self>, decay: f64) -> Self {
        let parts = self.parts.iter().enumerate().map(|(i, part)| {
            let before = before.and_then(|before| before.parts[i].values.as_ref());
            Part {
                values: match &part.values {
                    None => before.cloned(),
                    Some(values) => Some(values.averaged(before, decay)),
                },
                ..part.clone()
            }
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// Whether both are over the same parameters.
    pub fn is_of(&self, other: &Self) -> bool {
        let of = |part: &Part| (part.id, part.shape.clone());
        self.parts.iter().map(of).eq(other.parts.iter().map(of))
    }

    /// The components, part by part; a part that is not there is empty. Reads the device.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn numbers(&self, what: &'static str) -> Result<Vec<Vec<f64>>, PenaltyError> {
        let of_part = |part: &Part| match &part.values {
            None => Ok(Vec::new()),
            Some(Values::Single(values)) => Ok(values.iter().map(|&v| f64::from(v)).collect()),
            Some(Values::Double(values)) => Ok(values.clone()),
            Some(Values::Device(tensor)) => {
                let values = tensor.clone().try_into_vec_as::<f64>();
                values.map_err(|error| PenaltyError::Read {
                    what,
                    message: error.to_string(),
                })
            }
        };
        self.parts.iter().map(of_part).collect()
    }

    /// A vector like this one of these components; none where their counts are others.
    pub fn with_numbers(&self, numbers: &[Vec<f64>]) -> Option<Self> {
        if numbers.len() != self.parts.len() {
            return None;
        }
        let of_part = |(part, numbers): (&Part, &Vec<f64>)| {
            let values = match &part.values {
                _ if numbers.is_empty() => {
                    return Some(Part {
                        values: None,
                        ..part.clone()
                    });
                }
                None => return Some(part.clone()),
                Some(_) if numbers.len() != part.shape.num_elements() => return None,
                Some(Values::Single(_)) => {
                    Values::Single(numbers.iter().map(|&v| v as f32).collect())
                }
                Some(Values::Double(_)) => Values::Double(numbers.clone()),
                Some(Values::Device(tensor)) => {
                    let data = TensorData::new(numbers.clone(), [numbers.len()]);
                    let at: (&Device, DType) = (&tensor.device(), tensor.dtype());
                    Values::Device(Tensor::from_data(data, at))
                }
            };
            Some(Part {
                values: Some(values),
                ..part.clone()
            })
        };
        let parts = self.parts.iter().zip(numbers).map(of_part);
        Some(Self {
            parts: parts.collect::<Option<_>>()?,
        })
    }

    /// Random signs, +1 or −1 with probability ½ each, times `length`. Drawn on the host, so that every device gets the
    /// same ones.
    pub fn signs<M: Module>(
        module: &M,
        group: Option<&Group>,
        length: f64,
        generator: &mut impl Rng,
    ) -> Self {
        struct Draw<'a, R>(f64, &'a mut R);
        impl<R: Rng> Make for Draw<'_, R> {
            fn make<const D: usize>(&mut self, _: ParamId, parameter: Tensor<D>) -> Option<Values> {
                let Self(length, generator) = self;
                let (count, device) = (parameter.shape().num_elements(), parameter.device());
                let values = match parameter.dtype() {
                    DType::F64 => {
                        Values::Double(random_signs(count, [-*length, *length], generator))
                    }
                    _ => {
                        let length = *length as f32;
                        Values::Single(random_signs(count, [-length, length], generator))
                    }
                };
                Some(if Values::are_here(&parameter) {
                    values
                } else {
                    Values::Device(values.into_tensor(Shape::new([count]), &device))
                })
            }
        }
        Self::new(module, group, &mut Draw(length, generator))
    }

    /// Whether it has all parts of another vector, of the same parameters.
    pub fn fits(&self, other: &Self) -> bool {
        let of = |part: &Part| {
            let kind = part.values.as_ref().map(core::mem::discriminant);
            (part.id, part.shape.clone(), kind)
        };
        self.parts.iter().map(of).eq(other.parts.iter().map(of))
    }
}

/// Makes a part beside a parameter.
trait Make {
    fn make<const D: usize>(&mut self, id: ParamId, parameter: Tensor<D>) -> Option<Values>;
}

/// The parts of N vectors that are one parameter's.
enum Parts<'a, const N: usize> {
    None,
    Single([Cow<'a, [f32]>; N]),
    Double([Cow<'a, [f64]>; N]),
    Device([Tensor<1>; N]),
}

impl<'a, const N: usize> Parts<'a, N> {
    /// The i-th parts; zero where only others are there.
    fn at(i: usize, vectors: [&'a Vector; N]) -> Self {
        let parts = vectors.map(|vector| vector.parts[i].values.as_ref());
        let Some(known) = parts.into_iter().flatten().next() else {
            return Self::None;
        };
        let count = vectors[0].parts[i].shape.num_elements();
        match known {
            Values::Single(_) => Self::Single(parts.map(|part| match part {
                Some(Values::Single(values)) => Cow::Borrowed(&values[..]),
                _ => Cow::Owned(vec![0.0; count]),
            })),
            Values::Double(_) => Self::Double(parts.map(|part| match part {
                Some(Values::Double(values)) => Cow::Borrowed(&values[..]),
                _ => Cow::Owned(vec![0.0; count]),
            })),
            Values::Device(known) => Self::Device(parts.map(|part| match part {
                Some(Values::Device(tensor)) => tensor.clone(),
                _ => known.zeros_like(),
            })),
        }
    }
}

/// The numbers of several parts as one.
fn join(
    parts: Vec<Number>,
    here: impl Fn(f64, f64) -> f64,
    there: impl FnOnce(Tensor<1>) -> Tensor<1>,
) -> Result<Number, PenaltyError> {
    let on_device = parts.iter().find_map(|part| match part {
        Number::Here(_) => None,
        Number::Device(tensor) => Some((tensor.device(), tensor.dtype())),
    });
    let Some((device, dtype)) = on_device else {
        let numbers = parts.into_iter().map(|part| part.double());
        let joined = numbers.reduce(here).ok_or(PenaltyError::NoParameters)?;
        return Ok(joined.into());
    };
    let parts = parts.into_iter().map(|part| match part {
        Number::Here(_) => part.on(&device, dtype),
        Number::Device(tensor) => *tensor,
    });
    let parts = together(parts.collect()).ok_or(PenaltyError::NoParameters)?;
    Ok(Number::Device(Box::new(there(parts))))
}
