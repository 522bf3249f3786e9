//! Beyond the paper: λ_sup beside λ_max and ‖H‖_F in networks of any depth and width, as they start and while they train.

use core::num::NonZeroUsize;

use hsr_core::depth::{DeepEvaluation, DeepWorkspace, FeedForward, LayerShape};
use hsr_core::{Activation, Batch, LanczosOptions, OutputLoss, Targets, extremes};
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::finding::{Claim, Finding, Table, chart, plot};
use super::numbers::median;
use super::plan::{Extent, Plan};
use crate::architecture::{Activations, Widths, layers};
use crate::data::{Dataset, Standardizer, stratified_subset};
use crate::error::LabError;
use crate::figures::{Mark, Plot, Series};
use crate::tasks::{self, TaskOptions};
use crate::weights::Weights;

#[derive(Serialize)]
struct Settings {
    /// Tasks with as many samples.
    tasks: Vec<(&'static str, usize)>,
    /// Hidden layers of [`WIDTH`] units.
    depths: Vec<usize>,
    /// Units of each of [`DEPTH`] hidden layers.
    widths: Vec<usize>,
    seeds: usize,
    /// Steps of plain gradient descent on the whole batch, and their rate.
    steps: usize,
    rate: f64,
    /// The training losses at whose first crossing a network is looked at.
    losses: [f64; 2],
}

/// The units of a hidden layer where the depth is what differs, and the hidden layers where the width is.
const WIDTH: usize = 8;
const DEPTH: usize = 2;

/// The parameters from which λ_sup is ‖H‖_F in all but name, and how near.
const MANY: usize = 100;
const NEAR: f64 = 0.04;

/// The most by which tightness may grow from the shallowest or narrowest to the deepest or widest network.
const GROWTH: f64 = 1.5;

pub(super) fn plan(extent: Extent) -> Plan {
    let settings = Settings {
        tasks: vec![("gaussians", 60), ("wine", 120), ("digits", 200)],
        depths: extent.pick(vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4, 5], vec![1, 2]),
        widths: extent.pick(vec![4, 8, 16, 32], vec![4, 8, 16], vec![4, 8]),
        seeds: extent.pick(5, 3, 1),
        steps: extent.pick(4000, 3000, 5),
        rate: 0.2,
        losses: [0.4, 0.15],
    };
    let units = settings.tasks.len() * settings.seeds;
    Plan::new(settings, extent.pick(6.0, 3.0, 0.05) * units as f64, run)
}

/// A network at one moment.
#[derive(Clone, Serialize, Deserialize)]
struct Look {
    task: String,
    hidden: Vec<usize>,
    /// Of the start: none; else the training loss that was crossed.
    crossed: Option<f64>,
    parameters: usize,
    loss: f64,
    lambda_max: f64,
    lambda_sup: f64,
    norm: f64,
}

impl Look {
    fn tightness(&self) -> f64 {
        self.lambda_sup / self.lambda_max
    }
}

fn run(settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let shapes: Vec<Vec<usize>> = settings
        .depths
        .iter()
        .map(|&depth| vec![WIDTH; depth])
        .chain(settings.widths.iter().map(|&width| vec![width; DEPTH]))
        .collect();
    let tasks = settings.tasks.len();
    let units = tasks * settings.seeds * shapes.len();
    let found = context.map("networks", 1.0, units, |i| {
        let (task, i) = (i % tasks, i / tasks);
        let (hidden, seed) = (&shapes[i % shapes.len()], i / shapes.len());
        train(settings, task, hidden, context.seed + seed as u64)
    })?;
    // One network is in both series.
    let mut looks: Vec<Look> = Vec::new();
    for look in found.into_iter().flatten() {
        let same = |other: &Look| {
            (&other.task, &other.hidden, other.crossed, other.lambda_sup)
                == (&look.task, &look.hidden, look.crossed, look.lambda_sup)
        };
        if !looks.iter().any(same) {
            looks.push(look);
        }
    }
    report(settings, &looks)
}

/// The data of a task, standardised.
fn data(task: &str, samples: usize, seed: u64) -> Result<Dataset, LabError> {
    let options = TaskOptions::with(|it| it.samples = (task == "gaussians").then_some(samples));
    let all = tasks::load(task, &options, seed)?;
    let samples = samples.min(all.samples());
    let mut part = all.subset(&stratified_subset(
        &all.labels,
        all.classes(),
        samples,
        seed,
    ));
    Standardizer::fit(&part).apply(&mut part)?;
    Ok(part)
}

/// Plain gradient descent, with a look at the start and where the training loss first crosses each of the losses.
fn train(
    settings: &Settings,
    task: usize,
    hidden: &[usize],
    seed: u64,
) -> Result<Vec<Look>, LabError> {
    let (task, samples) = settings.tasks[task];
    let data = data(task, samples, seed)?;
    let widths = Widths::from(hidden.to_vec());
    let tanh = Activations::from(Activation::Tanh);
    let Weights { layers, mut theta } = Weights::random(
        layers(data.inputs, &widths, data.classes(), &tanh, false)?,
        seed,
    );
    let batch = Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &data.features,
        Targets::Classes(&data.labels),
    );
    // Experiments share the cores among their units.
    let mut workspace = DeepWorkspace::new().with_threads(NonZeroUsize::MIN);
    let mut gradient = vec![0.0; theta.len()];
    let mut looks = Vec::new();
    let mut left = settings.losses.iter();
    let mut next = left.next();
    for step in 0..=settings.steps {
        let network = FeedForward::from_flat(&layers, &theta)?;
        let loss = workspace.loss_gradient(&network, &batch, &mut gradient, None)?;
        if step == 0 {
            let of = (task, hidden, None);
            looks.push(look(&mut workspace, &layers, &theta, &batch, of)?);
        }
        while let Some(&crossed) = next.filter(|&&crossed| loss <= crossed) {
            let of = (task, hidden, Some(crossed));
            looks.push(look(&mut workspace, &layers, &theta, &batch, of)?);
            next = left.next();
        }
        if next.is_none() {
            break;
        }
        for (t, g) in theta.iter_mut().zip(&gradient) {
            *t -= settings.rate * g;
        }
    }
    Ok(looks)
}

/// λ_max by Lanczos, λ_sup and ‖H‖_F in closed form.
fn look(
    workspace: &mut DeepWorkspace<f64>,
    layers: &[LayerShape],
    theta: &[f64],
    batch: &Batch<f64>,
    (task, hidden, crossed): (&str, &[usize], Option<f64>),
) -> Result<Look, LabError> {
    let network = FeedForward::from_flat(layers, theta)?;
    let loss = workspace.loss(&network, batch)?;
    let bounds = workspace.bounds(&network, batch, &DeepEvaluation::Auto)?;
    let mut operator = workspace.linearize(&network, batch)?;
    let options = LanczosOptions {
        iterations: 300,
        tolerance: 1e-9,
        seed: 0,
    };
    let apply = |v: &[f64], product: &mut [f64]| operator.apply(v, product);
    let ends = extremes(network.parameters(), apply, &options)?;
    Ok(Look {
        task: task.to_owned(),
        hidden: hidden.to_vec(),
        crossed,
        parameters: network.parameters(),
        loss,
        lambda_max: ends.largest,
        lambda_sup: bounds.whole.lambda_sup,
        norm: bounds.whole.moments.frobenius_squared.sqrt(),
    })
}

/// What differs from network to network.
struct Axis<'a> {
    title: &'static str,
    x: &'static str,
    /// The network at the upper end.
    end: &'static str,
    sizes: &'a [usize],
    /// The hidden layers of a size.
    hidden: fn(usize) -> Vec<usize>,
}

fn report(settings: &Settings, looks: &[Look]) -> Result<Finding, LabError> {
    let mut table = Table::new("task,hidden,parameters,crossed,loss,lambda_max,lambda_sup,norm");
    for it in looks {
        let hidden = Widths::from(it.hidden.clone())
            .to_string()
            .replace(',', "-");
        let crossed = it.crossed.map_or_else(String::new, |loss| loss.to_string());
        let numbers = [it.loss, it.lambda_max, it.lambda_sup, it.norm];
        let [loss, top, bound, norm] = &numbers;
        table.row(&[
            &it.task,
            &hidden,
            &it.parameters,
            &crossed,
            loss,
            top,
            bound,
            norm,
        ]);
    }
    let medians = |task: &str, trained: bool, axis: &Axis| {
        let of = |&size: &usize| {
            let hidden = (axis.hidden)(size);
            let looks = looks.iter().filter(|it| {
                it.task == task && it.hidden == hidden && it.crossed.is_some() == trained
            });
            let values: Vec<f64> = looks.map(Look::tightness).collect();
            (!values.is_empty()).then(|| [size as f64, median(&values)])
        };
        axis.sizes.iter().filter_map(of).collect::<Vec<[f64; 2]>>()
    };
    let (mut plots, mut claims) = (Vec::new(), Vec::new());
    let axes = [
        Axis {
            title: "over depth",
            x: "hidden layers of 8 units",
            end: "deepest",
            sizes: &settings.depths,
            hidden: |depth| vec![WIDTH; depth],
        },
        Axis {
            title: "over width",
            x: "units of each of 2 hidden layers",
            end: "widest",
            sizes: &settings.widths,
            hidden: |width| vec![width; DEPTH],
        },
    ];
    for axis in &axes {
        let end = axis.end;
        let mut series = Vec::new();
        let mut worst: f64 = f64::NAN;
        for &(task, _) in &settings.tasks {
            let trained = medians(task, true, axis);
            if let [first, .., last] = trained[..] {
                worst = worst.max(last[1] / first[1]);
            }
            series.push(Series::new(task, Mark::Marked, trained));
        }
        for &(task, _) in &settings.tasks {
            let start = medians(task, false, axis);
            let name = format!("{task}, at the start");
            series.push(Series::new(name, Mark::Dashed, start));
        }
        plots.push(Plot {
            reach: vec![[axis.sizes[0] as f64, 1.0]],
            ..plot(axis.title, axis.x, "λ_sup/λ_max", series)
        });
        claims.push(Claim::at_most(
            format!(
                "trained, the {end} network's λ_sup/λ_max is at most {worst:.2} times that of the other end (at most {GROWTH})"
            ),
            worst,
            GROWTH,
        ));
    }
    let many: Vec<&Look> = looks.iter().filter(|it| it.parameters >= MANY).collect();
    let apart = |it: &Look| (it.lambda_sup / it.norm - 1.0).abs();
    let worst = many.iter().map(|it| apart(it)).fold(0.0, f64::max);
    claims.push(Claim::at_most(
        format!(
            "λ_sup is within {:.1} % of ‖H‖_F at each of {} states of networks with D ≥ {MANY} (within {:.0} %)",
            100.0 * worst,
            many.len(),
            100.0 * NEAR
        ),
        worst,
        NEAR,
    ));
    let bounded = looks
        .iter()
        .filter(|it| it.lambda_max <= it.lambda_sup * (1.0 + 1e-9))
        .count();
    claims.push(Claim::of_all(
        format!("λ_max ≤ λ_sup at {bounded} of {} states", looks.len()),
        bounded,
        looks.len(),
    ));
    let clouds = settings.tasks.iter().map(|&(task, _)| {
        let of_task = looks.iter().filter(|it| it.task == task);
        let points = of_task.map(|it| [it.parameters as f64, it.lambda_sup / it.norm]);
        Series::new(task, Mark::Dots, points.collect())
    });
    plots.push(Plot {
        x_log: true,
        reach: vec![[MANY as f64, 1.0]],
        ..plot(
            "λ_sup and the norm",
            "parameters D",
            "λ_sup/‖H‖_F",
            clouds.collect(),
        )
    });
    let picture = chart(
        "How tight λ_sup is over depth and width",
        "Medians over seeds and over two training losses; dashed at the start. Right: every network, trained or not.",
        3,
        plots,
    )?;
    let words: Vec<String> = settings
        .tasks
        .iter()
        .map(|(task, samples)| format!("{task} ({samples} samples)"))
        .collect();
    Ok(Finding {
        caption: format!(
            "λ_sup beside λ_max and ‖H‖_F of the cross-entropy's Hessian in tanh networks on {}: at the start, and where plain \
             gradient descent on the whole batch (rate {}, at most {} steps) first brings the training loss to {} and to {}; {} \
             seeds.",
            words.join(", "),
            settings.rate,
            settings.steps,
            settings.losses[0],
            settings.losses[1],
            settings.seeds,
        ),
        claims,
        pictures: vec![("", picture)],
        table,
    })
}
