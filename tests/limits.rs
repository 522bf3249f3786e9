//! Limits on memory as the command keeps them: refused in one line before anything is taken or written.

use std::fmt::Write;

use crate::{hsr, refused};

#[test]
fn what_does_not_fit_the_memory_is_refused_in_one_line_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let of_train = ["train", "--task", "moons", "--epochs", "1", "--out", "run"];
    let of_compare = [
        "compare", "--task", "moons", "--epochs", "1", "--out", "run",
    ];
    for command in [of_train, of_compare] {
        for (options, message) in [
            (&["--memory", "10KiB"][..], "of memory, the limit is"),
            (
                &["--hidden", "1000000", "--memory", "50MiB"],
                "of memory, the limit is",
            ),
            (&["--hidden", "4294967296"], "expected 1 to 1000000"),
            (
                &["--hidden", "18446744073709551615"],
                "expected 1 to 1000000",
            ),
        ] {
            let output = hsr(folder.path(), &[&command[..], options].concat());
            refused(&output, &[message]);
            assert!(!folder.path().join("run").exists());
        }
    }
    for text in ["much", "0", "-1GiB", "2 parsecs"] {
        let option = format!("--memory={text}");
        let output = hsr(folder.path(), &[&of_train[..], &[&option]].concat());
        refused(&output, &["--memory", "2GiB"]);
    }
}

#[test]
fn many_classes_are_refused_or_computed_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = "a,y\n".to_owned();
    for i in 0..4000 {
        let _ = writeln!(csv, "{},{}", (i * 37) % 101, i % 2000);
    }
    std::fs::write(folder.path().join("many.csv"), csv).unwrap();
    // N·K² would be 96 GB.
    let arguments = "train --data many.csv --label y --hidden 4 --epochs 1 --out run --memory 50MB";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = hsr(folder.path(), &arguments);
    refused(&output, &["2000 outputs", "the limit is 47.7 MiB"]);
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_saved_run_is_measured_under_a_limit_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let train = "train --task moons --hidden 2 --epochs 1 --method plain --out run --quiet";
    let trained = hsr(folder.path(), &train.split(' ').collect::<Vec<_>>());
    assert!(trained.status.success());
    for command in ["spectrum", "landscape"] {
        let output = hsr(folder.path(), &[command, "--run", "run", "--memory", "100"]);
        refused(&output, &["of memory, the limit is 100 bytes"]);
        let output = hsr(
            folder.path(),
            &[command, "--run", "run", "--memory", "1GiB"],
        );
        assert!(output.status.success(), "{command}");
    }
    std::fs::write(
        folder.path().join("d.csv"),
        "x,y,class\n1,2,upper\n2,1,lower\n0,1,upper\n",
    )
    .unwrap();
    let inspect = "inspect --weights run/model.safetensors --data d.csv --label class";
    let inspect: Vec<&str> = inspect.split(' ').collect();
    let output = hsr(
        folder.path(),
        &[&inspect[..], &["--memory", "100"]].concat(),
    );
    refused(&output, &["of memory, the limit is 100 bytes"]);
    let output = hsr(
        folder.path(),
        &[&inspect[..], &["--memory", "1MiB"]].concat(),
    );
    assert!(output.status.success());
}
