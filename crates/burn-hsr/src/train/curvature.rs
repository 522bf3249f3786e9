//! The curvature at a step, computed where it is asked for.

use core::cell::OnceCell;
use std::sync::Arc;

use burn::tensor::Tensor;
use hsr_core::{Extremes, SpectralBounds};

use crate::error::HsrError;
use crate::hsr::Hsr;
use crate::lanczos::LanczosConfig;
use crate::mlp::Mlp;
use crate::targets::Targets;

/// The loss Hessian of a batch at the parameters of one step: what is needed to measure it, and what was measured.
///
/// Nothing is computed before it is asked for, and nothing twice. burn-train asks in its metrics' thread, so that
/// training goes on meanwhile, and only for metrics that were registered.
pub struct Curvature {
    pub(super) hsr: Arc<Hsr>,
    pub(super) network: Mlp,
    pub(super) inputs: Tensor<2>,
    pub(super) targets: Targets,
    pub(super) with_bounds: bool,
    pub(super) lanczos: Option<LanczosConfig>,
    pub(super) bounds: OnceCell<Result<SpectralBounds<f64>, HsrError>>,
    pub(super) extremes: OnceCell<Result<Extremes, HsrError>>,
}

impl Curvature {
    /// The bounds on the spectrum, where the schedule has them for this step.
    ///
    /// # Errors
    ///
    /// As [`Hsr::bounds`].
    pub fn bounds(&self) -> Result<Option<SpectralBounds<f64>>, HsrError> {
        if self.with_bounds {
            self.bounds_anyway().map(Some)
        } else {
            Ok(None)
        }
    }

    /// λ_max and λ_min by Lanczos, where the schedule has them for this step.
    ///
    /// # Errors
    ///
    /// As [`Hsr::extremes`].
    pub fn extremes(&self) -> Result<Option<Extremes>, HsrError> {
        let Some(options) = &self.lanczos else {
            return Ok(None);
        };
        let measure = || {
            let (inputs, targets) = (self.inputs.clone(), self.targets.clone());
            self.hsr.extremes(&self.network, inputs, targets, options)
        };
        self.extremes.get_or_init(measure).clone().map(Some)
    }

    /// λ_sup/λ_max, at the steps that have λ_max and where it is positive.
    ///
    /// # Errors
    ///
    /// As [`Hsr::bounds`] and [`Hsr::extremes`].
    pub fn tightness(&self) -> Result<Option<f64>, HsrError> {
        match self.extremes()? {
            Some(extremes) if extremes.largest > 0.0 => {
                Ok(Some(self.bounds_anyway()?.lambda_sup / extremes.largest))
            }
            _ => Ok(None),
        }
    }

    fn bounds_anyway(&self) -> Result<SpectralBounds<f64>, HsrError> {
        let measure = || {
            let (inputs, targets) = (self.inputs.clone(), self.targets.clone());
            self.hsr.bounds(&self.network, inputs, targets)
        };
        self.bounds.get_or_init(measure).clone()
    }
}
