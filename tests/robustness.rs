//! The `hsr` command when things go wrong beside it: several processes in one directory, kills at any moment, files that
//! were edited or damaged, streams that cannot be written, threads that are refused.

mod claims;
mod kills;
mod outside;
mod sealed;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hsr_lab::NetworkKind;
use hsr_lab::burn_hsr::{Activation, Backend, Mode};
use hsr_lab::memory::MemoryLimit;
use hsr_lab::tasks::TaskOptions;
use hsr_lab::train::{Method, Optimizer, Source, TrainConfig};
use serde_json::Value;

/// The program, see `program.rs`.
fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_hsr-under-test"))
}

/// The program in a folder, its streams in pipes.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn hsr(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments)
        .output()
        .expect("the program starts")
}

/// A shell in a folder, with the program as `$HSR`.
#[cfg(unix)]
fn shell(folder: &Path, script: &str) -> Output {
    Command::new("bash")
        .args(["-c", script])
        .env("HSR", program())
        .current_dir(folder)
        .output()
        .expect("bash starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Asserts that the program gave up on purpose: code 2, and one line on standard error that holds every fragment.
fn refused(output: &Output, fragments: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    for fragment in fragments {
        assert!(error.contains(fragment), "{fragment:?} in {error:?}");
    }
}

/// Asserts that the program did what it was asked to.
fn done(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The names in a directory, hidden ones too.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A directory with its directories copied.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// A run of a moment.
const SMALL: [&str; 7] = ["train", "--task", "moons", "--hidden", "2", "--epochs", "2"];

/// The same as a configuration, with a number of epochs.
fn small(epochs: usize) -> TrainConfig {
    TrainConfig {
        source: Source::Task {
            name: "moons".to_owned(),
            options: TaskOptions {
                samples: Some(40),
                ..TaskOptions::default()
            },
        },
        method: Method::Hsr,
        backend: Backend::Flex.into(),
        optimizer: Optimizer::Adam,
        learning_rate: 0.02,
        network: NetworkKind::Mlp,
        hidden: 2.into(),
        activation: Activation::Tanh.into(),
        residual: false,
        strength: 0.05.into(),
        mode: Mode::Coupled,
        epochs: Some(epochs),
        batch: Some(16),
        test_fraction: 0.25,
        seed: 3,
        train_samples: None,
        label_noise: 0.1,
        refinements: Default::default(),
        memory: MemoryLimit::default(),
    }
}
