//! Hostile input, hundreds of rows of it: tables and weights that are wrong in one way each, in several ways of writing
//! them, for every command that reads them. Each is refused with code 2 and one line that says where, and leaves nothing.

use super::*;

/// A table as rows of fields, before it is written in some way.
type Fields = Vec<Vec<String>>;

/// Three classes u, v, w on two features; the header first.
fn sound() -> Fields {
    let header = ["a", "b", "y"].map(str::to_owned).to_vec();
    let rows = (0..24).map(|i: i32| {
        let class = ["u", "v", "w"][(i % 3) as usize];
        vec![
            (i * 7 % 11 + i % 3).to_string(),
            format!("{}", f64::from(i * 5 % 13) / 2.0),
            class.to_owned(),
        ]
    });
    std::iter::once(header).chain(rows).collect()
}

/// How a table is written.
struct Form {
    name: &'static str,
    separator: &'static str,
    end: &'static str,
    mark: &'static str,
}

const FORMS: [Form; 4] = [
    Form {
        name: "plain",
        separator: ",",
        end: "\n",
        mark: "",
    },
    Form {
        name: "excel",
        separator: ";",
        end: "\r\n",
        mark: "\u{feff}",
    },
    Form {
        name: "tab",
        separator: "\t",
        end: "\n",
        mark: "",
    },
    Form {
        name: "pipe, old Mac",
        separator: "|",
        end: "\r",
        mark: "",
    },
];

impl Form {
    fn write(&self, fields: &Fields) -> Vec<u8> {
        let rows = fields.iter().map(|row| row.join(self.separator) + self.end);
        (self.mark.to_owned() + &rows.collect::<String>()).into_bytes()
    }
}

/// For whom a table is wrong.
#[derive(Clone, Copy, PartialEq)]
enum For {
    /// Every command.
    All,
    /// Commands that train.
    Training,
    /// Commands that have a trained network and know its features and classes.
    Trained,
}

/// What is wrong with a table, and what has to be said of it.
struct Fault {
    name: String,
    wrong_for: For,
    spoil: Box<dyn Fn(&mut Fields) + Sync>,
    fragments: Vec<&'static str>,
}

fn fault(
    name: impl Into<String>,
    wrong_for: For,
    fragments: &[&'static str],
    spoil: impl Fn(&mut Fields) + Sync + 'static,
) -> Fault {
    Fault {
        name: name.into(),
        wrong_for,
        spoil: Box::new(spoil),
        fragments: fragments.to_vec(),
    }
}

/// One field in line 5 of column a.
fn field(value: &'static str) -> Fault {
    let fragments = ["line 5", "column \"a\"", "finite number"];
    fault(
        format!("field {value:?}"),
        For::All,
        &fragments,
        move |it| it[4][0] = value.to_owned(),
    )
}

fn faults() -> Vec<Fault> {
    let mut faults: Vec<Fault> = [
        "oops",
        "",
        " ",
        "NaN",
        "nan",
        "NA",
        "N/A",
        "null",
        "?",
        "inf",
        "-inf",
        "Infinity",
        "1e999",
        "-1e999",
        "0x10",
        "1_000",
        "--1",
        "+-3",
        "1e",
        "e5",
        "1.2.3",
        "1,5",
        "٣",
        "½",
        "5%",
        "$5",
        "true",
        "2020-01-01",
        "12:30",
    ]
    .into_iter()
    // A comma is a separator in one of the forms, and quoted there.
    .map(|value| {
        if value.contains(',') {
            field("\"1,5\"")
        } else {
            field(value)
        }
    })
    .collect();
    faults.extend([
        fault(
            "two columns of text",
            For::All,
            &["\"a\"", "\"b\"", "--one-hot a,b"],
            |it| {
                for row in &mut it[1..] {
                    row[0] = "red".to_owned();
                    row[1] = "blue".to_owned();
                }
            },
        ),
        fault(
            "missing values",
            For::All,
            &[
                "\"a\" lacks 8 of 24",
                "\"b\" lacks 6 of 24",
                "--missing drop-rows",
            ],
            |it| {
                it.iter_mut()
                    .skip(1)
                    .step_by(3)
                    .for_each(|row| row[0].clear());
                it.iter_mut()
                    .skip(1)
                    .step_by(4)
                    .for_each(|row| row[1] = "NA".to_owned());
            },
        ),
        fault(
            "a missing label",
            For::All,
            &["line 9", "column \"y\"", "label"],
            |it| it[8][2].clear(),
        ),
        fault(
            "missing labels",
            For::All,
            &["\"y\"", "3 of 24", "line 9"],
            |it| {
                for line in [9, 11, 20] {
                    it[line - 1][2] = "NaN".to_owned();
                }
            },
        ),
        fault(
            "a short row",
            For::All,
            &["line 7", "2 fields", "expected 3", "\"y\""],
            |it| {
                it[6].pop();
            },
        ),
        fault(
            "a long row",
            For::All,
            &["line 7", "4 fields", "expected 3"],
            |it| it[6].push("1".to_owned()),
        ),
        fault("a short header", For::All, &["line"], |it| {
            it[0].remove(1);
        }),
        fault(
            "an open quote in a label",
            For::All,
            &["line 12", "quote", "never closed"],
            |it| {
                it[11][2] = "\"u".to_owned();
            },
        ),
        fault(
            "an open quote in a number",
            For::All,
            &["line 3", "quote", "never closed"],
            |it| {
                it[2][0] = "\"5".to_owned();
            },
        ),
        fault(
            "an open quote in the header",
            For::All,
            &["line 1", "quote", "never closed"],
            |it| {
                it[0][0] = "\"a".to_owned();
            },
        ),
        fault(
            "two open quotes",
            For::All,
            &["line 4", "quote", "line 20"],
            |it| {
                it[3][2] = "\"u".to_owned();
                it[19][2] = "\"u".to_owned();
            },
        ),
        fault("a quote over lines", For::All, &["line 4", "label"], |it| {
            it[3][2] = "\"u".to_owned();
            it[19][2] = "u\"".to_owned();
        }),
        fault("text after a quote", For::All, &["line 4", "quote"], |it| {
            it[3][2] = "\"u\"x".to_owned()
        }),
        fault(
            "one name twice",
            For::All,
            &["columns 1 and 2", "\"a\""],
            |it| it[0][1] = "a".to_owned(),
        ),
        fault(
            "no label column",
            For::All,
            &["no label column named \"y\"", "\"z\""],
            |it| it[0][2] = "z".to_owned(),
        ),
        fault("a header and nothing else", For::All, &["no rows"], |it| {
            it.truncate(1)
        }),
        fault("no header", For::All, &["line 1", "--no-header"], |it| {
            it.remove(0);
            for row in it.iter_mut() {
                row[2] = "1".to_owned();
            }
        }),
        fault("one column", For::Training, &["no feature columns"], |it| {
            for row in it.iter_mut() {
                row.drain(..2);
            }
        }),
        fault("a field of 100 kB", For::All, &["line 5", "…"], |it| {
            it[4][0] = "x".repeat(100_000)
        }),
        fault(
            "a name of 100 kB",
            For::All,
            &["label column", "…"],
            |it| it[0][2] = "n".repeat(100_000),
        ),
        fault(
            "100 columns of text",
            For::Training,
            &["100 in all"],
            |it| {
                for (line, row) in it.iter_mut().enumerate() {
                    let more = (0..100).map(|i| {
                        if line == 0 {
                            format!("t{i}")
                        } else {
                            "text".to_owned()
                        }
                    });
                    row.extend(more);
                }
            },
        ),
        fault(
            "control characters in a field",
            For::All,
            &["line 5", "\\u{1b}[2J\\u{7}"],
            |it| {
                it[4][0] = "\u{1b}[2J\u{7}".to_owned();
            },
        ),
        fault(
            "control characters in a name",
            For::All,
            &["\\u{1b}"],
            |it| it[0][2] = "\u{1b}[2Jy".to_owned(),
        ),
        fault(
            "text that turns its direction",
            For::All,
            &["\\u{202e}"],
            |it| it[4][0] = "\u{202e}5".to_owned(),
        ),
        fault("a zero byte", For::All, &["zero byte"], |it| {
            it[4][0] = "\0".to_owned()
        }),
        fault(
            "a value without bounds",
            For::All,
            &["line 5", "column \"a\""],
            |it| it[4][0] = "1e308".to_owned(),
        ),
        fault(
            "its negative",
            For::All,
            &["line 5", "column \"a\""],
            |it| it[4][0] = "-1.7e308".to_owned(),
        ),
        fault(
            "one class",
            For::Training,
            &["\"y\"", "one class \"u\""],
            |it| {
                it[1..].iter_mut().for_each(|row| row[2] = "u".to_owned());
            },
        ),
        fault(
            "labels that all differ",
            For::Training,
            &["\"y\"", "all 24 labels differ"],
            |it| {
                it[1..]
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, row)| row[2] = format!("c{i}"));
            },
        ),
        fault(
            "a quantity for a label",
            For::Training,
            &[
                "\"y\" has 24 distinct numbers in 24 rows",
                "--numeric-classes",
            ],
            |it| {
                it[1..]
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, row)| row[2] = format!("{i}.5"));
            },
        ),
        fault(
            "counters for a label",
            For::Training,
            &["regression"],
            |it| {
                it[1..]
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, row)| row[2] = i.to_string());
            },
        ),
        fault(
            "a subnormal number",
            For::Training,
            &["line 5", "column \"a\""],
            |it| {
                it[1..].iter_mut().for_each(|row| row[0] = "0".to_owned());
                it[4][0] = "5e-324".to_owned();
            },
        ),
        fault(
            "a value out of proportion",
            For::Training,
            &["line 5", "column \"a\""],
            |it| it[4][0] = "1e100".to_owned(),
        ),
        fault(
            "an unknown class",
            For::Trained,
            &["line 6", "\"q\"", "\"u\", \"v\", \"w\""],
            |it| it[5][2] = "q".to_owned(),
        ),
        fault(
            "another feature",
            For::Trained,
            &["lacks \"b\"", "\"c\""],
            |it| it[0][1] = "c".to_owned(),
        ),
        fault("a feature less", For::Trained, &["lacks \"b\""], |it| {
            for row in it.iter_mut() {
                row.remove(1);
            }
        }),
    ]);
    faults
}

/// The commands that read tables, with what they would write.
const COMMANDS: [(&str, &[&str], For); 4] = [
    (
        "train",
        &["--label", "y", "--epochs", "1", "--out", "out"],
        For::Training,
    ),
    (
        "compare",
        &[
            "--label", "y", "--epochs", "1", "--seeds", "1", "--out", "out",
        ],
        For::Training,
    ),
    ("inspect", &["--run", "run", "--label", "y"], For::Trained),
    (
        "predict",
        &["--run", "run", "--label", "y", "--out", "out"],
        For::Trained,
    ),
];

/// What is in a folder, run directory and all.
fn contents(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.display().to_string());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A folder with a run on the sound table.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sound.csv"), FORMS[0].write(&sound())).unwrap();
    let output = hsr(
        folder.path(),
        &[
            "train",
            "--data",
            "sound.csv",
            "--label",
            "y",
            "--hidden",
            "2",
            "--epochs",
            "2",
            "--method",
            "plain",
            "--out",
            "run",
        ],
    );
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        text(&output.stderr)
    );
    folder
}

/// Asserts that a command refuses its input as bad input is to be refused.
fn check(name: &str, folder: &Path, before: &[String], arguments: &[&str], fragments: &[&str]) {
    let output = hsr(folder, arguments);
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{name}: {error}");
    assert!(output.stdout.is_empty(), "{name}");
    assert!(
        error.ends_with('\n') && error.lines().count() == 1,
        "{name}: one line: {error}"
    );
    assert!(
        error.starts_with("error: ") && !error.contains("panicked"),
        "{name}: {error}"
    );
    assert!(
        error.chars().count() <= 720,
        "{name}: {} characters",
        error.chars().count()
    );
    assert!(
        !error
            .trim_end_matches('\n')
            .contains(|c: char| c.is_control()),
        "{name}: {error:?}"
    );
    for fragment in fragments {
        assert!(error.contains(fragment), "{name}: {fragment:?} in {error}");
    }
    assert_eq!(contents(folder), before, "{name}: something is left");
}

#[test]
fn tables_that_are_wrong_in_one_way_are_refused_in_one_line() {
    let faults = faults();
    // A process a row: two threads, each with a folder of its own.
    let rows = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let (faults, rows) = (&faults, &rows);
            scope.spawn(move || {
                let folder = prepared();
                let folder = folder.path();
                std::fs::write(folder.join("bad.csv"), "").unwrap();
                let before = contents(folder);
                for (index, fault) in faults
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| index % 2 == half)
                {
                    let mut fields = sound();
                    (fault.spoil)(&mut fields);
                    for (number, form) in FORMS.iter().enumerate() {
                        std::fs::write(folder.join("bad.csv"), form.write(&fields)).unwrap();
                        for (place, (command, arguments, kind)) in COMMANDS.iter().enumerate() {
                            // Every fault in every form for a half of the commands, and for all of them in one form.
                            let chosen = number == 0 || (number + place + index) % 2 == 0;
                            let wrong = fault.wrong_for == For::All || fault.wrong_for == *kind;
                            if !(chosen && wrong) {
                                continue;
                            }
                            let name = format!("{}, {}, {command}", fault.name, form.name);
                            let arguments = [&[*command, "--data", "bad.csv"], *arguments].concat();
                            let fragments = [&["bad.csv"], &fault.fragments[..]].concat();
                            check(&name, folder, &before, &arguments, &fragments);
                            rows.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let rows = rows.into_inner();
    assert!(rows > 400, "{rows} rows");
}

#[test]
fn files_that_are_no_tables_are_refused_in_one_line() {
    let folder = prepared();
    let folder = folder.path();
    let utf16 = |big: bool| -> Vec<u8> {
        let text = String::from_utf8(FORMS[0].write(&sound())).unwrap();
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    };
    let sound = FORMS[0].write(&sound());
    let latin = String::from_utf8(sound.clone())
        .unwrap()
        .replace("5,", "é,");
    let latin: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    let zip = b"PK\x03\x04\x14\0\x06\0".to_vec();
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    let json = br#"{"a": [1, 2], "y": ["u", "v"]}"#.to_vec();
    let html = b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n".to_vec();
    let mut files: Vec<(String, Vec<u8>, &str)> = vec![
        ("empty".into(), vec![], "empty"),
        ("line ends".into(), b"\n\r\n\n".to_vec(), "empty"),
        ("a mark".into(), "\u{feff}".into(), "empty"),
        ("UTF-16, little".into(), utf16(false), "UTF-16"),
        ("UTF-16, big".into(), utf16(true), "UTF-16"),
        (
            "UTF-16 without a mark".into(),
            utf16(false)[2..].to_vec(),
            "zero byte",
        ),
        ("Latin-1".into(), latin, "not UTF-8"),
        ("PNG".into(), png, "zero byte"),
        ("a spreadsheet".into(), zip, "zero byte"),
        ("gzip".into(), gzip, "zero byte"),
        ("JSON".into(), json, "no label column"),
        ("HTML".into(), html, "no label column"),
        ("a word".into(), b"hello".to_vec(), "no label column"),
        ("quotes".into(), b"\"\"\"\"\"".to_vec(), "never closed"),
        ("separators".into(), b",,,,\n".to_vec(), "no label column"),
        ("spaces".into(), b"   \n   \n".to_vec(), "label column"),
    ];
    // Cut off in the midst, where that leaves a row too short.
    for length in [1, 2, 4, 6, 8, 9] {
        files.push((format!("cut off at {length}"), sound[..length].to_vec(), ""));
    }
    std::fs::write(folder.join("bad.csv"), "").unwrap();
    std::fs::create_dir(folder.join("folder.csv")).unwrap();
    let before = contents(folder);
    for (name, content, fragment) in files {
        std::fs::write(folder.join("bad.csv"), content).unwrap();
        for (command, arguments, _) in COMMANDS {
            let arguments = [&[command, "--data", "bad.csv"], arguments].concat();
            check(
                &format!("{name}, {command}"),
                folder,
                &before,
                &arguments,
                &["bad.csv", fragment],
            );
        }
    }
    for path in ["nowhere.csv", "folder.csv", "sound.csv/x"] {
        for (command, arguments, _) in COMMANDS {
            let arguments = [&[command, "--data", path], arguments].concat();
            check(
                &format!("{path}, {command}"),
                folder,
                &before,
                &arguments,
                &[path, "cannot be read"],
            );
        }
    }
}

#[test]
fn options_for_tables_that_make_no_sense_are_refused_in_one_line() {
    let folder = prepared();
    let folder = folder.path();
    let before = contents(folder);
    for (more, fragments) in [
        (&["--drop", "z"][..], &["no column to drop named \"z\""][..]),
        (
            &["--drop", "y"],
            &["\"y\"", "label column", "column to drop"],
        ),
        (&["--drop", "a,b"], &["no feature columns"]),
        (
            &["--one-hot", "z"],
            &["no column to encode one-hot named \"z\""],
        ),
        (
            &["--one-hot", "a", "--drop", "a"],
            &["column to drop", "one-hot"],
        ),
        (&["--separator", ";"], &["--separator"]),
        (&["--separator", "ab"], &["--separator"]),
        (&["--separator", ""], &["--separator"]),
        (
            &["--no-header"],
            &["no label column named \"y\"", "\"1\", \"2\", \"3\""],
        ),
        (&["--missing", "mean"], &["--missing", "drop-rows"]),
        (&["--drop", ""], &["no column to drop named \"\""]),
    ] {
        for (command, arguments, kind) in COMMANDS {
            // What a network's table was like is known: dropping what is not there is no fault then.
            if kind == For::Trained && more[0] != "--separator" && more[0] != "--missing" {
                continue;
            }
            let all = [&[command, "--data", "sound.csv"], arguments, more].concat();
            let fragments: Vec<&str> = if more == ["--separator", ";"] {
                vec!["sound.csv"]
            } else {
                fragments.to_vec()
            };
            check(
                &format!("{more:?}, {command}"),
                folder,
                &before,
                &all,
                &fragments,
            );
        }
    }
    // Of a CSV, and there is none.
    for option in ["--no-header", "--numeric-classes", "--decimal-comma"] {
        check(
            option,
            folder,
            &before,
            &["train", "--task", "iris", option],
            &["--data"],
        );
    }
}

#[test]
fn weights_that_are_wrong_in_one_way_are_refused_in_one_line() {
    let folder = prepared();
    let folder = folder.path();
    let model = std::fs::read(folder.join("run/model.safetensors")).unwrap();
    std::fs::write(folder.join("bad.safetensors"), "").unwrap();
    let before = contents(folder);
    let mut rows: Vec<(String, Vec<u8>)> = Vec::new();
    // Every cut in the header's length, some in the header, some in the numbers.
    let cuts = (0..16)
        .chain((16..model.len()).step_by(17))
        .chain([model.len() - 1]);
    rows.extend(cuts.map(|length| (format!("cut off at {length}"), model[..length].to_vec())));
    rows.push(("too long".to_owned(), [&model[..], &[0]].concat()));
    rows.push((
        "a table".to_owned(),
        std::fs::read(folder.join("sound.csv")).unwrap(),
    ));
    rows.push((
        "a header without end".to_owned(),
        u64::MAX.to_le_bytes().to_vec(),
    ));
    for value in [f32::NAN, f32::INFINITY] {
        let mut poisoned = model.clone();
        let at = poisoned.len() - 4;
        poisoned[at..].copy_from_slice(&value.to_le_bytes());
        rows.push((format!("a weight {value}"), poisoned));
    }
    for (name, content) in rows {
        std::fs::write(folder.join("bad.safetensors"), content).unwrap();
        for arguments in [
            &[
                "inspect",
                "--weights",
                "bad.safetensors",
                "--data",
                "sound.csv",
                "--label",
                "y",
            ][..],
            &[
                "predict",
                "--weights",
                "bad.safetensors",
                "--data",
                "sound.csv",
                "--out",
                "out",
            ],
        ] {
            check(&name, folder, &before, arguments, &["bad.safetensors"]);
        }
    }
}

#[test]
fn tables_that_look_odd_and_are_sound_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = |change: &dyn Fn(usize, &mut Vec<String>)| {
        let mut fields = sound();
        for (line, row) in fields.iter_mut().enumerate() {
            change(line, row);
        }
        fields
    };
    let expected = {
        std::fs::write(folder.join("d.csv"), FORMS[0].write(&sound())).unwrap();
        json(&data_cases::quick_train(
            folder,
            "d.csv",
            "y",
            &["--out", "sound"],
        ))
    };
    let quote = |row: &mut Vec<String>| {
        for field in row {
            *field = format!("\"{field}\"");
        }
    };
    let mut rows: Vec<(String, Vec<u8>, &[&str])> = FORMS
        .iter()
        .map(|form| (form.name.to_owned(), form.write(&sound()), &[][..]))
        .collect();
    rows.extend([
        (
            "quoted".to_owned(),
            FORMS[0].write(&table(&|_, row| quote(row))),
            &[][..],
        ),
        (
            "quoted, tab".to_owned(),
            FORMS[2].write(&table(&|_, row| quote(row))),
            &[],
        ),
        (
            "spaces".to_owned(),
            FORMS[0].write(&table(&|_, row| {
                row.iter_mut()
                    .for_each(|field| *field = format!(" {field} "))
            })),
            &[],
        ),
        (
            "empty lines".to_owned(),
            String::from_utf8(FORMS[0].write(&sound()))
                .unwrap()
                .replace('\n', "\n\n")
                .into_bytes(),
            &[],
        ),
        (
            "no last line end".to_owned(),
            {
                let mut it = FORMS[0].write(&sound());
                it.pop();
                it
            },
            &[],
        ),
        (
            "decimal commas".to_owned(),
            FORMS[1].write(&table(&|line, row| {
                if line > 0 {
                    row[1] = row[1].replace('.', ",")
                }
            })),
            &["--decimal-comma"],
        ),
        (
            "exponents".to_owned(),
            FORMS[0].write(&table(&|line, row| {
                if line > 0 {
                    row[0] = format!("+{}e0", row[0])
                }
            })),
            &[],
        ),
        (
            "a column of text, dropped".to_owned(),
            FORMS[0].write(&table(&|_, row| {
                row.insert(1, "\"text, with commas\nand lines\"".to_owned())
            })),
            &["--drop", "\"text, with commas\nand lines\""],
        ),
    ]);
    for (index, (name, content, more)) in rows.iter().enumerate() {
        std::fs::write(folder.join("d.csv"), content).unwrap();
        let out = format!("out-{index}");
        let output =
            data_cases::quick_train(folder, "d.csv", "y", &[&["--out", &out], *more].concat());
        assert!(output.stderr.is_empty(), "{name}: {}", text(&output.stderr));
        let found = json(&output);
        for key in ["train_loss", "test_loss", "lambda_max"] {
            assert_eq!(
                found["networks"]["plain"][key], expected["networks"]["plain"][key],
                "{name}"
            );
        }
    }
}
