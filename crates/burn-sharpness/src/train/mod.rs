//! SAM and its family in burn-train (feature `train`).
//!
//! [`SamModel`] wraps the model of a `Learner`. Nothing else changes: the model's own `TrainStep` is what is run
//! twice, and the learner keeps its optimizer, its scheduler and its checkpoints.
//!
//! ```
//! use std::sync::Arc;
//!
//! use burn::data::dataloader::batcher::Batcher;
//! use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
//! use burn::data::dataset::InMemDataset;
//! use burn::lr_scheduler::constant::ConstantLr;
//! use burn::module::Module;
//! use burn::nn::loss::{MseLoss, Reduction};
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::AdamConfig;
//! use burn::tensor::{Device, Tensor};
//! use burn::train::logger::InMemoryMetricLogger;
//! use burn::train::metric::LossMetric;
//! use burn::train::{
//!     InferenceStep, Learner, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep,
//! };
//! use burn_sharpness::SamConfig;
//! use burn_sharpness::train::SamModel;
//!
//! #[derive(Clone, Debug)]
//! struct Batch { x: Tensor<2>, y: Tensor<2> }
//!
//! struct Batches;
//!
//! impl Batcher<[f32; 2], Batch> for Batches {
//!     fn batch(&self, items: Vec<[f32; 2]>, device: &Device) -> Batch {
//!         let column = |of: usize| {
//!             let values: Vec<f32> = items.iter().map(|item| item[of]).collect();
//!             Tensor::<1>::from_data(&values[..], device).unsqueeze_dim(1)
//!         };
//!         Batch { x: column(0), y: column(1) }
//!     }
//! }
//!
//! /// The model as it is without SAM.
//! #[derive(Module, Debug)]
//! struct Line { layer: Linear }
//!
//! impl Line {
//!     fn output(&self, batch: Batch) -> RegressionOutput {
//!         let output = self.layer.forward(batch.x);
//!         let loss = MseLoss::new().forward(output.clone(), batch.y.clone(), Reduction::Mean);
//!         RegressionOutput::new(loss, output, batch.y)
//!     }
//! }
//!
//! impl TrainStep for Line {
//!     type Input = Batch;
//!     type Output = RegressionOutput;
//!     fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
//!         let output = self.output(batch);
//!         TrainOutput::new(self, output.loss.backward(), output)
//!     }
//! }
//!
//! impl InferenceStep for Line {
//!     type Input = Batch;
//!     type Output = RegressionOutput;
//!     fn step(&self, batch: Batch) -> RegressionOutput { self.output(batch) }
//! }
//!
//! let device = Device::flex().autodiff();
//! device.seed(0);
//! // Petals of four irises, length and width in cm.
//! let points = vec![[1.4, 0.2], [1.3, 0.2], [4.7, 1.4], [6.0, 2.5]];
//! let loader = || -> Arc<dyn DataLoader<Batch>> {
//!     DataLoaderBuilder::new(Batches).batch_size(2).build(InMemDataset::new(points.clone()))
//! };
//! let model = Line { layer: LinearConfig::new(1, 1).init(&device) };
//! let model = SamModel::new(model, SamConfig::new().init_gradient()?)?;
//! let result = SupervisedTraining::new(std::env::temp_dir(), loader(), loader())
//!     .metrics((LossMetric::new(),))
//!     .with_metric_logger(InMemoryMetricLogger::new())
//!     .with_application_logger(None)
//!     .num_epochs(2)
//!     .launch(Learner::new(model, AdamConfig::new().init(), ConstantLr::new(0.1)));
//! assert!(result.error.is_none());
//! assert_eq!(result.model.skipped(), 0);
//! let line = result.model.into_model();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Accumulation and several devices
//!
//! burn-train's gradient accumulation and its multi-device training add the gradients of training steps. Each step
//! has an ascent of its own, from its own batch: what the SAM paper calls m-sharpness, m being the batch of one step.
//! A [`Sam`](crate::Sam) whose closure accumulates takes one ascent for all.
//!
//! # A model with a step of its own
//!
//! A `TrainStep` can also take the gradient itself and give it to the learner as
//! `TrainOutput { grads: passes.gradients, item }`: see [`SamGradient`](crate::SamGradient).

mod model;

pub use model::SamModel;
