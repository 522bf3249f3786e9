//! Whether the gradients of a step are finite.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use crate::PenaltyError;

/// Flags on the device, one for the gradients of each pass P, read together so that the device is waited for once.
#[derive(Debug)]
pub struct Finite<P> {
    passes: Vec<(P, Tensor<1, Bool>)>,
}

impl<P> Default for Finite<P> {
    fn default() -> Self {
        Self { passes: Vec::new() }
    }
}

impl<P> Finite<P> {
    /// Adds the flag of a pass. Gradients of frozen parameters count too: what is registered, the optimizer takes.
    pub fn check<M: Module>(&mut self, pass: P, module: &M, gradients: &GradientsParams) {
        let mut flags = Flags {
            gradients,
            finite: Vec::new(),
        };
        module.visit(&mut flags);
        if !flags.finite.is_empty() {
            let mut flag = Tensor::cat(flags.finite, 0).all();
            if let Some((_, first)) = self.passes.first() {
                flag = flag.to_device(&first.device());
            }
            self.passes.push((pass, flag));
        }
    }

    /// The first pass whose gradients are not finite, where there is one.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn read(self) -> Result<Option<P>, PenaltyError> {
        if self.passes.is_empty() {
            return Ok(None);
        }
        let (passes, flags): (Vec<_>, Vec<_>) = self.passes.into_iter().unzip();
        let finite = Tensor::cat(flags, 0)
            .int()
            .try_into_vec_as::<i64>()
            .map_err(|error| PenaltyError::Read {
                what: "whether a gradient is finite",
                message: error.to_string(),
            })?;
        let mut passes = passes.into_iter().zip(finite);
        Ok(passes
            .find(|(_, finite)| *finite == 0)
            .map(|(pass, _)| pass))
    }
}

/// A flag for each gradient.
struct Flags<'a> {
    gradients: &'a GradientsParams,
    finite: Vec<Tensor<1, Bool>>,
}

impl ModuleVisitor for Flags<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let mut flag = gradient.is_finite().all();
            if let Some(first) = self.finite.first() {
                flag = flag.to_device(&first.device());
            }
            self.finite.push(flag);
        }
    }
}
