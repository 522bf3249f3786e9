//! `hsr train`: options to a run, a progress bar, Ctrl-C.

use std::path::{Path, PathBuf};

use hsr_lab::LabError;
use hsr_lab::shell;
use hsr_lab::train::{Method, Progress, Run, TrainConfig};
use indicatif::ProgressBar;

use crate::args::TrainOptions;
use crate::output::{Manner, paths, warn, warn_of_data};
use crate::{progress, settings};

pub fn run(options: TrainOptions, quiet: bool, given: &[String]) -> Result<String, LabError> {
    let json = options.json;
    let stop = progress::stop_flag();
    let run = match &options.resume {
        Some(directory) => {
            refuse_options_of_a_new_run(given)?;
            Run::resume(directory)?.with_memory(options.training.memory.unwrap_or_default())
        }
        None => {
            let (config, out) = configure(options, given)?;
            match out {
                Some(directory) => Run::create(config, &directory)?,
                None => {
                    let name = format!("{}-{}", config.source.name(), config.method.name());
                    Run::create_numbered(config, &Path::new("runs").join(name))?
                }
            }
        }
    };
    stop.listen();
    warn_of_data(run.warnings(), quiet);
    let directory = run.directory().to_owned();
    let bar = progress_bar(&run, quiet);
    let result = run.execute(|progress| {
        show(&bar, &progress);
        stop.control()
    });
    bar.finish_and_clear();
    let summary = result?;
    summary.notes.iter().for_each(|note| warn(note));
    Manner { json, quiet }.tell(
        &summary,
        |_| paths(&[&directory]),
        |summary| {
            let run = shell::option("run", &directory);
            format!(
                "{}\nIn {}: spectrum.png, training.png, model.safetensors, summary.json and more\n\
                 Go on with: hsr spectrum {run}, hsr landscape {run}\n",
                summary.table(),
                shell::word(&directory),
            )
        },
    )
}

/// `--resume` takes every option from the run; one given beside it would be silently ignored.
fn refuse_options_of_a_new_run(given: &[String]) -> Result<(), LabError> {
    let allowed = ["resume", "json", "memory"];
    match given
        .iter()
        .find(|option| !allowed.contains(&option.as_str()))
    {
        None => Ok(()),
        Some(option) => Err(LabError::Option(format!(
            "--{option} cannot be changed by --resume: the run goes on with the options it was begun with"
        ))),
    }
}

fn configure(
    options: TrainOptions,
    given: &[String],
) -> Result<(TrainConfig, Option<PathBuf>), LabError> {
    let method = options.method;
    let penalised = method.sharpness().is_some();
    let (training, source, seed) = (options.training, options.source, options.seed);
    let mut config = settings::config(training, source, seed, penalised, given)?;
    config.method = method;
    config.strength = options
        .strength
        .unwrap_or_else(|| method.default_strength());
    Ok((config, options.out))
}

fn progress_bar(run: &Run, quiet: bool) -> ProgressBar {
    let networks = match run.config().method {
        Method::Plain => 1,
        _ => 2,
    };
    progress::bar(run.epochs() * networks, "", quiet)
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.done as u64);
    let lambda_sup = progress
        .lambda_sup
        .map_or_else(String::new, |lambda| format!("  λ_sup {lambda:.4}"));
    bar.set_message(format!(
        "{:50}",
        format!(
            "{:6} loss {:.4}  accuracy {:.1} %{lambda_sup}",
            progress.network,
            progress.loss,
            100.0 * progress.accuracy
        )
    ));
}
