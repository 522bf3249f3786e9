//! The public verbs: loss, moments, bounds and their gradient, Hessian-vector products, the dense Hessian.

use crate::assembled::Assembled;
use crate::bounds::SpectralWeights;
use crate::contraction::Contraction;
use crate::directional::Directional;
use crate::error::check_length;
use crate::forward::Forward;
use crate::gram::Gram;
use crate::lanes::{finite, row, row_mut, sized, sum, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::plan::{BlockEvaluation, Plan, Want};
use crate::pullback::{Out, Pullback};
use crate::stages::{ContractStage, CurvatureStage, ForwardStage, ProductStage, PullbackStage};
use crate::{Batch, Error, Evaluation, Moments, Network, Real, SpectralBounds};

/// A dense Hessian is refused beyond this many parameters: 1.2 GiB in f64.
pub const DENSE_LIMIT: usize = 12_288;

/// Evaluates the closed form. It owns every buffer that an evaluation needs and keeps them: after the first call
/// with a given size no buffer is allocated any more. (The `gemm` crate still takes packing space for each large matrix
/// product.)
///
/// The verbs take a [`Network`] and a [`Batch`]; gradients are written in the order of [`Layout`](crate::Layout).
///
/// ```
/// use hsr_core::{Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Targets, Workspace};
///
/// // Exclusive or, two hidden units, one logit.
/// let x = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let batch = Batch::new(OutputLoss::SigmoidCrossEntropy, &x, Targets::Classes(&[0, 1, 1, 0]));
/// let dimensions = Dimensions::new(2, 2, 1);
/// let theta = [1.0, -1.0, -1.0, 1.0, -0.5, -0.5, 2.0, 2.0, 1.0_f64];
/// let network = Network::from_flat(dimensions, Activation::Tanh, &theta)?;
///
/// let mut workspace = Workspace::new();
/// let mut gradient = vec![0.0; dimensions.parameters()];
/// let bounds = workspace.bounds_gradient(&network, &batch, Evaluation::Auto, &mut gradient, None)?;
/// let eigenvalue_sum = bounds.moments.trace;
/// assert!(bounds.lambda_sup >= eigenvalue_sum / 9.0);
///
/// // A step against the gradient narrows the spectrum.
/// let stepped: Vec<f64> = theta.iter().zip(&gradient).map(|(t, g)| t - 1e-3 * g).collect();
/// let stepped = Network::from_flat(dimensions, Activation::Tanh, &stepped)?;
/// let after = workspace.bounds(&stepped, &batch, Evaluation::Auto)?;
/// assert!(after.lambda_sup < bounds.lambda_sup);
/// # Ok::<(), hsr_core::Error>(())
/// ```
#[derive(Default)]
pub struct Workspace<T> {
    pub(crate) forward: Forward<T>,
    pub(crate) contraction: Contraction<T>,
    assembled: Assembled<T>,
    gram: Gram<T>,
    pub(crate) pullback: Pullback<T>,
    pub(crate) directional: Directional<T>,
    /// A unit vector in the parameter space.
    pub(crate) direction: Vec<T>,
    pub(crate) buffers: [Vec<T>; 5],
    plan: Option<Plan>,
}

impl<T: Real> Workspace<T> {
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
    pub fn loss(&mut self, network: &Network<T>, batch: &Batch<T>) -> Result<T, Error> {
        self.forward(network, batch, true)
    }

    /// The loss L and, in `gradient` \[D\], ∂L/∂θ.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where `gradient` has not D values.
    pub fn loss_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
    ) -> Result<T, Error> {
        let dims = network.dimensions();
        check_length("gradient", "parameters", gradient.len(), dims.parameters())?;
        let loss = self.forward(network, batch, true)?;
        self.write_loss_gradient(network, gradient);
        if finite(gradient) {
            Ok(loss)
        } else {
            Err(Error::Overflow {
                what: "the gradient of the loss",
            })
        }
    }

    #[inline(always)]
    pub(crate) fn write_loss_gradient(&mut self, network: &Network<T>, gradient: &mut [T]) {
        let f = &self.forward;
        let dims = f.dims();
        let (n, h, outputs, d) = (f.stride, dims.hidden, dims.outputs, dims.inputs);
        let layout = dims.layout();
        let r = Mat::new(&f.r, outputs, n, n);
        let w2_bar = &mut gradient[layout.output_weight()];
        matmul(
            w2_bar,
            h,
            Write::Replace,
            T::one(),
            r,
            Mat::new(&f.a, h, n, n).t(),
        );
        for (k, bias) in gradient[layout.output_bias()].iter_mut().enumerate() {
            *bias = sum(row(&f.r, n, k));
        }
        let delta = sized(&mut self.buffers[0], h * n);
        let weight = Mat::new(network.output_weight(), outputs, h, h).t();
        matmul(delta, n, Write::Replace, T::one(), weight, r);
        for (delta, &d1) in delta.iter_mut().zip(&f.d1[..h * n]) {
            *delta *= d1;
        }
        for (j, bias) in gradient[layout.hidden_bias()].iter_mut().enumerate() {
            *bias = sum(row(delta, n, j));
        }
        let x = Mat::new(&f.x, d, n, n).t();
        let w1_bar = &mut gradient[layout.hidden_weight()];
        matmul(
            w1_bar,
            d,
            Write::Replace,
            T::one(),
            Mat::new(delta, h, n, n),
            x,
        );
    }

    /// Trace and squared Frobenius norm of the Hessian.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn moments(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
    ) -> Result<Moments<T>, Error> {
        Ok(self.bounds(network, batch, evaluation)?.moments)
    }

    /// The Wolkowicz-Styan bounds.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn bounds(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
    ) -> Result<SpectralBounds<T>, Error> {
        self.evaluate(network, batch, true)?;
        let (moments, weights) = self.contract(evaluation, Want::Moments)?;
        self.finish(moments, &weights)
    }

    /// The bounds and, in `gradient` \[D\], ∂λ_sup/∂θ; in `input_gradient` \[N, d\], where given, ∂λ_sup/∂x.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where an output has the wrong length.
    pub fn bounds_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<SpectralBounds<T>, Error> {
        let mut out = self.checked_out(network, batch, gradient, input_gradient)?;
        let want = match out.inputs {
            None => Want::Gradient,
            Some(_) => Want::InputGradient,
        };
        self.evaluate(network, batch, true)?;
        let (moments, weights) = self.contract(evaluation, want)?;
        T::pull_back(PullbackStage {
            pullback: &mut self.pullback,
            network,
            forward: &self.forward,
            contraction: &self.contraction,
            weights: &weights,
            out: &mut out,
        });
        if finite(out.parameters) && out.inputs.as_deref().is_none_or(finite) {
            self.finish(moments, &weights)
        } else {
            Err(Error::Overflow {
                what: "the gradient of λ_sup",
            })
        }
    }

    /// Where a gradient goes, if it fits.
    pub(crate) fn checked_out<'o>(
        &self,
        network: &Network<T>,
        batch: &Batch<T>,
        parameters: &'o mut [T],
        inputs: Option<&'o mut [T]>,
    ) -> Result<Out<'o, T>, Error> {
        let expected = network.dimensions().parameters();
        check_length("gradient", "parameters", parameters.len(), expected)?;
        if let Some(inputs) = &inputs {
            check_length(
                "input_gradient",
                "samples × inputs",
                inputs.len(),
                batch.inputs.len(),
            )?;
        }
        Ok(Out { parameters, inputs })
    }

    /// How the last evaluation of moments or bounds was done, block by block.
    pub fn last_plan(&self) -> Option<Plan> {
        self.plan
    }

    /// The moments of H/σ and their weights.
    #[inline(always)]
    pub(crate) fn contract(
        &mut self,
        evaluation: Evaluation,
        want: Want,
    ) -> Result<(Moments<T>, SpectralWeights), Error> {
        let f = &self.forward;
        let dims = f.dims();
        let plan = Plan::with_rank(evaluation, &dims, f.rank, f.samples)?;
        self.plan = Some(plan);
        T::contract(ContractStage {
            workspace: self,
            plan,
            want,
        });
        let moments = Moments {
            trace: self.trace(),
            frobenius_squared: self.contraction.frobenius_squared(),
            parameters: dims.parameters(),
        };
        if !moments.frobenius_squared.is_finite() || !moments.trace.is_finite() {
            return Err(Error::Overflow { what: "‖H‖²" });
        }
        let weights = SpectralWeights::new(&moments);
        Ok((moments, weights))
    }

    /// The blocks by their evaluations.
    #[inline(always)]
    pub(crate) fn contract_blocks(&mut self, plan: &Plan, want: Want) {
        let f = &self.forward;
        self.contraction.clear(f, want);
        if plan.output == BlockEvaluation::Assembled {
            self.assembled.output_block(f, &mut self.contraction, want);
        }
        if plan.hidden == BlockEvaluation::Assembled {
            self.assembled.hidden_block(f, &mut self.contraction, want);
        }
        if plan.cross == BlockEvaluation::Assembled {
            self.assembled.cross_block(f, &mut self.contraction, want);
        }
        self.gram.blocks(f, plan, &mut self.contraction, want);
    }

    /// Everything up to the residuals, with the loss where it is wanted.
    pub(crate) fn forward(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        with_loss: bool,
    ) -> Result<T, Error> {
        T::forward(ForwardStage {
            forward: &mut self.forward,
            network,
            batch,
            with_loss,
        })
    }

    /// Everything that the Hessian is made of.
    pub(crate) fn evaluate(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        in_basis: bool,
    ) -> Result<(), Error> {
        self.forward(network, batch, false)?;
        T::curvature(CurvatureStage {
            forward: &mut self.forward,
            network,
            in_basis,
        })
    }

    /// t = Σ tr S · ‖ã‖² + tr M · ‖x̃‖².
    #[inline(always)]
    pub(crate) fn trace(&self) -> T {
        let f = &self.forward;
        let n = f.stride;
        crate::lanes::dot(&f.trace_s[..n], &f.a_squared[..n])
            + crate::lanes::dot(&f.trace_m[..n], &f.x_squared[..n])
    }

    /// The bounds of H from those of H/σ.
    #[inline(always)]
    pub(crate) fn finish(
        &self,
        moments: Moments<T>,
        weights: &SpectralWeights,
    ) -> Result<SpectralBounds<T>, Error> {
        let sigma = self.forward.sigma;
        let unscaled = Moments {
            trace: moments.trace * sigma,
            frobenius_squared: moments.frobenius_squared * sigma * sigma,
            parameters: moments.parameters,
        };
        let bounds = SpectralBounds::scaled(weights, unscaled, sigma);
        if bounds.lambda_sup.is_finite()
            && bounds.spread_upper.is_finite()
            && bounds.moments.trace.is_finite()
            && bounds.moments.frobenius_squared.is_finite()
        {
            Ok(bounds)
        } else {
            Err(Error::Overflow { what: "λ_sup" })
        }
    }

    /// How the squared norm splits: ‖G‖²/(‖G‖² + ‖H − G‖²) with G the Gauss-Newton part of H (theory §2), between 0
    /// and 1. The rest to 1 is the share of the indefinite part; 1 where H = 0, which is its own Gauss-Newton part.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn gauss_newton_share(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
    ) -> Result<T, Error> {
        let mut norms = [T::zero(); 2];
        for (indefinite, norm) in [false, true].into_iter().zip(&mut norms) {
            self.evaluate(network, batch, true)?;
            self.forward.keep_part(indefinite);
            *norm = self
                .contract(evaluation, Want::Moments)?
                .0
                .frobenius_squared;
        }
        let [gauss_newton, indefinite] = norms;
        if gauss_newton + indefinite == T::zero() {
            return Ok(T::one());
        }
        Ok(gauss_newton / (gauss_newton + indefinite))
    }

    /// The product H v with the Hessian of the loss, exact and without forming H: two passes over the samples
    /// (theory §6). `v` and `product` are \[D\].
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where a vector has not D values.
    pub fn hessian_vector_product(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        v: &[T],
        product: &mut [T],
    ) -> Result<(), Error> {
        self.linearize(network, batch)?.apply(v, product)?;
        if product.iter().all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(Error::Overflow { what: "H v" })
        }
    }

    /// The Hessian of the loss at one point, as an operator: the forward pass is done once, each product costs two
    /// passes over the samples. For iterative eigensolvers.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn linearize<'a>(
        &'a mut self,
        network: &'a Network<'a, T>,
        batch: &Batch<T>,
    ) -> Result<HessianOperator<'a, T>, Error> {
        self.evaluate(network, batch, false)?;
        Ok(self.operator(network))
    }

    /// The Hessian where the last evaluation was done, which was not in the output basis.
    pub(crate) fn operator<'a>(
        &'a mut self,
        network: &'a Network<'a, T>,
    ) -> HessianOperator<'a, T> {
        HessianOperator {
            network,
            forward: &self.forward,
            buffers: &mut self.buffers,
        }
    }

    /// The dense Hessian of the loss, D × D row-major (it is symmetric), into `hessian`.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::TooLarge`] beyond [`DENSE_LIMIT`] parameters, [`Error::Length`] where
    /// `hessian` has not D² values.
    pub fn hessian(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        hessian: &mut [T],
    ) -> Result<(), Error> {
        let dims = network.dimensions();
        let parameters = dims.parameters();
        if parameters > DENSE_LIMIT {
            return Err(Error::TooLarge {
                what: "a dense Hessian",
                elements: parameters * parameters,
                limit: DENSE_LIMIT * DENSE_LIMIT,
            });
        }
        check_length(
            "hessian",
            "parameters²",
            hessian.len(),
            parameters * parameters,
        )?;
        // The blocks are read entry by entry, in the outputs' own basis.
        self.evaluate(network, batch, false)?;
        self.contract(Evaluation::Assembled, Want::Moments)?;
        self.spread_blocks(hessian);
        if finite(hessian) {
            Ok(())
        } else {
            Err(Error::Overflow { what: "H" })
        }
    }

    /// Writes the assembled blocks where they belong.
    #[inline(always)]
    pub(crate) fn spread_blocks(&self, hessian: &mut [T]) {
        let f = &self.forward;
        let dims = f.dims();
        let parameters = dims.parameters();
        let (h, d) = (dims.hidden, dims.inputs);
        let (ha, dx, outputs) = (dims.hidden_extended(), dims.inputs_extended(), dims.outputs);
        let layout = dims.layout();
        // Places of the hidden parameter (j, e) and the output parameter (k, i); the last e or i is the bias.
        let hidden = |j: usize, e: usize| {
            if e < d {
                j * d + e
            } else {
                layout.hidden_bias().start + j
            }
        };
        let output = |k: usize, i: usize| {
            if i < h {
                layout.output_weight().start + k * h + i
            } else {
                layout.output_bias().start + k
            }
        };
        let sigma = f.sigma;
        let half = T::one() / crate::svec::scale::<T>();
        let packed = |n: usize| crate::svec::len(n);
        let root = |equal: bool| if equal { T::one() } else { half };
        let mut set = |i: usize, j: usize, value: T| {
            hessian[i * parameters + j] = value * sigma;
            hessian[j * parameters + i] = value * sigma;
        };
        crate::svec::pairs(outputs, |kl, k, l| {
            crate::svec::pairs(ha, |ij, i, j| {
                let value = self.assembled.a[kl * packed(ha) + ij] * root(k == l) * root(i == j);
                set(output(k, i), output(l, j), value);
                set(output(k, j), output(l, i), value);
            });
        });
        crate::svec::pairs(h, |ij, i, j| {
            crate::svec::pairs(dx, |ef, e, g| {
                let value = self.assembled.c[ij * packed(dx) + ef] * root(i == j) * root(e == g);
                set(hidden(i, e), hidden(j, g), value);
                set(hidden(i, g), hidden(j, e), value);
            });
        });
        for j in 0..h {
            for k in 0..outputs {
                for i in 0..ha {
                    for e in 0..dx {
                        let at = (j * outputs + k) * ha * dx + i * dx + e;
                        set(output(k, i), hidden(j, e), self.assembled.e[at]);
                    }
                }
            }
        }
    }
}

/// The Hessian at one point as an operator, from [`Workspace::linearize`].
pub struct HessianOperator<'a, T> {
    network: &'a Network<'a, T>,
    forward: &'a Forward<T>,
    buffers: &'a mut [Vec<T>; 5],
}

impl<T: Real> HessianOperator<'_, T> {
    /// The number of parameters D.
    pub fn parameters(&self) -> usize {
        self.network.dimensions().parameters()
    }

    /// `product = H v`, both \[D\].
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a vector has not D values.
    pub fn apply(&mut self, v: &[T], product: &mut [T]) -> Result<(), Error> {
        check_length("v", "parameters", v.len(), self.parameters())?;
        check_length("product", "parameters", product.len(), self.parameters())?;
        T::product(ProductStage {
            operator: self,
            v,
            product,
        });
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn product(&mut self, v: &[T], out: &mut [T]) {
        let f = self.forward;
        let dims = f.dims();
        let (n, h, outputs, d) = (f.stride, dims.hidden, dims.outputs, dims.inputs);
        let layout = dims.layout();
        let (v1, v2) = (&v[layout.hidden_weight()], &v[layout.output_weight()]);
        let [z_dot, o_dot, r_dot, delta, scratch] = self.buffers;

        // ż = V1 x + v1.
        let z_dot = zeroed(z_dot, h * n);
        for (j, &bias) in v[layout.hidden_bias()].iter().enumerate() {
            row_mut(z_dot, n, j)[..f.samples].fill(bias);
        }
        let x = Mat::new(&f.x, d, n, n);
        matmul(z_dot, n, Write::Add, T::one(), Mat::new(v1, h, d, d), x);
        // ȯ = W2 (d1∘ż) + V2 a + v2.
        let a_dot = sized(delta, h * n);
        for ((a_dot, &z_dot), &d1) in a_dot.iter_mut().zip(z_dot.iter()).zip(&f.d1) {
            *a_dot = d1 * z_dot;
        }
        let o_dot = zeroed(o_dot, outputs * n);
        for (k, &bias) in v[layout.output_bias()].iter().enumerate() {
            row_mut(o_dot, n, k)[..f.samples].fill(bias);
        }
        let w2 = Mat::new(self.network.output_weight(), outputs, h, h);
        let v2 = Mat::new(v2, outputs, h, h);
        let a = Mat::new(&f.a, h, n, n);
        matmul(o_dot, n, Write::Add, T::one(), w2, Mat::new(a_dot, h, n, n));
        matmul(o_dot, n, Write::Add, T::one(), v2, a);
        // ṙ = S ȯ.
        let r_dot = sized(r_dot, outputs * n);
        let scratch = sized(scratch, 2 * n);
        f.curvature_of().apply(o_dot, n, 0, n, r_dot, scratch);

        // σ was divided out of r and S; it comes back where the product is written.
        let sigma = f.sigma;
        let r = Mat::new(&f.r, outputs, n, n);
        let w2_out = &mut out[layout.output_weight()];
        let r_dot_view = Mat::new(r_dot, outputs, n, n);
        matmul(w2_out, h, Write::Replace, sigma, r_dot_view, a.t());
        matmul(
            w2_out,
            h,
            Write::Add,
            sigma,
            r,
            Mat::new(a_dot, h, n, n).t(),
        );
        for (k, bias) in out[layout.output_bias()].iter_mut().enumerate() {
            *bias = sigma * sum(row(r_dot, n, k));
        }
        // δ̇ = (V2ᵀ r + W2ᵀ ṙ)∘d1 + g∘d2∘ż.
        let delta = sized(delta, h * n);
        matmul(delta, n, Write::Replace, T::one(), v2.t(), r);
        matmul(delta, n, Write::Add, T::one(), w2.t(), r_dot_view);
        for (i, delta) in delta.iter_mut().enumerate() {
            *delta = *delta * f.d1[i] + f.c[i] * z_dot[i];
        }
        for (j, bias) in out[layout.hidden_bias()].iter_mut().enumerate() {
            *bias = sigma * sum(row(delta, n, j));
        }
        let w1_out = &mut out[layout.hidden_weight()];
        matmul(
            w1_out,
            d,
            Write::Replace,
            sigma,
            Mat::new(delta, h, n, n),
            x.t(),
        );
    }
}
