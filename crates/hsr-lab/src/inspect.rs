//! Exact curvature of trained weights on given data, for users of any framework.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn_sharpness::measures::{MeasureOptions, SharpnessMeasures};
use hsr_core::{Activation, Batch, Evaluation, OutputLoss, Targets, Workspace};
use serde::Serialize;

use crate::data::{Standardizer, Table};
use crate::memory::MemoryLimit;
use crate::spectrum::{self, LanczosReport};
use crate::{LabError, Weights};

/// What `hsr inspect` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct InspectOptions {
    /// The safetensors file.
    pub weights: PathBuf,
    /// The CSV.
    pub data: PathBuf,
    /// The label column.
    pub label: String,
    /// The column with the samples' weights.
    pub weight_column: Option<String>,
    /// Whether the features are brought to mean 0 and standard deviation 1 first, by those of this table.
    pub standardize: bool,
    /// The hidden activation.
    pub activation: Activation,
    /// The loss.
    pub loss: OutputLoss,
    /// The hidden layer's name in the weights file.
    pub hidden_key: String,
    /// The output layer's name.
    pub output_key: String,
    /// Whether ∂λ_sup/∂θ and ∂λ_sup/∂x are wanted.
    pub gradient: bool,
    /// Whether all eigenvalues are wanted.
    pub eigenvalues: bool,
}

/// The answer; the keys of its JSON are relied on by other programs. H is the Hessian of the loss, D × D.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// D.
    pub parameters: usize,
    /// N.
    pub samples: usize,
    /// L, a mean over the samples.
    pub loss: f64,
    /// t = tr H.
    pub trace: f64,
    /// q = ‖H‖²_F.
    pub frobenius_squared: f64,
    /// m = t/D, the mean eigenvalue.
    pub mean: f64,
    /// s, the standard deviation of the eigenvalues.
    pub std: f64,
    /// m + s√(D − 1), no less than λ_max.
    pub lambda_sup: f64,
    /// m − s√(D − 1), no more than λ_min.
    pub lambda_inf: f64,
    /// m + s/√(D − 1), no more than λ_max.
    pub lambda_max_lower: f64,
    /// m − s/√(D − 1), no less than λ_min.
    pub lambda_min_upper: f64,
    /// s√(2D), no less than λ_max − λ_min.
    pub spread_upper: f64,
    /// The largest eigenvalue.
    pub lambda_max: f64,
    /// The smallest eigenvalue.
    pub lambda_min: f64,
    /// λ_sup/λ_max, where λ_max > 0.
    pub tightness: Option<f64>,
    /// The share of ‖H‖² that is the Gauss-Newton part's: [`Workspace::gauss_newton_share`].
    pub gauss_newton_share: f64,
    /// Measures that survive a rescaled layer or scaled logits, and plain ones for comparison.
    #[serde(flatten)]
    pub measures: SharpnessMeasures,
    /// `assembled`, `gram` or `mixed`.
    pub evaluation: String,
    /// `dense` or `lanczos`: where λ_max and λ_min come from.
    pub eigenvalue_method: &'static str,
    /// How well Lanczos converged, where it was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanczos: Option<LanczosReport>,
    /// All of them, ascending, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eigenvalues: Option<Vec<f64>>,
    /// ∂λ_sup/∂θ by tensor, `hidden.weight` \[h, d\] and its like, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient: Option<BTreeMap<String, Nested>>,
    /// ∂λ_sup/∂x \[N, d\], where it was asked for; of standardised features, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_gradient: Option<Nested>,
}

/// A vector or a matrix as nested arrays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Nested {
    /// A bias.
    Vector(Vec<f64>),
    /// A weight, row by row.
    Matrix(Vec<Vec<f64>>),
}

impl Nested {
    fn matrix(values: &[f64], columns: usize) -> Self {
        Self::Matrix(values.chunks(columns).map(<[f64]>::to_vec).collect())
    }
}

/// Labels as the loss wants them.
enum Labels {
    Classes(Vec<usize>),
    Values(Vec<f64>),
}

/// Reads weights and data and computes everything in f64.
///
/// ```
/// use hsr_core::{Activation, Dimensions, OutputLoss};
/// use hsr_lab::Weights;
/// use hsr_lab::inspect::{InspectOptions, inspect};
///
/// // A CSV and a safetensors file, such as PyTorch would have written.
/// let directory = tempfile::tempdir()?;
/// let (weights, data) = (directory.path().join("net.safetensors"), directory.path().join("irises.csv"));
/// std::fs::write(&weights, Weights::random(Dimensions::new(4, 3, 3), 0).to_safetensors(None))?;
/// std::fs::write(
///     &data,
///     "sepal length,sepal width,petal length,petal width,species\n\
///      5.1,3.5,1.4,0.2,setosa\n\
///      7.0,3.2,4.7,1.4,versicolor\n\
///      6.3,3.3,6.0,2.5,virginica\n",
/// )?;
/// let found = inspect(&InspectOptions {
///     weights,
///     data,
///     label: "species".to_owned(),
///     weight_column: None,
///     standardize: false,
///     activation: Activation::Tanh,
///     loss: OutputLoss::SoftmaxCrossEntropy,
///     hidden_key: "hidden".to_owned(),
///     output_key: "output".to_owned(),
///     gradient: false,
///     eigenvalues: true,
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
    inspect_in(&mut MemoryLimit::default().workspace(), options)
}

/// [`inspect`] in a workspace that may have a limit on memory and somebody who watches.
///
/// # Errors
///
/// As [`inspect`]; [`LabError::Core`] with [`Stopped`](hsr_core::Error::Stopped) where the watcher wants no more.
pub fn inspect_in(
    workspace: &mut Workspace<f64>,
    options: &InspectOptions,
) -> Result<Inspection, LabError> {
    let weights = Weights::read(&options.weights, &options.hidden_key, &options.output_key)?;
    let dimensions = weights.dimensions;
    let parameters = dimensions.parameters();
    let mut table = Table::read(
        &options.data,
        &options.label,
        options.weight_column.as_deref(),
    )?;
    if table.inputs != dimensions.inputs {
        return Err(LabError::Option(format!(
            "{}: has {} feature columns, expected {} for \"{}.weight\" [{}, {}] in {}",
            options.data.display(),
            table.inputs,
            dimensions.inputs,
            options.hidden_key,
            dimensions.hidden,
            dimensions.inputs,
            options.weights.display(),
        )));
    }
    if options.standardize {
        Standardizer::of_features(&table.features, table.inputs)
            .apply_to_features(&mut table.features);
    }
    let labels = match options.loss {
        OutputLoss::SoftmaxCrossEntropy => Labels::Classes(table.index_labels(dimensions.outputs)?),
        OutputLoss::SigmoidCrossEntropy => Labels::Values(table.binary_labels()?),
        OutputLoss::MeanSquaredError => Labels::Values(table.numeric_labels()?),
    };
    if matches!(labels, Labels::Values(_)) && dimensions.outputs != 1 {
        return Err(LabError::Option(format!(
            "the {} takes one label column and so one output, {} has {}",
            options.loss.name(),
            options.weights.display(),
            dimensions.outputs,
        )));
    }
    if options.eigenvalues && parameters > spectrum::DENSE_LIMIT {
        return Err(LabError::Option(format!(
            "--eigenvalues forms the Hessian, which is limited to {} parameters; this network has {parameters}",
            spectrum::DENSE_LIMIT,
        )));
    }
    let targets = match &labels {
        Labels::Classes(classes) => Targets::Classes(classes),
        Labels::Values(values) => Targets::Values(values),
    };
    let mut batch = Batch::new(options.loss, &table.features, targets);
    if let Some(weights) = &table.weights {
        batch = batch.with_sample_weights(weights);
    }
    let network = weights.network(options.activation)?;
    let evaluation = Evaluation::Auto;
    let loss = workspace.loss(&network, &batch)?;
    let mut gradient = None;
    let mut input_gradient = None;
    let bounds = if options.gradient {
        let mut theta = vec![0.0; parameters];
        let mut inputs = vec![0.0; table.features.len()];
        let bounds = workspace.bounds_gradient(
            &network,
            &batch,
            evaluation,
            &mut theta,
            Some(&mut inputs),
        )?;
        let layout = dimensions.layout();
        let nested = |(name, range): (String, core::ops::Range<usize>)| {
            let values = &theta[range.clone()];
            let nested = if range == layout.hidden_weight() {
                Nested::matrix(values, dimensions.inputs)
            } else if range == layout.output_weight() {
                Nested::matrix(values, dimensions.hidden)
            } else {
                Nested::Vector(values.to_vec())
            };
            (name, nested)
        };
        gradient = Some(
            weights
                .tensors("hidden", "output")
                .into_iter()
                .map(nested)
                .collect(),
        );
        input_gradient = Some(Nested::matrix(&inputs, dimensions.inputs));
        bounds
    } else {
        workspace.bounds(&network, &batch, evaluation)?
    };
    let evaluation_used = workspace
        .last_plan()
        .map_or_else(String::new, |plan| plan.to_string());
    let gauss_newton_share = workspace.gauss_newton_share(&network, &batch, evaluation)?;
    let ends = spectrum::ends(workspace, &weights, options.activation, &batch, 0)?;
    let measures = SharpnessMeasures::of(workspace, &network, &batch, &MeasureOptions::default())?;
    Ok(Inspection {
        parameters,
        samples: table.samples(),
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
        measures,
        evaluation: evaluation_used,
        eigenvalue_method: ends.method(),
        lanczos: ends.lanczos,
        eigenvalues: if options.eigenvalues {
            ends.eigenvalues
        } else {
            None
        },
        gradient,
        input_gradient,
    })
}
