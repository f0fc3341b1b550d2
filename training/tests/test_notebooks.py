"""Every notebook from data to the node, on small data: its cells in order, in one namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import data_sets

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PALETTE = np.array([(128, 64, 128), (70, 70, 70), (107, 142, 35)], dtype=np.uint8)
NARROW = {
    "network.options.arguments": {"decoder_channels": [16, 8, 8, 8, 8]},
    "training.learning_rate": 0.003,
}
SMALL = {
    "mars_terrain_images": ["EPOCHS = 4", "GAN = {'width': 8}"],
    "lunar_rocks": ["EPOCHS = 8", "SIZE = 32"],
    "lunar_landscape_encoders": [
        "EPOCHS = 4",
        "SIZE = 64",
        f"SETTINGS = {{'lunar_vgg11': {NARROW!r}}}",
    ],
    "street_scenes_kmeans": ["EPOCHS = 8", "CLASSES = 3", "SIZE = 64"],
    "satellite_land_masks": ["EPOCHS = 8", "SIZE = 32"],
}


def make_data(name: str, folder: Path) -> Path:
    if name == "mars_terrain_images":
        return data_sets.mars_npz(folder / "mars.npz", count=24)
    if name == "street_scenes_kmeans":
        return data_sets.pairs(folder / "pairs", PALETTE, count=12)
    if name == "satellite_land_masks":
        return data_sets.earth(folder / "land", count=24, binary=True)
    return data_sets.lunar(folder / "lunar", count=24)


def script_of(name: str, parameters: list[str]) -> str:
    """Return the code of a notebook, with parameters set after the cell that declares them."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    parts, declared = ["import matplotlib", "matplotlib.use('Agg')"], 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        parts.append("".join(cell["source"]))
        if "parameters" in cell["metadata"].get("tags", []):
            parts += parameters
            declared += 1
    assert declared == 1
    return "\n\n".join(parts)


def test_every_notebook_is_tested_and_kept_without_output():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(SMALL)
    for path in NOTEBOOKS.glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_notebook_goes_from_data_to_the_node(name, tmp_path):
    data = make_data(name, tmp_path)
    places = [f"DATA = Path({str(data)!r})", "OUT = Path('out')"]
    script = tmp_path / "notebook.py"
    script.write_text(script_of(name, [*places, *SMALL[name]]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path, env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    out = tmp_path / "out"
    assert (out / "model" / "model.onnx").is_file()
    assert (out / "drive" / "index.html").is_file()
    replayed = json.loads((out / "drive.json").read_text(encoding="utf-8"))
    assert replayed["grids_out"] == replayed["images_in"] > 0
