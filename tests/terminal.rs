//! What goes to which stream: colours and progress to terminals only, one JSON object or paths where asked for.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{hsr, json, program, refused, text};

/// A run that takes a moment.
const RUN: [&str; 7] = ["train", "--task", "iris", "--hidden", "3", "--epochs", "8"];

/// Ways of asking for colours, none of which a test inherits.
const COLOURS: [&str; 5] = ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "TERM"];

fn with_environment(mut command: Command, folder: &Path, environment: &[(&str, &str)]) -> Command {
    command.current_dir(folder).env("TERM", "xterm-256color");
    for name in COLOURS {
        if name != "TERM" {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().copied());
    command
}

/// Into pipes.
fn piped(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments);
    with_environment(command, folder, environment)
        .output()
        .unwrap()
}

/// On a pseudo-terminal, which is standard output and standard error in one; `None` where there is no `script` to make
/// one. `redirection` is the shell's.
fn on_terminal(
    folder: &Path,
    arguments: &[&str],
    redirection: &str,
    environment: &[(&str, &str)],
) -> Option<(Option<i32>, String)> {
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: the options of script are those of Linux");
        return None;
    }
    let mut typed = program().display().to_string();
    for argument in arguments {
        typed += &format!(" '{argument}'");
    }
    typed += redirection;
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &typed, "/dev/null"]);
    let output = with_environment(command, folder, environment)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => Some((output.status.code(), text(&output.stdout))),
        Err(error) => {
            println!("SKIPPED: script: {error}");
            None
        }
    }
}

/// Whether there is a colour or a weight of type among the codes.
fn coloured(text: &str) -> bool {
    text.split("\u{1b}[").skip(1).any(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .starts_with('m')
    })
}

/// A help text, a table, an error, an introduction.
const SAID: [&[&str]; 4] = [&["train", "--help"], &["tasks"], &["trian"], &[]];

#[test]
fn nothing_is_coloured_in_a_pipe_unless_it_is_forced() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in SAID {
        let all = |environment| {
            let output = piped(folder.path(), arguments, environment);
            text(&output.stdout) + &text(&output.stderr)
        };
        let plain = all(&[]);
        assert!(!plain.contains('\u{1b}'), "{arguments:?}: {plain:?}");
        let forced = all(&[("CLICOLOR_FORCE", "1")]);
        assert!(coloured(&forced), "{arguments:?}: {forced:?}");
        // The colours are all the difference.
        let bare: String = forced
            .split("\u{1b}[")
            .enumerate()
            .map(|(place, rest)| match (place, rest.split_once('m')) {
                (0, _) | (_, None) => rest,
                (_, Some((_, rest))) => rest,
            })
            .collect();
        assert_eq!(bare, plain);
    }
}

#[test]
fn a_terminal_gets_colours_unless_no_color_says_no() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in SAID {
        for (environment, expected) in [
            (&[][..], true),
            (&[("NO_COLOR", "1")], false),
            (&[("CLICOLOR", "0")], false),
            (&[("TERM", "dumb")], false),
        ] {
            let Some((code, said)) = on_terminal(folder.path(), arguments, "", environment) else {
                return;
            };
            assert_eq!(
                code,
                Some(if arguments == ["trian"] { 2 } else { 0 }),
                "{said}"
            );
            assert_eq!(
                coloured(&said),
                expected,
                "{arguments:?} {environment:?}: {said:?}"
            );
        }
    }
}

#[test]
fn progress_is_shown_on_a_terminal_only_and_in_the_colours_of_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = |out| [&RUN[..], &["--out", out]].concat();
    let bar = |said: &str| said.contains("/16") && said.contains("left");
    let output = piped(folder.path(), &arguments("piped"), &[]);
    assert!(output.status.success());
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let Some((code, said)) = on_terminal(folder.path(), &arguments("shown"), "", &[]) else {
        return;
    };
    assert_eq!(code, Some(0));
    assert!(bar(&said) && coloured(&said), "{said:?}");
    for (out, environment) in [
        ("no", &[("NO_COLOR", "1")][..]),
        ("both", &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]),
    ] {
        let (_, said) = on_terminal(folder.path(), &arguments(out), "", environment).unwrap();
        assert!(bar(&said) && !coloured(&said), "{environment:?}: {said:?}");
    }
    // Only standard error is a terminal: the bar is there, and the result is as in a pipe.
    let redirected = on_terminal(folder.path(), &arguments("file"), " > result", &[]);
    assert!(bar(&redirected.unwrap().1));
    let result = std::fs::read_to_string(folder.path().join("result")).unwrap();
    assert!(result.contains("λ_sup") && !result.contains('\u{1b}'));
    // Only standard output is one: no bar.
    let (_, said) = on_terminal(folder.path(), &arguments("half"), " 2> messages", &[]).unwrap();
    assert!(said.contains("λ_sup") && !bar(&said), "{said:?}");
    let messages = std::fs::read(folder.path().join("messages")).unwrap();
    assert!(messages.is_empty(), "{}", text(&messages));
}

#[test]
fn quiet_leaves_the_paths_of_what_was_written_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let compare = [
        "compare", "--task", "iris", "--hidden", "3", "--epochs", "2", "--seeds", "2",
    ];
    for (arguments, expected) in [
        ([&RUN[..], &["--out", "run"]].concat(), &["run"][..]),
        (
            [&compare[..], &["--out", "compared"]].concat(),
            &["compared"],
        ),
        // Twice, because the second time there is a message that the runs were done before.
        (
            [&compare[..], &["--out", "compared"]].concat(),
            &["compared"],
        ),
        (
            ["landscape", "--run", "run", "--size", "3"].to_vec(),
            &[
                "run/landscape.csv",
                "run/landscape.svg",
                "run/landscape.png",
            ],
        ),
        (
            [
                "spectrum", "--run", "run", "--top", "2", "--out", "spectrum",
            ]
            .to_vec(),
            &[
                "spectrum/spectrum_eigenvalues.csv",
                "spectrum/spectrum_density.csv",
                "spectrum/spectrum_density.svg",
                "spectrum/spectrum_density.png",
            ],
        ),
    ] {
        let quiet = [&["--quiet"][..], &arguments].concat();
        let output = hsr(folder.path(), &quiet);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
        for path in expected {
            assert!(folder.path().join(path).exists(), "{path}");
        }
    }
    let output = hsr(
        folder.path(),
        &["reproduce", "fig5", "--quick", "-q", "--out", "paper"],
    );
    assert_eq!(text(&output.stdout), "paper\n");
    assert!(output.stderr.is_empty() && folder.path().join("paper/report.html").exists());
    // On a terminal too, and with the short name after the command.
    let arguments = [&RUN[..], &["-q", "--out", "again"]].concat();
    if let Some((code, said)) = on_terminal(folder.path(), &arguments, "", &[]) {
        assert_eq!((code, said.trim_end()), (Some(0), "again"));
    }
    // Errors are still told, and JSON is what it is without.
    refused(
        &hsr(folder.path(), &[&RUN[..], &["-q", "--out", "run"]].concat()),
        &["run", "not empty"],
    );
    assert_eq!(
        json(&hsr(folder.path(), &["tasks", "--json", "-q"])),
        json(&hsr(folder.path(), &["tasks", "--json"]))
    );
    let names = text(&hsr(folder.path(), &["-q", "tasks"]).stdout);
    assert_eq!(names.lines().count(), 9);
    assert!(names.starts_with("iris\nwine\n"));
}

#[test]
fn quiet_inspect_tells_the_numbers_of_the_table_alone() {
    let (folder, _) = super::case_folder("tanh-softmax-d2h3k3n20-b11");
    let arguments = super::INSPECT;
    let table = text(&hsr(folder.path(), &arguments).stdout);
    let quiet = text(&hsr(folder.path(), &[&arguments[..], &["-q"]].concat()).stdout);
    assert!(table.contains("eigenvalues dense"));
    // Every line is one of the table, less what the table says of its effect.
    for line in quiet.lines() {
        assert!(table.lines().any(|full| full.starts_with(line)), "{line}");
        let (_, value) = line.trim_end().rsplit_once(' ').unwrap();
        assert!(value == "–" || value.parse::<f64>().is_ok(), "{line}");
    }
    let is_number = |line: &&str| line.contains("e-") || line.contains("e0") || line.contains("e1");
    assert_eq!(
        quiet.lines().filter(is_number).count(),
        table.lines().filter(is_number).count()
    );
}

#[test]
fn every_command_with_a_result_has_json_and_all_can_be_quiet() {
    let mut program = hsr_cli::command().disable_help_subcommand(true);
    program.build();
    for command in program.get_subcommands() {
        let has = |name| {
            command
                .get_arguments()
                .any(|it| it.get_long() == Some(name))
        };
        let result = !["completions", "man"].contains(&command.get_name());
        assert_eq!(has("json"), result, "{}", command.get_name());
        assert!(has("quiet"), "{}", command.get_name());
    }
}

#[test]
fn json_is_alone_on_standard_output_even_where_standard_error_is_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let compare = [
        "compare", "--task", "iris", "--hidden", "3", "--epochs", "2", "--seeds", "2", "--json",
    ];
    for (file, arguments) in [
        ("tasks.json", ["tasks", "--json"].to_vec()),
        (
            "train.json",
            [&RUN[..], &["--out", "run", "--json"]].concat(),
        ),
        (
            "compare.json",
            [&compare[..], &["--out", "compared"]].concat(),
        ),
        (
            "landscape.json",
            ["landscape", "--run", "run", "--size", "3", "--json"].to_vec(),
        ),
        (
            "spectrum.json",
            ["spectrum", "--run", "run", "--top", "2", "--json"].to_vec(),
        ),
        (
            "reproduce.json",
            ["reproduce", "fig5", "--quick", "--out", "paper", "--json"].to_vec(),
        ),
    ] {
        let Some((code, said)) = on_terminal(folder.path(), &arguments, &format!(" > {file}"), &[])
        else {
            return;
        };
        assert_eq!(code, Some(0), "{said}");
        let written = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        let object: Value = serde_json::from_str(&written).unwrap();
        assert!(object.is_object());
    }
}

#[test]
fn verdicts_are_coloured_by_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["reproduce", "fig5", "--quick", "--out", "paper"];
    let forced = piped(folder.path(), &arguments, &[("CLICOLOR_FORCE", "1")]);
    let (plain, forced) = (
        text(&piped(folder.path(), &arguments, &[]).stdout),
        text(&forced.stdout),
    );
    let claims = plain
        .lines()
        .filter(|line| line.starts_with("PASS ") || line.starts_with("FAIL "));
    assert!(claims.clone().count() > 0, "{plain}");
    for (line, coloured) in claims.zip(forced.lines()) {
        let (colour, claim) = (if line.starts_with("PASS") { 32 } else { 31 }, &line[4..]);
        assert_eq!(
            coloured,
            format!("\u{1b}[1m\u{1b}[{colour}m{}\u{1b}[0m{claim}", &line[..4])
        );
    }
}
