//! Files that are read back: a bit that flipped, a value that was edited, a file of another run. Each is refused, or the
//! result is what it would have been.

use std::collections::BTreeMap;
use std::num::NonZero;

use hsr_lab::LabError;
use hsr_lab::compare::{Budget, CompareConfig, Comparison, Contender};
use hsr_lab::reproduce::{Experiment, Extent, Outcome, ReproduceOptions, reproduce};
use hsr_lab::train::{Control, NetworkSummary, Run, SavedRun};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::*;

/// A run that was stopped while its second network was trained.
fn interrupted(directory: &Path) {
    let run = Run::create(small(8), directory).unwrap();
    let result = run.execute(|progress| match progress.done {
        12 => Control::Stop,
        _ => Control::Continue,
    });
    assert!(matches!(result, Err(LabError::Interrupted { .. })));
}

/// The networks of a run that is resumed, without their times.
fn resumed(directory: &Path) -> Result<BTreeMap<String, NetworkSummary>, LabError> {
    let summary = Run::resume(directory)?.execute(|_| Control::Continue)?;
    let networks = summary.networks.into_iter();
    let untimed = networks.map(|(name, it)| {
        let seconds_per_step = 0.0;
        (
            name,
            NetworkSummary {
                seconds_per_step,
                ..it
            },
        )
    });
    Ok(untimed.collect())
}

/// Bits of a file, evenly spread over it and over the places in a byte.
fn bits(bytes: &[u8], count: usize) -> impl Iterator<Item = usize> + use<> {
    let all = 8 * bytes.len();
    // Odd, so that every place in a byte is met.
    let step = (all / count).max(1) | 1;
    (0..all).step_by(step)
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// A refusal that a user reads: one line, laid at the input's door, and no answer of a library that was given nonsense.
fn check(error: &LabError, context: &str) {
    let message = error.to_string();
    assert!(error.is_input(), "{context}: {message}");
    assert!(
        matches!(error, LabError::Run { .. } | LabError::Weights { .. }),
        "{context}: {error:?}"
    );
    assert!(!message.contains('\n'), "{context}: {message}");
}

#[test]
fn a_flipped_bit_in_what_a_run_goes_on_from_changes_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    interrupted(&saved);
    let whole = folder.path().join("whole");
    copy(&saved, &whole);
    let expected = resumed(&whole).unwrap();
    let run = folder.path().join("run");
    copy(&saved, &run);
    let mut harmless = 0;
    for (file, count) in [
        ("config.json", 250),
        ("checkpoint.safetensors", 500),
        ("plain.safetensors", 100),
    ] {
        let bytes = std::fs::read(saved.join(file)).unwrap();
        for bit in bits(&bytes, count) {
            std::fs::write(run.join(file), flipped(&bytes, bit)).unwrap();
            match resumed(&run) {
                Err(error) => check(&error, &format!("{file}, bit {bit}")),
                Ok(found) => {
                    assert_eq!(found, expected, "{file}, bit {bit}");
                    harmless += 1;
                    // It went on to its end, the others shall not begin there.
                    std::fs::remove_dir_all(&run).unwrap();
                    copy(&saved, &run);
                }
            }
        }
        std::fs::write(run.join(file), &bytes).unwrap();
    }
    assert!(harmless < 40, "{harmless} flips were not noticed");
}

#[test]
fn a_flipped_bit_in_a_trained_network_changes_no_measure() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    Run::create(small(8), &run)
        .unwrap()
        .execute(|_| Control::Continue)
        .unwrap();
    let saved = SavedRun::open(&run).unwrap();
    for (network, file) in [("hsr", "model.safetensors"), ("plain", "plain.safetensors")] {
        let (_, expected) = saved.weights(Some(network)).unwrap();
        let bytes = std::fs::read(run.join(file)).unwrap();
        for bit in bits(&bytes, 400) {
            std::fs::write(run.join(file), flipped(&bytes, bit)).unwrap();
            match saved.weights(Some(network)) {
                Err(error) => check(&error, &format!("{file}, bit {bit}")),
                Ok((_, found)) => assert_eq!(found, expected, "{file}, bit {bit}"),
            }
        }
        std::fs::write(run.join(file), &bytes).unwrap();
    }
    refuse_flip(&run.join("model.safetensors"), || {
        hsr(
            folder.path(),
            &["spectrum", "--run", "run", "--out", "never"],
        )
    });
    assert!(!folder.path().join("never").exists());
}

/// Flips a bit near the end of a file and asserts that the command is refused with the file's name.
fn refuse_flip(path: &Path, command: impl FnOnce() -> Output) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, flipped(&bytes, 8 * bytes.len() - 99)).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    refused(&command(), &[name, "checksum"]);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_a_comparison_changes_no_test() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("compared");
    let config = CompareConfig {
        methods: vec![Contender::new(Method::Plain), Contender::new(Method::Hsr)],
        seeds: 2,
        tune: None,
        budget: Budget::Epochs,
        training: small(3),
    };
    let open = || Comparison::open(config.clone(), &directory);
    open().unwrap().execute(2, |_| Control::Continue).unwrap();
    for (file, count) in [("compare.json", 200), ("runs/hsr-4.json", 400)] {
        let path = directory.join(file);
        let bytes = std::fs::read(&path).unwrap();
        for bit in bits(&bytes, count) {
            std::fs::write(&path, flipped(&bytes, bit)).unwrap();
            let Err(error) = open().map(drop) else {
                panic!("{file}, bit {bit} was not noticed");
            };
            check(&error, &format!("{file}, bit {bit}"));
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    // A record of the same method and seed, but of another comparison.
    let other = folder.path().join("other");
    let longer = CompareConfig {
        training: small(4),
        ..config.clone()
    };
    let comparison = Comparison::open(longer, &other).unwrap();
    comparison.execute(2, |_| Control::Continue).unwrap();
    std::fs::copy(
        other.join("runs/hsr-4.json"),
        directory.join("runs/hsr-4.json"),
    )
    .unwrap();
    let error = open().map(drop).unwrap_err().to_string();
    assert!(
        error.contains("belongs elsewhere") && error.contains("delete it"),
        "{error}"
    );
    // Deleted, it is done again.
    std::fs::remove_file(directory.join("runs/hsr-4.json")).unwrap();
    assert_eq!(open().unwrap().pending(), 1);
}

#[test]
fn a_flipped_bit_in_a_reproduction_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = ReproduceOptions {
        experiments: vec![Experiment::Fig3],
        out: folder.path().join("paper"),
        extent: Extent::Tiny,
        jobs: NonZero::<usize>::MIN,
        seed: 0,
    };
    let run = || {
        let outcome = reproduce(&options, &|_| Control::Continue)
            .unwrap()
            .outcomes
            .remove(0);
        Outcome {
            seconds: 0.0,
            ..outcome
        }
    };
    let expected = run();
    let files = ["fig3.svg", "fig3.csv", "fig3.json"].map(|name| options.out.join(name));
    let whole = files.clone().map(|path| std::fs::read(path).unwrap());
    for (path, bytes) in files.iter().zip(&whole) {
        for bit in bits(bytes, 3) {
            std::fs::write(path, flipped(bytes, bit)).unwrap();
            assert_eq!(run(), expected, "{}, bit {bit}", path.display());
        }
    }
    // All but the JSON, which holds the time, is the same again.
    for (path, bytes) in files.iter().zip(&whole).take(2) {
        assert_eq!(&std::fs::read(path).unwrap(), bytes);
    }
}

#[test]
fn an_edited_configuration_is_refused_by_all_who_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    interrupted(&run);
    let path = run.join("config.json");
    let before = std::fs::read_to_string(&path).unwrap();
    let edits: [(&str, Value); 13] = [
        ("hidden", 3.into()),
        ("activation", "relu".into()),
        ("optimizer", "sgd".into()),
        ("batch", 8.into()),
        ("learning_rate", 0.3.into()),
        ("strength", 0.5.into()),
        ("label_noise", 0.0.into()),
        ("test_fraction", 0.5.into()),
        ("seed", 4.into()),
        ("method", "sam".into()),
        ("mode", "direction".into()),
        ("epochs", 1_000_000_000.into()),
        ("train_samples", 20.into()),
    ];
    for (field, value) in edits {
        let mut stored: Value = serde_json::from_str(&before).unwrap();
        assert_ne!(stored["config"][field], value, "{field}");
        stored["config"][field] = value;
        // As an editor would save it, in the form of the program and in another.
        let pretty = serde_json::to_string_pretty(&stored).unwrap() + "\n";
        for edited in [pretty, stored.to_string()] {
            std::fs::write(&path, edited).unwrap();
            for arguments in [
                &["train", "--resume", "run"][..],
                &["spectrum", "--run", "run"],
            ] {
                refused(
                    &hsr(folder.path(), arguments),
                    &["run/config.json", "checksum"],
                );
            }
        }
    }
    std::fs::write(&path, before).unwrap();
    done(&hsr(folder.path(), &["train", "--resume", "run"]));
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [run, wider, longer] = ["run", "wider", "longer"].map(|it| folder.path().join(it));
    interrupted(&run);
    let configs = [
        (
            &wider,
            TrainConfig {
                hidden: 3.into(),
                ..small(8)
            },
        ),
        (
            &longer,
            TrainConfig {
                epochs: Some(9),
                ..small(8)
            },
        ),
    ];
    for (directory, config) in configs {
        let other = Run::create(config, directory).unwrap();
        let stopped = other.execute(|it| match it.done {
            3 => Control::Stop,
            _ => Control::Continue,
        });
        assert!(stopped.is_err());
        let name = "checkpoint.safetensors";
        std::fs::copy(directory.join(name), run.join(name)).unwrap();
        refused(
            &hsr(folder.path(), &["train", "--resume", "run"]),
            &["run/checkpoint.safetensors", "another configuration"],
        );
        // The other way round, a configuration that is whole and not that of the checkpoint.
        let swapped = folder.path().join("swapped");
        copy(&run, &swapped);
        std::fs::copy(run.join("config.json"), directory.join("config.json")).unwrap();
        let directory = directory.file_name().unwrap().to_str().unwrap();
        refused(
            &hsr(folder.path(), &["train", "--resume", directory]),
            &["checkpoint.safetensors", "another configuration"],
        );
        std::fs::remove_dir_all(swapped).unwrap();
    }
}

#[test]
fn an_edited_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    interrupted(&run);
    let path = run.join("checkpoint.safetensors");
    let before = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&before).unwrap();
    let state = str::from_utf8(tensors.tensor("state").unwrap().data()).unwrap();
    for (from, to) in [
        ("\"epoch\":4,\"steps\"", "\"epoch\":1000000000,\"steps\""),
        ("\"method\":\"hsr\"", "\"method\":\"plain\""),
        ("\"steps\":", "\"steps\":1"),
        ("\"finished\":[{", "\"more\":[],\"finished\":[{"),
    ] {
        assert!(state.contains(from), "{from} in {state}");
        let edited = state.replacen(from, to, 1);
        let edited = edited.as_bytes();
        let edited = TensorView::new(Dtype::U8, vec![edited.len()], edited).unwrap();
        let all = tensors.tensors().into_iter();
        let all = all.map(|(name, view)| match &*name {
            "state" => (name, edited.clone()),
            _ => (name, view),
        });
        let bytes = safetensors::serialize(all, None).unwrap();
        std::fs::write(&path, bytes).unwrap();
        refused(
            &hsr(folder.path(), &["train", "--resume", "run"]),
            &["run/checkpoint.safetensors", "checksum"],
        );
    }
    // Without its checksum, as an older version would have left it.
    let rest = tensors
        .tensors()
        .into_iter()
        .filter(|(name, _)| name != "checksum");
    std::fs::write(&path, safetensors::serialize(rest, None).unwrap()).unwrap();
    refused(
        &hsr(folder.path(), &["train", "--resume", "run"]),
        &["run/checkpoint.safetensors", "no checksum"],
    );
    for nonsense in [&b""[..], b"{}", &before[..before.len() / 2]] {
        std::fs::write(&path, nonsense).unwrap();
        refused(
            &hsr(folder.path(), &["train", "--resume", "run"]),
            &["run/checkpoint.safetensors", "is not a checkpoint"],
        );
    }
}
