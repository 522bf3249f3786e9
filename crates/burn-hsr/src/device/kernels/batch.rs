//! The per-sample quantities: the launches of [`forward`].

use core::marker::PhantomData;

use burn::tensor::{Tensor, TensorData};
use cubecl::prelude::*;
use hsr_core::{BlockEvaluation, OutputLoss};

use super::activation::Function;
use super::buffer::{Buffer, Matrix, Place, product};
use super::common::Loss;
use super::forward::{self, Kind, Labels};
use super::layout::{Blocks, Layout};
use crate::device::problem::Problem;
use crate::targets;

/// The per-sample quantities of theory §1 in the type `F`.
pub(super) struct Batch<F> {
    pub(super) place: Place,
    /// What kernels compute for kernels; where, says the layout.
    pub(super) state: Buffer,
    pub(super) at: Layout,
    pub(super) gram: Blocks,
    pub(super) assembled: Blocks,
    pub(super) loss: Loss,
    pub(super) x: Buffer,
    pub(super) w1: Buffer,
    pub(super) w2: Buffer,
    /// Bound where a kernel was compiled without what would be bound.
    pub(super) nothing: Buffer,
    float: PhantomData<F>,
}

impl<F: Float> Batch<F> {
    pub(super) fn run(problem: &Problem) -> Option<Self> {
        let function = Function::of(problem.activation)?;
        let loss = match problem.config.loss.kind {
            OutputLoss::SoftmaxCrossEntropy => Loss::Softmax,
            OutputLoss::SigmoidCrossEntropy => Loss::Sigmoid,
            OutputLoss::MeanSquaredError => Loss::Squared,
        };
        let x = Buffer::of(problem.inputs.clone())?;
        let [w1, w2] = problem.weights.clone();
        let place = Place::of(&x);
        let ([samples, _], step) = (problem.inputs.dims(), place.step());
        let (dims, plan) = (&problem.dims, problem.plan);
        let (at, numbers) = Layout::of(dims, samples, plan, problem.with_inputs, step);
        if !place.is_sufficient(numbers) {
            return None;
        }
        let batch = Self {
            state: place.room(numbers),
            nothing: place.room(1),
            at,
            gram: Blocks::of(problem.plan, BlockEvaluation::Gram),
            assembled: Blocks::of(problem.plan, BlockEvaluation::Assembled),
            loss,
            x,
            w1: Buffer::of(w1)?,
            w2: Buffer::of(w2)?,
            place,
            float: PhantomData,
        };
        let (client, state) = (&batch.place.client, || batch.state.arg());
        let bias = |layer: usize| match &problem.biases[layer] {
            Some(bias) => Buffer::of(bias.clone()),
            None => Some(batch.nothing.clone()),
        };

        let [samples, inputs, hidden, outputs] = [at.samples, at.inputs, at.hidden, at.outputs];
        let w1 = batch.w1.matrix(0, [inputs, hidden]);
        let z = product(batch.x.matrix(0, [samples, inputs]), w1)?;
        let (count, dim) = batch.place.each(samples * hidden);
        let (bias_of_z, with_bias) = (bias(0)?.arg(), problem.dims.hidden_bias);
        forward::activate::launch::<F>(
            client,
            count,
            dim,
            z.arg(),
            bias_of_z,
            state(),
            at.arg(),
            with_bias,
            function,
        );
        let w2 = batch.w2.matrix(0, [hidden, outputs]);
        let o = product(batch.part(at.a, hidden), w2)?;
        batch.residuals(problem, &o, &bias(1)?)?;
        let (count, dim) = batch.place.cubes(1);
        forward::scale_of::launch::<F>(client, count, dim, state(), at.arg());
        let (count, dim) = batch.place.each(samples * hidden.max(outputs * outputs));
        let (w2, pairs) = (batch.w2.arg(), batch.gram.cross);
        forward::jacobians::launch::<F>(client, count, dim, w2, state(), at.arg(), loss, pairs);
        let (count, dim) = batch.place.cubes(samples);
        forward::traces_of::launch::<F>(client, count, dim, batch.x.arg(), state(), at.arg());
        Some(batch)
    }

    /// A quantity with so many numbers for each sample.
    pub(super) fn part(&self, start: usize, columns: usize) -> Matrix {
        self.state.matrix(start, [self.at.samples, columns])
    }

    /// As an argument of a kernel that reads it where it is there.
    pub(super) fn or_nothing(&self, buffer: &Option<Buffer>) -> BufferArg {
        buffer.as_ref().unwrap_or(&self.nothing).arg()
    }

    /// Launches [`forward::residuals`] for the targets as they are.
    fn residuals(&self, problem: &Problem, o: &Buffer, bias: &Buffer) -> Option<()> {
        let outputs = self.at.outputs;
        let targets = &problem.targets;
        let dtype = problem.inputs.dtype();
        let (values, classes, labels) = match &targets.labels {
            targets::Labels::Values(values) => {
                let values = Buffer::of(values.clone().inner().cast(dtype))?;
                (Some(values), None, Labels::Values)
            }
            targets::Labels::Classes(classes) => {
                let labels = match (outputs, self.loss) {
                    (1, Loss::Softmax) => Labels::Single,
                    (1, _) => Labels::Numbers,
                    _ => Labels::Classes,
                };
                let classes = Buffer::of_indices(classes.clone().inner())?;
                (None, Some(classes), labels)
            }
        };
        let sample_weights = match &targets.sample_weights {
            Some(weights) => Some(Buffer::of(weights.clone().inner().cast(dtype))?),
            None => None,
        };
        let class_weights = match &problem.config.loss.class_weights {
            Some(weights) => {
                let data = TensorData::new(weights.clone(), [outputs]);
                let place = (&problem.inputs.device(), dtype);
                Some(Buffer::of(Tensor::<1>::from_data(data, place))?)
            }
            None => None,
        };
        let (count, dim) = self.place.each(self.at.samples);
        forward::residuals::launch::<F>(
            &self.place.client,
            count,
            dim,
            o.arg(),
            bias.arg(),
            self.or_nothing(&values),
            self.or_nothing(&classes),
            self.or_nothing(&sample_weights),
            self.or_nothing(&class_weights),
            self.state.arg(),
            self.at.arg(),
            problem.dims.output_bias,
            Kind {
                loss: self.loss,
                labels,
                sample_weights: sample_weights.is_some(),
                class_weights: class_weights.is_some(),
                smoothing: problem.config.loss.softmax_smoothing().to_bits(),
            },
        );
        Some(())
    }
}
