"""The quickstart notebook runs and shows a picture."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return [cell for cell in client.execute().cells if cell.cell_type == "code"]


def test_first_cell_gives_shares_that_sum_to_one(cells):
    shares = eval(cells[0].outputs[-1]["data"]["text/plain"])
    assert sum(shares.values()) == pytest.approx(1.0)
    assert {"soil", "bedrock", "sand", "big_rock"} <= set(shares)


def test_second_cell_shows_a_picture(cells):
    assert "image/png" in cells[1].outputs[-1]["data"]


def test_third_cell_tells_limits(cells):
    assert "hazard" in cells[2].outputs[-1]["text"]


def test_it_is_stored_without_outputs():
    stored = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(stored)
    assert all(not cell.outputs for cell in stored.cells if cell.cell_type == "code")
