//! `hsr completions`.

use clap::CommandFactory;
use hsr_lab::LabError;

use crate::args::{Arguments, CompletionsOptions};

pub fn run(options: &CompletionsOptions) -> Result<String, LabError> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "hsr", &mut script);
    Ok(String::from_utf8_lossy(&script).into_owned())
}
