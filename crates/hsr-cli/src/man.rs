//! `hsr man`: the manual, a page for the program and one for each command.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use hsr_lab::{LabError, files};

use crate::args::{Arguments, ManOptions};
use crate::output::paths;

pub fn run(options: &ManOptions) -> Result<String, LabError> {
    let pages = pages().map_err(LabError::io(Path::new("the manual"), "be written"))?;
    let Some(directory) = &options.out else {
        let wanted = match &options.command {
            Some(command) => format!("hsr-{command}.1"),
            None => "hsr.1".to_owned(),
        };
        // A command that is not there was refused before.
        let page = pages.into_iter().find(|(name, _)| *name == wanted);
        return Ok(page.map(|(_, text)| text).unwrap_or_default());
    };
    fs::create_dir_all(directory).map_err(LabError::io(directory, "be written"))?;
    files::sweep(directory);
    let mut written = Vec::new();
    for (name, text) in pages {
        let path = directory.join(name);
        files::write(&path, text.as_bytes())?;
        written.push(path);
    }
    Ok(paths(&written))
}

/// The pages by file name, that of the program first.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    // So that the commands know their full names and the options that all have.
    program.build();
    std::iter::once(&program)
        .chain(program.get_subcommands())
        .map(|command| {
            let man = Man::new(command.clone())
                .manual("HSR regularisation for Burn")
                .source(format!("hsr {}", env!("CARGO_PKG_VERSION")));
            Ok((man.get_filename(), page(&man, command)?))
        })
        .collect()
}

fn page(man: &Man, command: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    notes_and_examples(command).to_writer(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What stands below the help text. Clap's renderer would fill the examples into one paragraph.
fn notes_and_examples(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let below = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let (notes, examples) = below.split_once("Examples:").unwrap_or((&below, ""));
    if !notes.trim().is_empty() {
        roff.control("SH", ["NOTES"]);
        roff.text([roman(notes.trim())]);
    }
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        for line in examples.trim_start_matches('\n').lines() {
            let line = line.strip_prefix("  ").unwrap_or(line);
            if line.starts_with('#') {
                roff.control("sp", []);
                roff.text([roman(line)]);
            } else {
                roff.text([bold(line)]);
            }
        }
        roff.control("fi", []);
    }
    roff
}
