//! Figure 14: macro-F1 of every method, with marks of Wilcoxon tests against plain training.

use super::context::Context;
use super::fig12::{PLACES, against_plain, panel};
use super::finding::{Claim, Finding, Table};
use super::numbers::median;
use super::plan::{Extent, Plan};
use super::race::{self, Race};
use crate::error::LabError;
use crate::figures;
use crate::train::Method;

pub(super) fn plan(extent: Extent) -> Plan {
    Plan::new((), 0.5, move |(), context| run(extent, context)).sharing(race::shared(extent))
}

fn run(extent: Extent, context: &Context) -> Result<Finding, LabError> {
    let race = Race::run(extent, context)?;
    let scenes = race.settings.scenes.len();
    let hsr = race.place(Method::Hsr);
    let mut table = Table::new("place,task,method,pairs,median_macro_f1,plain,p_holm");
    let mut panels = Vec::new();
    let mut claims = Vec::new();
    for place in &PLACES {
        let mut compared = Vec::new();
        for (s, scene) in race.settings.scenes.iter().enumerate() {
            let beside = race.beside_plain(s, &|run| (place.state)(run).map(|it| it.macro_f1));
            for ((method, _), it) in race.settings.methods.iter().zip(&beside) {
                let (pairs, other) = (it.other.len(), median(&it.other));
                let plain = median(&it.plain);
                let (place, task) = (place.name, &scene.task);
                table.row(&[&place, task, method, &pairs, &other, &plain, &it.p]);
            }
            let title = format!("{}, {}", scene.task, place.name);
            panels.push(panel(&race, title, &beside));
            compared.push(beside);
        }
        let (better, words) = against_plain(&race, &compared, false);
        claims.push(Claim::of_all(
            format!(
                "{}: HSR improves macro-F1 on {better} of {scenes} tasks (p < 0.05; medians plain to HSR: {words})",
                place.name
            ),
            better,
            scenes,
        ));
        let (worse, _) = against_plain(&race, &compared, true);
        let pairs: usize = compared.iter().map(|it| it[hsr].other.len()).sum();
        claims.push(Claim::at_most(
            format!(
                "{}: HSR does not worsen macro-F1: it is lower on {worse} of {scenes} tasks (p < 0.05, {pairs} pairs)",
                place.name
            ),
            worse as f64,
            0.0,
        ));
    }
    let picture = figures::distributions(&panels, scenes)?;
    Ok(Finding {
        caption: format!(
            "Macro-F1 on {} test samples of the same distribution: above where training ended, below at the critical point of \
             J that plain training reaches from there. Stars as in figure 12: two-sided Wilcoxon signed-rank tests against plain training, \
             corrected after Holm. {}",
            race.settings.scenes[0].test,
            race.words()
        ),
        claims,
        pictures: vec![("", picture)],
        table,
    })
}
