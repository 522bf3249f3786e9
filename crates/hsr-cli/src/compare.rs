//! `hsr compare`: options to a comparison, a progress bar, Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use hsr_lab::LabError;
use hsr_lab::burn_hsr::Backend;
use hsr_lab::compare::{CompareConfig, Comparison, Contender};
use hsr_lab::train::{Control, Method};

use crate::args::{CompareOptions, MethodStrength};
use crate::output::{Manner, paths};
use crate::{progress, settings};

pub fn run(options: CompareOptions, quiet: bool, given: &[String]) -> Result<String, LabError> {
    let stop = progress::stop_flag();
    let manner = Manner {
        json: options.json,
        quiet,
    };
    let jobs = options.jobs;
    if jobs == Some(0) {
        return Err(LabError::Option(
            "--jobs is 0, expected at least 1".to_owned(),
        ));
    }
    let (mut config, out) = configure(options, given)?;
    let jobs = jobs.unwrap_or_else(|| match config.training.backend {
        // One device does the work of all.
        Backend::Wgpu => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    });
    config.training.memory = config.training.memory.divided(jobs);
    let directory = out.unwrap_or_else(|| {
        let name = format!("{}-compare", config.training.source.name());
        Path::new("runs").join(name)
    });
    let comparison = Comparison::open(config, &directory)?;
    let done = comparison.runs() - comparison.pending();
    if done > 0 && !quiet {
        eprintln!("{done} of {} runs were done before", comparison.runs());
    }
    let bar = progress::bar(comparison.epochs(), "", quiet);
    // Time is estimated from what is done now, not from what was found done.
    bar.set_message(format!("{done} of {} runs", comparison.runs()));
    bar.set_position((comparison.epochs() / comparison.runs() * done) as u64);
    bar.reset_eta();
    let result = comparison.execute(jobs, |progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(format!("{} of {} runs", progress.runs, progress.of));
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
        |findings| {
            format!(
                "{}\nIn {}: report.html, runs.csv, statistics.csv, comparison.png, tradeoff.png and more\n",
                findings.table(),
                directory.display()
            )
        },
    )
}

fn configure(
    options: CompareOptions,
    given: &[String],
) -> Result<(CompareConfig, Option<PathBuf>), LabError> {
    let mut training = settings::config(options.training, options.data, options.synthetic, given)?;
    training.seed = options.seed;
    let mut methods: Vec<Contender> = options
        .methods
        .iter()
        .map(|&name| Contender::new(Method::from(name)))
        .collect();
    for (index, MethodStrength { method, strength }) in options.strength.iter().enumerate() {
        let (method, before) = (Method::from(*method), &options.strength[..index]);
        let name = method.name();
        let refuse = |message: &str| {
            Err(LabError::Option(format!(
                "--strength {name}={strength}: {message}"
            )))
        };
        if method == Method::Plain {
            return refuse("plain has no strength");
        }
        if before
            .iter()
            .any(|other| Method::from(other.method) == method)
        {
            return refuse("expected one strength for each method");
        }
        match methods.iter_mut().find(|it| it.method == method) {
            Some(contender) => contender.strength = *strength,
            None => return refuse("the method is not among --methods"),
        }
    }
    let config = CompareConfig {
        methods,
        seeds: options.seeds,
        training,
    };
    Ok((config, options.out))
}
