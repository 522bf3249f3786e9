//! `hsr train`: options to a run, a progress bar, Ctrl-C.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hsr_lab::LabError;
use hsr_lab::train::{Control, Method, Progress, Run, TrainConfig};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::TrainOptions;
use crate::{json, settings};

pub fn run(options: TrainOptions, given: &[String]) -> Result<String, LabError> {
    let as_json = options.json;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    // A handler that cannot be set only means that Ctrl-C ends the program without a checkpoint newer than 2 s.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    });
    let run = match &options.resume {
        Some(directory) => {
            refuse_options_of_a_new_run(given)?;
            Run::resume(directory)?
        }
        None => {
            let (config, out) = configure(options, given)?;
            let directory = out.unwrap_or_else(|| free_directory(&config));
            Run::create(config, &directory)?
        }
    };
    let directory = run.directory().to_owned();
    let bar = progress_bar(&run);
    let result = run.execute(|progress| {
        show(&bar, &progress);
        if stop.load(Ordering::SeqCst) {
            Control::Stop
        } else {
            Control::Continue
        }
    });
    bar.finish_and_clear();
    let summary = result?;
    if as_json {
        return json(&summary);
    }
    Ok(format!(
        "{}\nIn {}: spectrum.png, training.png, model.safetensors, summary.json and more\n",
        summary.table(),
        directory.display()
    ))
}

/// `--resume` takes every option from the run; one given beside it would be silently ignored.
fn refuse_options_of_a_new_run(given: &[String]) -> Result<(), LabError> {
    let allowed = ["resume", "json"];
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

/// On standard error, and only where that is a terminal.
fn progress_bar(run: &Run) -> ProgressBar {
    let networks = match run.config().method {
        Method::Plain => 1,
        _ => 2,
    };
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some((run.epochs() * networks) as u64), target);
    if let Ok(style) =
        ProgressStyle::with_template("{msg:60} {wide_bar:.cyan/blue} {pos}/{len} {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.done as u64);
    let lambda_sup = progress
        .lambda_sup
        .map_or_else(String::new, |lambda| format!("  λ_sup {lambda:.4}"));
    bar.set_message(format!(
        "{:6} loss {:.4}  accuracy {:.1} %{lambda_sup}",
        progress.network,
        progress.loss,
        100.0 * progress.accuracy
    ));
}
