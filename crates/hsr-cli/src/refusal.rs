//! What is wrong with a command line: clap's own message, in one line.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use hsr_lab::{shell, tasks};

/// The line. `command` is the whole program, `verb` the subcommand that was called, where there is one.
pub fn line(error: &Error, command: &Command, verb: Option<&str>) -> String {
    let text = error.to_string();
    // Paragraphs: the error, tips, the usage, where there is help.
    let said = text.split("\n\n").take_while(|part| {
        !part.starts_with("Usage:") && !part.starts_with("For more information")
    });
    let on_one_line = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut said: Vec<String> = said.map(on_one_line).collect();
    let verb = verb.and_then(|verb| command.find_subcommand(verb));
    said.extend(verb.and_then(|verb| left_out(error, verb)));
    let line = said.join("; ");
    line.trim_start_matches("error: ").to_owned()
}

/// The option that was left out before a value: a task, a table, a run, weights.
fn left_out(error: &Error, verb: &Command) -> Option<String> {
    let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if error.kind() != ErrorKind::UnknownArgument || found.starts_with('-') {
        return None;
    }
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
        .then(|| format!("tip: did you mean '{}'?", shell::option(option, found)))
}
