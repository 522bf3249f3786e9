//! The precision of a module's parameters.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The distance from 1 to the next number, in the coarsest precision among the parameters that are trained.
pub fn rounding_unit<M: Module>(module: &M) -> f64 {
    struct Coarsest(f64);
    impl ModuleVisitor for Coarsest {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad()
                && let Some(info) = param.val().dtype().finfo()
            {
                self.0 = self.0.max(info.epsilon);
            }
        }
    }
    let mut coarsest = Coarsest(f64::EPSILON);
    module.visit(&mut coarsest);
    coarsest.0
}
