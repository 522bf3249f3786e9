//! The forward pass (a_l and φ'…φ''') and the backward vectors (δ_l, u_l, c_l): what every verb begins with.

use core::ops::Range;

use pulp::Simd;

use crate::depth::network::{FeedForward, LayerShape};
use crate::depth::passes::output::Output;
use crate::depth::rows::{add, add_product, product, scale};
use crate::error::Error;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::dispatch::{Verb, vectorized};
use crate::numeric::lanes::{finite, read_samples, row_mut, stride};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::problem::activation::Activation;
use crate::problem::batch::{Batch, Normalizer};

/// Which part of the Hessian is evaluated. H is linear in (S, r).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// What is left without r: the Gauss-Newton part.
    GaussNewton,
    /// What is left without S.
    Residual,
}

/// Per-sample quantities of one layer, feature-major.
#[derive(Default)]
pub struct LayerPass<T> {
    /// a_{l−1} and, where the bias is a parameter, a row of ones. Its last m_l rows are x̃_l.
    pub input: Buffer<T>,
    /// φ', φ'', φ''' at z_l, [n_l]; empty in the last layer.
    pub d1: Buffer<T>,
    pub d2: Buffer<T>,
    pub d3: Buffer<T>,
    /// u_l = ∂ℓ/∂a_l and c_l = d2∘u, [n_l]; empty in the last layer.
    pub u: Buffer<T>,
    pub c: Buffer<T>,
    /// δ_l = ∂ℓ/∂z_l, [n_l].
    pub delta: Buffer<T>,
    /// Scratch: z_l, [n_l].
    z: Buffer<T>,
}

/// The state of a network at a batch.
#[derive(Default)]
pub struct Pass<T> {
    pub samples: usize,
    /// Samples a row, padded.
    pub stride: usize,
    pub shapes: Vec<LayerShape>,
    pub layers: Vec<LayerPass<T>>,
    pub output: Output<T>,
}

impl<T: Number> Pass<T> {
    /// L.
    pub fn depth(&self) -> usize {
        self.shapes.len()
    }

    /// n_l of layer `l`, counted from 0.
    pub fn width(&self, l: usize) -> usize {
        self.shapes[l].outputs
    }

    /// a_{l−1} as a matrix of components by samples.
    pub fn input(&self, l: usize) -> Mat<'_, T> {
        let n = self.stride;
        Mat::new(&self.layers[l].input, self.shapes[l].inputs, n, n)
    }

    /// x̃ of layer `l` as a matrix of components by samples.
    pub fn input_extended(&self, l: usize) -> Mat<'_, T> {
        let n = self.stride;
        Mat::new(
            self.extended_values(l),
            self.shapes[l].inputs_extended(),
            n,
            n,
        )
    }

    /// x̃ of layer `l` as values: without a_{l−1} where the weight is frozen.
    pub fn extended_values(&self, l: usize) -> &[T] {
        let shape = &self.shapes[l];
        &self.layers[l].input[(shape.inputs - shape.trained_inputs()) * self.stride..]
    }

    /// a_{l−1} of layer `l` as values.
    pub fn input_values(&self, l: usize) -> &[T] {
        &self.layers[l].input[..self.shapes[l].inputs * self.stride]
    }

    /// Runs the network and its loss on these samples of a checked batch: everything up to the residual r. Gives their
    /// part of the loss.
    pub fn forward(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        normalizer: Normalizer<T>,
        range: Range<usize>,
    ) -> Result<T, Error> {
        let ends = network.ends();
        let samples = range.len();
        let n = stride::<T>(samples);
        self.samples = samples;
        self.stride = n;
        self.shapes.clear();
        self.shapes
            .extend(network.layers().iter().map(|l| l.shape()));
        self.layers
            .resize_with(self.shapes.len(), LayerPass::default);
        self.output.read(batch, &ends, normalizer, range.clone(), n);

        let first = zeros(&mut self.layers[0].input, input_rows(&self.shapes[0]) * n);
        let inputs = &batch.inputs[range.start * ends.inputs..range.end * ends.inputs];
        read_samples(inputs, ends.inputs, first, n);
        self.append_ones(0);
        for l in 0..self.depth() {
            self.linear(network, l);
            if l + 1 < self.depth() {
                self.activate(l);
                if !finite(self.input_values(l + 1)) {
                    return Err(Error::Overflow {
                        what: "a hidden activation",
                    });
                }
            }
        }
        if !finite(&self.output.o) {
            return Err(Error::Overflow { what: "a logit" });
        }
        self.output.residuals(samples)
    }

    /// The row of ones that a bias wants which is a parameter.
    fn append_ones(&mut self, l: usize) {
        if self.shapes[l].trains_bias() {
            let (n, inputs) = (self.stride, self.shapes[l].inputs);
            let ones = row_mut(&mut self.layers[l].input, n, inputs);
            ones[..self.samples].fill(T::one());
            ones[self.samples..].fill(T::zero());
        }
    }

    /// z_l = W a_{l−1} + b; of the last layer the logits.
    fn linear(&mut self, network: &FeedForward<T>, l: usize) {
        let (n, samples) = (self.stride, self.samples);
        let LayerShape {
            inputs, outputs, ..
        } = self.shapes[l];
        let layer = &network.layers()[l];
        let last = l + 1 == self.shapes.len();
        let LayerPass { input, z, .. } = &mut self.layers[l];
        let z = if last { &mut self.output.o } else { z };
        let z = zeros(z, outputs * n);
        for (i, &bias) in layer.bias().iter().enumerate() {
            row_mut(z, n, i)[..samples].fill(bias);
        }
        let weight = Mat::new(layer.weight(), outputs, inputs, inputs);
        let input = Mat::new(input, inputs, n, n);
        matmul(z, n, Write::Add, T::one(), weight, input);
    }

    /// a_l and the derivatives of the activation.
    fn activate(&mut self, l: usize) {
        let (n, samples) = (self.stride, self.samples);
        let LayerShape {
            outputs,
            activation,
            residual,
            ..
        } = self.shapes[l];
        let above = input_rows(&self.shapes[l + 1]);
        let (below, from_next) = self.layers.split_at_mut(l + 1);
        let LayerPass {
            input,
            d1,
            d2,
            d3,
            z,
            ..
        } = &mut below[l];
        let a = &mut fit(&mut from_next[0].input, above * n)[..outputs * n];
        let [d1, d2, d3] = [d1, d2, d3].map(|d| fit(d, outputs * n));
        vectorized(Activate {
            activation,
            z: &z[..],
            out: [&mut *a, &mut *d1, &mut *d2, &mut *d3],
        });
        // Padding samples are 0 wherever they could be counted.
        if samples < n {
            for values in [&mut *a, d1, d2, d3] {
                for row in values.chunks_exact_mut(n) {
                    row[samples..].fill(T::zero());
                }
            }
        }
        if residual {
            add(a, &input[..outputs * n]);
        }
        self.append_ones(l + 1);
    }

    /// σ of these samples.
    pub fn largest(&self) -> T {
        self.output.largest()
    }

    /// Divides r and S by σ. What is found from them after that is too.
    pub fn divide(&mut self, sigma: T) {
        self.output.divide(sigma);
    }

    /// δ, u and c of every layer from the residual (theory-depth §1, "Backward vectors").
    pub fn backward(&mut self, network: &FeedForward<T>, part: Part) {
        let n = self.stride;
        let last = self.depth() - 1;
        let delta = fit(&mut self.layers[last].delta, self.output.outputs * n);
        match part {
            Part::GaussNewton => delta.fill(T::zero()),
            Part::Whole | Part::Residual => delta.copy_from_slice(&self.output.r),
        }
        for l in (0..last).rev() {
            let LayerShape {
                inputs, outputs, ..
            } = self.shapes[l + 1];
            let residual = self.shapes[l + 1].residual;
            let (below, above) = self.layers.split_at_mut(l + 1);
            let (layer, above) = (&mut below[l], &above[0]);
            let weight = Mat::new(network.layers()[l + 1].weight(), outputs, inputs, inputs);
            let u = fit(&mut layer.u, inputs * n);
            let delta = Mat::new(&above.delta, outputs, n, n);
            matmul(u, n, Write::Replace, T::one(), weight.t(), delta);
            if residual {
                add(u, &above.u);
            }
            product(fit(&mut layer.delta, inputs * n), &layer.d1, u);
            product(fit(&mut layer.c, inputs * n), &layer.d2, u);
        }
    }

    /// ∂L/∂θ·(scale) from the backward vectors into `gradient`: Σ_n δ_l a_{l−1}ᵀ and Σ_n δ_l.
    pub fn loss_gradient(&self, network: &FeedForward<T>, factor: T, gradient: &mut [T]) {
        let n = self.stride;
        for (l, layer) in self.layers.iter().enumerate() {
            let shape = self.shapes[l];
            let delta = Mat::new(&layer.delta, shape.outputs, n, n);
            if let Some(weight) = network.weight_of_mut(gradient, l) {
                let input = self.input(l).t();
                matmul(weight, shape.inputs, Write::Replace, factor, delta, input);
            }
            let bias = &mut gradient[network.layout(l).bias];
            bias.fill(T::zero());
            crate::depth::rows::add_row_sums(bias, factor, &layer.delta, n);
        }
    }

    /// ‖x̃_l‖² of every sample.
    pub fn input_squared(&self, l: usize, out: &mut Buffer<T>) {
        let n = self.stride;
        crate::depth::rows::add_squares(zeros(out, n), self.extended_values(l), n);
    }

    /// u_0 = ∂ℓ/∂x = W_1ᵀδ_1 + ρ_1 u_1, times `factor`.
    pub fn input_adjoint(&self, network: &FeedForward<T>, factor: T, out: &mut Buffer<T>) {
        let n = self.stride;
        let shape = self.shapes[0];
        let out = fit(out, shape.inputs * n);
        let weight = Mat::new(
            network.layers()[0].weight(),
            shape.outputs,
            shape.inputs,
            shape.inputs,
        );
        let delta = Mat::new(&self.layers[0].delta, shape.outputs, n, n);
        matmul(out, n, Write::Replace, T::one(), weight.t(), delta);
        if shape.residual {
            add(out, &self.layers[0].u);
        }
        scale(out, factor);
    }
}

/// The rows that the input of a layer takes: a_{l−1} and the ones.
fn input_rows(shape: &LayerShape) -> usize {
    shape.inputs + usize::from(shape.trains_bias())
}

/// The activation of a whole layer, with the widest instructions.
struct Activate<'a, T> {
    activation: Activation,
    z: &'a [T],
    out: [&'a mut [T]; 4],
}

impl<T: Number> Verb for Activate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.activation.derivatives_of(self.z, self.out);
    }
}

/// z̄ = ā∘d1 + d̄1∘d2 + d̄2∘d3 (theory-depth §4.4).
pub(in crate::depth) fn through_activation<T: Number>(
    z_bar: &mut [T],
    layer: &LayerPass<T>,
    a_bar: &[T],
    d1_bar: &[T],
    d2_bar: &[T],
) {
    product(z_bar, a_bar, &layer.d1);
    add_product(z_bar, d1_bar, &layer.d2);
    add_product(z_bar, d2_bar, &layer.d3);
}
