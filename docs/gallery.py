#!/usr/bin/env python3
"""Makes the pictures of the book's gallery, and the excerpts of what the examples print.

    cargo build --release --workspace --all-targets
    python3 docs/gallery.py --target target/release

Needs nothing but Python. Runs are kept in --runs, so that an interrupted gallery goes on where it was.
"""

import argparse
import re
import subprocess
from pathlib import Path

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "src" / "gallery.md"
PICTURES = DOCS / "src" / "img" / "gallery"

# Everything that `examples/` holds draws a picture of this name, but for these.
WITHOUT_PICTURE = {"two_backends"}

# A picture, the files of a run that it comes from, and the command that makes them; {runs} is where runs are kept.
COMMANDS = [
    ("train-boundary", "moons/boundary.svg", "train --task moons --out {runs}/moons"),
    ("train-curves", "moons/training.svg", None),
    (
        "compare",
        "compare/comparison.svg",
        "compare --task wine --methods plain,hsr,sam,gradient-norm --seeds 10 --jobs 2 --out {runs}/compare",
    ),
    ("compare-tradeoff", "compare/tradeoff.svg", None),
    ("landscape", "plane/landscape.svg", "landscape --run {runs}/moons --size 31 --out {runs}/plane"),
    ("spectrum-density", "moons/spectrum_density.svg", "spectrum --run {runs}/moons"),
]

# What docs/reproduction.py has made: the book's pictures must lie within the book.
REPRODUCED = ["fig2", "referee-equal-loss", "referee-saddles", "depth"]


def run(command):
    print(" ".join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def examples(target):
    """What every example prints; its picture is written."""
    printed = {}
    for source in sorted((DOCS.parent / "examples").glob("*.rs")):
        name = source.stem
        if name == "lib":
            continue
        command = [target / "examples" / name]
        if name not in WITHOUT_PICTURE:
            command += ["flex", "--picture", PICTURES / f"{name}.svg"]
        printed[name] = run(command)
    return printed


def commands(target, runs):
    for name, file, command in COMMANDS:
        source = runs / file
        if command and not source.exists():
            run([target / "hsr", *command.format(runs=runs).split()])
        (PICTURES / f"{name}.svg").write_bytes(source.read_bytes())


def excerpts(printed):
    """Puts what an example prints into the block behind its mark."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in printed.items():
        mark = f"<!-- printed by {name} -->"
        if mark not in page:
            continue
        lines = [line for line in text.splitlines() if line.strip()]
        block = f"{mark}\n```txt\n" + "\n".join(lines) + "\n```"
        page, count = re.subn(re.escape(mark) + r"\n```txt\n.*?```", lambda _: block, page, flags=re.S)
        if count != 1:
            raise SystemExit(f"{PAGE}: no block of text behind {mark}")
    PAGE.write_text(page, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, required=True, help="where hsr and examples/ are")
    parser.add_argument("--runs", type=Path, default=Path("runs/gallery"), help="where the runs are kept")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    options.runs.mkdir(parents=True, exist_ok=True)
    excerpts(examples(options.target.resolve()))
    commands(options.target.resolve(), options.runs)
    for name in REPRODUCED:
        (PICTURES / f"{name}.svg").write_bytes((DOCS / "reproduction" / f"{name}.svg").read_bytes())


if __name__ == "__main__":
    main()
