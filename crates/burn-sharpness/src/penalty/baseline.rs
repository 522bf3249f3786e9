//! The gradients at θ that differences are taken from.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_penalty::passes::{check_repeated, gradients_at, training_flags};
use burn_penalty::{PenaltyError, Randomness};

use crate::error::SharpnessError;

/// Whether the gradients that a penalty is given can stand beside those of its own passes.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    seen: Mutex<Option<Seen>>,
}

impl Clone for Baseline {
    fn clone(&self) -> Self {
        Self {
            seen: Mutex::new(self.seen()),
        }
    }
}

/// What was found, and under which training flags.
#[derive(Clone, Debug)]
struct Seen {
    flags: Vec<bool>,
    given: bool,
}

impl Baseline {
    /// Whether the given gradients are those that a pass of the penalty's own gives, by one or two such passes at the
    /// first step and where a training flag has changed.
    pub fn is_given<M: Module>(
        &self,
        module: &M,
        randomness: &Randomness,
        loss: &mut impl FnMut(&M) -> Tensor<1>,
        given: &GradientsParams,
    ) -> Result<bool, SharpnessError> {
        let flags = training_flags(module);
        if let Some(seen) = self.seen()
            && seen.flags == flags
        {
            return Ok(seen.given);
        }
        let mut pass = || gradients_at(module, GradientsParams::new(), randomness, loss);
        let own = pass()?;
        let (seen, given) = match check_repeated(module, &own, given) {
            Ok(seen) => (seen, true),
            Err(PenaltyError::NotRepeatable { .. }) => {
                (check_repeated(module, &own, &pass()?)?, false)
            }
            Err(error) => return Err(error.into()),
        };
        if seen {
            let mut lock = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            *lock = Some(Seen { flags, given });
        }
        Ok(given)
    }

    fn seen(&self) -> Option<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}
