//! Any depth on a device: t and q in tensor operations, by sums over pairs of samples, and their gradient by Burn's
//! autodiff (theory-depth §1 and §2).
//!
//! Autodiff differentiates once, so whatever is a derivative itself enters as value + slope·(z − z̄), with z̄ the number
//! that z is: φ' with slope φ'', S with its derivative. Values are then those of the stable formulas, and no kink of an
//! expression for them is differentiated.
//!
//! Tangents are stored seed-major, `[N, seeds n_l, n_k]`, so that a layer is one plain product with its weight.

use burn::tensor::Tensor;
use hsr_core::OutputLoss;
use hsr_core::depth::LayerShape;

use super::moments::Weighted;
use super::output::{Output, eye};
use super::tensors::flat;
use crate::activation::derivatives;
use crate::config::HsrConfig;
use crate::gradient::{HsrGradient, LayerGradient, ZeroWhere};
use crate::targets::Targets;

/// What is to be evaluated: plain tensors, without autodiff, all of one type.
pub(super) struct Problem<'a> {
    pub config: &'a HsrConfig,
    /// x \[N, n_0\].
    pub inputs: Tensor<2>,
    pub targets: Targets,
    /// W_l \[n_{l−1}, n_l\] and b_l \[n_l\], as Burn has them.
    pub weights: Vec<Tensor<2>>,
    pub biases: Vec<Option<Tensor<1>>>,
    pub shapes: &'a [LayerShape],
    pub with_inputs: bool,
}

/// What a layer is at every sample. All tracked.
struct Layer<'a> {
    shape: &'a LayerShape,
    /// W \[n_{l−1}, n_l\].
    weight: Tensor<2>,
    /// a_{l−1} \[N, n_{l−1}\].
    input: Tensor<2>,
    /// φ' and φ'' \[N, n_l\]; of the last layer 1 and 0.
    slopes: [Tensor<2>; 2],
    /// δ = ∂ℓ/∂z and c = φ''∘∂ℓ/∂a \[N, n_l\].
    delta: Tensor<2>,
    c: Tensor<2>,
}

/// The tangents of one seed layer l: for k = l…L.
struct Tangents {
    /// A_{k−1,l} \[N, n_l, n_{k−1}\]; none for k = l, whose inputs do not move.
    a: Vec<Option<Tensor<3>>>,
    /// Q_{kl} \[N, n_l, n_k\].
    q: Vec<Tensor<3>>,
}

fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(tensor).require_grad()
}

fn constant<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(tensor)
}

/// z − z̄: zero, with the derivative of z.
fn displacement<const D: usize>(z: &Tensor<D>) -> Tensor<D> {
    z.clone() - constant(z.clone().inner())
}

/// `[N, a, b]` times `[b, c]`.
fn through(tangents: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [n, a, b] = tangents.dims();
    let [_, c] = weight.dims();
    tangents
        .reshape([n * a, b])
        .matmul(weight)
        .reshape([n, a, c])
}

/// `[N, b]` for all seeds of `[N, a, b]`.
fn for_seeds(vector: &Tensor<2>) -> Tensor<3> {
    vector.clone().unsqueeze_dim::<3>(1)
}

/// The inner products of all pairs of samples, \[N, N\].
fn gram(rows: Tensor<2>) -> Tensor<2> {
    rows.clone().matmul(rows.transpose())
}

/// The measure and its gradient.
pub(super) fn gradient(problem: Problem) -> HsrGradient {
    let Problem {
        config,
        inputs,
        targets,
        weights,
        biases,
        shapes,
        with_inputs,
    } = problem;
    let x = if with_inputs {
        leaf(inputs)
    } else {
        constant(inputs)
    };
    let weights: Vec<Tensor<2>> = weights.into_iter().map(leaf).collect();
    let biases: Vec<_> = biases.into_iter().map(|bias| bias.map(leaf)).collect();

    let forward = Forward::new(config, &x, targets, &weights, &biases, shapes);
    let (t, q) = forward.moments();
    let parameters: usize = shapes.iter().map(LayerShape::parameters).sum();
    let (t_value, q_value) = (t.clone().inner(), q.clone().inner());
    let Weighted { value, w_t, w_q } =
        Weighted::of(config.sharpness, t_value, q_value, parameters as f64);
    let sigma = forward.sigma;
    // σ·λ(H/σ): the whole gradient carries σ.
    let objective = t * constant(w_t * sigma.clone()) + q * constant(w_q * sigma.clone());
    let value = value * sigma;
    let gradients = objective.backward();

    // An overflow leaves a bound of +∞ and no step, never NaN.
    let broken = value.clone().is_finite().bool_not();
    let layers = weights.iter().zip(&biases).zip(shapes);
    let layers = layers.map(|((weight, bias), shape)| LayerGradient {
        weight: (!shape.weight_frozen).then(|| grad(weight, &gradients)),
        bias: bias
            .as_ref()
            .filter(|_| !shape.bias_frozen)
            .map(|bias| grad(bias, &gradients)),
    });
    let gradient = HsrGradient {
        value: value.mask_fill(broken.clone(), f64::INFINITY),
        layers: layers.collect(),
        inputs: with_inputs.then(|| grad(&x, &gradients)),
    };
    gradient.map(&ZeroWhere(broken))
}

/// The gradient of a leaf; zero where nothing depends on it.
fn grad<const D: usize>(leaf: &Tensor<D>, gradients: &burn::tensor::Gradients) -> Tensor<D> {
    let of_leaf = leaf.grad(gradients);
    of_leaf.unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

struct Forward<'a> {
    layers: Vec<Layer<'a>>,
    /// S \[N, K, K\], tracked; r, S and what is made of them are divided by σ.
    s: Tensor<3>,
    sigma: Tensor<1>,
}

impl<'a> Forward<'a> {
    fn new(
        config: &HsrConfig,
        x: &Tensor<2>,
        targets: Targets,
        weights: &[Tensor<2>],
        biases: &[Option<Tensor<1>>],
        shapes: &'a [LayerShape],
    ) -> Self {
        let mut a = x.clone();
        let mut o = x.clone();
        let mut seen = Vec::new();
        for ((weight, bias), shape) in weights.iter().zip(biases).zip(shapes) {
            let mut z = a.clone().matmul(weight.clone());
            if let Some(bias) = bias {
                z = z + bias.clone().unsqueeze::<2>();
            }
            let [value, d1, d2, d3] =
                derivatives(shape.activation, z.clone().inner()).map(constant);
            let moved = displacement(&z);
            let mut next = value + moved.clone() * d1.clone();
            if shape.residual {
                next = next + a.clone();
            }
            let slopes = [d1 + moved.clone() * d2.clone(), d2 + moved * d3];
            seen.push((a, slopes));
            a = next;
            o = z;
        }
        let (r, s, sigma) = output(config, &o, targets);

        // Downwards: δ and c of every layer, and u = ∂ℓ/∂a below it.
        let mut layers = Vec::new();
        let mut delta = r;
        let mut c = delta.zeros_like();
        let mut u: Option<Tensor<2>> = None;
        for (l, (input, slopes)) in seen.into_iter().enumerate().rev() {
            let (weight, shape) = (weights[l].clone(), &shapes[l]);
            if l + 1 < shapes.len()
                && let Some(u) = &u
            {
                let [d1, d2] = &slopes;
                (delta, c) = (d1.clone() * u.clone(), d2.clone() * u.clone());
            }
            let of_input = delta.clone().matmul(weight.clone().transpose());
            u = Some(match &u {
                Some(u) if shape.residual => of_input + u.clone(),
                _ => of_input,
            });
            layers.push(Layer {
                shape,
                weight,
                input,
                slopes,
                delta: delta.clone(),
                c: c.clone(),
            });
        }
        layers.reverse();
        Self { layers, s, sigma }
    }

    /// The tangents of layer l's pre-activations.
    fn tangents(&self, l: usize) -> Tangents {
        let depth = self.layers.len();
        let [n, _] = self.layers[l].delta.dims();
        let size = self.layers[l].shape.outputs;
        let delta = self.layers[l].delta.clone().inner();
        let one = eye(size, &delta.device(), delta.dtype()).expand([n, size, size]);
        let mut j = vec![constant(one)];
        let mut a = vec![None];
        for k in l + 1..depth {
            // A_{k−1,l} from J_{k−1,l}.
            let below = &self.layers[k - 1];
            let along = j[k - 1 - l].clone() * for_seeds(&below.slopes[0]);
            let along = match &a[k - 1 - l] {
                Some(skipped) if below.shape.residual => along + Tensor::clone(skipped),
                _ => along,
            };
            j.push(through(along.clone(), self.layers[k].weight.clone()));
            a.push(Some(along));
        }
        let mut q = vec![j[depth - 1 - l].clone().matmul(self.s.clone())];
        let mut u: Option<Tensor<3>> = None;
        for k in (l..depth - 1).rev() {
            let above = &self.layers[k + 1];
            let back = through(q[q.len() - 1].clone(), above.weight.clone().transpose());
            let back = match u {
                Some(u) if above.shape.residual => back + u,
                _ => back,
            };
            let layer = &self.layers[k];
            let curved = j[k - l].clone() * for_seeds(&layer.c);
            q.push(back.clone() * for_seeds(&layer.slopes[0]) + curved);
            u = Some(back);
        }
        q.reverse();
        Tangents { a, q }
    }

    /// t and q of H/σ, \[1\] each.
    fn moments(&self) -> (Tensor<1>, Tensor<1>) {
        let grams: Vec<Option<Tensor<2>>> = self.layers.iter().map(Layer::gram).collect();
        let zero = constant(self.sigma.zeros_like());
        let (mut t, mut q) = (zero.clone(), zero);
        for l in 0..self.layers.len() {
            let Some(g_l) = &grams[l] else {
                continue;
            };
            let Tangents { a, q: of_layers } = self.tangents(l);
            for (above, of_layer) in of_layers.into_iter().enumerate() {
                let k = l + above;
                let Some(g_k) = &grams[k] else {
                    continue;
                };
                let pairs = gram(flat(of_layer.clone()));
                if k == l {
                    let size = of_layer.dims()[1];
                    let one = eye(size, &self.sigma.device(), self.sigma.dtype());
                    let of_sample =
                        (of_layer * constant(one)).sum_dims_squeeze::<1, usize>(&[1, 2]);
                    t = t + (of_sample * self.layers[l].input_squared()).sum();
                    q = q + (pairs * g_l.clone().square()).sum();
                    continue;
                }
                let mut products = pairs * g_k.clone();
                let layer = &self.layers[k];
                if let Some(along) = &a[above]
                    && !layer.shape.weight_frozen
                {
                    products = products + layer.coupled(of_layer, along.clone());
                }
                q = q + (products * g_l.clone()).sum() * 2.0;
            }
        }
        (t, q)
    }
}

impl Layer<'_> {
    /// G = x̃x̃ᵀ \[N, N\] of the trained inputs and the trained bias; none where the layer is frozen.
    fn gram(&self) -> Option<Tensor<2>> {
        let of_weight = (!self.shape.weight_frozen).then(|| gram(self.input.clone()));
        let bias = self.shape.bias && !self.shape.bias_frozen;
        match of_weight {
            Some(products) if bias => Some(products + 1.0),
            None if bias => {
                let [n, _] = self.input.dims();
                let like = self.input.clone().inner();
                Some(constant(Tensor::ones(
                    [n, n],
                    (&like.device(), like.dtype()),
                )))
            }
            of_weight => of_weight,
        }
    }

    /// ‖x̃‖² \[N\].
    fn input_squared(&self) -> Tensor<1> {
        let squares = self.input.clone().square().sum_dim(1).squeeze_dim::<1>(1);
        let squares = if self.shape.weight_frozen {
            constant(squares.inner().zeros_like())
        } else {
            squares
        };
        if self.shape.bias && !self.shape.bias_frozen {
            squares + 1.0
        } else {
            squares
        }
    }

    /// What δ_k A_{k−1,l} adds to ⟨B_n, B_m⟩ as this is row layer k: P + Pᵀ + Δ⟨A, A⟩, \[N, N\], for Q_{kl} and A_{k−1,l}.
    fn coupled(&self, q: Tensor<3>, a: Tensor<3>) -> Tensor<2> {
        // T_nm = Q_nᵀ δ_m as [n, seeds, m]; V_nm = A_mᵀ a_n as [m, seeds, n].
        let [n, _, _] = q.dims();
        let columns = |rows: &Tensor<2>| rows.clone().transpose();
        let t = through(q, columns(&self.delta));
        // No `permute`: under `fusion` Burn 0.22.1 sends that of floats to a server as one of integers.
        let v = through(a.clone(), columns(&self.input)).swap_dims(0, 2);
        let p = (t * v).sum_dim(1).reshape([n, n]);
        let both = gram(self.delta.clone()) * gram(flat(a));
        p.clone() + p.transpose() + both
    }
}

/// r \[N, K\] and S \[N, K, K\], both divided by σ \[1\], at the logits.
fn output(
    config: &HsrConfig,
    o: &Tensor<2>,
    targets: Targets,
) -> (Tensor<2>, Tensor<3>, Tensor<1>) {
    let Output {
        p,
        r,
        omega,
        s,
        s_diagonal,
        sigma,
        ..
    } = Output::new(config, o.clone().inner(), targets);
    let [_, outputs] = o.dims();
    let one = constant(eye(outputs, &s.device(), s.dtype()));
    let moved = displacement(o);
    let [p, r, omega, s_diagonal] = [p, r, omega, s_diagonal].map(constant);
    let s = constant(s);
    let of_r = (s.clone() * for_seeds(&moved))
        .sum_dim(2)
        .squeeze_dim::<2>(2);
    let of_diagonal = |change: Tensor<2>| change.unsqueeze_dim::<3>(2) * one;
    let s = match config.loss.kind {
        OutputLoss::MeanSquaredError => s,
        OutputLoss::SigmoidCrossEntropy => s + of_diagonal(s_diagonal * (p * -2.0 + 1.0) * moved),
        OutputLoss::SoftmaxCrossEntropy => {
            // S = ω(diag p − ppᵀ) changes with ṗ = p∘(ȯ − p·ȯ).
            let mean = (p.clone() * moved.clone()).sum_dim(1);
            let p_moved = p.clone() * (moved - mean);
            let outer = |left: Tensor<2>, right: Tensor<2>| {
                left.unsqueeze_dim::<3>(2) * right.unsqueeze_dim::<3>(1)
            };
            let weighed = p_moved.clone() * omega.clone();
            s + of_diagonal(weighed.clone()) - outer(weighed, p.clone()) - outer(p * omega, p_moved)
        }
    };
    // No derivative sees σ: λ(H) = σ·λ(H/σ) whatever it is.
    (r + of_r, s, sigma)
}
