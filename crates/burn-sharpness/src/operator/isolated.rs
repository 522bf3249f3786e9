//! A copy of a module that shares no state with it.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{GradientCheckpointingStrategy, Tensor};

/// A copy of a module on an autodiff device whose forward passes leave the module alone.
///
/// A clone is none: Burn's running statistics (those of `BatchNorm`) are shared between clones, and a forward pass in
/// training mode updates them. `valid` makes them anew and `train` brings everything else back: identities, what is
/// trained, what is frozen. `valid` also folds the module's own pending update into its statistics, which is what the
/// module's next forward pass would do first.
pub(crate) fn isolated<M: Module>(module: &M) -> M {
    let mut strategy = Strategy(None);
    module.visit(&mut strategy);
    let copy = module.valid().train();
    match strategy.0 {
        // `train` gives the default.
        Some(strategy) => copy.map(&mut WithStrategy(strategy)),
        None => copy,
    }
}

/// The strategy of gradient checkpointing of the parameters that are trained; all that meet in an operation share it.
struct Strategy(Option<GradientCheckpointingStrategy>);

impl ModuleVisitor for Strategy {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() && self.0.is_none() {
            self.0 = param.val().gradient_checkpointing_strategy();
        }
    }
}

struct WithStrategy(GradientCheckpointingStrategy);

impl ModuleMapper for WithStrategy {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tracked = tensor.is_require_grad();
        let tensor = Tensor::from_inner(tensor.inner())
            .with_gradient_checkpointing_strategy(self.0)
            .set_require_grad(tracked);
        Param::from_mapped_value(id, tensor, mapper)
    }
}
