//! What a step with HSR costs, asked of the regulariser.

use hsr_core::Error;

use super::Hsr;
use crate::cost::{self, StepCost};
use crate::error::HsrError;
use crate::layers::{Layers, shapes};

impl Hsr {
    /// What a step in which HSR acts costs on the CPU, in plain steps, for batches of `samples` rows. Nothing is computed
    /// or timed: the number follows from the sizes and the configuration.
    ///
    /// It is within 10 % in the median, and 20 % at worst, of the nine steps from which its constants come (flex, f32, plain
    /// SGD, two cores of an Intel server). On two virtual cores of an AMD EPYC the bench `step_cost` measured more than
    /// predicted, 1.3 to 1.4 times in the median of sixteen sizes and up to twice. Other optimizers, whose plain step is
    /// dearer, differ the other way. In the head of a deeper model the backbone makes the plain step dearer and
    /// so the ratio smaller. With an interval of k steps the mean over steps is 1 + (cost − 1)/k. The number of products
    /// that [`Sharpness::LambdaMax`](crate::Sharpness::LambdaMax) needs is not known beforehand; 40 are assumed. For other than three layers the
    /// multiply-adds are counted in the same way, but no constant was fitted there.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use burn_hsr::{HsrConfig, Subsample, ThreeLayerNetConfig};
    ///
    /// let device = Device::flex();
    /// let iris = ThreeLayerNetConfig::new(4, 16, 3).init(&device);
    /// let wide = ThreeLayerNetConfig::new(1024, 1024, 10).init(&device);
    /// let hsr = HsrConfig::new().init()?;
    /// assert_eq!(hsr.cost(&iris, 64)?.rows, 64);
    /// // What would cost more than three plain steps takes a part of the batch ...
    /// assert!(hsr.cost(&wide, 64)?.rows < 64);
    /// assert!(hsr.cost(&wide, 64)?.plain_steps <= Subsample::BUDGET);
    /// // ... unless it is told to take all of it.
    /// let hsr = HsrConfig::new().with_subsample(Subsample::All).init()?;
    /// assert!(hsr.cost(&wide, 64)?.plain_steps > Subsample::BUDGET);
    /// # Ok::<(), burn_hsr::HsrError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HsrError::Core`] where the batch is empty or an evaluation was asked for whose blocks do not fit in memory.
    pub fn cost<M: Layers>(&self, model: &M, samples: usize) -> Result<StepCost, HsrError> {
        if samples == 0 {
            return Err(Error::Empty {
                what: "the number of samples",
            }
            .into());
        }
        let shapes = shapes(model);
        let rows = cost::rows(self.config(), &shapes, samples)?;
        Ok(StepCost {
            rows,
            plain_steps: cost::plain_steps(self.config(), &shapes, samples, rows)?,
        })
    }
}
