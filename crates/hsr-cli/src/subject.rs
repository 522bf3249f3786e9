//! What is measured, as the commands open it and speak of it.

use std::path::PathBuf;

use hsr_lab::{LabError, Subject};

use crate::args::SubjectArguments;
use crate::output::{say, warn_of_data};

/// The network with its samples, and where files about it go.
pub fn opened(
    arguments: SubjectArguments,
    out: Option<PathBuf>,
) -> Result<(PathBuf, Subject), LabError> {
    let out = out.or_else(|| arguments.model.run.clone());
    let out = out.ok_or_else(|| {
        LabError::Option("--weights needs --out, a directory for the files".to_owned())
    })?;
    let (model, data, split) = arguments.options()?;
    Ok((out, Subject::open(&model, data.as_ref(), split)?))
}

/// Which layers were found in its file, and what looks wrong with its table.
pub fn remark(subject: &Subject, quiet: bool) {
    warn_of_data(subject.warnings(), quiet);
    if let (Some(note), false) = (subject.note(), quiet) {
        say(&note);
    }
}
