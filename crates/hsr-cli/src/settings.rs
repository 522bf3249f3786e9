//! The options that `hsr train` and `hsr compare` share, as a configuration.

use std::path::Path;

use hsr_lab::LabError;
use hsr_lab::burn_hsr::{ScheduleConfig, Strength, Subsample};
use hsr_lab::data::{DataFault, Roles, Table, TableOptions};
use hsr_lab::tasks::TaskOptions;
use hsr_lab::train::{Method, Refinements, Source, TrainConfig};

use crate::args::{SourceArguments, TrainingOptions};

/// The configuration of plain training, for the caller to set method and strength. Where nothing is said of it, a penalty
/// acts at every so many steps as the network has it.
pub fn config(
    training: TrainingOptions,
    arguments: SourceArguments,
    seed: u64,
    penalised: bool,
    given: &[String],
) -> Result<TrainConfig, LabError> {
    let (optimizer, network) = (training.optimizer, training.network);
    let data = &arguments.data;
    let interval = match penalised {
        true => network.default_interval(),
        false => 1,
    };
    Ok(TrainConfig {
        test_fraction: data.test_fraction,
        train_samples: data.train_samples,
        label_noise: data.label_noise,
        refinements: Refinements {
            schedule: ScheduleConfig::new()
                .with_warmup_steps(training.warmup.unwrap_or(0))
                .with_cosine_steps(training.cosine)
                .with_stop_after(training.stop_after)
                .with_interval(training.interval.unwrap_or(interval)),
            subsample: training.subsample.unwrap_or(Subsample::All),
            probes: training.probes.unwrap_or(0),
            weight_decay: training.weight_decay,
            label_smoothing: training.label_smoothing.unwrap_or(0.0),
            class_weights: training.class_weights,
            early_stopping: training.early_stopping,
        },
        source: source(arguments, given)?,
        method: Method::Plain,
        backend: training.backend,
        optimizer,
        learning_rate: training
            .lr
            .unwrap_or_else(|| optimizer.default_learning_rate()),
        network,
        hidden: match training.hidden.is_empty() {
            true => network.default_hidden(),
            false => training.hidden.into(),
        },
        activation: training.activation.into(),
        residual: training.residual,
        strength: Strength::Fixed(0.0),
        mode: training.mode,
        epochs: training.epochs,
        batch: training.batch.0,
        seed,
        memory: training.memory.unwrap_or_default(),
    })
}

fn source(arguments: SourceArguments, given: &[String]) -> Result<Source, LabError> {
    let SourceArguments {
        data,
        table,
        labels,
        synthetic,
    } = arguments;
    let table = table.options(labels.numeric_classes);
    for (option, given) in [
        ("task", data.task.len()),
        ("data", data.data.len()),
        ("label", data.label.len()),
    ] {
        if given > 1 {
            return Err(LabError::Option(format!(
                "--{option} is given twice, expected once: hsr compare takes several"
            )));
        }
    }
    let [task, label] = [data.task, data.label].map(|given| given.into_iter().next());
    let of_task = TaskOptions {
        samples: data.samples,
        noise: synthetic.noise,
        classes: synthetic.classes,
        means: synthetic.means.map(|means| means.0),
        covariance: synthetic.covariance.map(|covariance| covariance.0),
        overlap: synthetic.overlap,
        // Absolute, so that a run can be resumed from any directory.
        data_dir: data
            .data_dir
            .map(|path| std::path::absolute(&path).unwrap_or(path)),
    };
    if let Some(path) = data.data.into_iter().next() {
        let label = label.ok_or_else(|| label_is_missing(&path, &table))?;
        if of_task != TaskOptions::default() {
            return Err(LabError::option(
                "--samples, --noise, --classes, --means, --covariance and --overlap belong to built-in tasks, \
                 not to --data",
            ));
        }
        let path = std::path::absolute(&path).unwrap_or(path);
        return Ok(Source::Csv { path, label, table });
    }
    // Clap asks for --data, except beside --task, which excludes it.
    if table != TableOptions::default() || label.is_some() {
        return Err(LabError::option(
            "--label, --separator, --no-header, --decimal-comma, --drop, --one-hot, --missing and --numeric-classes need \
             --data, not a built-in task",
        ));
    }
    let name = task.unwrap_or_else(|| "digits".to_owned());
    let source = Source::Task {
        name,
        options: of_task,
    };
    if source.has_fixed_split() && given.iter().any(|it| it == "test-fraction") {
        return Err(LabError::Option(format!(
            "--test-fraction does not apply to task {:?}, which keeps the split it is distributed with",
            source.name()
        )));
    }
    Ok(source)
}

/// `--data` without `--label`, which the columns of the file make easy to add.
fn label_is_missing(path: &Path, table: &TableOptions) -> LabError {
    // No column is without a name, so that this is refused with the names of those that there are.
    let refused = match Table::read(path, &Roles::label(""), table) {
        Err(refused) => refused,
        Ok(_) => return LabError::option("--data needs --label COLUMN"),
    };
    let DataFault::MissingColumn { columns, .. } = &refused.fault else {
        return refused.into();
    };
    let first: Vec<&str> = columns.iter().map(String::as_str).take(LISTED).collect();
    let rest = if columns.len() > LISTED { ", …" } else { "" };
    LabError::Option(format!(
        "--data {} needs --label COLUMN, the column with the classes; its columns are {}{rest}",
        path.display(),
        first.join(", ")
    ))
}

/// Columns that a message lists.
const LISTED: usize = 20;
