//! What the program tells a person who does not know it: alone, in its help, in its errors, in shells and man pages.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{hsr, refused, text};

/// Where a test needs no files.
fn nowhere() -> &'static Path {
    Path::new(".")
}

/// The commands among the lines of a text as words, pipes and redirections left out. A backslash at the end of a line
/// continues it.
fn commands(lines: &str) -> Vec<Vec<String>> {
    let joined = lines.replace("\\\n", " ");
    let commands = joined.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("cargo run --release -- ").map_or_else(
            || line.strip_prefix("source <(").unwrap_or(line).to_owned(),
            |rest| format!("hsr {rest}"),
        );
        let command = line.split([')', '|', '>', '#']).next()?;
        assert!(!command.contains(['"', '\'']), "quoted: {command}");
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        (words.first()? == "hsr").then_some(words)
    });
    commands.collect()
}

/// Every help text by the command that it is of.
fn helps() -> Vec<(String, String)> {
    let mut program = hsr_cli::command().disable_help_subcommand(true);
    program.build();
    let mut helps = vec![("hsr".to_owned(), program.render_long_help().to_string())];
    for command in program.get_subcommands_mut() {
        let name = command.get_name().to_owned();
        helps.push((name, command.render_long_help().to_string()));
    }
    helps
}

#[test]
fn the_program_alone_says_what_to_do_next() {
    let output = hsr(nowhere(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let said = text(&output.stdout);
    assert!((5..=12).contains(&said.lines().count()), "{said}");
    // The description beside a command is not part of it.
    let suggested: Vec<Vec<String>> = said
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once("  "))
        .flat_map(|(command, _)| commands(command))
        .collect();
    assert!(suggested.len() >= 3, "{said}");
    for command in suggested.iter().filter(|words| words[1] != "help") {
        hsr_cli::command()
            .try_get_matches_from(command)
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }
}

#[test]
fn every_help_has_examples_which_are_commands_that_exist() {
    for (name, help) in helps() {
        let (_, below) = help.split_once("Examples:").expect(&name);
        let examples = commands(below);
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            assert!(name == "hsr" || example[1] == name, "{example:?} in {name}");
            let parsed = hsr_cli::command().try_get_matches_from(&example);
            match parsed {
                Ok(_) => {}
                Err(error) => assert!(!error.use_stderr(), "{example:?}: {error}"),
            }
        }
    }
}

/// The lines of every source file below a folder, without comments and without unit tests.
fn lines_of_code(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut lines = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            lines.extend(lines_of_code(&path));
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let is_comment = |line: &&str| line.trim_start().starts_with("//");
            let code = code.lines().filter(|line| !is_comment(line));
            lines.extend(code.map(|line| format!("{}: {line}", path.display())));
        }
    }
    lines
}

#[test]
fn the_laboratory_names_fields_which_the_command_alone_spells_as_options() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let code = lines_of_code(&root.join("crates/hsr-lab/src"));
    assert!(code.len() > 10_000, "{}", code.len());
    let command = hsr_cli::command();
    let arguments = command.get_subcommands().flat_map(|it| it.get_arguments());
    for option in arguments.filter_map(|it| it.get_long()) {
        let option = format!("--{option}");
        for line in &code {
            let ends = |(at, _): (usize, &str)| {
                let after = line[at + option.len()..].chars().next();
                after.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-')
            };
            assert!(!line.match_indices(&option).any(ends), "{line}");
        }
    }
}

#[test]
fn every_command_in_readme_and_book_is_one_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let book = std::fs::read_dir(root.join("docs/src")).unwrap();
    let pages = book
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .chain(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let mut seen = 0;
    for page in pages {
        let content = std::fs::read_to_string(&page).unwrap();
        // What stands between fences is every second part.
        for block in content.split("\n```").skip(1).step_by(2) {
            let Some((language, block)) = block.split_once('\n') else {
                continue;
            };
            if !["sh", "console", "bash"].contains(&language) {
                continue;
            }
            for command in commands(block) {
                seen += 1;
                if let Err(error) = hsr_cli::command().try_get_matches_from(&command) {
                    assert!(
                        !error.use_stderr(),
                        "{}: {command:?}: {error}",
                        page.display()
                    );
                }
            }
        }
    }
    assert!(seen >= 12, "{seen} commands found");
}

#[test]
fn help_and_tasks_fit_into_a_hundred_columns() {
    let mut texts = vec![("tasks".to_owned(), hsr(nowhere(), &["tasks"]).stdout)];
    for (name, _) in helps() {
        let arguments = if name == "hsr" {
            vec!["--help"]
        } else {
            vec![name.as_str(), "--help"]
        };
        let output = hsr(nowhere(), &arguments);
        assert!(output.status.success());
        texts.push((name, output.stdout));
    }
    for (name, bytes) in texts {
        for line in text(&bytes).lines() {
            assert!(line.chars().count() <= 100, "{name}: {line}");
        }
    }
}

#[test]
fn the_table_of_tasks_is_aligned_and_tells_the_size_of_the_default_network() {
    let table = text(&hsr(nowhere(), &["tasks"]).stdout);
    let (head, rows): (&str, Vec<&str>) = {
        let mut lines = table.lines();
        (
            lines.next().unwrap(),
            lines.take_while(|line| !line.is_empty()).collect(),
        )
    };
    assert_eq!(rows.len(), 9);
    for column in ["samples", "features", "classes", "network", "D"] {
        let end = head.find(column).expect(column) + column.len();
        for row in &rows {
            let (value, rest) = row.split_at(end);
            assert!(
                value.ends_with(|c: char| c.is_ascii_digit()),
                "{column}: {row}"
            );
            assert!(rest.starts_with(' '), "{column}: {row}");
        }
    }
    // D = h(d + 1) + K(h + 1): 16·5 + 3·17 = 131 and 16·65 + 10·17 = 1210.
    for (name, cells) in [
        ("iris", ["150", "4", "3", "4-16-3", "131"]),
        ("digits", ["1797", "64", "10", "64-16-10", "1210"]),
    ] {
        let row = rows.iter().find(|row| row.starts_with(name)).unwrap();
        let found: Vec<&str> = row.split_whitespace().skip(1).take(5).collect();
        assert_eq!(found, cells);
        assert!(row.ends_with("CC BY 4.0"));
    }
    let listed = super::json(&hsr(nowhere(), &["tasks", "--json"]));
    assert_eq!(listed["tasks"][0]["parameters"], 131);
    assert_eq!(listed["tasks"][0]["hidden"], 16);
}

#[test]
fn a_mistyped_name_gets_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("mine.csv"),
        "length,species\n1,a\n2,b\n3,a\n4,b\n",
    )
    .unwrap();
    for (arguments, found, meant) in [
        (&["trian"][..], "'trian'", "'train'"),
        (&["train", "--task", "irsi"], "'irsi'", "'iris'"),
        (&["compare", "--task", "moon"], "'moon'", "'moons'"),
        // Too short for clap to find its like, which the list has.
        (&["train", "--method", "hrs"], "'hrs'", "plain, hsr, sam"),
        (
            &["compare", "--methods", "plain,lamda-max"],
            "'lamda-max'",
            "'lambda-max'",
        ),
        (
            &["compare", "--strength", "hrs=0.1"],
            "'hrs=0.1'",
            "did you mean \"hsr\"?",
        ),
        (&["train", "--activation", "tahn"], "'tahn'", "'tanh'"),
        (&["train", "--optimizer", "adan"], "'adan'", "'adam'"),
        (&["train", "--backend", "flx"], "'flx'", "'flex'"),
        (&["train", "--mode", "copled"], "'copled'", "'coupled'"),
        (&["inspect", "--loss", "sofmax"], "'sofmax'", "'softmax'"),
        (
            &["landscape", "--run", "r", "--directions", "egien"],
            "'egien'",
            "'eigen'",
        ),
        (
            &["spectrum", "--run", "r", "--split", "tets"],
            "'tets'",
            "'test'",
        ),
        (&["reproduce", "fg2"], "'fg2'", "'fig2'"),
        (&["man", "inspct"], "'inspct'", "'inspect'"),
        (&["completions", "bahs"], "'bahs'", "'bash'"),
        (&["train", "--strenght", "1"], "--strenght", "'--strength'"),
        (
            &["train", "--data", "mine.csv", "--label", "specie"],
            "\"specie\"",
            "\"species\"",
        ),
        (&["train", "--batch-size=32"], "--batch-size", "'--batch'"),
        // Where only the option before the value is missing.
        (&["train", "digits"], "'digits'", "'--task digits'"),
        (&["train", "mine.csv"], "'mine.csv'", "'--data mine.csv'"),
        (
            &["spectrum", "runs/digits-hsr"],
            "'runs/digits-hsr'",
            "'--run runs/digits-hsr'",
        ),
        (
            &["inspect", "net.safetensors"],
            "'net.safetensors'",
            "'--weights net.safetensors'",
        ),
    ] {
        refused(&hsr(folder.path(), arguments), &[found, meant]);
    }
    // Nothing resembles this, and a suggestion would mislead.
    let output = hsr(folder.path(), &["train", "--task", "mushrooms"]);
    refused(&output, &["'mushrooms'", "possible values: iris, wine"]);
    assert!(!text(&output.stderr).contains("similar"));
}

#[test]
fn other_bad_arguments_are_named_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.csv"), "length,species\n1,a\n2,b\n").unwrap();
    for (arguments, fragments) in [
        (
            &["train", "--data", "mine.csv"][..],
            &["--data mine.csv", "--label", "length, species"][..],
        ),
        (&["train", "--data", "none.csv"], &["none.csv"]),
        (
            &["train", "--label", "species"],
            &["required", "--data <FILE.csv>"],
        ),
        (
            &["inspect"],
            &["required", "--run <DIR>|--weights <FILE.safetensors>"],
        ),
        (&["reproduce"], &["required", "<EXPERIMENT>"]),
        (&["train", "--epochs", "-3"], &["'-3'", "--epochs <N>"]),
        (&["train", "--lr", "fast"], &["'fast'", "--lr <X>", "float"]),
        (
            &["reproduce", "fig2", "--jobs", "0"],
            &["'0'", "--jobs <N>", "non-zero"],
        ),
        (&["train", "--task"], &["--task <NAME>", "iris, wine"]),
        (
            &["train", "--task", "iris", "--task", "wine"],
            &["--task", "twice"],
        ),
        (
            &["train", "--task", "iris", "--data", "d.csv"],
            &["--task <NAME>", "cannot be used with", "--data <FILE.csv>"],
        ),
        (&["--loud"], &["unexpected argument '--loud'"]),
    ] {
        refused(&hsr(folder.path(), arguments), fragments);
    }
}

#[test]
fn every_shell_gets_a_script_with_every_command() {
    let mut program = hsr_cli::command();
    program.build();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&hsr(nowhere(), &["completions", shell]).stdout);
        for command in program.get_subcommands() {
            assert!(
                script.contains(command.get_name()),
                "{shell}: {}",
                command.get_name()
            );
        }
        assert!(script.contains("lambda-max") || shell == "elvish" || shell == "powershell");
    }
}

/// Whether a program is on the path.
fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        println!("SKIPPED: no {program}");
    }
    found
}

#[test]
fn bash_completes_commands_options_and_names() {
    if !has("bash") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hsr.bash");
    std::fs::write(&script, hsr(nowhere(), &["completions", "bash"]).stdout).unwrap();
    let checked = Command::new("bash")
        .arg("-n")
        .arg(&script)
        .output()
        .unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty());
    let complete = |words: &[&str]| -> Vec<String> {
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let typed = format!(
            "source {script}; COMP_WORDS=({words}); COMP_CWORD={place}; _hsr hsr '{last}' '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script = script.display(),
            words = words
                .iter()
                .map(|word| format!("'{word}' "))
                .collect::<String>(),
            place = words.len() - 1,
        );
        let output = Command::new("bash").args(["-c", &typed]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["hsr", "tr"]), ["train"]);
    assert_eq!(complete(&["hsr", "train", "--meth"]), ["--method"]);
    assert_eq!(
        complete(&["hsr", "train", "--task", "breast"]),
        ["breast-cancer"]
    );
    assert_eq!(
        complete(&["hsr", "train", "--activation", "gelu"]),
        ["gelu", "gelu_tanh"]
    );
    assert_eq!(
        complete(&["hsr", "reproduce", "fig1"]),
        ["fig10", "fig11", "fig12", "fig14", "fig15"]
    );
}

#[test]
fn man_pages_have_every_command_option_and_example() {
    let folder = tempfile::tempdir().unwrap();
    let output = hsr(folder.path(), &["man", "--out", "share/man1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = text(&output.stdout);
    let mut program = hsr_cli::command().disable_help_subcommand(true);
    program.build();
    let commands = std::iter::once(&program).chain(program.get_subcommands());
    let mut pages = 0;
    for command in commands {
        pages += 1;
        let name = command.get_name();
        let (file, arguments) = if name == "hsr" {
            ("hsr.1".to_owned(), vec!["man"])
        } else {
            (format!("hsr-{name}.1"), vec!["man", name])
        };
        let path = Path::new("share/man1").join(&file);
        assert!(
            written.lines().any(|line| Path::new(line) == path),
            "{file} in {written}"
        );
        let page = std::fs::read_to_string(folder.path().join(&path)).unwrap();
        assert_eq!(page, text(&hsr(folder.path(), &arguments).stdout), "{file}");
        // Roff writes a hyphen that is to be copied as `\-`.
        let plain = page.replace("\\-", "-");
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                assert!(
                    plain.contains(&format!("\\fB--{long}\\fR")),
                    "--{long} in {file}"
                );
            }
            for value in argument.get_possible_values() {
                assert!(
                    plain.contains(value.get_name()),
                    "{} in {file}",
                    value.get_name()
                );
            }
        }
        for subcommand in command.get_subcommands() {
            assert!(plain.contains(&format!("hsr-{}(1)", subcommand.get_name())));
        }
        let (_, examples) = plain.split_once(".SH EXAMPLES\n.nf\n").expect(&file);
        assert!(examples.contains("\\fBhsr "), "{file}");
        if has("groff") {
            let checked = Command::new("groff")
                .args(["-K", "utf8", "-T", "utf8", "-man", "-ww", "-z"])
                .arg(folder.path().join(&path))
                .output()
                .unwrap();
            assert!(
                checked.stderr.is_empty(),
                "{file}: {}",
                text(&checked.stderr)
            );
        }
    }
    assert_eq!(written.lines().count(), pages);

    std::fs::write(folder.path().join("file"), "").unwrap();
    refused(
        &hsr(folder.path(), &["man", "--out", "file/man1"]),
        &["file/man1"],
    );
    refused(
        &hsr(folder.path(), &["man", "train", "--out", "x"]),
        &["--out", "cannot be used with"],
    );
}
