//! Lengths of vectors.

use crate::numeric::scalar::Scalar;

/// Makes `vector` a unit vector and gives the length it had, without overflow or underflow on the way. Zeros stay zeros;
/// where a value is infinite nothing is changed.
pub(crate) fn normalize<T: Scalar>(vector: &mut [T]) -> T {
    let largest = vector.iter().fold(T::zero(), |max, v| max.max(v.abs()));
    if largest == T::zero() || !largest.is_finite() {
        return largest;
    }
    let sum: f64 = vector.iter().map(|&v| (v / largest).as_f64().powi(2)).sum();
    let norm = T::of(sum.sqrt());
    vector.iter_mut().for_each(|v| *v = *v / largest / norm);
    largest * norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_whose_squares_are_beyond_the_type_are_found() {
        for scale in [1e-300_f64, 1e-160, 1.0, 1e160, 1e300] {
            let mut vector = [3.0 * scale, 0.0, -4.0 * scale];
            let length = normalize(&mut vector);
            assert!((length / scale - 5.0).abs() < 1e-14, "{scale:e}");
            for (v, expected) in vector.iter().zip([0.6, 0.0, -0.8]) {
                assert!((v - expected).abs() < 1e-15, "{scale:e}");
            }
        }
        let mut zeros = [0.0_f32; 3];
        assert_eq!(normalize(&mut zeros), 0.0);
        assert_eq!(zeros, [0.0; 3]);
    }
}
