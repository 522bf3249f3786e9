"""Stand-ins for the CUDA libraries that PyTorch's Linux wheel on PyPI is linked to.

The wheel cannot be imported without them, and they are gigabytes, of which a machine without a GPU runs nothing. This
makes libraries of the same names, a few KiB each, in which every function returns an error: PyTorch then sees no GPU,
and all that runs on the CPU is as it was. Needs a C compiler and binutils, which Rust needs as well.
"""

import collections
import ctypes
import re
import subprocess
import tempfile
from pathlib import Path

# What CUDA's functions return: cudaErrorInsufficientDriver.
SOURCE = "int absent(void) { return 35; }\n"


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def make(folder: Path):
    """Makes what the libraries in `folder` need and nothing provides; gives the names of what was made."""
    needed, wanted, provided, owner = set(), set(), set(), {}
    for library in sorted(folder.glob("*.so*")):
        needed.update(re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-dW", library)))
        for line in output_of("nm", "-D", library).splitlines():
            *_, kind, name = line.split()
            if kind == "U":
                wanted.add(name)
            elif kind not in "wv":
                provided.add(name.split("@")[0])
        # Which library a symbol's version belongs to.
        file = None
        for line in output_of("readelf", "-VW", library).splitlines():
            if found := re.search(r"File: (\S+)", line):
                file = found[1]
            elif file and (found := re.search(r"Name: (\S+)", line)):
                owner[found[1]] = file

    missing, present = [], [ctypes.pythonapi]
    for name in sorted(needed):
        if not (folder / name).exists():
            try:
                present.append(ctypes.CDLL(name))
            except OSError:
                missing.append(name)
    if not missing:
        return missing

    # Symbols by library and version; those without a version may stand anywhere.
    symbols = {name: collections.defaultdict(list) for name in missing}
    for symbol in sorted(wanted):
        name, _, version = symbol.partition("@")
        if name in provided:
            continue
        if version:
            if owner.get(version) in symbols:
                symbols[owner[version]][version].append(name)
        elif not any(hasattr(library, name) for library in present):
            symbols[missing[0]][""].append(name)

    for library, versions in symbols.items():
        names = [name for names in versions.values() for name in names]
        source = SOURCE + "".join(f'int {n}(void) __attribute__((alias("absent")));\n' for n in names)
        script = "".join(
            f"{version} {{ global: {' '.join(name + ';' for name in names)} }};\n"
            for version, names in versions.items()
            if version
        )
        with tempfile.NamedTemporaryFile("w", suffix=".map") as map_file:
            map_file.write(script)
            map_file.flush()
            options = [f"-Wl,--version-script={map_file.name}"] if script else []
            subprocess.run(
                ["cc", "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", folder / library, *options],
                input=source,
                text=True,
                check=True,
            )
    return missing
