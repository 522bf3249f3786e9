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
    // Of each class the samples that are both, and those that are predicted or labelled so.
    let (mut both, mut either) = (vec![0_usize; classes], vec![0_usize; classes]);
    for (&predicted, &label) in predicted.iter().zip(labels) {
        for class in [predicted, label] {
            if let Some(count) = either.get_mut(class) {
                *count += 1;
            }
        }
        if predicted == label
            && let Some(count) = both.get_mut(label)
        {
            *count += 1;
        }
    }
    let occurring = both.iter().zip(&either).filter(|&(_, &either)| either > 0);
    // 2TP + FP + FN counts a hit as predicted and as labelled.
    let scores: Vec<f64> = occurring
        .map(|(&both, &either)| 2.0 * both as f64 / either as f64)
        .collect();
    if scores.is_empty() {
        0.0
    } else {
        scores.iter().sum::<f64>() / scores.len() as f64
    }
}

/// Bins of confidence, as in the reference.
const BINS: usize = 15;

/// The expected calibration error of softmax classifiers: how far confidence and accuracy are apart, over 15 bins B_m of
/// equal width,
///
/// ```text
/// Σ_m |B_m|/N · |accuracy(B_m) − confidence(B_m)|,      B_m: samples whose largest probability is in ((m−1)/15, m/15]
/// ```
///
/// `logits` is N × K row-major. 0 for no samples.
///
/// # References
///
/// Guo et al., *On calibration of modern neural networks*, ICML 2017.
pub fn calibration_error(logits: &[f64], labels: &[usize]) -> f64 {
    if labels.is_empty() {
        return 0.0;
    }
    // Σ (right − confidence) of each bin: its mean times |B_m|.
    let mut gaps = [0.0; BINS];
    for (logits, &label) in logits.chunks(logits.len() / labels.len()).zip(labels) {
        let (mut predicted, mut largest) = (0, f64::NEG_INFINITY);
        for (class, &logit) in logits.iter().enumerate() {
            if logit > largest {
                (predicted, largest) = (class, logit);
            }
        }
        let confidence = 1.0 / logits.iter().map(|o| (o - largest).exp()).sum::<f64>();
        let bin = (confidence * BINS as f64).ceil() as usize;
        gaps[bin.clamp(1, BINS) - 1] += f64::from(u8::from(predicted == label)) - confidence;
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_error_is_that_of_bins_filled_by_hand() {
        // Confidences 0.9, 0.9, 0.9 (bin 14 of 15), 0.58, 0.58 (bin 9) and 0.62 (bin 10).
        let confident = [
            (0.9, 0),
            (0.9, 0),
            (0.9, 1),
            (0.58, 1),
            (0.58, 1),
            (0.62, 0),
        ];
        let logits: Vec<f64> = confident
            .iter()
            .flat_map(|(p, _)| [f64::ln(*p) + 700.0, f64::ln(1.0 - p) + 700.0])
            .collect();
        let labels = confident.map(|(_, label)| label);
        let expected = ((2.0 - 2.7_f64).abs() + 1.16 + (1.0 - 0.62)) / 6.0;
        let found = calibration_error(&logits, &labels);
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        // Certain and right; certain and wrong; undecided between two and right half of the time.
        assert_eq!(calibration_error(&[1e4, -1e4], &[0]), 0.0);
        assert_eq!(calibration_error(&[1e4, -1e4], &[1]), 1.0);
        assert_eq!(calibration_error(&[3.0, 3.0, 3.0, 3.0], &[0, 1]), 0.0);
    }

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
