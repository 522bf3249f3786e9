//! What a source has to read, read once: whatever happens to a file afterwards, every seed sees the same, and a pipe can
//! be one.

use std::borrow::Cow;

use super::source::{Loaded, Origin, Source};
use crate::data::{Dataset, Split};
use crate::error::LabError;
use crate::tasks::MnistFiles;

/// A source that was read.
pub(crate) enum Reading {
    /// The samples, the same for every seed.
    Samples(Box<Loaded>),
    /// The files of MNIST, of which a seed may choose.
    Mnist(MnistFiles),
    /// Nothing: they are in the program, or drawn from the seed.
    Nothing,
}

impl Reading {
    /// Reads what there is to read.
    pub fn of(source: &Source) -> Result<Self, LabError> {
        Ok(match source {
            Source::Csv { .. } => Self::Samples(Box::new(source.load(0)?)),
            Source::Task { name, options } if name == MnistFiles::TASK => {
                Self::Mnist(MnistFiles::read(options)?)
            }
            Source::Task { .. } => Self::Nothing,
        })
    }

    /// The data of a seed, their split where they have one of their own, and where they come from.
    pub fn draw(
        &self,
        source: &Source,
        seed: u64,
    ) -> Result<(Cow<'_, Dataset>, Option<Split>, Origin), LabError> {
        match (self, source) {
            (Self::Samples(loaded), _) => {
                Ok((Cow::Borrowed(&loaded.data), None, loaded.origin.clone()))
            }
            (Self::Mnist(files), Source::Task { name, options }) => {
                let (data, split) = files.draw(options, seed)?;
                let origin = Origin::of_task(name, &data);
                Ok((Cow::Owned(data), Some(split), origin))
            }
            _ => {
                let Loaded {
                    data,
                    split,
                    origin,
                } = source.load(seed)?;
                Ok((Cow::Owned(data), split, origin))
            }
        }
    }
}
