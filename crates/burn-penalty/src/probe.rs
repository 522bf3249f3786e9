//! Seeded random numbers.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// ChaCha8, whose output is the same on every platform; a stream for each step, so that a resumed run goes on with the
/// same numbers.
pub fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// One of two ends for each bit of a word.
pub(crate) fn random_signs<T: Copy>(
    count: usize,
    ends: [T; 2],
    generator: &mut impl Rng,
) -> Vec<T> {
    let mut signs = Vec::with_capacity(count);
    while signs.len() < count {
        let word = generator.next_u64();
        let left = 64.min(count - signs.len());
        signs.extend((0..left).map(|bit| ends[(word >> bit & 1) as usize]));
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::{generator, random_signs};

    /// Signs of the first steps of two seeds, a row a step.
    fn rows(count: usize) -> Vec<Vec<f64>> {
        let streams = (0..2).flat_map(|seed| (0..200).map(move |step| (seed, step)));
        streams
            .map(|(seed, step)| random_signs(count, [-1.0, 1.0], &mut generator(seed, step)))
            .collect()
    }

    #[test]
    fn signs_are_plus_and_minus_one_equally_often() {
        let count = 1000;
        let rows = rows(count);
        assert!(rows.iter().flatten().all(|v| v.abs() == 1.0));
        let total: f64 = rows.iter().flatten().sum();
        let size = (rows.len() * count) as f64;
        // Five standard deviations of a fair coin.
        assert!(total.abs() < 5.0 * size.sqrt(), "{total} of {size}");
        // No place has a side of its own: the sum over places of squared sums, size in the mean, has the variance
        // 2·places·(rows)².
        let places = (0..count).map(|i| rows.iter().map(|row| row[i]).sum::<f64>().powi(2));
        let spread = places.sum::<f64>();
        let deviation = (2.0 * count as f64).sqrt() * rows.len() as f64;
        assert!(
            (spread - size).abs() < 5.0 * deviation,
            "{spread} of {size}"
        );
    }

    #[test]
    fn signs_are_independent_of_their_neighbours_and_of_other_steps_and_seeds() {
        let count = 1000;
        let rows = rows(count);
        let correlation = |a: &[f64], b: &[f64]| -> f64 {
            let products = a.iter().zip(b).map(|(a, b)| a * b);
            products.sum::<f64>() / (a.len().min(b.len()) as f64).sqrt()
        };
        // Standard normal, each of them. 6 deviations: some 10⁵ are looked at.
        for row in &rows {
            for lag in [1, 2, 31, 32, 63, 64, 65, 128, 256] {
                let z = correlation(row, &row[lag..]);
                assert!(z.abs() < 6.0, "lag {lag}: {z}");
            }
        }
        for (i, a) in rows.iter().enumerate() {
            for b in &rows[..i] {
                let z = correlation(a, b);
                assert!(z.abs() < 6.0, "two steps: {z}");
            }
        }
    }
}
