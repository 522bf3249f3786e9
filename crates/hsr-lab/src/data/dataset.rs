//! A labelled classification data set in memory.

/// A classification data set: N samples of d features, each with a class index below K.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The name in tables and figures.
    pub name: String,
    /// The features, N × d row-major.
    pub features: Vec<f64>,
    /// d, the number of features of a sample.
    pub inputs: usize,
    /// The names of the features, d of them.
    pub feature_names: Vec<String>,
    /// The class index of each sample, N of them, each below K.
    pub labels: Vec<usize>,
    /// The names of the classes, K of them; a class may have no sample.
    pub class_names: Vec<String>,
}

impl Dataset {
    /// N, the number of samples.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// K, the number of classes, those without a sample included.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The features of one sample, d of them.
    ///
    /// # Panics
    ///
    /// If `sample` is not below N.
    pub fn row(&self, sample: usize) -> &[f64] {
        &self.features[sample * self.inputs..(sample + 1) * self.inputs]
    }

    /// The samples with these indices, in this order; an index may be repeated. The classes stay those of the whole
    /// set, so that a subset which misses a class still trains the same network.
    ///
    /// # Panics
    ///
    /// If an index is not below N.
    pub fn subset(&self, indices: &[usize]) -> Dataset {
        let mut features = Vec::with_capacity(indices.len() * self.inputs);
        for &sample in indices {
            features.extend_from_slice(self.row(sample));
        }
        Dataset {
            name: self.name.clone(),
            features,
            inputs: self.inputs,
            feature_names: self.feature_names.clone(),
            labels: indices.iter().map(|&sample| self.labels[sample]).collect(),
            class_names: self.class_names.clone(),
        }
    }

    /// The number of samples of each class, K of them.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes()];
        for &label in &self.labels {
            counts[label] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_samples() -> Dataset {
        Dataset {
            name: "three".into(),
            features: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            inputs: 2,
            feature_names: vec!["x".into(), "y".into()],
            labels: vec![0, 2, 0],
            class_names: vec!["a".into(), "b".into(), "c".into()],
        }
    }

    #[test]
    fn counts_include_a_class_without_samples() {
        let data = three_samples();
        assert_eq!((data.samples(), data.classes()), (3, 3));
        assert_eq!(data.class_counts(), [2, 0, 1]);
    }

    #[test]
    fn a_subset_keeps_the_order_asked_for_and_all_classes() {
        let subset = three_samples().subset(&[2, 1, 2]);
        assert_eq!(subset.features, [5.0, 6.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(subset.labels, [0, 2, 0]);
        assert_eq!(subset.classes(), 3);
        assert_eq!(three_samples().subset(&[]).samples(), 0);
    }
}
