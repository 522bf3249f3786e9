//! The Gauss-Newton part H_GN of the Hessian through the K × K blocks of the neural tangent kernel (theory-depth §7):
//! with S = C Cᵀ the NK × NK matrix Cᵀ Θ C, Θ_nm = Σ_l G_l(n, m) J_{Ll,n} J_{Ll,m}ᵀ, has the nonzero spectrum of H_GN.

use crate::depth::network::FeedForward;
use crate::depth::objective::DeepBounds;
use crate::depth::passes::pass::Part;
use crate::depth::plan::DeepEvaluation;
use crate::depth::workspace::DeepWorkspace;
use crate::depth::workspace::evaluate::Evaluate;
use crate::depth::workspace::shard::Shard;
use crate::error::Error;
use crate::evaluation::quantity::DENSE_LIMIT;
use crate::evaluation::team::Team;
use crate::lanczos::options::LanczosOptions;
use crate::lanczos::top::top_eigenpair;
use crate::numeric::number::Number;
use crate::problem::batch::Batch;

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

impl<T: Number> GaussNewton<T> {
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

impl<T: Evaluate> DeepWorkspace<T> {
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
        self.loss(network, batch)?;
        let Shard { pass, tangents, .. } = self.shards.whole();
        let size = pass.samples * network.outputs();
        if size > DENSE_LIMIT {
            return Err(Error::TooLarge {
                what: "a matrix of the neural tangent kernel",
                elements: size * size,
                limit: DENSE_LIMIT * DENSE_LIMIT,
            });
        }
        let part = Part::GaussNewton;
        T::divide(pass, T::largest(pass));
        T::backward(pass, network, part);
        T::tangents(tangents, network, pass, part, Team::default());
        T::kernel(&mut self.kernel, pass, tangents);
        let matrix = &self.kernel.matrix;
        let apply = |v: &[f64], out: &mut [f64]| {
            for (out, row) in out.iter_mut().zip(matrix.chunks_exact(size)) {
                *out = row.iter().zip(v).map(|(m, v)| m.as_f64() * v).sum();
            }
            Ok::<(), Error>(())
        };
        let top = top_eigenpair(size, apply, None, options)?;
        Ok(top.value.max(0.0) * pass.output.sigma.as_f64())
    }
}
