//! How an evaluation is done, in the memory that there is.

use core::ops::Range;

use crate::error::Error;
use crate::evaluation::quantity::Quantity;
use crate::evaluation::shards;
use crate::numeric::buffer::Buffer;
use crate::numeric::lanes::{LANE, whole};
use crate::problem::loss::OutputLoss;
use crate::problem::network::Dimensions;
use crate::two_layer::buffers::Own;
use crate::two_layer::contraction::Want;
use crate::two_layer::directional::Directional;
use crate::two_layer::formed::Blocks;
use crate::two_layer::memory::{Case, quantity_of};
use crate::two_layer::output_basis;
use crate::two_layer::plan::{Evaluation, Plan};
use crate::two_layer::product::Along;
use crate::two_layer::shard::Shared;
use crate::two_layer::stages::Stages;
use crate::two_layer::workspace::Workspace;

impl<T: Stages> Workspace<T> {
    /// The most bytes that buffers may take.
    pub(super) fn limit(&self) -> u64 {
        self.memory_limit.unwrap_or(isize::MAX as u64)
    }

    /// How moments are evaluated: the cheapest way that fits the memory.
    pub(super) fn case_of_moments(
        &self,
        dims: &Dimensions,
        loss: OutputLoss,
        samples: usize,
        evaluation: Evaluation,
        want: Want,
    ) -> Result<Case, Error> {
        let softmax = loss.couples_outputs();
        let rank = output_basis::reduced(dims.outputs, softmax);
        let limit = self.limit();
        let of = |plan: Plan| Case {
            quantity: quantity_of(want),
            dimensions: *dims,
            loss,
            in_basis: true,
            plan,
            samples,
            chunk: samples,
            shards: self.shards_that_pay(samples, plan.cost(dims, rank, samples)),
        };
        // Under a limit on memory that of a block is part of it.
        let block = self.memory_limit.map(|_| usize::MAX);
        let cheapest = of(Plan::with_rank(evaluation, dims, rank, samples, block)?);
        if cheapest.bytes::<T>() <= limit as f64 {
            return Ok(cheapest);
        }
        let mut least = cheapest;
        for plan in Plan::by_cost(evaluation, dims, rank, samples) {
            let mut case = of(plan);
            while case.bytes::<T>() > limit as f64 && case.shards > 1 {
                case.shards = shards::count::<T>(samples, case.shards - 1);
            }
            if case.bytes::<T>() > limit as f64 && plan == Plan::ASSEMBLED {
                case = self.in_chunks_that_fit(case);
            }
            if case.bytes::<T>() <= limit as f64 {
                return Ok(case);
            }
            if case.bytes::<T>() < least.bytes::<T>() {
                least = case;
            }
        }
        Err(least.refuse::<T>(limit))
    }

    /// How a quantity is evaluated that one pass over the samples gives: whole, or part by part where that fits better.
    pub(crate) fn case_of_pass(
        &self,
        quantity: Quantity,
        dims: &Dimensions,
        loss: OutputLoss,
        samples: usize,
    ) -> Result<Case, Error> {
        let case = Case {
            quantity,
            dimensions: *dims,
            loss,
            in_basis: true,
            plan: Plan::ASSEMBLED,
            samples,
            chunk: samples,
            shards: 1,
        };
        let case = match quantity {
            Quantity::Loss | Quantity::LossGradient | Quantity::HessianProduct => {
                self.in_chunks_that_fit(case)
            }
            _ => case,
        };
        if case.bytes::<T>() <= self.limit() as f64 {
            Ok(case)
        } else {
            Err(case.refuse::<T>(self.limit()))
        }
    }

    /// The largest parts of the samples that fit, or the smallest that there are.
    pub(super) fn in_chunks_that_fit(&self, mut case: Case) -> Case {
        /// Samples that a part has at least.
        const LEAST: usize = 64;
        while case.bytes::<T>() > self.limit() as f64 && case.chunk > LEAST {
            case.chunk = (case.chunk / 2).max(LEAST).next_multiple_of(whole::<T>());
            case.shards = shards::count::<T>(case.chunk, case.shards.min(case.chunk / LEAST));
        }
        case
    }

    /// Takes note of buffers that are about to be allocated, and gives back those of other evaluations where both do not
    /// fit.
    pub(crate) fn hold(&mut self, case: Case) -> Result<(), Error> {
        /// More different evaluations than a loop goes through.
        const MOST: usize = 64;
        if let Some(watch) = &self.watch {
            watch.check()?;
        }
        let Some(limit) = self.memory_limit else {
            return Ok(());
        };
        if self.held.iter().any(|(held, _)| *held == case) {
            return Ok(());
        }
        let bytes = case.bytes::<T>();
        let sum = bytes + self.held.iter().map(|(_, bytes)| bytes).sum::<f64>();
        if sum > limit as f64 || self.held.len() >= MOST {
            self.release();
        }
        self.held.push((case, bytes));
        Ok(())
    }

    /// Gives all buffers back.
    pub(super) fn release(&mut self) {
        self.shards = vec![Shared::default()];
        self.own = vec![Own::default()];
        self.used = 1;
        self.directional = Directional::default();
        self.direction = Buffer::default();
        self.buffers = Along::default();
        self.blocks = Blocks::default();
        self.part = Buffer::default();
        self.held.clear();
    }

    /// How many shards an evaluation of so many samples and multiplications is divided into.
    pub(super) fn shards_that_pay(&self, samples: usize, multiplications: f64) -> usize {
        /// Multiplications that pay for another thread: some 0.2 ms, five times what it takes to wake one.
        const SHARE: f64 = 8e6;
        /// Samples a shard should have at least.
        const SAMPLES: usize = 4 * LANE;
        let most = ((multiplications / SHARE) as usize).min(samples / SAMPLES);
        if most < 2 {
            return 1;
        }
        // Asking for the pool's size starts its threads.
        let threads = match self.threads {
            Some(threads) => threads.get(),
            None => rayon::current_num_threads(),
        };
        shards::count::<T>(samples, most.min(threads))
    }

    /// The bytes of the buffers that `quantity` takes for a network and a batch of these sizes: counted, not allocated.
    /// (The space that the `gemm` crate packs matrices into for the time of a product is not among them.)
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] where no evaluation fits the limit; [`Error::TooLarge`] where a block of H was to be assembled and
    /// would not fit, without a limit.
    pub fn memory(
        &self,
        quantity: Quantity,
        dimensions: &Dimensions,
        loss: OutputLoss,
        samples: usize,
        evaluation: Evaluation,
    ) -> Result<u64, Error> {
        let want = match quantity {
            Quantity::Bounds => Some(Want::Moments),
            Quantity::BoundsGradient => Some(Want::Gradient),
            Quantity::BoundsInputGradient => Some(Want::InputGradient),
            Quantity::Loss
            | Quantity::LossGradient
            | Quantity::HessianProduct
            | Quantity::TraceGradient
            | Quantity::CurvatureAlongGradient => None,
        };
        let case = match want {
            Some(want) => self.case_of_moments(dimensions, loss, samples, evaluation, want)?,
            None => self.case_of_pass(quantity, dimensions, loss, samples)?,
        };
        Ok(case.bytes::<T>() as u64)
    }
}

/// The ranges of samples that are gone through one after the other.
pub(crate) fn chunks(case: &Case) -> impl Iterator<Item = Range<usize>> + use<> {
    let Case { samples, chunk, .. } = *case;
    (0..samples)
        .step_by(chunk)
        .map(move |start| start..samples.min(start + chunk))
}
