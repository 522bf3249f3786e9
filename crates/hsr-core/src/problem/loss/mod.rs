//! The losses, one a file. To add one: its file, a variant of [`OutputLoss`], a line in `every_loss`.

mod definition;
pub(crate) mod rows;
mod sigmoid;
mod softmax;
mod squared;

use crate::error::Error;
use crate::numeric::scalar::Scalar;
use definition::Loss;
use rows::Residuals;
use sigmoid::Sigmoid;
use softmax::Softmax;
use squared::Squared;

/// The loss ℓ(o, y) of a sample ([theory](crate::theory) §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum OutputLoss {
    /// Softmax cross-entropy −Σ_k y_k log p_k, labels hard or soft.
    SoftmaxCrossEntropy,
    /// Sigmoid (binary) cross-entropy with logits, the mean over the K outputs.
    SigmoidCrossEntropy,
    /// Squared error, the mean over the K outputs.
    MeanSquaredError,
}

/// Calls what `Loss` says of a loss.
macro_rules! every_loss {
    ($loss:expr, $($member:tt)*) => {
        match $loss {
            OutputLoss::SoftmaxCrossEntropy => <Softmax as Loss>::$($member)*,
            OutputLoss::SigmoidCrossEntropy => <Sigmoid as Loss>::$($member)*,
            OutputLoss::MeanSquaredError => <Squared as Loss>::$($member)*,
        }
    };
}

impl OutputLoss {
    /// Its name, in words.
    pub fn name(self) -> &'static str {
        every_loss!(self, NAME)
    }

    /// Whether S = ω(diag p − p pᵀ) couples the outputs. Otherwise it is diagonal.
    #[inline(always)]
    pub(crate) fn couples_outputs(self) -> bool {
        every_loss!(self, COUPLES_OUTPUTS)
    }

    /// Whether class weights and label smoothing mean anything to it.
    pub(crate) fn weighs_classes(self) -> bool {
        every_loss!(self, WEIGHS_CLASSES)
    }

    /// Whether it takes weights of the outputs.
    pub(crate) fn weighs_outputs(self) -> bool {
        every_loss!(self, WEIGHS_OUTPUTS)
    }

    /// How many classes so many outputs tell apart.
    pub(crate) fn classes(self, outputs: usize) -> usize {
        every_loss!(self, classes(outputs))
    }

    /// Refuses targets, N × K row-major, that it is not defined for.
    pub(crate) fn check<T: Scalar>(self, values: &[T], outputs: usize) -> Result<(), Error> {
        every_loss!(self, check(values, outputs))
    }

    /// Writes p where there is one, r, the diagonal of S, and the losses where they are wanted.
    #[inline(always)]
    pub(crate) fn residuals<T: Scalar>(self, rows: Residuals<T>, with_losses: bool) {
        every_loss!(self, residuals(rows, with_losses));
    }

    /// Where S is diagonal: ∂S_kk/∂o_k over S_kk, from p of some samples.
    #[inline(always)]
    pub(crate) fn slopes<T: Scalar>(self, p: &[T], slopes: &mut [T]) {
        every_loss!(self, slopes(p, slopes));
    }
}
