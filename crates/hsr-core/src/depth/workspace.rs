//! The verbs at any depth, and the buffers they keep.

use core::num::NonZeroUsize;

use super::blocks::{Adjoints, BlockId, Scratch, Source, Want, evaluate};
use super::gauss_newton::Kernel;
use super::network::FeedForward;
use super::objective::{BlockMoments, DeepBounds, Objective};
use super::pass::{Part, Pass};
use super::plan::{DeepEvaluation, DeepPlan, Sizes};
use super::product::Product;
use super::pullback::{Bars, traces};
use super::tangents::Tangents;
use crate::error::check_length;
use crate::lanes::{finite, sized};
use crate::{
    Batch, BlockEvaluation, DENSE_LIMIT, EigenPair, Error, LanczosOptions, Real, top_eigenpair,
};

/// Evaluates curvature of networks of any depth. It owns every buffer that an evaluation needs and keeps them: after the
/// first call with a given size no buffer is allocated any more, except where a verb says so.
///
/// Gradients are written in the order of [`FeedForward::layout`], without what is frozen. Evaluations use one thread.
#[derive(Default)]
pub struct DeepWorkspace<T> {
    pass: Pass<T>,
    product: Product<T>,
    tangents: Tangents<T>,
    adjoints: Adjoints<T>,
    scratch: Scratch<T>,
    bars: Bars<T>,
    kernel: Kernel<T>,
    plan: Vec<BlockEvaluation>,
    tile: Option<usize>,
    /// A vector in the parameter space.
    direction: Vec<T>,
    /// Sums of samples.
    sums: [Vec<T>; 2],
}

/// How much of the Hessian is its Gauss-Newton part H_GN.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussNewton<T> {
    /// The bounds of H_GN.
    pub bounds: DeepBounds<T>,
    /// The bounds of H.
    pub whole: DeepBounds<T>,
    /// ⟨H_GN, H⟩.
    pub inner: T,
}

impl<T: Real> GaussNewton<T> {
    /// ‖H_GN‖²/‖H‖², which can exceed 1.
    pub fn norm_share(&self) -> T {
        let square = |bounds: &DeepBounds<T>| bounds.whole.moments.frobenius_squared;
        square(&self.bounds) / square(&self.whole)
    }

    /// ⟨H_GN, H⟩/‖H‖².
    pub fn projection(&self) -> T {
        self.inner / self.whole.whole.moments.frobenius_squared
    }
}

impl<T: Real> DeepWorkspace<T> {
    /// An empty workspace. Buffers grow when they are needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The loss L.
    ///
    /// # Errors
    ///
    /// The [`Error`] that tells what is wrong with the batch, or [`Error::Overflow`] where a value is not
    /// representable in `T`. The other verbs have the same errors.
    pub fn loss(&mut self, network: &FeedForward<T>, batch: &Batch<T>) -> Result<T, Error> {
        self.pass.forward(network, batch)
    }

    /// The logits o, N × K row-major.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn logits(&mut self, network: &FeedForward<T>, batch: &Batch<T>) -> Result<Vec<T>, Error> {
        self.pass.forward(network, batch)?;
        let mut logits = vec![T::zero(); self.pass.samples * network.outputs()];
        let (o, n) = (&self.pass.output.o, self.pass.stride);
        crate::lanes::write_samples(&mut logits, o, n, T::one());
        Ok(logits)
    }

    /// The loss L and, in `gradient` \[D\], ∂L/∂θ; in `input_gradient` \[N, n_0\], where given, ∂L/∂x.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where an output has the wrong length.
    pub fn loss_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        let loss = self.pass.forward(network, batch)?;
        self.pass.backward(network, false, Part::Whole);
        self.pass.loss_gradient(network, T::one(), gradient);
        if let Some(out) = input_gradient {
            self.pass
                .input_adjoint(network, T::one(), &mut self.direction);
            let n = self.pass.stride;
            crate::lanes::write_samples(out, &self.direction, n, T::one());
        }
        if finite(gradient) {
            Ok(loss)
        } else {
            Err(Error::Overflow {
                what: "the gradient of the loss",
            })
        }
    }

    /// ‖∇L‖ and, in `gradient` \[D\], ∂‖∇L‖/∂θ = H u with u = ∇L/‖∇L‖; in `input_gradient` \[N, n_0\], where given,
    /// ∂‖∇L‖/∂x. One Hessian-vector product. At a critical point, where there is no gradient, zeros.
    ///
    /// # Errors
    ///
    /// As [`loss_gradient`](Self::loss_gradient).
    pub fn gradient_norm_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        self.linearized(network, batch)?;
        let u = sized(&mut self.direction, gradient.len());
        self.pass.loss_gradient(network, T::one(), u);
        let norm = normalize(u) * self.pass.output.sigma;
        self.product
            .hessian_vector(network, &mut self.pass, u, gradient, input_gradient);
        checked(norm, gradient, "the gradient of ‖∇L‖")
    }

    /// `product = H v` (both \[D\]), exactly and without forming H.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where a vector has not D values.
    pub fn hessian_vector_product(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        v: &[T],
        product: &mut [T],
    ) -> Result<(), Error> {
        self.linearize(network, batch)?.apply(v, product)?;
        checked((), product, "H v")
    }

    /// The Hessian of the loss at one point, as an operator: the passes through the network are done once. For
    /// iterative eigensolvers such as [`extremes`](crate::extremes) and [`top_eigenpair`].
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn linearize<'a>(
        &'a mut self,
        network: &'a FeedForward<'a, T>,
        batch: &Batch<T>,
    ) -> Result<DeepOperator<'a, T>, Error> {
        self.linearized(network, batch)?;
        Ok(DeepOperator {
            network,
            pass: &mut self.pass,
            product: &mut self.product,
            inside: &mut self.direction,
            layer: None,
        })
    }

    /// pᵀHv and, in `gradient` \[D\], ∂(pᵀHv)/∂θ with p and v \[D\] fixed; in `input_gradient` \[N, n_0\], where given,
    /// ∂(pᵀHv)/∂x; in `hv` \[D\], where given, H v. Exact, at about the work of seven gradients of the loss
    /// ([theory](crate::theory) §8).
    ///
    /// # Errors
    ///
    /// As [`loss_gradient`](Self::loss_gradient); [`Error::Length`] where p, v or `hv` has not D values.
    #[allow(clippy::too_many_arguments)]
    pub fn bilinear_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        p: &[T],
        v: &[T],
        hv: Option<&mut [T]>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let parameters = network.parameters();
        check_length("p", "parameters", p.len(), parameters)?;
        check_length("v", "parameters", v.len(), parameters)?;
        if let Some(hv) = &hv {
            check_length("hv", "parameters", hv.len(), parameters)?;
        }
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        self.linearized(network, batch)?;
        let value =
            self.product
                .bilinear(network, &mut self.pass, p, v, hv, gradient, input_gradient);
        checked(value, gradient, "the gradient of pᵀHv")
    }

    /// λ_max by Lanczos with its eigenvector v, and in `gradient` \[D\] ∂λ_max/∂θ = ∂(vᵀHv)/∂θ (Hellmann and Feynman),
    /// in `input_gradient` \[N, n_0\], where given, ∂λ_max/∂x. `start` is where v is believed to be, such as where it
    /// was a step before. Lanczos allocates its vectors.
    ///
    /// # Errors
    ///
    /// As [`loss_gradient`](Self::loss_gradient), and those of [`top_eigenpair`].
    pub fn lambda_max_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        start: Option<&[f64]>,
        options: &LanczosOptions,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<EigenPair, Error> {
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        let mut operator = self.linearize(network, batch)?;
        let size = operator.parameters();
        let top = top_eigenpair(size, |v, out| operator.apply_f64(v, out), start, options)?;
        let v = sized(&mut self.direction, size);
        for (v, &of_top) in v.iter_mut().zip(&top.vector) {
            *v = T::of(of_top);
        }
        self.product.bilinear(
            network,
            &mut self.pass,
            v,
            v,
            None,
            gradient,
            input_gradient,
        );
        checked(top, gradient, "the gradient of λ_max")
    }

    /// The dense Hessian of the loss, D × D row-major (it is symmetric), into `hessian`: D Hessian-vector products.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::TooLarge`] beyond [`DENSE_LIMIT`] parameters, [`Error::Length`] where
    /// `hessian` has not D² values.
    pub fn hessian(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        hessian: &mut [T],
    ) -> Result<(), Error> {
        let parameters = network.parameters();
        let elements = parameters * parameters;
        if parameters > DENSE_LIMIT {
            return Err(Error::TooLarge {
                what: "a dense Hessian",
                elements,
                limit: DENSE_LIMIT * DENSE_LIMIT,
            });
        }
        check_length("hessian", "parameters²", hessian.len(), elements)?;
        self.linearized(network, batch)?;
        let v = sized(&mut self.direction, parameters);
        v.fill(T::zero());
        for (i, row) in hessian.chunks_exact_mut(parameters).enumerate() {
            v[i] = T::one();
            self.product
                .hessian_vector(network, &mut self.pass, v, row, None);
            v[i] = T::zero();
        }
        checked((), hessian, "the Hessian")
    }

    /// The most samples that a tile of pairs takes on one side; without this call as many as keep its arrays in the
    /// cache. It is rounded to whole vector registers.
    pub fn with_tile(mut self, samples: NonZeroUsize) -> Self {
        self.tile = Some(samples.get());
        self
    }

    /// t_l and q_{kl} of every block.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::TooLarge`] where a block was to be assembled and would not fit,
    /// [`Error::PlanShape`] where a plan is for another network.
    pub fn moments(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<BlockMoments<T>, Error> {
        Ok(self.bounds(network, batch, evaluation)?.moments)
    }

    /// The bounds of the whole Hessian and of each layer's block, λ_blk and λ_diag.
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments).
    pub fn bounds(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<DeepBounds<T>, Error> {
        self.bounds_of(Part::Whole, network, batch, evaluation)
    }

    fn bounds_of(
        &mut self,
        part: Part,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<DeepBounds<T>, Error> {
        let want = Want {
            gradient: false,
            inputs: false,
            diagonal: true,
            cross: true,
            tile: self.tile,
        };
        let (_, unit) = self.contract(network, batch, evaluation, part, want, None)?;
        DeepBounds::new(&unit, self.pass.output.sigma)
    }

    /// The objective and, in `gradient` \[D\], its derivative for the parameters; in `input_gradient` \[N, n_0\], where
    /// given, that for the inputs. Exact.
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments); [`Error::Length`] where an output has the wrong length; [`Error::Range`] for the
    /// bound of a layer that the network does not have.
    pub fn objective_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let (_, value) = self.descend(
            network,
            batch,
            objective,
            evaluation,
            None,
            gradient,
            input_gradient,
        )?;
        Ok(value)
    }

    /// [`loss_gradient`](Self::loss_gradient) and [`objective_gradient`](Self::objective_gradient) from one forward
    /// pass: the loss and the objective, and their gradients.
    ///
    /// # Errors
    ///
    /// As [`objective_gradient`](Self::objective_gradient).
    pub fn loss_and_objective_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        loss_gradient: &mut [T],
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<(T, T), Error> {
        check_outputs(network, batch, loss_gradient, None)?;
        self.descend(
            network,
            batch,
            objective,
            evaluation,
            Some(loss_gradient),
            gradient,
            input_gradient,
        )
    }

    fn descend(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        loss_gradient: Option<&mut [T]>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<(T, T), Error> {
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        if let Objective::Layer(layer) = objective
            && layer >= network.depth()
        {
            return Err(Error::Range {
                what: "the layer of an objective",
                value: layer as f64,
                expected: "an index below the number of layers",
            });
        }
        let part = match objective {
            Objective::GaussNewton => Part::GaussNewton,
            _ => Part::Whole,
        };
        let want = Want {
            gradient: true,
            inputs: input_gradient.is_some(),
            diagonal: objective != Objective::Trace,
            cross: !objective.is_diagonal(),
            tile: self.tile,
        };
        let (loss, unit) = self.contract(network, batch, evaluation, part, want, loss_gradient)?;
        let weights = objective.weights(&unit)?;
        self.bars.pull_back(
            network,
            &mut self.pass,
            part,
            &mut self.tangents,
            &mut self.adjoints,
            &weights,
            gradient,
            input_gradient,
        );
        let value = T::of(weights.value * self.pass.output.sigma.as_f64());
        if !value.is_finite() {
            return Err(Error::Overflow {
                what: "the objective",
            });
        }
        let value = checked(value, gradient, "the gradient of the objective")?;
        Ok((loss, value))
    }

    /// How the last evaluation was done.
    pub fn last_plan(&self) -> DeepPlan {
        DeepPlan::new(self.plan.clone())
    }

    /// The loss, and the moments of the blocks of H/σ with the adjoints that are wanted.
    fn contract(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
        part: Part,
        want: Want,
        loss_gradient: Option<&mut [T]>,
    ) -> Result<(T, BlockMoments<T>), Error> {
        let loss = self.pass.forward(network, batch)?;
        if let Some(gradient) = loss_gradient {
            self.pass.backward(network, false, Part::Whole);
            self.pass.loss_gradient(network, T::one(), gradient);
        }
        let pass = &mut self.pass;
        let sizes = Sizes::new::<T>(&pass.shapes, batch.loss(), pass.samples, want.inputs);
        sizes.plan(evaluation, &mut self.plan)?;
        pass.backward(network, true, part);
        self.tangents.run(network, pass, part);
        if want.gradient {
            self.adjoints.clear(pass);
        }
        let depth = pass.depth();
        let mut moments = BlockMoments {
            traces: vec![T::zero(); depth],
            frobenius_squared: vec![T::zero(); depth * depth],
            parameters: pass.shapes.iter().map(|s| s.parameters()).collect(),
        };
        let [of_block, squared] = &mut self.sums;
        for l in 0..depth {
            // Without S the last layer's own block is 0.
            if !pass.shapes[l].is_trained() || (part == Part::Residual && l + 1 == depth) {
                continue;
            }
            traces(pass, &self.tangents, l, of_block);
            pass.input_squared(l, squared);
            moments.traces[l] = super::rows::dot(of_block, squared);
        }
        let source = Source {
            pass,
            tangents: &self.tangents,
            want,
        };
        for id in BlockId::every(depth) {
            let last = id.is_diagonal() && id.row + 1 == depth;
            let wanted = if id.is_diagonal() {
                want.diagonal
            } else {
                want.cross
            };
            if !wanted || id.is_empty(&pass.shapes) || (last && part == Part::Residual) {
                continue;
            }
            let evaluation = self.plan[id.index()];
            let adjoints = self.adjoints.block_or_none(id, depth);
            let q = evaluate(&source, id, evaluation, adjoints, &mut self.scratch);
            moments.frobenius_squared[id.row * depth + id.column] = q;
            moments.frobenius_squared[id.column * depth + id.row] = q;
        }
        let total = moments.total();
        if total.frobenius_squared.is_finite() && total.trace.is_finite() {
            Ok((loss, moments))
        } else {
            Err(Error::Overflow { what: "‖H‖²" })
        }
    }

    /// The Gauss-Newton part beside the whole Hessian: three evaluations of moments, for H is linear in (S, r).
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments).
    pub fn gauss_newton(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<GaussNewton<T>, Error> {
        let rest = self.bounds_of(Part::Residual, network, batch, evaluation)?;
        let bounds = self.bounds_of(Part::GaussNewton, network, batch, evaluation)?;
        let whole = self.bounds_of(Part::Whole, network, batch, evaluation)?;
        let square = |bounds: &DeepBounds<T>| bounds.whole.moments.frobenius_squared;
        // ‖H − H_GN‖² = ‖H‖² − 2⟨H_GN, H⟩ + ‖H_GN‖².
        let inner = T::of(0.5) * (square(&whole) + square(&bounds) - square(&rest));
        Ok(GaussNewton {
            bounds,
            whole,
            inner,
        })
    }

    /// λ_max(H_GN) through the NK × NK matrix of the neural tangent kernel's blocks, which has the nonzero spectrum of
    /// H_GN, with Lanczos. Allocates Lanczos' vectors.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss), those of [`top_eigenpair`], and [`Error::TooLarge`] where N·K exceeds [`DENSE_LIMIT`].
    pub fn gauss_newton_lambda_max(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        options: &LanczosOptions,
    ) -> Result<f64, Error> {
        self.pass.forward(network, batch)?;
        let size = self.pass.samples * network.outputs();
        if size > DENSE_LIMIT {
            return Err(Error::TooLarge {
                what: "a matrix of the neural tangent kernel",
                elements: size * size,
                limit: DENSE_LIMIT * DENSE_LIMIT,
            });
        }
        self.pass.backward(network, true, Part::GaussNewton);
        self.tangents
            .run(network, &mut self.pass, Part::GaussNewton);
        self.kernel.run(&self.pass, &self.tangents);
        let matrix = &self.kernel.matrix;
        let apply = |v: &[f64], out: &mut [f64]| {
            for (out, row) in out.iter_mut().zip(matrix.chunks_exact(size)) {
                *out = row.iter().zip(v).map(|(m, v)| m.as_f64() * v).sum();
            }
            Ok::<(), Error>(())
        };
        let top = top_eigenpair(size, apply, None, options)?;
        Ok(top.value.max(0.0) * self.pass.output.sigma.as_f64())
    }

    /// Both passes, with r and S divided by σ.
    fn linearized(&mut self, network: &FeedForward<T>, batch: &Batch<T>) -> Result<T, Error> {
        let loss = self.pass.forward(network, batch)?;
        self.pass.backward(network, true, Part::Whole);
        Ok(loss)
    }
}

/// The Hessian at one point as an operator, from [`DeepWorkspace::linearize`].
pub struct DeepOperator<'a, T> {
    network: &'a FeedForward<'a, T>,
    pass: &'a mut Pass<T>,
    product: &'a mut Product<T>,
    /// A direction restricted to one layer.
    inside: &'a mut Vec<T>,
    layer: Option<usize>,
}

impl<T: Real> DeepOperator<'_, T> {
    /// Only the block H_ll of layer `layer`, counted from 0: what [`apply`](Self::apply) takes and gives is then 0 (or
    /// made 0) outside the layer's parameters. For the spectrum of one layer.
    ///
    /// # Panics
    ///
    /// Where there is no such layer.
    pub fn of_layer(mut self, layer: usize) -> Self {
        assert!(layer < self.network.depth());
        self.layer = Some(layer);
        self
    }

    /// The number of parameters D.
    pub fn parameters(&self) -> usize {
        self.network.parameters()
    }

    /// `product = H v`, both \[D\].
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a vector has not D values.
    pub fn apply(&mut self, v: &[T], product: &mut [T]) -> Result<(), Error> {
        check_length("v", "parameters", v.len(), self.parameters())?;
        check_length("product", "parameters", product.len(), self.parameters())?;
        let Some(layer) = self.layer else {
            self.product
                .hessian_vector(self.network, self.pass, v, product, None);
            return Ok(());
        };
        let range = self.network.layout(layer).all();
        let inside = sized(self.inside, v.len());
        inside.fill(T::zero());
        inside[range.clone()].copy_from_slice(&v[range.clone()]);
        self.product
            .hessian_vector(self.network, self.pass, inside, product, None);
        product[..range.start].fill(T::zero());
        product[range.end..].fill(T::zero());
        Ok(())
    }

    /// [`apply`](Self::apply) for vectors in f64, as eigensolvers have them. Allocates both vectors in `T`.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn apply_f64(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), Error> {
        let v: Vec<T> = v.iter().map(|&v| T::of(v)).collect();
        let mut out = vec![T::zero(); product.len()];
        self.apply(&v, &mut out)?;
        for (product, out) in product.iter_mut().zip(out) {
            *product = out.as_f64();
        }
        Ok(())
    }
}

/// Refuses outputs of the wrong length.
pub(super) fn check_outputs<T: Real>(
    network: &FeedForward<T>,
    batch: &Batch<T>,
    gradient: &[T],
    input_gradient: Option<&[T]>,
) -> Result<(), Error> {
    let parameters = network.parameters();
    check_length("gradient", "parameters", gradient.len(), parameters)?;
    if let Some(inputs) = input_gradient {
        let (got, expected) = (inputs.len(), batch.inputs.len());
        check_length("input_gradient", "samples × inputs", got, expected)?;
    }
    Ok(())
}

/// The value, where value and gradient are finite.
pub(super) fn checked<T: Real, V>(
    value: V,
    gradient: &[T],
    what: &'static str,
) -> Result<V, Error> {
    if finite(gradient) {
        Ok(value)
    } else {
        Err(Error::Overflow { what })
    }
}

/// Divides a vector by its norm, which is given; without overflow or underflow on the way. Zeros stay zeros.
fn normalize<T: Real>(vector: &mut [T]) -> T {
    let largest = vector.iter().fold(T::zero(), |max, v| max.max(v.abs()));
    if largest == T::zero() || !largest.is_finite() {
        return largest;
    }
    let sum: f64 = vector.iter().map(|&v| (v / largest).as_f64().powi(2)).sum();
    let norm = T::of(sum.sqrt());
    vector.iter_mut().for_each(|v| *v = *v / largest / norm);
    largest * norm
}
