//! `hsr reproduce` as a library: what an experiment leaves, and that neither threads nor interruptions change it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use hsr_lab::LabError;
use hsr_lab::reproduce::{
    Experiment, Extent, Observer, Progress, ReproduceOptions, Reproduction, reproduce,
};
use hsr_lab::train::Control;
use serde_json::Value;

fn options(folder: &Path, experiments: &[Experiment], jobs: usize, seed: u64) -> ReproduceOptions {
    ReproduceOptions {
        experiments: experiments.to_vec(),
        out: folder.to_owned(),
        extent: Extent::Tiny,
        jobs: NonZero::new(jobs).unwrap(),
        seed,
    }
}

fn run(options: &ReproduceOptions) -> Reproduction {
    reproduce(options, &|_| Control::Continue).unwrap()
}

/// The tables, without what is times.
fn tables(folder: &Path, experiments: &[Experiment]) -> BTreeMap<Experiment, String> {
    let read = |experiment: &Experiment| {
        let text = std::fs::read_to_string(folder.join(format!("{experiment}.csv"))).unwrap();
        let kept = text
            .lines()
            .filter(|line| !line.starts_with("seconds a step"));
        (*experiment, kept.collect::<Vec<_>>().join("\n"))
    };
    let untimed = experiments.iter().filter(|it| **it != Experiment::Fig2);
    untimed.map(read).collect()
}

#[test]
fn every_experiment_leaves_pictures_numbers_and_claims() {
    let folder = tempfile::tempdir().unwrap();
    let reproduction = run(&options(folder.path(), &Experiment::ALL, 2, 0));
    let names: Vec<&str> = reproduction
        .outcomes
        .iter()
        .map(|outcome| outcome.experiment.name())
        .collect();
    assert_eq!(
        names,
        [
            "fig2", "fig3", "fig5", "fig6", "fig7", "fig9", "fig10", "fig11", "fig12", "fig14",
            "fig15", "referee", "depth"
        ]
    );
    let report = std::fs::read_to_string(&reproduction.report).unwrap();
    for outcome in &reproduction.outcomes {
        let name = outcome.experiment.name();
        assert!(
            !outcome.claims.is_empty() && !outcome.pictures.is_empty(),
            "{name}"
        );
        assert_eq!(outcome.pictures[0], format!("{name}.svg"));
        for picture in &outcome.pictures {
            let svg = std::fs::read_to_string(folder.path().join(picture)).unwrap();
            assert!(svg.contains("</svg>") && !svg.contains("NaN"), "{picture}");
            let png = std::fs::read(folder.path().join(picture.replace(".svg", ".png"))).unwrap();
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{picture}");
        }
        let table = std::fs::read_to_string(folder.path().join(&outcome.table)).unwrap();
        let columns = |line: &str| line.split(',').count();
        let mut lines = table.lines();
        let header = columns(lines.next().unwrap());
        assert!(
            lines.clone().count() > 0 && lines.all(|line| columns(line) == header),
            "{name}"
        );
        // Everything stated in the file is stated in the outcome.
        let json = std::fs::read(folder.path().join(format!("{name}.json"))).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            json["claims"].as_array().unwrap().len(),
            outcome.claims.len()
        );
        assert!(json["settings"]["seed"] == 0 && json["caption"] == outcome.caption.as_str());
        for claim in &outcome.claims {
            assert!(
                !claim.text.contains('\n') && claim.value.is_none_or(f64::is_finite),
                "{claim:?}"
            );
        }
        assert!(report.contains(&format!("{name}: ")), "{name}");
    }
    assert!(report.contains("PASS") && report.matches("<svg").count() >= 12);
    assert!(!report.contains("src=\"http") && !report.contains("href=\"http"));
    // Nothing is left to go on from.
    assert!(!folder.path().join("parts").exists());
}

/// What is claimed of every network, however little is done, must hold.
#[test]
fn theorems_hold_at_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let experiments = [
        Experiment::Fig2,
        Experiment::Fig3,
        Experiment::Fig7,
        Experiment::Fig9,
    ];
    let reproduction = run(&options(folder.path(), &experiments, 2, 11));
    let claims: Vec<_> = reproduction
        .outcomes
        .iter()
        .flat_map(|outcome| &outcome.claims)
        .collect();
    for fragment in ["is the same gradient", "components agree", "λ_1 ≤ λ_sup at"] {
        let mut found = claims
            .iter()
            .filter(|claim| claim.text.contains(fragment))
            .peekable();
        assert!(found.peek().is_some(), "{fragment}");
        assert!(found.all(|claim| claim.holds), "{fragment}");
    }
    // The critical points are critical, different, and bounded, by the table itself.
    let table = std::fs::read_to_string(folder.path().join("fig9.csv")).unwrap();
    let mut rows = table.lines();
    let header: Vec<&str> = rows.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|it| *it == name).unwrap();
    let mut losses = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        let number = |name| cells[column(name)].parse::<f64>().unwrap();
        assert!(number("gradient_norm") <= 1e-10);
        assert!(number("lambda_1") <= number("lambda_sup") * (1.0 + 1e-12));
        let is_minimum = cells[column("kind")] == "minimum";
        assert_eq!(is_minimum, number("negative_eigenvalues") == 0.0);
        // J's eigenvalues are those of L and the weight decay of 0.001.
        assert_eq!(is_minimum, number("lambda_min") > -0.001);
        losses.push(number("loss"));
    }
    assert!(losses.len() > 10, "{}", losses.len());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let experiments = [Experiment::Fig6, Experiment::Fig9, Experiment::Referee];
    let of = |experiments: &[Experiment], jobs, seed| {
        let folder = tempfile::tempdir().unwrap();
        run(&options(folder.path(), experiments, jobs, seed));
        tables(folder.path(), experiments)
    };
    let one = of(&experiments, 1, 5);
    assert_eq!(one, of(&experiments, 3, 5));
    let other = of(&experiments[..1], 1, 6);
    assert_ne!(other[&Experiment::Fig6], one[&Experiment::Fig6]);
}

#[test]
fn an_interrupted_reproduction_goes_on_and_comes_to_the_same() {
    let experiments = [Experiment::Fig6, Experiment::Fig14];
    let whole = tempfile::tempdir().unwrap();
    let total = AtomicUsize::new(0);
    let count: Observer = &|_: Progress| {
        total.fetch_add(1, Ordering::Relaxed);
        Control::Continue
    };
    reproduce(&options(whole.path(), &experiments, 2, 3), count).unwrap();
    let total = total.into_inner();

    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), &experiments, 2, 3);
    let mut interruptions = 0;
    // Stopped again and again, each time a little further on.
    loop {
        let calls = AtomicUsize::new(0);
        let stop: Observer = &|_: Progress| {
            if calls.fetch_add(1, Ordering::Relaxed) < total / 4 {
                Control::Continue
            } else {
                Control::Stop
            }
        };
        match reproduce(&options, stop) {
            Ok(_) => break,
            Err(LabError::Halted { .. }) => interruptions += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(interruptions < 50);
    }
    assert!(interruptions >= 2, "{interruptions}");
    assert_eq!(
        tables(folder.path(), &experiments),
        tables(whole.path(), &experiments)
    );
}

#[test]
fn what_is_there_is_not_done_again_unless_it_was_asked_for_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let experiments = [Experiment::Fig3, Experiment::Fig5];
    let seconds = |reproduction: &Reproduction| -> Vec<f64> {
        reproduction
            .outcomes
            .iter()
            .map(|outcome| outcome.seconds)
            .collect()
    };
    let first = run(&options(folder.path(), &experiments, 1, 0));
    let working: Observer = &|_: Progress| panic!("nothing is to be done");
    let again = reproduce(&options(folder.path(), &experiments, 2, 0), working).unwrap();
    assert_eq!(seconds(&again), seconds(&first));
    // A picture is missing: it is made again.
    std::fs::remove_file(folder.path().join("fig5.png")).unwrap();
    let mended = run(&options(folder.path(), &experiments, 1, 0));
    assert!(folder.path().join("fig5.png").exists());
    assert_eq!(mended.outcomes[0], first.outcomes[0]);
    assert_eq!(mended.outcomes[1].claims, first.outcomes[1].claims);
    // Another seed is another result.
    let other = run(&options(folder.path(), &experiments, 1, 1));
    assert_ne!(other.outcomes[1].claims, first.outcomes[1].claims);
    // The report holds all that is in the directory, also what was not asked for.
    let single = run(&options(folder.path(), &[Experiment::Fig3], 1, 1));
    let report = std::fs::read_to_string(single.report).unwrap();
    assert!(report.contains("fig5: "));
}
