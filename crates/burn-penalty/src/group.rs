//! Some of a module's parameters, by name or identity.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::error::PenaltyError;
use crate::trained::{count, filter};

/// The trained parameters of a module that are in a [`ParamGroup`].
#[derive(Clone, Debug)]
pub struct Group {
    ids: HashSet<ParamId>,
    size: usize,
}

impl Group {
    /// Those of `module` that `group` matches, by their names in the module or by identity.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::NoParameters`] where none of them is trained, [`PenaltyError::PlainDevice`] where the reason is
    /// that the module is not on an autodiff device.
    pub fn of<M: Module>(module: &M, group: &ParamGroup) -> Result<Self, PenaltyError> {
        struct Collect<'a> {
            group: &'a ParamGroup,
            path: Vec<String>,
            found: Group,
        }
        impl ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let path = self.path.join(".");
                if param.is_require_grad()
                    && self.group.matches(&param.id, Some(&path))
                    && self.found.ids.insert(param.id)
                {
                    self.found.size += param.shape().num_elements();
                }
            }

            fn enter_module(&mut self, name: &str, _container_type: &str) {
                self.path.push(name.to_owned());
            }

            fn exit_module(&mut self, _name: &str, _container_type: &str) {
                self.path.pop();
            }
        }
        count(module)?;
        let mut collect = Collect {
            group,
            path: Vec::new(),
            found: Group {
                ids: HashSet::new(),
                size: 0,
            },
        };
        module.visit(&mut collect);
        if collect.found.size == 0 {
            return Err(PenaltyError::NoParameters);
        }
        Ok(collect.found)
    }

    /// Whether the parameter of this identity is in it.
    pub fn has(&self, id: ParamId) -> bool {
        self.ids.contains(&id)
    }

    /// D, the number of components.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of parameters, each with a tensor of its own.
    pub fn parameters(&self) -> usize {
        self.ids.len()
    }

    /// The part of a vector that is of these parameters.
    pub fn filter<M: Module>(&self, module: &M, vector: &GradientsParams) -> GradientsParams {
        filter(module, vector, |id| self.has(id))
    }
}
