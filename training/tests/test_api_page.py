"""The example of the page on the Python API runs as it is printed, on a small set."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from terrain_seg_ros.core.errors import ModelError

PAGE = Path(__file__).parents[2] / "docs/howto/train_python.md"
SMALL = (
    'size=64, batch=4, lr=0.01, accelerator="cpu", threads=1, '
    'settings={"training.precision": "fp32"}'
)


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_example_runs(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/ai4mars").symlink_to(data)
    shutil.copy(sorted((data / "images").glob("*.jpg"))[0], "photo.png")
    example, *again = blocks()
    assert "epochs=5" in example
    names: dict[str, object] = {}
    for epochs in (5, 16, 48):  # until this host's network tells classes apart
        shutil.rmtree("runs", ignore_errors=True)
        try:
            exec(example.replace("epochs=5", f"epochs={epochs}, {SMALL}"), names)
        except ModelError as error:
            assert "one class only" in str(error)
        else:
            break
    for block in again:
        exec(block, names)
    assert len(names["run"].history) == epochs
    assert names["picture_rgb"].shape == (64, 64, 3)
    assert names["card"].name == "mars_navcam_small"
    assert Path("curves.png").is_file()


@pytest.mark.parametrize("name", ["train", "history", "predict", "evaluate", "export"])
def test_the_page_explains_each_part(name):
    assert f"\n* **{name}** " in PAGE.read_text("utf-8")
