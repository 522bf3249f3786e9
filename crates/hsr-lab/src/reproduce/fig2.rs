//! Figure 2: what ∂λ_sup/∂θ costs, numerically, by autodiff, and in closed form.

use std::time::{Duration, Instant};

use hsr_core::Workspace;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::finding::{Claim, Finding, Table, chart, plot};
use super::numbers::{central_differences, median, relative_difference};
use super::plan::{Extent, Plan};
use super::scene::Scene;
use super::tensor_bound::TensorBound;
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};

#[derive(Serialize)]
struct Settings {
    scene: Scene,
    /// Hidden units at N = `samples`.
    hidden: Vec<usize>,
    samples: usize,
    /// Samples at three hidden units.
    numbers_of_samples: Vec<usize>,
    /// Rounds, in which each way is called: until there are so many or the seconds are over, but at least `least`.
    most: usize,
    least: usize,
    seconds: f64,
}

pub(super) fn plan(extent: Extent) -> Plan {
    let settings = Settings {
        scene: Scene::gaussians(0.5),
        hidden: extent.pick(
            vec![1, 2, 3, 5, 8, 13, 21, 34, 55, 80],
            vec![1, 3, 8, 21, 55],
            vec![1, 3],
        ),
        samples: extent.pick(200, 200, 30),
        numbers_of_samples: extent.pick(
            vec![25, 50, 100, 200, 400, 800, 1600, 3200],
            vec![50, 200, 800],
            vec![20, 40],
        ),
        most: extent.pick(2000, 400, 3),
        least: extent.pick(7, 5, 1),
        seconds: extent.pick(6.0, 0.6, 0.0),
    };
    let sizes = settings.hidden.len() + settings.numbers_of_samples.len();
    let cost = extent.pick(8.0, 1.2, 0.1) * sizes as f64;
    Plan::new(settings, cost, run)
}

/// The ways, with their names in the picture.
const WAYS: [&str; 3] = ["numerical", "autodiff", "analytical"];
/// Calls of each way in a round. In turns, what else the machine does meets all of them alike.
const CALLS: [usize; 3] = [1, 3, 10];

#[derive(Serialize, Deserialize)]
struct Timing {
    parameters: usize,
    samples: usize,
    /// Median seconds of a gradient, by way.
    seconds: [f64; 3],
    calls: [usize; 3],
    /// How far the numerical and the autodiff gradient are from the analytical one.
    difference: [f64; 2],
}

fn run(settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let over_d = settings.hidden.iter().map(|&h| (h, settings.samples));
    let over_n = settings
        .numbers_of_samples
        .iter()
        .map(|&n| (settings.scene.hidden, n));
    let sizes: Vec<(usize, usize)> = over_d.chain(over_n).collect();
    // One at a time: two at once would disturb each other.
    let timings = context.alone().map("timing", 1.0, sizes.len(), |i| {
        let (hidden, samples) = sizes[i];
        time(settings, hidden, samples, context.seed)
    })?;
    let (over_d, over_n) = timings.split_at(settings.hidden.len());
    let mut table = Table::new(
        "parameters,samples,numerical_seconds,autodiff_seconds,analytical_seconds,numerical_calls,autodiff_calls,analytical_calls,numerical_difference,autodiff_difference",
    );
    for t in &timings {
        let ([a, b, c], [i, j, k], [n, d]) = (&t.seconds, &t.calls, &t.difference);
        table.row(&[&t.parameters, &t.samples, a, b, c, i, j, k, n, d]);
    }
    let size: fn(&Timing) -> f64 = |timing| timing.parameters as f64;
    let samples: fn(&Timing) -> f64 = |timing| timing.samples as f64;
    let picture = chart(
        "Computation time of ∂λ_sup/∂θ",
        "Median milliseconds of one gradient on one thread, both axes logarithmic. Numerical: central differences of λ_sup. \
         Autodiff: Burn's backward pass through λ_sup written in tensor operations.",
        2,
        vec![
            panel(
                format!("N = {}", settings.samples),
                "parameters D",
                over_d,
                size,
            ),
            panel(
                format!("D = {}", 6 * settings.scene.hidden + 3),
                "samples N",
                over_n,
                samples,
            ),
        ],
    )?;
    let claims = claims(over_d, &timings);
    let caption = format!(
        "Time of ∂λ_sup/∂θ in f64 on one thread of this machine: numerically (central differences, 2D values of λ_sup by \
         the closed form), by Burn's first-order autodiff of λ_sup written in tensor operations (flex), and analytically \
         (hsr-core). Left over D at N = {}, right over N at D = 21. Chosen here: {}, softmax with three logits, random \
         weights; medians over {} to {} rounds in which the three take turns. The paper timed on an Apple M2 CPU and has no autodiff.",
        settings.samples,
        settings.scene.words(),
        settings.least,
        settings.most,
    );
    Ok(Finding {
        caption,
        claims,
        pictures: vec![("", picture)],
        table,
    })
}

fn time(settings: &Settings, hidden: usize, samples: usize, seed: u64) -> Result<Timing, LabError> {
    let scene = settings
        .scene
        .clone()
        .with_hidden(hidden)
        .with_samples(samples, 3);
    let bed = scene.load(seed)?;
    let theta = bed.start(1.0, seed);
    let mut workspace = Workspace::single_threaded();
    let expression = TensorBound::new(&bed);
    let mut gradients: [Vec<f64>; 3] = Default::default();
    let mut call = |way: usize| -> Result<(), LabError> {
        gradients[way] = match way {
            0 => central_differences(&mut workspace, &bed, &theta)?,
            1 => expression.gradient(&bed, &theta)?.1,
            _ => bed.bound_gradient(&mut workspace, &theta)?.1,
        };
        Ok(())
    };
    // The first calls warm up.
    (0..WAYS.len()).try_for_each(&mut call)?;
    let begun = Instant::now();
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut rounds = 0;
    while rounds < settings.least
        || (rounds < settings.most && begun.elapsed() < Duration::from_secs_f64(settings.seconds))
    {
        for (way, times) in times.iter_mut().enumerate() {
            for _ in 0..CALLS[way] {
                let started = Instant::now();
                call(way)?;
                times.push(started.elapsed().as_secs_f64());
            }
        }
        rounds += 1;
    }
    Ok(Timing {
        parameters: theta.len(),
        samples,
        seconds: [0, 1, 2].map(|way| median(&times[way])),
        calls: [0, 1, 2].map(|way| times[way].len()),
        difference: [0, 1].map(|way| relative_difference(&gradients[way], &gradients[2])),
    })
}

fn panel(title: String, x: &str, timings: &[Timing], along: fn(&Timing) -> f64) -> Plot {
    let series = WAYS.iter().enumerate().map(|(way, label)| {
        let points = timings.iter().map(|t| [along(t), 1e3 * t.seconds[way]]);
        Series::new(*label, Mark::Marked, points.collect())
    });
    Plot {
        x_log: true,
        y_log: true,
        ..plot(title, x, "milliseconds", series.collect())
    }
}

/// A factor may be so much below an earlier one and still count as not falling.
const NOISE: f64 = 0.15;

fn claims(over_d: &[Timing], all: &[Timing]) -> Vec<Claim> {
    let factor = |timing: &Timing, way: usize| timing.seconds[way] / timing.seconds[2];
    let fastest = all
        .iter()
        .filter(|t| t.seconds[2] < t.seconds[0] && t.seconds[2] < t.seconds[1])
        .count();
    let least = |way: usize| {
        all.iter()
            .map(|t| factor(t, way))
            .fold(f64::INFINITY, f64::min)
    };
    let wins = Claim::of_all(
        format!(
            "the analytical gradient is the fastest at {fastest} of {} sizes: at least {:.1} times as fast as the \
             numerical one, {:.1} times as fast as autodiff",
            all.len(),
            least(0),
            least(1),
        ),
        fastest,
        all.len(),
    );
    let factors: Vec<f64> = over_d.iter().map(|t| factor(t, 0)).collect();
    // The deepest fall below the largest factor so far.
    let mut so_far = 0.0_f64;
    let fall = factors.iter().fold(0.0_f64, |fall, &f| {
        so_far = so_far.max(f);
        fall.max(1.0 - f / so_far)
    });
    let (first, last) = (factors.first(), factors.last());
    let (first, last) = (first.copied().unwrap_or(0.0), last.copied().unwrap_or(0.0));
    let grows = Claim::at_most(
        format!(
            "numerical over analytical grows with D from {first:.1} to {last:.1} times; it never falls by more than \
             {:.0} % below an earlier value ({:.0} % are allowed for noise)",
            100.0 * fall,
            100.0 * NOISE,
        ),
        if last > first { fall } else { 1.0 },
        NOISE,
    );
    let differences = |which: usize| all.iter().map(|t| t.difference[which]).fold(0.0, f64::max);
    let agree = Claim::at_most(
        format!(
            "what is timed is the same gradient: the numerical one differs by at most {}, autodiff by {} of the \
             largest component",
            figures::value(differences(0)),
            figures::value(differences(1)),
        ),
        differences(0).max(differences(1)),
        1e-6,
    );
    vec![wins, grows, agree]
}
