//! What a command prints: a result on standard output, an error on standard error.

use std::io::Write;
use std::path::Path;

use hsr_lab::LabError;
use serde::Serialize;

use crate::style::STYLES;

/// How a result is told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// As one JSON object.
    pub json: bool,
    /// Without progress, messages and prose.
    pub quiet: bool,
}

impl Manner {
    /// The result as JSON, in brief or for a reader.
    pub fn tell<T: Serialize>(
        self,
        result: &T,
        brief: impl FnOnce(&T) -> String,
        prose: impl FnOnce(&T) -> String,
    ) -> Result<String, LabError> {
        if self.json {
            let text = serde_json::to_string(result)
                .map_err(|error| LabError::Option(format!("the result is not JSON: {error}")))?;
            return Ok(text + "\n");
        }
        Ok(if self.quiet {
            brief(result)
        } else {
            prose(result)
        })
    }
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
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(LabError::Io {
            path: "standard output".into(),
            action: "be written",
            source: error,
        }),
        _ => Ok(()),
    }
}

/// One line on standard error, whatever a library's message looks like.
pub fn report(message: &str) {
    let error = STYLES.get_error();
    say(&format!("{error}error:{error:#} {}", line(message)));
}

/// What went wrong beside the result, which is there all the same.
pub fn warn(message: &str) {
    let error = STYLES.get_error();
    say(&format!("{error}warning:{error:#} {}", line(message)));
}

/// A line on standard error. Where that cannot be written nobody reads it, and the work goes on.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Characters of a message that are shown.
const SHOWN: usize = 1000;

/// A message on one line and of bounded length. Names from files may be in it, and a terminal obeys control characters.
fn line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    let mut text = String::new();
    for c in lines.join(" ").trim().chars() {
        if c.is_control() {
            text.extend(c.escape_unicode());
        } else {
            text.push(c);
        }
    }
    match text.chars().count().checked_sub(SHOWN) {
        None | Some(0) => text,
        // What was expected stands at the end.
        Some(_) => {
            let of = |from: &str, count| from.chars().take(count).collect::<String>();
            let (head, tail) = (of(&text, SHOWN / 2), text.chars().rev());
            let tail: Vec<char> = tail.take(SHOWN / 2).collect();
            head + " … " + &tail.into_iter().rev().collect::<String>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line_that_no_terminal_obeys() {
        assert_eq!(line("a\n  b\r\n c\n"), "a b c");
        assert_eq!(line("'a  b'"), "'a  b'");
        assert_eq!(line("\u{1b}]0;x\u{7}"), "\\u{1b}]0;x\\u{7}");
        let long = line(&format!("begin {} end", "x".repeat(100_000)));
        assert!(long.starts_with("begin ") && long.ends_with(" end"));
        assert!(long.chars().count() <= SHOWN + 3);
    }
}
