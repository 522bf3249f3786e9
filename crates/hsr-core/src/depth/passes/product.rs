//! Hessian-vector products, and pᵀHv with its gradient: the loss's gradient carried along one direction, or along two
//! (theory-depth §5).

use crate::depth::network::{FeedForward, own_weight};
use crate::depth::passes::pass::Pass;
use crate::depth::rows::{add, add_product, add_product_of_three, add_row_sums, product};
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{row_mut, write_samples};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;

/// One channel of a layer: the quantities along a direction (v or p), or along both.
#[derive(Default)]
struct Channel<T> {
    /// ż_l and ȧ_l, u̇_l and δ̇_l, [n_l].
    z: Buffer<T>,
    a: Buffer<T>,
    u: Buffer<T>,
    delta: Buffer<T>,
}

/// Buffers: the channels of every layer.
#[derive(Default)]
pub struct Product<T> {
    along: Vec<Channel<T>>,
    beside: Vec<Channel<T>>,
    both: Vec<Channel<T>>,
    scratch: Buffer<T>,
    inputs: Buffer<T>,
}

/// What a direction has for the weight of layer `l`, as a matrix; none where that is frozen.
fn weight<'a, T: Number>(network: &FeedForward<T>, v: &'a [T], l: usize) -> Option<Mat<'a, T>> {
    let shape = network.layers()[l].shape();
    let values = network.weight_of(v, l)?;
    Some(Mat::new(values, shape.outputs, shape.inputs, shape.inputs))
}

/// out += w x, where there is w.
fn add_weighted<T: Number>(out: &mut [T], n: usize, w: Option<Mat<T>>, x: Mat<T>) {
    if let Some(w) = w {
        matmul(out, n, Write::Add, T::one(), w, x);
    }
}

fn components<T: Number>(values: &[T], n: usize) -> Mat<'_, T> {
    Mat::new(values, values.len() / n, n, n)
}

/// ż and ȧ of every layer, upward, along the direction `v`.
fn forward_along<T: Number>(
    channels: &mut Vec<Channel<T>>,
    network: &FeedForward<T>,
    pass: &Pass<T>,
    v: &[T],
) {
    let (n, depth) = (pass.stride, pass.depth());
    channels.resize_with(depth, Channel::default);
    for l in 0..depth {
        let (below, from_here) = channels.split_at_mut(l);
        let Channel { z, a, .. } = &mut from_here[0];
        let z = zeros(z, pass.width(l) * n);
        for (i, &bias) in v[network.layout(l).bias].iter().enumerate() {
            row_mut(z, n, i)[..pass.samples].fill(bias);
        }
        add_weighted(z, n, weight(network, v, l), pass.input(l));
        if let Some(below) = below.last() {
            let a_below = components(&below.a, n);
            matmul(z, n, Write::Add, T::one(), own_weight(network, l), a_below);
        }
        if l + 1 < depth {
            product(fit(a, z.len()), &pass.layers[l].d1, z);
            if let (true, Some(below)) = (pass.shapes[l].residual, below.last()) {
                add(a, &below.a);
            }
        }
    }
}

/// u̇ and δ̇ of every layer, downward, along `v`: δ̇_L = S ż_L comes with `channels`.
fn backward_along<T: Number>(
    channels: &mut [Channel<T>],
    network: &FeedForward<T>,
    pass: &mut Pass<T>,
    v: &[T],
) {
    let (n, last) = (pass.stride, pass.depth() - 1);
    let Channel { z, delta, .. } = &mut channels[last];
    pass.output.apply(z, fit(delta, z.len()));
    for l in (0..last).rev() {
        let (from_below, above) = channels.split_at_mut(l + 1);
        let (Channel { z, u, delta, .. }, above) = (&mut from_below[l], &above[0]);
        let layer = &pass.layers[l];
        let u = fit(u, pass.width(l) * n);
        let weight_above = own_weight(network, l + 1).t();
        let delta_above = components(&above.delta, n);
        matmul(u, n, Write::Replace, T::one(), weight_above, delta_above);
        let delta_plain = components(&pass.layers[l + 1].delta, n);
        let direction = weight(network, v, l + 1).map(Mat::t);
        add_weighted(u, n, direction, delta_plain);
        if pass.shapes[l + 1].residual {
            add(u, &above.u);
        }
        product(fit(delta, u.len()), &layer.d1, u);
        add_product(delta, &layer.c, z);
    }
}

/// Adds `factor`·Σ_n δ aᵀ for the weight of layer `l`, unless it is frozen.
fn add_gradient<T: Number>(
    out: &mut [T],
    network: &FeedForward<T>,
    l: usize,
    factor: T,
    delta: &[T],
    a: Mat<T>,
    n: usize,
) {
    let inputs = network.layers()[l].shape().inputs;
    if let Some(out) = network.weight_of_mut(out, l) {
        let delta = components(delta, n);
        matmul(out, inputs, Write::Add, factor, delta, a.t());
    }
}

impl<T: Number> Product<T> {
    /// `product = H v`, where `pass` has been through both directions; its r and S are divided by σ. What is found on the
    /// way is kept for [`bilinear`](Self::bilinear).
    ///
    /// Where the gradient for the inputs of vᵀ∇L is wanted, it is u̇_0 = W_1ᵀδ̇_1 + V_1ᵀδ_1 + ρ_1u̇_1.
    pub fn hessian_vector(
        &mut self,
        network: &FeedForward<T>,
        pass: &mut Pass<T>,
        v: &[T],
        product: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) {
        forward_along(&mut self.along, network, pass, v);
        backward_along(&mut self.along, network, pass, v);
        let sigma = pass.output.sigma;
        self.write_product(network, pass, sigma, product);
        if let Some(out) = input_gradient {
            let n = pass.stride;
            let first = &self.along[0];
            let u = fit(&mut self.inputs, network.inputs() * n);
            let delta = components(&first.delta, n);
            matmul(
                u,
                n,
                Write::Replace,
                T::one(),
                own_weight(network, 0).t(),
                delta,
            );
            let plain = components(&pass.layers[0].delta, n);
            add_weighted(u, n, weight(network, v, 0).map(Mat::t), plain);
            if pass.shapes[0].residual {
                add(u, &first.u);
            }
            write_samples(out, u, n, sigma);
        }
    }

    /// (Hv)_l = Σ_n (δ̇_l a_{l−1}ᵀ + δ_l ȧ_{l−1}ᵀ, δ̇_l).
    fn write_product(&self, network: &FeedForward<T>, pass: &Pass<T>, sigma: T, product: &mut [T]) {
        let n = pass.stride;
        product.fill(T::zero());
        for (l, channel) in self.along.iter().enumerate() {
            add_gradient(product, network, l, sigma, &channel.delta, pass.input(l), n);
            if let Some(below) = l.checked_sub(1) {
                let a = components(&self.along[below].a, n);
                add_gradient(product, network, l, sigma, &pass.layers[l].delta, a, n);
            }
            let bias = &mut product[network.layout(l).bias];
            add_row_sums(bias, sigma, &channel.delta, n);
        }
    }

    /// pᵀHv and, in `gradient`, its gradient with p fixed and v that of the last product
    /// ([`hessian_vector`](Self::hessian_vector)); in `input_gradient`, where given, that for the inputs.
    pub fn bilinear(
        &mut self,
        network: &FeedForward<T>,
        pass: &mut Pass<T>,
        p: &[T],
        v: &[T],
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> T {
        let (n, depth) = (pass.stride, pass.depth());
        let last = depth - 1;
        let sigma = pass.output.sigma;
        forward_along(&mut self.beside, network, pass, p);
        self.forward_both(network, pass, v, p);

        // δᵛᵖ_L = S zᵛᵖ + (∂S·zᵖ) zᵛ.
        let both = &mut self.both[last];
        pass.output
            .apply(&both.z, fit(&mut both.delta, pass.width(last) * n));
        pass.output
            .add_derivative(&self.beside[last].z, &self.along[last].z, &mut both.delta);
        backward_along(&mut self.beside, network, pass, p);
        self.backward_both(network, pass, v, p);

        gradient.fill(T::zero());
        for l in 0..depth {
            let (along, beside, both) = (&self.along[l], &self.beside[l], &self.both[l]);
            add_gradient(gradient, network, l, sigma, &both.delta, pass.input(l), n);
            add_row_sums(&mut gradient[network.layout(l).bias], sigma, &both.delta, n);
            let Some(below) = l.checked_sub(1) else {
                continue;
            };
            for (delta, a) in [
                (&along.delta, &self.beside[below].a),
                (&beside.delta, &self.along[below].a),
                (&pass.layers[l].delta, &self.both[below].a),
            ] {
                add_gradient(gradient, network, l, sigma, delta, components(a, n), n);
            }
        }
        if let Some(out) = input_gradient {
            // uᵛᵖ at layer 0.
            let u = fit(&mut self.inputs, network.inputs() * n);
            let first = &self.both[0];
            let of = |values| components(values, n);
            let own = own_weight(network, 0).t();
            matmul(u, n, Write::Replace, T::one(), own, of(&first.delta));
            for (direction, delta) in [(v, &self.beside[0].delta), (p, &self.along[0].delta)] {
                add_weighted(u, n, weight(network, direction, 0).map(Mat::t), of(delta));
            }
            if pass.shapes[0].residual {
                add(u, &first.u);
            }
            write_samples(out, u, n, sigma);
        }
        sigma * self.value(pass)
    }

    /// pᵀHv = Σ_n zᵖ_L·S zᵛ_L + Σ_l c_l∘zᵛ_l·zᵖ_l + δ·(V aᵖ + P aᵛ): what is left of the second derivative of the loss
    /// along both directions, that is Σ_n δᵛ_L·zᵖ_L + r·zᵛᵖ_L.
    fn value(&self, pass: &Pass<T>) -> T {
        let last = pass.depth() - 1;
        crate::depth::rows::dot(&self.along[last].delta, &self.beside[last].z)
            + crate::depth::rows::dot(&pass.layers[last].delta, &self.both[last].z)
    }

    /// zᵛᵖ and aᵛᵖ, upward.
    fn forward_both(&mut self, network: &FeedForward<T>, pass: &Pass<T>, v: &[T], p: &[T]) {
        let (n, depth) = (pass.stride, pass.depth());
        self.both.resize_with(depth, Channel::default);
        for l in 0..depth {
            let (below, from_here) = self.both.split_at_mut(l);
            let Channel { z, a, .. } = &mut from_here[0];
            let z = zeros(z, pass.width(l) * n);
            if let Some(below) = below.last() {
                let (a_v, a_p) = (&self.along[l - 1].a, &self.beside[l - 1].a);
                for (weight, a) in [
                    (Some(own_weight(network, l)), &below.a),
                    (weight(network, v, l), a_p),
                    (weight(network, p, l), a_v),
                ] {
                    add_weighted(z, n, weight, components(a, n));
                }
            }
            if l + 1 < depth {
                let layer = &pass.layers[l];
                let (z_v, z_p) = (&self.along[l].z, &self.beside[l].z);
                product(fit(a, z.len()), &layer.d1, z);
                add_product_of_three(a, &layer.d2, z_v, z_p);
                if let (true, Some(below)) = (pass.shapes[l].residual, below.last()) {
                    add(a, &below.a);
                }
            }
        }
    }

    /// uᵛᵖ and δᵛᵖ, downward; δᵛᵖ_L is there.
    fn backward_both(&mut self, network: &FeedForward<T>, pass: &Pass<T>, v: &[T], p: &[T]) {
        let (n, last) = (pass.stride, pass.depth() - 1);
        for l in (0..last).rev() {
            let (from_below, above) = self.both.split_at_mut(l + 1);
            let (Channel { z, u, delta, .. }, above) = (&mut from_below[l], &above[0]);
            let (along, beside) = (&self.along[l], &self.beside[l]);
            let layer = &pass.layers[l];
            let u = zeros(u, pass.width(l) * n);
            for (weight, delta) in [
                (Some(own_weight(network, l + 1)), &above.delta),
                (weight(network, v, l + 1), &self.beside[l + 1].delta),
                (weight(network, p, l + 1), &self.along[l + 1].delta),
            ] {
                add_weighted(u, n, weight.map(Mat::t), components(delta, n));
            }
            if pass.shapes[l + 1].residual {
                add(u, &above.u);
            }
            // δᵛᵖ = d1uᵛᵖ + d2(zᵖuᵛ + zᵛuᵖ + zᵛᵖu) + d3 zᵛzᵖu.
            let bent = zeros(&mut self.scratch, u.len());
            add_product(bent, &beside.z, &along.u);
            add_product(bent, &along.z, &beside.u);
            add_product(bent, z, &layer.u);
            product(fit(delta, u.len()), &layer.d1, u);
            add_product(delta, &layer.d2, bent);
            product(bent, &along.z, &beside.z);
            add_product_of_three(delta, &layer.d3, bent, &layer.u);
        }
    }
}
