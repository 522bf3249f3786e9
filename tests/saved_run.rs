//! `hsr landscape` and `hsr spectrum` on what `hsr train` has left.

use super::*;

/// A folder with a finished run of iris in `run`.
fn trained() -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let summary = json(&train(folder.path(), &["--out", "run", "--json"]));
    (folder, summary)
}

fn landscape(folder: &Path, arguments: &[&str]) -> Output {
    let base = ["landscape", "--run", "run", "--json"];
    hsr(folder, &[&base[..], arguments].concat())
}

/// The numbers of a CSV, row by row, after its header.
fn read_csv(path: &Path, header: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(header));
    lines
        .map(|line| line.split(',').map(|v| v.parse().unwrap()).collect())
        .collect()
}

/// The files of a directory, hidden ones too.
fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn landscape_around_a_network_is_a_table_and_a_picture_with_its_loss_in_the_middle() {
    let (folder, summary) = trained();
    let folder = folder.path();
    let of = |network: &str, key: &str| number(&summary["networks"][network], key);
    for (arguments, network, key) in [
        (&["--size", "5"][..], "hsr", "train_loss"),
        (&["--size", "5", "--split", "test"], "hsr", "test_loss"),
        (
            &["--size", "5", "--network", "plain"],
            "plain",
            "train_loss",
        ),
    ] {
        let out = [arguments, &["--out", "new/out"]].concat();
        let report = json(&landscape(folder, &out));
        assert_eq!(report["network"], network);
        assert_eq!(report["directions"], "random");
        let expected = of(network, key);
        assert!((number(&report, "loss") / expected - 1.0).abs() < 1e-12);
        let rows = read_csv(&folder.join("new/out/landscape.csv"), "x,y,loss");
        assert_eq!(rows.len(), 25);
        assert_eq!(rows[0][..2], [-1.0, -1.0]);
        assert_eq!(rows[24][..2], [1.0, 1.0]);
        assert_eq!(rows[12][..2], [0.0, 0.0]);
        assert!((rows[12][2] / expected - 1.0).abs() < 1e-12);
        let highest = rows.iter().map(|row| row[2]).fold(f64::MIN, f64::max);
        assert_eq!(number(&report, "highest"), highest);
        assert!(highest > 1.2 * expected);
        for file in ["landscape.svg", "landscape.png"] {
            let size = folder.join("new/out").join(file).metadata().unwrap().len();
            assert!(size > 2000, "{file}");
        }
        let svg = std::fs::read_to_string(folder.join("new/out/landscape.svg")).unwrap();
        assert!(svg.contains(&format!("Loss around the {network} network of run")));
    }
    // Into the run by default, and a table for people.
    let output = hsr(folder, &["landscape", "--run", "run", "--size", "3"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("loss of hsr"));
    assert!(
        output.stderr.is_empty(),
        "no progress bar where no one looks"
    );
    assert!(folder.join("run/landscape.png").exists());
}

#[test]
fn the_seed_decides_the_random_directions() {
    let (folder, _) = trained();
    let table = |seed: &str| {
        let arguments = ["--size", "3", "--out", "out", "--seed", seed];
        json(&landscape(folder.path(), &arguments));
        std::fs::read(folder.path().join("out/landscape.csv")).unwrap()
    };
    let first = table("1");
    assert_eq!(first, table("1"));
    let second = table("2");
    assert_ne!(first, second);
    // Neighbouring seeds share no direction: no row and no column of one table is in the other.
    let axis = |csv: &[u8]| -> Vec<String> {
        let csv = text(csv);
        let rows: Vec<&str> = csv.lines().skip(1).collect();
        [rows[1], rows[3], rows[5], rows[7]]
            .map(|row| row.rsplit(',').next().unwrap().to_owned())
            .to_vec()
    };
    assert!(
        axis(&first)
            .iter()
            .all(|loss| !axis(&second).contains(loss))
    );
}

#[test]
fn along_the_eigenvectors_of_a_run_the_loss_bends_as_the_eigenvalues_say() {
    let (folder, summary) = trained();
    let step = 1e-3;
    let arguments = [
        "--directions",
        "eigen",
        "--size",
        "3",
        "--range",
        "0.001",
        "--out",
        "out",
    ];
    let report = json(&landscape(folder.path(), &arguments));
    let eigenvalues = flat(&report["eigenvalues"]);
    let expected = number(&summary["networks"]["hsr"], "lambda_max");
    assert!((eigenvalues[0] / expected - 1.0).abs() < 1e-9);
    assert!(eigenvalues[1] < eigenvalues[0]);
    let rows = read_csv(&folder.path().join("out/landscape.csv"), "x,y,loss");
    for (before, after, eigenvalue) in [(3, 5, eigenvalues[0]), (1, 7, eigenvalues[1])] {
        let bend = rows[before][2] + rows[after][2] - 2.0 * rows[4][2];
        let found = bend / (step * step);
        assert!(
            (found / eigenvalue - 1.0).abs() < 1e-4,
            "{found} {eigenvalue}"
        );
    }
}

#[test]
fn the_line_goes_from_the_plain_network_to_the_runs_own() {
    let (folder, summary) = trained();
    let arguments = [
        "--directions",
        "line",
        "--size",
        "7",
        "--out",
        "out",
        "--range",
        "1.5",
    ];
    let report = json(&landscape(folder.path(), &arguments));
    let of = |network: &str| number(&summary["networks"][network], "train_loss");
    let (plain, hsr) = (of("plain"), of("hsr"));
    assert!((number(&report, "plain_loss") / plain - 1.0).abs() < 1e-12);
    assert!((number(&report, "loss") / hsr - 1.0).abs() < 1e-12);
    let rows = read_csv(&folder.path().join("out/landscape.csv"), "t,loss");
    let t: Vec<f64> = rows.iter().map(|row| row[0]).collect();
    let expected = [-0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25];
    assert!(relative_error(&t, &expected, 1.0) < 1e-15, "{t:?}");
    assert!((rows[1][1] / plain - 1.0).abs() < 1e-12);
    assert!((rows[5][1] / hsr - 1.0).abs() < 1e-12);
    let rise = |row: &Vec<f64>| row[1] - ((1.0 - row[0]) * plain + row[0] * hsr);
    let highest = rows[1..6].iter().map(rise).fold(0.0, f64::max);
    assert!((number(&report, "barrier") - highest).abs() < 1e-12);
}

#[test]
fn landscape_refuses_bad_input_in_one_line() {
    let (folder, _) = trained();
    let folder = folder.path();
    let refuse = |arguments: &[&str], fragments: &[&str]| {
        refused(&landscape(folder, arguments), fragments);
    };
    refuse(&["--size", "0"], &["--size", "0", "2"]);
    refuse(&["--size", "1"], &["--size", "1", "2"]);
    refuse(&["--size", "100000"], &["--size", "100000", "1001"]);
    refuse(&["--size", "many"], &["--size", "many"]);
    refuse(&["--range", "0"], &["--range", "0", "positive"]);
    refuse(&["--range", "-2"], &["--range", "-2"]);
    refuse(&["--range", "inf"], &["--range", "inf"]);
    refuse(&["--network", "sam"], &["sam", "plain, hsr"]);
    refuse(
        &["--directions", "sideways"],
        &["sideways", "random", "eigen", "line"],
    );
    refuse(&["--split", "half"], &["half", "train", "test"]);
    refuse(
        &["--directions", "line", "--range", "0.5"],
        &["--range", "0.5"],
    );
    refuse(
        &["--directions", "line", "--network", "plain"],
        &["line", "plain"],
    );
    let at = |run: &str| hsr(folder, &["landscape", "--run", run]);
    refused(&at("nowhere"), &["nowhere", "hsr train"]);
    std::fs::create_dir(folder.join("empty")).unwrap();
    refused(&at("empty"), &["empty", "config.json"]);
    std::fs::create_dir(folder.join("odd")).unwrap();
    std::fs::write(folder.join("odd/config.json"), "{}").unwrap();
    refused(&at("odd"), &["odd/config.json", "not the configuration"]);
    refused(&at("run/config.json"), &["config.json", "directory"]);
    refused(&hsr(folder, &["landscape"]), &["--run"]);
    std::fs::write(folder.join("file"), "").unwrap();
    refuse(&["--size", "2", "--out", "file/out"], &["file/out"]);

    // A run that is not finished, one whose data are others, one whose network is not that of the configuration.
    let copy = |name: &str| {
        std::fs::create_dir(folder.join(name)).unwrap();
        for file in ["config.json", "model.safetensors", "plain.safetensors"] {
            std::fs::copy(folder.join("run").join(file), folder.join(name).join(file)).unwrap();
        }
    };
    copy("unfinished");
    std::fs::remove_file(folder.join("unfinished/model.safetensors")).unwrap();
    refused(
        &at("unfinished"),
        &["model.safetensors", "--resume unfinished"],
    );
    let edit = |name: &str, from: &str, to: &str| {
        let path = folder.join(name).join("config.json");
        let config = std::fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{config}");
        std::fs::write(&path, config.replacen(from, to, 1)).unwrap();
    };
    copy("changed");
    edit("changed", "\"hidden\": 4", "\"hidden\": 5");
    refused(&at("changed"), &["changed/config.json", "checksum"]);
    copy("wider");
    let wider = ["train", "--task", "iris", "--hidden", "5", "--epochs", "1"];
    let other = hsr(folder, &[&wider[..], &["--out", "other"]].concat());
    assert!(other.status.success(), "{}", text(&other.stderr));
    let [from, to] = ["other", "wider"].map(|it| folder.join(it).join("model.safetensors"));
    std::fs::copy(from, to).unwrap();
    refused(&at("wider"), &["wider/model.safetensors", "config.json"]);
    assert_eq!(
        files(&folder.join("wider")),
        ["config.json", "model.safetensors", "plain.safetensors"]
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_landscape_leaves_nothing() {
    let (folder, _) = trained();
    let before = files(&folder.path().join("run"));
    let child = Command::new(program())
        .args(["landscape", "--run", "run", "--size", "1001"])
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let signal = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("interrupted at") && error.contains("of 1002001 points"),
        "{error}"
    );
    assert_eq!(files(&folder.path().join("run")), before);
}

fn spectrum(folder: &Path, arguments: &[&str]) -> Output {
    let base = ["spectrum", "--run", "run", "--json"];
    hsr(folder, &[&base[..], arguments].concat())
}

#[test]
fn spectrum_gives_every_eigenvalue_of_a_small_network_and_the_moments_agree() {
    let (folder, summary) = trained();
    let report = json(&spectrum(
        folder.path(),
        &["--top", "4", "--out", "out/deep"],
    ));
    let of_run = &summary["networks"]["hsr"];
    let parameters = number(&report, "parameters");
    assert_eq!(parameters, number(&summary, "parameters"));
    assert_eq!(report["eigenvalue_method"], "dense");
    assert_eq!(report["eigenvalues_converged"], true);
    let eigenvalues = flat(&report["eigenvalues"]);
    assert_eq!(eigenvalues.len() as f64, parameters);
    assert!(eigenvalues.is_sorted());
    for key in ["lambda_max", "lambda_min", "lambda_sup", "tightness"] {
        let (found, expected) = (number(&report, key), number(of_run, key));
        assert!((found / expected - 1.0).abs() < 1e-9, "{key}");
    }
    assert_eq!(
        report["negative_eigenvalues"],
        of_run["negative_eigenvalues"]
    );
    // The trace is their sum, and λ_sup is m + s√(D − 1) with their mean and standard deviation.
    let trace: f64 = eigenvalues.iter().sum();
    assert!((number(&report, "trace") / trace - 1.0).abs() < 1e-9);
    let mean = trace / parameters;
    let square: f64 = eigenvalues.iter().map(|v| v * v).sum();
    let std = (square / parameters - mean * mean).sqrt();
    let sup = mean + std * (parameters - 1.0).sqrt();
    assert!((number(&report, "lambda_sup") / sup - 1.0).abs() < 1e-9);
    let largest: Vec<f64> = eigenvalues.iter().rev().take(4).copied().collect();
    assert_eq!(flat(&report["largest"]), largest);
    assert_eq!(flat(&report["smallest"]), eigenvalues[..4]);

    let out = folder.path().join("out/deep");
    let table = std::fs::read_to_string(out.join("spectrum_eigenvalues.csv")).unwrap();
    let column: Vec<f64> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    assert!(table.starts_with("eigenvalue,residual\n"));
    assert_eq!(column, eigenvalues);
    // The density is one, and its mean is the trace over D.
    let density = read_csv(&out.join("spectrum_density.csv"), "eigenvalue,density");
    let step = density[1][0] - density[0][0];
    let integral: f64 = density.iter().map(|row| row[1]).sum::<f64>() * step;
    assert!((integral - 1.0).abs() < 1e-3, "{integral}");
    let moment: f64 = density.iter().map(|row| row[0] * row[1]).sum::<f64>() * step;
    let estimate = &report["trace_estimate"];
    assert!((moment / mean - 1.0).abs() < 1e-3, "{moment} {mean}");
    assert_eq!(report["density"]["probes"], 0);
    let interval = flat(&estimate["interval"]);
    assert!(interval[0] < number(estimate, "trace") && number(estimate, "trace") < interval[1]);
    assert!(interval[0] < trace && trace < interval[1]);
    assert_eq!(number(estimate, "confidence"), 0.95);
    for file in ["spectrum_density.svg", "spectrum_density.png"] {
        assert!(out.join(file).metadata().unwrap().len() > 2000, "{file}");
    }

    // A table for people, into the run; more eigenvalues than there are is all of them.
    let output = hsr(
        folder.path(),
        &["spectrum", "--run", "run", "--top", "1000", "--probes", "2"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("λ_sup") && output.stderr.is_empty());
    assert!(folder.path().join("run/spectrum_density.png").exists());
}

#[test]
fn the_network_the_split_and_the_seed_decide_the_spectrum() {
    let (folder, summary) = trained();
    let of = |arguments: &[&str]| {
        let report = json(&spectrum(
            folder.path(),
            &[arguments, &["--out", "out"]].concat(),
        ));
        let density = std::fs::read(folder.path().join("out/spectrum_density.csv")).unwrap();
        (
            number(&report, "lambda_max"),
            number(&report, "loss"),
            number(&report["trace_estimate"], "trace"),
            density,
        )
    };
    let (hsr, loss, trace, density) = of(&[]);
    assert_eq!((hsr, loss, trace, density.clone()), of(&["--seed", "0"]));
    let (same, _, other, exact) = of(&["--seed", "1"]);
    assert_eq!(same, hsr);
    assert_ne!(other, trace);
    // Of every eigenvalue: nothing is drawn.
    assert_eq!(exact, density);
    let plain = &summary["networks"]["plain"];
    let (found, loss, ..) = of(&["--network", "plain"]);
    assert!((found / number(plain, "lambda_max") - 1.0).abs() < 1e-9);
    assert!((loss / number(plain, "train_loss") - 1.0).abs() < 1e-12);
    let (_, loss, ..) = of(&["--network", "plain", "--split", "test"]);
    assert!((loss / number(plain, "test_loss") - 1.0).abs() < 1e-12);
}

#[test]
fn the_spectrum_of_a_network_too_large_for_a_dense_hessian_comes_from_lanczos() {
    // 5·300 + 301·3 = 2403 parameters.
    let folder = tempfile::tempdir().unwrap();
    let summary = json(&hsr(
        folder.path(),
        &[
            "train", "--task", "iris", "--hidden", "300", "--epochs", "3", "--out", "run", "--json",
        ],
    ));
    let report = json(&spectrum(
        folder.path(),
        &["--top", "3", "--probes", "2", "--out", "out"],
    ));
    assert_eq!(report["eigenvalue_method"], "lanczos");
    assert_eq!(report["eigenvalues_converged"], true);
    assert!(report["negative_eigenvalues"].is_null());
    let of_run = &summary["networks"]["hsr"];
    for key in ["lambda_max", "lambda_min"] {
        let (found, expected) = (number(&report, key), number(of_run, key));
        assert!(
            (found - expected).abs() < 1e-7 * number(of_run, "lambda_max"),
            "{key}"
        );
    }
    let largest = flat(&report["largest"]);
    assert!(largest.len() == 3 && largest.is_sorted_by(|a, b| a >= b));
    assert_eq!(flat(&report["eigenvalues"]).len(), 6);
    assert!(
        flat(&report["residuals"])
            .iter()
            .all(|r| *r < 1e-7 * largest[0])
    );
    // Eigen directions come from the same place.
    let around = json(&landscape(
        folder.path(),
        &["--directions", "eigen", "--size", "3", "--out", "out"],
    ));
    let directions = flat(&around["eigenvalues"]);
    assert!(relative_error(&directions, &largest[..2], 0.0) < 1e-7);
}

#[test]
fn spectrum_refuses_bad_input_in_one_line() {
    let (folder, _) = trained();
    let folder = folder.path();
    let refuse = |arguments: &[&str], fragments: &[&str]| {
        refused(&spectrum(folder, arguments), fragments);
    };
    refuse(&["--top", "0"], &["--top", "0", "at least 1"]);
    refuse(&["--probes", "0"], &["--probes", "0", "at least 1"]);
    refuse(&["--top", "-3"], &["--top", "-3"]);
    refuse(&["--network", "asam"], &["asam", "plain, hsr"]);
    refuse(&["--split", "all"], &["all", "train", "test"]);
    refused(
        &hsr(folder, &["spectrum", "--run", "nowhere"]),
        &["nowhere", "hsr train"],
    );
    assert!(!folder.join("run/spectrum_density.csv").exists());
}
