//! `hsr train` and what follows it, on convolutional networks.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_sharpness::ParameterSpace;
use burn_sharpness::spectrum::DenseSpectrum;
use hsr_lab::conv::{ConvNet, ConvNetConfig, ConvWeights};
use hsr_lab::train::{Control, Run, SavedRun, Split};
use hsr_lab::{LabError, WeightsFile};
use safetensors::SafeTensors;
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

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
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

fn number(value: &Value, key: &str) -> f64 {
    let found = value[key].as_f64();
    found.unwrap_or_else(|| panic!("{key} is a number in {value}"))
}

/// `hsr train --task digits --network conv` and more.
fn train(folder: &Path, more: &[&str]) -> Output {
    let usual = ["train", "--task", "digits", "--network", "conv", "--json"];
    hsr(folder, &[&usual, more].concat())
}

/// A network of 190 parameters on few samples.
const TINY: [&str; 6] = ["--hidden", "1,1", "--train-samples", "150", "--batch", "50"];

/// Learns, gives what JSON promises, and the files are of use to everything that follows.
#[test]
fn a_convolutional_network_learns_digits_plainly_and_with_hsr() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--hidden", "4,8", "--epochs", "6", "--out", "run"];
    let summary = json(&train(folder.path(), &options));
    let config = ConvNetConfig::new(8, 10).with_channels(vec![4, 8]);
    assert_eq!(summary["parameters"], config.parameters());
    for network in ["plain", "hsr"] {
        let network = &summary["networks"][network];
        assert!(number(network, "accuracy") > 0.8, "{network}");
        assert!(number(network, "train_loss") < 0.8 && number(network, "lambda_max") > 0.0);
        assert_eq!(network["eigenvalue_method"], "lanczos");
        assert_eq!(network["eigenvalues_converged"], true);
        // Nothing exact is claimed that is not.
        for key in ["lambda_sup", "tightness", "negative_eigenvalues"] {
            assert_eq!(network[key], Value::Null, "{key}");
        }
        let estimates = &network["estimates"];
        for key in ["trace", "frobenius", "lambda_sup"] {
            let (value, error) = (&estimates[key], number(&estimates[key], "standard_error"));
            assert!(
                number(value, "value") > 0.0 && error > 0.0,
                "{key} {estimates}"
            );
        }
        // ‖H‖ is no less than the largest eigenvalue.
        let norm = &estimates["frobenius"];
        let largest = number(norm, "value") + 4.0 * number(norm, "standard_error");
        assert!(largest > number(network, "lambda_max"));
        let measures = &network["measures"];
        assert!(number(measures, "adaptive_sharpness") > 0.0);
        assert!(number(measures, "logit_normalized_lambda_max") > 0.0);
        assert_eq!(measures["indefinite_share"], Value::Null);
    }
    // Every fourth step, four times as strong, with stochastic HSR's own rule.
    let config: Value = read(&folder.path().join("run/config.json"));
    let config = &config["config"];
    assert_eq!(
        (&config["network"], &config["strength"]),
        (&"conv".into(), &"auto".into())
    );
    assert_eq!(config["refinements"]["schedule"]["interval"], 4);
    // Burn's names and layout.
    let bytes = std::fs::read(folder.path().join("run/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (name, shape) in [
        ("convolutions.0.weight", &[4, 1, 3, 3][..]),
        ("convolutions.0.bias", &[4]),
        ("convolutions.1.weight", &[8, 4, 3, 3]),
        ("convolutions.1.bias", &[8]),
        ("output.weight", &[128, 10]),
        ("output.bias", &[10]),
    ] {
        assert_eq!(file.tensor(name).unwrap().shape(), shape, "{name}");
    }
    assert_eq!(file.len(), 6);

    spectrum_and_landscape(folder.path(), &summary["networks"]);
    predictions(folder.path(), &summary["networks"]["hsr"]);
    refused(
        &hsr(folder.path(), &["inspect", "--run", "run"]),
        &["run/model.safetensors", "convolutional"],
    );
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// λ_max is that of the run; the loss in the middle of a landscape, and at the ends of the line, too.
fn spectrum_and_landscape(folder: &Path, networks: &Value) {
    let options = [
        "spectrum", "--run", "run", "--probes", "1", "--top", "2", "--json",
    ];
    let spectrum = json(&hsr(folder, &options));
    let own = &networks["hsr"];
    for key in ["lambda_max", "lambda_min"] {
        let (one, other) = (number(&spectrum, key), number(own, key));
        let scale = number(own, "lambda_max");
        assert!((one - other).abs() < 1e-6 * scale, "{key}: {one} {other}");
    }
    assert_eq!(spectrum["lambda_sup"], Value::Null);
    assert_eq!(spectrum["trace"], Value::Null);
    let estimate = &spectrum["estimates"]["trace"];
    assert_eq!(estimate["value"], spectrum["trace_estimate"]["trace"]);
    assert!((number(&spectrum, "loss") - number(own, "train_loss")).abs() < 1e-9);

    let plane = ["landscape", "--run", "run", "--size", "3", "--json"];
    let random = json(&hsr(folder, &plane));
    assert!((number(&random, "loss") - number(own, "train_loss")).abs() < 1e-9);
    let eigen = json(&hsr(
        folder,
        &[&plane[..], &["--directions", "eigen"]].concat(),
    ));
    let largest = eigen["eigenvalues"][0].as_f64().unwrap();
    assert!((largest / number(own, "lambda_max") - 1.0).abs() < 1e-6);
    let line = [
        "landscape",
        "--run",
        "run",
        "--directions",
        "line",
        "--size",
        "5",
        "--json",
    ];
    let line = json(&hsr(folder, &line));
    for (key, network) in [("loss", own), ("plain_loss", &networks["plain"])] {
        assert!((number(&line, key) - number(network, "train_loss")).abs() < 1e-9);
    }
}

/// What a network predicts of the table of its test split scores as the summary says.
fn predictions(folder: &Path, network: &Value) {
    let digits = hsr_lab::tasks::load("digits", &Default::default(), 0).unwrap();
    let mut table = format!("{},class\n", digits.feature_names.join(","));
    let split = std::fs::read_to_string(folder.join("run/split.csv")).unwrap();
    let mut tested = 0;
    for (sample, line) in split.lines().skip(1).enumerate() {
        if line.split(',').nth(2) == Some("test") {
            let row: Vec<String> = digits.row(sample).iter().map(f64::to_string).collect();
            let class = &digits.class_names[digits.labels[sample]];
            table += &format!("{},{class}\n", row.join(","));
            tested += 1;
        }
    }
    std::fs::write(folder.join("test.csv"), table).unwrap();
    let options = [
        "predict", "--run", "run", "--data", "test.csv", "--label", "class",
    ];
    let more = ["--out", "classes.csv", "--json"];
    let found = json(&hsr(folder, &[&options[..], &more].concat()));
    assert_eq!(found["samples"], tested);
    assert_eq!(number(&found, "accuracy"), number(network, "accuracy"));
    assert!((number(&found, "loss") - number(network, "test_loss")).abs() < 1e-9);
    // The same table for the loss around the network, from its run and from its file alone.
    for (from, name) in [
        (["--run", "run"], "hsr"),
        (["--weights", "run/model.safetensors"], "model.safetensors"),
    ] {
        let options = ["--data", "test.csv", "--label", "class", "--size", "2"];
        let more = ["--out", "out", "--json"];
        let arguments = [&["landscape"][..], &from, &options, &more].concat();
        let found = json(&hsr(folder, &arguments));
        assert_eq!(
            (&found["network"], &found["data"]),
            (&name.into(), &"test.csv".into())
        );
        assert!((number(&found, "loss") - number(network, "test_loss")).abs() < 1e-9);
    }
}

/// The samples of a run's training split in f64.
fn samples(run: &SavedRun, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let labels = match run.batch(Split::Train).targets() {
        hsr_core::Targets::Classes(labels) => labels.to_vec(),
        _ => unreachable!("a classifier"),
    };
    let features = run.features(Split::Train).to_vec();
    let shape = [labels.len(), features.len() / labels.len()];
    let classes: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    let y = TensorData::new(classes, [labels.len()]);
    (
        Tensor::from_data(TensorData::new(features, shape), (device, DType::F64)),
        Tensor::from_data(y, device),
    )
}

/// Every column of the Hessian by differences of its own, with another step than the operator's.
#[test]
fn lambda_max_is_that_of_a_dense_hessian() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--method", "plain", "--epochs", "10", "--out", "run"];
    let summary = json(&train(folder.path(), &[&TINY[..], &options].concat()));
    let network = &summary["networks"]["plain"];

    let run = SavedRun::open(&folder.path().join("run")).unwrap();
    assert!(matches!(run.weights(None), Err(LabError::Run { .. })));
    let file = WeightsFile::read(&folder.path().join("run/model.safetensors")).unwrap();
    let config = ConvNetConfig::new(8, 10)
        .with_channels(vec![1, 1])
        .with_activations(Some(vec![hsr_core::Activation::Tanh; 2]));
    let weights = ConvWeights::read(config, &file).unwrap();
    let device = Device::flex();
    let (x, y) = samples(&run, &device);
    let device = device.autodiff();
    let loss_fn = CrossEntropyLossConfig::new().init(&device);
    let gradient = |theta: &[f64]| {
        let there = ConvWeights {
            theta: theta.to_vec(),
            ..weights.clone()
        };
        let module: ConvNet = there.to_burn(&device, DType::F64);
        let loss = loss_fn.forward(module.forward(x.clone()), y.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        let space = ParameterSpace::of(&module).unwrap();
        // The order of θ is that of the space.
        assert_eq!(space.read(&module).unwrap(), theta);
        space.read_gradients(&module, &gradients).unwrap()
    };
    let size = weights.theta.len();
    assert_eq!(summary["parameters"], size);
    let norm: f64 = gradient(&weights.theta).iter().map(|g| g * g).sum();
    assert!((number(network, "grad_norm") / norm.sqrt() - 1.0).abs() < 1e-9);
    let step = 1e-5;
    let mut hessian = Vec::with_capacity(size * size);
    for i in 0..size {
        let [after, before] = [step, -step].map(|step| {
            let mut theta = weights.theta.clone();
            theta[i] += step;
            gradient(&theta)
        });
        let column = after.iter().zip(&before);
        hessian.extend(column.map(|(a, b)| (a - b) / (2.0 * step)));
    }
    let trace: f64 = (0..size).map(|i| hessian[i * size + i]).sum();
    let square: f64 = hessian.iter().map(|v| v * v).sum();
    let dense = DenseSpectrum::of_matrix(&hessian, size).unwrap();
    let largest = dense.eigenvalues[size - 1];
    for (key, exact) in [
        ("lambda_max", largest),
        ("lambda_min", dense.eigenvalues[0]),
    ] {
        let found = number(network, key);
        assert!(
            (found - exact).abs() < 1e-6 * largest,
            "{key}: {found} {exact}"
        );
    }
    let mean = trace / size as f64;
    let deviation = (square / size as f64 - mean * mean).sqrt();
    let lambda_sup = mean + deviation * (size as f64 - 1.0).sqrt();
    for (key, exact) in [
        ("trace", trace),
        ("frobenius", square.sqrt()),
        ("lambda_sup", lambda_sup),
    ] {
        let estimate = &network["estimates"][key];
        let error = (number(estimate, "value") - exact).abs();
        assert!(
            error < 4.0 * number(estimate, "standard_error"),
            "{key} {estimate} {exact}"
        );
    }
}

/// Stops a run at every one of some epochs and goes on; the files are those of an uninterrupted one.
fn resumes(folder: &Path, method: &str, more: &[&str]) {
    let out = |name: &str| folder.join(format!("{method}-{name}"));
    let options = |out: &Path| {
        let usual = ["--method", method, "--epochs", "3", "--optimizer", "adam"];
        let out = out.to_str().unwrap().to_owned();
        let mut all: Vec<String> = [&TINY[..], &usual, more]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        all.extend(["--out".to_owned(), out]);
        all
    };
    let whole = options(&out("whole"));
    let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
    json(&train(folder, &whole));
    // The same configuration, begun in another directory and stopped by the library's observer.
    let stored: Value = read(&out("whole").join("config.json"));
    let config = serde_json::from_value(stored["config"].clone()).unwrap();
    let mut run = Run::create(config, &out("cut")).unwrap();
    for epoch in [2, 4, 5] {
        let stopped = run.execute(|progress| match progress.done == epoch {
            true => Control::Stop,
            false => Control::Continue,
        });
        assert!(
            matches!(stopped, Err(LabError::Interrupted { .. })),
            "{method}"
        );
        run = Run::resume(&out("cut")).unwrap();
    }
    run.execute(|_| Control::Continue).unwrap();
    for file in ["plain.safetensors", "model.safetensors"] {
        let [whole, cut] =
            ["whole", "cut"].map(|name| std::fs::read(out(name).join(file)).unwrap());
        assert!(whole == cut, "{method} {file}");
    }
    let [whole, cut] = ["whole", "cut"].map(|name| {
        let metrics = std::fs::read_to_string(out(name).join("metrics.csv")).unwrap();
        let lines = metrics.lines();
        let untimed = lines.map(|line| line.rsplit_once(',').map(|it| it.0.to_owned()));
        untimed.collect::<Vec<_>>()
    });
    assert_eq!(whole, cut, "{method}");
}

#[test]
fn an_interrupted_run_resumes_to_bit_identical_networks() {
    let folder = tempfile::tempdir().unwrap();
    resumes(folder.path(), "hsr", &["--interval", "2", "--warmup", "5"]);
    resumes(folder.path(), "lambda-max", &["--early-stopping"]);
    resumes(folder.path(), "gradient-norm", &["--mode", "decoupled"]);
}

#[test]
fn every_method_trains_and_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let methods = "plain,hsr,sam,asam,trace,lambda-max,frobenius,gradient-norm,weight-decay,label-smoothing,early-stopping";
    let usual = [
        "compare",
        "--task",
        "digits",
        "--network",
        "conv",
        "--methods",
        methods,
    ];
    let more = [
        "--seeds", "1", "--epochs", "1", "--jobs", "2", "--out", "all", "--json",
    ];
    let options = [&usual[..], &TINY, &more].concat();
    json(&hsr(folder.path(), &options));
    let runs = std::fs::read_to_string(folder.path().join("all/runs.csv")).unwrap();
    let mut lines = runs.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name: &str| header.iter().position(|it| *it == name).unwrap();
    let mut losses = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let loss: f64 = cells[place("train_loss")].parse().unwrap();
        let curvature: f64 = cells[place("lambda_max")].parse().unwrap();
        assert!(loss < 2.6 && curvature > 0.0, "{line}");
        assert_eq!(cells[place("lambda_sup")], "", "{line}");
        losses.push(loss);
    }
    assert_eq!(losses.len(), 11);
    // Whatever a method does, it does something; what does not is trained on other samples.
    assert!(
        (1..losses.len()).all(|it| losses[it] != losses[0]),
        "{losses:?}"
    );
    assert!(std::fs::exists(folder.path().join("all/report.html")).unwrap());
    let again = hsr(folder.path(), &options);
    assert!(again.status.success());
    assert!(text(&again.stderr).contains("11 of 11 runs were done before"));
}

#[test]
fn what_no_convolutional_network_can_do_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let conv = |more: &[&str]| {
        hsr(
            folder.path(),
            &[&["train", "--network", "conv"], more].concat(),
        )
    };
    std::fs::write(
        folder.path().join("t.csv"),
        "a,b,y\n1,2,u\n2,3,v\n3,1,u\n4,4,v\n",
    )
    .unwrap();
    for (options, fragments) in [
        (
            &["--task", "iris"][..],
            &["needs images", "\"iris\"", "digits or mnist"][..],
        ),
        (
            &["--data", "t.csv", "--label", "y"],
            &["needs images", "\"t\""],
        ),
        (&["--residual"], &["no residual layers"]),
        (&["--subsample", "10"], &["whole batches"]),
        (&["--hidden", "0"], &["--hidden is 0"]),
        (
            &["--hidden", "4,8,16", "--activation", "tanh,gelu"],
            &["--activation names 2"],
        ),
        (
            &["--hidden", "100000,100000"],
            &["more than 10000000 parameters"],
        ),
        (&["--memory", "1kB"], &["memory"]),
    ] {
        refused(&conv(options), fragments);
    }
    refused(
        &hsr(folder.path(), &["train", "--network", "cnn"]),
        &["--network", "mlp, conv"],
    );
    assert!(!std::fs::exists(folder.path().join("runs")).unwrap());
}
