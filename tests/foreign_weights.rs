//! Weights of other programs, in every type, under every name and in either layout: `hsr inspect`, `spectrum` and `landscape`
//! on them.

use burn_sharpness::operator::Subset;
use burn_sharpness::spectrum::DenseSpectrum;
use hsr_core::{OutputLoss, Targets};
use hsr_lab::{Activations, Curvature, Weights, layers, spectrum};
use hsr_tests::references::{operators, references};

use super::*;

/// Layers of 4, 5, 3 and 2 units, their values exact in every type: \[outputs, inputs\] and bias.
const SIZES: [usize; 4] = [4, 5, 3, 2];

fn values(count: usize, seed: usize) -> Vec<f64> {
    (0..count)
        .map(|i| ((i * 37 + seed * 11) % 61) as f64 / 32.0 - 0.9375)
        .collect()
}

fn encoded(values: &[f64], dtype: Dtype) -> Vec<u8> {
    let bytes = |v: &f64| match dtype {
        Dtype::F64 => v.to_le_bytes().to_vec(),
        Dtype::F32 => (*v as f32).to_le_bytes().to_vec(),
        // Sign, exponent and the first bits of the mantissa.
        Dtype::BF16 => (*v as f32).to_le_bytes()[2..].to_vec(),
        Dtype::F16 => {
            let bits = (*v as f32).to_bits();
            let (sign, exponent) = (bits >> 16 & 0x8000, (bits >> 23 & 0xff) as i32 - 112);
            let half = match exponent {
                1.. => sign | (exponent as u32) << 10 | (bits >> 13 & 0x3ff),
                _ => sign,
            };
            (half as u16).to_le_bytes().to_vec()
        }
        other => panic!("{other:?}"),
    };
    values.iter().flat_map(bytes).collect()
}

/// A file of the network; `name` gives each layer its weight's and its bias's names.
fn file(dtype: Dtype, seed: usize, kernel: bool, name: &dyn Fn(usize) -> [String; 2]) -> Vec<u8> {
    let mut tensors = Vec::new();
    for (l, pair) in SIZES.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let weight = values(inputs * outputs, 3 * l + seed);
        let (weight, shape) = match kernel {
            false => (weight, vec![outputs, inputs]),
            true => {
                let column = |i: usize| weight.iter().skip(i).step_by(inputs).copied();
                (
                    (0..inputs).flat_map(column).collect(),
                    vec![inputs, outputs],
                )
            }
        };
        let [of_weight, of_bias] = name(l);
        tensors.push((of_weight, shape, encoded(&weight, dtype)));
        let bias = values(outputs, 7 * l + seed + 1);
        tensors.push((of_bias, vec![outputs], encoded(&bias, dtype)));
    }
    serialized(&tensors, dtype)
}

fn serialized(tensors: &[(String, Vec<usize>, Vec<u8>)], dtype: Dtype) -> Vec<u8> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(dtype, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    safetensors::serialize(views, None).unwrap()
}

/// PyTorch's names.
fn sequential(l: usize) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("{}.{part}", 2 * l))
}

/// A folder with a table of 12 rows, `d.csv`, and weights, `w.safetensors`.
fn folder_with(weights: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut table = "a,b,c,d,class\n".to_owned();
    for row in 0..12 {
        let x: Vec<String> = (0..4)
            .map(|i| ((row * 7 + i * 3) % 11) as f64 / 4.0 - 1.2)
            .map(|v| v.to_string())
            .collect();
        table += &format!("{},{}\n", x.join(","), row * row % 3 % 2);
    }
    std::fs::write(folder.path().join("d.csv"), table).unwrap();
    std::fs::write(folder.path().join("w.safetensors"), weights).unwrap();
    folder
}

const ON: [&str; 10] = [
    "--weights",
    "w.safetensors",
    "--data",
    "d.csv",
    "--label",
    "class",
    "--loss",
    "softmax",
    "--activation",
    "tanh",
];

fn on(folder: &Path, command: &str, more: &[&str]) -> Output {
    hsr(folder, &[&[command][..], &ON, more, &["--json"]].concat())
}

#[test]
fn every_type_name_and_layout_is_one_network() {
    let folder = folder_with(&file(Dtype::F64, 0, false, &sequential));
    let folder = folder.path();
    let numbers = |more: &[&str]| {
        let mut found = json(&on(folder, "inspect", more));
        for layer in found["layers"].as_array_mut().unwrap() {
            layer["name"].take();
        }
        found
    };
    let expected = numbers(&[]);
    let write = |bytes: Vec<u8>| std::fs::write(folder.join("w.safetensors"), bytes).unwrap();
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        write(file(dtype, 0, false, &sequential));
        assert_eq!(numbers(&[]), expected, "{dtype:?}");
    }
    for (before, within) in [
        ("_orig_mod.", ""),
        ("module.", ""),
        ("module._orig_mod.", ""),
        ("_orig_mod.module.", ""),
        ("", "_orig_mod."),
    ] {
        let wrapped = |l: usize| {
            let names = ["weight", "bias"];
            names.map(|part| format!("{before}{}.{within}{part}", 2 * l))
        };
        write(file(Dtype::F32, 0, false, &wrapped));
        assert_eq!(numbers(&[]), expected, "{before} {within}");
        assert_eq!(
            numbers(&["--layers", "0,2,4"]),
            expected,
            "{before} {within}"
        );
        if within.is_empty() {
            let named = [0, 2, 4].map(|l| format!("{before}{l}")).join(",");
            assert_eq!(numbers(&["--layers", &named]), expected, "{before}");
        }
    }
    for (front, separator, back) in [
        ("params.Dense_", ".", ""),
        ("Dense_", "/", ""),
        ("sequential/dense_", "/", ":0"),
    ] {
        let keras = |l: usize| {
            let names = ["kernel", "bias"];
            names.map(|part| format!("{front}{l}{separator}{part}{back}"))
        };
        write(file(Dtype::F32, 0, true, &keras));
        assert_eq!(numbers(&[]), expected, "{front}");
    }
    // A matrix that is read the wrong way round does not fit.
    let wrong = |l: usize| ["kernel", "bias"].map(|part| format!("{l}.{part}"));
    write(file(Dtype::F32, 0, false, &wrong));
    refused(
        &on(folder, "inspect", &["--layers", "0,1,2"]),
        &["\"0.bias\" has shape [5], expected [4]"],
    );
}

#[test]
fn what_a_wrapper_leaves_ambiguous_or_has_another_type_is_refused() {
    let folder = folder_with(&file(Dtype::F64, 0, false, &sequential));
    let folder = folder.path();
    let write = |bytes: Vec<u8>| std::fs::write(folder.join("w.safetensors"), bytes).unwrap();
    // Two networks in a file: the names stay as they are.
    let mut both = Vec::new();
    for name in ["0.weight", "_orig_mod.0.weight"] {
        both.push((
            name.to_owned(),
            vec![2, 4],
            encoded(&values(8, 1), Dtype::F32),
        ));
    }
    write(serialized(&both, Dtype::F32));
    refused(
        &on(folder, "inspect", &["--layers", "0"]),
        &["\"_orig_mod.0.weight\"", "--ignore-unused"],
    );
    let whole = ("0.weight".to_owned(), vec![2, 4], vec![0; 8]);
    write(serialized(&[whole], Dtype::I8));
    refused(
        &on(folder, "inspect", &["--layers", "0"]),
        &["\"0.weight\" is of type I8", "F64, F32, F16 or BF16"],
    );
    let infinite = [0x00, 0x7c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let infinite = ("0.weight".to_owned(), vec![2, 4], infinite.to_vec());
    write(serialized(&[infinite], Dtype::F16));
    refused(
        &on(folder, "inspect", &["--layers", "0"]),
        &["\"0.weight\" holds inf at index 0"],
    );
}

#[test]
fn spectrum_and_landscape_take_any_weights_with_a_table() {
    let folder = folder_with(&file(Dtype::F32, 0, false, &sequential));
    let folder = folder.path();
    let other = file(Dtype::BF16, 5, false, &sequential);
    std::fs::write(folder.join("other.safetensors"), other).unwrap();
    let inspected = json(&on(folder, "inspect", &["--eigenvalues"]));
    let loss = number(&inspected, "loss");

    let found = json(&on(folder, "spectrum", &["--out", "out", "--top", "3"]));
    assert_eq!(found["weights"], "w.safetensors");
    assert_eq!(found["data"], "d.csv");
    assert_eq!(found["network"], "w.safetensors");
    assert!(found.get("run").is_none() && found.get("split").is_none());
    for key in ["loss", "lambda_max", "lambda_min", "lambda_sup", "trace"] {
        assert_eq!(found[key], inspected[key], "{key}");
    }
    assert_eq!(found["eigenvalues"], inspected["eigenvalues"]);
    for name in ["spectrum_eigenvalues.csv", "spectrum_density.svg"] {
        assert!(folder.join("out").join(name).exists(), "{name}");
    }
    let said = hsr(
        folder,
        &[&["spectrum"][..], &ON, &["--out", "out"]].concat(),
    );
    assert!(text(&said.stdout).starts_with("w.safetensors: 51 parameters, d.csv, loss "));
    assert!(text(&said.stderr).contains("\"0\" [5, 4], \"2\" [3, 5], \"4\" [2, 3]"));

    let plane = json(&on(folder, "landscape", &["--out", "out", "--size", "3"]));
    assert_eq!(plane["weights"], "w.safetensors");
    assert!((number(&plane, "loss") - loss).abs() < 1e-15);
    let eigen = ["--out", "out", "--size", "3", "--directions", "eigen"];
    let eigen = json(&on(folder, "landscape", &eigen));
    let largest = flat(&inspected["eigenvalues"]);
    let error = number(&found, "lambda_max") - flat(&eigen["eigenvalues"])[0];
    assert!(error.abs() < 1e-12 && flat(&eigen["eigenvalues"])[1] <= largest[50]);

    let to_other = ["--out", "out", "--from", "other.safetensors"];
    let line = [&to_other[..], &["--directions", "line", "--size", "9"]].concat();
    let line = json(&on(folder, "landscape", &line));
    assert_eq!(line["from"], "other.safetensors");
    assert!((number(&line, "loss") - loss).abs() < 1e-12);
    std::fs::copy(
        folder.join("other.safetensors"),
        folder.join("w.safetensors"),
    )
    .unwrap();
    let other = number(&json(&on(folder, "inspect", &[])), "loss");
    assert!((number(&line, "plain_loss") - other).abs() < 1e-12);
}

#[test]
fn a_curve_between_two_networks_avoids_the_barrier_of_the_line() {
    let folder = folder_with(&file(Dtype::F32, 0, false, &sequential));
    let folder = folder.path();
    let other = file(Dtype::F32, 5, false, &sequential);
    std::fs::write(folder.join("other.safetensors"), other).unwrap();
    let options = [
        "--out",
        "out",
        "--from",
        "other.safetensors",
        "--directions",
        "curve",
        "--size",
        "7",
    ];
    let found = json(&on(folder, "landscape", &options));
    let largest_on_line = number(&found, "line_lambda_max");
    assert!(number(&found, "barrier") <= number(&found, "line_barrier"));
    assert_eq!(
        (&found["steps"], &found["points"]),
        (&300.into(), &7.into())
    );
    let table = std::fs::read_to_string(folder.join("out/landscape.csv")).unwrap();
    let rows: Vec<Vec<f64>> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|v| v.parse().unwrap()).collect())
        .collect();
    assert!(table.starts_with("t,loss,lambda_max,line_loss,line_lambda_max\n"));
    assert_eq!(rows.len(), 7);
    // Both ways have the same ends; between them the loss on the curve is lower on the whole.
    for row in [&rows[0], &rows[6]] {
        assert!((row[1] - row[3]).abs() < 1e-12 && (row[2] - row[4]).abs() < 1e-3 * row[2]);
    }
    let sum = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>();
    assert!(sum(1) < sum(3), "{table}");
    let highest = rows.iter().map(|row| row[4]).fold(f64::MIN, f64::max);
    assert_eq!(highest, largest_on_line);
    let inspected = json(&on(folder, "inspect", &[]));
    let expected = number(&inspected, "lambda_max");
    assert!((rows[6][2] / expected - 1.0).abs() < 1e-4, "{table}");
    assert!(folder.join("out/landscape.png").exists());
    // The network of a run, and its plain one.
    let trained = train(folder, &["--out", "run", "--json"]);
    assert!(trained.status.success());
    let of_run = [
        "landscape",
        "--run",
        "run",
        "--directions",
        "curve",
        "--size",
        "3",
        "--steps",
        "2",
        "--json",
    ];
    let of_run = json(&hsr(folder, &of_run));
    assert_eq!(
        (&of_run["network"], &of_run["steps"]),
        (&"hsr".into(), &2.into())
    );
}

#[test]
fn weights_without_what_they_need_are_refused_in_one_line() {
    let folder = folder_with(&file(Dtype::F32, 0, false, &sequential));
    let folder = folder.path();
    for command in ["spectrum", "landscape"] {
        refused(&on(folder, command, &[]), &["--out"]);
        refused(
            &hsr(
                folder,
                &[command, "--weights", "w.safetensors", "--out", "o"],
            ),
            &["--data"],
        );
        refused(
            &hsr(folder, &[command, "--out", "o"]),
            &["--run", "--weights"],
        );
        refused(
            &on(folder, command, &["--out", "o", "--layers", "0,2"]),
            &["\"4.bias\"", "--ignore-unused"],
        );
    }
    let landscape = |more: &[&str], fragments: &[&str]| {
        let all = [&["--out", "o"][..], more].concat();
        refused(&on(folder, "landscape", &all), fragments);
    };
    landscape(&["--directions", "line"], &["--from"]);
    landscape(&["--directions", "curve"], &["--from"]);
    landscape(&["--from", "w.safetensors"], &["--from", "--directions"]);
    landscape(&["--steps", "3"], &["--steps", "--directions curve"]);
    landscape(
        &[
            "--directions",
            "curve",
            "--from",
            "w.safetensors",
            "--range",
            "2",
        ],
        &["--range", "curve"],
    );
    let narrow = [(
        "0.weight".to_owned(),
        vec![2, 4],
        encoded(&values(8, 1), Dtype::F32),
    )];
    std::fs::write(
        folder.join("narrow.safetensors"),
        serialized(&narrow, Dtype::F32),
    )
    .unwrap();
    landscape(
        &["--directions", "line", "--from", "narrow.safetensors"],
        &["narrow.safetensors", "other layers"],
    );
    let inspect = |more: &[&str], fragments: &[&str]| {
        refused(&on(folder, "inspect", more), fragments);
    };
    inspect(&["--top", "0"], &["--top", "at least 1"]);
    inspect(&["--out", "o"], &["--per-layer"]);
    assert!(!folder.join("o").exists());
}

/// The networks that JAX has looked at, from weights in PyTorch's layout.
#[test]
fn outermost_eigenvalues_and_those_of_layers_are_jax_s() {
    for (case, exact) in references().iter().zip(operators()) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut tensors = Vec::new();
        for (l, (weight, bias)) in case.weights.iter().zip(&case.biases).enumerate() {
            let [of_weight, of_bias] = sequential(l);
            let shape = vec![weight.len(), weight[0].len()];
            tensors.push((of_weight, shape, encoded(&weight.concat(), Dtype::F64)));
            tensors.push((of_bias, vec![bias.len()], encoded(bias, Dtype::F64)));
        }
        let file = serialized(&tensors, Dtype::F64);
        std::fs::write(folder.join("w.safetensors"), file).unwrap();
        let inputs = case.sizes[0];
        let header: String = (0..inputs).map(|e| format!("x{e},")).collect();
        let mut table = format!("{header}class\n");
        for (x, y) in case.x.iter().zip(&case.y) {
            table += &x.iter().map(|v| format!("{v},")).collect::<String>();
            table += &format!("{y}\n");
        }
        std::fs::write(folder.join("d.csv"), table).unwrap();
        let more = ["--top", "4", "--per-layer", "--out", "layers"];
        let found = json(&on(folder, "inspect", &more));
        let count = exact.hessian.eigenvalues.len();
        let scale = exact.hessian.eigenvalues[count - 1];
        for i in 0..4 {
            for (end, place) in [("largest", count - 1 - i), ("smallest", i)] {
                let found = &found["top"][end][i];
                let error = number(found, "value") - exact.hessian.eigenvalues[place];
                assert!(error.abs() < 1e-12 * scale, "{end} {i}: {error:e}");
                assert!(number(found, "residual") < 1e-13 * scale);
            }
        }
        let of_layers = found["layers"].as_array().unwrap();
        assert_eq!(of_layers.len(), exact.layers.len());
        for (found, exact) in of_layers.iter().zip(&exact.layers) {
            let largest = *exact.eigenvalues.last().unwrap();
            for (key, expected) in [
                ("trace", exact.trace),
                ("frobenius_squared", exact.frobenius_squared),
                ("lambda_max", largest),
            ] {
                let error = number(found, key) / expected - 1.0;
                assert!(error.abs() < 1e-11, "{key}: {error:e}");
            }
            assert!(number(found, "lambda_sup") >= largest);
        }
        let csv = std::fs::read_to_string(folder.join("layers/layers.csv")).unwrap();
        assert_eq!(csv.lines().count(), 1 + exact.layers.len());
        assert!(csv.starts_with("layer,parameters,trace,frobenius_squared,lambda_max"));
        for name in ["layers.svg", "layers.png"] {
            let path = folder.join("layers").join(name);
            assert!(path.metadata().unwrap().len() > 2000, "{name}");
            assert!(flat_text(&found["files"]).contains(&format!("layers/{name}")));
        }
        let arguments = [&["inspect"][..], &ON, &more].concat();
        let told = text(&hsr(folder, &arguments).stdout);
        assert!(
            told.contains("largest 4") && told.contains("smallest 4"),
            "{told}"
        );
        assert!(told.contains("‖H_ll‖²"), "{told}");
    }
}

fn flat_text(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn layers_of_a_network_too_large_for_a_dense_hessian_come_from_lanczos() {
    let tanh: Activations = hsr_core::Activation::Tanh.into();
    // 250 + 2091 + 126 parameters.
    let layers = layers(4, &vec![50, 41].into(), 3, &tanh, false).unwrap();
    let weights = Weights::random(layers, 3);
    let size = weights.parameters();
    assert!(size > spectrum::DENSE_LIMIT);
    let x: Vec<f64> = (0..80).map(|i| (1.3 * f64::from(i)).sin()).collect();
    let classes: Vec<usize> = (0..20).map(|i| i * i % 3).collect();
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let batch = hsr_core::Batch::new(loss, &x, Targets::Classes(&classes));
    let mut curvature = Curvature::new();
    let found = spectrum::largest_of_layers(&mut curvature, &weights, &batch, 0).unwrap();
    assert_eq!(found.len(), 3);
    let whole = spectrum::ends(&mut curvature, &weights, &batch, 0).unwrap();
    for (layer, range) in [(0, 0..250), (2, size - 126..size)] {
        let view = weights.view().unwrap();
        let operator = curvature.linearize(&view, &batch).unwrap();
        let mut block = Subset::of_ranges(operator, vec![range]).unwrap();
        let exact = DenseSpectrum::new(&mut block).unwrap();
        let largest = *exact.eigenvalues.last().unwrap();
        let error = (found[layer].value / largest - 1.0).abs();
        assert!(error < 1e-9, "{layer}: {error:e}");
        assert!(found[layer].residual < 1e-9 * largest && largest < whole.lambda_max);
    }
    let pairs = spectrum::pairs_at_the_ends(&mut curvature, &weights, &batch, 2, 0).unwrap();
    assert!(pairs.converged && (pairs.largest[0].value / whole.lambda_max - 1.0).abs() < 1e-8);
}
