//! The task `mnist` on IDX files made here: 28 × 28 pixels, a bright bar whose place tells the class, a border that is
//! the same in every image.

use super::*;

/// Writes a split under the names that are given: sample i is of class i mod 10.
fn write_split(folder: &Path, images: &str, labels: &str, samples: u32) {
    let dimensions = [samples, 28, 28].map(u32::to_be_bytes).concat();
    let mut pixels = [vec![0, 0, 8, 3], dimensions].concat();
    let mut classes = [vec![0, 0, 8, 1], samples.to_be_bytes().to_vec()].concat();
    for sample in 0..samples {
        let class = sample % 10;
        classes.push(class as u8);
        for pixel in 0..28 * 28 {
            let (row, column) = (pixel / 28, pixel % 28);
            let noise = (sample * 7919 + pixel * 104_729) % 101;
            pixels.push(match (row, column) {
                (0..4 | 24..28, _) | (_, 0..4 | 24..28) => 0,
                _ if (row - 4) / 2 == class => 255 - noise as u8,
                _ => noise as u8,
            });
        }
    }
    std::fs::write(folder.join(images), pixels).unwrap();
    std::fs::write(folder.join(labels), classes).unwrap();
}

/// A folder with `mnist/`: 60 images to train on and 20 to test.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("mnist");
    std::fs::create_dir(&files).unwrap();
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    write_split(&files, images, labels, 60);
    // As some distributions spell them.
    let (images, labels) = ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte");
    write_split(&files, images, labels, 20);
    folder
}

const MNIST: [&str; 7] = [
    "train",
    "--task",
    "mnist",
    "--data-dir",
    "mnist",
    "--hidden",
    "4",
];

fn train_mnist(folder: &Path, arguments: &[&str]) -> Output {
    hsr(folder, &[&MNIST[..], arguments].concat())
}

#[test]
fn mnist_is_trained_on_from_the_users_files() {
    let folder = folder();
    let summary = json(&train_mnist(folder.path(), &["--epochs", "60", "--json"]));
    assert_eq!(summary["task"], "mnist");
    assert_eq!(number(&summary, "parameters"), 785.0 * 4.0 + 5.0 * 10.0);
    // The split that was distributed, not a quarter of all.
    assert_eq!(number(&summary, "train_samples"), 60.0);
    assert_eq!(number(&summary, "test_samples"), 20.0);
    for name in ["plain", "hsr"] {
        let network = &summary["networks"][name];
        assert_eq!(network["eigenvalue_method"], "lanczos");
        assert_eq!(network["eigenvalues_converged"], true);
        assert!(number(network, "lambda_sup") >= number(network, "lambda_max"));
        assert!(number(network, "lambda_min") < number(network, "lambda_max"));
        assert!(number(network, "accuracy") > 0.5, "{name}");
    }
    let sup = |name: &str| number(&summary["networks"][name], "lambda_sup");
    assert!(sup("hsr") < sup("plain"));
    let run = folder.path().join("runs/mnist-hsr");
    for file in ["config.json", "metrics.csv", "summary.json", "spectrum.png"] {
        assert!(run.join(file).metadata().unwrap().len() > 100, "{file}");
    }

    let fewer = ["--epochs", "1", "--samples", "40", "--json"];
    let summary = json(&train_mnist(folder.path(), &fewer));
    assert_eq!(number(&summary, "train_samples"), 30.0);
    assert_eq!(number(&summary, "test_samples"), 10.0);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_on_mnist_resumes_from_another_directory() {
    let folder = folder();
    let options = ["--epochs", "1000", "--optimizer", "momentum", "--out"];
    let whole = train_mnist(folder.path(), &[&options[..], &["whole"]].concat());
    assert!(whole.status.success(), "{}", text(&whole.stderr));

    let run = folder.path().join("cut");
    let arguments = [&MNIST[..], &options, &["cut"]].concat();
    interrupt(folder.path(), &arguments, &run, "config.json");

    // The files are found again, though --data-dir was relative.
    let output = hsr(&run, &["train", "--resume", "../cut", "--json"]);
    json(&output);
    for file in ["model.safetensors", "plain.safetensors"] {
        let read = |run: &str| std::fs::read(folder.path().join(run).join(file)).unwrap();
        assert_eq!(read("cut"), read("whole"), "{file}");
    }

    // Other files under the same names are noticed, and so are none.
    let files = folder.path().join("mnist");
    let labels = files.join("train-labels-idx1-ubyte");
    let mut changed = std::fs::read(&labels).unwrap();
    changed[8] = 9;
    std::fs::write(&labels, changed).unwrap();
    let resume = || hsr(folder.path(), &["train", "--resume", "cut"]);
    refused(&resume(), &["cut", "the data have changed"]);
    std::fs::remove_file(&labels).unwrap();
    refused(&resume(), &["mnist", "train-labels-idx1-ubyte"]);
}

#[test]
fn bad_files_are_refused_in_one_clear_line_and_nothing_is_written() {
    let folder = folder();
    let files = folder.path().join("mnist");
    let refuse = |fragments: &[&str], arguments: &[&str]| {
        let output = train_mnist(folder.path(), &[arguments, &["--out", "never"]].concat());
        refused(&output, fragments);
        assert!(!folder.path().join("never").exists(), "{fragments:?}");
    };
    /// What is wrong with a file, the file, its bytes, and what the message says.
    type Fault<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>), &'a [&'a str]);
    let faults: [Fault; 5] = [
        (
            "train-images-idx3-ubyte",
            &|bytes| bytes.truncate(5000),
            &["is cut off", "4984 bytes", "47040 ", "60 × 28 × 28"],
        ),
        (
            "t10k-images.idx3-ubyte",
            &|bytes| bytes[3] = 1,
            &["0x00000801", "0x00000803"],
        ),
        (
            "train-images-idx3-ubyte",
            &|bytes| bytes[11] = 14,
            &["60 × 14 × 28", "N × 28 × 28"],
        ),
        (
            "t10k-labels.idx1-ubyte",
            &|bytes| bytes[12] = 11,
            &["label 4 ", "11", "0 to 9"],
        ),
        (
            "t10k-labels.idx1-ubyte",
            &|bytes| {
                bytes.pop();
                bytes[7] = 19;
            },
            &["19 labels", "expected 20", "t10k-images.idx3-ubyte"],
        ),
    ];
    for (file, spoil, fragments) in faults {
        let path = files.join(file);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        spoil(&mut bad);
        std::fs::write(&path, bad).unwrap();
        refuse(&[&[file], fragments].concat(), &[]);
        std::fs::write(&path, good).unwrap();
    }
    std::fs::rename(files.join("train-images-idx3-ubyte"), files.join("images")).unwrap();
    refuse(
        &[
            "mnist",
            "train-images-idx3-ubyte",
            "train-images-idx3-ubyte.gz",
        ],
        &[],
    );
}

#[test]
fn options_that_do_not_belong_to_mnist_or_that_it_alone_has_are_refused() {
    let folder = folder();
    let refuse = |arguments: &[&str], fragments: &[&str]| {
        let output = hsr(
            folder.path(),
            &[&["train", "--out", "never"], arguments].concat(),
        );
        refused(&output, fragments);
        assert!(!folder.path().join("never").exists(), "{arguments:?}");
    };
    let mnist = ["--task", "mnist", "--data-dir"];
    refuse(
        &[&mnist[..], &["nowhere"]].concat(),
        &["nowhere", "is not a directory"],
    );
    let with = |more: &[&'static str]| [&mnist[..], &["mnist"], more].concat();
    refuse(
        &with(&["--test-fraction", "0.3"]),
        &["--test-fraction", "mnist", "distributed"],
    );
    refuse(&with(&["--noise", "0.3"]), &["noise", "data-dir, samples"]);
    refuse(&with(&["--samples", "81"]), &["samples", "81", "20 to 80"]);
    refuse(
        &["--task", "wine", "--data-dir", "mnist"],
        &["wine", "data-dir"],
    );
    refuse(&["--data-dir", "mnist"], &["--task"]);
    #[cfg(not(feature = "download"))]
    refuse(
        &["--task", "mnist"],
        &["mnist", "--data-dir", "--features download"],
    );
}

/// Where there is no network: a proxy that nothing listens at.
#[cfg(feature = "download")]
#[test]
fn files_that_cannot_be_fetched_are_an_error_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program())
        .args(["train", "--task", "mnist", "--out", "never"])
        .current_dir(folder.path())
        .env("XDG_CACHE_HOME", folder.path())
        .env("HOME", folder.path())
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(output.stdout.is_empty());
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    for fragment in ["mnist", "cannot be fetched", "--data-dir"] {
        assert!(error.contains(fragment), "{fragment:?} in {error:?}");
    }
    assert!(!folder.path().join("never").exists());
}
