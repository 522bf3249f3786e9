//! Moving averages of t̂ and q̂, the weights they give, and what they say.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::Objective;
use crate::PenaltyError;
use crate::algebra::reciprocal;
use crate::precision::{in_precision, placed};

/// Moving averages, and how many estimates are in them.
#[derive(Clone, Debug)]
pub(super) struct Averages {
    /// t̂, t̂², ‖u‖ and ‖u‖² = q̂, not yet corrected for their start: what the spread needs without q̂², which overflows
    /// first.
    pub numbers: Numbers,
    pub updates: u64,
}

/// Where the averages are.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub(super) enum Numbers {
    /// On the device, \[4\].
    Device(Tensor<1>),
    /// Here, from a record, until a step says on which device the module is.
    Recorded {
        values: [f64; 4],
        /// Whether they were in double precision.
        double: bool,
    },
}

impl Numbers {
    /// On a device, \[4\], in the precision that they have.
    pub fn on(&self, device: &Device) -> Tensor<1> {
        match self {
            Self::Device(numbers) => placed(numbers.clone(), device, numbers.dtype()),
            Self::Recorded { values, double } => {
                let dtype = if *double { DType::F64 } else { DType::F32 };
                Tensor::from_data(TensorData::new(values.to_vec(), [4]), (device, dtype))
            }
        }
    }

    /// Their values; reads the device.
    pub fn read(&self) -> Result<[f64; 4], PenaltyError> {
        let message = match self {
            Self::Recorded { values, .. } => return Ok(*values),
            Self::Device(numbers) => match numbers.clone().try_into_vec_as::<f64>() {
                Ok(values) => match values.try_into() {
                    Ok(values) => return Ok(values),
                    Err(values) => format!("{values:?} are not four"),
                },
                Err(error) => error.to_string(),
            },
        };
        Err(PenaltyError::Read {
            what: "the moving averages",
            message,
        })
    }

    /// Whether they are in double precision.
    pub fn double(&self) -> bool {
        match self {
            Self::Device(numbers) => numbers.dtype() == DType::F64,
            Self::Recorded { double, .. } => *double,
        }
    }
}

/// t and q, \[1\] each.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub trace: Tensor<1>,
    pub square: Tensor<1>,
}

impl Moments {
    /// A sum with `share` of those of one more probe in it.
    pub fn sum(sum: Option<Self>, one: Self, share: f64) -> Self {
        let (trace, square) = (one.trace * share, one.square * share);
        match sum {
            None => Self { trace, square },
            Some(sum) => Self {
                trace: sum.trace + trace,
                square: sum.square + square,
            },
        }
    }
}

/// ∂λ/∂t and ∂λ/∂q, \[1\] each.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub trace: Tensor<1>,
    pub square: Tensor<1>,
}

impl Averages {
    /// With one more estimate, the mean over this step's probes.
    pub fn updated(before: Option<&Self>, decay: f64, moments: &Moments) -> Self {
        let length = moments.square.clone().sqrt();
        let numbers = Tensor::cat(
            vec![
                moments.trace.clone(),
                moments.trace.clone().square(),
                length,
                moments.square.clone(),
            ],
            0,
        ) * (1.0 - decay);
        let (numbers, before) = match before {
            None => (numbers, 0),
            Some(before) => {
                let old = in_precision(before.numbers.on(&numbers.device()), numbers.dtype());
                (old * decay + numbers, before.updates)
            }
        };
        Self {
            numbers: Numbers::Device(numbers),
            updates: before + 1,
        }
    }

    /// 1 − βⁿ.
    fn weight(&self, decay: f64) -> f64 {
        1.0 - decay.powf(self.updates as f64)
    }

    /// t and q, corrected for the start, on a device.
    pub fn moments(&self, decay: f64, device: &Device) -> Moments {
        let numbers = self.numbers.on(device) * (1.0 / self.weight(decay));
        Moments {
            trace: numbers.clone().narrow(0, 0, 1),
            square: numbers.narrow(0, 3, 1),
        }
    }

    /// What they say; reads the device.
    pub fn read(&self, decay: f64, size: usize) -> Result<Curvature, PenaltyError> {
        let numbers = self.numbers.read()?;
        let [trace, trace_square, length, square] = numbers.map(|v| v / self.weight(decay));
        let deviation = |square: f64, mean: f64| (square - mean * mean).max(0.0).sqrt();
        let size = size as f64;
        let mean = trace / size;
        let spread = (square / size - mean * mean).max(0.0).sqrt();
        Ok(Curvature {
            lambda_sup: Some(mean + spread * (size - 1.0).sqrt()),
            lambda_max: None,
            trace,
            trace_deviation: deviation(trace_square, trace),
            frobenius: square.sqrt(),
            frobenius_deviation: deviation(square, length),
            steps: self.updates,
        })
    }
}

impl Weights {
    /// Those of the objective at t and q, for D parameters. Where all eigenvalues are equal, s = 0, λ_sup is their mean.
    pub fn of(objective: Objective, moments: &Moments, size: usize) -> Self {
        let size = size as f64;
        let zero = || moments.trace.zeros_like();
        match objective {
            Objective::LambdaSup => {
                let mean = moments.trace.clone() * (1.0 / size);
                let variance = moments.square.clone() * (1.0 / size) - mean.clone().square();
                let spread = variance.clamp_min(0.0).sqrt();
                let none = spread.clone().equal_elem(0.0);
                let slope = reciprocal(spread).mask_fill(none, 0.0) * ((size - 1.0).sqrt() / size);
                Self {
                    trace: (mean * slope.clone()).neg() + 1.0 / size,
                    square: slope * 0.5,
                }
            }
            Objective::Frobenius => {
                let none = moments.square.clone().equal_elem(0.0);
                let inverse = reciprocal(moments.square.clone().sqrt()).mask_fill(none, 0.0);
                Self {
                    trace: zero(),
                    square: inverse * 0.5,
                }
            }
            Objective::Trace | Objective::LambdaMax => Self {
                trace: zero() + 1.0,
                square: zero(),
            },
        }
    }
}

/// What the moving averages say of the curvature: of the batches of the last steps, at no pass of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curvature {
    /// λ̂_sup = m̂ + ŝ√(D − 1). It underestimates a little, because it is concave in q̂. None where the objective is λ_max.
    pub lambda_sup: Option<f64>,
    /// eᵀHe of the power iteration, where the objective is λ_max.
    pub lambda_max: Option<f64>,
    /// tr H; of the iteration's vector alone, eᵀHe, where the objective is λ_max.
    pub trace: f64,
    /// The standard deviation of one step's estimate of it.
    pub trace_deviation: f64,
    /// ‖H‖ = √q; ‖He‖ where the objective is λ_max.
    pub frobenius: f64,
    /// The standard deviation of one step's estimate √q̂.
    pub frobenius_deviation: f64,
    /// The estimates that are in the averages.
    pub steps: u64,
}
