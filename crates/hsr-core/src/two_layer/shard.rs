//! A batch in shards, one a thread: each holds some of the samples and everything that is computed for them.
//!
//! H is a sum over samples and so are its blocks and the gradient; what has to be known of the whole batch before a
//! shard can go on is small: σ, the blocks of H that are formed, the weights w_t and w_q. Sums over pairs read the other
//! shards' samples where they are.

use crate::error::Error;
use crate::numeric::number::Number;
use crate::two_layer::formed::Blocks;
use crate::two_layer::prepared::Prepared;
use crate::two_layer::samples::Forward;

/// What all shards may read of one.
pub struct Shared<T> {
    pub forward: Forward<T>,
    /// What the last stage gave: the shard's part of the loss, or what is wrong.
    pub loss: Result<T, Error>,
    pub(crate) blocks: Blocks<T>,
    pub(crate) prepared: Prepared<T>,
}

impl<T: Number> Default for Shared<T> {
    fn default() -> Self {
        Self {
            forward: Forward::default(),
            loss: Ok(T::zero()),
            blocks: Blocks::default(),
            prepared: Prepared::default(),
        }
    }
}
