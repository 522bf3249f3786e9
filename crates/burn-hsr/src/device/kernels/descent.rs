//! From the contractions to the gradient: the launches of [`moments`] and [`pullback`].

use cubecl::prelude::*;

use super::batch::Batch;
use super::blocks::Contraction;
use super::buffer::{Buffer, product};
use super::common::Loss;
use super::moments::{self, Measure};
use super::pullback;
use crate::device::problem::{Problem, of_three_layers};
use crate::gradient::HsrGradient;
use crate::sharpness::Sharpness;

impl<F: Float> Batch<F> {
    /// λ_sup or what is in its place \[1\]; the weights of the gradient are left in the state.
    pub(super) fn moments(&self, problem: &Problem, contraction: &Contraction) -> Option<Buffer> {
        let measure = match problem.config.sharpness {
            Sharpness::LambdaSup => Measure::LambdaSup,
            Sharpness::Trace => Measure::Trace,
            Sharpness::Frobenius => Measure::Frobenius,
            Sharpness::LambdaMax
            | Sharpness::GradientNorm
            | Sharpness::LambdaBlock
            | Sharpness::LambdaDiagonal
            | Sharpness::GaussNewton => return None,
        };
        let (place, at) = (&self.place, &self.at);
        let [output, cross] = contraction.norms.each_ref().map(Buffer::arg);
        let coupled = contraction.r[0].arg();
        let (count, dim) = place.cubes(at.cubes);
        moments::parts_of_q::launch::<F>(
            &place.client,
            count,
            dim,
            output,
            cross,
            coupled,
            self.state.arg(),
            at.arg(),
            self.gram,
        );
        let value = place.room(1);
        let (count, dim) = place.cubes(1);
        moments::moments::launch::<F>(
            &place.client,
            count,
            dim,
            value.arg(),
            self.state.arg(),
            at.arg(),
            problem.dims.parameters(),
            f32::INFINITY.to_bits(),
            measure,
        );
        Some(value)
    }

    /// The gradient with that value.
    pub(super) fn pull(
        &self,
        problem: &Problem,
        contraction: &Contraction,
        value: Buffer,
    ) -> Option<HsrGradient> {
        let (place, client, at) = (&self.place, &self.place.client, &self.at);
        let [samples, inputs, hidden, outputs] = [at.samples, at.inputs, at.hidden, at.outputs];
        let state = || self.state.arg();
        let units = samples * hidden;

        let [r_first, r_second] = &contraction.r;
        let (count, dim) = place.each(units);
        pullback::adjoints::launch::<F>(
            client,
            count,
            dim,
            self.w2.arg(),
            contraction.q.arg(),
            r_first.arg(),
            r_second.arg(),
            state(),
            at.arg(),
            self.loss,
            self.gram.cross,
        );
        let (count, dim) = place.each(samples * outputs);
        let s = contraction.s.arg();
        pullback::of_logits::launch::<F>(client, count, dim, s, state(), at.arg(), self.loss);
        if self.loss == Loss::Softmax {
            let (count, dim) = place.each(samples);
            pullback::through_softmax::launch::<F>(client, count, dim, state(), at.arg());
        }
        let (count, dim) = place.each(units);
        pullback::of_preactivations::launch::<F>(
            client,
            count,
            dim,
            self.w2.arg(),
            self.or_nothing(&contraction.hidden),
            state(),
            at.arg(),
            contraction.hidden.is_some(),
            self.assembled.output || self.assembled.cross,
        );
        let [w2_bar, b2_bar, b1_bar] = [hidden * outputs, outputs, hidden].map(|n| place.room(n));
        let (count, dim) = place.cubes(hidden * outputs + outputs + hidden);
        pullback::of_parameters::launch::<F>(
            client,
            count,
            dim,
            w2_bar.arg(),
            b2_bar.arg(),
            b1_bar.arg(),
            state(),
            at.arg(),
        );

        let z_bar = || self.part(at.z_bar, hidden);
        let x = self.x.matrix(0, [samples, inputs]);
        let w1_bar = product(x.transpose(), z_bar())?;
        let x_bar = match problem.with_inputs {
            true => {
                let w1 = self.w1.matrix(0, [inputs, hidden]);
                Some(product(z_bar(), w1.transpose())?)
            }
            false => None,
        };
        let (count, dim) = place.each(inputs * hidden.max(samples));
        pullback::of_first_layer::launch::<F>(
            client,
            count,
            dim,
            self.x.arg(),
            self.or_nothing(&contraction.inputs),
            w1_bar.arg(),
            self.or_nothing(&x_bar),
            state(),
            at.arg(),
            problem.with_inputs,
            contraction.inputs.is_some(),
            self.assembled.hidden || self.assembled.cross,
        );
        let bias = |there: bool, bar: &Buffer, numbers: usize| there.then(|| bar.tensor([numbers]));
        Some(of_three_layers(
            value.tensor([1]),
            [
                w1_bar.tensor([inputs, hidden]),
                w2_bar.tensor([hidden, outputs]),
            ],
            [
                bias(problem.dims.hidden_bias, &b1_bar, hidden),
                bias(problem.dims.output_bias, &b2_bar, outputs),
            ],
            x_bar.map(|x_bar| x_bar.tensor([samples, inputs])),
        ))
    }
}
