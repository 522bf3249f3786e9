//! Whether the gradients of a step are finite.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use crate::SharpnessError;

/// One of the two passes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The first, at θ.
    First,
    /// The second, at θ + e.
    Second,
}

/// Flags on the device, one a pass, read together so that the device is waited for once.
#[derive(Default)]
pub(crate) struct Finite {
    passes: Vec<(Pass, Tensor<1, Bool>)>,
}

impl Finite {
    pub fn check<M: Module>(&mut self, pass: Pass, module: &M, gradients: &GradientsParams) {
        let mut flags = Flags {
            gradients,
            finite: Vec::new(),
        };
        module.visit(&mut flags);
        if !flags.finite.is_empty() {
            self.passes.push((pass, Tensor::cat(flags.finite, 0).all()));
        }
    }

    /// The first pass whose gradients are not finite, where there is one.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Read`].
    pub fn read(self) -> Result<Option<Pass>, SharpnessError> {
        if self.passes.is_empty() {
            return Ok(None);
        }
        let (passes, flags): (Vec<_>, Vec<_>) = self.passes.into_iter().unzip();
        let finite = Tensor::cat(flags, 0)
            .int()
            .try_into_vec_as::<i64>()
            .map_err(|error| SharpnessError::Read {
                what: "whether a gradient is finite",
                message: error.to_string(),
            })?;
        let mut passes = passes.into_iter().zip(finite);
        Ok(passes
            .find(|(_, finite)| *finite == 0)
            .map(|(pass, _)| pass))
    }
}

/// A flag for each gradient, those of frozen parameters too: what is registered, the optimizer takes.
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
