//! Runs that go on where they were.

use super::*;
use crate::train::rule::Memory;
use crate::train::{ClassWeights, Refinements, Source};
use crate::weights::{Weights, WeightsFile};
use burn_hsr::{ScheduleConfig, Subsample};
use hsr_core::depth::LayerShape;

fn config() -> TrainConfig {
    TrainConfig {
        hidden: 3.into(),
        strength: 0.05.into(),
        epochs: Some(5),
        batch: None,
        ..TrainConfig::new(Source::task("iris"))
    }
}

/// The best epoch, the steps of the schedule and the choice of rows are what an interrupted run must remember.
#[test]
fn early_stopping_and_a_schedule_go_on_where_they_were() {
    let schedule = ScheduleConfig::new()
        .with_warmup_steps(20)
        .with_interval(2)
        .with_stop_after(Some(30));
    let config = TrainConfig {
        epochs: Some(12),
        batch: Some(32),
        learning_rate: 0.5,
        label_noise: 0.3,
        refinements: Refinements {
            schedule,
            subsample: Subsample::Rows(16),
            probes: 2,
            weight_decay: Some(1e-3),
            label_smoothing: 0.1,
            class_weights: Some(ClassWeights::Balanced),
            early_stopping: true,
        },
        ..config()
    };
    check_that_a_cut_run_ends_as_a_whole_one(config);
}

/// A running mean, a direction, an eigenvector, the number of the step that decides the noise.
#[test]
fn what_a_method_of_sams_family_remembers_goes_on_where_it_was() {
    for method in [Method::Fsam, Method::Looksam, Method::EigenSam, Method::Nso] {
        check_that_a_cut_run_ends_as_a_whole_one(TrainConfig {
            method,
            epochs: Some(12),
            batch: Some(32),
            strength: 0.2.into(),
            ..config()
        });
    }
}

fn check_that_a_cut_run_ends_as_a_whole_one(config: TrainConfig) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let run = Run::create(config.clone(), &whole).unwrap();
    run.execute(|_| Control::Continue).unwrap();
    let stop_at = |epoch| {
        move |progress: Progress| match progress.done == epoch {
            true => Control::Stop,
            false => Control::Continue,
        }
    };
    let mut run = Run::create(config, &cut).unwrap();
    for epoch in [7, 16, 21] {
        let stopped = run.execute(stop_at(epoch));
        assert!(matches!(stopped, Err(LabError::Interrupted { .. })));
        run = Run::resume(&cut).unwrap();
    }
    run.execute(|_| Control::Continue).unwrap();
    for file in ["plain.safetensors", "model.safetensors"] {
        let [whole, cut] = [&whole, &cut].map(|run| std::fs::read(run.join(file)).unwrap());
        assert!(whole == cut, "{file}");
    }
}

#[test]
fn a_run_of_another_version_does_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::create(config(), folder.path()).unwrap();
    let mut stored = Stored {
        versions: versions(),
        data_fingerprint: run.problem.fingerprint.clone(),
        config: run.config.clone(),
        network: run.problem.about(&run.config, run.config.method),
        checksum: String::new(),
    };
    drop(run);
    let resume = |stored: &Stored| {
        let (bytes, _) = files::sealed(stored, "");
        std::fs::write(folder.path().join("config.json"), bytes).unwrap();
        Run::resume(folder.path()).map(drop)
    };
    assert!(resume(&stored).is_ok());
    stored
        .versions
        .insert("burn".to_owned(), "0.21.0".to_owned());
    let error = resume(&stored).unwrap_err();
    assert!(error.is_input());
    assert!(
        error
            .to_string()
            .contains("was begun with burn 0.21.0, this is 0.22.1"),
        "{error}"
    );
}

/// Whole and of the right configuration, a checkpoint may still come from a program that was wrong.
#[test]
fn a_checkpoint_that_the_run_never_had_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::create(config(), folder.path()).unwrap();
    let (plain, hsr, sam) = (Method::Plain, Method::Hsr, Method::Sam);
    for (method, epoch, done, rows, hidden, fits) in [
        (plain, 2, &[][..], 2, 3, true),
        (plain, 5, &[plain], 5, 3, true),
        (hsr, 1, &[plain], 6, 3, true),
        (hsr, 5, &[plain, hsr], 10, 3, true),
        (plain, 1_000_000_000, &[], 1_000_000_000 % 7, 3, false),
        (plain, 5, &[], 5, 3, false),
        (plain, 2, &[plain], 2, 3, false),
        (hsr, 1, &[], 6, 3, false),
        (hsr, 1, &[hsr], 6, 3, false),
        (hsr, 1, &[plain], 5, 3, false),
        (sam, 1, &[plain], 6, 3, false),
        (plain, 2, &[], 2, 4, false),
    ] {
        let row = Row {
            network: String::new(),
            epoch: 0,
            train_loss: 0.0,
            train_accuracy: 0.0,
            test_accuracy: 0.0,
            test_macro_f1: 0.0,
            lambda_sup: None,
            grad_norm: None,
            seconds: 0.0,
        };
        let finished = |&method: &Method| Finished {
            method,
            steps: 5,
            seconds: 0.0,
            model: String::new(),
        };
        let layers = vec![LayerShape::new(4, hidden), LayerShape::new(hidden, 3)];
        run.checkpoint = Some(checkpoint::Checkpoint {
            state: State {
                config: run.checksum.clone(),
                method,
                epoch,
                steps: epoch,
                seconds: 0.0,
                rows: vec![row; rows],
                finished: done.iter().map(finished).collect(),
                best: None,
                memory: Memory::default(),
            },
            weights: WeightsFile::from_bytes(
                Path::new("checkpoint"),
                Weights::random(layers, 0).to_safetensors(None),
            ),
            optimizer: Vec::new(),
            best: None,
        });
        let context = format!("{method:?} {epoch} {done:?} {rows} {hidden}");
        match run.check_checkpoint() {
            Ok(()) => assert!(fits, "{context}"),
            Err(error) => assert!(!fits && error.is_input(), "{context}: {error}"),
        }
    }
}
