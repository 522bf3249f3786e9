//! The command on networks of any depth: exact curvature of any state dict of a feed-forward network, and runs with
//! several hidden layers.

use super::*;

/// A layer of a golden case; shapes in `golden-depth/README.md`.
#[derive(serde::Deserialize)]
struct Layer {
    inputs: usize,
    outputs: usize,
    activation: Option<String>,
    skip: bool,
    weight: Vec<Vec<f64>>,
    bias_values: Option<Vec<f64>>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    loss_kind: String,
    inputs: usize,
    outputs: usize,
    parameters: usize,
    layer_parameters: Vec<usize>,
    layers: Vec<Layer>,
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    sample_weights: Vec<f64>,
    loss: f64,
    trace: f64,
    frobenius_squared: f64,
    layer_traces: Vec<f64>,
    block_frobenius_squared: Vec<Vec<f64>>,
    lambda_sup: f64,
    lambda_inf: f64,
    lambda_max_lower: f64,
    lambda_min_upper: f64,
    spread_upper: f64,
    layer_lambda_sup: Vec<f64>,
    block_lambda_sup: f64,
    grad: Vec<f64>,
    input_grad: Vec<Vec<f64>>,
    eigenvalues: Vec<f64>,
}

fn deep_cases() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/golden-depth");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path());
    let mut cases: Vec<Case> = files
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(cases.len(), 24);
    cases
}

impl Case {
    /// The names that an `nn.Sequential` of linear layers and activations gives to its layers.
    fn names(&self) -> Vec<String> {
        (0..self.layers.len())
            .map(|l| (2 * l).to_string())
            .collect()
    }

    fn safetensors(&self, names: &[String]) -> Vec<u8> {
        let bytes =
            |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let mut tensors = Vec::new();
        for (layer, name) in self.layers.iter().zip(names) {
            let weight = bytes(&layer.weight.concat());
            let shape = vec![layer.outputs, layer.inputs];
            tensors.push((format!("{name}.weight"), shape, weight));
            if let Some(bias) = &layer.bias_values {
                tensors.push((format!("{name}.bias"), vec![layer.outputs], bytes(bias)));
            }
        }
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F64, shape.clone(), bytes).unwrap();
            (name.as_str(), view)
        });
        safetensors::serialize(views, None).unwrap()
    }

    /// The labels as a column, where one column can hold them.
    fn labels(&self) -> Option<Vec<String>> {
        let hard = |y: &[f64]| y.iter().all(|&v| v == 0.0 || v == 1.0);
        match self.loss_kind.as_str() {
            "softmax" if self.y.iter().all(|y| hard(y)) => {
                let class = |y: &Vec<f64>| y.iter().position(|&v| v == 1.0).map(|k| k.to_string());
                self.y.iter().map(class).collect()
            }
            "sigmoid" if self.outputs == 1 && self.y.iter().all(|y| hard(y)) => {
                Some(self.y.iter().map(|y| y[0].to_string()).collect())
            }
            "mse" if self.outputs == 1 => Some(self.y.iter().map(|y| y[0].to_string()).collect()),
            _ => None,
        }
    }

    fn csv(&self, labels: &[String]) -> String {
        let header: String = (0..self.inputs).map(|e| format!("x{e},")).collect();
        let mut text = format!("{header}weight,label\n");
        for ((x, weight), label) in self.x.iter().zip(&self.sample_weights).zip(labels) {
            let x: String = x.iter().map(|v| format!("{v},")).collect();
            text += &format!("{x}{weight},{label}\n");
        }
        text
    }

    /// Loss, activations and skips as options.
    fn options(&self) -> Vec<String> {
        let mut options = vec!["--loss".to_owned(), self.loss_kind.clone()];
        let activations: Vec<String> = self
            .layers
            .iter()
            .filter_map(|layer| layer.activation.clone())
            .collect();
        if !activations.is_empty() {
            options.extend(["--activation".to_owned(), activations.join(",")]);
        }
        if self.layers.iter().any(|layer| layer.skip) {
            options.push("--residual".to_owned());
        }
        options
    }
}

/// `hsr inspect` of `w.safetensors` on `d.csv`.
fn inspect_deep(folder: &Path, more: &[&str]) -> Output {
    let base = [
        "inspect",
        "--weights",
        "w.safetensors",
        "--data",
        "d.csv",
        "--label",
        "label",
        "--weight-column",
        "weight",
        "--json",
    ];
    hsr(folder, &[&base[..], more].concat())
}

#[test]
fn inspect_reproduces_every_deep_golden_case_that_its_interface_can_express() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut depths = Vec::new();
    for case in deep_cases() {
        let Some(labels) = case.labels() else {
            continue;
        };
        let name = &case.name;
        depths.push(case.layers.len());
        std::fs::write(folder.join("d.csv"), case.csv(&labels)).unwrap();
        std::fs::write(
            folder.join("w.safetensors"),
            case.safetensors(&case.names()),
        )
        .unwrap();
        let options = case.options();
        let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
        options.extend(["--gradient", "--eigenvalues"]);
        let order = case.names().join(",");
        let named = inspect_deep(folder, &[&options[..], &["--layers", &order]].concat());
        let found = json(&named);
        // The numbers in the names leave one order, which is told.
        let alone = inspect_deep(folder, &options);
        assert_eq!(json(&alone), found, "{name}");
        let told = text(&alone.stderr);
        assert!(
            told.contains("\"0\" [") && told.lines().count() == 1,
            "{told}"
        );
        assert!(named.stderr.is_empty());

        assert_eq!(number(&found, "parameters") as usize, case.parameters);
        // The reference of the saturated case is good to 2e-11 of numbers that a sum of 1e4 times their size gives.
        let floor = 1e-3 * case.lambda_sup;
        let near = |what: &str, found: &[f64], golden: &[f64], floor: f64| {
            let error = relative_error(found, golden, floor);
            assert!(error < 1e-9, "{name} {what}: {error:e}");
        };
        let last = case.eigenvalues.len() - 1;
        for (key, golden) in [
            ("loss", case.loss),
            ("trace", case.trace),
            ("frobenius_squared", case.frobenius_squared),
            ("lambda_sup", case.lambda_sup),
            ("lambda_inf", case.lambda_inf),
            ("lambda_max_lower", case.lambda_max_lower),
            ("lambda_min_upper", case.lambda_min_upper),
            ("spread_upper", case.spread_upper),
            ("lambda_block", case.block_lambda_sup),
            ("lambda_max", case.eigenvalues[last]),
            ("lambda_min", case.eigenvalues[0]),
        ] {
            near(key, &[number(&found, key)], &[golden], floor);
        }
        near(
            "eigenvalues",
            &flat(&found["eigenvalues"]),
            &case.eigenvalues,
            0.0,
        );
        let golden = case.block_frobenius_squared.concat();
        near("blocks", &flat(&found["blocks"]), &golden, 0.0);
        let layers = found["layers"].as_array().unwrap();
        let of_layers =
            |key: &str| -> Vec<f64> { layers.iter().map(|it| number(it, key)).collect() };
        let names: Vec<&str> = layers.iter().filter_map(|it| it["name"].as_str()).collect();
        assert_eq!(names, case.names());
        let sizes: Vec<usize> = of_layers("parameters")
            .iter()
            .map(|&p| p as usize)
            .collect();
        assert_eq!(sizes, case.layer_parameters);
        near("traces", &of_layers("trace"), &case.layer_traces, floor);
        near(
            "λ_sup",
            &of_layers("lambda_sup"),
            &case.layer_lambda_sup,
            0.0,
        );
        let diagonal: Vec<f64> = (0..layers.len())
            .map(|l| case.block_frobenius_squared[l][l])
            .collect();
        near("q", &of_layers("frobenius_squared"), &diagonal, 0.0);

        let gradient: Vec<f64> = case
            .names()
            .iter()
            .flat_map(|name| ["weight", "bias"].map(|part| format!("{name}.{part}")))
            .filter_map(|key| found["gradient"].get(&key))
            .flat_map(flat)
            .collect();
        near("gradient", &gradient, &case.grad, 0.0);
        let golden = case.input_grad.concat();
        near("inputs", &flat(&found["input_gradient"]), &golden, 0.0);
        let share = number(&found, "gauss_newton_share");
        assert!((0.0..=1.0).contains(&share), "{name}: {share}");
    }
    for depth in 1..=5 {
        assert!(
            depths.contains(&depth),
            "no case of {depth} layers: {depths:?}"
        );
    }
}

/// The folder of a golden case, its layers under these names.
fn deep_folder(name: &str, names: &[&str]) -> tempfile::TempDir {
    let case = deep_cases().into_iter().find(|it| it.name == name).unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let folder = tempfile::tempdir().unwrap();
    let weights = case.safetensors(&names);
    std::fs::write(folder.path().join("w.safetensors"), weights).unwrap();
    let labels = case.labels().unwrap();
    std::fs::write(folder.path().join("d.csv"), case.csv(&labels)).unwrap();
    folder
}

#[test]
fn a_state_dict_that_leaves_a_choice_is_refused_with_what_it_holds() {
    // 2 → 6 → 6 → 6 → 3: of three square layers only names tell the order.
    let case = "L4-2-6-6-6-3-tanh-softmax-n16-b1111-scale0.7";
    let folder = deep_folder(case, &["encoder", "left", "right", "head"]);
    let softmax = ["--loss", "softmax", "--activation", "tanh"];
    let inspect = |more: &[&str]| inspect_deep(folder.path(), &[&softmax[..], more].concat());
    refused(
        &inspect(&[]),
        &[
            "w.safetensors",
            "several orders",
            "\"left.weight\" [6, 6]",
            "\"encoder.bias\" [6]",
            "--layers",
        ],
    );
    let one = json(&inspect(&["--layers", "encoder,left,right,head"]));
    let other = json(&inspect(&["--layers", "encoder,right,left,head"]));
    assert!((number(&one, "lambda_sup") - number(&other, "lambda_sup")).abs() > 1e-6);
    for (layers, fragments) in [
        ("encoder,left,head", ["\"right.bias\"", "--ignore-unused"]),
        ("encoder,left,left,head", ["\"left\" twice", "--layers"]),
        (
            "encoder,left,middle,head",
            ["\"middle.weight\"", "\"right.weight\" [6, 6]"],
        ),
        ("left,encoder,right,head", ["[6, 2]", "[outputs, 6]"]),
    ] {
        refused(&inspect(&["--layers", layers]), &fragments);
    }
    refused(
        &inspect(&["--layers", "a,b", "--hidden-key", "a"]),
        &["--layers", "--hidden-key"],
    );
    // Shapes that fit onto each other in one way need no numbers in the names.
    let case = "L3-2-4-3-3-tanh+gelu-softmax-n1-b111";
    let folder = deep_folder(case, &["last", "first", "middle"]);
    let output = inspect_deep(
        folder.path(),
        &["--loss", "softmax", "--activation", "tanh,gelu"],
    );
    let names: Vec<String> = json(&output)["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["last", "first", "middle"]);
}

#[test]
fn activations_and_skips_that_do_not_fit_the_layers_are_refused() {
    let case = "L3-3-5-4-3-gelu+silu-softmax-n12-b111";
    let folder = deep_folder(case, &["0", "2", "4"]);
    let inspect =
        |more: &[&str]| inspect_deep(folder.path(), &[&["--loss", "softmax"], more].concat());
    refused(
        &inspect(&["--activation", "gelu,silu,tanh"]),
        &[
            "--activation",
            "3 activations",
            "2, one for each hidden layer",
        ],
    );
    refused(
        &inspect(&["--activation", "gelu,silo"]),
        &["--activation", "'silo'", "'silu'"],
    );
    refused(
        &inspect(&["--activation", "gelu", "--residual"]),
        &["--residual", "3 → 5 → 4 → 3"],
    );
    refused(&inspect(&[]), &["does not say its activation"]);
    let train = |more: &[&str]| {
        hsr(
            folder.path(),
            &[&["train", "--task", "iris"], more].concat(),
        )
    };
    for (options, fragments) in [
        (
            &["--hidden", "8,6", "--residual"][..],
            ["--residual", "4 → 8 → 6 → 3"],
        ),
        (
            &["--hidden", "8,8", "--activation", "tanh,gelu,silu"],
            ["--activation", "3 activations"],
        ),
        (&["--hidden", "8,0"], ["--hidden is 0", "1 to 1000000"]),
        (&["--hidden", "8,x"], ["--hidden", "'x'"]),
    ] {
        refused(&train(options), &fragments);
    }
    assert!(!folder.path().join("runs").exists());
}

/// A run of three hidden layers, the second and the third residual.
const DEEP: [&str; 9] = [
    "train",
    "--task",
    "wine",
    "--hidden",
    "13,6,6",
    "--activation",
    "tanh,silu,gelu",
    "--residual",
    "--json",
];

#[test]
fn a_deep_run_is_kept_and_every_command_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let options = [
        "--epochs",
        "30",
        "--optimizer",
        "adam",
        "--strength",
        "0.05",
        "--out",
        "run",
    ];
    let summary = json(&hsr(folder, &[&DEEP[..], &options].concat()));
    let parameters = 13 * 14 + 6 * 14 + 6 * 7 + 3 * 7;
    assert_eq!(number(&summary, "parameters") as usize, parameters);
    let [plain, hsr_network] = ["plain", "hsr"].map(|it| &summary["networks"][it]);
    assert!(number(hsr_network, "lambda_max") < number(plain, "lambda_max"));
    assert!(number(hsr_network, "lambda_sup") < number(plain, "lambda_sup"));
    for network in [plain, hsr_network] {
        let measures = network["measures"].as_object().unwrap();
        assert!(measures.values().all(|it| !it.is_null()), "{measures:?}");
        assert!(number(network, "macro_f1") > 0.9, "{network}");
    }
    let config: Value =
        serde_json::from_slice(&std::fs::read(folder.join("run/config.json")).unwrap()).unwrap();
    assert_eq!(config["config"]["hidden"], serde_json::json!([13, 6, 6]));
    assert_eq!(config["config"]["residual"], true);
    let model = std::fs::read(folder.join("run/model.safetensors")).unwrap();
    let model = SafeTensors::deserialize(&model).unwrap();
    assert_eq!(model.tensor("layers.1.weight").unwrap().shape(), [6, 13]);
    assert_eq!(model.tensor("layers.3.bias").unwrap().shape(), [3]);

    // The same numbers from the file alone, which says what it is.
    let found = json(&hsr(folder, &["inspect", "--run", "run", "--json"]));
    for key in ["lambda_sup", "lambda_max", "lambda_min"] {
        let error = (number(&found, key) / number(hsr_network, key) - 1.0).abs();
        assert!(error < 1e-12, "{key}: {error:e}");
    }
    assert_eq!(found["layers"].as_array().unwrap().len(), 4);
    assert!(number(&found, "lambda_block") <= number(&found, "lambda_sup"));
    refused(
        &hsr(folder, &["inspect", "--run", "run", "--activation", "tanh"]),
        &["tanh,silu,gelu", "--activation tanh,tanh,tanh contradicts"],
    );

    let spectrum = json(&hsr(folder, &["spectrum", "--run", "run", "--json"]));
    assert_eq!(
        number(&spectrum, "lambda_max"),
        number(&found, "lambda_max")
    );
    for directions in ["random", "eigen", "line"] {
        let arguments = ["landscape", "--run", "run", "--size", "5", "--json"];
        let arguments = [&arguments[..], &["--directions", directions]].concat();
        let landscape = json(&hsr(folder, &arguments));
        let error = number(&landscape, "loss") / number(hsr_network, "train_loss") - 1.0;
        assert!(error.abs() < 1e-12, "{directions}: {error:e}");
    }

    // A table of one row, the mean of every feature.
    let features: Vec<String> = config["network"]["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    let means = flat(&config["network"]["standardizer"]["mean"]);
    let row: Vec<String> = means.iter().map(f64::to_string).collect();
    let table = format!("{}\n{}\n", features.join(","), row.join(","));
    std::fs::write(folder.join("new.csv"), table).unwrap();
    let arguments = [
        "predict", "--run", "run", "--data", "new.csv", "--out", "c.csv",
    ];
    let predicted = json(&hsr(folder, &[&arguments[..], &["--json"]].concat()));
    assert_eq!(number(&predicted, "samples"), 1.0);
    // At the mean every standardised input is 0, and the forward pass can be done by hand.
    let logits = logits_at_zero(&model);
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|o| (o - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    let written = std::fs::read_to_string(folder.join("c.csv")).unwrap();
    let row: Vec<&str> = written.lines().nth(1).unwrap().split(',').collect();
    for (found, power) in row[1..].iter().zip(&powers) {
        let found: f64 = found.parse().unwrap();
        assert!((found - power / sum).abs() < 1e-12, "{written}");
    }
}

/// The logits of [`DEEP`]'s network at x = 0, layer by layer.
fn logits_at_zero(model: &SafeTensors) -> Vec<f64> {
    let values = |name: String| -> Vec<f64> {
        let (chunks, _) = model.tensor(&name).unwrap().data().as_chunks::<4>();
        let values = chunks
            .iter()
            .map(|&bytes| f64::from(f32::from_le_bytes(bytes)));
        values.collect()
    };
    let mut a = vec![0.0; 13];
    for layer in 0..4 {
        let weight = values(format!("layers.{layer}.weight"));
        let bias = values(format!("layers.{layer}.bias"));
        let rows = weight.chunks_exact(a.len()).zip(&bias);
        let z = rows.map(|(row, b)| b + row.iter().zip(&a).map(|(w, a)| w * a).sum::<f64>());
        let phi = |z: f64| match layer {
            0 => z.tanh(),
            1 => z / (1.0 + (-z).exp()),
            2 => gelu(z),
            _ => z,
        };
        let next: Vec<f64> = z.map(phi).collect();
        let residual = layer < 3 && next.len() == a.len();
        a = if residual {
            next.iter().zip(&a).map(|(z, a)| z + a).collect()
        } else {
            next
        };
    }
    a
}

/// z Φ(z), with Φ by its series, which converges fast for the small z here.
fn gelu(z: f64) -> f64 {
    let (mut term, mut sum) = (z, 0.0);
    for n in 0..60 {
        sum += term / f64::from(2 * n + 1);
        term *= -z * z / (2.0 * f64::from(n + 1));
    }
    z * (0.5 + sum / (2.0 * std::f64::consts::PI).sqrt())
}

#[cfg(unix)]
#[test]
fn an_interrupted_deep_run_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let options = ["--epochs", "60", "--optimizer", "adam", "--out"];
    let [whole, parts] = ["whole", "parts"].map(|out| [&DEEP[..], &options, &[out]].concat());
    json(&hsr(folder, &whole));
    interrupt(folder, &parts, &folder.join("parts"), "split.csv");
    json(&hsr(folder, &["train", "--resume", "parts", "--json"]));
    for file in ["model.safetensors", "plain.safetensors"] {
        let read = |run: &str| std::fs::read(folder.join(run).join(file)).unwrap();
        assert_eq!(read("whole"), read("parts"), "{file}");
    }
    assert_eq!(
        metrics(&folder.join("whole")),
        metrics(&folder.join("parts"))
    );
}

/// The same as in the program's help, shorter.
#[test]
fn digits_with_two_hidden_layers_get_a_narrower_spectrum_at_no_worse_macro_f1() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "train",
        "--task",
        "digits",
        "--hidden",
        "32,32",
        "--method",
        "hsr",
        "--strength",
        "0.05",
        "--train-samples",
        "300",
        "--epochs",
        "60",
        "--json",
    ];
    let summary = json(&hsr(folder.path(), &arguments));
    let [plain, regularised] = ["plain", "hsr"].map(|it| &summary["networks"][it]);
    let ratio = number(regularised, "lambda_max") / number(plain, "lambda_max");
    assert!(ratio < 0.8, "{ratio}: {summary}");
    let loss = number(plain, "macro_f1") - number(regularised, "macro_f1");
    assert!(loss < 0.01, "{loss}: {summary}");
}

#[test]
fn compare_takes_deep_networks_and_its_report_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arguments = [
        "compare",
        "--task",
        "iris",
        "--hidden",
        "5,4",
        "--activation",
        "tanh,gelu",
        "--methods",
        "plain,hsr,sam",
        "--seeds",
        "2",
        "--epochs",
        "5",
        "--out",
        "c",
        "--json",
    ];
    let first = json(&hsr(folder, &arguments));
    assert_eq!(number(&first, "parameters") as usize, 5 * 5 + 4 * 6 + 3 * 5);
    let report = std::fs::read_to_string(folder.join("c/report.html")).unwrap();
    assert!(report.contains("--hidden 5,4 --activation tanh,gelu"));
    // The same comparison is recognised.
    assert_eq!(json(&hsr(folder, &arguments)), first);
    let mut residual = arguments.to_vec();
    residual.push("--residual");
    refused(&hsr(folder, &residual), &["--residual"]);
}
