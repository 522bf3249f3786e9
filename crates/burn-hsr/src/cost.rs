//! What a step with HSR costs, predicted from counted work.
//!
//! hsr-core counts what its evaluation does ([`Plan::work`]) in multiply-adds of a large matrix product; a plain step of
//! Burn is counted here in the same unit. Both have terms for what is not arithmetic, fitted by the bench `step_cost`
//! (`HSR_BENCH=fit`), which also prints how well the ratio of the two is met.

use hsr_core::{Dimensions, Error, Plan};

use crate::{HsrConfig, HsrError, Sharpness, Subsample, ThreeLayer};

/// The price of a step with HSR, from [`Hsr::cost`](crate::Hsr::cost).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCost {
    /// The rows of the batch that the regulariser takes.
    pub rows: usize,
    /// The whole step, forward pass, `backward` and optimizer with it, in plain steps of the three layers on that batch.
    pub plain_steps: f64,
}

impl crate::Hsr {
    /// What a step in which HSR acts costs on the CPU, in plain steps, for batches of `samples` rows. Nothing is computed
    /// or timed: the number follows from the sizes and the configuration.
    ///
    /// Beside the times of the bench `step_cost` (two cores, f32, plain SGD, 4 to 1,024 inputs, 8 to 1,024 hidden units, 2
    /// to 10 outputs, batches of 16 to 512) the prediction was within ACCURACY; other machines, and other optimizers,
    /// whose plain step is dearer, differ more. In the head of a deeper model the backbone makes the plain step dearer and
    /// so the ratio smaller. With an interval of k steps the mean over steps is 1 + (cost − 1)/k. The number of products
    /// that [`Sharpness::LambdaMax`] needs is not known beforehand; 40 are assumed.
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
    pub fn cost<M: ThreeLayer>(&self, model: &M, samples: usize) -> Result<StepCost, HsrError> {
        let dimensions = model.dimensions();
        if samples == 0 {
            return Err(Error::Empty {
                what: "the number of samples",
            }
            .into());
        }
        let rows = Subsample::rows(self.config(), &dimensions, samples)?;
        Ok(StepCost {
            rows,
            plain_steps: plain_steps(self.config(), &dimensions, samples, rows)?,
        })
    }
}

/// A step whose regulariser takes `rows` of `samples` rows, in plain steps.
pub(crate) fn plain_steps(
    config: &HsrConfig,
    dimensions: &Dimensions,
    samples: usize,
    rows: usize,
) -> Result<f64, Error> {
    let penalty = penalty(config, dimensions, rows)?;
    Ok(1.0 + penalty / plain_step(dimensions, samples))
}

/// A plain step of Burn with SGD, in multiply-adds of a large matrix product: bookkeeping whatever the sizes, three
/// matrix products a layer, elementwise values of the batch, and the parameters, each of which is copied and updated.
fn plain_step(dimensions: &Dimensions, samples: usize) -> f64 {
    let [n, d, h, k] = sizes(dimensions, samples);
    PLAIN
        + PRODUCTS * 3.0 * n * h * (d + k)
        + ELEMENTS * n * (d + h + k)
        + PARAMETERS * dimensions.parameters() as f64
}

/// The measure with its gradient, in the same unit.
fn penalty(config: &HsrConfig, dimensions: &Dimensions, rows: usize) -> Result<f64, Error> {
    let around = around_the_blocks(dimensions, rows);
    let own = PENALTY + READING * dimensions.parameters() as f64;
    Ok(match config.sharpness {
        Sharpness::LambdaSup | Sharpness::Frobenius => {
            let plan = Plan::new(config.evaluation, dimensions, rows)?;
            let blocks = plan.work(dimensions, config.loss, rows).total().cost();
            own + around + BLOCKS * blocks
        }
        Sharpness::Trace => own + around,
        Sharpness::GradientNorm => own + 2.0 * around,
        Sharpness::LambdaMax => own + 40.0 * around,
    })
}

/// Forward pass, residuals and curvature, and the pullback; a value of an activation with its derivatives counts as
/// some multiply-adds.
fn around_the_blocks(dimensions: &Dimensions, rows: usize) -> f64 {
    let [n, d, h, k] = sizes(dimensions, rows);
    let products = h * (2.0 * d + 5.0 * k);
    let through_u = h * k * (3.0 * k + 8.0);
    n * (PRODUCTS * products + ELEMENTS * (d + 3.0 * h + 3.0 * k) + THROUGH_U * through_u)
}

fn sizes(dimensions: &Dimensions, samples: usize) -> [f64; 4] {
    let Dimensions {
        inputs,
        hidden,
        outputs,
        ..
    } = *dimensions;
    [samples, inputs, hidden, outputs].map(|size| size as f64)
}

const PLAIN: f64 = 4e6;
const PRODUCTS: f64 = 1.0;
const ELEMENTS: f64 = 30.0;
const PARAMETERS: f64 = 60.0;
const PENALTY: f64 = 1e6;
const READING: f64 = 40.0;
const BLOCKS: f64 = 1.0;
const THROUGH_U: f64 = 4.0;
