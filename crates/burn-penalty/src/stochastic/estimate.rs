//! Moving averages of t̂ and q̂, the weights they give, and what they say.

use core::array::from_fn;

use burn::tensor::Tensor;

use super::config::Objective;
use crate::error::PenaltyError;
use crate::number::Number;
use crate::tensors::{placed, together};

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
pub(super) enum Numbers {
    /// Of parameters in the host's memory, or from a record, until a step says on which device the module is.
    Here([f64; 4]),
    /// On the device, \[4\].
    Device(Box<Tensor<1>>),
}

impl Numbers {
    /// Where a number is.
    fn beside(&self, number: &Number) -> Result<Self, PenaltyError> {
        Ok(match number {
            Number::Here(_) => Self::Here(self.read()?),
            Number::Device(tensor) => {
                let (device, dtype) = (tensor.device(), tensor.dtype());
                Self::Device(Box::new(match self {
                    Self::Here(values) => Tensor::from_data(*values, (&device, dtype)),
                    Self::Device(numbers) => placed(*numbers.clone(), &device, dtype),
                }))
            }
        })
    }

    /// Their values; reads the device.
    pub fn read(&self) -> Result<[f64; 4], PenaltyError> {
        let message = match self {
            Self::Here(values) => return Ok(*values),
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
}

/// t and q.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub trace: Number,
    pub square: Number,
}

impl Moments {
    /// m = t/D and s of the eigenvalues, s² = q/D − m².
    fn mean_and_spread(self, size: f64) -> (Number, Number) {
        let mean = self.trace * (1.0 / size);
        let variance = self.square * (1.0 / size) + mean.clone().square() * -1.0;
        (mean, variance.at_least(0.0).sqrt())
    }

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

/// ∂λ/∂t and ∂λ/∂q.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub trace: Number,
    pub square: Number,
}

impl Averages {
    /// With one more estimate, the mean over this step's probes.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the module came from a device that cannot be read.
    pub fn updated(
        before: Option<&Self>,
        decay: f64,
        moments: Moments,
    ) -> Result<Self, PenaltyError> {
        let Moments { trace, square } = moments;
        let before = match before {
            None => None,
            Some(before) => Some((before.numbers.beside(&square)?, before.updates)),
        };
        let new = [trace.clone(), trace.square(), square.clone().sqrt(), square];
        let numbers = match new {
            [
                Number::Here(a),
                Number::Here(b),
                Number::Here(c),
                Number::Here(d),
            ] => {
                let old = match &before {
                    Some((Numbers::Here(old), _)) => *old,
                    _ => [0.0; 4],
                };
                let new = [a, b, c, d];
                Numbers::Here(from_fn(|i| old[i] * decay + new[i] * (1.0 - decay)))
            }
            new => {
                let new = together(new.into_iter().filter_map(Number::into_device).collect());
                let new = new.ok_or(PenaltyError::NoParameters)? * (1.0 - decay);
                Numbers::Device(Box::new(match &before {
                    Some((Numbers::Device(old), _)) => *old.clone() * decay + new,
                    _ => new,
                }))
            }
        };
        Ok(Self {
            numbers,
            updates: before.map_or(0, |(_, updates)| updates) + 1,
        })
    }

    /// 1 − βⁿ.
    fn weight(&self, decay: f64) -> f64 {
        1.0 - decay.powf(self.updates as f64)
    }

    /// t and q, corrected for the start, where a number is.
    ///
    /// # Errors
    ///
    /// As [`updated`](Self::updated).
    pub fn moments(&self, decay: f64, beside: &Number) -> Result<Moments, PenaltyError> {
        let weight = self.weight(decay);
        Ok(match self.numbers.beside(beside)? {
            Numbers::Here([trace, _, _, square]) => Moments {
                trace: (trace / weight).into(),
                square: (square / weight).into(),
            },
            Numbers::Device(numbers) => {
                let numbers = *numbers * (1.0 / weight);
                let at = |i| Number::Device(Box::new(numbers.clone().narrow(0, i, 1)));
                Moments {
                    trace: at(0),
                    square: at(3),
                }
            }
        })
    }

    /// What they say; reads the device.
    pub fn read(&self, decay: f64, size: usize) -> Result<Curvature, PenaltyError> {
        let numbers = self.numbers.read()?;
        let [trace, trace_square, length, square] = numbers.map(|v| v / self.weight(decay));
        let deviation = |square: f64, mean: f64| (square - mean * mean).max(0.0).sqrt();
        let moments = Moments {
            trace: trace.into(),
            square: square.into(),
        };
        let (mean, spread) = moments.mean_and_spread(size as f64);
        let lambda_sup = mean + spread * (size as f64 - 1.0).sqrt();
        Ok(Curvature {
            lambda_sup: Some(lambda_sup.double()),
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
    pub fn of(objective: Objective, moments: Moments, size: usize) -> Self {
        let size = size as f64;
        if objective == Objective::LambdaSup {
            let (mean, spread) = moments.mean_and_spread(size);
            let slope = spread.clone().reciprocal().unless_zero(&spread, 0.0)
                * ((size - 1.0).sqrt() / size);
            return Self {
                trace: mean * slope.clone() * -1.0 + 1.0 / size,
                square: slope * 0.5,
            };
        }
        let Moments { trace, square } = moments;
        match objective {
            Objective::Frobenius => {
                let inverse = square.clone().sqrt().reciprocal();
                Self {
                    trace: trace * 0.0,
                    square: inverse.unless_zero(&square, 0.0) * 0.5,
                }
            }
            Objective::LambdaSup | Objective::Trace | Objective::LambdaMax => Self {
                trace: trace * 0.0 + 1.0,
                square: square * 0.0,
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
