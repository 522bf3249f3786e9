//! What stochastic HSR must remember to go on where it was.

use burn::module::Module;
use burn::optim::OptimizerRecord;
use serde::{Deserialize, Serialize};

use super::estimate::{Averages, Numbers};
use super::state::State;
use crate::error::PenaltyError;
use crate::files::RecordError;
use crate::mean::MeanGradient;
use crate::values::{self, ParameterValues};

/// The state of a [`StochasticHsrGradient`](super::StochasticHsrGradient), to be saved beside the model's and the
/// optimizer's records. With it and the same configuration a resumed run takes the very steps that an uninterrupted one
/// would have taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StochasticHsrGradientRecord {
    /// Steps taken: what the schedule, the probes and the dropout masks depend on.
    pub steps: u64,
    /// The estimates in the moving averages.
    pub updates: u64,
    /// The number of parameters D that they are of.
    pub size: usize,
    /// The moving averages of t̂, t̂², √q̂ and q̂; none before the first.
    pub averages: Option<[f64; 4]>,
    /// The vector of λ_max's iteration.
    pub direction: Option<Vec<ParameterValues>>,
    /// The running mean of the loss's gradient, where the strength is [projected](crate::Strength::Projected).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<Vec<f64>>>,
}

crate::record_files!(
    StochasticHsrGradientRecord,
    "the record of a stochastic regulariser"
);

/// The state of a [`StochasticHsr`](super::StochasticHsr), to be saved beside the model's record: of the method and of its optimizer. With it
/// and the same configuration a resumed run takes the very steps that an uninterrupted one would have taken.
#[derive(Debug)]
pub struct StochasticHsrRecord {
    /// Of the method.
    pub gradient: StochasticHsrGradientRecord,
    /// Of the optimizer.
    pub optimizer: OptimizerRecord,
}

crate::record_files!(StochasticHsrRecord, with an optimizer, "the record of a stochastic regulariser");

pub(super) fn of<M: Module>(
    steps: u64,
    state: &State,
    module: &M,
) -> Result<StochasticHsrGradientRecord, PenaltyError> {
    let mut record = StochasticHsrGradientRecord {
        steps,
        size: state.size,
        direction: state.recorded.clone(),
        mean: state.mean.to_record()?,
        ..StochasticHsrGradientRecord::default()
    };
    if let Some(averages) = &state.averages {
        record.updates = averages.updates;
        record.averages = Some(averages.numbers.read()?);
    }
    if let Some(direction) = &state.direction {
        let direction = direction.clone().into_gradients(module);
        let what = "the vector of the power iteration";
        record.direction = Some(values::read(module, &direction, what)?);
    }
    Ok(record)
}

pub(super) fn state(record: StochasticHsrGradientRecord) -> State {
    let averages = record.averages.map(|values| Averages {
        numbers: Numbers::Here(values),
        updates: record.updates,
    });
    State {
        averages,
        size: record.size,
        direction: None,
        recorded: record.direction,
        mean: MeanGradient::from_record(record.mean),
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};

    use super::{StochasticHsrGradientRecord, of, state};
    use crate::StochasticHsrConfig;

    fn step(hsr: &mut crate::StochasticHsrGradient, layer: &Linear) {
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [0.5, -1.0]], &layer.weight.device());
        let passes = hsr.loss_gradients(layer, |layer| {
            layer.forward(x.clone()).powi_scalar(4).mean()
        });
        assert!(passes.unwrap().not_finite.is_none());
    }

    #[test]
    fn a_record_goes_on_where_it_was_taken() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 2).init(&device);
        let config = StochasticHsrConfig::new();
        let mut hsr = config.init_gradient().unwrap();
        step(&mut hsr, &layer);
        let record = hsr.to_record(&layer).unwrap();
        let loaded = state(record.clone());
        // What is loaded can be saved and read before it is anywhere.
        assert_eq!(of(record.steps, &loaded, &layer).unwrap(), record);
        let mut resumed = config.init_gradient().unwrap().load_record(record.clone());
        assert_eq!(resumed.curvature().unwrap(), hsr.curvature().unwrap());
        step(&mut resumed, &layer);
        step(&mut hsr, &layer);
        let after = |hsr: &crate::StochasticHsrGradient| -> StochasticHsrGradientRecord {
            hsr.to_record(&layer).unwrap()
        };
        assert_eq!(after(&resumed), after(&hsr));
        assert_ne!(after(&resumed), record);
    }
}
