//! `hsr tasks`.

use std::fmt::Write;

use hsr_lab::tasks::{self, TaskInfo};
use hsr_lab::{LabError, NetworkKind};
use serde::Serialize;

use crate::args::TasksOptions;
use crate::output::Manner;
use crate::style::STYLES;

/// Columns of a terminal that a line may take.
const WIDTH: usize = 100;

/// A task and the network that is trained on it where nothing else is said.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    task: TaskInfo,
    /// h.
    hidden: usize,
    /// D = h(d + 1) + K(h + 1).
    parameters: usize,
}

pub fn run(options: &TasksOptions, quiet: bool) -> Result<String, LabError> {
    let hidden = NetworkKind::Mlp.default_hidden();
    let hidden = hidden.as_slice().iter().sum();
    let entry = |task: TaskInfo| Entry {
        hidden,
        parameters: hidden * (task.inputs + 1) + task.classes * (hidden + 1),
        task,
    };
    let entries: Vec<Entry> = tasks::all().into_iter().map(entry).collect();
    let json = options.json;
    Manner { json, quiet }.list("tasks", &entries, names, table)
}

fn names(entries: &[Entry]) -> String {
    let names = entries.iter().map(|entry| entry.task.name);
    names.map(|name| format!("{name}\n")).collect()
}

fn table(entries: &[Entry]) -> String {
    let header = STYLES.get_header();
    let mut text = format!(
        "{header}{:13} {:>7} {:>8} {:>7} {:>9} {:>6}  {}{header:#}\n",
        "task", "samples", "features", "classes", "network", "D", "licence"
    );
    for Entry {
        task,
        hidden,
        parameters,
    } in entries
    {
        let network = format!("{}-{hidden}-{}", task.inputs, task.classes);
        let _ = writeln!(
            text,
            "{:13} {:>7} {:>8} {:>7} {network:>9} {parameters:>6}  {}",
            task.name, task.samples, task.inputs, task.classes, task.licence
        );
    }
    text.push_str("\nnetwork: inputs, hidden units and outputs by default; D: its parameters\n\n");
    for Entry { task, .. } in entries {
        let what = format!("{}; {}", task.description, task.source);
        for (line, part) in filled(&what, WIDTH - 14).into_iter().enumerate() {
            let name = if line == 0 { task.name } else { "" };
            let _ = writeln!(text, "{name:13} {part}");
        }
    }
    text
}

/// The words in lines of at most `width` characters.
fn filled(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
