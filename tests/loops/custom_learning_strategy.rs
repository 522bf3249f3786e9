//! Burn's `custom-learning-strategy`: burn-train with a training loop of one's own inside. The strategy knows no HSR, which
//! sits in the model: a three-layer network in an [`HsrModel`], with the batch of this project.

use std::sync::Arc;

use burn::optim::AdamConfig;
use burn::prelude::*;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, LearnerModel,
    SupervisedLearningStrategy, SupervisedTraining, SupervisedTrainingEventProcessor, TrainLoader,
    TrainStep, TrainingComponents, TrainingItem, TrainingStrategy, ValidLoader,
};
use burn_hsr::train::{HsrModel, HsrOutput, LearnerBatch}; // HSR
use burn_hsr::{HsrConfig, Targets, ThreeLayerNet, ThreeLayerNetConfig}; // HSR
use burn_sharpness::SamConfig;
use burn_sharpness::train::SamModel;

use crate::data::{MnistBatch, digit_batch, digit_loader, number};
use crate::{Error, Method, Outcome};

/// What the learner has to know of a batch.
impl LearnerBatch for MnistBatch {
    fn inputs_and_targets(self) -> (Tensor<2>, Targets) {
        (self.images.flatten(1, 2), self.targets.into()) // HSR
    }
}

type Wrapped = HsrModel<ThreeLayerNet, MnistBatch>;

const SAMPLES: usize = 256;

fn measure(model: &Wrapped) -> Result<(f32, f64), Error> {
    let batch = digit_batch(SAMPLES, &Device::flex());
    let (inputs, targets) = batch.clone().inputs_and_targets();
    let bounds = model.hsr().bounds(&model.model, inputs, targets)?;
    Ok((
        number(InferenceStep::step(model, batch).loss),
        bounds.lambda_sup,
    ))
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let hsr = HsrConfig::new()
        .with_strength(method.strength(0.05))
        .init()?; // HSR
    let network = ThreeLayerNetConfig::new(64, 16, 10).init(&device);
    let model = Wrapped::new(network, hsr)?; // HSR
    let (before, _) = measure(&model.valid())?;
    let trained = if method == Method::Sam {
        let sam = SamConfig::new().with_rho(0.05).init_gradient()?;
        launch(SamModel::new(model, sam)?, device)?.into_model()
    } else {
        launch(model, device)?
    };
    let (after, lambda_sup) = measure(&trained)?;
    Ok(Outcome {
        before,
        after,
        lambda_sup,
    })
}

fn launch<M>(model: M, device: Device) -> Result<M, Error>
where
    M: LearnerModel
        + TrainStep<Input = MnistBatch, Output = HsrOutput>
        + InferenceStep<Input = MnistBatch, Output = HsrOutput>,
{
    let directory = tempfile::tempdir()?;
    let result = SupervisedTraining::new(
        directory.path(),
        digit_loader(SAMPLES, 64, &device),
        digit_loader(SAMPLES, 64, &device),
    )
    .metrics((AccuracyMetric::new(), LossMetric::new()))
    .with_metric_logger(InMemoryMetricLogger::new())
    .with_application_logger(None)
    .num_epochs(8)
    .with_training_strategy(TrainingStrategy::Custom(Arc::new(
        MyCustomLearningStrategy { device },
    )))
    .launch(Learner::new(model, AdamConfig::new().init(), 1e-2));
    match result.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(result.model),
    }
}

struct MyCustomLearningStrategy {
    device: Device,
}

impl<M: LearnerModel> SupervisedLearningStrategy<M> for MyCustomLearningStrategy {
    fn fit(
        &self,
        training_components: TrainingComponents<M>,
        mut learner: Learner<M>,
        dataloader_train: TrainLoader<M>,
        dataloader_valid: ValidLoader<M>,
        starting_epoch: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        let dataloader_train = dataloader_train.to_device(&self.device);
        let dataloader_valid = dataloader_valid.to_device(&self.device.clone().inner());
        learner.fork(&self.device);
        let mut event_processor = training_components.event_processor;
        let interrupter = training_components.interrupter;

        for epoch in starting_epoch..training_components.num_epochs + 1 {
            interrupter.fail_on_error(event_processor.process_train(LearnerEvent::StartSplit {
                epoch_number: epoch,
                total_items: dataloader_train.num_items(),
            }));
            let mut iterator = dataloader_train.iter();
            let mut iteration = 0;
            while let Some(Ok(item)) = iterator.next() {
                iteration += 1;
                learner.lr_step();
                let progress = iterator.progress();
                let item = learner.train_step(item);
                learner.optimizer_step(item.grads);
                let lr = Some(learner.lr_current());
                let item = TrainingItem::new(item.item, progress, Some(iteration), lr);
                let event = LearnerEvent::ProcessedItem(item);
                interrupter.fail_on_error(event_processor.process_train(event));
                if interrupter.should_stop() {
                    break;
                }
            }
            let event = LearnerEvent::EndSplit(epoch);
            interrupter.fail_on_error(event_processor.process_train(event));

            let model_valid = learner.model().valid();
            interrupter.fail_on_error(event_processor.process_valid(LearnerEvent::StartSplit {
                epoch_number: epoch,
                total_items: dataloader_valid.num_items(),
            }));
            let mut iterator = dataloader_valid.iter();
            let mut iteration = 0;
            while let Some(Ok(item)) = iterator.next() {
                iteration += 1;
                let progress = iterator.progress();
                let item = InferenceStep::step(&model_valid, item);
                let item = TrainingItem::new(item, progress, Some(iteration), None);
                let event = LearnerEvent::ProcessedItem(item);
                interrupter.fail_on_error(event_processor.process_valid(event));
            }
            let event = LearnerEvent::EndSplit(epoch);
            interrupter.fail_on_error(event_processor.process_valid(event));
            let event = LearnerEvent::EndEpoch(epoch);
            interrupter.fail_on_error(event_processor.process_train(event));
        }
        (learner.model(), event_processor)
    }
}
