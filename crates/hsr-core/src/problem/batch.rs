//! A borrowed batch: inputs, targets, and how the samples' losses are averaged.

use core::ops::Range;

use crate::error::{Error, check_finite, check_length};
use crate::numeric::number::Number;
use crate::problem::loss::OutputLoss;
use crate::problem::network::Dimensions;

/// The targets of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a, T> {
    /// A class index a sample, below K. For a sigmoid cross-entropy with one output: 0 or 1.
    Classes(&'a [usize]),
    /// Values, N × K row-major: soft labels (each row a distribution), 0…1 (sigmoid), or numbers (squared error).
    Values(&'a [T]),
}

impl<T> Targets<'_, T> {
    fn samples(&self, outputs: usize) -> usize {
        match self {
            Targets::Classes(classes) => classes.len(),
            Targets::Values(values) => values.len() / outputs.max(1),
        }
    }
}

/// A borrowed batch and the reduction of its loss L = Σ_n ω_n ℓ(o_n, y_n).
///
/// Without weights ω_n = 1/N. Sample weights s_n give ω_n = s_n / Σ s. Class weights w follow PyTorch's (and
/// Burn's) `CrossEntropyLoss`: hard labels, ℓ_n = −Σ_c w_c y_c log p_c with the mean divided by Σ_n s_n w_{y_n};
/// soft labels, the same ℓ_n divided by Σ s. Label smoothing ε replaces y by (1 − ε) y + ε/K before the class
/// weights act. Output weights v, for the squared error alone, give ℓ_n = (1/K) Σ_k v_nk (o_nk − y_nk)²; they do not
/// enter any divisor, so that a mask of 0 and 1 leaves the other outputs' part of the mean as it was.
///
/// ```
/// use hsr_core::{Activation, Batch, Dimensions, Network, OutputLoss, Targets, Workspace};
///
/// // Nine of Fisher's irises, three of a species: length and width of sepal and petal in cm.
/// let x = [
///     5.1, 3.5, 1.4, 0.2,  4.9, 3.0, 1.4, 0.2,  4.7, 3.2, 1.3, 0.2, // setosa
///     7.0, 3.2, 4.7, 1.4,  6.4, 3.2, 4.5, 1.5,  6.9, 3.1, 4.9, 1.5, // versicolor
///     6.3, 3.3, 6.0, 2.5,  5.8, 2.7, 5.1, 1.9,  7.1, 3.0, 5.9, 2.1, // virginica
/// ];
/// let species = [0, 0, 0, 1, 1, 1, 2, 2, 2];
/// let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, Targets::Classes(&species))
///     .with_class_weights(&[1.0, 2.0, 2.0])
///     .with_label_smoothing(0.1);
///
/// // Zeros for parameters: all species are equally likely and the loss is ln 3. Here smoothing and weights do not
/// // change that, for every class has three flowers.
/// let dimensions = Dimensions::new(4, 2, 3);
/// let network = Network::from_flat(dimensions, Activation::Tanh, &[0.0_f64; 19])?;
/// let plain = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, Targets::Classes(&species));
/// let loss = Workspace::new().loss(&network, &plain)?;
/// assert!((loss - 3.0_f64.ln()).abs() < 1e-15);
/// # let smoothed = Workspace::new().loss(&network, &batch)?;
/// # // Σ_n Σ_c w_c y_c ln 3 / Σ_n w_y with y smoothed: the mean weight is 5/3 both ways.
/// # assert!((smoothed - 3.0_f64.ln()).abs() < 1e-15);
/// # Ok::<(), hsr_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, T> {
    pub(crate) loss: OutputLoss,
    pub(crate) inputs: &'a [T],
    pub(crate) targets: Targets<'a, T>,
    pub(crate) sample_weights: Option<&'a [T]>,
    pub(crate) class_weights: Option<&'a [T]>,
    pub(crate) output_weights: Option<&'a [T]>,
    pub(crate) label_smoothing: T,
}

/// What the weights of a batch are divided by, in three steps so that none overflows: the largest sample weight, the
/// largest class weight, and the sum of what remains.
#[derive(Clone, Copy)]
pub struct Normalizer<T> {
    largest: T,
    unit: T,
    total: T,
}

impl<'a, T: Number> Batch<'a, T> {
    /// A batch of inputs (N × d, row-major) and targets. It is checked against the network where it is used.
    pub fn new(loss: OutputLoss, inputs: &'a [T], targets: Targets<'a, T>) -> Self {
        Self {
            loss,
            inputs,
            targets,
            sample_weights: None,
            class_weights: None,
            output_weights: None,
            label_smoothing: T::zero(),
        }
    }

    /// Weights of the samples, non-negative, \[N\]; only their ratios matter.
    pub fn with_sample_weights(mut self, weights: &'a [T]) -> Self {
        self.sample_weights = Some(weights);
        self
    }

    /// Weights of the classes, non-negative, \[K\]; softmax only.
    pub fn with_class_weights(mut self, weights: &'a [T]) -> Self {
        self.class_weights = Some(weights);
        self
    }

    /// Weights of each sample's outputs, non-negative, N × K row-major; squared error only. 0 masks an output.
    pub fn with_output_weights(mut self, weights: &'a [T]) -> Self {
        self.output_weights = Some(weights);
        self
    }

    /// Label smoothing ε in 0…1; softmax only.
    pub fn with_label_smoothing(mut self, smoothing: T) -> Self {
        self.label_smoothing = smoothing;
        self
    }

    /// The inputs, N × d row-major.
    pub fn inputs(&self) -> &'a [T] {
        self.inputs
    }

    /// The loss of a sample.
    pub fn loss(&self) -> OutputLoss {
        self.loss
    }

    /// The targets.
    pub fn targets(&self) -> Targets<'a, T> {
        self.targets
    }

    /// The weights of the samples, where they do not weigh the same.
    pub fn sample_weights(&self) -> Option<&'a [T]> {
        self.sample_weights
    }

    /// The number of samples N that the inputs hold for a network with `inputs` inputs.
    pub(crate) fn samples(&self, dimensions: &Dimensions) -> usize {
        self.inputs.len() / dimensions.inputs
    }

    /// Checks the batch against the network it will go through and gives the number of samples.
    pub(crate) fn check(&self, dimensions: &Dimensions) -> Result<usize, Error> {
        let outputs = dimensions.outputs;
        let samples = self.samples(dimensions);
        if samples == 0 && self.inputs.is_empty() {
            return Err(Error::Empty {
                what: "the number of samples",
            });
        }
        let rounded = samples.max(1) * dimensions.inputs;
        check_length("inputs", "samples × inputs", self.inputs.len(), rounded)?;
        check_finite("inputs", self.inputs)?;
        match self.targets {
            Targets::Classes(classes) => {
                check_length("targets", "samples", classes.len(), samples)?;
                let count = self.loss.classes(outputs);
                if let Some(sample) = classes.iter().position(|&class| class >= count) {
                    return Err(Error::Label {
                        sample,
                        label: classes[sample],
                        classes: count,
                    });
                }
            }
            Targets::Values(values) => {
                check_length(
                    "targets",
                    "samples × outputs",
                    values.len(),
                    samples * outputs,
                )?;
                check_finite("targets", values)?;
                self.loss.check(values, outputs)?;
            }
        }
        debug_assert_eq!(self.targets.samples(outputs), samples);
        self.check_reduction(samples, outputs)?;
        Ok(samples)
    }

    fn check_reduction(&self, samples: usize, outputs: usize) -> Result<(), Error> {
        for (option, given) in [
            ("label smoothing", self.label_smoothing != T::zero()),
            ("a class weight", self.class_weights.is_some()),
        ] {
            if given && !self.loss.weighs_classes() {
                return Err(Error::Unsupported {
                    option,
                    loss: self.loss.name(),
                });
            }
        }
        if self.output_weights.is_some() && !self.loss.weighs_outputs() {
            return Err(Error::OutputWeights {
                loss: self.loss.name(),
            });
        }
        if !(T::zero()..=T::one()).contains(&self.label_smoothing) {
            return Err(Error::Range {
                what: "the label smoothing",
                value: self.label_smoothing.as_f64(),
                expected: "a number in 0…1",
            });
        }
        for (what, shape, weights, expected) in [
            ("sample_weights", "samples", self.sample_weights, samples),
            ("class_weights", "outputs", self.class_weights, outputs),
            (
                "output_weights",
                "samples × outputs",
                self.output_weights,
                samples * outputs,
            ),
        ] {
            let Some(weights) = weights else { continue };
            check_length(what, shape, weights.len(), expected)?;
            check_finite(what, weights)?;
            if let Some(&value) = weights.iter().find(|&&weight| weight < T::zero()) {
                return Err(Error::Range {
                    what: "a weight",
                    value: value.as_f64(),
                    expected: "a non-negative number",
                });
            }
        }
        Ok(())
    }

    /// What the weights of all samples are divided by.
    pub(crate) fn normalizer(&self, samples: usize) -> Result<Normalizer<T>, Error> {
        // Divided by the largest first, so that the sum can neither overflow nor vanish.
        let largest = match self.sample_weights {
            Some(weights) => weights.iter().copied().fold(T::zero(), T::max),
            None => T::one(),
        };
        if largest == T::zero() {
            return Err(Error::NoWeight { sum: 0.0 });
        }
        let unit = match (self.class_weights, self.targets) {
            (Some(weights), Targets::Classes(_)) => weights.iter().copied().fold(T::zero(), T::max),
            _ => T::one(),
        };
        let unit = if unit > T::zero() { unit } else { T::one() };
        let of_sample = |n: usize| match self.sample_weights {
            Some(weights) => weights[n] / largest,
            None => T::one(),
        };
        let total: T = match (self.class_weights, self.targets) {
            (Some(weights), Targets::Classes(classes)) => classes
                .iter()
                .enumerate()
                .map(|(n, &class)| of_sample(n) * (weights[class] / unit))
                .sum(),
            _ if self.sample_weights.is_none() => T::of(samples as f64),
            _ => (0..samples).map(of_sample).sum(),
        };
        if total <= T::zero() {
            return Err(Error::NoWeight {
                sum: total.as_f64(),
            });
        }
        Ok(Normalizer {
            largest,
            unit,
            total,
        })
    }

    /// Writes y and ω of the samples in `range`, feature-major with `stride` samples a row (padding is left 0): ℓ_n is
    /// then the plain loss of the label y_n with weight ω_n, whatever the class weights and the smoothing were.
    pub(crate) fn reduce(
        &self,
        dimensions: &Dimensions,
        normalizer: Normalizer<T>,
        range: Range<usize>,
        stride: usize,
        y: &mut [T],
        omega: &mut [T],
    ) {
        let outputs = dimensions.outputs;
        let samples = range.len();
        let Normalizer {
            largest,
            unit,
            total,
        } = normalizer;
        match self.targets {
            // One output of a softmax has one class, of probability 1; any other tells 0 from 1.
            Targets::Classes(classes) if outputs == 1 && !self.loss.couples_outputs() => {
                for (y, &class) in y.iter_mut().zip(&classes[range.clone()]) {
                    *y = if class == 0 { T::zero() } else { T::one() };
                }
            }
            Targets::Classes(classes) => {
                for (n, &class) in classes[range.clone()].iter().enumerate() {
                    y[class * stride + n] = T::one();
                }
            }
            Targets::Values(values) => {
                let values = &values[range.start * outputs..range.end * outputs];
                for (n, row) in values.chunks_exact(outputs).enumerate() {
                    for (k, &value) in row.iter().enumerate() {
                        y[k * stride + n] = value;
                    }
                }
            }
        }
        match self.sample_weights {
            Some(weights) => {
                for (omega, &weight) in omega.iter_mut().zip(&weights[range]) {
                    *omega = weight / largest / total;
                }
            }
            None => omega[..samples].fill(T::one() / total),
        }
        if self.label_smoothing != T::zero() {
            let share = self.label_smoothing / T::of(outputs as f64);
            for k in 0..outputs {
                for y in &mut y[k * stride..k * stride + samples] {
                    *y = (T::one() - self.label_smoothing) * *y + share;
                }
            }
        }
        if let Some(weights) = self.class_weights {
            for n in 0..samples {
                let value: T = (0..outputs)
                    .map(|k| weights[k] / unit * y[k * stride + n])
                    .sum();
                omega[n] *= value;
                if value > T::zero() {
                    for (k, &weight) in weights.iter().enumerate() {
                        y[k * stride + n] *= weight / unit / value;
                    }
                }
            }
        }
    }
}
