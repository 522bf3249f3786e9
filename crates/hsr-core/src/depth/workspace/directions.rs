//! Verbs along directions: H v, pᵀH v and its gradient, a random probe, λ_max, the dense Hessian.

use crate::depth::network::FeedForward;
use crate::depth::stages::Stages;
use crate::depth::workspace::operator::DeepOperator;
use crate::depth::workspace::{DeepWorkspace, check_outputs, checked};
use crate::error::{Error, check_length};
use crate::evaluation::quantity::DENSE_LIMIT;
use crate::lanczos::options::LanczosOptions;
use crate::lanczos::top::{EigenPair, top_eigenpair};
use crate::numeric::buffer::fit;
use crate::numeric::norm::normalize;
use crate::problem::batch::Batch;

/// What one random direction v says of the Hessian: unbiased estimates of its moments where E vvᵀ = I.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe<T> {
    /// The loss L.
    pub loss: T,
    /// vᵀHv, whose mean is tr H.
    pub trace: T,
    /// ‖Hv‖², whose mean is ‖H‖²_F.
    pub frobenius_squared: T,
}

/// Where [`probe_gradient`](DeepWorkspace::probe_gradient) writes.
#[derive(Debug)]
pub struct ProbeOut<'a, T> {
    /// ∇L, \[D\].
    pub loss_gradient: &'a mut [T],
    /// u = H v, \[D\].
    pub hv: &'a mut [T],
    /// ∂(yᵀHv)/∂θ, \[D\].
    pub gradient: &'a mut [T],
    /// ∂(yᵀHv)/∂x, \[N, n_0\], where it is asked for.
    pub input_gradient: Option<&'a mut [T]>,
}

impl<T: Stages> DeepWorkspace<T> {
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
        let u = fit(&mut self.direction, gradient.len());
        let (pass, product) = (&mut self.shards.whole().pass, &mut self.product);
        T::loss_gradient(pass, network, T::one(), u);
        let norm = normalize(u) * pass.output.sigma;
        T::product(product, network, pass, u, gradient, input_gradient);
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
            pass: &mut self.shards.whole().pass,
            product: &mut self.product,
            inside: &mut self.direction,
            layer: None,
            watch: self.watch.as_ref(),
        })
    }

    /// pᵀHv and, in `gradient` \[D\], ∂(pᵀHv)/∂θ with p and v \[D\] fixed; in `input_gradient` \[N, n_0\], where given,
    /// ∂(pᵀHv)/∂x; in `hv` \[D\], where given, H v. Exact, at about the work of seven gradients of the loss
    /// ([theory](crate::theory) §8).
    ///
    /// # Errors
    ///
    /// As [`loss_gradient`](Self::loss_gradient); [`Error::Length`] where p, v or `hv` has not D values.
    #[allow(clippy::too_many_arguments)] // What is asked, and where each answer goes.
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
        let pass = &mut self.shards.whole().pass;
        // Without a place of its own H v is written where the gradient comes later.
        let product = hv.unwrap_or(&mut *gradient);
        let buffers = &mut self.product;
        T::product(buffers, network, pass, v, product, None);
        let value = T::bilinear(buffers, network, pass, p, v, gradient, input_gradient);
        checked(value, gradient, "the gradient of pᵀHv")
    }

    /// One step of stochastic HSR for a random v \[D\] with E vvᵀ = I, such as signs: the loss, and written to `out` its
    /// gradient, u = H v, and the gradient of yᵀHv with y = w_t v + 2 w_q u held fixed. `weights` gives \[w_t, w_q\] for what
    /// the probe found, from moving averages for instance. With w_t = ∂λ_sup/∂t and w_q = ∂λ_sup/∂q that do not depend on v,
    /// the mean over v is ∂λ_sup/∂θ. Exact for this v, from one forward pass, at about the work of ten gradients of the loss.
    ///
    /// # Errors
    ///
    /// As [`bilinear_gradient`](Self::bilinear_gradient).
    pub fn probe_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        v: &[T],
        weights: impl FnOnce(&Probe<T>) -> [T; 2],
        out: ProbeOut<T>,
    ) -> Result<Probe<T>, Error> {
        let ProbeOut {
            loss_gradient,
            hv,
            gradient,
            input_gradient,
        } = out;
        let parameters = network.parameters();
        check_length("v", "parameters", v.len(), parameters)?;
        check_length("hv", "parameters", hv.len(), parameters)?;
        check_outputs(network, batch, loss_gradient, None)?;
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        let loss = self.linearized(network, batch)?;
        let pass = &mut self.shards.whole().pass;
        T::loss_gradient(pass, network, pass.output.sigma, loss_gradient);
        T::product(&mut self.product, network, pass, v, hv, None);
        let probe = Probe {
            loss,
            trace: T::dot(v, hv),
            frobenius_squared: T::dot(hv, hv),
        };
        checked((), loss_gradient, "the gradient of the loss")?;
        checked((), hv, "H v")?;
        let [of_trace, of_square] = weights(&probe);
        let y = fit(&mut self.direction, parameters);
        for ((y, &v), &u) in y.iter_mut().zip(v).zip(&*hv) {
            *y = of_trace * v + T::of(2.0) * of_square * u;
        }
        let product = &mut self.product;
        T::bilinear(product, network, pass, y, v, gradient, input_gradient);
        checked(probe, gradient, "the gradient of yᵀHv")
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
        let v = fit(&mut self.direction, size);
        for (v, &of_top) in v.iter_mut().zip(&top.vector) {
            *v = T::of(of_top);
        }
        let pass = &mut self.shards.whole().pass;
        let product = &mut self.product;
        T::product(product, network, pass, v, gradient, None);
        T::bilinear(product, network, pass, v, v, gradient, input_gradient);
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
        let v = fit(&mut self.direction, parameters);
        v.fill(T::zero());
        for (i, row) in hessian.chunks_exact_mut(parameters).enumerate() {
            v[i] = T::one();
            T::product(
                &mut self.product,
                network,
                &mut self.shards.whole().pass,
                v,
                row,
                None,
            );
            v[i] = T::zero();
        }
        checked((), hessian, "the Hessian")
    }
}
