//! The referee's objections: does the gap between λ_sup and λ_1 widen, is a direct penalty better, are saddles left, and
//! is the effect just a higher loss?

mod equal_loss;
mod part;
mod penalties;
mod saddles;
mod tightness;

use self::part::Settings;
use super::context::Context;
use super::descent::Pace;
use super::finding::{Finding, Table};
use super::plan::{Extent, Plan};
use super::points;
use super::race::{self, Race};
use crate::error::LabError;
use crate::train::Method;

pub(super) fn plan(extent: Extent) -> Plan {
    let settings = Settings {
        pace: Pace::USUAL,
        strength: Method::Hsr.fixed_strength(),
        strengths: extent.pick(
            vec![0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
            vec![0.005, 0.02, 0.05, 0.2],
            vec![0.05],
        ),
        // HSR last, so that it is drawn on top.
        penalties: vec![Method::Frobenius, Method::LambdaMax, Method::Hsr],
        seeds: extent.pick(30, 10, 2),
        saddles: extent.pick(400, 120, 4),
        distance: 1e-3,
        drop: 1e-3,
        patience: extent.pick(20_000, 5000, 50),
    };
    let plan = Plan::new(settings, cost(extent), move |settings, context| {
        run(extent, settings, context)
    });
    plan.sharing(race::shared(extent))
        .sharing(points::shared(extent))
}

/// Expected seconds: the comparison of penalties takes nearly all.
fn cost(extent: Extent) -> f64 {
    extent.pick(600.0, 25.0, 0.5)
}

fn run(extent: Extent, settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let race = Race::run(extent, context)?;
    let mut table = Table::new("part,task,what,key,value");
    let parts = [
        tightness::answer(&race, &mut table)?,
        equal_loss::answer(settings, &race, context, &mut table)?,
        penalties::answer(settings, &race, context, &mut table)?,
        saddles::answer(extent, settings, &race, context, &mut table)?,
    ];
    let mut caption = "Four objections of the paper's referee. ".to_owned();
    let (mut claims, mut pictures) = (Vec::new(), Vec::new());
    for part in parts {
        caption += &part.caption;
        caption.push(' ');
        claims.extend(part.claims);
        pictures.push((part.name, part.picture));
    }
    // The first picture is the experiment's own.
    if let Some((name, _)) = pictures.first_mut() {
        *name = "";
    }
    Ok(Finding {
        caption: caption + &race.words(),
        claims,
        pictures,
        table,
    })
}
