//! What is wrong with a command line, in one line: what was found, what was probably meant, what was expected.

use std::error::Error as _;
use std::num::{IntErrorKind, ParseFloatError, ParseIntError};

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use hsr_lab::data::nearest;
use hsr_lab::tasks;

/// The line. `command` is the whole program, `verb` the subcommand that was called, where there is one.
pub fn line(error: &Error, command: &Command, verb: Option<&str>) -> String {
    let called = verb.map_or_else(|| "hsr".to_owned(), |verb| format!("hsr {verb}"));
    let found = match error.kind() {
        ErrorKind::InvalidValue => invalid_value(error),
        ErrorKind::ValueValidation => invalid_text(error),
        ErrorKind::InvalidSubcommand => unknown_command(error, command),
        ErrorKind::UnknownArgument => unknown_argument(error, command, verb, &called),
        ErrorKind::MissingRequiredArgument => missing(error, command, verb, &called),
        ErrorKind::ArgumentConflict => conflict(error),
        _ => None,
    };
    found.unwrap_or_else(|| {
        // Clap's own message without the usage below it.
        let text = error.to_string();
        let text = text.split("\n\nUsage:").next().unwrap_or_default();
        let text = text
            .split("\n\nFor more information")
            .next()
            .unwrap_or_default();
        text.trim_start_matches("error: ").to_owned()
    })
}

/// A value outside a list.
fn invalid_value(error: &Error) -> Option<String> {
    let argument = string(error, ContextKind::InvalidArg)?;
    let value = string(error, ContextKind::InvalidValue)?;
    let expected = strings(error, ContextKind::ValidValue).unwrap_or_default();
    let one_of = if expected.is_empty() {
        String::new()
    } else {
        format!(", expected one of {}", expected.join(", "))
    };
    if value.is_empty() {
        return Some(format!("{argument}: the value is missing{one_of}"));
    }
    let meant = nearest(value, expected.iter().map(String::as_str));
    Some(format!(
        "{}: unknown value {value:?}{}{one_of}",
        name(argument),
        did_you_mean(meant)
    ))
}

/// A value that cannot be read.
fn invalid_text(error: &Error) -> Option<String> {
    let argument = string(error, ContextKind::InvalidArg)?;
    let value = string(error, ContextKind::InvalidValue)?;
    let source = error.source()?;
    // The standard library says "invalid digit found in string".
    let expected = if let Some(error) = source.downcast_ref::<ParseIntError>() {
        match error.kind() {
            IntErrorKind::PosOverflow => "expected a smaller number".to_owned(),
            IntErrorKind::Zero => "expected a whole number, 1 or more".to_owned(),
            _ => "expected a whole number, 0 or more".to_owned(),
        }
    } else if source.is::<ParseFloatError>() {
        "expected a number".to_owned()
    } else {
        source.to_string()
    };
    Some(format!("{}: found {value:?}, {expected}", name(argument)))
}

fn unknown_command(error: &Error, command: &Command) -> Option<String> {
    let found = string(error, ContextKind::InvalidSubcommand)?;
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let meant = nearest(found, names.iter().copied());
    Some(format!(
        "no command named {found:?}{}; the commands are {}",
        did_you_mean(meant),
        names.join(", ")
    ))
}

fn unknown_argument(
    error: &Error,
    command: &Command,
    verb: Option<&str>,
    called: &str,
) -> Option<String> {
    let found = string(error, ContextKind::InvalidArg)?;
    if !found.starts_with('-') {
        let meant = verb.and_then(|verb| meant_by(found, command.find_subcommand(verb)?));
        return Some(format!(
            "{found:?} belongs to no option{}; {called} --help lists them",
            did_you_mean(meant.as_deref())
        ));
    }
    let options: Vec<&str> = verb
        .and_then(|verb| command.find_subcommand(verb))
        .into_iter()
        .flat_map(|verb| verb.get_arguments().filter_map(|it| it.get_long()))
        .collect();
    let meant = found
        .strip_prefix("--")
        .and_then(|name| nearest(name, options))
        .map(|name| format!("--{name}"));
    // Clap knows the options of the other commands as well.
    let meant = meant.or_else(|| string(error, ContextKind::SuggestedArg).map(str::to_owned));
    Some(format!(
        "{called} has no option {found}{}; {called} --help lists them",
        did_you_mean(meant.as_deref())
    ))
}

/// The option that was left out before a value: a task, a table, a run, weights.
fn meant_by(found: &str, verb: &Command) -> Option<String> {
    let option = if tasks::all().iter().any(|task| task.name == found) {
        "task"
    } else if found.ends_with(".csv") {
        "data"
    } else if found.ends_with(".safetensors") {
        "weights"
    } else {
        "run"
    };
    verb.get_arguments()
        .any(|argument| argument.get_long() == Some(option))
        .then(|| format!("--{option} {found}"))
}

fn missing(error: &Error, command: &Command, verb: Option<&str>, called: &str) -> Option<String> {
    let needed = strings(error, ContextKind::InvalidArg)?;
    let needed: Vec<String> = needed.iter().map(|it| alternatives(it)).collect();
    let needed = needed.join(", ");
    let always = verb
        .and_then(|verb| command.find_subcommand(verb))
        .is_some_and(|verb| {
            verb.get_arguments().any(|it| it.is_required_set())
                || verb.get_groups().any(|it| it.is_required_set())
        });
    // Where nothing is always needed, another option asks for it.
    let who = if always {
        called.to_owned()
    } else {
        format!("an option given to {called}")
    };
    Some(format!(
        "{who} needs {needed}; {called} --help has examples"
    ))
}

/// Of `<--a <X>|--b <Y>>`, as clap writes a choice of options, `--a <X> or --b <Y>`.
fn alternatives(needed: &str) -> String {
    let choice = needed.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
    match choice.filter(|it| it.starts_with('-')) {
        Some(choice) => choice.replace('|', " or "),
        None => needed.to_owned(),
    }
}

fn conflict(error: &Error) -> Option<String> {
    let argument = name(string(error, ContextKind::InvalidArg)?);
    let others = match error.get(ContextKind::PriorArg)? {
        ContextValue::String(other) => vec![name(other)],
        ContextValue::Strings(others) => others.iter().map(|other| name(other)).collect(),
        _ => return None,
    };
    if others == [argument.as_str()] {
        return Some(format!("{argument} is given twice, expected it once"));
    }
    Some(format!("{argument} excludes {}", others.join(", ")))
}

/// An option without its value's name; of a positional argument that name, in small letters.
fn name(argument: &str) -> String {
    match argument.split_once(' ') {
        Some((option, _)) => option.to_owned(),
        None if argument.starts_with('-') => argument.to_owned(),
        None => {
            let name = argument.trim_end_matches("...");
            name.trim_matches(['<', '>', '[', ']']).to_lowercase()
        }
    }
}

fn did_you_mean(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!(" (did you mean {meant:?}?)"))
}

fn string(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

fn strings(error: &Error, kind: ContextKind) -> Option<&[String]> {
    match error.get(kind)? {
        ContextValue::Strings(texts) => Some(texts),
        _ => None,
    }
}
