"""Run the doctor over a bag and read its findings."""

from __future__ import annotations

import json

from terrain_seg_ros.cli.main import main

QUICK = ["--model", "synthetic"]


def look(bag, capsys, *words):
    """Return exit code and findings of the doctor, as rows of state, item, detail and remedy."""
    code = main(["doctor", str(bag), "--json", *QUICK, *map(str, words)])
    return code, json.loads(capsys.readouterr().out)


def rows(content, item):
    return [row for row in content["findings"] if row["item"] == item]


def params(folder, text_of_values):
    path = folder / "my_rover.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    {text_of_values}\n")
    return "--params", path
