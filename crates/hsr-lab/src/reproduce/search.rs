//! Critical points of one loss, from many starts.

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::critical::{Critical, Polished, polish, unique};
use super::descent::{Descent, Pace};
use super::plan::Extent;
use super::scene::Bed;
use crate::error::LabError;
use crate::train::Method;

/// Starts of a batch: every combination of scale and epochs twice, with the methods in turn.
pub(super) const BATCH: usize = 32;
/// Standard deviations of the weights, over √inputs.
const SCALES: [f64; 4] = [0.5, 1.0, 2.0, 4.0];
/// Epochs of training before the polish, in turns.
pub(super) type Epochs = [usize; 4];

/// The usual ones.
pub(super) fn epochs(extent: Extent) -> Epochs {
    extent.pick([0, 30, 300, 3000], [0, 30, 300, 3000], [0, 5, 50, 1000])
}

/// What came of a batch, or of all batches of a loss.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Found {
    /// The different critical points.
    pub points: Vec<Critical>,
    pub degenerate: usize,
    pub lost: usize,
}

/// The critical points that one batch of starts leads to. `seed` is that of the data.
fn search(bed: &Bed, epochs: Epochs, seed: u64, batch: usize) -> Result<Found, LabError> {
    let mut found = Found::default();
    for start in 0..BATCH {
        let methods = Method::OF_CURVATURE.len();
        let method = Method::OF_CURVATURE[(start + start / methods) % methods];
        let mut descent = Descent::new(bed, method, method.fixed_strength(), Pace::USUAL);
        // A seed of its own for every start on every data set.
        let number = (batch * BATCH + start) as u64;
        let mut theta = bed.start(SCALES[start % 4], (seed << 32) + number);
        let last = [epochs[start / 4 % 4]];
        let polished = match descent.course(&mut theta, &last, |_, _, _| Ok(())) {
            Ok(_) => polish(&mut descent.workspace, bed, &theta)?,
            // What diverged has no critical point nearby.
            Err(_) => Polished::Lost,
        };
        match polished {
            Polished::Critical(point) => found.points.push(point),
            Polished::Degenerate => found.degenerate += 1,
            Polished::Lost => found.lost += 1,
        }
    }
    found.points = unique(bed, found.points);
    Ok(found)
}

/// The critical points of several losses, each from so many batches of starts; `load` gives a loss, and `seed` the seed of its
/// data, by its place.
pub(super) fn search_each(
    context: &Context,
    (losses, batches): (usize, usize),
    epochs: Epochs,
    seed: impl Fn(usize) -> u64 + Sync,
    load: impl Fn(usize) -> Result<Bed, LabError> + Sync,
) -> Result<Vec<(Bed, Found)>, LabError> {
    let found = context.map("critical points", 1.0, losses * batches, |i| {
        let loss = i / batches;
        search(&load(loss)?, epochs, seed(loss), i % batches)
    })?;
    let mut found = found.into_iter();
    let each = (0..losses).map(|loss| {
        let (bed, mut all) = (load(loss)?, Found::default());
        for of_batch in found.by_ref().take(batches) {
            all.points.extend(of_batch.points);
            all.degenerate += of_batch.degenerate;
            all.lost += of_batch.lost;
        }
        all.points = unique(&bed, all.points);
        Ok((bed, all))
    });
    each.collect()
}
