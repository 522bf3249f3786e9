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
    Some(Tensor::from_data(
        TensorData::new(chosen, [rows]),
        device,
    ))
}
