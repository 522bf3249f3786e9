//! A part of the batch for the regulariser.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// `rows` of `samples` rows, each as likely as any other, the same for the same seed and step: their Hessian is that
/// of the batch in expectation, and the mean of their λ_sup is no less than the batch's (theory §3). `None` where the
/// batch is no larger.
pub(crate) fn choose(
    rows: Option<usize>,
    samples: usize,
    seed: u64,
    step: u64,
    device: &Device,
) -> Option<Tensor<1, Int>> {
    let rows = rows.filter(|&rows| rows < samples)?;
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
mod tests {
    use burn::tensor::Device;

    use super::choose;

    fn rows(seed: u64, step: u64) -> Vec<i64> {
        let rows = choose(Some(4), 10, seed, step, &Device::flex()).expect("4 of 10");
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
        assert!(choose(Some(10), 10, 0, 0, &Device::flex()).is_none());
        assert!(choose(None, 10, 0, 0, &Device::flex()).is_none());
    }
}
