//! How well predictions match labels.

/// Accuracy: the share of samples whose class is predicted. 0 for no samples.
pub fn accuracy(predicted: &[usize], labels: &[usize]) -> f64 {
    if labels.is_empty() {
        return 0.0;
    }
    let right = predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
    right as f64 / labels.len() as f64
}

/// Macro-averaged F1: the mean over classes of 2TP/(2TP + FP + FN), as in scikit-learn with `average="macro"`: classes
/// that occur neither among the labels nor among the predictions do not count.
pub fn macro_f1(predicted: &[usize], labels: &[usize], classes: usize) -> f64 {
    let mut scores = Vec::with_capacity(classes);
    for class in 0..classes {
        let count = |p: bool, l: bool| {
            predicted
                .iter()
                .zip(labels)
                .filter(|&(&predicted, &label)| (predicted == class) == p && (label == class) == l)
                .count() as f64
        };
        let hits = count(true, true);
        let misses = count(true, false) + count(false, true);
        if hits + misses > 0.0 {
            scores.push(2.0 * hits / (2.0 * hits + misses));
        }
    }
    if scores.is_empty() {
        0.0
    } else {
        scores.iter().sum::<f64>() / scores.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macro_f1_is_that_of_scikit_learn() {
        // sklearn.metrics.f1_score([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], average="macro") = 0.26666…
        let score = macro_f1(&[0, 2, 1, 0, 0, 1], &[0, 1, 2, 0, 1, 2], 3);
        assert!((score - 4.0 / 15.0).abs() < 1e-15, "{score}");
        assert_eq!(macro_f1(&[1, 1], &[1, 1], 5), 1.0);
        assert_eq!(
            accuracy(&[0, 2, 1, 0, 0, 1], &[0, 1, 2, 0, 1, 2]),
            1.0 / 3.0
        );
    }
}
