//! `hsr compare`: options to a comparison, a progress bar, Ctrl-C.

use std::path::{Path, PathBuf};

use hsr_lab::LabError;
use hsr_lab::burn_hsr::Backend;
use hsr_lab::compare::{Across, CompareConfig, Comparison, Contender, Findings};
use hsr_lab::shell;
use hsr_lab::train::Control;

use crate::args::{CompareOptions, DataOptions, MethodStrength};
use crate::output::{Manner, paths, say, warn, warn_of_data};
use crate::progress::Stop;
use crate::{jobs, progress, settings};

pub fn run(options: CompareOptions, quiet: bool, given: &[String]) -> Result<String, LabError> {
    let manner = Manner {
        json: options.json,
        quiet,
    };
    let each = options.data.each().map_err(LabError::Option)?;
    match each.len() {
        0 | 1 => one(options, manner, given),
        _ => several(&options, each, manner, given),
    }
}

/// A comparison on each of several tasks, and which method ranks best over them.
fn several(
    options: &CompareOptions,
    each: Vec<DataOptions>,
    manner: Manner,
    given: &[String],
) -> Result<String, LabError> {
    let stop = progress::stop_flag();
    let mut configs = Vec::new();
    for data in each {
        let options = CompareOptions {
            data,
            ..options.clone()
        };
        let (config, _) = configure(options, given)?;
        let name = config.training.source.name();
        let before = |other: &CompareConfig| other.training.source.name() == name;
        if configs.iter().any(before) {
            return Err(LabError::Option(format!(
                "two tasks are named {name:?}, expected different ones"
            )));
        }
        configs.push(config);
    }
    let names: Vec<String> = configs.iter().map(|it| it.training.source.name()).collect();
    let directory = options
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(format!("{}-compare", names.join("-"))));
    let mut all = Vec::new();
    stop.listen();
    for (config, name) in configs.into_iter().zip(&names) {
        let directory = directory.join(name);
        all.push(compared(
            config,
            &directory,
            options.jobs,
            manner.quiet,
            &stop,
        )?);
    }
    let mut across = Across::new(all);
    across.write(&directory)?;
    across.missing.iter().for_each(|missing| warn(missing));
    manner.tell(
        &across,
        |_| paths(&[&directory]),
        |across| {
            format!(
                "{}\nIn {}: report.html, ranks.csv, ranks_macro_f1.png and more, and a directory for each task\n",
                across.table(),
                shell::word(&directory)
            )
        },
    )
}

/// The comparison on one task.
fn one(options: CompareOptions, manner: Manner, given: &[String]) -> Result<String, LabError> {
    let stop = progress::stop_flag();
    let asked = options.jobs;
    let (config, out) = configure(options, given)?;
    let directory = out.unwrap_or_else(|| {
        let name = format!("{}-compare", config.training.source.name());
        Path::new("runs").join(name)
    });
    let findings = compared(config, &directory, asked, manner.quiet, &stop)?;
    manner.tell(
        &findings,
        |_| paths(&[&directory]),
        |findings| {
            format!(
                "{}\nIn {}: report.html, runs.csv, statistics.csv, comparison.png, tradeoff.png and more\n",
                findings.table(),
                shell::word(&directory)
            )
        },
    )
}

/// Does what is left of a comparison, with a progress bar.
fn compared(
    mut config: CompareConfig,
    directory: &Path,
    asked: Option<usize>,
    quiet: bool,
    stop: &Stop,
) -> Result<Findings, LabError> {
    let jobs = jobs::wanted(asked.or(match config.training.backend.backend {
        Backend::Flex | Backend::NdArray => None,
        // One device does the work of all.
        _ => Some(1),
    }))?;
    config.training.memory = config.training.memory.divided(jobs.get());
    let comparison = Comparison::open(config, directory)?;
    stop.listen();
    warn_of_data(comparison.warnings(), quiet);
    let done = comparison.runs() - comparison.pending();
    if done > 0 && !quiet {
        say(&format!(
            "{done} of {} runs were done before",
            comparison.runs()
        ));
    }
    let bar = progress::bar(comparison.epochs(), "", quiet);
    // Time is estimated from what is done now, not from what was found done.
    bar.set_message(format!("{done} of {} runs", comparison.runs()));
    bar.set_position((comparison.epochs() / comparison.runs() * done) as u64);
    bar.reset_eta();
    let result = comparison.execute(jobs.get(), |progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(format!("{} of {} runs", progress.runs, progress.of));
        if stop.is_set() {
            Control::Stop
        } else {
            Control::Continue
        }
    });
    bar.finish_and_clear();
    let findings = result?;
    findings.missing.iter().for_each(|missing| warn(missing));
    Ok(findings)
}

fn configure(
    options: CompareOptions,
    given: &[String],
) -> Result<(CompareConfig, Option<PathBuf>), LabError> {
    let interval = options.training.interval;
    let mut training = settings::config(
        options.training,
        options.data,
        options.table.options(options.labels.numeric_classes),
        options.synthetic,
        given,
    )?;
    training.seed = options.seed;
    let mut methods: Vec<Contender> = options
        .methods
        .iter()
        .map(|&name| Contender::new(name))
        .collect();
    for (index, MethodStrength { method, strength }) in options.strength.iter().enumerate() {
        let (method, before) = (*method, &options.strength[..index]);
        let name = method.name();
        let refuse = |message: &str| {
            Err(LabError::Option(format!(
                "--strength {name}={strength}: {message}"
            )))
        };
        if !method.has_strength() {
            return refuse(&format!("{name} has no strength"));
        }
        if before.iter().any(|other| other.method == method) {
            return refuse("expected one strength for each method");
        }
        match methods.iter_mut().find(|it| it.method == method) {
            Some(contender) => contender.strength = *strength,
            None => return refuse("the method is not among --methods"),
        }
    }
    let penalised = methods.iter().any(|it| it.method.sharpness().is_some());
    settings::settle_interval(&mut training, interval, penalised);
    let config = CompareConfig {
        methods,
        seeds: options.seeds,
        tune: options.tune,
        budget: options.budget,
        training,
    };
    Ok((config, options.out))
}
