//! What is measured, as the commands open it.

use std::path::PathBuf;

use hsr_lab::{LabError, Subject};

use crate::args::SubjectArguments;
use crate::output::{say, warn_of_data};

/// The network with its samples, and where files about it go; says what was found in its file and what looks wrong with its
/// table.
pub fn opened(
    arguments: SubjectArguments,
    out: Option<PathBuf>,
    quiet: bool,
) -> Result<(PathBuf, Subject), LabError> {
    let out = out.or_else(|| arguments.model.run.clone());
    let out = out.ok_or_else(|| {
        LabError::Option("--weights needs --out, a directory for the files".to_owned())
    })?;
    let (model, data, split) = arguments.options()?;
    let subject = Subject::open(&model, data.as_ref(), split)?;
    warn_of_data(subject.warnings(), quiet);
    if let (Some(note), false) = (subject.note(), quiet) {
        say(&note);
    }
    Ok((out, subject))
}
