"""The workflow of the hosted CI runs what .ci/run runs, on every supported Python."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
SCRIPT = (ROOT / ".ci/run").read_text(encoding="utf-8")


def targets(text):
    return re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)


def commands(job):
    return "\n".join(step["run"] for step in job["steps"] if "run" in step)


def test_the_script_ends_with_the_tests_of_the_runtime():
    assert targets(SCRIPT)[0] == "lint"
    assert targets(SCRIPT)[-1] == "test"


def test_the_workflow_has_every_part_of_the_script():
    found = {name for job in WORKFLOW["jobs"].values() for name in targets(commands(job))}
    assert found == set(targets(SCRIPT))


def test_the_tests_run_on_every_supported_python():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    supported = re.findall(r"Python :: (3\.\d+)", setup)
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python-version"] == supported


def test_the_workflow_needs_no_secret_and_may_only_read():
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "secrets." not in text
    assert WORKFLOW["permissions"] == {"contents": "read"}
