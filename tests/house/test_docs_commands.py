"""The commands of the tutorials run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
LONG, ROS, LIVE = "runs for minutes", "needs ROS 2", "runs until it is interrupted"
SIMULATOR, OWN = "needs MuJoCo and OpenGL", "needs a file of the reader's own"
INSTALLS, TORCH = "installs packages", "needs the environment of training"
NOT_RUN = {
    ("first_map.md", "make demo"): LONG,
    ("your_bag.md", "terrain-seg run"): LIVE,
    ("your_bag.md", "ros2 launch"): ROS,
    ("your_network.md", ".venv/bin/pip install"): INSTALLS,
    ("your_network.md", "terrain-seg models wrap net.onnx --name my_unet"): OWN,
    ("your_network.md", "terrain-seg models wrap net.onnx --name my_rocks"): OWN,
    ("nav2.md", "ros2 launch"): ROS,
    ("lander.md", "terrain-seg sim"): SIMULATOR,
    ("lander.md", "terrain-seg run"): LIVE,
    ("lander.md", "ros2 launch"): ROS,
    ("view.md", "make demo"): LONG,
    ("view.md", ".venv/bin/pip install"): INSTALLS,
    ("view.md", "terrain-seg view"): LIVE,
    ("training.md", "make test-training"): LONG,
    ("training.md", ".venv-training/bin/terrain-train inspect"): TORCH,
    ("training.md", "terrain-seg segment photo.png"): OWN,
    ("train_your_images.md", "terrain-train"): TORCH,
    ("train_your_images.md", "terrain-seg segment data/mine"): TORCH,
}
"""Blocks that are not run here, by page and beginning, and why. Their commands are parsed by
test_commands.py and by training/tests/test_readme_commands.py."""


def blocks(page: Path) -> list[str]:
    """Return the fenced `bash` blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def why_not_run(page: Path, block: str) -> str:
    reasons = [
        why
        for (name, start), why in NOT_RUN.items()
        if name == page.name and block.startswith(start)
    ]
    return reasons[0] if reasons else ""


ALL = [(page, block) for page in TUTORIALS for block in blocks(page)]
RUN = [(page, block) for page, block in ALL if not why_not_run(page, block)]


@pytest.fixture
def workplace(tmp_path):
    """Return a folder that looks like the checkout; what is written goes beside it."""
    for name in ("config", "src", "training"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "block"),
    RUN,
    ids=[f"{page.stem}: {block[:40]}" for page, block in RUN],
)
def test_the_blocks_of_the_tutorials_run(page, block, workplace):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # A score below its limits is exit code 1, which is an answer too.
    accepted = {0, 1} if "terrain-seg score" in block else {0}
    assert answer.returncode in accepted, answer.stdout + answer.stderr
    for path in re.findall(r"(?:--out|--json|\.mcap) (out/\S+)", block):
        assert (workplace / path).exists(), path


def test_python_blocks_of_the_first_tutorial_run(workplace, monkeypatch, capsys):
    text = (ROOT / "docs/tutorials/first_map.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(workplace)
    told: dict[str, object] = {}
    exec(code, told)
    assert "big_rock" in capsys.readouterr().out
    assert told["picture_rgb"].shape == (256, 256, 3)


def test_every_exception_is_a_block_and_most_tutorials_have_one_that_runs():
    unused = [
        key
        for key in NOT_RUN
        if not any(page.name == key[0] and block.startswith(key[1]) for page, block in ALL)
    ]
    assert unused == []
    assert {page.stem for page, _ in RUN} >= {"first_map", "your_bag", "your_network", "lander"}
