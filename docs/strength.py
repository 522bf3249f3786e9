#!/usr/bin/env python3
"""Strength against curvature and macro-F1: runs `hsr train`, writes strength.csv and strength.svg.

    cargo build --release --workspace
    python3 docs/strength.py --hsr target/release/hsr --out docs/src/img

Needs nothing but Python. Runs are kept in --runs, so that an interrupted sweep goes on where it was.
"""

import argparse
import csv
import json
import math
import statistics
import subprocess
from pathlib import Path

COLUMNS = ["task", "seed", "strength", "train_loss", "macro_f1", "lambda_max", "lambda_sup"]
RED, BLUE, INK, MUTED, GRID = "#d55e00", "#0072b2", "#222222", "#5f5f5f", "#e4e4e4"


def run(hsr, runs, task, strength, seed):
    """The summary of one run: the plain network and the one with HSR, from the same start."""
    directory = runs / f"{task}-{strength}-{seed}"
    summary = directory / "summary.json"
    if not summary.exists():
        # Without a summary the run was interrupted; `--resume` would take it up, a sweep just begins it again.
        subprocess.run(["rm", "-rf", str(directory)], check=True)
        command = [hsr, "train", "--task", task, "--strength", str(strength), "--seed", str(seed)]
        subprocess.run(
            [*command, "--out", str(directory), "--json"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    return json.loads(summary.read_text())["networks"]


def sweep(options):
    rows = []
    for task in options.tasks:
        for seed in range(options.seeds):
            plain = None
            for strength in options.strengths:
                networks = run(options.hsr, options.runs, task, strength, seed)
                # The plain network does not know the strength: it must come out the same each time.
                here = {name: networks["plain"][name] for name in COLUMNS[3:]}
                if plain is None:
                    plain = here
                    rows.append({"task": task, "seed": seed, "strength": 0, **plain})
                elif plain != here:
                    raise SystemExit(f"{task}, seed {seed}: the plain network differs between runs")
                rows.append(
                    {"task": task, "seed": seed, "strength": strength}
                    | {name: networks["hsr"][name] for name in COLUMNS[3:]}
                )
                print(f"{task} seed {seed} strength {strength}", flush=True)
    return rows


class Panel:
    """A frame with a column for each strength and a linear or logarithmic scale up the side."""

    def __init__(self, left, top, width, height, strengths, low, high, logarithmic):
        self.left, self.top, self.width, self.height = left, top, width, height
        self.strengths, self.low, self.high, self.logarithmic = strengths, low, high, logarithmic
        self.parts = []

    def x(self, strength):
        return self.left + self.width * (self.strengths.index(strength) + 0.5) / len(self.strengths)

    def y(self, value):
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.top + self.height * (high - value) / (high - low)

    def text(self, x, y, text, anchor="middle", size=12, fill=MUTED, more=""):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}"{more}>{text}</text>'
        )

    def frame(self, ticks, labelled, with_strengths, title):
        right = self.left + self.width
        for tick in ticks:
            y = self.y(tick)
            self.parts.append(f'<path d="M{self.left} {y:.1f}H{right}" stroke="{GRID}"/>')
            if labelled:
                self.text(self.left - 6, y + 4, f"{tick:g}", anchor="end")
        bottom = self.top + self.height
        self.parts.append(
            f'<rect x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}" fill="none" stroke="#828282"/>'
        )
        if with_strengths:
            for strength in self.strengths:
                self.text(self.x(strength), bottom + 17, "plain" if strength == 0 else f"{strength:g}")
        if title:
            self.text(self.left + self.width / 2, self.top - 12, title, size=14, fill=INK)

    def series(self, rows, quantity, colour, dashed=False, shift=0.0):
        """A dot for each seed, a line through the medians."""
        line = []
        for strength in self.strengths:
            values = [row[quantity] for row in rows if row["strength"] == strength]
            x = self.x(strength) + shift
            for value in values:
                self.parts.append(f'<circle cx="{x:.1f}" cy="{self.y(value):.1f}" r="2.6" fill="{colour}" opacity="0.55"/>')
            line.append(f"{x:.1f} {self.y(statistics.median(values)):.1f}")
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(f'<path d="M{" L".join(line)}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')


def decades(low, high):
    """1, 2, 5, 10, … between the two."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [round(m * 10.0**e, 12) for e in exponents for m in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def picture(rows):
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    strengths = sorted({row["strength"] for row in rows})
    seeds = len({row["seed"] for row in rows})
    curvature = [row[name] for row in rows for name in ("lambda_max", "lambda_sup")]
    # One scale for all tasks, so that they can be compared.
    low, high = min(curvature) / 1.3, max(curvature) * 1.3
    f1_low = math.floor(10 * min(row["macro_f1"] for row in rows)) / 10
    width, gap, left = 250, 28, 74
    total = left + len(tasks) * (width + gap)
    parts = []
    for i, task in enumerate(tasks):
        of_task = [row for row in rows if row["task"] == task]
        x = left + i * (width + gap)
        upper = Panel(x, 62, width, 210, strengths, low, high, True)
        upper.frame(decades(low, high), i == 0, False, task)
        upper.series(of_task, "lambda_sup", RED, dashed=True, shift=3)
        upper.series(of_task, "lambda_max", BLUE, shift=-3)
        lower = Panel(x, 296, width, 130, strengths, f1_low - 0.02, 1.02, False)
        lower.frame([k / 10 for k in range(round(10 * f1_low), 11)], i == 0, True, "")
        lower.series(of_task, "macro_f1", INK)
        parts += upper.parts + lower.parts
    captions = Panel(0, 0, 0, 0, strengths, 1, 2, False)
    captions.text(left + len(tasks) * (width + gap) / 2 - gap / 2, 466, "strength", size=13, fill=INK)
    for y, text in ((167, "curvature"), (361, "test macro-F1")):
        captions.text(22, y, text, size=13, fill=INK, more=f' transform="rotate(-90 22 {y})"')
    captions.text(left, 22, "━ λ_max", anchor="start", size=13, fill=BLUE)
    captions.text(left + 80, 22, "╍ λ_sup", anchor="start", size=13, fill=RED)
    captions.text(left + 160, 22, f"a dot for each of {seeds} seeds, lines through the medians", anchor="start", size=13)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} 480" font-family="sans-serif">\n'
        f'<rect width="{total}" height="480" fill="#ffffff"/>\n' + "\n".join(parts + captions.parts) + "\n</svg>\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hsr", required=True, help="the program")
    parser.add_argument("--out", type=Path, required=True, help="where strength.csv and strength.svg go")
    parser.add_argument("--runs", type=Path, default=Path("runs/strength"), help="where the runs are kept")
    parser.add_argument("--tasks", nargs="+", default=["wine", "breast-cancer", "digits"])
    parser.add_argument("--strengths", nargs="+", type=float, default=[0.01, 0.03, 0.1, 0.3, 1.0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    options.hsr = str(Path(options.hsr).resolve())
    options.runs.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = sweep(options)
    with open(options.out / "strength.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (options.out / "strength.svg").write_text(picture(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
