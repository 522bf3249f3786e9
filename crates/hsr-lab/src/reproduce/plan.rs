//! What an experiment is: how much is done, what was chosen, what it costs, and the work.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::{Context, Shared, settings_json};
use super::finding::Finding;
use crate::error::LabError;

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// As much as the claims deserve: up to three hours on two cores.
    Full,
    /// Fewer seeds and epochs: everything in less than 20 minutes.
    Quick,
    /// As little as still goes through every line, for tests: the numbers mean nothing.
    Tiny,
}

impl Extent {
    /// One of three values.
    pub(super) fn pick<T>(self, full: T, quick: T, tiny: T) -> T {
        match self {
            Extent::Full => full,
            Extent::Quick => quick,
            Extent::Tiny => tiny,
        }
    }
}

/// What an experiment does.
type Work = Box<dyn Fn(&Context) -> Result<Finding, LabError>>;

/// An experiment made ready.
pub(super) struct Plan {
    /// Everything that was chosen.
    pub settings: Value,
    /// Expected seconds on two cores, without what is shared.
    pub cost: f64,
    /// Work whose results other experiments use as well.
    pub shared: Vec<Shared>,
    pub work: Work,
}

impl Plan {
    pub fn new<S: Serialize + 'static>(
        settings: S,
        cost: f64,
        work: impl Fn(&S, &Context) -> Result<Finding, LabError> + 'static,
    ) -> Self {
        Self {
            settings: settings_json(&settings),
            cost,
            shared: Vec::new(),
            work: Box::new(move |context| work(&settings, context)),
        }
    }

    /// The same with work that other experiments use as well.
    pub fn sharing(mut self, shared: Shared) -> Self {
        self.shared.push(shared);
        self
    }
}
