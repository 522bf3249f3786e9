//! The `hsr` command.
//!
//! Standard output carries results alone (one JSON object with `--json`), standard error progress and messages. Exit
//! codes: 0 done, 2 bad arguments or input, 1 anything else.

mod args;
mod compare;
mod inspect;
mod landscape;
mod progress;
mod reproduce;
mod settings;
mod spectrum;
mod tasks;
mod train;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use hsr_lab::LabError;

use args::{Arguments, Command};

/// Runs the command line `arguments`, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = Arguments::command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, given(&matches))));
    let (arguments, given) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            use clap::error::ErrorKind::{
                DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
            };
            let code = u8::try_from(error.exit_code()).unwrap_or(1);
            match error.kind() {
                DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand => {
                    let _ = error.print();
                }
                _ => {
                    // What is wrong and the tip, in one line and without the usage.
                    let message = error.to_string();
                    let message = message.split("\n\nUsage:").next().unwrap_or(&message);
                    let message = message
                        .split("\n\nFor more information")
                        .next()
                        .unwrap_or(message);
                    report(message.trim_start_matches("error: "));
                }
            }
            return ExitCode::from(code);
        }
    };
    let result = match arguments.command {
        Command::Tasks(options) => tasks::run(&options),
        Command::Train(options) => train::run(*options, &given),
        Command::Compare(options) => compare::run(*options, &given),
        Command::Inspect(options) => inspect::run(options),
        Command::Landscape(options) => landscape::run(options),
        Command::Reproduce(options) => reproduce::run(options),
        Command::Spectrum(options) => spectrum::run(options),
    };
    match result.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.to_string());
            ExitCode::from(if error.is_input() { 2 } else { 1 })
        }
    }
}

/// One line on standard error, whatever a library's message looks like.
fn report(message: &str) {
    let message: Vec<&str> = message.split_whitespace().collect();
    let _ = writeln!(std::io::stderr(), "error: {}", message.join(" "));
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

/// Writes a result. A reader that stops reading early (`hsr tasks | head -1`) is no error.
fn print(text: &str) -> Result<(), LabError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(LabError::Io {
            path: "standard output".into(),
            action: "be written",
            source: error,
        }),
        _ => Ok(()),
    }
}

/// A value as one JSON object.
fn json<T: serde::Serialize>(value: &T) -> Result<String, LabError> {
    let text = serde_json::to_string(value)
        .map_err(|error| LabError::Option(format!("the result is not JSON: {error}")))?;
    Ok(text + "\n")
}
