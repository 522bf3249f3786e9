//! Copies of a module that share nothing with it which a forward pass changes.

use std::collections::HashMap;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, GradientCheckpointingStrategy, Int, Tensor};

use crate::tensors::{in_precision, wide};

/// A copy of the module that shares nothing with it which a forward pass changes.
pub fn isolated<M: Module>(module: &M) -> M {
    displaced(module, GradientsParams::new())
}

/// A copy of the module at θ + step, in the state of autodiff and training that the module is in.
///
/// A clone would not do. Burn's running statistics (`RunningState`) are shared between a module and its clones, and
/// `forward` updates them through `&self`. They also keep the last update of each thread aside until the next, so that
/// saved statistics cannot simply be put back. [`Module::valid`] is what gives a module running statistics of its own,
/// with every update in them; here it is taken, and what it has taken away is given back.
pub fn displaced<M: Module>(module: &M, step: GradientsParams) -> M {
    copy(module, Change::Step(step))
}

/// The same with other values of some parameters.
pub(crate) fn moved<M: Module>(module: &M, values: GradientsParams) -> M {
    copy(module, Change::Values(values))
}

/// How the parameters of a copy differ.
enum Change {
    /// What is added to them.
    Step(GradientsParams),
    /// What takes their place.
    Values(GradientsParams),
}

fn copy<M: Module>(module: &M, change: Change) -> M {
    let mut state = State {
        all_trained: true,
        ..State::default()
    };
    module.visit(&mut state);
    if state.all_trained {
        // Running statistics are parameters that are not trained: there are none, and mapping a clone is a third of the work.
        return module.clone().map(&mut Displace { state, change });
    }
    let copy = module.valid();
    // Tensors that are no parameters, which no mapper sees, get autodiff back from `train`, but always without
    // checkpointing. Where the module checkpoints they stay plain, for plain tensors go with either.
    let copy = if state.checkpoints {
        copy
    } else {
        copy.train()
    };
    copy.map(&mut Displace { state, change })
}

/// What the parameters of a module carry beside their values.
#[derive(Default)]
struct State {
    tensors: HashMap<ParamId, Autodiff>,
    flags: HashMap<ParamId, Flag>,
    checkpoints: bool,
    all_trained: bool,
}

/// The autodiff state of a parameter.
#[derive(Clone, Copy)]
struct Autodiff {
    strategy: GradientCheckpointingStrategy,
    require_grad: bool,
    distributed: bool,
}

impl State {
    fn keep(&mut self, id: ParamId, autodiff: Option<Autodiff>) {
        if let Some(autodiff) = autodiff {
            self.checkpoints |= autodiff.strategy != GradientCheckpointingStrategy::Disabled;
            self.tensors.insert(id, autodiff);
        }
    }
}

/// A tensor that takes no part in training.
fn constant(strategy: GradientCheckpointingStrategy) -> Autodiff {
    Autodiff {
        strategy,
        require_grad: false,
        distributed: false,
    }
}

impl ModuleVisitor for State {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let require_grad = tensor.is_require_grad();
        self.all_trained &= require_grad;
        let autodiff = tensor
            .gradient_checkpointing_strategy()
            .map(|strategy| Autodiff {
                strategy,
                require_grad,
                // Only what has a gradient can be, and a quantised tensor must not be asked.
                distributed: require_grad && tensor.is_distributed(),
            });
        self.keep(param.id, autodiff);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let strategy = param.val().gradient_checkpointing_strategy();
        self.keep(param.id, strategy.map(constant));
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let strategy = param.val().gradient_checkpointing_strategy();
        self.keep(param.id, strategy.map(constant));
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.flags.insert(flag.id, flag.val());
    }
}

struct Displace {
    state: State,
    change: Change,
}

impl ModuleMapper for Displace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        param.map(|tensor| {
            let mut tensor = tensor.inner();
            let dtype = tensor.dtype();
            match &mut self.change {
                Change::Step(step) => {
                    if let Some(step) = step.get::<D>(id) {
                        tensor = in_precision(wide(tensor) + wide(step), dtype);
                    }
                }
                Change::Values(values) => {
                    if let Some(value) = values.remove::<D>(id) {
                        tensor = in_precision(value, dtype);
                    }
                }
            }
            let Some(autodiff) = self.state.tensors.get(&id) else {
                return tensor;
            };
            tensor = tensor
                .autodiff()
                .with_gradient_checkpointing_strategy(autodiff.strategy);
            if autodiff.require_grad {
                tensor = tensor.require_grad();
            }
            if autodiff.distributed {
                tensor = tensor.set_distributed(id);
            }
            tensor
        })
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let autodiff = self.state.tensors.get(&param.id);
        param.map(|tensor| match autodiff {
            Some(autodiff) => tensor
                .autodiff()
                .with_gradient_checkpointing_strategy(autodiff.strategy),
            None => tensor.inner(),
        })
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let autodiff = self.state.tensors.get(&param.id);
        param.map(|tensor| match autodiff {
            Some(autodiff) => tensor
                .autodiff()
                .with_gradient_checkpointing_strategy(autodiff.strategy),
            None => tensor.inner(),
        })
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.state.flags.get(&flag.id) {
            Some(&kept) => flag.map(|_| kept),
            None => flag,
        }
    }
}
