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
    let message: Vec<&str> = message.split_whitespace().collect();
    let error = STYLES.get_error();
    let _ = writeln!(
        anstream::stderr(),
        "{error}error:{error:#} {}",
        message.join(" ")
    );
}
