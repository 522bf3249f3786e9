//! The per-sample quantities: the launches of [`forward`].

use burn::tensor::{Tensor, TensorData};
use hsr_core::{BlockEvaluation, OutputLoss};

use super::Sizes;
use super::activation::Function;
use super::buffer::{Buffer, Matrix, Place, product};
use super::common::Loss;
use super::forward::{self, Labels};
use crate::device::problem::Problem;
use crate::targets;

/// The per-sample quantities of theory §1; the packed buffers are described in [`forward`].
pub(super) struct Batch {
    pub(super) place: Place,
    pub(super) sizes: Sizes,
    pub(super) loss: Loss,
    pub(super) x: Buffer,
    pub(super) w1: Buffer,
    pub(super) w2: Buffer,
    pub(super) a: Buffer,
    pub(super) derivatives: Buffer,
    pub(super) outputs: Buffer,
    pub(super) rows: Buffer,
    pub(super) scale: Buffer,
    /// S \[N, K, K\], U, Q, R and R + 2F \[N, K, h\], M \[N, h, h\].
    pub(super) s: Buffer,
    pub(super) u: Buffer,
    pub(super) q: Buffer,
    pub(super) r: Buffer,
    pub(super) coupled: Buffer,
    pub(super) m: Buffer,
    pub(super) traces: Buffer,
    /// Bound where a kernel was compiled without what would be bound.
    pub(super) nothing: Buffer,
}

impl Batch {
    pub(super) fn run(problem: &Problem) -> Option<Self> {
        let dims = problem.dims;
        let [samples, _] = problem.inputs.dims();
        let sizes = Sizes {
            samples,
            inputs: dims.inputs,
            hidden: dims.hidden,
            outputs: dims.outputs,
            inputs_extended: dims.inputs + usize::from(dims.hidden_bias),
            hidden_extended: dims.hidden + usize::from(dims.output_bias),
        };
        let (function, slope) = Function::of(problem.activation)?;
        let loss = match problem.config.loss {
            OutputLoss::SoftmaxCrossEntropy => Loss::Softmax,
            OutputLoss::SigmoidCrossEntropy => Loss::Sigmoid,
            OutputLoss::MeanSquaredError => Loss::Squared,
        };
        let x = Buffer::of(problem.inputs.clone())?;
        let [w1, w2] = problem.weights.clone();
        let (w1, w2) = (Buffer::of(w1)?, Buffer::of(w2)?);
        let place = Place::of(&x);
        if !place.is_sufficient() {
            return None;
        }
        let nothing = place.room(1);
        let bias = |layer: usize| match &problem.biases[layer] {
            Some(bias) => Buffer::of(bias.clone()),
            None => Some(nothing.clone()),
        };

        let Sizes {
            hidden, outputs, ..
        } = sizes;
        let units = samples * hidden;
        let z = product(
            x.matrix([samples, sizes.inputs]),
            w1.matrix([sizes.inputs, hidden]),
        )?;
        let a = place.room(units);
        let derivatives = place.room(3 * units);
        let (count, dim) = place.each(units);
        forward::activate::launch(
            &place.client,
            count,
            dim,
            z.arg(),
            bias(0)?.arg(),
            a.arg(),
            derivatives.arg(),
            slope,
            units,
            hidden,
            dims.hidden_bias,
            function,
        );
        let o = product(a.matrix([samples, hidden]), w2.matrix([hidden, outputs]))?;
        let (out, rows) = residuals(problem, &place, loss, &o, &bias(1)?, &nothing)?;
        let scale = place.room(3);
        let (count, dim) = place.cubes(1);
        forward::scale_of::launch(
            &place.client,
            count,
            dim,
            out.arg(),
            rows.arg(),
            scale.arg(),
            samples,
            outputs,
        );

        let s = place.room(samples * outputs * outputs);
        let (count, dim) = place.each(samples * outputs * outputs);
        forward::curvature::launch(
            &place.client,
            count,
            dim,
            out.arg(),
            rows.arg(),
            scale.arg(),
            s.arg(),
            samples,
            outputs,
            loss,
        );
        let pairs = problem.plan.cross == BlockEvaluation::Gram;
        let [u, q, r] = [(); 3].map(|()| place.room(units * outputs));
        let coupled = place.room(if pairs { units * outputs } else { 1 });
        let (count, dim) = place.each(units);
        forward::jacobians::launch(
            &place.client,
            count,
            dim,
            w2.arg(),
            derivatives.arg(),
            a.arg(),
            out.arg(),
            rows.arg(),
            scale.arg(),
            u.arg(),
            q.arg(),
            r.arg(),
            coupled.arg(),
            samples,
            hidden,
            outputs,
            loss,
            pairs,
        );
        let m = place.room(units * hidden);
        let (count, dim) = place.each(units * hidden);
        forward::hidden_hessian::launch(
            &place.client,
            count,
            dim,
            u.arg(),
            q.arg(),
            w2.arg(),
            derivatives.arg(),
            out.arg(),
            scale.arg(),
            m.arg(),
            samples,
            hidden,
            outputs,
        );
        let traces = place.room(4 * samples);
        let (count, dim) = place.cubes(samples);
        forward::traces_of::launch(
            &place.client,
            count,
            dim,
            x.arg(),
            a.arg(),
            out.arg(),
            m.arg(),
            scale.arg(),
            traces.arg(),
            samples,
            sizes.inputs,
            hidden,
            outputs,
            dims.hidden_bias,
            dims.output_bias,
        );
        Some(Self {
            place,
            sizes,
            loss,
            x,
            w1,
            w2,
            a,
            derivatives,
            outputs: out,
            rows,
            scale,
            s,
            u,
            q,
            r,
            coupled,
            m,
            traces,
            nothing,
        })
    }

    /// x and a as matrices.
    pub(super) fn rows_of(&self, buffer: &Buffer, columns: usize) -> Matrix {
        buffer.matrix([self.sizes.samples, columns])
    }
}

/// Launches [`forward::residuals`] for the targets as they are.
fn residuals(
    problem: &Problem,
    place: &Place,
    loss: Loss,
    o: &Buffer,
    bias: &Buffer,
    nothing: &Buffer,
) -> Option<(Buffer, Buffer)> {
    let [samples, _] = problem.inputs.dims();
    let outputs = problem.dims.outputs;
    let targets = &problem.targets;
    let (values, classes, labels) = match &targets.labels {
        targets::Labels::Values(values) => {
            let values = values.clone().inner().cast(problem.inputs.dtype());
            (Buffer::of(values)?, nothing.clone(), Labels::Values)
        }
        targets::Labels::Classes(classes) => {
            let labels = match (outputs, loss) {
                (1, Loss::Softmax) => Labels::Single,
                (1, _) => Labels::Numbers,
                _ => Labels::Classes,
            };
            let classes = Buffer::of_indices(classes.clone().inner())?;
            (nothing.clone(), classes, labels)
        }
    };
    let sample_weights = match &targets.sample_weights {
        Some(weights) => {
            let weights = weights.clone().inner().cast(problem.inputs.dtype());
            Some(Buffer::of(weights)?)
        }
        None => None,
    };
    let class_weights = match &problem.config.class_weights {
        Some(weights) => {
            let data = TensorData::new(weights.clone(), [outputs]);
            let place = (&problem.inputs.device(), problem.inputs.dtype());
            Some(Buffer::of(Tensor::<1>::from_data(data, place))?)
        }
        None => None,
    };
    let (out, rows) = (place.room(3 * samples * outputs), place.room(3 * samples));
    let (count, dim) = place.each(samples);
    forward::residuals::launch(
        &place.client,
        count,
        dim,
        o.arg(),
        bias.arg(),
        values.arg(),
        classes.arg(),
        sample_weights.as_ref().unwrap_or(nothing).arg(),
        class_weights.as_ref().unwrap_or(nothing).arg(),
        out.arg(),
        rows.arg(),
        problem.config.softmax_smoothing() as f32,
        samples,
        outputs,
        problem.dims.output_bias,
        loss,
        labels,
        sample_weights.is_some(),
        class_weights.is_some(),
    );
    Some((out, rows))
}
