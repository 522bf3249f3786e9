//! The shards that a batch is divided into: runs of samples in order.

use core::ops::Range;

use crate::numeric::lanes::whole;

/// The number of shards that a batch makes where `most` are wanted.
pub(crate) fn count<T>(samples: usize, most: usize) -> usize {
    samples.div_ceil(length::<T>(samples, most))
}

/// The samples of one of `count` shards: whole registers, all but the last of one length.
pub(crate) fn range<T>(samples: usize, count: usize, index: usize) -> Range<usize> {
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
