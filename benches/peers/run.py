#!/usr/bin/env python3
"""λ_sup with its gradient: the closed form beside JAX and PyTorch, all in one run.

Makes a virtual environment, installs JAX and PyTorch in it, builds our program, checks that all of them compute the
same numbers, lets them take turns, and prints one table. See README.md beside this file.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# d, h, K, N: two inputs, three classes, 200 samples.
SIZES = {21: [2, 3, 3, 200], 63: [2, 10, 3, 200], 183: [2, 30, 3, 200], 603: [2, 100, 3, 200]}
# Deeper networks: widths and N, and whether JAX's Hessian fits (64-64-64-10 takes more than 8 GB).
DEEP = [
    ([2, 8, 8, 3, 64], True),
    ([2, 8, 8, 3, 128], True),
    ([2, 16, 16, 3, 128], True),
    ([10, 32, 32, 10, 128], True),
    ([10, 32, 32, 10, 256], True),
    ([64, 64, 64, 10, 64], False),
]
DEEP_METHODS = [
    ("JAX, jit, autodiff", "jax", "autodiff"),
    ("JAX, jit, our pairs, autodiff", "jax", "pairs"),
    ("closed form, f64", "ours", "f64"),
    ("closed form, f32", "ours", "f32"),
]
# How many central differences are timed; the others take as long, each of them.
COORDINATES = {21: 21, 63: 63, 183: 10, 603: 2}

# Title, process, method, and whether it is λ_sup with its gradient in f64.
METHODS = [
    ("JAX, jit, autodiff", "jax", "autodiff"),
    ("PyTorch, torch.func", "torch", "autodiff"),
    ("JAX, jit, central differences", "jax", "differences"),
    ("closed form, f64", "ours", "f64"),
    ("closed form, f32", "ours", "f32"),
    ("plain Burn step, f32", "ours", "plain"),
    ("Burn step with HSR, f32", "ours", "hsr"),
    ("the same in one call", "ours", "one-call"),
]


def environment(folder, cuda, torch=True):
    """The Python of the virtual environment, made and filled where it is not there."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "installed"
    pins = "".join((HERE / name).read_text() for name in ["requirements.txt", "requirements-torch.txt"])
    pins += f"cuda: {cuda}\n" if torch else "no torch\n"
    if done.exists() and done.read_text() == pins:
        return python
    print(f"installing JAX{' and PyTorch' if torch else ''} in {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
    if not torch:
        done.write_text(pins)
        return python
    alone = [] if cuda else ["--no-deps"]
    subprocess.run([*pip, *alone, "-r", HERE / "requirements-torch.txt"], check=True)
    works = [python, "-c", "import torch"]
    if subprocess.run(works, capture_output=True).returncode != 0:
        sys.path.insert(0, str(HERE))
        import cuda_stand_ins

        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = Path(subprocess.check_output([python, "-c", where], text=True).strip())
        made = cuda_stand_ins.make(packages / "torch" / "lib")
        print(f"made stand-ins for {', '.join(made)}", file=sys.stderr)
        subprocess.run(works, check=True)
    done.write_text(pins)
    return python


def our_program():
    """Builds our program and gives its path."""
    command = ["cargo", "build", "--release", "--workspace", "--bin", "hsr-peer", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "hsr-peer":
            return message["executable"]
    sys.exit("cargo did not say where hsr-peer is")


class Peer:
    """A process that answers requests."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended with code {self.process.wait()}")
        return json.loads(line)

    def processor_seconds(self):
        """Seconds of processor time so far, of all threads together, where the system tells (Linux)."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def relative(values, reference):
    """The largest difference over the largest value."""
    return max(abs(v - r) for v, r in zip(values, reference, strict=True)) / max(map(abs, reference))


def agree(told, size):
    """Stops unless all compute the same numbers; gives the largest relative difference of exact methods."""
    reference = told["closed form, f64"]
    worst = 0.0
    for title, answer in told.items():
        coordinates = len(answer["gradient"])
        of_value = relative([answer["lambda_sup"]], [reference["lambda_sup"]])
        of_gradient = relative(answer["gradient"], reference["gradient"][:coordinates])
        differences, single = "differences" in title, "f32" in title
        # Differences have an error of their own, single precision has its own rounding.
        allowed_value = 1e-4 if single else 1e-9
        allowed_gradient = 1e-3 if single else 1e-6 if differences else 1e-9
        if not (of_value <= allowed_value and of_gradient <= allowed_gradient):
            sys.exit(
                f"{size}, {title}: λ_sup differs by {of_value:.1e} and its gradient by {of_gradient:.1e} from ours"
            )
        if not (differences or single):
            worst = max(worst, of_value, of_gradient)
    return worst


def cpu():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def shown(seconds):
    """Milliseconds with three digits."""
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def deep(python, program, rounds, turn, quick):
    """The table of deeper networks. What takes longer than a turn is timed in fewer rounds, and the least counts."""
    peers = {"jax": Peer([python, HERE / "jax_peer.py"]), "ours": Peer([program or our_program()])}
    about = [peer.ask(do="about")["about"] for peer in peers.values()]
    print(f"{', '.join(about)}; {time.strftime('%Y-%m-%d')}, {cpu()}, {os.cpu_count()} cores, {platform.system()}")
    print(f"Milliseconds, the least of {rounds} rounds in which each has a turn of {turn} s or one evaluation;")
    print("what takes a second or more, of three rounds.\n")
    cases = DEEP[:2] if quick else DEEP
    names = [f"{'-'.join(map(str, sizes[:-1]))}, N = {sizes[-1]}" for sizes, _ in cases]
    least, worst = {}, 0.0
    for name, (sizes, hessian_fits) in zip(names, cases):
        problem = peers["ours"].ask(do="problem", sizes=sizes) | {"sizes": sizes}
        methods = [row for row in DEEP_METHODS if hessian_fits or row[2] != "autodiff"]
        asked = {"sizes": sizes, "problem": problem}
        told = {title: peers[peer].ask(do="value", method=method, **asked) for title, peer, method in methods}
        worst = max(worst, agree(told, name))
        turns = {title: [] for title, _, _ in methods}
        for number in range(rounds + 1):
            for title, peer, method in methods:
                if number > 3 and min(turns[title]) >= 1:
                    continue
                answer = peers[peer].ask(do="time", method=method, seconds=turn, **asked)
                if number > 0:
                    turns[title].append(answer["seconds"])
        least[name] = {title: min(all_turns) for title, all_turns in turns.items()}
        print(f"{name} done", file=sys.stderr)
    for peer in peers.values():
        peer.process.stdin.close()
        peer.process.wait()

    def row(cells):
        print("| " + " | ".join(cells) + " |")

    row(["", *names])
    row(["---"] * (len(names) + 1))
    for title, _, _ in DEEP_METHODS:
        row([title, *(shown(least[name][title]) if title in least[name] else "too large" for name in names)])
    exact = "closed form, f64"
    for title, _, _ in DEEP_METHODS[:2]:
        ratios = [
            ratio(least[name][title] / least[name][exact]) if title in least[name] else "" for name in names
        ]
        row([f"{title} / {exact}", *ratios])
    print(f"\nλ_sup and its gradient agree to {worst:.0e} between JAX and the closed form in f64.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, help="where JAX and PyTorch go (default target/peers)")
    parser.add_argument("--program", type=Path, help="our program, hsr-peer, where it is built already")
    parser.add_argument("--deep", action="store_true", help="networks of three layers of parameters, beside JAX alone")
    parser.add_argument("--quick", action="store_true", help="two sizes, three rounds")
    parser.add_argument("--rounds", type=int, default=11, help="turns that each takes (default 11)")
    parser.add_argument("--all-differences", action="store_true", help="time every central difference (minutes)")
    parser.add_argument("--cuda", action="store_true", help="install PyTorch with all it asks for, gigabytes of CUDA")
    arguments = parser.parse_args()
    if arguments.program and not arguments.program.is_file():
        parser.error(f"--program {arguments.program}: no such file; without the option hsr-peer is built here")
    if sys.version_info < (3, 11):
        sys.exit("needs Python 3.11 or later, as JAX does")
    rounds = 3 if arguments.quick else arguments.rounds
    turn = 0.05 if arguments.quick else 0.2
    if arguments.deep:
        folder = arguments.venv or ROOT / "target" / "peers-deep"
        python = environment(folder.resolve(), False, torch=False)
        return deep(python, arguments.program, rounds, turn, arguments.quick)
    sizes = [21, 63] if arguments.quick else list(SIZES)

    folder = arguments.venv or ROOT / "target" / "peers"
    python = environment(folder.resolve(), arguments.cuda)
    peers = {
        "jax": Peer([python, HERE / "jax_peer.py"]),
        "torch": Peer([python, HERE / "torch_peer.py"]),
        "ours": Peer([arguments.program or our_program()]),
    }
    about = [peer.ask(do="about")["about"] for peer in peers.values()]
    print(f"{', '.join(about)}; {time.strftime('%Y-%m-%d')}, {cpu()}, {os.cpu_count()} cores, {platform.system()}")
    print(f"Milliseconds, medians over {rounds} rounds in which each has a turn of {turn} s or one evaluation.\n")

    titles = [title for title, _, _ in METHODS]
    seconds, busy, worst = {}, {title: [0.0, 0.0] for title in titles}, 0.0
    for size in sizes:
        coordinates = size if arguments.all_differences else COORDINATES[size]
        problem = peers["ours"].ask(do="problem", sizes=SIZES[size])
        problem |= {"sizes": SIZES[size], "coordinates": coordinates}
        asked = {"sizes": SIZES[size], "problem": problem}
        told = {
            title: peers[peer].ask(do="value", method=method, **asked)
            for title, peer, method in METHODS
            if method in ["autodiff", "differences", "f64", "f32"]
        }
        worst = max(worst, agree(told, f"D = {size}"))
        all_turns = {title: [] for title in titles}
        # The first turn, in which each finds out how often it fits, does not count.
        for number in range(rounds + 1):
            for title, peer, method in METHODS:
                before, started = peers[peer].processor_seconds(), time.perf_counter()
                answer = peers[peer].ask(do="time", method=method, seconds=turn, **asked)
                if number > 0:
                    scale = size / coordinates if method == "differences" else 1
                    all_turns[title].append(scale * answer["seconds"])
                    if before is not None:
                        busy[title][0] += peers[peer].processor_seconds() - before
                        busy[title][1] += time.perf_counter() - started
        seconds[size] = {title: statistics.median(turns) for title, turns in all_turns.items()}
        print(f"D = {size} done", file=sys.stderr)
    for peer in peers.values():
        peer.process.stdin.close()
        peer.process.wait()

    def row(cells):
        print("| " + " | ".join(cells) + " |")

    row(["", *(f"D = {size}" for size in sizes), "cores busy"])
    row(["---"] * (len(sizes) + 2))
    for title in titles:
        used, wall = busy[title]
        cores = f"{used / wall:.1f}" if wall else "-"
        row([title, *(shown(seconds[size][title]) for size in sizes), cores])
    exact = "closed form, f64"
    for title in titles[:3]:
        row([f"{title} / {exact}", *(ratio(seconds[size][title] / seconds[size][exact]) for size in sizes), ""])
    plain = "plain Burn step, f32"
    for title in [exact, "closed form, f32", "Burn step with HSR, f32", "the same in one call"]:
        row([f"{title} / {plain}", *(ratio(seconds[size][title] / seconds[size][plain]) for size in sizes), ""])

    print(f"\nλ_sup and its gradient agree to {worst:.0e} between JAX, PyTorch and the closed form in f64.")
    if not arguments.all_differences:
        scaled = [f"{COORDINATES[size]} of {size} at D = {size}" for size in sizes if COORDINATES[size] < size]
        if scaled:
            print(f"Of the central differences {' and '.join(scaled)} are timed, and the time scaled to all.")


if __name__ == "__main__":
    main()
