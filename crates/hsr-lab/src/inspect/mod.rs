//! Exact curvature of trained weights on given data, for users of any framework.

mod layers;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn_sharpness::measures::MeasureConfig;
use burn_sharpness::spectrum::EigenPair;
use hsr_core::depth::DeepBounds;
use hsr_core::{Batch, Error};

pub use report::{Inspection, LayerInspection, Nested, TopEigenvalues};

use self::layers::layer_files;
use crate::curvature::Curvature;
use crate::eigen::{self, Eigenvalue, largest_of_layers, pairs_at_the_ends};
use crate::error::{LabError, refuse};
use crate::memory::MemoryLimit;
use crate::model::{Model, ModelOptions, TableSource};
use crate::subject::Subject;
use crate::train::Split;
use crate::weights::{View, Weights, names};

/// What `hsr inspect` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct InspectOptions {
    /// The network.
    pub model: ModelOptions,
    /// The table; `None` for the data of the network's run.
    pub data: Option<TableSource>,
    /// Which split of the data of a run.
    pub split: Split,
    /// Whether ∂λ_sup/∂θ and ∂λ_sup/∂x are wanted.
    pub gradient: bool,
    /// Whether all eigenvalues are wanted.
    pub eigenvalues: bool,
    /// How many eigenvalues at each end are wanted, with their residuals.
    pub top: Option<usize>,
    /// Whether λ_max of each layer's own block is wanted.
    pub per_layer: bool,
    /// Where a table and a picture of the layers go.
    pub out: Option<PathBuf>,
}

/// Reads weights and data and computes everything in f64.
///
/// ```
/// use hsr_core::{Activation, OutputLoss};
/// use hsr_lab::{LayerKeys, Weights, layers};
/// use hsr_lab::inspect::{InspectOptions, inspect};
/// use hsr_lab::model::{ModelOptions, ModelSource, TableSource};
/// use hsr_lab::train::Split;
///
/// // A CSV and a safetensors file, such as PyTorch would have written.
/// let directory = tempfile::tempdir()?;
/// let (weights, data) = (directory.path().join("net.safetensors"), directory.path().join("irises.csv"));
/// let tanh = Activation::Tanh.into();
/// let network = Weights::random(layers(4, &3.into(), 3, &tanh, false)?, 0);
/// std::fs::write(&weights, network.to_safetensors(None))?;
/// std::fs::write(
///     &data,
///     "sepal length,sepal width,petal length,petal width,species\n\
///      5.1,3.5,1.4,0.2,setosa\n\
///      7.0,3.2,4.7,1.4,versicolor\n\
///      6.3,3.3,6.0,2.5,virginica\n",
/// )?;
/// let found = inspect(&InspectOptions {
///     model: ModelOptions {
///         source: ModelSource::Weights {
///             path: weights,
///             layers: LayerKeys::Found,
///             ignore_unused: false,
///         },
///         activation: Some(tanh),
///         residual: false,
///         loss: Some(OutputLoss::SoftmaxCrossEntropy),
///         classes: None,
///     },
///     data: Some(TableSource {
///         path: data,
///         label: Some("species".to_owned()),
///         ..TableSource::default()
///     }),
///     split: Split::Train,
///     gradient: false,
///     eigenvalues: true,
///     top: None,
///     per_layer: false,
///     out: None,
/// })?;
/// assert_eq!((found.parameters, found.samples), (27, 3));
/// assert!(found.lambda_max <= found.lambda_sup);
/// let sum: f64 = found.eigenvalues.iter().flatten().sum();
/// assert!((sum - found.trace).abs() < 1e-9 * found.trace.abs());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A one-line [`LabError`] for everything that can be wrong with the files or the options.
pub fn inspect(options: &InspectOptions) -> Result<Inspection, LabError> {
    inspect_in(&mut MemoryLimit::default().curvature(), options)
}

/// [`inspect`] with a limit on memory and somebody who watches.
///
/// # Errors
///
/// As [`inspect`]; [`LabError::Core`] with [`Stopped`](hsr_core::Error::Stopped) where the watcher wants no more.
pub fn inspect_in(
    curvature: &mut Curvature,
    options: &InspectOptions,
) -> Result<Inspection, LabError> {
    if options.top == Some(0) {
        refuse!("`top` is 0, expected at least 1");
    }
    if options.out.is_some() && !options.per_layer {
        refuse!("`out` is where the table and the picture of the layers go: add `per_layer`");
    }
    let subject = Subject::open(&options.model, options.data.as_ref(), options.split)?;
    let mut found = inspect_batch(curvature, options, subject.model(), &subject.batch()?)?;
    found.warnings = subject.warnings().to_vec();
    found.notes.splice(0..0, subject.note());
    if let (Some(out), Some(layers)) = (&options.out, &found.layers) {
        found.files = layer_files(layers, &subject.title(), out, &mut found.notes)?;
    }
    Ok(found)
}

/// The same for data in memory.
fn inspect_batch(
    curvature: &mut Curvature,
    options: &InspectOptions,
    model: &Model,
    batch: &Batch<f64>,
) -> Result<Inspection, LabError> {
    let (weights, layer_names) = model.feed_forward()?;
    let parameters = weights.parameters();
    if options.eigenvalues && parameters > eigen::DENSE_LIMIT {
        refuse!(
            "`eigenvalues` forms the Hessian, which is limited to {} parameters; this network has {parameters}",
            eigen::DENSE_LIMIT
        );
    }
    let view = weights.view()?;
    let loss = curvature.loss(&view, batch)?;
    let bounds = curvature.bounds(&view, batch)?;
    let evaluation = curvature.evaluation(&view);
    let gradients = options
        .gradient
        .then(|| gradients(curvature, model, &view, batch))
        .transpose()?;
    let (gradient, input_gradient) = gradients.unzip();
    let mut notes = Vec::new();
    let of_layers = match (curvature.of_layers(weights, batch), &view) {
        (Ok(found), _) => Some(found),
        // Of three layers everything else is there all the same.
        (Err(LabError::Core(error @ Error::Memory { .. })), View::ThreeLayers(_)) => {
            notes.push(format!("no numbers of single layers: {error}"));
            None
        }
        (Err(error), _) => return Err(error),
    };
    let gauss_newton_share = curvature.gauss_newton_share(&view, batch)?;
    let ends = eigen::ends(curvature, weights, batch, 0)?;
    let top = options
        .top
        .map(|count| top(curvature, weights, batch, count));
    let of_blocks = options
        .per_layer
        .then(|| largest_of_layers(curvature, weights, batch, 0))
        .transpose()?;
    let measures = curvature.measures(&view, batch, &MeasureConfig::default())?;
    Ok(Inspection {
        parameters,
        samples: batch.inputs().len() / weights.inputs(),
        loss,
        trace: bounds.moments.trace,
        frobenius_squared: bounds.moments.frobenius_squared,
        mean: bounds.mean,
        std: bounds.std,
        lambda_sup: bounds.lambda_sup,
        lambda_inf: bounds.lambda_inf,
        lambda_max_lower: bounds.lambda_max_lower,
        lambda_min_upper: bounds.lambda_min_upper,
        spread_upper: bounds.spread_upper,
        lambda_max: ends.lambda_max,
        lambda_min: ends.lambda_min,
        tightness: ends.tightness(bounds.lambda_sup),
        gauss_newton_share,
        layers: of_layers
            .as_ref()
            .map(|it| layers(layer_names, it, of_blocks.as_deref())),
        lambda_block: of_layers.as_ref().map(|it| it.lambda_block),
        blocks: of_layers.as_ref().map(blocks),
        measures,
        evaluation,
        eigenvalue_method: ends.method(),
        lanczos: ends.lanczos,
        eigenvalues: if options.eigenvalues {
            ends.eigenvalues
        } else {
            None
        },
        top: top.transpose()?,
        gradient,
        input_gradient,
        files: Vec::new(),
        warnings: Vec::new(),
        notes,
    })
}

/// A gradient by tensor.
type ByTensor = BTreeMap<String, Nested>;

/// ∂λ_sup/∂θ by tensor and ∂λ_sup/∂x. The tensors of a network with one hidden layer are there under `hidden` and
/// `output` as well, whatever their names in the file.
fn gradients(
    curvature: &mut Curvature,
    model: &Model,
    view: &View,
    batch: &Batch<f64>,
) -> Result<(ByTensor, Nested), LabError> {
    let (weights, layer_names) = model.feed_forward()?;
    let mut theta = vec![0.0; weights.parameters()];
    let mut inputs = vec![0.0; batch.inputs().len()];
    curvature.lambda_sup_gradient(view, batch, &mut theta, &mut inputs)?;
    let mut gradient = ByTensor::new();
    let usual = names(weights.layers.len());
    let both = [layer_names, &usual[..]];
    for names in &both[..if usual.len() == 2 { 2 } else { 1 }] {
        for (name, range, shape) in weights.tensors(names) {
            let values = &theta[range];
            let nested = match shape[..] {
                [_, columns] => Nested::matrix(values, columns),
                _ => Nested::Vector(values.to_vec()),
            };
            gradient.insert(name, nested);
        }
    }
    Ok((gradient, Nested::matrix(&inputs, weights.inputs())))
}

fn top(
    curvature: &mut Curvature,
    weights: &Weights,
    batch: &Batch<f64>,
    count: usize,
) -> Result<TopEigenvalues, LabError> {
    let found = pairs_at_the_ends(curvature, weights, batch, count, 0)?;
    let shown = |pairs: &[EigenPair]| {
        let each = |it: &EigenPair| Eigenvalue {
            value: it.value,
            residual: it.residual,
        };
        pairs.iter().map(each).collect()
    };
    Ok(TopEigenvalues {
        largest: shown(&found.largest),
        smallest: shown(&found.smallest),
        converged: found.converged,
    })
}

fn layers(
    names: &[String],
    found: &DeepBounds<f64>,
    largest: Option<&[Eigenvalue]>,
) -> Vec<LayerInspection> {
    let layers = names.iter().zip(&found.layers).enumerate();
    layers
        .map(|(l, (name, bounds))| {
            let largest = largest.and_then(|it| it.get(l));
            LayerInspection {
                name: name.clone(),
                parameters: bounds.moments.parameters,
                trace: bounds.moments.trace,
                frobenius_squared: bounds.moments.frobenius_squared,
                lambda_sup: bounds.lambda_sup,
                lambda_max: largest.map(|it| it.value),
                residual: largest.map(|it| it.residual),
            }
        })
        .collect()
}

fn blocks(found: &DeepBounds<f64>) -> Vec<Vec<f64>> {
    let rows = found
        .moments
        .frobenius_squared
        .chunks(found.moments.depth());
    rows.map(<[f64]>::to_vec).collect()
}
