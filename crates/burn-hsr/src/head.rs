//! HSR on the head of a deeper model, injected.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::gradient::{HsrGradient, add_to};
use crate::layers::Layers;

/// strength·∇λ_sup of a head, in the two parts that [`Hsr::head`](crate::Hsr::head) divides it into: the features' part
/// goes through the backbone as a term of the loss, the head's own part is injected after `backward`.
#[must_use = "a head is regularised by `features_term` in the loss and by `inject` after `backward`"]
#[derive(Clone, Debug)]
pub struct HeadTerm {
    pub(crate) features: Tensor<1>,
    pub(crate) gradient: Option<HsrGradient>,
}

impl HeadTerm {
    /// A term of the loss of value 0: its backward pass gives the features, and so the backbone, their part.
    ///
    /// # Shapes
    ///
    /// - output: `[1]`
    pub fn features_term(&self) -> Tensor<1> {
        self.features.clone()
    }

    /// Adds the head's own part to the gradients. Frozen parameters get nothing.
    pub fn inject<M: Layers>(self, head: &M, mut gradients: GradientsParams) -> GradientsParams {
        if let Some(gradient) = self.gradient {
            add_to(head, gradient, &mut gradients);
        }
        gradients
    }
}
