//! `hsr compare`, part of the suite of the command line.

use std::collections::BTreeMap;

use super::*;

const HEADER: &str = "method,seed,train_loss,accuracy,macro_f1,lambda_max,lambda_min,lambda_sup,tightness,\
                      negative_eigenvalues,grad_norm,seconds,test_loss,loss_gap,train_accuracy,accuracy_gap,\
                      calibration_error,adaptive_sharpness,relative_flatness,logit_normalized_lambda_max,strength";

fn compare(folder: &Path, arguments: &[&str]) -> Output {
    let base = ["compare", "--task", "iris", "--hidden", "4"];
    hsr(folder, &[&base[..], arguments].concat())
}

/// The rows of `runs.csv` without the seconds, which no run repeats.
fn runs(directory: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(directory.join("runs.csv")).unwrap();
    assert_eq!(text.lines().next(), Some(HEADER));
    let rows = text.lines().skip(1);
    let seconds = place("seconds");
    rows.map(|line| {
        let mut fields: Vec<&str> = line.split(',').collect();
        fields.remove(seconds);
        fields.join(",")
    })
    .collect()
}

/// The place of a column in `runs.csv`.
fn place(name: &str) -> usize {
    HEADER.split(',').position(|key| key == name).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A column of `runs.csv` by method, in the order of seeds.
fn column(directory: &Path, name: &str) -> BTreeMap<String, Vec<f64>> {
    let index = place(name);
    let mut columns = BTreeMap::new();
    for row in read(&directory.join("runs.csv")).lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let values: &mut Vec<f64> = columns.entry(fields[0].to_owned()).or_default();
        values.push(fields[index].parse().unwrap());
    }
    columns
}

/// The rows of `statistics.csv`, each by the names of its columns.
fn statistics(directory: &Path) -> Vec<BTreeMap<String, String>> {
    let text = read(&directory.join("statistics.csv"));
    let (header, rows) = text.split_once('\n').unwrap();
    let keys: Vec<String> = header.split(',').map(str::to_owned).collect();
    rows.lines()
        .map(|row| {
            keys.iter()
                .cloned()
                .zip(row.split(',').map(str::to_owned))
                .collect()
        })
        .collect()
}

/// A record of a run without its times, and without the checksum that covers them.
fn record(path: &Path) -> Value {
    let mut record: Value = serde_json::from_str(&read(path)).unwrap();
    assert!(record.as_object_mut().unwrap().remove("checksum").is_some());
    assert!(record["seconds"].take().as_f64().unwrap() > 0.0);
    record["network"]["seconds_per_step"].take();
    record
}

#[test]
fn results_are_bit_identical_whatever_the_number_of_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for backend in cpu_backends() {
        let options = [
            "--methods",
            "plain,hsr,asam,lambda-max",
            "--seeds",
            "3",
            "--epochs",
            "12",
            "--batch",
            "16",
            "--optimizer",
            "adam",
            "--backend",
            backend,
        ];
        let directories = ["1", "2", "5"].map(|jobs| {
            let out = format!("{backend}-{jobs}");
            let output = compare(
                folder,
                &[&options[..], &["--jobs", jobs, "--out", &out]].concat(),
            );
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
            folder.join(out)
        });
        let [one, others @ ..] = &directories;
        assert_eq!(runs(one).len(), 4 * 3);
        for other in others {
            assert_eq!(runs(one), runs(other));
            for file in ["statistics.csv", "tradeoff.svg"] {
                assert_eq!(read(&one.join(file)), read(&other.join(file)), "{file}");
            }
            for method in ["plain", "hsr", "asam", "lambda-max"] {
                let file = format!("runs/{method}-2.json");
                assert_eq!(record(&one.join(&file)), record(&other.join(&file)));
            }
        }
    }
}

/// `hsr train` is another path to the same networks: same data, split, start and order for a seed.
#[test]
fn a_run_is_that_of_train_with_the_same_options() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let options = [
        "--epochs",
        "10",
        "--batch",
        "32",
        "--label-noise",
        "0.2",
        "--train-samples",
        "60",
    ];
    let compared = [
        "--methods",
        "sam,hsr,plain",
        "--seeds",
        "2",
        "--seed",
        "4",
        "--strength",
        "hsr=0.2",
        "--out",
        "all",
    ];
    let output = compare(folder, &[&options[..], &compared].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (method, strength) in [("hsr", "0.2"), ("sam", "0.05")] {
        let single = [
            "--method",
            method,
            "--strength",
            strength,
            "--seed",
            "5",
            "--out",
            method,
            "--json",
        ];
        let base = ["train", "--task", "iris", "--hidden", "4"];
        let summary = json(&hsr(folder, &[&base[..], &single, &options].concat()));
        assert_eq!(number(&summary, "train_samples"), 60.0);
        for network in ["plain", method] {
            let record = record(&folder.join(format!("all/runs/{network}-5.json")));
            let mut trained = summary["networks"][network].clone();
            trained["seconds_per_step"].take();
            assert_eq!(record["network"], trained, "{network}");
            let of = |key: &str| number(&trained, key);
            assert_eq!(
                number(&record, "loss_gap"),
                of("test_loss") - of("train_loss")
            );
            assert_eq!(
                number(&record, "accuracy_gap"),
                of("train_accuracy") - of("accuracy")
            );
            assert!((0.0..=1.0).contains(&of("calibration_error")));
        }
    }
    // Plain stands first, whatever the order in which methods were named; the others keep theirs.
    let order: Vec<String> = runs(&folder.join("all"))
        .iter()
        .map(|row| row.split(',').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        order,
        ["plain 4", "plain 5", "sam 4", "sam 5", "hsr 4", "hsr 5"]
    );
}

#[test]
fn methods_of_no_strength_start_and_end_where_plain_does() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--methods",
        "plain,hsr,sam",
        "--strength",
        "hsr=0",
        "--strength",
        "sam=0",
        "--seeds",
        "3",
        "--epochs",
        "5",
        "--out",
        "zero",
    ];
    let output = compare(folder.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let directory = folder.path().join("zero");
    let rows: Vec<String> = runs(&directory)
        .iter()
        .map(|row| row.split_once(',').unwrap().1.to_owned())
        .collect();
    assert_eq!(rows[..3], rows[3..6]);
    assert_eq!(rows[..3], rows[6..]);
    assert_ne!(rows[0], rows[1]);
    for row in statistics(&directory) {
        let of = |key: &str| row[key].as_str();
        assert_eq!(
            (of("p"), of("effect"), of("w")),
            ("1.0", "0.0", "0.0"),
            "{row:?}"
        );
        assert_eq!((of("n"), of("zeros")), ("3", "3"));
    }
}

/// p by going through every assignment of signs, ranks by counting.
fn brute_force(differences: &[f64]) -> (f64, f64, f64) {
    let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let rank = |d: f64| {
        let below = kept.iter().filter(|other| other.abs() < d.abs()).count() as f64;
        let equal = kept.iter().filter(|other| other.abs() == d.abs()).count() as f64;
        below + (equal + 1.0) / 2.0
    };
    let ranks: Vec<f64> = kept.iter().map(|d| rank(*d)).collect();
    let total: f64 = ranks.iter().sum();
    let plus: f64 = ranks
        .iter()
        .zip(&kept)
        .filter(|(_, d)| **d > 0.0)
        .map(|(r, _)| r)
        .sum();
    let w = plus.min(total - plus);
    let assignments = 1_u32 << kept.len();
    let extreme = (0..assignments)
        .filter(|signs| {
            let sum: f64 = (0..kept.len())
                .filter(|i| signs >> i & 1 == 1)
                .map(|i| ranks[i])
                .sum();
            sum.min(total - sum) <= w
        })
        .count();
    (
        w,
        extreme as f64 / f64::from(assignments),
        (2.0 * plus - total) / total,
    )
}

#[test]
fn statistics_follow_from_the_runs_by_an_independent_count() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--methods",
        "plain,hsr,trace,gradient-norm",
        "--seeds",
        "7",
        "--epochs",
        "30",
        "--batch",
        "full",
        "--lr",
        "0.5",
        "--strength",
        "hsr=0.1",
        "--out",
        "out",
        "--json",
    ];
    let findings = json(&compare(folder.path(), &arguments));
    let directory = folder.path().join("out");
    let rows = statistics(&directory);
    // 17 tested metrics, 6 pairs.
    assert_eq!(rows.len(), 17 * 6);
    assert_eq!(findings["tests"].as_array().unwrap().len(), rows.len());
    for metric in [
        "train_loss",
        "lambda_max",
        "lambda_sup",
        "tightness",
        "grad_norm",
    ] {
        let values = column(&directory, metric);
        let family: Vec<_> = rows.iter().filter(|row| row["metric"] == metric).collect();
        let mut p = Vec::new();
        for row in &family {
            let (a, b) = (&values[&row["method_a"]], &values[&row["method_b"]]);
            let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
            let (w, chance, effect) = brute_force(&differences);
            let of = |key: &str| row[key].parse::<f64>().unwrap();
            assert_eq!((of("n"), of("zeros"), of("w")), (7.0, 0.0, w), "{row:?}");
            assert!((of("p") - chance).abs() < 1e-12, "{row:?} {chance}");
            assert!((of("effect") - effect).abs() < 1e-12);
            let median = |values: &[f64]| {
                let mut sorted = values.to_vec();
                sorted.sort_by(f64::total_cmp);
                sorted[3]
            };
            assert_eq!(of("median_a"), median(a));
            assert_eq!(of("median_b"), median(b));
            assert_eq!(of("median_difference"), median(&differences));
            assert_eq!(row["null_distribution"], "exact");
            p.push((chance, of("p_holm")));
        }
        // Holm: in ascending order each is multiplied by how many are left, and none falls below the one before.
        p.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut least = 0.0_f64;
        for (rank, (chance, corrected)) in p.iter().enumerate() {
            least = least.max((chance * (6 - rank) as f64).min(1.0));
            assert!(
                (corrected - least).abs() < 1e-12,
                "{metric}: {corrected} {least}"
            );
        }
    }
    // HSR lowers its bound on every seed: the strongest effect and the least p that seven pairs can have.
    let hsr = rows
        .iter()
        .find(|row| row["metric"] == "lambda_sup" && row["method_b"] == "hsr")
        .unwrap();
    assert_eq!(
        (hsr["method_a"].as_str(), hsr["effect"].as_str()),
        ("plain", "-1.0")
    );
    assert_eq!(hsr["p"], "0.015625");

    let methods = findings["methods"].as_array().unwrap();
    let values = &column(&directory, "lambda_max")["trace"];
    let trace = methods.iter().find(|it| it["method"] == "trace").unwrap();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let quartiles = &trace["metrics"]["lambda_max"];
    assert_eq!(number(quartiles, "median"), sorted[3]);
    let halfway = |i: usize| (sorted[i] + sorted[i + 1]) / 2.0;
    assert!((number(quartiles, "lower") - halfway(1)).abs() < 1e-12);
    assert!((number(quartiles, "upper") - halfway(4)).abs() < 1e-12);
    for (method, strength) in [("plain", 0.0), ("hsr", 0.1), ("trace", 0.005)] {
        let method = methods.iter().find(|it| it["method"] == method).unwrap();
        assert_eq!(number(method, "strength"), strength);
    }
}

/// The rule of the report: what is within 64 ε of the largest number that it was computed from is equal.
fn snapped(differences: &[f64], largest: f64) -> Vec<f64> {
    let tolerance = 64.0 * f64::EPSILON * largest;
    let mut magnitudes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    magnitudes.sort_by(f64::total_cmp);
    let representative = |d: f64| {
        // The least that is reached in steps within the tolerance; 0 where that reaches 0.
        let below = magnitudes.iter().rev().filter(|m| **m <= d.abs());
        let least = below.fold(
            d.abs(),
            |least, m| {
                if least - m <= tolerance { *m } else { least }
            },
        );
        if least <= tolerance {
            0.0
        } else {
            least.copysign(d)
        }
    };
    differences.iter().map(|&d| representative(d)).collect()
}

#[test]
fn every_test_can_be_repeated_from_the_table_of_runs_ties_included() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--methods",
        "plain,hsr,sam,trace",
        "--seeds",
        "12",
        "--epochs",
        "2",
        "--out",
        "out",
    ];
    let output = compare(folder.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let directory = folder.path().join("out");
    let of = |name: &str| column(&directory, name);
    let mut tied = 0;
    for row in statistics(&directory) {
        let metric = row["metric"].as_str();
        let [a, b] = ["method_a", "method_b"].map(|it| row[it].clone());
        let columns = match metric {
            "loss_gap" => vec![of("train_loss"), of("test_loss")],
            "accuracy_gap" => vec![of("train_accuracy"), of("accuracy")],
            other => vec![of(other)],
        };
        let sources = columns.iter().flat_map(|it| [&it[&a], &it[&b]]).flatten();
        let largest = sources.fold(0.0_f64, |largest, v| largest.max(v.abs()));
        let values = of(metric);
        let pairs = values[&a].iter().zip(&values[&b]);
        let differences: Vec<f64> = pairs.map(|(a, b)| b - a).collect();
        let differences = snapped(&differences, largest);
        let zeros = differences.iter().filter(|d| **d == 0.0).count();
        let number = |key: &str| row[key].parse::<f64>().unwrap();
        assert_eq!(
            (number("n"), number("zeros")),
            (12.0, zeros as f64),
            "{row:?}"
        );
        let (w, p, effect) = if zeros == 12 {
            (0.0, 1.0, 0.0)
        } else {
            brute_force(&differences)
        };
        tied += usize::from(zeros > 0);
        assert_eq!(number("w"), w, "{row:?}");
        assert!((number("p") - p).abs() < 1e-12, "{row:?} {p}");
        assert!((number("effect") - effect).abs() < 1e-12, "{row:?}");
    }
    assert!(tied > 5, "{tied}");
    // Rounded, the differences of differences would not be tied, and p would be 0.375.
    let gap = statistics(&directory).into_iter().find(|row| {
        let of = |key: &str| row[key].as_str();
        (of("metric"), of("method_a"), of("method_b")) == ("accuracy_gap", "sam", "trace")
    });
    assert_eq!(gap.unwrap()["p"], "0.4375");
    let report = read(&directory.join("report.html"));
    assert!(
        report.contains("Two differences are tied, and one is zero, where they are within 64 ε")
    );
}

#[test]
fn only_what_is_missing_is_done_and_the_result_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arguments = [
        "--methods",
        "plain,hsr",
        "--seeds",
        "3",
        "--epochs",
        "6",
        "--out",
        "out",
    ];
    assert!(compare(folder, &arguments).status.success());
    let directory = folder.join("out");
    let (rows, tests) = (runs(&directory), read(&directory.join("statistics.csv")));
    let kept: Vec<PathBuf> = ["plain-0", "hsr-0", "plain-2", "hsr-1"]
        .map(|name| directory.join(format!("runs/{name}.json")))
        .to_vec();
    // With their times, which doing them again would change.
    let before: Vec<String> = kept.iter().map(|path| read(path)).collect();
    for name in [
        "runs/plain-1.json",
        "runs/hsr-2.json",
        "runs.csv",
        "report.html",
    ] {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    let output = compare(folder, &[&arguments[..], &["--jobs", "3"]].concat());
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "4 of 6 runs were done before\n");
    let after: Vec<String> = kept.iter().map(|path| read(path)).collect();
    assert_eq!(before, after);
    assert_eq!(
        (rows, tests),
        (runs(&directory), read(&directory.join("statistics.csv")))
    );
    assert!(directory.join("report.html").exists());
    // With everything done it only writes the tables again.
    let output = compare(folder, &arguments);
    assert!(text(&output.stderr).contains("6 of 6"));
}

#[cfg(unix)]
#[test]
fn a_comparison_killed_in_the_middle_goes_on_to_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let options = [
        "compare",
        "--task",
        "wine",
        "--hidden",
        "8",
        "--methods",
        "plain,hsr,sam",
        "--seeds",
        "4",
        "--epochs",
        "150",
    ];
    let of = |out: &'static str| [&options[..], &["--jobs", "2", "--out", out]].concat();
    assert!(hsr(folder, &of("whole")).status.success());

    // By Ctrl-C, and by a signal that leaves no time for anything.
    interrupt(folder, &of("cut"), &folder.join("cut"), "runs/hsr-0.json");
    let mut child = Command::new(program())
        .args(of("killed"))
        .current_dir(folder)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let moment = folder.join("killed/runs/plain-0.json");
    while !moment.exists() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    for out in ["cut", "killed"] {
        let directory = folder.join(out);
        assert!(
            !directory.join("report.html").exists(),
            "{out} was cut short"
        );
        let output = hsr(folder, &of(out));
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(
            text(&output.stderr).contains("of 12 runs were done before"),
            "{out}"
        );
        assert_eq!(runs(&directory), runs(&folder.join("whole")), "{out}");
        let tests = |name: &str| read(&folder.join(name).join("statistics.csv"));
        assert_eq!(tests(out), tests("whole"));
    }
}

#[test]
fn another_comparison_may_not_go_on_in_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let csv = |last: &str| {
        format!(
            "a,b,kind\n{}{last}\n",
            "1,2,x\n3,5,y\n1.5,2.5,x\n4,4,y\n".repeat(5)
        )
    };
    std::fs::write(folder.join("d.csv"), csv("1,2,x")).unwrap();
    let base = [
        "compare", "--data", "d.csv", "--label", "kind", "--epochs", "2", "--seeds", "2", "--out",
        "out",
    ];
    let with = |arguments: &[&str]| hsr(folder, &[&base[..], arguments].concat());
    assert!(with(&[]).status.success());
    for (arguments, fragments) in [
        (&["--hidden", "3"][..], ["hidden", "16", "3"]),
        (&["--label-noise", "0.5"], ["label noise", "0.0", "0.5"]),
        (&["--methods", "plain,sam"], ["methods", "hsr", "sam"]),
        (&["--strength", "hsr=0.3"], ["methods", "auto", "0.3"]),
        (&["--seed", "1"], ["seed", "0", "1"]),
        (&["--mode", "direction"], ["mode", "coupled", "direction"]),
    ] {
        refused(
            &with(arguments),
            &[&["out", "was begun with", "another --out"], &fragments[..]].concat(),
        );
    }
    // What may change: nothing but how it is done.
    assert!(with(&["--jobs", "1", "--json"]).status.success());
    std::fs::write(folder.join("d.csv"), csv("9,9,x")).unwrap();
    refused(&with(&[]), &["out", "data fingerprint"]);

    std::fs::create_dir(folder.join("other")).unwrap();
    std::fs::write(folder.join("other/thesis.tex"), "").unwrap();
    let other = [&base[..9], &["--out", "other"]].concat();
    refused(&hsr(folder, &other), &["other", "not empty"]);

    std::fs::write(folder.join("d.csv"), csv("1,2,x")).unwrap();
    std::fs::write(folder.join("out/runs/hsr-1.json"), "{\"method\": ").unwrap();
    refused(&with(&[]), &["hsr-1.json", "delete it"]);
}

#[test]
fn options_that_make_no_comparison_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, fragments) in [
        (&["--methods", "hsr"][..], &["--methods", "at least 2"][..]),
        (&["--methods", "hsr,plain,hsr"], &["hsr twice"]),
        (&["--methods", "hsr,none"], &["none", "lambda-max"]),
        (&["--seeds", "0"], &["--seeds", "0"]),
        (&["--jobs", "0"], &["--jobs"]),
        (&["--strength", "0.1"], &["--strength", "hsr=0.1"]),
        (&["--strength", "hsr=x"], &["--strength", "number"]),
        (&["--strength", "best=1"], &["best", "no method"]),
        (&["--strength", "plain=1"], &["plain has no strength"]),
        (&["--strength", "sam=1"], &["sam", "not among --methods"]),
        (
            &["--strength", "hsr=1", "--strength", "hsr=2"],
            &["one strength"],
        ),
        (&["--strength", "hsr=-1"], &["--strength", "-1"]),
        (
            &["--methods", "plain,sam", "--mode", "direction"],
            &["--mode", "penalty"],
        ),
        (&["--seed", "18446744073709551615"], &["--seed"]),
        (&["--label-noise", "1.5"], &["--label-noise", "0 to 1"]),
        (&["--train-samples", "2"], &["--train-samples", "3", "111"]),
        (
            &["--train-samples", "112"],
            &["--train-samples", "3", "111"],
        ),
        (&["--backend", "tpu"], &["tpu", "flex"]),
    ] {
        let output = compare(folder.path(), &[arguments, &["--out", "never"]].concat());
        refused(&output, fragments);
        assert!(!folder.path().join("never").exists(), "{arguments:?}");
    }
}

#[test]
fn runs_that_leave_the_range_of_numbers_are_counted_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--methods",
        "plain,hsr,trace",
        "--strength",
        "trace=1e300",
        "--seeds",
        "2",
        "--epochs",
        "30",
        "--out",
        "out",
    ];
    let output = compare(folder.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.contains("2 of 2 runs of trace left the range of numbers"),
        "{table}"
    );
    assert!(
        table.contains("With 2 seeds no test can be significant"),
        "{table}"
    );
    let rows = runs(&folder.path().join("out"));
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let (measured, strength) = row.rsplit_once(',').unwrap();
        assert!(
            strength == "auto" || strength.parse::<f64>().is_ok(),
            "{row}"
        );
        assert_eq!(
            measured.starts_with("trace"),
            measured.ends_with(&",".repeat(17)),
            "{row}"
        );
        assert_eq!(measured.matches(',').count(), 18, "{row}");
    }
    let pairs: Vec<_> = statistics(&folder.path().join("out"))
        .iter()
        .map(|row| [row["method_a"].clone(), row["method_b"].clone()])
        .collect();
    assert_eq!(pairs.len(), 17);
    assert!(pairs.iter().all(|pair| *pair == ["plain", "hsr"]));
    let record: Value =
        serde_json::from_str(&read(&folder.path().join("out/runs/trace-0.json"))).unwrap();
    assert!(record["diverged"].as_u64().unwrap() >= 1 && record["network"].is_null());
}

#[test]
fn all_wrong_labels_teach_a_classifier_of_two_classes_to_be_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let accuracy = |noise: &str| {
        let arguments = [
            "train",
            "--task",
            "breast-cancer",
            "--hidden",
            "3",
            "--epochs",
            "20",
            "--method",
            "plain",
            "--label-noise",
            noise,
            "--out",
            noise,
            "--json",
        ];
        let summary = json(&hsr(folder.path(), &arguments));
        let network = &summary["networks"]["plain"];
        [
            number(network, "train_accuracy"),
            number(network, "accuracy"),
        ]
    };
    // Training labels are all turned over, test labels stay: what is learned is right there and wrong here.
    let [train, test] = accuracy("1");
    assert!(train > 0.9 && test < 0.1, "{train} {test}");
    // A tenth of the training labels cannot be right for a network that is right on the test split.
    let [train, test] = accuracy("0.1");
    assert!(
        (0.85..0.93).contains(&train) && test > 0.9,
        "{train} {test}"
    );
}

#[test]
fn the_report_says_how_to_repeat_it_and_that_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = "0.5,1,it's\n-1,2,b\n0.25,1.5,it's\n-2,2.5,b\n".repeat(6);
    std::fs::write(folder.join("my data.csv"), format!("x,y,the kind\n{rows}")).unwrap();
    for (source, out) in [
        (
            &[
                "--data",
                "my data.csv",
                "--label",
                "the kind",
                "--mode",
                "decoupled",
            ][..],
            "of 'mine'",
        ),
        (
            &[
                "--task",
                "gaussians",
                "--means",
                "0,0;-2,1e-3",
                "--covariance",
                "1,0.5,2",
                "--samples",
                "60",
            ],
            "gaussians",
        ),
        (
            &[
                "--task",
                "moons",
                "--noise",
                "0.3",
                "--batch",
                "full",
                "--train-samples",
                "40",
                "--label-noise",
                "0.05",
            ],
            "moons",
        ),
    ] {
        let options = [
            "--seeds",
            "2",
            "--epochs",
            "3",
            "--strength",
            "hsr=0.07",
            "--out",
            out,
        ];
        let output = hsr(folder, &[&["compare"][..], source, &options].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report = read(&folder.join(out).join("report.html"));
        let command = report
            .split("<pre><code>")
            .nth(1)
            .unwrap()
            .split("</code>")
            .next()
            .unwrap();
        let command = command
            .replace("&#39;", "'")
            .replace("&quot;", "\"")
            .replace("&amp;", "&");
        let arguments = command.strip_prefix("hsr ").unwrap();
        let shell = Command::new("sh")
            .args(["-c", &format!("\"$0\" {arguments} --json")])
            .arg(program())
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            text(&shell.stderr).contains("4 of 4 runs were done before"),
            "{command}: {}",
            text(&shell.stderr)
        );
        json_after_a_note(&shell);
    }
}

/// The JSON object of a comparison that found runs done.
fn json_after_a_note(output: &Output) -> Value {
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn wgpu_compares_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let required = std::env::var_os("HSR_REQUIRE_WGPU").is_some();
    let run = |backend: &str| {
        let arguments = [
            "--seeds",
            "2",
            "--epochs",
            "2",
            "--batch",
            "full",
            "--jobs",
            "2",
            "--backend",
            backend,
            "--out",
            backend,
        ];
        compare(folder.path(), &arguments)
    };
    let output = run("wgpu");
    if !output.status.success() {
        assert!(!required, "{}", text(&output.stderr));
        println!("SKIPPED: {}", text(&output.stderr));
        refused(&output, &["wgpu"]);
        return;
    }
    assert!(run("flex").status.success());
    let [gpu, cpu] = ["wgpu", "flex"].map(|it| column(&folder.path().join(it), "lambda_sup"));
    for (method, values) in cpu {
        for (a, b) in values.iter().zip(&gpu[&method]) {
            assert!((a - b).abs() <= 1e-3 * a.abs(), "{method}: {a} {b}");
        }
    }
}

/// Strengths are chosen seed by seed, the same whatever the number of jobs and after an interruption, and what is chosen
/// is what the runs have.
#[test]
fn tuned_strengths_are_those_of_the_best_trial_and_do_not_depend_on_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tuned = |out: &str, jobs: &str| {
        let options = [
            "--methods",
            "plain,hsr,weight-decay,early-stopping",
            "--tune",
            "3",
            "--seeds",
            "2",
            "--epochs",
            "8",
            "--jobs",
            jobs,
            "--out",
            out,
            "--json",
        ];
        json(&compare(folder, &options))
    };
    let one = tuned("one", "1");
    let directory = folder.join("one");
    let methods = one["tuning"].as_array().unwrap();
    let names: Vec<&str> = methods
        .iter()
        .map(|it| it["method"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["hsr", "weight-decay"]);
    let strengths = column(&directory, "strength");
    for tuned in methods {
        let name = tuned["method"].as_str().unwrap();
        let grid: Vec<f64> = array(&tuned["strengths"]);
        assert_eq!(grid.len(), 3);
        let chosen: Vec<f64> = array(&tuned["chosen"]);
        assert_eq!(strengths[name], chosen);
        for (seed, chosen) in chosen.iter().enumerate() {
            let trial = |number: usize| {
                let file = format!("tuning/{name}-{seed}-{number}.json");
                let trial: Value = serde_json::from_str(&read(&directory.join(file))).unwrap();
                let scores: Vec<f64> = array(&trial["validation"]);
                assert_eq!(trial["strength"], grid[number]);
                (-scores[0], scores[1])
            };
            let best = (0..3).min_by(|&a, &b| trial(a).partial_cmp(&trial(b)).unwrap());
            assert_eq!(grid[best.unwrap()], *chosen, "{name} {seed}");
        }
    }
    assert!(!directory.join("tuning/plain-0-0.json").exists());
    assert!(read(&directory.join("report.html")).contains("How strong"));
    assert!(directory.join("tuning.png").exists());

    tuned("three", "3");
    let three = folder.join("three");
    assert_eq!(runs(&directory), runs(&three));
    std::fs::remove_file(three.join("tuning/hsr-1-2.json")).unwrap();
    std::fs::remove_file(three.join("runs/hsr-1.json")).unwrap();
    tuned("three", "2");
    assert_eq!(runs(&directory), runs(&three));

    let none = compare(folder, &["--tune", "1", "--out", "never"]);
    refused(&none, &["--tune", "2 to 100"]);
}

fn array(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|it| it.as_f64().unwrap()).collect()
}

#[test]
fn an_equal_budget_of_passes_leaves_dear_steps_fewer_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let options = [
        "--methods",
        "plain,weight-decay,sam,looksam,hsr",
        "--seeds",
        "1",
        "--epochs",
        "12",
        "--batch",
        "full",
        "--budget",
        "passes",
        "--out",
        "equal",
    ];
    let output = compare(folder.path(), &options);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let steps = |method: &str| -> u64 {
        let path = folder.path().join(format!("equal/runs/{method}-0.json"));
        record(&path)["network"]["steps"].as_u64().unwrap()
    };
    // One step an epoch: SAM's takes two passes, LookSAM's 1 + 1/5.
    assert_eq!(steps("plain"), 12);
    assert_eq!(steps("weight-decay"), 12);
    assert_eq!(steps("sam"), 6);
    assert_eq!(steps("looksam"), 10);
    assert!((3..12).contains(&steps("hsr")), "{}", steps("hsr"));
    // Another budget is another comparison.
    let other = [&options[..8], &["--out", "equal"]].concat();
    refused(&compare(folder.path(), &other), &["equal"]);
}
