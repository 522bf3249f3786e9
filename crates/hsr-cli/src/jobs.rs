//! How many things are done at the same time.

use std::num::NonZero;

use hsr_lab::LabError;

/// More threads than any machine has processors: a slip of the finger.
const MOST: usize = 1024;

/// The number asked for with `--jobs`, or that of the processors.
pub fn wanted(asked: Option<usize>) -> Result<NonZero<usize>, LabError> {
    match asked.map(|jobs| (jobs, NonZero::new(jobs))) {
        None => Ok(std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)),
        Some((1..=MOST, Some(jobs))) => Ok(jobs),
        Some((jobs, _)) => Err(LabError::Option(format!(
            "--jobs is {jobs}, expected at least 1 and at most {MOST}"
        ))),
    }
}
