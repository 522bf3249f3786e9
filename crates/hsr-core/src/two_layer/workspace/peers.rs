//! What else can be descended in λ_sup's place, with exact gradients: tr H, ‖H‖_F, ‖∇L‖, vᵀHv and so λ_max.

use crate::bounds::SpectralWeights;
use crate::error::{Error, check_length};
use crate::evaluation::out::Out;
use crate::evaluation::quantity::Quantity;
use crate::lanczos::options::LanczosOptions;
use crate::lanczos::top::{EigenPair, top_eigenpair};
use crate::numeric::buffer::fit;
use crate::numeric::lanes::{finite, write_samples};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::norm::normalize;
use crate::problem::batch::Batch;
use crate::problem::network::Network;
use crate::two_layer::contraction::Want;
use crate::two_layer::forward::Curvature;
use crate::two_layer::plan::Evaluation;
use crate::two_layer::product::Along;
use crate::two_layer::stages::DirectionalStage;
use crate::two_layer::stages::Stages;
use crate::two_layer::workspace::Workspace;
use crate::two_layer::workspace::moments::{Asked, Descend};

impl<T: Stages> Workspace<T> {
    /// tr H and, in `gradient` \[D\], ∂tr H/∂θ; in `input_gradient` \[N, d\], where given, ∂tr H/∂x. The pullback of
    /// [theory](crate::theory) §4 with w_t = 1 and w_q = 0: no block of H is formed, the cost is linear in N and D.
    ///
    /// # Errors
    ///
    /// As [`bounds_gradient`](Workspace::bounds_gradient).
    pub fn trace_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let mut out = self.checked_out(network, batch, gradient, input_gradient)?;
        self.evaluate(network, batch, Curvature::InBasis, Quantity::TraceGradient)?;
        let trace = self.trace() * self.shards[0].forward.sigma;
        self.own[0]
            .contraction
            .zero(&self.shards[0].forward, Want::of(&out));
        let weights = SpectralWeights::of(1.0, 0.0);
        self.pull_back(network, &weights, &mut out);
        finished(trace, &out, ["tr H", "the gradient of tr H"])
    }

    /// ‖H‖_F and, in `gradient` \[D\], ∂‖H‖_F/∂θ; in `input_gradient` \[N, d\], where given, ∂‖H‖_F/∂x. The pullback of
    /// [theory](crate::theory) §4 with w_t = 0 and w_q = 1/(2‖H‖_F), or 0 where H = 0. The cost is that of λ_sup.
    ///
    /// # Errors
    ///
    /// As [`bounds_gradient`](Workspace::bounds_gradient).
    pub fn frobenius_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let mut out = self.checked_out(network, batch, gradient, input_gradient)?;
        let asked = Asked {
            evaluation,
            want: Want::of(&out),
            part: None,
        };
        let descend = Descend {
            weights: SpectralWeights::of_norm,
            out: &mut out,
        };
        let (_, moments) = self.in_shards(network, batch, asked, None, Some(descend))?;
        let norm = moments.frobenius_squared.as_f64().sqrt();
        let norm = T::of(norm * self.shards[0].forward.sigma.as_f64());
        finished(norm, &out, ["‖H‖", "the gradient of ‖H‖"])
    }

    /// ‖∇L‖ and, in `gradient` \[D\], ∂‖∇L‖/∂θ = H u with u = ∇L/‖∇L‖; in `input_gradient` \[N, d\], where given,
    /// ∂‖∇L‖/∂x. One Hessian-vector product. At a critical point, where there is no gradient, zeros.
    ///
    /// # Errors
    ///
    /// As [`bounds_gradient`](Workspace::bounds_gradient).
    pub fn gradient_norm_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let mut out = self.checked_out(network, batch, gradient, input_gradient)?;
        self.evaluate(
            network,
            batch,
            Curvature::Operator,
            Quantity::CurvatureAlongGradient,
        )?;
        let mut direction = std::mem::take(&mut self.direction);
        let u = fit(&mut direction, out.parameters.len());
        // r is divided by σ, and so is what is written.
        let norm = self.write_loss_gradient(network, u).and_then(|()| {
            let norm = normalize(u) * self.shards[0].forward.sigma;
            self.along(network, u, &mut out)?;
            Ok(norm)
        });
        self.direction = direction;
        finished(norm?, &out, ["‖∇L‖", "the gradient of ‖∇L‖"])
    }

    /// vᵀHv for a fixed v \[D\] and, in `gradient` \[D\], ∂(vᵀHv)/∂θ, the third derivative of L contracted twice with
    /// v; in `input_gradient` \[N, d\], where given, ∂(vᵀHv)/∂x. Exact, at the cost of two or three Hessian-vector
    /// products; the formulas are those of [theory](crate::theory) §6.
    ///
    /// # Errors
    ///
    /// As [`bounds_gradient`](Workspace::bounds_gradient), and [`Error::Length`] where v has not D values.
    pub fn curvature_along_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        v: &[T],
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let parameters = network.dimensions().parameters();
        check_length("v", "parameters", v.len(), parameters)?;
        let mut out = self.checked_out(network, batch, gradient, input_gradient)?;
        self.evaluate(
            network,
            batch,
            Curvature::Operator,
            Quantity::CurvatureAlongGradient,
        )?;
        let along = T::directional(DirectionalStage {
            directional: &mut self.directional,
            network,
            forward: &self.shards[0].forward,
            v,
            out: &mut out,
        });
        finished(along, &out, ["vᵀHv", "the gradient of vᵀHv"])
    }

    /// The gradient H u of uᵀ∇L for a fixed u; that for the inputs is W1ᵀ δ̇ + V1ᵀ δ (theory §6).
    fn along(&mut self, network: &Network<T>, u: &[T], out: &mut Out<T>) -> Result<(), Error> {
        self.operator(network).apply(u, out.parameters)?;
        let Some(inputs) = out.inputs.as_deref_mut() else {
            return Ok(());
        };
        let f = &self.shards[0].forward;
        let dims = f.dims();
        let (n, h, d) = (f.stride, dims.hidden, dims.inputs);
        let Along {
            z: delta,
            delta: delta_dot,
            scratch: x_bar,
            ..
        } = &mut self.buffers;
        let delta = fit(delta, h * n);
        for (i, delta) in delta.iter_mut().enumerate() {
            *delta = f.g[i] * f.d1[i];
        }
        let x_bar = fit(x_bar, d * n);
        let w1 = Mat::new(network.hidden_weight(), h, d, d).t();
        let v1 = Mat::new(&u[dims.layout().hidden_weight()], h, d, d).t();
        let delta_dot = Mat::new(delta_dot, h, n, n);
        matmul(x_bar, n, Write::Replace, T::one(), w1, delta_dot);
        matmul(x_bar, n, Write::Add, T::one(), v1, Mat::new(delta, h, n, n));
        write_samples(inputs, x_bar, n, f.sigma);
        Ok(())
    }
}

impl Workspace<f64> {
    /// λ_max with its eigenvector and, in `gradient` \[D\], ∂λ_max/∂θ; in `input_gradient` \[N, d\], where given,
    /// ∂λ_max/∂x. The eigenvector v comes from the Lanczos iteration on exact Hessian-vector products, the gradient is
    /// that of vᵀHv. The eigenvalue's error is quadratic in the residual, that of the gradient linear. Where λ_max is
    /// multiple it has no gradient; this is then one of its subgradients.
    ///
    /// # Errors
    ///
    /// As [`bounds_gradient`](Workspace::bounds_gradient); [`Error::Eigenvalues`] where a product is not finite.
    pub fn lambda_max_gradient(
        &mut self,
        network: &Network<f64>,
        batch: &Batch<f64>,
        options: &LanczosOptions,
        gradient: &mut [f64],
        input_gradient: Option<&mut [f64]>,
    ) -> Result<EigenPair, Error> {
        let mut operator = self.linearize(network, batch)?;
        let size = operator.parameters();
        let pair = top_eigenpair(size, |v, out| operator.apply(v, out), None, options)?;
        self.curvature_along_gradient(network, batch, &pair.vector, gradient, input_gradient)?;
        Ok(pair)
    }
}

/// A value with its gradient, where everything is representable.
fn finished<T: Stages>(
    value: T,
    out: &Out<T>,
    [what, gradient]: [&'static str; 2],
) -> Result<T, Error> {
    if !value.is_finite() {
        return Err(Error::Overflow { what });
    }
    if finite(out.parameters) && out.inputs.as_deref().is_none_or(finite) {
        Ok(value)
    } else {
        Err(Error::Overflow { what: gradient })
    }
}
