//! A model and a batch in the host's memory, as hsr-core takes them.

use burn::tensor::{Element, Int, Tensor};
use hsr_core::depth::{FeedForward, LayerShape};
use hsr_core::{Batch, Error, Network, OutputLoss, Real};

use crate::config::HsrConfig;
use crate::error::HsrError;
use crate::layers::{Layers, shapes, three_layers};
use crate::targets::{Labels, Targets};

/// The parameters of a model and a batch with its loss, read from their device: from
/// [`Hsr::closed_form`](crate::Hsr::closed_form), for every verb of [`hsr_core::depth::DeepWorkspace`], and for three
/// layers of [`hsr_core::Workspace`].
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_hsr::{HsrConfig, ThreeLayerNetConfig};
/// use hsr_core::{Evaluation, Workspace};
///
/// let device = Device::flex();
/// device.seed(0);
/// // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
/// let x = Tensor::<2>::from_floats([
///     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
///     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
///     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
/// ], &device);
/// let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
/// let model = ThreeLayerNetConfig::new(4, 3, 3).init(&device);
///
/// let closed_form = HsrConfig::new().init()?.closed_form::<f64, _>(&model, x, y)?;
/// let (network, batch) = (closed_form.network()?, closed_form.batch());
/// let mut workspace = Workspace::new();
/// let mut hessian = vec![0.0; 27 * 27];
/// workspace.hessian(&network, &batch, &mut hessian)?;
/// let trace: f64 = hessian.iter().step_by(28).sum();
/// let bounds = workspace.bounds(&network, &batch, Evaluation::Auto)?;
/// assert!((bounds.moments.trace - trace).abs() < 1e-12 * trace.abs());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClosedForm<T> {
    shapes: Vec<LayerShape>,
    /// (W_1, b_1, …, W_L, b_L), with what is frozen.
    theta: Vec<T>,
    inputs: Vec<T>,
    labels: HostLabels<T>,
    sample_weights: Option<Vec<T>>,
    class_weights: Option<Vec<T>>,
    output_weights: Option<Vec<T>>,
    loss: OutputLoss,
    label_smoothing: T,
}

/// Memory that one reading leaves to the next. A training loop reads the same sizes step after step, and the allocator
/// takes long over blocks of some kilobytes.
#[derive(Default)]
pub(crate) struct Spare<T> {
    theta: Vec<T>,
    classes: Vec<usize>,
}

#[derive(Clone, Debug)]
enum HostLabels<T> {
    Classes(Vec<usize>),
    Values(Vec<T>),
}

pub(crate) fn read<T: Element, const D: usize>(
    what: &'static str,
    tensor: Tensor<D>,
) -> Result<Vec<T>, HsrError> {
    tensor
        .inner()
        .try_into_vec_as::<T>()
        .map_err(|error| HsrError::Read {
            what,
            message: error.to_string(),
        })
}

/// Class indices, read in the integer type that they have, into `out`.
fn read_classes(classes: Tensor<1, Int>, mut out: Vec<usize>) -> Result<Vec<usize>, HsrError> {
    let refuse = |message: String| HsrError::Read {
        what: "the targets",
        message,
    };
    let data = classes.inner().try_into_data();
    let data = data.map_err(|error| refuse(error.to_string()))?;
    // A negative index becomes one that is out of range, which hsr-core names with its sample.
    let index = |class: i64| usize::try_from(class).unwrap_or(usize::MAX);
    // The two types that backends have by default, without a copy between.
    out.clear();
    if let Ok(classes) = data.as_slice::<i64>() {
        out.extend(classes.iter().map(|&class| index(class)));
    } else if let Ok(classes) = data.as_slice::<i32>() {
        out.extend(classes.iter().map(|&class| index(class.into())));
    } else {
        let classes = data.try_into_vec_as::<i64>();
        let classes = classes.map_err(|error| refuse(error.to_string()))?;
        out.extend(classes.into_iter().map(index));
    }
    Ok(out)
}

/// `[rows, columns]` row-major to `[columns, rows]`, behind what `out` holds.
pub(crate) fn transpose_into<T: Real>(matrix: &[T], columns: usize, out: &mut Vec<T>) {
    /// Rows taken at once: as many lines of memory as the first-level cache keeps.
    const ROWS: usize = 16;
    let rows = matrix.len() / columns;
    let start = out.len();
    out.resize(start + matrix.len(), T::zero());
    let out = &mut out[start..];
    for (index, some) in matrix.chunks(ROWS * columns).enumerate() {
        for column in 0..columns {
            let to = &mut out[column * rows + index * ROWS..];
            for (to, row) in to.iter_mut().zip(some.chunks_exact(columns)) {
                *to = row[column];
            }
        }
    }
}

impl ClosedForm<f32> {
    /// The same in double precision, for what single precision cannot hold on the way.
    pub(crate) fn widened(&self, config: &HsrConfig) -> ClosedForm<f64> {
        let wide = |values: &[f32]| values.iter().map(|&v| v.into()).collect::<Vec<f64>>();
        ClosedForm {
            shapes: self.shapes.clone(),
            theta: wide(&self.theta),
            inputs: wide(&self.inputs),
            labels: match &self.labels {
                HostLabels::Classes(classes) => HostLabels::Classes(classes.clone()),
                HostLabels::Values(values) => HostLabels::Values(wide(values)),
            },
            sample_weights: self.sample_weights.as_deref().map(wide),
            class_weights: config.loss.class_weights.clone(),
            output_weights: self.output_weights.as_deref().map(wide),
            loss: self.loss,
            label_smoothing: config.loss.softmax_smoothing(),
        }
    }
}

impl<T: Real + Element> ClosedForm<T> {
    pub(crate) fn read<M: Layers>(
        config: &HsrConfig,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        spare: &mut Spare<T>,
    ) -> Result<Self, HsrError> {
        let shapes = shapes(model);
        let mut theta = core::mem::take(&mut spare.theta);
        theta.clear();
        theta.reserve(shapes.iter().map(LayerShape::values).sum());
        for (layer, shape) in model.layers().iter().zip(&shapes) {
            let linear = layer.linear();
            let weight = read("a weight", linear.weight.val())?;
            transpose_into(&weight, shape.outputs, &mut theta);
            if let Some(bias) = &linear.bias {
                theta.extend(read::<T, 1>("a bias", bias.val())?);
            }
        }
        let labels = match targets.labels {
            Labels::Values(values) => HostLabels::Values(read("the targets", values)?),
            Labels::Classes(classes) => {
                let out = core::mem::take(&mut spare.classes);
                HostLabels::Classes(read_classes(classes, out)?)
            }
        };
        let cast = |weights: &[f64]| weights.iter().map(|&w| T::of(w)).collect();
        Ok(Self {
            shapes,
            theta,
            inputs: read("the inputs", inputs)?,
            labels,
            sample_weights: match targets.sample_weights {
                Some(weights) => Some(read("the sample weights", weights)?),
                None => None,
            },
            class_weights: config.loss.class_weights.as_deref().map(cast),
            output_weights: match targets.output_weights {
                Some(weights) => Some(read("the output weights", weights)?),
                None => None,
            },
            loss: config.loss.kind,
            label_smoothing: T::of(config.loss.softmax_smoothing()),
        })
    }

    /// Leaves the memory to the next reading.
    pub(crate) fn leave(self, spare: &mut Spare<T>) {
        spare.theta = self.theta;
        if let HostLabels::Classes(classes) = self.labels {
            spare.classes = classes;
        }
    }

    /// The layers' sizes and activations, and what is frozen.
    pub fn shapes(&self) -> &[LayerShape] {
        &self.shapes
    }

    /// All values of the layers in the order (W_1, b_1, …, W_L, b_L), weights as \[outputs, inputs\].
    pub fn theta(&self) -> &[T] {
        &self.theta
    }

    /// The inputs, N × d row-major.
    pub fn inputs(&self) -> &[T] {
        &self.inputs
    }

    /// The model.
    ///
    /// # Errors
    ///
    /// What hsr-core refuses: layers that do not fit, an activation after the last one, parameters that are not finite.
    pub fn feed_forward(&self) -> Result<FeedForward<'_, T>, Error> {
        FeedForward::from_flat(&self.shapes, &self.theta)
    }

    /// The model as a three-layer network.
    ///
    /// # Errors
    ///
    /// [`HsrError::NotThreeLayers`] where it is not output(φ(hidden(x))) with nothing frozen; what hsr-core refuses:
    /// parameters that are not finite.
    pub fn network(&self) -> Result<Network<'_, T>, HsrError> {
        let layers = self.shapes.len();
        let network = self.three_layers();
        Ok(network.ok_or(HsrError::NotThreeLayers { layers })??)
    }

    /// The same, where it is one.
    pub(crate) fn three_layers(&self) -> Option<Result<Network<'_, T>, Error>> {
        let (dimensions, activation) = three_layers(&self.shapes)?;
        Some(Network::from_flat(dimensions, activation, &self.theta))
    }

    /// The batch, with the loss that the regulariser was configured for.
    pub fn batch(&self) -> Batch<'_, T> {
        let targets = match &self.labels {
            HostLabels::Classes(classes) => hsr_core::Targets::Classes(classes),
            HostLabels::Values(values) => hsr_core::Targets::Values(values),
        };
        let mut batch =
            Batch::new(self.loss, &self.inputs, targets).with_label_smoothing(self.label_smoothing);
        if let Some(weights) = &self.sample_weights {
            batch = batch.with_sample_weights(weights);
        }
        if let Some(weights) = &self.class_weights {
            batch = batch.with_class_weights(weights);
        }
        if let Some(weights) = &self.output_weights {
            batch = batch.with_output_weights(weights);
        }
        batch
    }
}
