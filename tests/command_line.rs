//! The `hsr` command as other programs meet it: exit codes, one-line errors, JSON keys, run directories.

mod compare;
mod data_cases;
mod deep;
mod foreign_weights;
mod guidance;
mod hostile;
mod limits;
mod methods;
mod mnist;
mod report;
mod reproduction;
mod saved_run;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use burn_hsr::Backend;
use hsr_tests::golden::{Golden, cases};
use hsr_tests::{cpu_backends, relative_error};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The program, see `program.rs`.
fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_hsr-under-test"))
}

fn hsr(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The JSON object that a command printed.
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert_eq!(
        out.trim_end().lines().count(),
        1,
        "one JSON object and nothing else: {out}"
    );
    serde_json::from_str(&out).expect("JSON")
}

/// Asserts bad input: code 2, nothing on standard output, one line that holds every fragment.
fn refused(output: &Output, fragments: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty());
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    for fragment in fragments {
        assert!(error.contains(fragment), "{fragment:?} in {error:?}");
    }
}

fn weights(case: &Golden) -> Vec<u8> {
    let bytes = |values: &[f64]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut tensors = vec![
        (
            "hidden.weight",
            bytes(&case.hidden_weight),
            vec![case.hidden, case.inputs],
        ),
        (
            "output.weight",
            bytes(&case.output_weight),
            vec![case.outputs, case.hidden],
        ),
    ];
    if let Some(bias) = &case.hidden_bias_values {
        tensors.push(("hidden.bias", bytes(bias), vec![case.hidden]));
    }
    if let Some(bias) = &case.output_bias_values {
        tensors.push(("output.bias", bytes(bias), vec![case.outputs]));
    }
    let views = tensors.iter().map(|(name, bytes, shape)| {
        (
            *name,
            TensorView::new(Dtype::F64, shape.clone(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

/// The labels as a CSV column, where one column can hold them.
fn labels(case: &Golden) -> Option<Vec<String>> {
    if let Some(classes) = case.classes() {
        return Some(classes.iter().map(usize::to_string).collect());
    }
    let numbers = case.loss_kind == "mse" && case.outputs == 1;
    numbers.then(|| case.y.iter().map(f64::to_string).collect())
}

fn csv(case: &Golden, labels: &[String]) -> String {
    let header: Vec<String> = (0..case.inputs).map(|e| format!("x{e}")).collect();
    let mut text = format!("{},weight,label\n", header.join(","));
    for (n, row) in case.x.chunks(case.inputs).enumerate() {
        let row: Vec<String> = row.iter().map(f64::to_string).collect();
        text += &format!(
            "{},{},{}\n",
            row.join(","),
            case.sample_weights[n],
            labels[n]
        );
    }
    text
}

fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} is a number in {value}"))
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        other => vec![other.as_f64().expect("a number")],
    }
}

#[test]
fn inspect_reproduces_every_golden_case_that_its_interface_can_express() {
    let folder = tempfile::tempdir().unwrap();
    let mut expressed = 0;
    for case in cases() {
        let Some(labels) = labels(&case) else {
            continue;
        };
        expressed += 1;
        std::fs::write(folder.path().join("w.safetensors"), weights(&case)).unwrap();
        std::fs::write(folder.path().join("d.csv"), csv(&case, &labels)).unwrap();
        let changes = [
            ("--activation", case.activation.as_str()),
            ("--loss", case.loss_kind.as_str()),
        ];
        let mut arguments = inspect_arguments(&changes);
        arguments.extend(["--gradient", "--eigenvalues", "--json"]);
        let output = hsr(folder.path(), &arguments);
        let found = json(&output);
        let name = &case.name;
        assert_eq!(number(&found, "parameters") as usize, case.parameters);
        assert_eq!(number(&found, "samples") as usize, case.samples);
        let last = case.eigenvalues.len() - 1;
        for (key, golden) in [
            ("loss", case.loss),
            ("trace", case.trace),
            ("frobenius_squared", case.frobenius_squared),
            ("mean", case.mean),
            ("std", case.std),
            ("lambda_sup", case.lambda_sup),
            ("lambda_inf", case.lambda_inf),
            ("lambda_max_lower", case.lambda_max_lower),
            ("lambda_min_upper", case.lambda_min_upper),
            (
                "spread_upper",
                case.std * (2.0 * case.parameters as f64).sqrt(),
            ),
            ("lambda_max", case.eigenvalues[last]),
            ("lambda_min", case.eigenvalues[0]),
            ("tightness", case.lambda_sup / case.eigenvalues[last]),
        ] {
            let error = relative_error(&[number(&found, key)], &[golden], 1e-3 * case.lambda_sup);
            assert!(error < 1e-9, "{name} {key}: {error:e}");
        }
        let share = number(&found, "gauss_newton_share");
        assert!((0.0..=1.0).contains(&share), "{name}: {share}");
        assert!(["assembled", "gram", "mixed"].contains(&found["evaluation"].as_str().unwrap()));
        assert_eq!(found["eigenvalue_method"], "dense");
        let error = relative_error(&flat(&found["eigenvalues"]), &case.eigenvalues, 0.0);
        assert!(error < 1e-9, "{name} eigenvalues: {error:e}");
        let layers = [
            "hidden.weight",
            "hidden.bias",
            "output.weight",
            "output.bias",
        ];
        let gradient: Vec<f64> = layers
            .iter()
            .filter_map(|key| found["gradient"].get(*key))
            .flat_map(flat)
            .collect();
        assert!(
            relative_error(&gradient, &case.grad, 0.0) < 1e-9,
            "{name} gradient"
        );
        let inputs = flat(&found["input_gradient"]);
        assert!(
            relative_error(&inputs, &case.input_grad, 0.0) < 1e-9,
            "{name} input gradient"
        );
    }
    assert!(expressed >= 18, "{expressed} cases expressed");
}

/// A folder with the weights and the data of a golden case.
fn case_folder(name: &str) -> (tempfile::TempDir, Golden) {
    let case = cases().into_iter().find(|case| case.name == name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.safetensors"), weights(&case)).unwrap();
    std::fs::write(
        folder.path().join("d.csv"),
        csv(&case, &labels(&case).unwrap()),
    )
    .unwrap();
    (folder, case)
}

/// `hsr inspect` on the files of a case's folder.
const INSPECT: [&str; 13] = [
    "inspect",
    "--weights",
    "w.safetensors",
    "--data",
    "d.csv",
    "--label",
    "label",
    "--weight-column",
    "weight",
    "--activation",
    "tanh",
    "--loss",
    "softmax",
];

/// [`INSPECT`] with other values, or more options.
fn inspect_arguments<'a>(changes: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let mut arguments = INSPECT.to_vec();
    for &(option, value) in changes {
        match arguments.iter().position(|&argument| argument == option) {
            Some(at) => arguments[at + 1] = value,
            None => arguments.extend([option, value]),
        }
    }
    arguments
}

fn inspect(folder: &Path, changes: &[(&str, &str)]) -> Output {
    let mut arguments = inspect_arguments(changes);
    arguments.push("--json");
    hsr(folder, &arguments)
}

#[test]
fn inspect_reports_the_measures_that_have_a_meaning_for_the_loss() {
    let always = [
        "grad_norm",
        "weight_norm",
        "indefinite_share",
        "adaptive_sharpness",
        "adaptive_grad_norm",
        "adaptive_worst_case",
        "relative_flatness",
    ];
    let of_logits = [
        "logit_scale",
        "logit_normalized_lambda_max",
        "logit_normalized_trace",
        "logit_normalized_adaptive_sharpness",
        "margin_mean",
        "margin_min",
        "normalized_margin_mean",
        "normalized_margin_min",
    ];
    for (name, loss, activation, has_logits) in [
        ("tanh-softmax-d2h3k3n20-b11", "softmax", "tanh", true),
        ("tanh-sigmoid-d2h5k1n25-b11", "sigmoid", "tanh", true),
        ("gelu-mse-d5h3k1n9-b01-weighted", "mse", "gelu", false),
    ] {
        let (folder, case) = case_folder(name);
        let changes = [("--loss", loss), ("--activation", activation)];
        let found = json(&inspect(folder.path(), &changes));
        for key in always {
            assert!(number(&found, key) > 0.0, "{name} {key}");
        }
        for key in of_logits {
            assert_eq!(found[key].is_number(), has_logits, "{name} {key}");
            assert!(found.get(key).is_some(), "{name} {key}");
        }
        // What the JSON has of its own agrees with them.
        let share = number(&found, "gauss_newton_share");
        assert!((number(&found, "indefinite_share") + share - 1.0).abs() < 1e-12);
        let theta = [&case.hidden_weight, &case.output_weight];
        let biases = [&case.hidden_bias_values, &case.output_bias_values];
        let all = theta.into_iter().chain(biases.into_iter().flatten());
        let squares: f64 = all.flatten().map(|v| v * v).sum();
        assert!((number(&found, "weight_norm") - squares.sqrt()).abs() < 1e-12);
        let table = [
            "--weights",
            "w.safetensors",
            "--data",
            "d.csv",
            "--label",
            "label",
            "--weight-column",
            "weight",
            "--activation",
            activation,
            "--loss",
            loss,
        ];
        let table = text(&hsr(folder.path(), &[&["inspect"][..], &table].concat()).stdout);
        assert!(table.contains("adaptive sharpness") && table.contains("relative flatness"));
    }
}

#[test]
fn inspect_refuses_bad_input_in_one_clear_line() {
    let (folder, case) = case_folder("tanh-softmax-d2h3k3n20-b11");
    let folder = folder.path();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let good = csv(&case, &labels(&case).unwrap());
    let line = |number: usize| good.lines().nth(number - 1).unwrap().to_owned();

    refused(
        &inspect(folder, &[("--label", "species")]),
        &["d.csv", "species", "x0"],
    );
    write(
        "nan.csv",
        good.replace(
            &line(4),
            &line(4).replacen(line(4).split(',').next().unwrap(), "NaN", 1),
        )
        .as_bytes(),
    );
    refused(
        &inspect(folder, &[("--data", "nan.csv")]),
        &["nan.csv", "line 4", "x0", "NaN", "finite"],
    );
    write(
        "text.csv",
        good.replace(&line(3), &format!("a{}", line(3))).as_bytes(),
    );
    refused(
        &inspect(folder, &[("--data", "text.csv")]),
        &["text.csv", "line 3", "x0"],
    );
    write(
        "ragged.csv",
        good.replace(&line(5), &format!("{},1", line(5))).as_bytes(),
    );
    refused(
        &inspect(folder, &[("--data", "ragged.csv")]),
        &["ragged.csv", "line 5"],
    );
    let mut outside = labels(&case).unwrap();
    outside[6] = "7".to_owned();
    write("outside.csv", csv(&case, &outside).as_bytes());
    refused(
        &inspect(folder, &[("--data", "outside.csv")]),
        &["outside.csv", "line 8", "7"],
    );
    write(
        "wide.csv",
        good.replace("x0,", "x0,y0,")
            .replace('\n', "\n0,")
            .trim_end_matches("0,")
            .as_bytes(),
    );
    refused(
        &inspect(folder, &[("--data", "wide.csv")]),
        &["3 feature columns, expected 2"],
    );
    refused(&inspect(folder, &[("--data", "none.csv")]), &["none.csv"]);
    refused(
        &inspect(folder, &[("--loss", "sigmoid")]),
        &["d.csv", "label"],
    );
    refused(
        &inspect(folder, &[("--activation", "tanhh")]),
        &["tanhh", "sigmoid"],
    );

    let whole = weights(&case);
    write("cut.safetensors", &whole[..whole.len() - 9]);
    refused(
        &inspect(folder, &[("--weights", "cut.safetensors")]),
        &["cut.safetensors", "safetensors"],
    );
    write("empty.safetensors", b"");
    refused(
        &inspect(folder, &[("--weights", "empty.safetensors")]),
        &["empty.safetensors"],
    );
    refused(
        &inspect(folder, &[("--hidden-key", "fc1")]),
        &["fc1.weight", "hidden.weight", "--hidden-key"],
    );
    let mut other = case.clone();
    other.output_weight.truncate(6);
    other.output_bias_values = None;
    other.outputs = 2;
    other.hidden = 3;
    let bytes: Vec<u8> = other
        .output_weight
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let hidden: Vec<u8> = case
        .hidden_weight
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let views = [
        (
            "hidden.weight",
            TensorView::new(Dtype::F64, vec![3, 2], &hidden).unwrap(),
        ),
        (
            "output.weight",
            TensorView::new(Dtype::F64, vec![3, 2], &bytes).unwrap(),
        ),
    ];
    write(
        "shapes.safetensors",
        &safetensors::serialize(views, None).unwrap(),
    );
    refused(
        &inspect(folder, &[("--weights", "shapes.safetensors")]),
        &["output.weight", "[3, 2]", "[outputs, 3]"],
    );
    let mut poisoned = case.clone();
    poisoned.hidden_weight[2] = f64::NAN;
    write("nan.safetensors", &weights(&poisoned));
    refused(
        &inspect(folder, &[("--weights", "nan.safetensors")]),
        &["hidden.weight", "NaN", "index 2"],
    );
}

/// PyTorch's network on irises, with what PyTorch's own Hessian says (`examples/data/README.md`): it was trained on
/// standardised features.
#[test]
fn inspect_standardises_features_where_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = |file: &str| root.join(file).to_str().unwrap().to_owned();
    let weights = path("examples/data/iris_pytorch.safetensors");
    let data = path("crates/hsr-lab/data/iris.csv");
    let mut arguments = vec!["inspect", "--json", "--weights", &weights, "--data", &data];
    arguments.extend([
        "--label",
        "class",
        "--activation",
        "tanh",
        "--loss",
        "softmax",
    ]);
    arguments.extend(["--hidden-key", "fc1", "--output-key", "fc2"]);
    let raw = json(&hsr(folder.path(), &arguments));
    assert!(raw["loss"].as_f64().unwrap() > 1.0);
    arguments.push("--standardize");
    let found = json(&hsr(folder.path(), &arguments));
    for (name, expected) in [
        ("loss", 0.046680114763),
        ("lambda_max", 1.047913915383),
        ("lambda_min", -0.001772856082),
        ("trace", 1.533079152177),
    ] {
        let value = found[name].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-10, "{name}: {value}");
    }
}

#[test]
fn inspect_takes_lanczos_where_the_hessian_is_too_large_to_form() {
    // 70 inputs, 30 hidden units, 4 classes: 2254 parameters.
    let folder = tempfile::tempdir().unwrap();
    let value = |i: usize| ((i * 7919 % 1013) as f32 / 506.5 - 1.0) * 0.3;
    let tensor = |count: usize, from: usize| -> Vec<u8> {
        (from..from + count)
            .flat_map(|i| value(i).to_le_bytes())
            .collect()
    };
    let (w1, w2) = (tensor(30 * 70, 0), tensor(4 * 30, 9999));
    let (b1, b2) = (tensor(30, 5), tensor(4, 77));
    let views = [
        (
            "fc.weight",
            TensorView::new(Dtype::F32, vec![30, 70], &w1).unwrap(),
        ),
        (
            "fc.bias",
            TensorView::new(Dtype::F32, vec![30], &b1).unwrap(),
        ),
        (
            "head.weight",
            TensorView::new(Dtype::F32, vec![4, 30], &w2).unwrap(),
        ),
        (
            "head.bias",
            TensorView::new(Dtype::F32, vec![4], &b2).unwrap(),
        ),
    ];
    std::fs::write(
        folder.path().join("w.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
    let header: Vec<String> = (0..70).map(|e| format!("f{e}")).collect();
    let mut data = format!("{},weight,label\n", header.join(","));
    for n in 0..40 {
        let row: Vec<String> = (0..70)
            .map(|e| (5.0 * value(31 * n + 3 * e)).to_string())
            .collect();
        data += &format!("{},1,{}\n", row.join(","), ["a", "b", "c", "d"][n % 4]);
    }
    std::fs::write(folder.path().join("d.csv"), data).unwrap();
    let keys = [("--hidden-key", "fc"), ("--output-key", "head")];
    let found = json(&inspect(folder.path(), &keys));
    assert_eq!(found["eigenvalue_method"], "lanczos");
    assert_eq!(found["lanczos"]["converged"], true);
    let (max, min) = (number(&found, "lambda_max"), number(&found, "lambda_min"));
    assert!(max <= number(&found, "lambda_sup") && max >= number(&found, "lambda_max_lower"));
    assert!(min >= number(&found, "lambda_inf") && min <= number(&found, "lambda_min_upper"));
    let mut arguments = vec!["--eigenvalues"];
    arguments.extend(keys.iter().flat_map(|&(name, value)| [name, value]));
    let output = hsr(
        folder.path(),
        &[&INSPECT[..], &["--json"], &arguments].concat(),
    );
    refused(&output, &["--eigenvalues", "2254", "2048"]);
}

fn train(folder: &Path, arguments: &[&str]) -> Output {
    let base = ["train", "--task", "iris", "--hidden", "4", "--epochs", "8"];
    hsr(folder, &[&base[..], arguments].concat())
}

#[test]
fn train_leaves_a_run_directory_and_a_summary() {
    let folder = tempfile::tempdir().unwrap();
    let output = train(folder.path(), &["--out", "run", "--json"]);
    let summary = json(&output);
    for network in ["plain", "hsr"] {
        let network = &summary["networks"][network];
        for key in [
            "train_loss",
            "accuracy",
            "macro_f1",
            "lambda_max",
            "lambda_min",
            "lambda_sup",
            "tightness",
            "negative_eigenvalues",
            "seconds_per_step",
        ] {
            assert!(network[key].is_number(), "{key} in {network}");
        }
        assert!(number(network, "lambda_sup") >= number(network, "lambda_max"));
        let measures = &network["measures"];
        for key in [
            "adaptive_sharpness",
            "adaptive_worst_case",
            "relative_flatness",
            "logit_normalized_lambda_max",
            "logit_normalized_trace",
            "weight_norm",
            "margin_mean",
            "margin_min",
        ] {
            assert!(measures[key].is_number(), "{key} in {measures}");
        }
        let norm = number(measures, "grad_norm") / number(network, "grad_norm");
        assert!((norm - 1.0).abs() < 1e-12);
        assert_eq!(measures["eigenvalues_converged"], true);
    }
    let run = folder.path().join("run");
    for file in [
        "config.json",
        "metrics.csv",
        "summary.json",
        "model.safetensors",
        "plain.safetensors",
        "checkpoint.safetensors",
        "spectrum.svg",
        "spectrum.png",
        "training.svg",
        "training.png",
    ] {
        assert!(run.join(file).metadata().unwrap().len() > 100, "{file}");
    }
    let left: Vec<String> = std::fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "temporary files left: {left:?}");
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    assert_eq!(
        metrics.lines().count(),
        1 + 2 * 8,
        "a row an epoch and network"
    );
    let stored: Value =
        serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(stored, summary);

    // What was trained can be inspected: the same curvature, from standardised data that the user would make.
    let model = std::fs::read(run.join("model.safetensors")).unwrap();
    let model = SafeTensors::deserialize(&model).unwrap();
    assert_eq!(model.tensor("hidden.weight").unwrap().shape(), [4, 4]);
    assert_eq!(model.tensor("output.weight").unwrap().shape(), [3, 4]);

    refused(
        &train(folder.path(), &["--out", "run"]),
        &["run", "not empty"],
    );
    refused(
        &train(folder.path(), &["--resume", "run"]),
        &["--", "--resume"],
    );
}

#[test]
fn the_same_seed_gives_the_same_networks_and_another_seed_others() {
    let folder = tempfile::tempdir().unwrap();
    let model = |out: &str, seed: &str| {
        let output = train(folder.path(), &["--out", out, "--seed", seed]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        std::fs::read(folder.path().join(out).join("model.safetensors")).unwrap()
    };
    assert_eq!(model("a", "5"), model("b", "5"));
    assert_ne!(model("a2", "5"), model("c", "6"));
}

#[test]
fn method_plain_trains_one_network_and_strength_zero_equals_it() {
    let folder = tempfile::tempdir().unwrap();
    let summary = json(&train(
        folder.path(),
        &["--method", "plain", "--out", "plain", "--json"],
    ));
    assert_eq!(summary["networks"].as_object().unwrap().len(), 1);
    json(&train(
        folder.path(),
        &["--strength", "0", "--out", "zero", "--json"],
    ));
    let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
    let tensor = |bytes: &[u8]| {
        SafeTensors::deserialize(bytes)
            .unwrap()
            .tensor("hidden.weight")
            .unwrap()
            .data()
            .to_vec()
    };
    assert_eq!(
        tensor(&read("plain/model.safetensors")),
        tensor(&read("zero/model.safetensors"))
    );
}

/// The rows of `metrics.csv` without the seconds, which no run repeats.
fn metrics(run: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    text.lines()
        .map(|line| line.rsplit_once(',').unwrap().0.to_owned())
        .collect()
}

/// Starts a run in a directory and sends it Ctrl-C once it has written the file `moment`.
#[cfg(unix)]
fn interrupt(folder: &Path, arguments: &[&str], run: &Path, moment: &str) {
    let mut child = Command::new(program())
        .args(arguments)
        .current_dir(folder)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !run.join(moment).exists() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let signal = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signal.success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "stopped before the end");
    assert!(!run.join("summary.json").exists());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_resumes_to_bit_identical_results() {
    let folder = tempfile::tempdir().unwrap();
    for (method, optimizer, moment) in [
        ("hsr", "adam", "checkpoint.safetensors"),
        ("hsr", "momentum", "config.json"),
        ("sam", "momentum", "checkpoint.safetensors"),
        ("lambda-max", "adam", "checkpoint.safetensors"),
    ] {
        let options = [
            "train",
            "--task",
            "wine",
            "--hidden",
            "8",
            "--epochs",
            "1500",
            "--optimizer",
            optimizer,
            "--method",
            method,
        ];
        let whole = format!("whole-{method}-{optimizer}");
        let output = hsr(folder.path(), &[&options[..], &["--out", &whole]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));

        let cut = format!("cut-{method}-{optimizer}");
        let run = folder.path().join(&cut);
        // As soon as the run has begun, or as it has saved for the first time.
        let arguments = [&options[..], &["--out", &cut]].concat();
        interrupt(folder.path(), &arguments, &run, moment);

        let output = hsr(folder.path(), &["train", "--resume", &cut, "--json"]);
        let resumed = json(&output);
        let whole = folder.path().join(&whole);
        for file in ["model.safetensors", "plain.safetensors"] {
            let read = |run: &Path| std::fs::read(run.join(file)).unwrap();
            assert_eq!(read(&run), read(&whole), "{optimizer} {file}");
        }
        assert_eq!(metrics(&run), metrics(&whole), "{optimizer}");
        let stored: Value =
            serde_json::from_slice(&std::fs::read(whole.join("summary.json")).unwrap()).unwrap();
        assert_eq!(
            number(&resumed["networks"][method], "lambda_sup"),
            number(&stored["networks"][method], "lambda_sup")
        );
        assert_eq!(
            number(&resumed["networks"][method], "steps"),
            number(&stored["networks"][method], "steps")
        );
        // A finished run resumed is the finished run.
        json(&hsr(folder.path(), &["train", "--resume", &cut, "--json"]));
    }
}

#[test]
fn train_refuses_bad_options_before_it_writes_anything() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |arguments: &[&str], fragments: &[&str]| {
        let output = hsr(
            folder.path(),
            &[&["train", "--out", "never"], arguments].concat(),
        );
        refused(&output, fragments);
        assert!(!folder.path().join("never").exists(), "{arguments:?}");
    };
    refuse(&["--task", "irsi"], &["irsi", "iris"]);
    refuse(&["--backend", "gpu"], &["gpu", "flex, ndarray", "remote"]);
    refuse(&["--backend", "flex:1"], &["flex", "1"]);
    refuse(&["--backend", "cuda:x"], &["cuda", "x"]);
    refuse(&["--strength", "-1"], &["--strength", "-1"]);
    refuse(&["--lr", "0"], &["--lr"]);
    refuse(&["--hidden", "0"], &["--hidden"]);
    refuse(&["--test-fraction", "1.5"], &["1.5"]);
    refuse(
        &["--task", "wine", "--overlap", "0.5"],
        &["overlap", "wine"],
    );
    refuse(
        &["--task", "gaussians", "--covariance", "1,2,1"],
        &["covariance"],
    );
    refuse(&["--data", "missing.csv", "--label", "y"], &["missing.csv"]);
    std::fs::write(folder.path().join("bad.csv"), "a,b,y\n1,2,u\n3,oops,v\n").unwrap();
    refuse(
        &["--data", "bad.csv", "--label", "y"],
        &["bad.csv", "line 3", "\"b\"", "oops"],
    );
    std::fs::write(folder.path().join("one.csv"), "a,y\n1,u\n2,u\n").unwrap();
    refuse(&["--data", "one.csv", "--label", "y"], &["one.csv"]);
    for arguments in [
        &["train", "--epochs", "many"][..],
        &["train", "--method", "sgd"],
        &["nonsense"],
    ] {
        refused(
            &hsr(folder.path(), arguments),
            &[arguments[arguments.len() - 1]],
        );
    }
    std::fs::write(folder.path().join("file"), "").unwrap();
    let output = hsr(
        folder.path(),
        &["train", "--task", "iris", "--out", "file/run"],
    );
    refused(&output, &["file/run"]);
    refused(
        &hsr(folder.path(), &["train", "--resume", "nowhere"]),
        &["nowhere"],
    );
}

#[test]
fn a_csv_of_the_users_own_is_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = "size,colour,kind\n".to_owned();
    for i in 0..60 {
        let (x, y) = (f64::from(i % 7), f64::from(i % 11));
        data += &format!("{x},{y},{}\n", if x + y > 8.0 { "large" } else { "small" });
    }
    std::fs::write(folder.path().join("mine.csv"), data).unwrap();
    let output = hsr(
        folder.path(),
        &[
            "train", "--data", "mine.csv", "--label", "kind", "--epochs", "30", "--batch", "full",
            "--json",
        ],
    );
    let summary = json(&output);
    assert_eq!(summary["task"], "mine");
    assert!(
        folder.path().join("runs/mine-hsr/boundary.png").exists(),
        "two inputs: a picture of the boundary"
    );
    assert!(number(&summary["networks"]["hsr"], "accuracy") > 0.5);
}

#[test]
fn every_mode_and_optimizer_trains_on_every_cpu_backend() {
    let folder = tempfile::tempdir().unwrap();
    for backend in cpu_backends() {
        for optimizer in ["sgd", "momentum", "adam", "adamw"] {
            for mode in ["coupled", "decoupled", "direction"] {
                let out = format!("{backend}-{optimizer}-{mode}");
                let summary = json(&train(
                    folder.path(),
                    &[
                        "--backend",
                        backend,
                        "--optimizer",
                        optimizer,
                        "--mode",
                        mode,
                        "--out",
                        &out,
                        "--json",
                    ],
                ));
                let sup = |network: &str| number(&summary["networks"][network], "lambda_sup");
                assert!(sup("hsr") > 0.0 && sup("hsr") != sup("plain"), "{out}");
            }
        }
    }
}

#[test]
fn wgpu_trains_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let output = hsr(
        folder.path(),
        &[
            "train",
            "--task",
            "iris",
            "--hidden",
            "3",
            "--epochs",
            "2",
            "--backend",
            "wgpu",
            "--out",
            "gpu",
            "--json",
        ],
    );
    let required = std::env::var_os("HSR_REQUIRE_WGPU").is_some();
    if output.status.success() {
        let summary = json(&output);
        assert_eq!(summary["backend"], "wgpu");
        assert!(number(&summary["networks"]["hsr"], "lambda_sup") > 0.0);
    } else {
        assert!(!required, "{}", text(&output.stderr));
        println!("SKIPPED: {}", text(&output.stderr));
        refused(&output, &["wgpu"]);
        assert!(!folder.path().join("gpu").exists());
    }
}

#[test]
fn tasks_are_listed_for_people_and_programs() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "iris",
        "wine",
        "breast-cancer",
        "digits",
        "mnist",
        "moons",
        "circles",
        "spirals",
        "gaussians",
    ];
    let table = text(&hsr(folder.path(), &["tasks"]).stdout);
    let mut mnist = table.lines().filter(|line| line.starts_with("mnist"));
    assert!(mnist.any(|line| line.contains("--data-dir")));
    let listed = json(&hsr(folder.path(), &["tasks", "--json"]));
    for name in names {
        assert!(table.lines().any(|line| line.starts_with(name)), "{name}");
        let task = listed["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|task| task["name"] == name)
            .unwrap();
        for key in ["inputs", "classes", "samples"] {
            assert!(task[key].as_u64().unwrap() >= 2, "{name} {key}");
        }
        assert!(
            !task["source"].as_str().unwrap().is_empty()
                && !task["licence"].as_str().unwrap().is_empty()
        );
    }
}

#[test]
fn backends_are_listed_with_what_opens_here() {
    let listed = json(&hsr(Path::new("."), &["backends", "--json"]));
    let backends = listed["backends"].as_array().unwrap();
    let names: Vec<&str> = backends
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, Backend::ALL.map(Backend::name));
    for entry in backends {
        let name = entry["name"].as_str().unwrap();
        let compiled = name.parse::<Backend>().unwrap().is_compiled();
        assert_eq!(entry["compiled"], compiled, "{name}");
        assert_eq!(entry["opens"], entry["error"].is_null(), "{name}");
        assert_eq!(entry["opens"], !entry["f64"].is_null(), "{name}");
    }
    let flex = &backends[names.iter().position(|name| *name == "flex").unwrap()];
    assert_eq!((&flex["opens"], &flex["f64"]), (&true.into(), &true.into()));
    let quiet = text(&hsr(Path::new("."), &["backends", "--quiet"]).stdout);
    assert!(quiet.lines().any(|line| line == "flex"), "{quiet}");
    let table = text(&hsr(Path::new("."), &["backends"]).stdout);
    assert!(
        names.iter().all(|name| table.contains(name)),
        "every name: {table}"
    );
}
