//! Several processes that want one directory: each has one to itself or is told that it has not.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::{Duration, Instant};

use hsr_lab::LabError;
use hsr_lab::compare::{Budget, CompareConfig, Comparison, Contender};
use hsr_lab::train::{Control, Run, SavedRun};

use super::*;

/// Starts all at once and waits for all.
fn at_once(folder: &Path, all: &[Vec<&str>]) -> Vec<Output> {
    let children: Vec<Child> = all
        .iter()
        .map(|arguments| command(folder, arguments).spawn().unwrap())
        .collect();
    let outputs = children
        .into_iter()
        .map(|it| it.wait_with_output().unwrap());
    outputs.collect()
}

/// Whether an output is that of the program which got the directory; the others must have been told why not.
fn won(output: &Output) -> bool {
    if output.status.success() {
        return true;
    }
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.contains("another hsr is writing here") || error.contains("is not empty"),
        "{error}"
    );
    false
}

fn seeds_of(run: &Path) -> [Value; 2] {
    [
        json(&run.join("config.json"))["config"]["seed"].clone(),
        json(&run.join("summary.json"))["seed"].clone(),
    ]
}

#[test]
fn trainings_without_a_directory_of_their_own_get_one_each() {
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let all = ["0", "1", "2", "3"].map(|seed| [&SMALL[..], &["--seed", seed, "-q"]].concat());
        let mut told = BTreeSet::new();
        for output in at_once(folder.path(), &all) {
            done(&output);
            told.insert(text(&output.stdout).trim().to_owned());
        }
        let expected = ["", "-2", "-3", "-4"].map(|number| format!("runs/moons-hsr{number}"));
        assert_eq!(told, BTreeSet::from(expected));
        let mut seeds = BTreeSet::new();
        for run in told {
            let [config, summary] = seeds_of(&folder.path().join(run));
            assert_eq!(config, summary);
            seeds.insert(config.as_u64());
        }
        assert_eq!(seeds.len(), 4);
    }
}

#[test]
fn of_trainings_with_the_same_directory_one_has_it() {
    for round in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        // There already or not, alone or below others.
        let out = ["out", "a/b/out"][round % 2];
        if round > 1 {
            std::fs::create_dir_all(folder.path().join(out)).unwrap();
        }
        let all =
            ["0", "1", "2"].map(|seed| [&SMALL[..], &["--seed", seed, "--out", out]].concat());
        let outputs = at_once(folder.path(), &all);
        let winners: Vec<usize> = (0..3).filter(|&i| won(&outputs[i])).collect();
        assert_eq!(winners.len(), 1);
        let run = folder.path().join(out);
        let seed = Value::from(winners[0]);
        assert_eq!(seeds_of(&run), [seed.clone(), seed]);
        assert!(names(&run).iter().all(|name| !name.starts_with('.')));
    }
}

#[test]
fn of_different_commands_in_the_same_directory_one_has_it() {
    let folder = tempfile::tempdir().unwrap();
    for out in ["first", "second"] {
        let compare = [
            "compare", "--task", "moons", "--hidden", "2", "--epochs", "2",
        ];
        let all = [
            [&SMALL[..], &["--out", out]].concat(),
            [&compare[..], &["--seeds", "2", "--out", out]].concat(),
            [&compare[..], &["--seeds", "3", "--out", out]].concat(),
        ];
        let outputs = at_once(folder.path(), &all);
        let winners = outputs.iter().filter(|output| {
            // The second comparison may also have come when the first was over.
            text(&output.stderr).contains("was begun with") || won(output)
        });
        let winners = winners.filter(|it| it.status.success()).count();
        assert_eq!(winners, 1);
        let run = folder.path().join(out);
        assert!(run.join("config.json").exists() != run.join("compare.json").exists());
    }
}

#[test]
fn a_directory_in_use_is_refused_for_everything_that_writes_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (run, compared) = (folder.path().join("run"), folder.path().join("compared"));
    let busy = |result: Result<(), LabError>| {
        let error = result.unwrap_err();
        assert!(error.is_input());
        let error = error.to_string();
        assert!(error.contains("another hsr is writing here"), "{error}");
    };
    let first = Run::create(small(2), &run).unwrap();
    busy(Run::create(small(2), &run).map(drop));
    busy(Run::resume(&run).map(drop));
    refused(
        &hsr(folder.path(), &["train", "--resume", "run"]),
        &["run: another hsr is writing here"],
    );
    refused(
        &hsr(folder.path(), &["reproduce", "fig3", "--out", "run"]),
        &["run: another hsr is writing here"],
    );
    first.execute(|_| Control::Continue).unwrap();
    // It is free again, and what reads it or adds files of its own needs no claim to the rest.
    let again = Run::resume(&run).unwrap();
    let saved = SavedRun::open(&run).unwrap();
    assert!(saved.weights(None).is_ok());
    done(&hsr(
        folder.path(),
        &["landscape", "--run", "run", "--size", "3"],
    ));
    drop(again);

    let config = CompareConfig {
        methods: vec![Contender::new(Method::Plain), Contender::new(Method::Hsr)],
        seeds: 1,
        tune: None,
        budget: Budget::Epochs,
        training: small(2),
    };
    let first = Comparison::open(config.clone(), &compared).unwrap();
    busy(Comparison::open(config.clone(), &compared).map(drop));
    drop(first);
    assert!(Comparison::open(config, &compared).is_ok());
}

#[test]
fn of_two_that_resume_a_run_one_goes_on_and_the_result_is_that_of_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    Run::create(small(40), &whole)
        .unwrap()
        .execute(|_| Control::Continue)
        .unwrap();
    for round in 0..2 {
        let name = format!("cut{round}");
        let cut = folder.path().join(&name);
        let stop = |progress: hsr_lab::train::Progress| match progress.done {
            10 | 50 => Control::Stop,
            _ => Control::Continue,
        };
        let run = Run::create(small(40), &cut).unwrap();
        assert!(matches!(
            run.execute(stop),
            Err(LabError::Interrupted { .. })
        ));
        let resume = vec!["train", "--resume", &name];
        let outputs = at_once(folder.path(), &[resume.clone(), resume.clone(), resume]);
        // One after the other is possible too: the later finds the run finished.
        assert!(outputs.iter().filter(|it| won(it)).count() >= 1);
        for file in ["plain.safetensors", "model.safetensors"] {
            let read = |run: &Path| std::fs::read(run.join(file)).unwrap();
            assert_eq!(read(&cut), read(&whole), "{file}");
        }
    }
}

#[test]
fn two_spectra_in_one_directory_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    done(&hsr(
        folder.path(),
        &[&SMALL[..], &["--out", "run"]].concat(),
    ));
    let of = |network: &'static str| {
        vec![
            "spectrum",
            "--run",
            "run",
            "--network",
            network,
            "--out",
            "out",
            "--json",
        ]
    };
    for _ in 0..3 {
        let outputs = at_once(folder.path(), &[of("plain"), of("hsr"), of("plain")]);
        let reports: Vec<Value> = outputs
            .iter()
            .filter(|output| won(output))
            .map(|output| serde_json::from_slice(&output.stdout).unwrap())
            .collect();
        assert!(!reports.is_empty());
        let table = std::fs::read_to_string(folder.path().join("out/spectrum_eigenvalues.csv"));
        let svg = std::fs::read_to_string(folder.path().join("out/spectrum_density.svg")).unwrap();
        let values: Vec<f64> = table
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| line.trim_end_matches(',').parse().unwrap())
            .collect();
        // The files are those of one of them.
        let of_table = reports.iter().find(|report| {
            let known = report["eigenvalues"].as_array().unwrap();
            known
                .iter()
                .map(|v| v.as_f64().unwrap())
                .eq(values.iter().copied())
        });
        let name = of_table.unwrap()["network"].as_str().unwrap();
        assert!(
            svg.contains(&format!(">\n{name}\n")) || svg.contains(name),
            "{name}"
        );
    }
}

/// A process that was killed has no claim: the system gives its lock back.
#[cfg(unix)]
#[test]
fn a_killed_process_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let long = [
        "train", "--task", "moons", "--hidden", "2", "--epochs", "200000", "--out", "run",
    ];
    let mut child = command(folder.path(), &long).spawn().unwrap();
    let started = Instant::now();
    while !run.join("config.json").exists() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    refused(
        &hsr(folder.path(), &["train", "--resume", "run"]),
        &["another hsr is writing here"],
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(run.join(".hsr-lock").exists());
    std::fs::write(run.join(".hsr-AbCdEf"), "half a file").unwrap();
    let resumed = Run::resume(&run).unwrap();
    assert!(!run.join(".hsr-AbCdEf").exists(), "swept on opening");
    drop(resumed);
    refused(
        &hsr(folder.path(), &[&SMALL[..], &["--out", "run"]].concat()),
        &["is not empty", "hsr train --resume run"],
    );
}

#[cfg(unix)]
#[test]
fn results_have_the_mode_that_the_umask_gives() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    for (umask, expected) in [("077", 0o600), ("027", 0o640), ("002", 0o664)] {
        let script = format!(
            "umask {umask} && \"$HSR\" {} --out {umask} -q && \"$HSR\" man --out {umask}-man -q",
            SMALL.join(" ")
        );
        done(&shell(folder.path(), &script));
        for directory in [umask.to_owned(), format!("{umask}-man")] {
            let directory = folder.path().join(directory);
            for name in names(&directory) {
                let mode = directory
                    .join(&name)
                    .metadata()
                    .unwrap()
                    .permissions()
                    .mode();
                assert_eq!(mode & 0o777, expected, "{umask} {name}");
            }
        }
    }
}
