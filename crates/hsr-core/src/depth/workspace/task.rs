//! Blocks as tasks of threads.

use core::num::NonZeroUsize;

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::plan::SHARE;
use crate::evaluation::block::BlockEvaluation;
use crate::numeric::number::Number;

/// One block that a thread evaluates.
pub(in crate::depth) struct Task<T> {
    pub id: BlockId,
    pub evaluation: BlockEvaluation,
    /// In multiply-adds.
    pub cost: f64,
    pub adjoints: BlockAdjoints<T>,
    /// q_{kl}.
    pub square: T,
}

impl<T: Number> Task<T> {
    pub fn new(id: BlockId, evaluation: BlockEvaluation, cost: f64) -> Self {
        Self {
            id,
            evaluation,
            cost,
            adjoints: BlockAdjoints::default(),
            square: T::zero(),
        }
    }
}

/// The longest tasks at both ends, where threads begin, the shortest in the middle, where they meet.
pub(in crate::depth) fn spread<T>(tasks: &mut [Task<T>]) {
    tasks.sort_unstable_by(|a, b| b.cost.total_cmp(&a.cost));
    let mut rest = tasks;
    while rest.len() > 2 {
        // The second longest goes to the end; what it passes keeps its order.
        rest[1..].rotate_left(1);
        let end = rest.len() - 1;
        rest = &mut rest[1..end];
    }
}

/// The threads of an evaluation of so many multiply-adds: no more than shards, or than blocks of the only shard.
pub(in crate::depth) fn threads(
    most: Option<NonZeroUsize>,
    multiplications: f64,
    shards: usize,
    blocks: usize,
) -> usize {
    let items = if shards > 1 { shards } else { blocks };
    threads_that_pay(most, multiplications).min(items.max(1))
}

/// How many threads an evaluation of so many multiply-adds is worth.
fn threads_that_pay(most: Option<NonZeroUsize>, multiplications: f64) -> usize {
    let pays = (multiplications / SHARE) as usize;
    if pays < 2 {
        return 1;
    }
    // Asking for the pool's size starts its threads.
    pays.min(most.map_or_else(rayon::current_num_threads, NonZeroUsize::get))
}
