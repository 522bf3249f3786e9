//! The critical points of one loss: what figures 11 and 15 choose from.

use serde::Serialize;

use super::context::{Context, Shared};
use super::critical::{Critical, Kind};
use super::plan::Extent;
use super::scene::{Bed, Scene};
use super::search::{Epochs, Found, epochs, search_each};
use crate::error::LabError;

#[derive(Clone, Debug, Serialize)]
struct Settings {
    scene: Scene,
    datasets: usize,
    /// Batches of starts on each.
    batches: usize,
    epochs: Epochs,
}

fn settings(extent: Extent) -> Settings {
    Settings {
        scene: Scene::spirals(0.1),
        datasets: extent.pick(20, 8, 1),
        batches: extent.pick(12, 6, 1),
        epochs: epochs(extent),
    }
}

/// The search as work that several experiments share.
pub(super) fn shared(extent: Extent) -> Shared {
    let settings = settings(extent);
    let cost = 0.4 * (settings.datasets * settings.batches) as f64;
    Shared::new("points", cost, settings)
}

/// Critical points of a scene.
pub(super) struct Points {
    pub scene: Scene,
    /// A loss each.
    pub sets: Vec<Set>,
}

/// The critical points of one loss.
pub(super) struct Set {
    pub bed: Bed,
    /// By ascending λ_1.
    pub minima: Vec<Critical>,
    /// By ascending λ_D.
    pub saddles: Vec<Critical>,
}

impl Points {
    /// Finds them, or takes them from where an earlier experiment left them.
    pub fn find(extent: Extent, context: &Context) -> Result<Self, LabError> {
        let Settings {
            scene,
            datasets,
            batches,
            epochs,
        } = settings(extent);
        let seed_of = |set: usize| context.seed + set as u64;
        let load = |set: usize| scene.load(seed_of(set));
        let context = context.shared(&shared(extent));
        let found = search_each(&context, (datasets, batches), epochs, seed_of, load)?;
        let sets = found.into_iter().map(|(bed, Found { points, .. })| {
            let of_kind = |kind: Kind, order: fn(&Critical) -> f64| -> Vec<Critical> {
                let of_kind = points.iter().filter(|point| point.kind() == kind);
                let mut of_kind: Vec<Critical> = of_kind.cloned().collect();
                of_kind.sort_by(|a, b| order(a).total_cmp(&order(b)));
                of_kind
            };
            Set {
                minima: of_kind(Kind::Minimum, |point| point.curvature.lambda_max()),
                saddles: of_kind(Kind::Saddle, |point| point.curvature.lambda_min()),
                bed,
            }
        });
        let sets = sets.collect();
        Ok(Self { scene, sets })
    }

    /// The place of the data set with most minima, of which pictures are made.
    pub fn richest(&self) -> usize {
        let most = self.sets.iter().map(|set| set.minima.len()).max();
        let richest = self
            .sets
            .iter()
            .position(|set| Some(set.minima.len()) == most);
        richest.unwrap_or(0)
    }

    /// What was chosen, for captions.
    pub fn words(&self) -> String {
        let count = |kind: fn(&Set) -> usize| self.sets.iter().map(kind).sum::<usize>();
        format!(
            "Chosen here: {}, D = 21, weight decay {}; {} minima and {} saddles of J, cross-entropy and weight decay, on {} \
             data sets, found as in figure 9.",
            self.scene.words(),
            self.scene.decay,
            count(|set| set.minima.len()),
            count(|set| set.saddles.len()),
            self.sets.len(),
        )
    }
}
