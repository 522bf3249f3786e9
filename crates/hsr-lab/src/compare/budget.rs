//! How much each method may compute.

use crate::named::named;

named! {
/// What the methods of a comparison have the same number of.
#[derive(Default)]
pub enum Budget {
    /// Epochs, whatever a step costs.
    #[default]
    Epochs = "epochs",
    /// Forward and backward passes: a method whose step takes two has half the epochs of plain training. What the closed
    /// form computes counts as the passes that take as many multiply-adds.
    Passes = "passes",
}
}

impl Budget {
    /// Whether it is that of [`Budget::Epochs`].
    pub(super) fn is_epochs(&self) -> bool {
        *self == Budget::Epochs
    }

    /// The epochs of a method whose step costs `passes` of plain training's, which has `epochs`; at least one.
    pub(super) fn epochs(self, epochs: usize, passes: f64) -> usize {
        match self {
            Budget::Epochs => epochs,
            Budget::Passes => ((epochs as f64 / passes).round() as usize).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn dear_steps_leave_fewer_epochs() {
        assert_eq!(Budget::Epochs.epochs(100, 2.0), 100);
        assert_eq!(Budget::Passes.epochs(100, 2.0), 50);
        assert_eq!(Budget::Passes.epochs(100, 1.75), 57);
        assert_eq!(Budget::Passes.epochs(3, 10.0), 1);
    }
}
