//! Paths that are no text, numbers that are slips of the finger, streams that cannot be written, threads that are refused,
//! data that never end.

use std::time::{Duration, Instant};

use super::*;

/// A table of two classes.
fn table() -> String {
    let row = |i: u32| format!("{},{},{}\n", i, i * i % 7, i % 2);
    "a,b,y\n".to_owned() + &(1..=24).map(row).collect::<String>()
}

/// The output of a program that must end by itself.
#[cfg(unix)]
fn within(seconds: u64, mut command: Command) -> Output {
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(seconds) {
            child.kill().unwrap();
            panic!("still running after {seconds} s");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_refused_before_anything_is_written() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"x\xff.csv");
    std::fs::write(folder.path().join(name), table()).unwrap();
    for verb in ["train", "compare"] {
        let mut command = command(folder.path(), &[verb, "--label", "y", "--out", "never"]);
        let output = command.arg("--data").arg(name).output().unwrap();
        refused(&output, &["--data", r"$'", r"x\377.csv", "UTF-8"]);
    }
    let directory = std::ffi::OsStr::from_bytes(b"m\xff");
    std::fs::create_dir(folder.path().join(directory)).unwrap();
    let mut command = command(
        folder.path(),
        &["train", "--task", "mnist", "--out", "never"],
    );
    refused(
        &command.arg("--data-dir").arg(directory).output().unwrap(),
        &["--data-dir", r"m\377", "UTF-8"],
    );
    assert!(!folder.path().join("never").exists());
}

/// Where results go is the system's business: such a name works.
#[cfg(unix)]
#[test]
fn a_directory_whose_name_is_no_text_can_hold_results() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"r\xffn");
    let run = |arguments: &[&str], option: &str| {
        let mut command = command(folder.path(), arguments);
        let output = command.arg(option).arg(name).output().unwrap();
        done(&output);
        output
    };
    run(&SMALL, "--out");
    let said = text(&run(&["train"], "--resume").stdout);
    assert!(said.contains(r"hsr spectrum --run $'r\377n'"), "{said}");
    let report = run(&["spectrum", "--json", "--probes", "1"], "--run").stdout;
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["files"].as_array().unwrap().len(), 4);
}

#[test]
fn numbers_that_are_slips_of_the_finger_are_refused_with_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    done(&hsr(
        folder.path(),
        &[&SMALL[..], &["--out", "run"]].concat(),
    ));
    for (arguments, fragments) in [
        (
            &["train", "--hidden", "18446744073709551615"][..],
            ["--hidden", "1 to 1000000"],
        ),
        (
            &["train", "--hidden", "4294967296"],
            ["--hidden", "1 to 1000000"],
        ),
        (
            &["train", "--hidden", "1000001"],
            ["--hidden", "1 to 1000000"],
        ),
        (
            &["compare", "--hidden", "18446744073709551615"],
            ["--hidden", "1 to 1000000"],
        ),
        (
            &["train", "--epochs", "9223372036854775808"],
            ["--epochs", "1 to 10000000"],
        ),
        (
            &["train", "--epochs", "18446744073709551615"],
            ["--epochs", "1 to 10000000"],
        ),
        (&["train", "--epochs", "0"], ["--epochs", "1 to 10000000"]),
        (
            &["compare", "--epochs", "18446744073709551615"],
            ["--epochs", "1 to 10000000"],
        ),
        (&["compare", "--jobs", "10000"], ["--jobs", "1024"]),
        (
            &["compare", "--jobs", "18446744073709551615"],
            ["--jobs", "1024"],
        ),
        (
            &["reproduce", "fig3", "--jobs", "10000"],
            ["--jobs", "1024"],
        ),
        (
            &[
                "spectrum",
                "--run",
                "run",
                "--probes",
                "18446744073709551615",
            ],
            ["--probes", "10000"],
        ),
        (
            &["spectrum", "--run", "run", "--probes", "10001"],
            ["--probes", "10000"],
        ),
    ] {
        let output = hsr(folder.path(), &[arguments, &["--out", "never"]].concat());
        refused(&output, &fragments);
        assert!(!folder.path().join("never").exists(), "{arguments:?}");
    }
    // All eigenvalues that there are.
    let arguments = [
        "spectrum",
        "--run",
        "run",
        "--probes",
        "1",
        "--top",
        "18446744073709551615",
    ];
    done(&hsr(folder.path(), &arguments));
}

#[test]
fn a_network_of_too_many_parameters_is_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let header: Vec<String> = (0..500).map(|i| format!("x{i}")).collect();
    let row = vec!["1"; 500].join(",");
    let rows: String = (0..6).map(|i| format!("{row},{}\n", i % 2)).collect();
    let table = format!("{},y\n{rows}", header.join(","));
    std::fs::write(folder.path().join("wide.csv"), table).unwrap();
    let arguments = [
        "train", "--data", "wide.csv", "--label", "y", "--hidden", "1000000", "--out", "never",
    ];
    refused(
        &hsr(folder.path(), &arguments),
        &[
            "--hidden is 1000000",
            "500 inputs and 2 classes",
            "parameters",
        ],
    );
    assert!(!folder.path().join("never").exists());
}

#[cfg(unix)]
#[test]
fn streams_that_cannot_be_written_make_nothing_panic() {
    if !Path::new("/dev/full").exists() {
        println!("SKIPPED: no /dev/full");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let code = |script: &str| {
        let output = shell(folder.path(), script);
        let error = text(&output.stderr);
        assert!(!error.contains("panicked"), "{script}: {error}");
        output.status.code().unwrap()
    };
    let small = SMALL.join(" ");
    let compare = "compare --task moons --hidden 2 --epochs 2 --seeds 1 --out c";
    // Standard error: nobody reads it, the work is done.
    assert_eq!(code(&format!("\"$HSR\" {compare} 2>/dev/full")), 0);
    assert_eq!(code(&format!("\"$HSR\" {compare} 2>/dev/full")), 0);
    assert_eq!(code(&format!("\"$HSR\" {compare} 2>&-")), 0);
    assert_eq!(code(&format!("\"$HSR\" {small} --out a 2>/dev/full")), 0);
    let piped = format!("{{ \"$HSR\" {compare} 2>&1 >/dev/null; echo $? >code; }} | true");
    assert_eq!(code(&piped), 0);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("code")).unwrap(),
        "0\n"
    );
    assert_eq!(code("\"$HSR\" trian 2>/dev/full"), 2);
    // Standard output: the result is not told, and that is no success.
    for arguments in [
        "help train",
        "--help",
        "train --help",
        "--version",
        "help",
        "",
        "tasks",
        "man",
        "completions bash",
    ] {
        let said = shell(folder.path(), &format!("\"$HSR\" {arguments} >/dev/full"));
        refused(&said, &["standard output", "cannot be written"]);
    }
    // Who stops reading has read enough.
    assert_eq!(
        code("set -o pipefail; \"$HSR\" help train | true; echo ${PIPESTATUS[0]} >code"),
        0
    );
    assert_eq!(
        std::fs::read_to_string(folder.path().join("code")).unwrap(),
        "0\n"
    );
}

/// As a user who may have no more processes, nor threads, than there are.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_system_refuses_are_done_without() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let everyone = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everyone.clone()).unwrap();
    // Where others may run it.
    let copied = folder.path().join("hsr");
    std::fs::copy(program(), &copied).unwrap();
    std::fs::set_permissions(&copied, everyone).unwrap();
    let as_nobody = "setpriv --reuid 65533 --clear-groups";
    if !shell(folder.path(), &format!("{as_nobody} true"))
        .status
        .success()
    {
        println!("SKIPPED: no setpriv, or no right to be another user");
        return;
    }
    let small = SMALL.join(" ");
    for arguments in [
        format!("{small} --out run"),
        "compare --task moons --hidden 2 --epochs 2 --seeds 2 --jobs 2 --out compared".to_owned(),
        "spectrum --run run --probes 1".to_owned(),
        "landscape --run run --size 3".to_owned(),
        "reproduce fig3 --quick --jobs 2 --out paper".to_owned(),
    ] {
        let script = format!("{as_nobody} bash -c 'ulimit -u 1; exec ./hsr {arguments}'");
        let output = shell(folder.path(), &script);
        let error = text(&output.stderr);
        assert!(
            output.status.success(),
            "{arguments}: {:?} {error}",
            output.status
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn data_from_a_pipe_are_read_once_and_devices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("d.csv"), table()).unwrap();
    let options = "--label y --hidden 2 --epochs 2 --seeds 3 --jobs 2 -q --out";
    done(&shell(
        folder.path(),
        &format!("\"$HSR\" compare --data d.csv {options} file"),
    ));
    done(&shell(
        folder.path(),
        &format!("cat d.csv | \"$HSR\" compare --data /dev/stdin {options} stdin"),
    ));
    done(&shell(
        folder.path(),
        &format!(
            "mkfifo d.fifo; cat d.csv >d.fifo & \"$HSR\" compare --data d.fifo {options} fifo"
        ),
    ));
    let statistics =
        |out: &str| std::fs::read(folder.path().join(out).join("statistics.csv")).unwrap();
    assert_eq!(statistics("stdin"), statistics("file"));
    assert_eq!(statistics("fifo"), statistics("file"));
    for device in ["/dev/zero", "/dev/urandom"] {
        for verb in ["train", "compare"] {
            let arguments = [verb, "--data", device, "--label", "y", "--out", "never"];
            let output = within(20, command(folder.path(), &arguments));
            refused(
                &output,
                &[device, "it is a device, expected a file or a pipe"],
            );
        }
        let arguments = [
            "inspect",
            "--weights",
            device,
            "--data",
            "d.csv",
            "--label",
            "y",
            "--activation",
            "tanh",
            "--loss",
            "softmax",
        ];
        let output = within(20, command(folder.path(), &arguments));
        refused(&output, &[device, "it is a device"]);
    }
    assert!(!folder.path().join("never").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_is_heard_while_data_are_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    done(&shell(folder.path(), "mkfifo never.csv"));
    for verb in ["train", "compare"] {
        let arguments = [verb, "--data", "never.csv", "--label", "y", "--out", "out"];
        let child = command(folder.path(), &arguments).spawn().unwrap();
        // Time enough to be waiting; a signal that comes before ends the program too.
        std::thread::sleep(Duration::from_millis(300));
        let signal = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(signal.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert_eq!(error, "error: interrupted before anything was computed\n");
        assert!(!folder.path().join("out").exists());
    }
}

#[cfg(unix)]
#[test]
fn every_seed_sees_the_table_as_it_was_when_the_comparison_began() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("d.csv");
    let options = [
        "compare", "--data", "d.csv", "--label", "y", "--hidden", "2", "--epochs", "40", "--seeds",
        "12", "--jobs", "1",
    ];
    std::fs::write(&data, table()).unwrap();
    done(&hsr(
        folder.path(),
        &[&options[..], &["--out", "whole"]].concat(),
    ));
    let arguments = [&options[..], &["--out", "edited"]].concat();
    let child = command(folder.path(), &arguments).spawn().unwrap();
    let runs = folder.path().join("edited/runs");
    let started = Instant::now();
    while !runs.join("hsr-1.json").exists() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::fs::write(&data, table().replace(",1\n", ",0\n") + "1,1,1\n2,2,1\n").unwrap();
    done(&child.wait_with_output().unwrap());
    let statistics =
        |out: &str| std::fs::read(folder.path().join(out).join("statistics.csv")).unwrap();
    assert_eq!(statistics("edited"), statistics("whole"));
}

#[cfg(unix)]
#[test]
fn hints_and_commands_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("d.csv"),
        table().replace(",y\n", ",-y\n"),
    )
    .unwrap();
    for out in ["it's $HOME", "-two\nlines"] {
        let mut train = command(folder.path(), &SMALL);
        let output = train.arg(format!("--out={out}")).output().unwrap();
        done(&output);
        let said = text(&output.stdout);
        let (_, hint) = said.rsplit_once("Go on with: ").unwrap();
        assert_eq!(hint.trim_end().lines().count(), 1, "{hint}");
        for command in hint.trim().split(", ") {
            let command = command.strip_prefix("hsr").unwrap();
            let fast = if command.contains("spectrum") {
                "--probes 1"
            } else {
                "--size 3"
            };
            done(&shell(folder.path(), &format!("\"$HSR\"{command} {fast}")));
        }
        let mut again = command(folder.path(), &SMALL);
        let output = again.arg(format!("--out={out}")).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = text(&output.stderr);
        let (_, hint) = error.rsplit_once(": hsr ").unwrap();
        done(&shell(folder.path(), &format!("\"$HSR\" {}", hint.trim())));

        let compared = format!("--out={out} compared");
        let arguments = [
            "compare",
            "--data",
            "d.csv",
            "--label=-y",
            "--hidden",
            "2",
            "--epochs",
            "2",
            "--seeds",
            "1",
            &compared,
        ];
        done(&hsr(folder.path(), &arguments));
        let report = folder
            .path()
            .join(format!("{out} compared"))
            .join("report.html");
        let report = std::fs::read_to_string(report).unwrap();
        let command = report.split("<pre><code>hsr ").nth(1).unwrap();
        let command = command.split("</code>").next().unwrap();
        let command = command
            .replace("&#39;", "'")
            .replace("&quot;", "\"")
            .replace("&amp;", "&");
        let repeated = shell(folder.path(), &format!("\"$HSR\" {command}"));
        done(&repeated);
        assert!(
            text(&repeated.stderr).contains("2 of 2 runs were done before"),
            "{command}"
        );
    }
}

#[test]
fn a_strength_that_leaves_the_range_of_numbers_is_told_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    for optimizer in ["sgd", "adam"] {
        let options = [
            "--strength",
            "1e308",
            "--optimizer",
            optimizer,
            "--out",
            optimizer,
        ];
        let output = hsr(folder.path(), &[&SMALL[..], &options].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("no longer finite at epoch 1"), "{error}");
        assert!(
            error.contains("try a smaller --lr or --strength"),
            "{error}"
        );
    }
}

#[test]
fn results_go_nowhere_where_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "mine").unwrap();
    let compare = [
        "compare", "--task", "moons", "--hidden", "2", "--epochs", "2", "--seeds", "1",
    ];
    for arguments in [&SMALL[..], &compare, &["reproduce", "fig3"], &["man"]] {
        for out in ["file", "file/below"] {
            let output = hsr(folder.path(), &[arguments, &["--out", out]].concat());
            refused(&output, &["file"]);
        }
    }
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"mine");
    assert_eq!(names(folder.path()), ["file"]);
}

/// On a disk that is full after the first files. Needs the right to mount one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_whole_files_and_a_run_that_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = SMALL.join(" ");
    let script = |size: &str| {
        format!(
            "mkdir -p disk && mount -t tmpfs -o size={size} none disk || exit 77
             \"$HSR\" {arguments} --out disk/run; code=$?
             rm -rf kept; cp -r disk/run kept 2>/dev/null; umount disk; exit $code"
        )
    };
    for size in ["4k", "16k", "40k"] {
        let output = shell(folder.path(), &script(size));
        if output.status.code() == Some(77) {
            println!("SKIPPED: nothing can be mounted here");
            return;
        }
        refused(
            &output,
            &["cannot be written: No space left on device (os error 28)\n"],
        );
        let kept = folder.path().join("kept");
        if kept.join("config.json").exists() {
            done(&hsr(folder.path(), &["train", "--resume", "kept"]));
            assert!(kept.join("summary.json").exists());
        } else {
            done(&hsr(
                folder.path(),
                &[&SMALL[..], &["--out", "kept"]].concat(),
            ));
        }
    }
}
