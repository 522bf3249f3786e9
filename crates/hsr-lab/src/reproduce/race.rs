//! Every method from the same starts on the same data: what figures 10, 12 and 14 and the referee's answer look at.

use serde::{Deserialize, Serialize};

use super::context::{Context, Shared};
use super::critical::{Polished, polish};
use super::curvature::Curvature;
use super::descent::{Descent, Pace};
use super::numbers::schedule;
use super::plan::Extent;
use super::scene::Scene;
use crate::error::LabError;
use crate::statistics::{SignedRank, holm};
use crate::train::Method;

/// What is run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Settings {
    pub scenes: Vec<Scene>,
    /// Each with its strength, ρ for SAM and ASAM: the defaults of `hsr train`, chosen for no task here.
    pub methods: Vec<(Method, f64)>,
    pub pace: Pace,
    /// Epochs, a step each.
    pub epochs: usize,
    /// Seeds of data and start.
    pub seeds: usize,
    /// Epochs at which is measured.
    pub snapshots: usize,
}

/// The settings.
pub(super) fn settings(extent: Extent) -> Settings {
    Settings {
        scenes: vec![
            Scene::gaussians(0.6),
            Scene::moons(0.3),
            Scene::spirals(0.1),
        ],
        methods: Method::OF_CURVATURE
            .map(|method| (method, method.fixed_strength()))
            .to_vec(),
        pace: Pace::USUAL,
        epochs: extent.pick(20_000, 4000, 30),
        seeds: extent.pick(100, 30, 3),
        snapshots: extent.pick(50, 40, 5),
    }
}

/// The race as work that several experiments share.
pub(super) fn shared(extent: Extent) -> Shared {
    let settings = settings(extent);
    let steps = settings.scenes.len() * settings.seeds * settings.epochs;
    // All methods together take so long for a step.
    Shared::new("race", 1.3e-4 * steps as f64, settings)
}

/// One network on its way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub loss: f64,
    pub lambda_max: f64,
    pub lambda_sup: f64,
}

/// A point with what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub theta: Vec<f64>,
    pub curvature: Curvature,
    pub macro_f1: f64,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    /// At the epochs of the schedule.
    pub course: Vec<Snapshot>,
    /// Where training ended.
    pub end: State,
    /// The critical point of J reached from there without the method, by as many epochs of plain training and the polish;
    /// none where the polish did not converge.
    pub critical: Option<State>,
}

/// All runs.
pub(super) struct Race {
    pub settings: Settings,
    pub epochs: Vec<usize>,
    /// By scene, method and seed; none where training left the range of numbers.
    runs: Vec<Option<Run>>,
}

/// A method beside plain training, by a quantity of the pairs in which both have it.
pub(super) struct Beside {
    pub plain: Vec<f64>,
    pub other: Vec<f64>,
    /// Of the two-sided Wilcoxon signed-rank test, corrected after Holm for the methods of a scene.
    pub p: f64,
}

/// A quantity of a run.
pub(super) type Quantity<'a> = &'a dyn Fn(&Run) -> Option<f64>;

impl Race {
    /// Runs it, or takes it from where an earlier experiment left it.
    pub fn run(extent: Extent, context: &Context) -> Result<Self, LabError> {
        let settings = settings(extent);
        let epochs = schedule(settings.epochs, settings.snapshots);
        let count = settings.scenes.len() * settings.methods.len() * settings.seeds;
        let runs = context
            .shared(&shared(extent))
            .map("training", 1.0, count, |i| {
                let (rest, seed) = (
                    i / settings.seeds,
                    context.seed + (i % settings.seeds) as u64,
                );
                let scene = &settings.scenes[rest / settings.methods.len()];
                let method = settings.methods[rest % settings.methods.len()];
                one(scene, method, settings.pace, &epochs, seed)
            })?;
        Ok(Self {
            settings,
            epochs,
            runs,
        })
    }

    /// The runs of one method on one scene, a seed each.
    pub fn of(&self, scene: usize, method: usize) -> &[Option<Run>] {
        let seeds = self.settings.seeds;
        &self.runs[(scene * self.settings.methods.len() + method) * seeds..][..seeds]
    }

    /// The place of a method.
    pub fn place(&self, method: Method) -> usize {
        let place = self
            .settings
            .methods
            .iter()
            .position(|(it, _)| *it == method);
        place.unwrap_or(0)
    }

    /// Runs that left the range of numbers.
    pub fn diverged(&self) -> usize {
        self.runs.iter().filter(|run| run.is_none()).count()
    }

    /// Every method beside plain training on one scene, in their order; the first is plain training itself.
    pub fn beside_plain(&self, scene: usize, quantity: Quantity<'_>) -> Vec<Beside> {
        let plain = self.of(scene, self.place(Method::Plain));
        let mut all: Vec<Beside> = (0..self.settings.methods.len())
            .map(|method| {
                let (mut before, mut after) = (Vec::new(), Vec::new());
                for (a, b) in plain.iter().zip(self.of(scene, method)) {
                    let value = |run: &Option<Run>| run.as_ref().and_then(quantity);
                    if let (Some(a), Some(b)) = (value(a), value(b)) {
                        before.push(a);
                        after.push(b);
                    }
                }
                let test = SignedRank::paired(&before, &after);
                Beside {
                    plain: before,
                    other: after,
                    p: test.map_or(1.0, |test| test.p),
                }
            })
            .collect();
        // Plain beside itself is no test.
        let tests: Vec<f64> = all[1..].iter().map(|it| it.p).collect();
        for (it, p) in all[1..].iter_mut().zip(holm(&tests)) {
            it.p = p;
        }
        all
    }

    /// What was chosen, for captions.
    pub fn words(&self) -> String {
        let scenes: Vec<String> = self.settings.scenes.iter().map(Scene::words).collect();
        let strengths: Vec<String> = self.settings.methods[1..]
            .iter()
            .map(|(method, strength)| format!("{} {strength}", method.name()))
            .collect();
        format!(
            "Chosen here: {}; D = 21, weight decay {}; {}, {} epochs, {} seeds \
             of data and start; strengths (ρ for SAM and ASAM) are fixed: {}.",
            scenes.join("; "),
            self.settings.scenes[0].decay,
            self.settings.pace.words(),
            self.settings.epochs,
            self.settings.seeds,
            strengths.join(", "),
        )
    }
}

/// The name of a method in pictures.
pub(super) fn name(method: Method) -> &'static str {
    match method {
        Method::Hsr => "HSR",
        Method::Sam => "SAM",
        Method::Asam => "ASAM",
        other => other.name(),
    }
}

fn one(
    scene: &Scene,
    (method, strength): (Method, f64),
    pace: Pace,
    epochs: &[usize],
    seed: u64,
) -> Result<Option<Run>, LabError> {
    let bed = scene.load(seed)?;
    let mut theta = bed.start(1.0, seed);
    let mut descent = Descent::new(&bed, method, strength, pace);
    let course = descent.course(&mut theta, epochs, |workspace, _, theta| {
        let curvature = Curvature::of(workspace, &bed, theta)?;
        Ok(Snapshot {
            loss: curvature.loss,
            lambda_max: curvature.lambda_max(),
            lambda_sup: curvature.lambda_sup,
        })
    });
    let Ok(course) = course else {
        return Ok(None);
    };
    let workspace = &mut descent.workspace;
    let end = State {
        curvature: Curvature::of(workspace, &bed, &theta)?,
        macro_f1: bed.macro_f1(workspace, &theta)?,
        theta: theta.clone(),
    };
    // Where the loss alone leads from there: nearby, a method's end is often closer to a saddle of J than to the minimum
    // into which its descent would run.
    let mut plain = Descent::new(&bed, Method::Plain, 0.0, pace);
    let more = epochs.last().copied().unwrap_or(0);
    let polished = match plain.course(&mut theta, &[more], |_, _, _| Ok(())) {
        Ok(_) => polish(workspace, &bed, &theta)?,
        Err(_) => Polished::Lost,
    };
    let critical = match polished {
        Polished::Critical(point) => Some(State {
            macro_f1: bed.macro_f1(workspace, &point.theta)?,
            curvature: point.curvature,
            theta: point.theta,
        }),
        Polished::Degenerate | Polished::Lost => None,
    };
    Ok(Some(Run {
        course,
        end,
        critical,
    }))
}
