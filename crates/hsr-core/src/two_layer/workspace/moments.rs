//! Moments, bounds, and the gradient of what is descended of them.

use crate::bounds::{Moments, SpectralBounds, SpectralWeights};
use crate::error::{Error, check_length};
use crate::evaluation::out::Out;
use crate::evaluation::team::Team;
use crate::evaluation::watch::Ticks;
use crate::numeric::buffer::fit;
use crate::numeric::lanes::{add_scaled, finite};
use crate::problem::batch::Batch;
use crate::problem::network::Network;
use crate::two_layer::buffers::Own;
use crate::two_layer::contraction::Want;
use crate::two_layer::forward::{Curvature, Part};
use crate::two_layer::memory::Case;
use crate::two_layer::plan::{Evaluation, Plan};
use crate::two_layer::shard::Shared;
use crate::two_layer::stages::Stages;
use crate::two_layer::workspace::Workspace;
use crate::two_layer::workspace::cases::chunks;
use crate::two_layer::workspace::shards::Preparation;

/// An evaluation of moments.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub evaluation: Evaluation,
    pub want: Want,
    /// The Gauss-Newton part of H alone, or the rest alone.
    pub part: Option<Part>,
}

/// What is descended, and where its gradient goes.
pub(crate) struct Descend<'a, 'o, T> {
    /// The derivatives of what is descended with respect to the moments.
    pub weights: fn(&Moments<T>) -> SpectralWeights,
    pub out: &'a mut Out<'o, T>,
}

impl<T: Stages> Workspace<T> {
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
        let asked = Asked {
            evaluation,
            want: Want::Moments,
            part: None,
        };
        let (_, moments) = self.in_shards(network, batch, asked, None, None)?;
        self.finish(moments, &SpectralWeights::new(&moments))
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
        let (_, bounds) = self.bounds_into(network, batch, evaluation, None, &mut out)?;
        Ok(bounds)
    }

    /// The bounds with the gradient of λ_sup and, where there is room for its gradient, the loss.
    pub(crate) fn bounds_into(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
        loss_gradient: Option<&mut [T]>,
        out: &mut Out<T>,
    ) -> Result<(T, SpectralBounds<T>), Error> {
        let asked = Asked {
            evaluation,
            want: Want::of(out),
            part: None,
        };
        let descend = Descend {
            weights: SpectralWeights::new,
            out: &mut *out,
        };
        let (loss, moments) =
            self.in_shards(network, batch, asked, loss_gradient, Some(descend))?;
        if finite(out.parameters) && out.inputs.as_deref().is_none_or(finite) {
            let bounds = self.finish(moments, &SpectralWeights::new(&moments))?;
            Ok((loss, bounds))
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

    /// The moments of H/σ, and the gradient of what is to be descended of them, in as many shards as pay. Before them,
    /// where there is room for its gradient, the loss, else 0.
    pub(crate) fn in_shards(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        asked: Asked,
        loss_gradient: Option<&mut [T]>,
        descend: Option<Descend<T>>,
    ) -> Result<(T, Moments<T>), Error> {
        let Asked {
            evaluation, want, ..
        } = asked;
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let case = self.case_of_moments(&dims, batch.loss(), samples, evaluation, want)?;
        self.hold(case)?;
        self.team = Team::new(case.shards);
        if case.chunk < samples {
            self.in_chunks(network, batch, case, asked, loss_gradient, descend)
        } else {
            self.whole(network, batch, case, asked, loss_gradient, descend)
        }
    }

    /// The same for an evaluation of all samples at once.
    fn whole(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        case: Case,
        asked: Asked,
        loss_gradient: Option<&mut [T]>,
        descend: Option<Descend<T>>,
    ) -> Result<(T, Moments<T>), Error> {
        let Case {
            plan,
            samples,
            shards: count,
            ..
        } = case;
        let Asked { want, part, .. } = asked;
        let with_loss = loss_gradient.is_some();
        let normalizer = batch.normalizer(samples)?;
        let loss = self.forward_in(network, batch, normalizer, 0..samples, count, with_loss)?;
        if let Some(gradient) = loss_gradient {
            self.write_loss_gradient(network, gradient)?;
        }
        let preparation = Preparation::new(&self.shards[..count], plan, want, part);
        let largest = self.largest();
        self.curvature(network, Curvature::InBasis, largest, |shared, own| {
            preparation.run(shared, own);
        })?;
        let moments = self.contract_prepared(preparation)?;
        if let Some(Descend { weights, out }) = descend {
            self.pull_back(network, &weights(&moments), out);
        }
        Ok((loss, moments))
    }

    /// The same for an evaluation whose blocks are all formed, part by part of the samples: once through them for σ, once
    /// for the blocks, and where a gradient is wanted once more.
    pub(super) fn in_chunks(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        case: Case,
        asked: Asked,
        loss_gradient: Option<&mut [T]>,
        descend: Option<Descend<T>>,
    ) -> Result<(T, Moments<T>), Error> {
        let Case {
            plan,
            samples,
            shards: count,
            ..
        } = case;
        let want = asked.want;
        let parameters = case.dimensions.parameters();
        let normalizer = batch.normalizer(samples)?;
        let watch = self.watch.clone();
        let passes = if descend.is_some() { 3 } else { 2 };
        let parts = samples.div_ceil(case.chunk);
        let mut ticks = Ticks::new(watch.as_ref(), "parts of the samples", passes * parts);
        let mut next = || {
            if ticks.stopped() {
                Err(Error::Stopped)
            } else {
                Ok(())
            }
        };
        let with_loss = loss_gradient.is_some();
        let mut of_loss = loss_gradient;
        if let Some(gradient) = of_loss.as_deref_mut() {
            gradient.fill(T::zero());
        }
        let (mut loss, mut largest) = (T::zero(), T::zero());
        for range in chunks(&case) {
            next()?;
            loss += self.forward_in(network, batch, normalizer, range, count, with_loss)?;
            largest = largest.max(self.largest());
            if let Some(gradient) = of_loss.as_deref_mut() {
                self.add_part(gradient, |workspace, part| {
                    workspace.write_loss_gradient(network, part)
                })?;
            }
        }
        let mut trace = T::zero();
        for (index, range) in chunks(&case).enumerate() {
            next()?;
            self.forward_in(network, batch, normalizer, range, count, false)?;
            let shards = &self.shards[..self.used];
            let preparation = Preparation::new(shards, plan, want, asked.part);
            self.curvature(network, Curvature::InBasis, largest, |shared, own| {
                preparation.run(shared, own);
            })?;
            trace += self.trace();
            if index == 0 {
                self.blocks.clear(&self.shards[0].forward, &plan);
            }
            for shard in &self.shards[..self.used] {
                self.blocks.add(&shard.blocks);
            }
        }
        let moments = self.moments_of(&self.blocks, trace, T::zero(), parameters)?;
        self.plan = Some(plan);
        let Some(Descend { weights, out }) = descend else {
            return Ok((loss, moments));
        };
        let weights = weights(&moments);
        core::mem::swap(&mut self.blocks, &mut self.shards[0].blocks);
        out.parameters.fill(T::zero());
        let inputs = case.dimensions.inputs;
        for range in chunks(&case) {
            next()?;
            self.forward_in(network, batch, normalizer, range.clone(), count, false)?;
            let clear = |shared: &mut Shared<T>, own: &mut Own<T>| {
                own.contraction.clear(&shared.forward, want);
            };
            self.curvature(network, Curvature::InBasis, largest, clear)?;
            let preparation = Preparation::new(&self.shards[..self.used], plan, want, None);
            self.contract_blocks(preparation)?;
            let of_inputs = out.inputs.as_deref_mut();
            let of_inputs = of_inputs.map(|x| &mut x[range.start * inputs..range.end * inputs]);
            self.add_part(out.parameters, |workspace, part| {
                workspace.pull_back(
                    network,
                    &weights,
                    &mut Out {
                        parameters: part,
                        inputs: of_inputs,
                    },
                );
                Ok(())
            })?;
        }
        Ok((loss, moments))
    }

    /// Adds to `sum` what `write` writes of one part of the samples.
    pub(crate) fn add_part(
        &mut self,
        sum: &mut [T],
        write: impl FnOnce(&mut Self, &mut [T]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut part = core::mem::take(&mut self.part);
        let written = write(self, fit(&mut part, sum.len()));
        add_scaled(sum, T::one(), &part[..sum.len()]);
        self.part = part;
        written
    }

    /// The bounds of H from those of H/σ.
    #[inline(always)]
    pub(crate) fn finish(
        &self,
        moments: Moments<T>,
        weights: &SpectralWeights,
    ) -> Result<SpectralBounds<T>, Error> {
        let sigma = self.shards[0].forward.sigma;
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

    /// How the squared norm splits: ‖G‖²/(‖G‖² + ‖H − G‖²) with G the Gauss-Newton part of H ([theory](crate::theory)
    /// §2), between 0 and 1. The rest to 1 is the share of the indefinite part; 1 where H = 0, which is its own Gauss-
    /// Newton part.
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
        let parts = [Part::GaussNewton, Part::Indefinite];
        for (part, norm) in parts.into_iter().zip(&mut norms) {
            let asked = Asked {
                evaluation,
                want: Want::Moments,
                part: Some(part),
            };
            let (_, moments) = self.in_shards(network, batch, asked, None, None)?;
            *norm = moments.frobenius_squared;
        }
        let [gauss_newton, indefinite] = norms;
        if gauss_newton + indefinite == T::zero() {
            return Ok(T::one());
        }
        Ok(gauss_newton / (gauss_newton + indefinite))
    }
}
