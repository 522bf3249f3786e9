//! A part of the batch for the regulariser.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// The rows of a batch that the regulariser takes. What it takes are other rows at each step, named by the seed and the
/// step alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subsample {
    /// All of them, unless the network is wide and the step dear: where it has more than 10,000 parameters and
    /// [`Hsr::cost`](crate::Hsr::cost) predicts more than [`BUDGET`](Self::BUDGET) plain steps, the batch is halved, and
    /// halved again, until it does not (or 8 rows are left). This depends on sizes and configuration alone, never on a
    /// clock, and is said once, as a warning of the crate `log`.
    #[default]
    Auto,
    /// All of them, whatever the price.
    All,
    /// So many, or all of a smaller batch.
    Rows(usize),
}

impl Subsample {
    /// What a step with HSR may cost under [`Auto`](Self::Auto), in plain steps: as much as a step with SAM, which has two
    /// passes.
    pub const BUDGET: f64 = 3.0;
}

/// `rows` of `samples` rows, each as likely as any other, the same for the same seed and step: their Hessian is that
/// of the batch in expectation, and the mean of their λ_sup is no less than the batch's (theory §3). `None` where the
/// batch is no larger.
pub(crate) fn choose(
    rows: usize,
    samples: usize,
    seed: u64,
    step: u64,
    device: &Device,
) -> Option<Tensor<1, Int>> {
    if rows >= samples {
        return None;
    }
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(step);
    let mut chosen: Vec<i64> = rand::seq::index::sample(&mut generator, samples, rows)
        .into_iter()
        .map(|row| row as i64)
        .collect();
    // In the batch's order: rows are then read one after the other.
    chosen.sort_unstable();
    Some(Tensor::from_data(TensorData::new(chosen, [rows]), device))
}

#[cfg(all(test, feature = "flex"))]
mod choice {
    use burn::tensor::Device;

    use super::choose;

    fn rows(seed: u64, step: u64) -> Vec<i64> {
        let rows = choose(4, 10, seed, step, &Device::flex()).expect("4 of 10");
        rows.into_data().iter::<i64>().collect()
    }

    #[test]
    fn a_seed_and_a_step_name_the_rows() {
        assert_eq!(rows(1, 7), rows(1, 7));
        assert!((0..5).any(|step| rows(1, step) != rows(1, step + 1)));
        assert!((0..5).any(|step| rows(1, step) != rows(2, step)));
    }

    #[test]
    fn every_row_is_as_likely_as_any_other_and_none_is_taken_twice() {
        let mut counts = [0_u32; 10];
        for step in 0..5000 {
            let rows = rows(3, step);
            assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
            rows.iter().for_each(|&row| counts[row as usize] += 1);
        }
        // Binomial: 2000 ± 35; five deviations.
        assert!(counts.iter().all(|&n| n.abs_diff(2000) < 175), "{counts:?}");
    }

    #[test]
    fn a_batch_that_is_no_larger_is_taken_whole() {
        assert!(choose(10, 10, 0, 0, &Device::flex()).is_none());
        assert!(choose(11, 10, 0, 0, &Device::flex()).is_none());
    }
}
