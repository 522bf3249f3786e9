//! `hsr train --method X` for every X and backend, part of the suite of the command line.

use hsr_tests::cpu_backends;
use serde_json::Value;

use super::{hsr, json, number, refused, text, train};

const METHODS: [&str; 15] = [
    "hsr",
    "sam",
    "asam",
    "gsam",
    "fsam",
    "looksam",
    "wsam",
    "nso",
    "eigen-sam",
    "trace",
    "lambda-max",
    "frobenius",
    "gradient-norm",
    "weight-decay",
    "label-smoothing",
];

fn networks<'a>(summary: &'a Value, method: &str) -> [&'a Value; 2] {
    [&summary["networks"]["plain"], &summary["networks"][method]]
}

#[test]
fn every_method_trains_and_cpu_backends_agree() {
    let folder = tempfile::tempdir().unwrap();
    for method in METHODS {
        let summaries: Vec<Value> = cpu_backends()
            .into_iter()
            .map(|backend| {
                let out = format!("{method}-{backend}");
                let arguments = [
                    "--method",
                    method,
                    "--backend",
                    backend,
                    "--strength",
                    "0.1",
                    "--out",
                    &out,
                    "--json",
                ];
                json(&train(folder.path(), &arguments))
            })
            .collect();
        let [plain, other] = networks(&summaries[0], method);
        for summary in &summaries {
            let [_, same] = networks(summary, method);
            for key in ["train_loss", "lambda_max", "lambda_sup", "grad_norm"] {
                let (a, b) = (number(other, key), number(same, key));
                assert!((a - b).abs() <= 1e-3 * a.abs(), "{method} {key}: {a} {b}");
            }
        }
        let lambda_sup = number(other, "lambda_sup");
        assert!(
            lambda_sup > 0.0 && lambda_sup != number(plain, "lambda_sup"),
            "{method}"
        );
    }
}

/// What each method descends is smaller after training with it than after training without: λ_sup, λ_max and ‖∇L‖ are
/// in the summary; for SAM λ_max, which it is made to lower.
#[test]
fn methods_lower_what_they_descend() {
    let folder = tempfile::tempdir().unwrap();
    for (method, strength, key) in [
        ("hsr", "0.1", "lambda_sup"),
        ("lambda-max", "0.1", "lambda_max"),
        ("gradient-norm", "0.05", "grad_norm"),
        ("sam", "0.3", "lambda_max"),
        ("asam", "0.5", "lambda_max"),
        ("gsam", "0.3", "lambda_max"),
        ("looksam", "0.3", "lambda_max"),
        ("wsam", "0.3", "lambda_max"),
        ("nso", "0.3", "lambda_max"),
        ("eigen-sam", "0.3", "lambda_max"),
    ] {
        let arguments = [
            "train",
            "--task",
            "iris",
            "--hidden",
            "4",
            "--epochs",
            "100",
            "--batch",
            "full",
            "--lr",
            "0.5",
            "--method",
            method,
            "--strength",
            strength,
            "--out",
            method,
            "--json",
        ];
        let summary = json(&hsr(folder.path(), &arguments));
        let [plain, other] = networks(&summary, method).map(|network| number(network, key));
        assert!(other < 0.99 * plain, "{method}: {key} {plain} to {other}");
    }
}

#[test]
fn strength_zero_is_the_plain_network_bit_for_bit_whatever_the_method() {
    let folder = tempfile::tempdir().unwrap();
    for method in METHODS {
        let arguments = [
            "--method",
            method,
            "--strength",
            "0",
            "--optimizer",
            "adam",
            "--out",
            method,
            "--json",
        ];
        json(&train(folder.path(), &arguments));
        let run = folder.path().join(method);
        let weights = |file: &str| std::fs::read(run.join(file)).unwrap();
        let tensors = |bytes: Vec<u8>| {
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let mut all: Vec<_> = file
                .tensors()
                .into_iter()
                .map(|(name, view)| (name, view.data().to_vec()))
                .collect();
            all.sort();
            all
        };
        let [plain, other] =
            ["plain.safetensors", "model.safetensors"].map(|it| tensors(weights(it)));
        assert_eq!(plain, other, "{method}");
    }
}

#[test]
fn a_mode_is_refused_where_nothing_is_added_to_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["plain", "sam", "asam", "looksam"] {
        let arguments = ["--method", method, "--mode", "direction", "--out", "never"];
        refused(&train(folder.path(), &arguments), &["--mode", method]);
        assert!(!folder.path().join("never").exists());
    }
}

#[test]
fn every_method_trains_on_wgpu_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let required = std::env::var_os("HSR_REQUIRE_WGPU").is_some();
    for method in METHODS {
        let run = |backend: &str| {
            let out = format!("{method}-{backend}");
            let arguments = [
                "train",
                "--task",
                "iris",
                "--hidden",
                "3",
                "--epochs",
                "2",
                "--batch",
                "full",
                "--backend",
                backend,
                "--method",
                method,
                "--out",
                &out,
                "--json",
            ];
            hsr(folder.path(), &arguments)
        };
        let output = run("wgpu");
        if !output.status.success() {
            assert!(!required, "{}", text(&output.stderr));
            println!("SKIPPED: {}", text(&output.stderr));
            refused(&output, &["wgpu"]);
            return;
        }
        let [gpu, cpu] = [json(&output), json(&run("flex"))]
            .map(|summary| number(networks(&summary, method)[1], "lambda_sup"));
        assert!(
            (gpu - cpu).abs() <= 1e-3 * cpu.abs(),
            "{method}: {gpu} {cpu}"
        );
    }
}

/// Without a number the spectrum narrows and the score stays; a rule is read, kept in the files and refused where it has no
/// meaning.
#[test]
fn no_strength_is_auto_and_rules_are_options() {
    let folder = tempfile::tempdir().unwrap();
    let wine = |arguments: &[&str]| {
        let base = ["train", "--task", "wine", "--epochs", "200", "--json"];
        hsr(folder.path(), &[&base[..], arguments].concat())
    };
    let summary = json(&wine(&["--out", "auto"]));
    let [plain, hsr] = networks(&summary, "hsr");
    let ratio = number(hsr, "lambda_max") / number(plain, "lambda_max");
    assert!(ratio < 0.8, "{ratio}");
    assert!(number(hsr, "macro_f1") > number(plain, "macro_f1") - 0.03);
    let stored = |out: &str| -> Value {
        let config = folder.path().join(out).join("config.json");
        serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap()
    };
    assert_eq!(stored("auto")["config"]["strength"], "auto");
    let same = json(&wine(&["--strength", "auto", "--out", "same"]));
    assert_eq!(networks(&same, "hsr")[1]["lambda_max"], hsr["lambda_max"]);
    json(&wine(&["--strength", "relative:0.5", "--out", "relative"]));
    assert_eq!(stored("relative")["config"]["strength"], "relative:0.5");
    json(&wine(&["--strength", "0.05", "--out", "fixed"]));
    assert_eq!(stored("fixed")["config"]["strength"], 0.05);
    for (arguments, fragments) in [
        (
            &["--strength", "relative"][..],
            &["--strength", "relative:X"][..],
        ),
        (
            &["--method", "sam", "--strength", "auto"],
            &["--strength is auto", "a number", "sam"],
        ),
        (
            &["--method", "sam", "--warmup", "5"],
            &["--warmup", "penalty"],
        ),
        (&["--interval", "0"], &["--interval", "at least 1"]),
        (
            &["--class-weights", "1,2"],
            &["--class-weights has 2", "expected 3"],
        ),
        (
            &["--label-smoothing", "2"],
            &["--label-smoothing", "0 to 1"],
        ),
        (
            &["--method", "weight-decay", "--weight-decay", "0.1"],
            &["--weight-decay", "--strength"],
        ),
    ] {
        refused(&wine(&[arguments, &["--out", "never"]].concat()), fragments);
        assert!(!folder.path().join("never").exists());
    }
}

/// Each option changes what is trained, and a fixed strength that is far too large is told in one line.
#[test]
fn every_refinement_changes_training_and_too_much_strength_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |arguments: &[&str]| {
        let out = format!("out{}", arguments.join(""));
        let output = train(
            folder.path(),
            &[arguments, &["--out", &out, "--json"]].concat(),
        );
        json(&output);
        std::fs::read(folder.path().join(out).join("model.safetensors")).unwrap()
    };
    let plain = weights(&[]);
    for option in [
        &["--warmup", "20"][..],
        &["--cosine", "20"],
        &["--stop-after", "5"],
        &["--interval", "2"],
        &["--subsample", "8"],
        &["--weight-decay", "0.01"],
        &["--label-smoothing", "0.1"],
        &["--class-weights", "1,2,3"],
        &["--early-stopping"],
        &["--strength", "safe:0.001"],
    ] {
        assert!(weights(option) != plain, "{option:?}");
    }
    let strong = [
        "--task",
        "digits",
        "--epochs",
        "20",
        "--strength",
        "1",
        "--out",
        "strong",
    ];
    let output = hsr(folder.path(), &[&["train"][..], &strong].concat());
    let warning = text(&output.stderr);
    assert!(warning.contains("hsr outweighs the loss"), "{warning}");
    assert!(warning.contains("--strength auto") && warning.trim_end().lines().count() == 1);
}
