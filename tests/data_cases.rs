//! Tables and weights as people have them: each case with what is right. Those that a program got wrong once are small
//! files written here.

use super::*;

fn write(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join(name), content).unwrap();
}

fn safetensors(tensors: &[(&str, &[usize], &[f64])], about: Option<&str>) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            *name,
            TensorView::new(Dtype::F64, shape.to_vec(), bytes).unwrap(),
        )
    });
    let metadata = about.map(|about| [("hsr".to_owned(), about.to_owned())].into_iter().collect());
    safetensors::serialize(views, metadata).unwrap()
}

/// A network for the classes a, b, c: one input, two hidden units.
const ABC: [(&str, &[usize], &[f64]); 4] = [
    ("hidden.weight", &[2, 1], &[1.0, 1.0]),
    ("hidden.bias", &[2], &[0.5, -0.5]),
    ("output.weight", &[3, 2], &[-8.0, 0.0, 4.0, -4.0, 0.0, 8.0]),
    ("output.bias", &[3], &[0.0, 2.0, 0.0]),
];

/// Samples of two of its classes.
const BC: &str = "x,class\n0.1,b\n-0.1,b\n1.7,c\n2,c\n";

/// Its mean cross-entropy, written out.
fn loss_of_abc(samples: &[(f64, usize)]) -> f64 {
    let losses = samples.iter().map(|&(x, class)| {
        let (p, q) = ((x + 0.5).tanh(), (x - 0.5).tanh());
        let logits = [-8.0 * p, 4.0 * p - 4.0 * q + 2.0, 8.0 * q];
        logits.iter().map(|o| o.exp()).sum::<f64>().ln() - logits[class]
    });
    losses.sum::<f64>() / samples.len() as f64
}

/// `hsr inspect` of a file of weights as tanh and softmax, on a table with the label column `class`.
fn inspect_of(folder: &Path, weights: &str, data: &str, more: &[&str]) -> Output {
    let arguments = [
        "inspect",
        "--weights",
        weights,
        "--data",
        data,
        "--label",
        "class",
        "--json",
    ];
    hsr(folder, &[&arguments[..], more].concat())
}

const TANH_SOFTMAX: [&str; 4] = ["--activation", "tanh", "--loss", "softmax"];

#[test]
fn a_file_without_one_of_the_classes_keeps_the_numbers_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("abc.safetensors"), safetensors(&ABC, None)).unwrap();
    write(folder, "bc.csv", BC);
    let expected = loss_of_abc(&[(0.1, 1), (-0.1, 1), (1.7, 2), (2.0, 2)]);
    assert!((expected - 0.00604).abs() < 5e-6, "{expected}");

    let inspect = |more: &[&str]| {
        inspect_of(
            folder,
            "abc.safetensors",
            "bc.csv",
            &[&TANH_SOFTMAX, more].concat(),
        )
    };
    refused(
        &inspect(&[]),
        &[
            "bc.csv",
            "\"class\"",
            "\"b\", \"c\"",
            "3 outputs",
            "--classes",
        ],
    );
    let found = json(&inspect(&["--classes", "a,b,c"]));
    assert!((number(&found, "loss") - expected).abs() < 1e-12);
    // Another order of the outputs, another loss.
    let turned = json(&inspect(&["--classes", "c,b,a"]));
    let expected_turned = loss_of_abc(&[(0.1, 1), (-0.1, 1), (1.7, 0), (2.0, 0)]);
    assert!((number(&turned, "loss") - expected_turned).abs() < 1e-12);
    for (classes, fragment) in [
        ("a,b", "names 2 classes, expected 3"),
        ("a,b,b", "names \"b\" twice"),
        ("b,c,", "empty name"),
        ("a,b,d", "found \"c\""),
    ] {
        refused(&inspect(&["--classes", classes]), &[fragment]);
    }

    // All classes are there: the order of the outputs is that of the names.
    write(folder, "abc.csv", &format!("{BC}-2,a\n-1.8,a\n"));
    let found = json(&inspect_of(
        folder,
        "abc.safetensors",
        "abc.csv",
        &TANH_SOFTMAX,
    ));
    let all = [
        (0.1, 1),
        (-0.1, 1),
        (1.7, 2),
        (2.0, 2),
        (-2.0, 0),
        (-1.8, 0),
    ];
    assert!((number(&found, "loss") - loss_of_abc(&all)).abs() < 1e-12);

    // The names in the file's metadata do without options, and may not be contradicted.
    let about = r#"{"activation": "tanh", "loss": "softmax", "classes": ["a", "b", "c"], "label": "class"}"#;
    std::fs::write(
        folder.join("said.safetensors"),
        safetensors(&ABC, Some(about)),
    )
    .unwrap();
    let said = |more: &[&str]| {
        let base = [
            "inspect",
            "--weights",
            "said.safetensors",
            "--data",
            "bc.csv",
            "--json",
        ];
        hsr(folder, &[&base[..], more].concat())
    };
    let found = json(&said(&[]));
    assert!((number(&found, "loss") - expected).abs() < 1e-12);
    assert!(
        (number(
            &json(&said(&["--activation", "tanh", "--classes", "a,b,c"])),
            "loss"
        ) - expected)
            .abs()
            < 1e-12
    );
    for (options, fragments) in [
        (
            &["--activation", "relu"][..],
            &["says tanh", "--activation relu"][..],
        ),
        (&["--loss", "mse"], &["says softmax", "--loss mse"]),
        (
            &["--classes", "b,a,c"],
            &["says \"a\", \"b\", \"c\"", "--classes"],
        ),
    ] {
        refused(
            &said(options),
            &[&["said.safetensors", "contradicts"], fragments].concat(),
        );
    }
    // Integers are outputs as they stand, where nothing else is said.
    write(folder, "indices.csv", "x,class\n0.1,1\n1.7,2\n");
    let found = json(&inspect_of(
        folder,
        "abc.safetensors",
        "indices.csv",
        &TANH_SOFTMAX,
    ));
    assert!((number(&found, "loss") - loss_of_abc(&[(0.1, 1), (1.7, 2)])).abs() < 1e-12);
    write(folder, "from-one.csv", "x,class\n0.1,2\n1.7,3\n-2,1\n");
    let from_one = |more: &[&str]| {
        inspect_of(
            folder,
            "abc.safetensors",
            "from-one.csv",
            &[&TANH_SOFTMAX, more].concat(),
        )
    };
    refused(&from_one(&[]), &["from-one.csv", "--classes"]);
    let found = json(&from_one(&["--classes", "1,2,3"]));
    let expected = loss_of_abc(&[(0.1, 1), (1.7, 2), (-2.0, 0)]);
    assert!((number(&found, "loss") - expected).abs() < 1e-12);
}

#[test]
fn metadata_that_does_not_fit_the_tensors_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "bc.csv", BC);
    for (about, fragment) in [
        (
            r#"{"classes": ["a", "b"]}"#,
            "names of 2 classes, expected 3",
        ),
        (
            r#"{"features": ["x", "y"]}"#,
            "names of 2 features, expected 1",
        ),
        (
            r#"{"standardizer": {"mean": [0, 1], "std": [1, 1]}}"#,
            "2 features, expected 1",
        ),
        (
            r#"{"standardizer": {"mean": [0], "std": [0]}}"#,
            "standardises nothing",
        ),
        (r#"{"activation": "tahn"}"#, "cannot be understood"),
        (r#"{"loss": "hinge"}"#, "unknown loss"),
        ("not JSON", "cannot be understood"),
        (
            r#"{"features": ["z"]}"#,
            "lacks \"z\" of the network's features",
        ),
    ] {
        std::fs::write(folder.join("w.safetensors"), safetensors(&ABC, Some(about))).unwrap();
        refused(
            &inspect_of(folder, "w.safetensors", "bc.csv", &TANH_SOFTMAX),
            &[fragment],
        );
    }
}

#[test]
fn tensors_that_would_not_be_used_are_named_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let deep: [(&str, &[usize], &[f64]); 6] = [
        ("fc1.weight", &[2, 1], &[1.0, 1.0]),
        ("fc1.bias", &[2], &[0.0, 0.0]),
        ("fc2.weight", &[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        ("fc2.bias", &[2], &[0.0, 0.0]),
        ("fc3.weight", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
        ("fc3.bias", &[3], &[0.0, 0.0, 0.0]),
    ];
    std::fs::write(folder.join("deep.safetensors"), safetensors(&deep, None)).unwrap();
    write(folder, "bc.csv", BC);
    let keys = [
        "--hidden-key",
        "fc1",
        "--output-key",
        "fc3",
        "--classes",
        "a,b,c",
    ];
    let inspect = |more: &[&str]| {
        inspect_of(
            folder,
            "deep.safetensors",
            "bc.csv",
            &[&TANH_SOFTMAX[..], &keys, more].concat(),
        )
    };
    refused(
        &inspect(&[]),
        &[
            "deep.safetensors",
            "\"fc2.bias\", \"fc2.weight\"",
            "--ignore-unused",
        ],
    );
    assert_eq!(
        number(&json(&inspect(&["--ignore-unused"])), "parameters"),
        13.0
    );
    refused(&inspect(&["--output-key", "fc1"]), &["--output-key"]);
}

/// Three classes that are told apart, named 1, 2 and 3.
fn one_two_three() -> String {
    let rows = (0..60).map(|i| {
        format!(
            "{},{},{}\n",
            i % 7 + 5 * (i % 3),
            i % 11 - 3 * (i % 3),
            i % 3 + 1
        )
    });
    "a,b,y\n".to_owned() + &rows.collect::<String>()
}

/// The rows of a CSV after its header, which is given back first.
fn table_of(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect());
    (rows.next().unwrap(), rows.collect())
}

#[test]
fn what_train_writes_every_other_command_reads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "d.csv", &one_two_three());
    let base = [
        "train", "--data", "d.csv", "--label", "y", "--hidden", "4", "--epochs", "20", "--out",
        "run",
    ];
    let summary = json(&hsr(
        folder,
        &[&base[..], &["--label-noise", "0.1", "--json"]].concat(),
    ));
    assert_eq!(summary["classes"][2]["name"], "3");
    let count = |side: &str| -> u64 {
        let classes = summary["classes"].as_array().unwrap();
        classes
            .iter()
            .map(|class| class[side].as_u64().unwrap())
            .sum()
    };
    assert_eq!((count("train"), count("test")), (45, 15));

    // What became of each row, and of its label.
    let (header, split) = table_of(&folder.join("run/split.csv"));
    assert_eq!(header, ["row", "line", "split", "class", "noisy_class"]);
    assert_eq!(split.len(), 60);
    let noisy = split.iter().filter(|row| !row[4].is_empty()).count();
    assert_eq!(noisy, 5, "a tenth of 45, rounded");
    for (index, row) in split.iter().enumerate() {
        assert_eq!(row[..2], [(index + 1).to_string(), (index + 2).to_string()]);
        assert_eq!(row[3], (index % 3 + 1).to_string());
        assert!(
            row[4].is_empty() || (row[2] == "train" && row[4] != row[3]),
            "{row:?}"
        );
    }
    let tested: Vec<usize> = (0..60).filter(|&index| split[index][2] == "test").collect();
    assert_eq!(tested.len(), 15);

    // The curvature that training ended with, without the table and from the run's own data.
    for network in ["plain", "hsr"] {
        let found = json(&hsr(
            folder,
            &["inspect", "--run", "run", "--network", network, "--json"],
        ));
        for (key, name) in [
            ("loss", "train_loss"),
            ("lambda_max", "lambda_max"),
            ("lambda_sup", "lambda_sup"),
        ] {
            let expected = number(&summary["networks"][network], name);
            assert!(
                (number(&found, key) / expected - 1.0).abs() < 1e-9,
                "{network} {key}"
            );
        }
    }
    let found = json(&hsr(
        folder,
        &["inspect", "--run", "run", "--split", "test", "--json"],
    ));
    let test_loss = number(&summary["networks"]["hsr"], "test_loss");
    assert!((number(&found, "loss") / test_loss - 1.0).abs() < 1e-12);
    let spectrum = json(&hsr(folder, &["spectrum", "--run", "run", "--json"]));
    let expected = number(&summary["networks"]["hsr"], "lambda_max");
    assert!((number(&spectrum, "lambda_max") / expected - 1.0).abs() < 1e-9);

    // Predictions of the rows that were tested on have the scores of the summary.
    let predict = |more: &[&str]| {
        let base = [
            "predict", "--run", "run", "--data", "d.csv", "--out", "p.csv", "--json",
        ];
        hsr(folder, &[&base[..], more].concat())
    };
    let scored = json(&predict(&["--label", "y"]));
    let unscored = json(&predict(&[]));
    assert!(unscored.get("accuracy").is_none());
    let (header, predicted) = table_of(&folder.join("p.csv"));
    assert_eq!(
        header,
        ["class", "probability_1", "probability_2", "probability_3"]
    );
    assert_eq!(predicted.len(), 60);
    let probability = |row: usize, class: usize| predicted[row][1 + class].parse::<f64>().unwrap();
    for (row, fields) in predicted.iter().enumerate() {
        let all: Vec<f64> = (0..3).map(|class| probability(row, class)).collect();
        assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let largest = (0..3).max_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap();
        assert_eq!(fields[0], (largest + 1).to_string());
    }
    let scores = |rows: &[usize]| {
        let right = rows
            .iter()
            .filter(|&&row| predicted[row][0] == split[row][3])
            .count();
        let losses = rows.iter().map(|&row| -probability(row, row % 3).ln());
        let count = rows.len() as f64;
        (right as f64 / count, losses.sum::<f64>() / count)
    };
    let (accuracy, loss) = scores(&tested);
    assert_eq!(accuracy, number(&summary["networks"]["hsr"], "accuracy"));
    assert!((loss / test_loss - 1.0).abs() < 1e-9);
    let (accuracy, loss) = scores(&(0..60).collect::<Vec<_>>());
    assert_eq!(accuracy, number(&scored, "accuracy"));
    assert!((loss / number(&scored, "loss") - 1.0).abs() < 1e-9);
    assert!(number(&scored, "macro_f1") > 0.0 && scored["calibration_error"].is_number());

    // A table without the class 1, its columns in another order, by run and by weights.
    let kept: Vec<usize> = (0..60).filter(|row| row % 3 > 0).collect();
    let rows = kept.iter().map(|i| {
        format!(
            "{},{},{}\n",
            i % 3 + 1,
            *i as i64 % 11 - 3 * (*i as i64 % 3),
            i % 7 + 5 * (i % 3)
        )
    });
    write(
        folder,
        "part.csv",
        &("y,b,a\n".to_owned() + &rows.collect::<String>()),
    );
    let (accuracy, loss) = scores(&kept);
    for network in [
        &["--run", "run"][..],
        &["--weights", "run/model.safetensors"],
    ] {
        let inspect = [&["inspect"][..], network, &["--data", "part.csv", "--json"]].concat();
        let found = json(&hsr(folder, &inspect));
        assert!(
            (number(&found, "loss") / loss - 1.0).abs() < 1e-9,
            "{network:?}"
        );
        let options = [
            "--data", "part.csv", "--label", "y", "--out", "q.csv", "--json",
        ];
        let found = json(&hsr(
            folder,
            &[&["predict"][..], network, &options].concat(),
        ));
        assert_eq!(number(&found, "accuracy"), accuracy);
        assert!(
            (number(&found, "loss") / loss - 1.0).abs() < 1e-9,
            "{network:?}"
        );
    }

    // The run knows its features: another table, other columns, a class that it has not.
    for (content, fragments) in [
        ("a,c,y\n1,2,1\n", &["lacks \"b\""][..]),
        (
            "a,b,y\n1,2,4\n",
            &["line 2", "\"4\"", "\"1\", \"2\", \"3\""],
        ),
    ] {
        write(folder, "other.csv", content);
        let inspect = ["inspect", "--run", "run", "--data", "other.csv"];
        refused(
            &hsr(folder, &inspect),
            &[&["other.csv"], fragments].concat(),
        );
        let predict = [
            "predict",
            "--run",
            "run",
            "--data",
            "other.csv",
            "--label",
            "y",
            "--out",
            "no.csv",
        ];
        refused(
            &hsr(folder, &predict),
            &[&["other.csv"], fragments].concat(),
        );
        assert!(!folder.join("no.csv").exists());
    }
    let standardize = [
        "inspect",
        "--run",
        "run",
        "--data",
        "d.csv",
        "--standardize",
    ];
    refused(&hsr(folder, &standardize), &["--standardize contradicts"]);
    refused(
        &predict(&["--out", "d.csv"]),
        &["--out <FILE.csv>", "cannot be used multiple times"],
    );
    let onto_itself = [
        "predict", "--run", "run", "--data", "d.csv", "--out", "./d.csv",
    ];
    refused(
        &hsr(folder, &onto_itself),
        &["one of the files that are read"],
    );
    assert_eq!(
        std::fs::read_to_string(folder.join("d.csv")).unwrap(),
        one_two_three()
    );
    let nowhere = [
        "predict",
        "--run",
        "run",
        "--data",
        "d.csv",
        "--out",
        "nowhere/p.csv",
    ];
    refused(&hsr(folder, &nowhere), &["nowhere/p.csv"]);

    // The same in config.json, for people and other programs.
    let config = std::fs::read(folder.join("run/config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(
        config["network"]["classes"],
        serde_json::json!(["1", "2", "3"])
    );
    assert_eq!(config["network"]["features"], serde_json::json!(["a", "b"]));
    assert_eq!(config["network"]["loss"], "softmax");
    assert_eq!(
        config["network"]["standardizer"]["mean"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

/// One epoch of the smallest network.
pub(super) fn quick_train(folder: &Path, data: &str, label: &str, more: &[&str]) -> Output {
    let base = [
        "train", "--data", data, "--label", label, "--hidden", "2", "--epochs", "1", "--method",
        "plain",
    ];
    hsr(folder, &[&base[..], &["--json"], more].concat())
}

#[test]
fn a_table_without_a_header_is_told_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = (0..20).map(|i| {
        format!(
            "{},{},{}\n",
            1.5 + 0.1 * f64::from(i),
            2.5 - 0.1 * f64::from(i),
            i % 2
        )
    });
    write(folder, "d.csv", &rows.collect::<String>());
    refused(
        &quick_train(folder, "d.csv", "0", &[]),
        &["d.csv", "line 1", "numbers alone", "--no-header"],
    );
    refused(
        &quick_train(folder, "d.csv", "0", &["--no-header"]),
        &["no label column", "\"1\", \"2\", \"3\""],
    );
    let summary = json(&quick_train(
        folder,
        "d.csv",
        "3",
        &["--no-header", "--out", "run"],
    ));
    assert_eq!(
        number(&summary, "train_samples") + number(&summary, "test_samples"),
        20.0
    );
    // The run knows that its tables have no header.
    let predict = [
        "predict", "--run", "run", "--data", "d.csv", "--label", "3", "--out", "p.csv", "--json",
    ];
    assert_eq!(number(&json(&hsr(folder, &predict)), "samples"), 20.0);
}

#[test]
fn separators_are_recognised_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = |separator: &str| {
        let row = |i: u32| {
            format!(
                "{1}{0}{2}{0}{3}\n",
                separator,
                i % 5,
                i % 7,
                if i % 2 == 1 { "no" } else { "yes" }
            )
        };
        format!("a{separator}b{separator}y\n") + &(0..40).map(row).collect::<String>()
    };
    write(folder, "d.csv", &table(","));
    let expected = json(&quick_train(folder, "d.csv", "y", &["--out", "comma"]));
    for (name, separator, option) in [
        ("semicolon", ";", None),
        ("tab", "\t", None),
        ("space", " ", None),
        ("spaces", "   ", None),
        ("pipe", "|", None),
        ("colon", ":", Some(":")),
        ("named", ";", Some("semicolon")),
    ] {
        write(folder, "d.csv", &table(separator));
        let mut more = vec!["--out", name];
        more.extend(
            option
                .map(|option| ["--separator", option])
                .into_iter()
                .flatten(),
        );
        let found = json(&quick_train(folder, "d.csv", "y", &more));
        for key in ["train_loss", "test_loss"] {
            assert_eq!(
                found["networks"]["plain"][key], expected["networks"]["plain"][key],
                "{name}"
            );
        }
    }
    write(folder, "d.csv", &table(":"));
    refused(
        &quick_train(folder, "d.csv", "y", &[]),
        &["\"a:b:y\"", "--separator"],
    );
    refused(
        &quick_train(folder, "d.csv", "y", &["--separator", "::"]),
        &["--separator", "semicolon"],
    );
}

#[test]
fn labels_that_look_like_regression_are_refused_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = (0..60)
        .map(|i| format!("{},{}\n", i % 9, f64::from(i) * 3.25 + 10.0))
        .collect::<String>();
    write(folder, "price.csv", &format!("rooms,price\n{rows}{rows}"));
    refused(
        &quick_train(folder, "price.csv", "price", &[]),
        &[
            "\"price\" has 60 distinct numbers in 120 rows",
            "regression",
            "--numeric-classes",
        ],
    );
    let compare = [
        "compare",
        "--data",
        "price.csv",
        "--label",
        "price",
        "--out",
        "c",
    ];
    refused(&hsr(folder, &compare), &["regression"]);
    assert!(!folder.join("c").exists());
    let summary = json(&quick_train(
        folder,
        "price.csv",
        "price",
        &["--numeric-classes", "--out", "run"],
    ));
    assert_eq!(summary["classes"].as_array().unwrap().len(), 60);
}

/// Text and missing values in several columns.
fn mixed() -> String {
    let row = |i: usize| {
        let age = if i.is_multiple_of(4) {
            String::new()
        } else {
            (20 + i).to_string()
        };
        let deck = if i.is_multiple_of(5) {
            "NA"
        } else {
            ["A", "B", "C"][i % 3]
        };
        format!(
            "{age},{},{},{deck},{}\n",
            if i.is_multiple_of(3) { "f" } else { "m" },
            7.25 * i as f64,
            i % 2
        )
    };
    "age,sex,fare,deck,alive\n".to_owned() + &(0..40).map(row).collect::<String>()
}

#[test]
fn text_and_missing_values_are_told_at_once_and_options_make_them_work_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "mixed.csv", &mixed());
    refused(
        &quick_train(folder, "mixed.csv", "alive", &[]),
        &[
            "mixed.csv",
            "\"age\" lacks 10 of 40",
            "\"sex\" is text (\"f\" in line 2)",
            "\"deck\" is text (\"B\" in line 3) and lacks 8 of 40",
            "--drop sex,deck or --one-hot sex,deck",
            "--missing drop-rows",
        ],
    );
    let options = [
        "--one-hot",
        "sex",
        "--drop",
        "deck",
        "--missing",
        "drop-rows",
    ];
    let output = quick_train(
        folder,
        "mixed.csv",
        "alive",
        &[&options[..], &["--out", "run"]].concat(),
    );
    assert_eq!(
        text(&output.stderr),
        "warning: PATH: 10 of 40 rows have missing values and are left out\n"
            .replace("PATH", &folder.join("mixed.csv").display().to_string())
    );
    let summary = json(&output);
    assert_eq!(
        number(&summary, "train_samples") + number(&summary, "test_samples"),
        30.0
    );
    let (_, split) = table_of(&folder.join("run/split.csv"));
    let dropped: Vec<&str> = split
        .iter()
        .filter(|row| row[2] == "dropped")
        .map(|row| row[0].as_str())
        .collect();
    assert_eq!(
        dropped,
        ["1", "5", "9", "13", "17", "21", "25", "29", "33", "37"]
    );

    // The choices travel with the network: categories, what is dropped and what is done about missing values.
    write(
        folder,
        "new.csv",
        "fare,deck,age,sex\n7.25,A,30,m\n8,,,f\n9,C,41,f\n",
    );
    let predict = [
        "predict", "--run", "run", "--data", "new.csv", "--out", "p.csv", "--json",
    ];
    let found = json(&hsr(folder, &predict));
    assert_eq!(
        (number(&found, "samples"), number(&found, "unpredicted")),
        (2.0, 1.0)
    );
    let (_, rows) = table_of(&folder.join("p.csv"));
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1], ["", "", ""]);
    assert!(["0", "1"].contains(&rows[2][0].as_str()));
    write(folder, "unknown.csv", "fare,age,sex\n7.25,30,x\n");
    let predict = [
        "predict",
        "--run",
        "run",
        "--data",
        "unknown.csv",
        "--out",
        "q.csv",
    ];
    refused(
        &hsr(folder, &predict),
        &["unknown.csv", "line 2", "\"x\"", "\"f\", \"m\""],
    );

    // Of the same table, inspect has the loss that training has of its splits together.
    let found = json(&hsr(
        folder,
        &["inspect", "--run", "run", "--data", "mixed.csv", "--json"],
    ));
    let network = &summary["networks"]["plain"];
    let (train, test) = (
        number(&summary, "train_samples"),
        number(&summary, "test_samples"),
    );
    let expected =
        (number(network, "train_loss") * train + number(network, "test_loss") * test) / 30.0;
    assert!((number(&found, "loss") / expected - 1.0).abs() < 1e-9);
    assert!(hsr(folder, &["spectrum", "--run", "run"]).status.success());
    refused(
        &hsr(
            folder,
            &[
                "inspect",
                "--run",
                "run",
                "--data",
                "mixed.csv",
                "--one-hot",
                "fare",
            ],
        ),
        &["--one-hot \"fare\" contradicts"],
    );
    refused(
        &hsr(
            folder,
            &[
                "inspect",
                "--run",
                "run",
                "--data",
                "mixed.csv",
                "--drop",
                "fare",
            ],
        ),
        &["--drop \"fare\" contradicts"],
    );

    let base = [
        "compare",
        "--data",
        "mixed.csv",
        "--label",
        "alive",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--out",
        "c",
    ];
    let output = hsr(folder, &[&base[..], &options].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = std::fs::read_to_string(folder.join("c/report.html")).unwrap();
    assert!(
        report.contains("--drop deck --one-hot sex --missing drop-rows"),
        "the command that repeats it"
    );
}

#[test]
fn a_column_that_counts_the_rows_is_told_and_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let row = |i: u32| {
        format!(
            "{i},{},{}\n",
            i * 7 % 13,
            if i * 7 % 13 > 6 { "p" } else { "q" }
        )
    };
    write(
        folder,
        "index.csv",
        &(",x,y\n".to_owned() + &(0..40).map(row).collect::<String>()),
    );
    let output = quick_train(folder, "index.csv", "y", &["--out", "with"]);
    assert!(output.status.success());
    let warned = text(&output.stderr);
    assert_eq!(warned.lines().count(), 1, "{warned}");
    for fragment in [
        "warning: ",
        "index.csv",
        "column \"1\", which has no name, numbers the rows",
        "--drop 1",
    ] {
        assert!(warned.contains(fragment), "{warned}");
    }
    let output = quick_train(
        folder,
        "index.csv",
        "y",
        &["--drop", "1", "--out", "without"],
    );
    assert!(output.status.success() && output.stderr.is_empty());
    let (_, predicted) = {
        let arguments = [
            "predict",
            "--run",
            "without",
            "--data",
            "index.csv",
            "--out",
            "p.csv",
        ];
        let output = hsr(folder, &arguments);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            text(&output.stderr)
        );
        table_of(&folder.join("p.csv"))
    };
    assert_eq!(predicted.len(), 40);
    // Quiet is without warnings, too.
    let quiet = hsr(
        folder,
        &[
            "train",
            "--quiet",
            "--data",
            "index.csv",
            "--label",
            "y",
            "--epochs",
            "1",
            "--out",
            "q",
        ],
    );
    assert!(quiet.status.success() && quiet.stderr.is_empty());
}

#[test]
fn train_tells_the_classes_and_their_samples() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "d.csv", &one_two_three());
    let base = [
        "train", "--data", "d.csv", "--label", "y", "--hidden", "2", "--epochs", "1", "--out",
        "run",
    ];
    let output = hsr(folder, &base);
    assert!(
        text(&output.stdout).contains("3 classes: \"1\" 20, \"2\" 20, \"3\" 20\n"),
        "{}",
        text(&output.stdout)
    );
    // A class of one sample is trained on and cannot be tested.
    write(folder, "single.csv", "a,y\n1,u\n2.5,u\n3,v\n4,v\n9,w\n");
    let output = quick_train(folder, "single.csv", "y", &["--out", "single"]);
    assert!(output.status.success());
    assert!(
        text(&output.stderr).contains("one sample only of class \"w\""),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn values_that_leave_the_range_of_numbers_are_laid_at_their_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = |changed: &[(usize, &str)]| {
        let row = |i: usize| {
            let a = changed.iter().find(|(line, _)| *line == i + 2);
            let a = a.map_or_else(|| (i * 5 % 7).to_string(), |(_, value)| (*value).to_owned());
            format!("{a},{},{}\n", i % 5, i % 2)
        };
        "a,b,y\n".to_owned() + &(0..24).map(row).collect::<String>()
    };
    let constant = "a,y\n".to_owned()
        + &(0..8)
            .map(|i| format!("{},{}\n", if i == 4 { "5e-324" } else { "0" }, i % 2))
            .collect::<String>();
    for (content, line) in [
        (table(&[(6, "1e308")]), "line 6"),
        (table(&[(5, "1.7e308"), (6, "-1.7e308")]), "line 5"),
        (table(&[(7, "1e200")]), "line 7"),
        (constant, "line 6"),
    ] {
        write(folder, "d.csv", &content);
        // Whatever the split.
        for seed in ["0", "1", "2", "3"] {
            let output = quick_train(folder, "d.csv", "y", &["--seed", seed, "--out", "run"]);
            refused(&output, &["d.csv", line, "column \"a\""]);
        }
        let compare = [
            "compare", "--data", "d.csv", "--label", "y", "--out", "c", "--seeds", "2",
        ];
        refused(&hsr(folder, &compare), &["d.csv", line, "column \"a\""]);
        assert!(!folder.join("run").exists() && !folder.join("c").exists());
    }
    write(folder, "d.csv", &table(&[]));
    assert!(
        quick_train(folder, "d.csv", "y", &["--out", "run"])
            .status
            .success()
    );
    write(folder, "d.csv", &table(&[(4, "1e308")]));
    for command in ["inspect", "predict"] {
        let mut arguments = vec![command, "--run", "run", "--data", "d.csv"];
        if command == "predict" {
            arguments.extend(["--out", "p.csv"]);
        }
        refused(
            &hsr(folder, &arguments),
            &["d.csv", "line 4", "column \"a\""],
        );
    }
}
