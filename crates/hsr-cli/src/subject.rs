//! What is measured, as the commands open it and speak of it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hsr_lab::{Curvature, LabError, Subject};

use crate::args::SubjectArguments;
use crate::output::{say, warn_of_data};
use crate::progress;

/// Shows what is being done, how much of it is done and of how much, and says whether to go on.
pub type Observe<'a> = &'a dyn Fn(&'static str, usize, usize) -> ControlFlow<()>;

/// Opens a network with its samples and gives what `look` reports of it, whose files go to `out` or into the run.
pub fn looked<R>(
    arguments: SubjectArguments,
    out: Option<PathBuf>,
    quiet: bool,
    look: impl FnOnce(&Subject, &mut Curvature, &Path, Observe) -> Result<R, LabError>,
) -> Result<R, LabError> {
    let stop = progress::stop_flag();
    let memory = arguments.memory.unwrap_or_default();
    let out = out.or_else(|| arguments.model.run.clone());
    let out =
        out.ok_or_else(|| LabError::option("--weights needs --out, a directory for the files"))?;
    let (model, data, split) = arguments.options()?;
    let subject = Subject::open(&model, data.as_ref(), split)?;
    stop.listen();
    let bar = progress::bar(0, "", quiet);
    let mut curvature = memory.curvature();
    let report = look(&subject, &mut curvature, &out, &|what, done, total| {
        bar.set_message(what);
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        stop.flow()
    });
    bar.finish_and_clear();
    let report = report?;
    warn_of_data(subject.warnings(), quiet);
    if let (Some(note), false) = (subject.note(), quiet) {
        say(&note);
    }
    Ok(report)
}
