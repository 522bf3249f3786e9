//! HSR in burn-train (feature `train`): a model wrapper for Burn's `SupervisedTraining`, and curvature metrics.
//!
//! * [`HsrModel`] wraps a feed-forward model; its training step adds strength·λ_sup to the loss. Batches are yours
//!   ([`LearnerBatch`]).
//! * [`HsrStep`] is a field of a model with its own `TrainStep`, for the head of a deeper network. burn-train's steps take
//!   `&self` where those of [`Hsr`](crate::Hsr) take `&mut self`; an `HsrStep` stands between them.
//! * [`LambdaSupMetric`], [`HessianTraceMetric`], [`LambdaMaxMetric`] and [`TightnessMetric`] are numeric metrics: they
//!   are plotted, summarised, and early stopping and checkpointing can follow them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use burn::data::dataloader::batcher::Batcher;
//! use burn::data::dataloader::DataLoaderBuilder;
//! use burn::data::dataset::InMemDataset;
//! use burn::lr_scheduler::constant::ConstantLr;
//! use burn::optim::SgdConfig;
//! use burn::tensor::{Device, Int, Tensor};
//! use burn::train::logger::InMemoryMetricLogger;
//! use burn::train::metric::store::{Aggregate, Direction, Split};
//! use burn::train::metric::{AccuracyMetric, LossMetric};
//! use burn::train::{Learner, MetricEarlyStoppingStrategy, StoppingCondition, SupervisedTraining};
//! use burn_hsr::train::{HsrModel, LambdaMaxMetric, LambdaSupMetric, TightnessMetric};
//! use burn_hsr::{HsrConfig, ThreeLayerNetConfig};
//!
//! /// A flower, length and width of sepal and petal in cm, and its species.
//! type Item = ([f32; 4], i64);
//!
//! /// Inputs and classes; for a struct of your own, see `LearnerBatch`.
//! type Batch = (Tensor<2>, Tensor<1, Int>);
//!
//! struct Batches;
//!
//! impl Batcher<Item, Batch> for Batches {
//!     fn batch(&self, items: Vec<Item>, device: &Device) -> Batch {
//!         let rows = items.iter().map(|(x, _)| Tensor::<1>::from_floats(*x, device)).collect();
//!         let classes: Vec<i64> = items.iter().map(|(_, class)| *class).collect();
//!         (Tensor::stack(rows, 0), Tensor::from_data(&classes[..], device))
//!     }
//! }
//!
//! let device = Device::flex().autodiff();
//! device.seed(0);
//! // Six of Fisher's irises: setosa, versicolor, virginica.
//! let data = vec![
//!     ([5.1, 3.5, 1.4, 0.2], 0), ([4.9, 3.0, 1.4, 0.2], 0),
//!     ([7.0, 3.2, 4.7, 1.4], 1), ([6.4, 3.2, 4.5, 1.5], 1),
//!     ([6.3, 3.3, 6.0, 2.5], 2), ([5.8, 2.7, 5.1, 1.9], 2),
//! ];
//! let loader = || DataLoaderBuilder::new(Batches).batch_size(2).build(InMemDataset::new(data.clone()));
//! let hsr = HsrConfig::new().with_strength(0.1).init()?;
//! let model = HsrModel::new(ThreeLayerNetConfig::new(4, 3, 3).init(&device), hsr)?;
//! let result = SupervisedTraining::new(std::env::temp_dir(), loader(), loader())
//!     .metrics((
//!         LossMetric::new(),
//!         AccuracyMetric::new(),
//!         LambdaSupMetric::new(),
//!         LambdaMaxMetric::new(),
//!         TightnessMetric::new(),
//!     ))
//!     .early_stopping(MetricEarlyStoppingStrategy::new(
//!         &LambdaSupMetric::new(),
//!         Aggregate::Mean,
//!         Direction::Lowest,
//!         Split::Valid,
//!         StoppingCondition::NoImprovementSince { n_epochs: 3 },
//!     ))
//!     .with_metric_logger(InMemoryMetricLogger::new())
//!     .with_application_logger(None)
//!     .num_epochs(2)
//!     .launch(Learner::new(model, SgdConfig::new().init(), ConstantLr::new(0.1)));
//! assert!(result.error.is_none());
//! let network = result.model.into_model();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several devices
//!
//! HSR enters as a term of the loss. Where burn-train reduces gradients, the regulariser's part is in them:
//!
//! * `ExecutionStrategy::MultiDevice` sums the gradients of the devices' batches, the loss's and the regulariser's
//!   alike, each λ_sup being that of its own batch.
//! * `ExecutionStrategy::DistributedDataParallel` reduces inside `backward`, which the term goes through. Burn 0.22
//!   offers it on CUDA and remote devices only and refuses all others itself.
//!
//! # Errors
//!
//! A training step has no result in burn-train. What the regulariser refuses (a shape that does not fit, a weight
//! that became NaN) travels with the step's output: the step gives no gradients, training stops, and
//! `LearningResult::error` holds the message. With `DistributedDataParallel` burn-train panics with it.
//!
//! # Checkpoints
//!
//! A learner's record is that of the wrapped module under the name `model`, and `hsr.steps`, the training batches that
//! the regulariser's [`ScheduleConfig`](crate::ScheduleConfig) has counted (those of all devices together). A run that resumes from
//! a checkpoint of burn-train goes on there without further doing. The running mean of a
//! [projected](crate::Strength::Projected) strength, the default, is not recorded: it takes some twenty steps to form again. Weights that were trained without HSR are loaded into
//! the model before it is wrapped; [`HsrModel::into_model`] gives back a model whose record is its own. The schedule of
//! the metrics begins anew with every epoch, so that a resumed run, which begins with one, measures the same steps. What
//! burn-train itself does not save starts afresh: the order of a shuffling data loader, and the best value of early
//! stopping.

mod curvature;
mod metric;
mod model;
mod output;
mod step;

pub use curvature::Curvature;
pub use metric::{
    CurvatureInput, CurvatureMetric, HessianTrace, HessianTraceMetric, LambdaMax, LambdaMaxMetric,
    LambdaSup, LambdaSupMetric, Quantity, Tightness, TightnessMetric,
};
pub use model::{HsrBatch, HsrModel, LearnerBatch};
pub use output::HsrOutput;
pub use step::HsrStep;
