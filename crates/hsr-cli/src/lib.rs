//! The `hsr` command.
//!
//! Standard output carries results alone (one JSON object with `--json`; with `--quiet` only the paths of what was
//! written), standard error progress and messages. Exit codes: 0 done, 2 bad arguments or input, 1 anything else.

mod args;
mod backends;
mod compare;
mod completions;
mod inspect;
mod jobs;
mod landscape;
mod man;
mod output;
mod predict;
mod progress;
mod refusal;
mod reproduce;
mod settings;
mod spectrum;
mod spelling;
mod style;
mod subject;
mod tasks;
mod threads;
mod train;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use hsr_lab::LabError;

use args::{Arguments, Command};
use output::{print, report};

/// The command line as it is declared, for shells, manuals and tests.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command line `arguments`, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, given(&matches))));
    let (arguments, given) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error, &arguments),
    };
    let quiet = arguments.quiet;
    threads::prepare();
    let result = match arguments.command {
        None => Ok(style::introduction()),
        Some(Command::Tasks(options)) => tasks::run(&options, quiet),
        Some(Command::Backends(options)) => backends::run(&options, quiet),
        Some(Command::Train(options)) => train::run(*options, quiet, &given),
        Some(Command::Compare(options)) => compare::run(*options, quiet, &given),
        Some(Command::Inspect(options)) => inspect::run(*options, quiet),
        Some(Command::Predict(options)) => predict::run(*options, quiet),
        Some(Command::Landscape(options)) => landscape::run(*options, quiet),
        Some(Command::Reproduce(options)) => reproduce::run(options, quiet),
        Some(Command::Spectrum(options)) => spectrum::run(*options, quiet),
        Some(Command::Completions(options)) => completions::run(&options),
        Some(Command::Man(options)) => man::run(&options),
    };
    conclude(result.and_then(|text| print(&text)))
}

/// The exit code, and on standard error why it is not 0.
fn conclude(result: Result<(), LabError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.to_string());
            ExitCode::from(if error.is_input() { 2 } else { 1 })
        }
    }
}

/// Prints the help that was asked for, or what is wrong with the arguments.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        return conclude(print(&error.render().ansi().to_string()));
    }
    let command = command();
    let verb = arguments
        .iter()
        .skip(1)
        .find(|argument| command.find_subcommand(argument).is_some());
    let verb = verb.and_then(|verb| verb.to_str());
    report(&refusal::line(error, &command, verb));
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

/// The long names of the options that were typed, defaults not counted.
fn given(matches: &ArgMatches) -> Vec<String> {
    let Some((name, matches)) = matches.subcommand() else {
        return Vec::new();
    };
    let command = Arguments::command();
    let arguments = command
        .find_subcommand(name)
        .into_iter()
        .flat_map(|c| c.get_arguments());
    arguments
        .filter(|argument| {
            let id = argument.get_id().as_str();
            matches.value_source(id) == Some(ValueSource::CommandLine)
        })
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect()
}
