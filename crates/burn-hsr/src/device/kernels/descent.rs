//! From the contractions to the gradient: the launches of [`moments`] and [`pullback`].

use super::batch::Batch;
use super::blocks::Contraction;
use super::buffer::{Buffer, UNITS, product};
use super::common::Loss;
use super::contraction::Blocks;
use super::moments::{self, Measure};
use super::{Sizes, pullback};
use crate::device::problem::Problem;
use crate::device::problem::of_three_layers;
use crate::gradient::HsrGradient;
use crate::sharpness::Sharpness;

/// λ_sup or what is in its place \[1\], and the weights of the gradient.
pub(super) struct Moments {
    pub(super) value: Buffer,
    pub(super) weights: Buffer,
}

impl Batch {
    pub(super) fn moments(&self, problem: &Problem, contraction: &Contraction) -> Option<Moments> {
        let place = &self.place;
        let [s, m, q, r] = &contraction.norms;
        let numbers = s.2 + m.2 + q.2 + r.2;
        // Each unit adds up a few dozen numbers, until there are enough cubes to fill a device.
        let cubes = numbers.div_ceil(32 * UNITS).clamp(1, 256);
        let parts = place.room(cubes);
        let (count, dim) = place.cubes(cubes);
        moments::parts_of_q::launch(
            &place.client,
            count,
            dim,
            s.0.arg(),
            s.1.arg(),
            m.0.arg(),
            m.1.arg(),
            q.0.arg(),
            q.1.arg(),
            r.0.arg(),
            r.1.arg(),
            parts.arg(),
            s.2,
            m.2,
            q.2,
            r.2,
            cubes,
        );
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
        let parameters = problem.dims.parameters() as f64;
        let (value, weights) = (place.room(1), place.room(4));
        let (count, dim) = place.cubes(1);
        moments::moments::launch(
            &place.client,
            count,
            dim,
            parts.arg(),
            self.traces.arg(),
            self.scale.arg(),
            value.arg(),
            weights.arg(),
            cubes,
            self.sizes.samples,
            parameters as f32,
            (parameters - 1.0).sqrt() as f32,
            f32::INFINITY.to_bits(),
            measure,
        );
        Some(Moments { value, weights })
    }

    pub(super) fn pull(
        &self,
        problem: &Problem,
        gram: Blocks,
        contraction: &Contraction,
        moments: &Moments,
    ) -> Option<HsrGradient> {
        let Sizes {
            samples,
            inputs,
            hidden,
            outputs,
            ..
        } = self.sizes;
        let (place, weights) = (&self.place, &moments.weights);
        let units = samples * hidden;
        let or_nothing = |buffer: &Option<Buffer>| buffer.as_ref().unwrap_or(&self.nothing).arg();

        let um = product(
            self.u.matrix([samples, outputs, hidden]),
            contraction.m.matrix([samples, hidden, hidden]),
        )?;
        let [q_bar, of_w2, of_r] = [(); 3].map(|()| place.room(units * outputs));
        let of_hidden = place.room(3 * units);
        let [of_pairs, of_blocks] = &contraction.hidden;
        let [r_first, r_second] = &contraction.r;
        let (count, dim) = place.each(units);
        pullback::adjoints::launch(
            &place.client,
            count,
            dim,
            self.w2.arg(),
            self.derivatives.arg(),
            self.a.arg(),
            self.outputs.arg(),
            self.rows.arg(),
            self.scale.arg(),
            self.u.arg(),
            self.q.arg(),
            um.arg(),
            contraction.m.arg(),
            contraction.q.arg(),
            r_first.arg(),
            r_second.arg(),
            or_nothing(of_pairs),
            or_nothing(of_blocks),
            self.traces.arg(),
            weights.arg(),
            q_bar.arg(),
            of_w2.arg(),
            of_r.arg(),
            of_hidden.arg(),
            samples,
            hidden,
            outputs,
            self.loss,
            gram.cross,
            of_pairs.is_some(),
            of_blocks.is_some(),
        );
        let o_bar = place.room(samples * outputs);
        let (count, dim) = place.each(samples * outputs);
        pullback::of_logits::launch(
            &place.client,
            count,
            dim,
            self.outputs.arg(),
            self.rows.arg(),
            self.scale.arg(),
            self.u.arg(),
            q_bar.arg(),
            of_r.arg(),
            of_hidden.arg(),
            contraction.s.arg(),
            self.traces.arg(),
            weights.arg(),
            o_bar.arg(),
            samples,
            hidden,
            outputs,
            self.loss,
        );
        if self.loss == Loss::Softmax {
            let (count, dim) = place.each(samples);
            pullback::through_softmax::launch(
                &place.client,
                count,
                dim,
                self.outputs.arg(),
                self.rows.arg(),
                o_bar.arg(),
                samples,
                outputs,
            );
        }
        let z_bar = place.room(units);
        let (count, dim) = place.each(units);
        pullback::of_preactivations::launch(
            &place.client,
            count,
            dim,
            self.w2.arg(),
            self.derivatives.arg(),
            of_hidden.arg(),
            o_bar.arg(),
            z_bar.arg(),
            samples,
            hidden,
            outputs,
        );
        let [w2_bar, b2_bar, b1_bar] = [hidden * outputs, outputs, hidden].map(|n| place.room(n));
        let sums = hidden * outputs + outputs + hidden;
        let (count, dim) = place.cubes(sums);
        pullback::of_parameters::launch(
            &place.client,
            count,
            dim,
            of_w2.arg(),
            self.a.arg(),
            o_bar.arg(),
            z_bar.arg(),
            weights.arg(),
            w2_bar.arg(),
            b2_bar.arg(),
            b1_bar.arg(),
            samples,
            hidden,
            outputs,
            sums,
        );

        let z_bar = z_bar.matrix([samples, hidden]);
        let x = self.rows_of(&self.x, inputs);
        let w1_bar = product(x.transpose(), z_bar.clone())?;
        let (count, dim) = place.each(inputs * hidden);
        pullback::checked::launch(
            &place.client,
            count,
            dim,
            w1_bar.arg(),
            weights.arg(),
            inputs * hidden,
        );
        let x_bar = if problem.with_inputs {
            let w1 = self.w1.matrix([inputs, hidden]);
            let x_bar = product(z_bar, w1.transpose())?;
            let [of_pairs, of_blocks] = &contraction.inputs;
            let (count, dim) = place.each(samples * inputs);
            pullback::of_inputs::launch(
                &place.client,
                count,
                dim,
                self.x.arg(),
                or_nothing(of_pairs),
                or_nothing(of_blocks),
                self.traces.arg(),
                weights.arg(),
                x_bar.arg(),
                samples,
                inputs,
                of_pairs.is_some(),
                of_blocks.is_some(),
            );
            Some(x_bar.tensor([samples, inputs]))
        } else {
            None
        };
        let bias = |there: bool, bar: &Buffer, numbers: usize| there.then(|| bar.tensor([numbers]));
        Some(of_three_layers(
            moments.value.tensor([1]),
            [
                w1_bar.tensor([inputs, hidden]),
                w2_bar.tensor([hidden, outputs]),
            ],
            [
                bias(problem.dims.hidden_bias, &b1_bar, hidden),
                bias(problem.dims.output_bias, &b2_bar, outputs),
            ],
            x_bar,
        ))
    }
}
