//! What a command prints: a result on standard output, an error on standard error.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use hsr_lab::data::DataWarning;
use hsr_lab::{LabError, visible};
use serde::Serialize;

use crate::spelling::options;
use crate::style::{STYLES, WARNING};

/// How a result is told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// As one JSON object.
    pub json: bool,
    /// Without progress, messages and prose.
    pub quiet: bool,
}

impl Manner {
    /// A list, which as JSON is the one field of an object.
    pub fn list<T: Serialize>(
        self,
        name: &str,
        list: &[T],
        brief: impl FnOnce(&[T]) -> String,
        prose: impl FnOnce(&[T]) -> String,
    ) -> Result<String, LabError> {
        match self.json {
            true => json(BTreeMap::from([(name, list)])),
            false => self.tell(&list, |it| brief(it), |it| prose(it)),
        }
    }

    /// The result as JSON, in brief or for a reader.
    pub fn tell<T: Serialize>(
        self,
        result: &T,
        brief: impl FnOnce(&T) -> String,
        prose: impl FnOnce(&T) -> String,
    ) -> Result<String, LabError> {
        if self.json {
            return json(result);
        }
        Ok(if self.quiet {
            brief(result)
        } else {
            options(&prose(result))
        })
    }
}

fn json(result: impl Serialize) -> Result<String, LabError> {
    let text = serde_json::to_string(&result);
    let text =
        text.map_err(|error| LabError::Option(format!("the result is not JSON: {error}")))?;
    Ok(text + "\n")
}

/// What was written, a path a line.
pub fn paths<P: AsRef<Path>>(paths: &[P]) -> String {
    paths
        .iter()
        .map(|path| format!("{}\n", path.as_ref().display()))
        .collect()
}

/// Writes a result. A reader that stops reading early (`hsr tasks | head -1`) is no error.
pub fn print(text: &str) -> Result<(), LabError> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(LabError::io(
            Path::new("standard output"),
            "be written",
        )(error)),
        _ => Ok(()),
    }
}

/// One line on standard error, whatever a library's message looks like and whatever a file has for names: nothing in it
/// is acted upon by a terminal, and it is of bounded length.
pub fn report(message: &str) {
    let error = STYLES.get_error();
    say(&format!("{error}error:{error:#} {}", line(message)));
}

/// What went wrong beside the result, which is there all the same.
pub fn warn(message: &str) {
    let style = WARNING;
    say(&format!("{style}warning:{style:#} {}", line(message)));
}

/// What looks wrong with the data and is used all the same, a line each.
pub fn warn_of_data(warnings: &[DataWarning], quiet: bool) {
    if !quiet {
        warnings.iter().for_each(|it| warn(&it.to_string()));
    }
}

/// A line on standard error. Where that cannot be written nobody reads it, and the work goes on.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", options(text));
}

/// Characters of a message: its beginning says where, its end what to do.
const LONGEST: usize = 700;
const END: usize = 250;

/// A message on one line and of bounded length, in which nothing is acted upon by a terminal.
fn line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    let line = visible(lines.join(" ").trim());
    let count = line.chars().count();
    if count <= LONGEST {
        return line;
    }
    let begin: String = line.chars().take(LONGEST - END - 3).collect();
    let end: String = line.chars().skip(count - END).collect();
    format!("{begin} … {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_that_no_terminal_obeys() {
        assert_eq!(line("a\n  b\r\n c\n"), "a b c");
        assert_eq!(line("'a  b'"), "'a  b'");
        assert_eq!(line("\u{1b}]0;x\u{7}"), "\\u{1b}]0;x\\u{7}");
    }

    #[test]
    fn a_long_message_keeps_both_ends() {
        let line = line(&format!("begin {} end", "é".repeat(100_000)));
        assert_eq!(line.chars().count(), LONGEST);
        assert!(line.starts_with("begin ") && line.ends_with(" end") && line.contains(" … "));
    }
}
