#!/usr/bin/env python3
"""The same network in four guises, measured by `hsr inspect`: what the chapter on pitfalls shows.

    cargo build --release --workspace
    python3 docs/pitfalls.py --hsr target/release/hsr

Trains a relu network on the bundled wine data (or --task iris), then rescales copies of it, and prints a Markdown
table. Needs nothing but Python.
"""

import argparse
import csv
import json
import statistics
import struct
import subprocess
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "crates/hsr-lab/data"
LAYERS = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")


def read_safetensors(path):
    """Names to (shape, numbers)."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name in LAYERS:
        entry = header[name]
        start, end = entry["data_offsets"]
        letter, size = {"F32": ("f", 4), "F64": ("d", 8)}[entry["dtype"]]
        values = struct.unpack(f"<{(end - start) // size}{letter}", data[8 + length + start : 8 + length + end])
        tensors[name] = (entry["shape"], list(values))
    return tensors


def write_safetensors(path, tensors):
    header, body = {}, b""
    for name, (shape, values) in tensors.items():
        packed = struct.pack(f"<{len(values)}d", *values)
        header[name] = {"dtype": "F64", "shape": shape, "data_offsets": [len(body), len(body) + len(packed)]}
        body += packed
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def scaled(tensors, **factors):
    """A copy with some of the tensors multiplied."""
    of = {name: factors.get(name.replace(".", "_"), 1.0) for name in LAYERS}
    return {name: (shape, [of[name] * v for v in values]) for name, (shape, values) in tensors.items()}


def standardised(task):
    """A bundled data set with every feature brought to mean 0 and standard deviation 1."""
    with open(DATA / f"{task}.csv", newline="") as file:
        header, *rows = csv.reader(file)
    columns = list(zip(*rows))
    features = [[float(v) for v in column] for column in columns[:-1]]
    features = [[(v - statistics.fmean(c)) / statistics.pstdev(c) for v in c] for c in features]
    return header, list(zip(*features)), columns[-1]


def write_csv(path, task, scale):
    header, features, labels = standardised(task)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([*(scale * v for v in row), label] for row, label in zip(features, labels))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hsr", required=True, help="the program")
    parser.add_argument("--task", choices=["iris", "wine"], default="wine")
    options = parser.parse_args()
    hsr = str(Path(options.hsr).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_csv(folder / "plain.csv", options.task, 1.0)
        write_csv(folder / "tenfold.csv", options.task, 10.0)
        train = ["train", "--data", folder / "plain.csv", "--label", "class", "--method", "plain"]
        train += ["--activation", "relu", "--hidden", "8", "--out", folder / "run", "--json"]
        subprocess.run([hsr, *map(str, train)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        trained = read_safetensors(folder / "run/model.safetensors")
        guises = [
            ("as trained", {}, "plain"),
            ("W1, b1 times 4, W2 over 4", {"hidden_weight": 4, "hidden_bias": 4, "output_weight": 1 / 4}, "plain"),
            ("inputs times 10, W1 over 10", {"hidden_weight": 1 / 10}, "tenfold"),
            ("W2, b2 times 4", {"output_weight": 4, "output_bias": 4}, "plain"),
        ]
        measured = []
        for name, factors, data in guises:
            write_safetensors(folder / "guise.safetensors", scaled(trained, **factors))
            command = [hsr, "inspect", "--weights", str(folder / "guise.safetensors"), "--data", str(folder / f"{data}.csv")]
            command += ["--label", "class", "--activation", "relu", "--loss", "softmax", "--json"]
            measured.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    rows = [
        ("loss", "loss"),
        ("λ_max", "lambda_max"),
        ("λ_sup", "lambda_sup"),
        ("tr H", "trace"),
        ("adaptive sharpness", "adaptive_sharpness"),
        ("relative flatness", "relative_flatness"),
        ("logit-normalised λ_max", "logit_normalized_lambda_max"),
        ("logit-normalised adaptive sharpness", "logit_normalized_adaptive_sharpness"),
        ("mean margin / logit scale", "normalized_margin_mean"),
    ]
    print("| | " + " | ".join(name for name, _, _ in guises) + " |")
    print("|---|" + "--:|" * len(guises))
    for name, key in rows:
        print(f"| {name} | " + " | ".join(f"{m[key]:.4g}" for m in measured) + " |")


if __name__ == "__main__":
    main()
