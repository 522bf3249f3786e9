//! `hsr compare`: options to a comparison, a progress bar, Ctrl-C.

use std::path::{Path, PathBuf};

use hsr_lab::LabError;
use hsr_lab::burn_hsr::Backend;
use hsr_lab::compare::{Across, CompareConfig, Comparison, Contender, Findings};
use hsr_lab::shell;

use crate::args::{CompareOptions, MethodStrength, SourceArguments};
use crate::output::{Manner, paths, say, warn, warn_of_data};
use crate::progress::Stop;
use crate::{jobs, progress, settings};

pub fn run(options: CompareOptions, quiet: bool, given: &[String]) -> Result<String, LabError> {
    let stop = progress::stop_flag();
    let (json, asked) = (options.json, options.jobs);
    let each = options.source.clone().each().map_err(LabError::Option)?;
    let mut configs: Vec<(String, CompareConfig)> = Vec::new();
    for source in each {
        let config = configure(&options, source, given)?;
        let name = config.training.source.name();
        if configs.iter().any(|(other, _)| *other == name) {
            return Err(LabError::Option(format!(
                "two tasks are named {name:?}, expected different ones"
            )));
        }
        configs.push((name, config));
    }
    let names: Vec<&str> = configs.iter().map(|(name, _)| name.as_str()).collect();
    let directory: PathBuf = options
        .out
        .unwrap_or_else(|| Path::new("runs").join(format!("{}-compare", names.join("-"))));
    let manner = Manner { json, quiet };
    let brief = paths(&[&directory]);
    let place = shell::word(&directory);
    if let [(_, config)] = &configs[..] {
        let findings = compared(config.clone(), &directory, asked, quiet, &stop)?;
        return manner.tell(
            &findings,
            |_| brief,
            |it| {
                format!(
                    "{}\nIn {place}: report.html, runs.csv, statistics.csv, comparison.png, tradeoff.png and more\n",
                    it.table()
                )
            },
        );
    }
    // A comparison on each of several tasks, and which method ranks best over them.
    stop.listen();
    let mut all = Vec::new();
    for (name, config) in configs {
        all.push(compared(
            config,
            &directory.join(name),
            asked,
            quiet,
            &stop,
        )?);
    }
    let mut across = Across::new(all);
    across.write(&directory)?;
    across.missing.iter().for_each(|missing| warn(missing));
    manner.tell(
        &across,
        |_| brief,
        |it| {
            format!(
                "{}\nIn {place}: report.html, ranks.csv, ranks_macro_f1.png and more, and a directory for each task\n",
                it.table()
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
    let (runs, epochs) = (comparison.runs(), comparison.epochs());
    let done = runs - comparison.pending();
    if done > 0 && !quiet {
        say(&format!("{done} of {runs} runs were done before"));
    }
    let bar = progress::bar(epochs, "", quiet);
    // Time is estimated from what is done now, not from what was found done.
    bar.set_message(format!("{done} of {runs} runs"));
    bar.set_position((epochs / runs * done) as u64);
    bar.reset_eta();
    let result = comparison.execute(jobs.get(), |progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(format!("{} of {} runs", progress.runs, progress.of));
        stop.control()
    });
    bar.finish_and_clear();
    let findings = result?;
    findings.missing.iter().for_each(|missing| warn(missing));
    Ok(findings)
}

fn configure(
    options: &CompareOptions,
    source: SourceArguments,
    given: &[String],
) -> Result<CompareConfig, LabError> {
    let methods = options.methods.iter();
    let mut methods: Vec<Contender> = methods.map(|&name| Contender::new(name)).collect();
    let penalised = methods.iter().any(|it| it.method.sharpness().is_some());
    let training = options.training.clone();
    let training = settings::config(training, source, options.seed, penalised, given)?;
    for (index, MethodStrength { method, strength }) in options.strength.iter().enumerate() {
        let (method, before) = (*method, &options.strength[..index]);
        let refuse = |message: &str| {
            Err(LabError::Option(format!(
                "--strength {method}={strength}: {message}"
            )))
        };
        if !method.has_strength() {
            return refuse(&format!("{method} has no strength"));
        }
        if before.iter().any(|other| other.method == method) {
            return refuse("expected one strength for each method");
        }
        match methods.iter_mut().find(|it| it.method == method) {
            Some(contender) => contender.strength = *strength,
            None => return refuse("the method is not among --methods"),
        }
    }
    Ok(CompareConfig {
        methods,
        seeds: options.seeds,
        tune: options.tune,
        budget: options.budget,
        training,
    })
}
