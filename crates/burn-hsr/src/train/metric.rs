//! Numeric metrics of the curvature.

use core::marker::PhantomData;
use std::sync::Arc;

use burn::tensor::{ExecutionError, TensorReadError};
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Adaptor, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes,
    NumericEntry, SerializedEntry,
};

use super::{Curvature, HsrOutput};
use crate::error::HsrError;

/// λ_sup of the batches, at the parameters before their steps.
pub type LambdaSupMetric = CurvatureMetric<LambdaSup>;
/// The trace of the batches' Hessians.
pub type HessianTraceMetric = CurvatureMetric<HessianTrace>;
/// λ_max of the batches' Hessians by Lanczos, on the schedule of
/// [`with_lambda_max_every`](super::HsrModel::with_lambda_max_every).
pub type LambdaMaxMetric = CurvatureMetric<LambdaMax>;
/// λ_sup/λ_max of the batches, at the steps that have λ_max: 1 where the bound is attained.
pub type TightnessMetric = CurvatureMetric<Tightness>;

/// A number that is known of a [`Curvature`].
pub trait Quantity: Clone + Send + Sync + 'static {
    /// The metric's name.
    const NAME: &'static str;
    /// What it is, in a sentence.
    const DESCRIPTION: &'static str;

    /// The number at a step; none where the schedule leaves the step out or there is no such number.
    ///
    /// # Errors
    ///
    /// What hsr-core refuses.
    fn measure(curvature: &Curvature) -> Result<Option<f64>, HsrError>;
}

/// λ_sup, the upper bound on the largest eigenvalue.
#[derive(Clone, Copy, Debug)]
pub struct LambdaSup;

impl Quantity for LambdaSup {
    const NAME: &'static str = "Lambda Sup";
    const DESCRIPTION: &'static str = "Upper bound on the largest eigenvalue of the loss Hessian";

    fn measure(curvature: &Curvature) -> Result<Option<f64>, HsrError> {
        Ok(curvature.bounds()?.map(|bounds| bounds.lambda_sup))
    }
}

/// The trace of the Hessian.
#[derive(Clone, Copy, Debug)]
pub struct HessianTrace;

impl Quantity for HessianTrace {
    const NAME: &'static str = "Hessian Trace";
    const DESCRIPTION: &'static str = "Trace of the loss Hessian";

    fn measure(curvature: &Curvature) -> Result<Option<f64>, HsrError> {
        Ok(curvature.bounds()?.map(|bounds| bounds.moments.trace))
    }
}

/// The largest eigenvalue, signed.
#[derive(Clone, Copy, Debug)]
pub struct LambdaMax;

impl Quantity for LambdaMax {
    const NAME: &'static str = "Lambda Max";
    const DESCRIPTION: &'static str = "Largest eigenvalue of the loss Hessian";

    fn measure(curvature: &Curvature) -> Result<Option<f64>, HsrError> {
        Ok(curvature.extremes()?.map(|extremes| extremes.largest))
    }
}

/// λ_sup/λ_max.
#[derive(Clone, Copy, Debug)]
pub struct Tightness;

impl Quantity for Tightness {
    const NAME: &'static str = "Tightness";
    const DESCRIPTION: &'static str = "The bound over the largest eigenvalue of the loss Hessian";

    fn measure(curvature: &Curvature) -> Result<Option<f64>, HsrError> {
        curvature.tightness()
    }
}

/// The metric of a [`Quantity`]. The value of an epoch is the mean over its measured batches, each weighted by its
/// samples. A step that was not measured has no entry; so has an epoch without any.
#[derive(Clone)]
pub struct CurvatureMetric<Q> {
    name: MetricName,
    state: NumericMetricState,
    /// Whether the last step was measured, and whether any of the epoch was.
    measured: (bool, bool),
    quantity: PhantomData<Q>,
}

/// The value of one step, where there is one, and the samples it speaks for.
pub struct CurvatureInput<Q> {
    value: Result<Option<f64>, HsrError>,
    samples: usize,
    quantity: PhantomData<Q>,
}

impl<Q: Quantity> CurvatureInput<Q> {
    /// A value for an output type of your own; [`HsrOutput`] adapts itself.
    pub fn new(value: Result<Option<f64>, HsrError>, samples: usize) -> Self {
        Self {
            value,
            samples,
            quantity: PhantomData,
        }
    }
}

impl<Q: Quantity> Adaptor<CurvatureInput<Q>> for HsrOutput {
    fn adapt(&self) -> CurvatureInput<Q> {
        let value = self.curvature.as_ref().map_or(Ok(None), Q::measure);
        CurvatureInput::new(value, self.samples())
    }
}

impl<Q: Quantity> CurvatureMetric<Q> {
    /// The metric.
    pub fn new() -> Self {
        Self {
            name: Arc::new(Q::NAME.to_owned()),
            state: NumericMetricState::new(),
            measured: (false, false),
            quantity: PhantomData,
        }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name.clone()).precision(4)
    }
}

impl<Q: Quantity> Default for CurvatureMetric<Q> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Q: Quantity> Metric for CurvatureMetric<Q> {
    type Input = CurvatureInput<Q>;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some(Q::DESCRIPTION.to_owned())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: false,
        }
        .into()
    }

    fn update(
        &mut self,
        input: &CurvatureInput<Q>,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        self.measured.0 = false;
        let value = input
            .value
            .clone()
            .map_err(|error| ExecutionError::with_context(error.to_string()))?;
        let Some(value) = value else {
            return Ok(SerializedEntry::not_available(None));
        };
        self.state.update(value, input.samples);
        self.measured = (true, true);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        if self.measured.1 {
            Ok(self.state.compute_final(self.format()))
        } else {
            Ok(SerializedEntry::not_available(None))
        }
    }

    fn clear(&mut self) {
        self.state.reset();
        self.measured = (false, false);
    }
}

impl<Q: Quantity> Numeric for CurvatureMetric<Q> {
    fn value(&self) -> Option<NumericEntry> {
        self.measured.0.then(|| self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.measured.1.then(|| self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
