//! `hsr train`: options to a run, a progress bar, Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use hsr_lab::LabError;
use hsr_lab::train::{Control, Method, Progress, Run, TrainConfig};
use indicatif::ProgressBar;

use crate::args::TrainOptions;
use crate::output::{Manner, paths};
use crate::{progress, settings};

pub fn run(options: TrainOptions, quiet: bool, given: &[String]) -> Result<String, LabError> {
    let manner = Manner {
        json: options.json,
        quiet,
    };
    let stop = progress::stop_flag();
    let run = match &options.resume {
        Some(directory) => {
            refuse_options_of_a_new_run(given)?;
            Run::resume(directory)?.with_memory(options.training.memory.unwrap_or_default())
        }
        None => {
            let (config, out) = configure(options, given)?;
            let directory = out.unwrap_or_else(|| free_directory(&config));
            Run::create(config, &directory)?
        }
    };
    let directory = run.directory().to_owned();
    let bar = progress_bar(&run, quiet);
    let result = run.execute(|progress| {
        show(&bar, &progress);
        if stop.load(Ordering::SeqCst) {
            Control::Stop
        } else {
            Control::Continue
        }
    });
    bar.finish_and_clear();
    manner.tell(
        &result?,
        |_| paths(&[&directory]),
        |summary| {
            let run = directory.display();
            format!(
                "{}\nIn {run}: spectrum.png, training.png, model.safetensors, summary.json and more\n\
                 Go on with: hsr spectrum --run {run}, hsr landscape --run {run}\n",
                summary.table(),
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
    let method = Method::from(options.method);
    let mut config = settings::config(options.training, options.data, options.synthetic, given)?;
    config.method = method;
    config.strength = options
        .strength
        .unwrap_or_else(|| method.default_strength());
    config.seed = options.seed;
    Ok((config, options.out))
}

/// `runs/TASK-METHOD`, or the first free `runs/TASK-METHOD-2`, `-3`, …
fn free_directory(config: &TrainConfig) -> PathBuf {
    let name = format!("{}-{}", config.source.name(), config.method.name());
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone())
        .chain(numbered)
        .map(|name| Path::new("runs").join(name))
        .find(|directory| !directory.exists())
        .unwrap_or_else(|| Path::new("runs").join(name))
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
