//! `hsr tasks`.

use std::fmt::Write;

use hsr_lab::{LabError, tasks};

use crate::args::TasksOptions;
use crate::json;

pub fn run(options: &TasksOptions) -> Result<String, LabError> {
    let tasks = tasks::all();
    if options.json {
        return json(&serde_json::json!({ "tasks": tasks }));
    }
    let mut text = format!(
        "{:14} {:>6} {:>7} {:>7}  {}\n",
        "task", "inputs", "classes", "samples", "what it is"
    );
    for task in &tasks {
        let _ = writeln!(
            text,
            "{:14} {:>6} {:>7} {:>7}  {}",
            task.name, task.inputs, task.classes, task.samples, task.description
        );
    }
    text.push_str("\nSources and licences:\n");
    for task in &tasks {
        let _ = writeln!(text, "  {}: {}; {}", task.name, task.source, task.licence);
    }
    Ok(text)
}
