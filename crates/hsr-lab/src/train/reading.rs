//! What a source has to read, read once: whatever happens to a file afterwards, every seed sees the same, and a pipe can
//! be one.

use std::borrow::Cow;

use super::config::Source;
use crate::LabError;
use crate::data::{Dataset, Split};
use crate::tasks::{self, MnistFiles};

/// A source that was read.
pub(crate) enum Reading {
    /// The samples, the same for every seed.
    Samples(Box<Dataset>),
    /// The files of MNIST, of which a seed may choose.
    Mnist(MnistFiles),
    /// Nothing: they are in the program, or drawn from the seed.
    Nothing,
}

impl Reading {
    /// Reads what there is to read.
    pub fn of(source: &Source) -> Result<Self, LabError> {
        Ok(match source {
            Source::Csv { .. } => Self::Samples(Box::new(source.load(0)?.0)),
            Source::Task { name, options } if name == MnistFiles::TASK => {
                Self::Mnist(MnistFiles::read(options)?)
            }
            Source::Task { .. } => Self::Nothing,
        })
    }

    /// The data of a seed, and their split where they have one of their own.
    pub fn draw(
        &self,
        source: &Source,
        seed: u64,
    ) -> Result<(Cow<'_, Dataset>, Option<Split>), LabError> {
        let (data, split) = match (self, source) {
            (Self::Samples(data), _) => return Ok((Cow::Borrowed(data), None)),
            (Self::Mnist(files), Source::Task { options, .. }) => {
                let (data, split) = files.draw(options, seed)?;
                (data, Some(split))
            }
            (_, Source::Task { name, options }) => tasks::load_with_split(name, options, seed)?,
            (_, Source::Csv { .. }) => source.load(seed)?,
        };
        Ok((Cow::Owned(data), split))
    }
}
