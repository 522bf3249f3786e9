//! `hsr reproduce`.

use std::fmt::Write;
use std::num::NonZero;

use hsr_lab::reproduce::{
    Experiment, Extent, ReproduceOptions as Options, Reproduction, reproduce,
};
use hsr_lab::{LabError, Named};

use crate::args::ReproduceOptions;
use crate::output::{Manner, paths};
use crate::style::{BAD, GOOD};
use crate::{jobs, progress};

/// Steps of the bar.
const STEPS: usize = 10_000;

pub fn run(options: ReproduceOptions, quiet: bool) -> Result<String, LabError> {
    let jobs = jobs::wanted(options.jobs.map(NonZero::get))?;
    let stop = progress::stop_flag();
    stop.listen();
    let template = "{msg:24} {wide_bar:.cyan/blue} {percent:>3} %, {eta} left";
    let bar = progress::styled(STEPS, "reproduce", template, quiet);
    let result = reproduce(
        &Options {
            experiments: named(&options.experiments),
            out: options.out.clone(),
            extent: if options.quick {
                Extent::Quick
            } else {
                Extent::Full
            },
            jobs,
            seed: options.seed,
        },
        &|progress| {
            bar.set_message(format!("{} {}", progress.experiment, progress.stage));
            bar.set_position((STEPS as f64 * progress.done) as u64);
            stop.control()
        },
    );
    bar.finish_and_clear();
    let json = options.json;
    Manner { json, quiet }.tell(&result?, |_| paths(&[&options.out]), lines)
}

/// `all`, or each by its name.
fn named(names: &[String]) -> Vec<Experiment> {
    if names.iter().any(|name| name == "all") {
        return Experiment::ALL.to_vec();
    }
    names
        .iter()
        .filter_map(|name| Experiment::of(name))
        .collect()
}

/// A line a claim.
fn lines(reproduction: &Reproduction) -> String {
    let mut text = String::new();
    for outcome in &reproduction.outcomes {
        for claim in &outcome.claims {
            let style = if claim.holds { GOOD } else { BAD };
            let _ = writeln!(
                text,
                "{style}{}{style:#} {}: {}",
                claim.verdict(),
                outcome.experiment,
                claim.text
            );
        }
    }
    let _ = writeln!(text, "\n{}", reproduction.report.display());
    text
}
