//! The reverse mode of everything below the blocks: from the adjoints of Q, A, δ and a to the gradient for parameters
//! and inputs (theory-depth §4).

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::Adjoints;
use crate::depth::network::{FeedForward, own_weight};
use crate::depth::objective::Weights;
use crate::depth::passes::pass::{Part, Pass, through_activation};
use crate::depth::passes::tangents::{Tangents, traces};
use crate::depth::reverse::bars::{Bars, Point};
use crate::depth::reverse::tangents::pull_back;
use crate::depth::rows;
use crate::evaluation::out::Out;
use crate::evaluation::team::Team;
use crate::numeric::buffer::fit;
use crate::numeric::lanes::{row_mut, write_samples};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;

impl<T: Number> Bars<T> {
    /// The gradient of what has these weights; `adjoints` holds those of the blocks with weight 1.
    pub fn pull_back(
        &mut self,
        point: Point<T>,
        adjoints: &mut Adjoints<T>,
        weights: &Weights,
        out: Out<T>,
        team: Team,
    ) {
        let Point {
            network,
            pass,
            part,
            tangents,
        } = point;
        let Out { parameters, inputs } = out;
        self.clear(pass);
        parameters.fill(T::zero());
        self.gather(pass, tangents, adjoints, weights);
        pull_back(point, adjoints, self, parameters, team);
        match part {
            Part::Whole | Part::Residual => self.backward_vectors(network, pass, parameters),
            // The Gauss-Newton part does not depend on the residual.
            Part::GaussNewton => self.delta.iter_mut().for_each(|d| d.fill(T::zero())),
        }
        self.forward_pass(network, pass, parameters, inputs.is_some());
        let sigma = pass.output.sigma;
        rows::scale(parameters, sigma);
        if let Some(inputs) = inputs {
            write_samples(inputs, &self.input[0], pass.stride, sigma);
        }
    }

    /// Weights the blocks' adjoints and adds those of the traces.
    fn gather(
        &mut self,
        pass: &Pass<T>,
        tangents: &Tangents<T>,
        adjoints: &mut Adjoints<T>,
        weights: &Weights,
    ) {
        let (n, depth) = (pass.stride, pass.depth());
        for id in BlockId::every(depth) {
            if id.is_empty(&pass.shapes) {
                continue;
            }
            let weight = T::of(weights.block(id));
            let block = adjoints.block(id);
            rows::scale(&mut block.q, weight);
            rows::scale(&mut block.a, weight);
            rows::add_scaled(&mut self.input[id.column], weight, &block.lower);
            if !id.is_diagonal() {
                rows::add_scaled(&mut self.delta[id.row], weight, &block.delta);
                rows::add_scaled(&mut self.input[id.row], weight, &block.upper);
            }
        }
        let last = depth - 1;
        rows::add(
            &mut self.curvature,
            &adjoints.block(BlockId::new(last, last)).q,
        );
        for l in 0..depth {
            if !pass.shapes[l].is_trained() {
                continue;
            }
            let weight = T::of(weights.traces[l]);
            pass.input_squared(l, &mut self.squares);
            rows::scale(&mut self.squares, weight);
            let width = pass.width(l);
            let q = &mut adjoints.block(BlockId::new(l, l)).q;
            for i in 0..width {
                if l == last {
                    let (bar, squares) = (&mut self.curvature, &self.squares);
                    let output = &pass.output;
                    output.add_adjoint_of_packed(bar, squares, &[(i, i)], 0, n);
                } else {
                    rows::add(row_mut(q, n, i * (width + 1)), &self.squares);
                }
            }
            if pass.shapes[l].weight_frozen {
                continue;
            }
            traces(pass, tangents, l, &mut self.traces);
            rows::scale(&mut self.traces, T::of(2.0) * weight);
            for (bar, input) in self.input[l]
                .chunks_exact_mut(n)
                .zip(pass.input_values(l).chunks_exact(n))
            {
                rows::add_product(bar, input, &self.traces);
            }
        }
    }

    /// theory-depth §4.3, upward.
    fn backward_vectors(&mut self, network: &FeedForward<T>, pass: &Pass<T>, gradient: &mut [T]) {
        let n = pass.stride;
        for l in 0..pass.depth() - 1 {
            let layer = &pass.layers[l];
            let (below, from_here) = self.u.split_at_mut(l);
            let u_bar = &mut from_here[0];
            rows::add_product(u_bar, &self.c[l], &layer.d2);
            rows::add_product(u_bar, &self.delta[l], &layer.d1);
            if let (true, Some(below)) = (pass.shapes[l].residual, below.last()) {
                rows::add(u_bar, below);
            }
            rows::add_product(&mut self.d2[l], &self.c[l], &layer.u);
            rows::add_product(&mut self.d1[l], &self.delta[l], &layer.u);
            let u_bar = Mat::new(u_bar, pass.width(l), n, n);
            let delta_bar = &mut self.delta[l + 1];
            matmul(
                delta_bar,
                n,
                Write::Add,
                T::one(),
                own_weight(network, l + 1),
                u_bar,
            );
            if let Some(weight_bar) = network.weight_of_mut(gradient, l + 1) {
                let delta = Mat::new(&pass.layers[l + 1].delta, pass.width(l + 1), n, n);
                let width = pass.width(l);
                matmul(weight_bar, width, Write::Add, T::one(), delta, u_bar.t());
            }
        }
    }

    /// theory-depth §4.4, downward.
    fn forward_pass(
        &mut self,
        network: &FeedForward<T>,
        pass: &Pass<T>,
        gradient: &mut [T],
        inputs_too: bool,
    ) {
        let (n, last) = (pass.stride, pass.depth() - 1);
        let z = fit(&mut self.z[0], pass.width(last) * n);
        pass.output.pull(&mut self.curvature, &self.delta[last], z);
        for l in (0..=last).rev() {
            let [z, below] = &mut self.z;
            let (width, inputs) = (pass.width(l), pass.shapes[l].inputs);
            let bias_bar = &mut gradient[network.layout(l).bias];
            rows::add_row_sums(bias_bar, T::one(), z, n);
            let z = Mat::new(z, width, n, n);
            if let Some(weight_bar) = network.weight_of_mut(gradient, l) {
                let input = pass.input(l).t();
                matmul(weight_bar, inputs, Write::Add, T::one(), z, input);
            }
            if l == 0 && !inputs_too {
                return;
            }
            let (of_input, above) = self.input.split_at_mut(l + 1);
            let input_bar = &mut of_input[l];
            matmul(
                input_bar,
                n,
                Write::Add,
                T::one(),
                own_weight(network, l).t(),
                z,
            );
            if pass.shapes[l].residual {
                rows::add(input_bar, &above[0]);
            }
            if let Some(l) = l.checked_sub(1) {
                let below = fit(below, pass.width(l) * n);
                through_activation(below, &pass.layers[l], input_bar, &self.d1[l], &self.d2[l]);
                self.z.swap(0, 1);
            }
        }
    }
}
