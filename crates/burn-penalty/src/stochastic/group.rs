//! The parameters whose curvature it is.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::StochasticHsrConfig;
use crate::PenaltyError;
use crate::algebra::{self, filter, reduce, wide};
use crate::precision::rounding_unit;

/// The trained parameters of the configuration's group.
pub(super) struct Group {
    ids: HashSet<ParamId>,
    /// D, the number of their components.
    pub size: usize,
}

impl Group {
    pub fn of<M: Module>(module: &M, config: &StochasticHsrConfig) -> Result<Self, PenaltyError> {
        struct Collect<'a> {
            config: &'a StochasticHsrConfig,
            path: Vec<String>,
            group: Group,
        }
        impl ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let path = self.path.join(".");
                if param.is_require_grad()
                    && self.config.group.matches(&param.id, Some(&path))
                    && self.group.ids.insert(param.id)
                {
                    self.group.size += param.shape().num_elements();
                }
            }

            fn enter_module(&mut self, name: &str, _container_type: &str) {
                self.path.push(name.to_owned());
            }

            fn exit_module(&mut self, _name: &str, _container_type: &str) {
                self.path.pop();
            }
        }
        algebra::count(module)?;
        let mut collect = Collect {
            config,
            path: Vec::new(),
            group: Group {
                ids: HashSet::new(),
                size: 0,
            },
        };
        module.visit(&mut collect);
        if collect.group.size == 0 {
            return Err(PenaltyError::NoParameters);
        }
        Ok(collect.group)
    }

    pub fn has(&self, id: ParamId) -> bool {
        self.ids.contains(&id)
    }

    /// The number of parameters, each with a tensor of its own.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn filter<M: Module>(&self, module: &M, vector: &GradientsParams) -> GradientsParams {
        filter(module, vector, |id| self.has(id))
    }

    /// ε, \[1\].
    pub fn step<M: Module>(
        &self,
        module: &M,
        config: &StochasticHsrConfig,
    ) -> Result<Tensor<1>, PenaltyError> {
        struct Square<'a>(&'a Group);
        impl algebra::Part for Square<'_> {
            fn part<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<1>> {
                let value = self.0.has(param.id).then(|| param.val().inner())?;
                Some(wide(value).square().sum())
            }
        }
        let relative = config.step.unwrap_or_else(|| match rounding_unit(module) {
            unit if unit < 1e-10 => 1e-4,
            unit if unit < 1e-5 => 2e-3,
            _ => 0.2,
        });
        let squares = reduce(module, &Square(self), Tensor::sum)? * (1.0 / self.size as f64);
        let mean = squares.sqrt();
        // Parameters that are all zero have no unit of their own.
        let zero = mean.clone().equal_elem(0.0);
        Ok(mean.mask_fill(zero, 1.0) * relative)
    }
}
