"""In a notebook, a bar and the curves of a training are live, and results are pictures.

The cells run in a real kernel; what it sends is what a browser would show.
"""

from __future__ import annotations

import base64

import pytest

from terrain_training.notebook import in_notebook

WHY = "Jupyter's kernel is not installed: pip install 'terrain-seg-training[notebook]'"
pytest.importorskip("ipykernel", reason=WHY)
nbclient = pytest.importorskip("nbclient", reason=WHY)
nbformat = pytest.importorskip("nbformat", reason=WHY)

CELLS = (
    """
import terrain_training as tt
given = dict(epochs=2, accelerator="cpu", threads=1, settings={{"training.example_images": 0}})
run = tt.train({recipe!r}, data={data!r}, out={out!r}, **given)
""",
    "run.plot()",
    "run.predict({image!r})[0]",
    "print(run.evaluate(resamples=20).figures.images)",
    "tt.train({recipe!r}, data={data!r}, out={out!r} + '-silent', verbose=False, **given)",
)


class Watched(nbclient.NotebookClient):
    """A client that keeps what each cell shows and renews, in order."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.shown = {}

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.shown.setdefault(cell_index, []).append((msg["msg_type"], msg["content"]["data"]))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def watched(recipe_file, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    image = sorted((data / "images").glob("*.jpg"))[0]
    names = {
        "recipe": str(recipe_file),
        "data": str(data),
        "out": str(folder / "run"),
        "image": str(image),
    }
    cells = [nbformat.v4.new_code_cell(text.format(**names)) for text in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = Watched(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    client.folder = folder
    return client


def outputs(watched, cell, kind):
    return [item for item in watched.nb.cells[cell].outputs if item.output_type == kind]


def test_the_curves_are_renewed_after_each_epoch(watched):
    curves = [(kind, data) for kind, data in watched.shown[0] if "image/png" in data]
    assert [kind for kind, _ in curves] == ["display_data", "update_display_data"]
    left = [item for item in outputs(watched, 0, "display_data") if "image/png" in item.data]
    assert len(left) == 1
    written = (watched.folder / "run" / "curves.png").read_bytes()
    assert base64.b64decode(left[0].data["image/png"]) == written


def test_one_bar_shows_all_epochs_and_is_gone_at_the_end(watched):
    bars = [(kind, data["text/plain"]) for kind, data in watched.shown[0] if "text/html" in data]
    assert [kind for kind, _ in bars].count("display_data") == 1
    texts = [text for _, text in bars]
    for begun in ("epoch 1 of 2: 0 of ", "validate epoch 1: 0 of ", "epoch 2 of 2: 0 of "):
        assert any(text.startswith(begun) for text in texts)
    assert any("per second" in text for text in texts)
    assert texts[-1] == ""


def test_rows_are_printed_and_nothing_else_is(watched):
    printed = outputs(watched, 0, "stream")
    assert {item.name for item in printed} == {"stdout"}
    lines = "".join(item.text for item in printed).splitlines()
    assert [line.split()[0] for line in lines] == ["run", "22", "epoch", "1/2", "2/2"]


@pytest.mark.parametrize("cell", [1, 2])
def test_curves_and_predictions_are_pictures(watched, cell):
    (result,) = outputs(watched, cell, "execute_result")
    assert base64.b64decode(result.data["image/png"]).startswith(b"\x89PNG")


def test_an_evaluation_has_a_bar_and_prints_no_log(watched):
    texts = [data["text/plain"] for _, data in watched.shown[3]]
    assert any(text.startswith("evaluate: 0 of 22 images") for text in texts)
    (printed,) = outputs(watched, 3, "stream")
    assert printed.text == "22\n"


def test_a_silent_training_shows_no_curves_and_prints_no_rows(watched):
    assert not [data for _, data in watched.shown[4] if "image/png" in data]
    assert outputs(watched, 4, "stream") == []


def test_a_script_is_no_notebook():
    assert not in_notebook()
