//! A kill at any system call leaves a directory that `--out` or `--resume` takes, and no file that is not whole.
//!
//! The kills are strace's. Where there is none these tests say SKIPPED; where `HSR_REQUIRE_STRACE` is set they fail.

use super::*;

/// Whether strace can trace here: it may be absent, and a container may forbid it.
fn can_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // Elsewhere the same calls have other names.
    let can = cfg!(all(target_os = "linux", target_arch = "x86_64"))
        && traced.is_ok_and(|status| status.success());
    if !can {
        assert!(
            std::env::var_os("HSR_REQUIRE_STRACE").is_none(),
            "no strace on the path, or it may not trace"
        );
        println!("SKIPPED: no strace on the path, or it may not trace");
    }
    can
}

/// The calls that change something on the disk.
const CALLS: [&str; 9] = [
    "mkdir",
    "flock",
    "write",
    "fchmod",
    "fdatasync",
    "renameat",
    "fsync",
    "unlink",
    "rmdir",
];

/// How often each is called when nothing goes wrong.
fn counts(folder: &Path, arguments: &[&str]) -> Vec<(&'static str, usize)> {
    let log = folder.join("log");
    let status = traced(
        folder,
        &format!("trace={}", CALLS.join(",")),
        &log,
        arguments,
    );
    assert!(status.success());
    let log = std::fs::read_to_string(log).unwrap();
    let count = |call: &str| {
        let begins = |line: &&str| {
            let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            line.starts_with(&format!("{call}("))
        };
        log.lines().filter(begins).count()
    };
    CALLS.map(|call| (call, count(call))).to_vec()
}

fn traced(
    folder: &Path,
    expression: &str,
    log: &Path,
    arguments: &[&str],
) -> std::process::ExitStatus {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", expression, "-o"]).arg(log);
    if let Some(call) = expression.strip_prefix("inject=") {
        let call = call.split(':').next().unwrap();
        command.args(["-e", &format!("trace={call}")]);
    }
    let command = command.arg(program()).args(arguments).current_dir(folder);
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().unwrap()
}

/// Kills a command at calls of every kind, `most` of each kind at most, and hands the folder to `after`.
fn kill_everywhere(arguments: &[&str], most: usize, after: impl Fn(&Path, &str) + Sync) {
    let folder = tempfile::tempdir().unwrap();
    let counts = counts(folder.path(), arguments);
    let at = |name: &str| counts.iter().find(|it| it.0 == name).unwrap().1;
    assert!(
        at("renameat") >= 3 && at("fsync") >= 3 && at("flock") >= 2,
        "{counts:?}"
    );
    let kills: Vec<(&str, usize)> = counts
        .iter()
        .flat_map(|&(call, count)| {
            let step = count.div_ceil(most).max(1);
            // The last as well: there the results are told.
            (1..=count)
                .step_by(step)
                .chain([count].into_iter().filter(|n| *n > 0))
                .map(move |n| (call, n))
        })
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some((call, number)) = kills.get(index) else {
                        break;
                    };
                    let folder = tempfile::tempdir().unwrap();
                    let inject = format!("inject={call}:signal=KILL:when={number}");
                    traced(folder.path(), &inject, Path::new("/dev/null"), arguments);
                    after(folder.path(), &format!("killed at {call} {number}"));
                }
            });
        }
    });
}

/// Everything in a directory is whole, and nothing is left that should not stay.
fn is_whole(directory: &Path, context: &str) {
    for name in names(directory) {
        let path = directory.join(&name);
        assert!(!name.starts_with('.'), "{context}: {name} is left");
        if path.is_dir() {
            is_whole(&path, context);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let ends_well = match path.extension().and_then(|it| it.to_str()) {
            Some("json") => serde_json::from_slice::<Value>(&bytes).is_ok(),
            Some("safetensors") => safetensors::SafeTensors::deserialize(&bytes).is_ok(),
            Some("svg") => bytes.ends_with(b"</svg>\n") || bytes.ends_with(b"</svg>"),
            Some("png") => bytes.ends_with(b"IEND\xae\x42\x60\x82"),
            Some("html") => bytes.ends_with(b"</html>\n"),
            _ => bytes.ends_with(b"\n"),
        };
        assert!(ends_well, "{context}: {name} is cut short");
    }
}

#[test]
fn a_training_killed_at_any_call_can_be_begun_or_resumed() {
    if !can_trace() {
        return;
    }
    let arguments = [
        "train",
        "--task",
        "moons",
        "--samples",
        "40",
        "--hidden",
        "1",
        "--epochs",
        "1",
        "--method",
        "plain",
        "--out",
        "a/run",
    ];
    let whole = tempfile::tempdir().unwrap();
    done(&hsr(whole.path(), &arguments));
    let expected = std::fs::read(whole.path().join("a/run/model.safetensors")).unwrap();
    kill_everywhere(&arguments, 5, |folder, context| {
        let run = folder.join("a/run");
        let begun = hsr(folder, &arguments);
        if !begun.status.success() {
            // It had begun, and is told how it goes on.
            refused(&begun, &["is not empty", "hsr train --resume a/run"]);
            done(&hsr(folder, &["train", "--resume", "a/run"]));
        }
        let found = std::fs::read(run.join("model.safetensors")).unwrap();
        assert_eq!(found, expected, "{context}");
        is_whole(&run, context);
    });
}

#[test]
fn a_comparison_killed_at_any_call_goes_on_by_the_same_command() {
    if !can_trace() {
        return;
    }
    let arguments = [
        "compare",
        "--task",
        "moons",
        "--samples",
        "40",
        "--hidden",
        "1",
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--jobs",
        "1",
        "--out",
        "out",
    ];
    kill_everywhere(&arguments, 2, |folder, context| {
        done(&hsr(folder, &arguments));
        is_whole(&folder.join("out"), context);
    });
}

#[test]
fn man_pages_are_whole_or_not_there() {
    if !can_trace() {
        return;
    }
    kill_everywhere(&["man", "--out", "pages"], 2, |folder, context| {
        let pages = folder.join("pages");
        let written = if pages.exists() {
            names(&pages)
        } else {
            Vec::new()
        };
        for name in written.iter().filter(|name| !name.starts_with('.')) {
            let arguments = match name.trim_end_matches(".1").strip_prefix("hsr-") {
                Some(command) => vec!["man", command],
                None => vec!["man"],
            };
            let page = std::fs::read(pages.join(name)).unwrap();
            assert_eq!(page, hsr(folder, &arguments).stdout, "{context}: {name}");
        }
    });
}
