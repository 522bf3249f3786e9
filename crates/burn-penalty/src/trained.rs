//! The parameters that a module trains.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::error::PenaltyError;

/// The number of trained parameters D.
///
/// # Errors
///
/// [`PenaltyError::NoParameters`] where there are none; [`PenaltyError::PlainDevice`] where the reason is that no
/// parameter is on an autodiff device.
pub fn count<M: Module>(module: &M) -> Result<usize, PenaltyError> {
    #[derive(Default)]
    struct Count {
        trained: usize,
        any: bool,
        autodiff: bool,
    }
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.any = true;
            if param.is_require_grad() {
                self.trained += param.shape().num_elements();
                self.autodiff = true;
            } else if !self.autodiff {
                self.autodiff = param.val().is_autodiff();
            }
        }
    }
    let mut count = Count::default();
    module.visit(&mut count);
    match count {
        Count {
            trained: 0,
            any: true,
            autodiff: false,
        } => Err(PenaltyError::PlainDevice),
        Count { trained: 0, .. } => Err(PenaltyError::NoParameters),
        Count { trained, .. } => Ok(trained),
    }
}

/// The parameters of a vector that are trained, and of those only the ones that are kept.
pub fn filter<M: Module>(
    module: &M,
    vector: &GradientsParams,
    keep: impl Fn(ParamId) -> bool,
) -> GradientsParams {
    struct Filter<'a, K> {
        vector: &'a GradientsParams,
        keep: K,
        out: GradientsParams,
    }
    impl<K: Fn(ParamId) -> bool> ModuleVisitor for Filter<'_, K> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad()
                && (self.keep)(param.id)
                && let Some(part) = self.vector.get::<D>(param.id)
            {
                self.out.register(param.id, part);
            }
        }
    }
    let mut filter = Filter {
        vector,
        keep,
        out: GradientsParams::new(),
    };
    module.visit(&mut filter);
    filter.out
}
