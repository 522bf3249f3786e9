//! What is kept from step to step.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_penalty::values::{self, ParameterValues};

use super::SamGradientRecord;
use crate::error::SharpnessError;

/// The state of a [`SamGradient`](super::SamGradient).
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Steps taken.
    pub steps: u64,
    /// The learning rate of the step to come.
    pub rate: Option<f64>,
    /// What the method remembers.
    pub memory: Memory,
    /// The training flags under which the closure was seen to repeat itself.
    pub repeats: Option<Vec<bool>>,
}

/// A vector that a method remembers: it is never changed, only replaced, so that clones can share it. Locked because
/// Burn's gradients can be sent to another thread, but not shared with it.
#[derive(Clone, Debug, Default)]
pub(super) enum Memory {
    #[default]
    Nothing,
    Vector(Arc<Mutex<GradientsParams>>),
    /// From a record, until there is a module to put it into.
    Recorded(Arc<Vec<ParameterValues>>),
}

impl From<GradientsParams> for Memory {
    fn from(vector: GradientsParams) -> Self {
        Self::Vector(Arc::new(Mutex::new(vector)))
    }
}

impl Memory {
    /// The vector beside the parameters of a module: burn-train hands a module from device to device.
    pub fn beside<M: Module>(&self, module: &M) -> Option<GradientsParams> {
        struct Beside<'a> {
            vector: &'a GradientsParams,
            out: GradientsParams,
        }
        impl ModuleVisitor for Beside<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if param.is_require_grad()
                    && let Some(part) = self.vector.get::<D>(param.id)
                {
                    let device = param.val().inner().device();
                    let part = if part.device() == device {
                        part
                    } else {
                        part.to_device(&device)
                    };
                    self.out.register(param.id, part);
                }
            }
        }
        match self {
            Self::Nothing => None,
            Self::Recorded(values) => Some(values::write(module, values)),
            Self::Vector(vector) => {
                let vector = vector.lock().unwrap_or_else(PoisonError::into_inner);
                let mut beside = Beside {
                    vector: &vector,
                    out: GradientsParams::new(),
                };
                module.visit(&mut beside);
                Some(beside.out)
            }
        }
    }
}

impl State {
    /// Where the record was taken.
    pub fn of(record: SamGradientRecord) -> Self {
        Self {
            steps: record.steps,
            rate: record.rate,
            memory: record
                .memory
                .map_or(Memory::Nothing, |values| Memory::Recorded(Arc::new(values))),
            repeats: None,
        }
    }

    /// As a record; reads the device.
    pub fn record<M: Module>(&self, module: &M) -> Result<SamGradientRecord, SharpnessError> {
        let memory = match &self.memory {
            Memory::Nothing => None,
            Memory::Recorded(values) => Some(values.to_vec()),
            Memory::Vector(vector) => {
                let vector = vector.lock().unwrap_or_else(PoisonError::into_inner);
                Some(values::read(module, &vector, "what the method remembers")?)
            }
        };
        Ok(SamGradientRecord {
            steps: self.steps,
            rate: self.rate,
            memory,
        })
    }
}
