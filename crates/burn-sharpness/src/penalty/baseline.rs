//! The gradients at θ that differences are taken from.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn_penalty::passes::{Evaluated, check_repeated, gradients_at, training_flags};
use burn_penalty::{PenaltyError, Randomness};

use crate::error::SharpnessError;

/// Whether the gradients that a penalty is given can stand beside those of its own passes.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    seen: Option<Seen>,
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
    pub fn is_given<M: Module, E: Evaluated<M>>(
        &mut self,
        module: &M,
        randomness: &Randomness,
        loss: &mut impl FnMut(&M) -> E,
        given: &GradientsParams,
    ) -> Result<bool, SharpnessError> {
        let flags = training_flags(module);
        if let Some(seen) = &self.seen
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
            self.seen = Some(Seen { flags, given });
        }
        Ok(given)
    }
}
