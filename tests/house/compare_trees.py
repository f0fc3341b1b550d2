"""Compare the speed of this tree with another tree of it: `make compare TREE=PATH`.

Both are measured by their own `terrain-seg bench`, in turns, in this environment. The lowest figure
of all turns counts, because whatever else runs on the machine only adds to it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
RUN = "import sys; from terrain_seg_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
HEAD = ("figure, ms", "other tree", "this tree", "ratio")


def main() -> int:
    """Measure both trees in turns and print a table."""
    parser = argparse.ArgumentParser(description="Compare the speed of this tree with another.")
    parser.add_argument("tree", type=Path, help="another checkout of this repository")
    parser.add_argument("--turns", type=int, default=5, help="turns per tree (default: 5)")
    parser.add_argument("--rounds", type=int, default=100, help="rounds of each (default: 100)")
    arguments = parser.parse_args()
    tree = arguments.tree.resolve()
    if not (tree / "src" / "terrain_seg_ros").is_dir():
        parser.error(
            f"{arguments.tree} has no src/terrain_seg_ros; name a checkout of this project"
        )
    lowest: dict[Path, dict[str, float]] = {tree: {}, HERE: {}}
    for turn in range(arguments.turns):
        for place in (tree, HERE) if turn % 2 == 0 else (HERE, tree):
            sys.stderr.write(f"turn {turn + 1} of {arguments.turns}: {place} ...\n")
            for name, value in figures(place, arguments.rounds, starts=turn == 0).items():
                lowest[place][name] = min(value, lowest[place].get(name, value))
    lines = ["{:36}{:>12}{:>12}{:>8}".format(*HEAD)]
    for name, here_ms in lowest[HERE].items():
        there_ms = lowest[tree].get(name)
        known = (f"{there_ms:.2f}", f"{here_ms / there_ms:.2f}") if there_ms else ("-", "-")
        lines.append(f"{name:36}{known[0]:>12}{here_ms:>12.2f}{known[1]:>8}")
    sys.stdout.write("\n".join([*lines, ""]))
    return 0


def figures(tree: Path, rounds: int, *, starts: bool) -> dict[str, float]:
    """Return what one run of a tree's `terrain-seg bench` measures, by name.

    A start is that of a fresh process, after others; it takes as long to measure as all else.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "bench.json"
        options = ["--backend", "openvino", "--size", "640x480", "--rounds", str(rounds)]
        subprocess.run(
            [sys.executable, "-c", RUN, "bench", *options, "--no-peers", "--json", str(report)]
            + ([] if starts else ["--no-starts"]),
            env={**os.environ, "PYTHONPATH": str(tree / "src")},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        measured = json.loads(report.read_text(encoding="utf-8"))
    found = {f"overhead, {row['precision']}": row["overhead_ms"] for row in measured["rows"]}
    for row in measured["starts"]:
        found[f"start, {row['precision']}"] = 1e3 * row["start_s"]
    for row in measured["geometry"]:
        found[row["way"]] = row["sum_ms"]
        if row["landing_ms"] is not None:
            found[f"{row['way']}: landing sites"] = row["landing_ms"]
    return found


if __name__ == "__main__":
    sys.exit(main())
