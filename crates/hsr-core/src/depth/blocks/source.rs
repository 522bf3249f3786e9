//! What the blocks are evaluated from.

use crate::depth::passes::pass::Pass;
use crate::depth::passes::tangents::Tangents;
use crate::depth::want::Want;
use crate::evaluation::watch::Parts;

/// The inputs of an evaluation.
pub struct Source<'a, T> {
    pub pass: &'a Pass<T>,
    pub tangents: &'a Tangents<T>,
    pub want: Want,
    pub parts: &'a Parts<'a>,
}
