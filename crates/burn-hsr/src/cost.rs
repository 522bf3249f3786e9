//! What a step with HSR costs, predicted from counted work.
//!
//! hsr-core counts what its evaluation does ([`Plan::work`]) in multiply-adds of a large matrix product; the rest of the
//! step, and a plain step of Burn, are counted here in the same unit. What is not arithmetic has a price in that unit,
//! rounded by hand to the steps that the tables of the book and the README time: nine sizes from 21 to 101,770 parameters, on
//! two cores, where a thread does some 80 thousand million multiply-adds a second. The bench `step_cost` prints prediction and
//! measurement side by side.

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
    /// It is within 10 % in the median, and 20 % at worst, of the nine steps from which its constants come (flex, f32, plain
    /// SGD, two cores of an Intel server). On two virtual cores of an AMD EPYC the bench `step_cost` measured more than
    /// predicted, 1.3 to 1.4 times in the median of sixteen sizes and up to twice. Other optimizers, whose plain step is
    /// dearer, differ the other way. In the head of a deeper model the backbone makes the plain step dearer and
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

/// A step whose regulariser takes `rows` of `samples` rows, in plain steps. Both are counted in multiply-adds of a large
/// matrix product.
pub(crate) fn plain_steps(
    config: &HsrConfig,
    dimensions: &Dimensions,
    samples: usize,
    rows: usize,
) -> Result<f64, Error> {
    let penalty = penalty(config, dimensions, rows)?;
    Ok(1.0 + penalty / plain_step(dimensions, samples))
}

/// A plain step of Burn with SGD: bookkeeping whatever the sizes, three matrix products a layer, the hidden units' activation
/// and its derivative, and the parameters, each of which is copied and updated.
fn plain_step(dimensions: &Dimensions, samples: usize) -> f64 {
    let [n, d, h, k] = sizes(dimensions, samples);
    let parameters = dimensions.parameters() as f64;
    5.5e6 + 3.0 * n * h * (d + k) + 2400.0 * n * h + 700.0 * parameters
}

/// The measure with its gradient.
fn penalty(config: &HsrConfig, dimensions: &Dimensions, rows: usize) -> Result<f64, Error> {
    // Tensors are read and made, the gradient is transposed and added to the loss's.
    let reading = 1.3e6 + 400.0 * dimensions.parameters() as f64;
    let around = around_the_blocks(dimensions, rows);
    Ok(match config.sharpness {
        Sharpness::LambdaSup | Sharpness::Frobenius => {
            let plan = Plan::new(config.evaluation, dimensions, rows)?;
            let blocks = plan.work(dimensions, config.loss, rows).total().cost();
            // Beyond, hsr-core takes a second thread, which takes the two to some six tenths of the time.
            let alone = blocks < 1.6e7 || config.threads == Some(1);
            reading + around + if alone { blocks } else { 0.6 * blocks }
        }
        Sharpness::Trace => reading + around,
        Sharpness::GradientNorm => reading + 2.0 * around,
        Sharpness::LambdaMax => reading + 40.0 * around,
    })
}

/// Forward pass, residuals and curvature, and the pullback: matrix products, what each hidden unit of a sample takes, and
/// what each of its outputs takes of it.
fn around_the_blocks(dimensions: &Dimensions, rows: usize) -> f64 {
    let [n, d, h, k] = sizes(dimensions, rows);
    n * h * (2.0 * d + 5.0 * k + 1000.0 + 220.0 * k)
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
