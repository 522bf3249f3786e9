//! A batch in shards, one a thread: each holds some of the samples and everything that is computed for them.
//!
//! H is a sum over samples and so are its blocks and the gradient; what has to be known of the whole batch before a
//! shard can go on is small: σ, the blocks of H that are formed, the weights w_t and w_q. Sums over pairs read the other
//! shards' samples where they are.

use core::ops::Range;

use crate::error::Error;
use crate::numeric::lanes::whole;
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

/// The number of shards that a batch makes where `most` are wanted.
pub fn count<T>(samples: usize, most: usize) -> usize {
    samples.div_ceil(length::<T>(samples, most))
}

/// The samples of one of `count` shards: whole registers, all but the last of one length.
pub fn range<T>(samples: usize, count: usize, index: usize) -> Range<usize> {
    let length = length::<T>(samples, count);
    index * length..samples.min((index + 1) * length)
}

fn length<T>(samples: usize, count: usize) -> usize {
    samples
        .div_ceil(count.max(1))
        .next_multiple_of(whole::<T>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_whole_registers_and_cover_the_batch() {
        for samples in 1..200 {
            for most in 1..9 {
                let count = count::<f32>(samples, most);
                let ranges: Vec<_> = (0..count)
                    .map(|i| range::<f32>(samples, count, i))
                    .collect();
                assert!(ranges.len() <= most);
                assert_eq!(ranges[0].start, 0);
                assert_eq!(ranges[ranges.len() - 1].end, samples);
                for pair in ranges.windows(2) {
                    assert_eq!(pair[0].end, pair[1].start);
                    assert!(pair[0].len().is_multiple_of(whole::<f32>()));
                }
            }
        }
    }
}
