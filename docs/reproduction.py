#!/usr/bin/env python3
"""Makes docs/reproduction from a directory of `hsr reproduce all`: the claims as a table, and a few of the pictures.

    hsr reproduce all --out DIR        (or, to be had sooner, some of it with --quick)
    python3 docs/reproduction.py DIR
"""

import json
import pathlib
import shutil
import sys

ORDER = ["fig2", "fig3", "fig5", "fig6", "fig7", "fig9", "fig10", "fig11", "fig12", "fig14", "fig15", "referee", "depth"]
PICTURES = ["fig2", "fig7", "fig7-decisions", "fig9", "fig10", "referee", "referee-equal-loss", "referee-saddles", "depth"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent / "reproduction"
    target.mkdir(exist_ok=True)
    found = [json.loads((source / f"{name}.json").read_text()) for name in ORDER]
    claims = [
        (figure["experiment"], figure["settings"]["extent"], claim) for figure in found for claim in figure["claims"]
    ]
    held = sum(claim["holds"] for *_, claim in claims)
    made = "`hsr reproduce all --out DIR`"
    if {extent for _, extent, _ in claims} != {"full"}:
        made = "`hsr reproduce NAME --out DIR`, with `--quick` where the table says so,"
    lines = [
        "# The paper's figures, reproduced",
        "",
        f"Made by {made} and `python3 docs/reproduction.py DIR`. Claims and their thresholds stand in",
        "`crates/hsr-lab/src/reproduce`; a claim that does not hold is reported as it is. The same comparison on real data,",
        "with wrong labels and few samples: [the real tasks](real-tasks.md).",
        "",
        f"{held} of {len(claims)} claims hold.",
        "",
        "| figure | extent | | claim, with what was measured |",
        "|---|---|---|---|",
    ]
    for name, extent, claim in claims:
        text = claim["text"].replace("|", "\\|")
        lines.append(f"| {name} | {extent} | {'PASS' if claim['holds'] else '**FAIL**'} | {text} |")
    for figure in found:
        shown = [name for name in PICTURES if f"{name}.svg" in figure["pictures"]]
        if not shown:
            continue
        lines += ["", f"## {figure['experiment']}: {figure['title']}"]
        for name in shown:
            shutil.copyfile(source / f"{name}.svg", target / f"{name}.svg")
            lines += ["", f"![{figure['title']}]({name}.svg)"]
        lines += ["", f"*{figure['caption']}*"]
    (target / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
