"""Parts of one's own, as docs/howto/train_own_parts.md shows them, train, resume and export."""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import terrain_training as tt
from data_sets import labels, save, scene
from terrain_seg_ros.core.errors import ConfigError
from terrain_training import parts
from terrain_training.cli import main
from terrain_training.networks.registry import NETWORKS
from terrain_training.recipe.load import load_recipe, recipe_from

PAGE = Path(__file__).parents[2] / "docs/howto/train_own_parts.md"
QUICK = {"training.batch_size": 4, "training.example_images": 0, "training.learning_rate": 0.02}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


PARTS, SOURCE, PIPELINE, SAVED = blocks("python")
RECIPE, *_ = blocks("yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a labelled folder of the page's two classes."""
    root = tmp_path_factory.mktemp("mine")
    for index in range(20):
        mask = labels(index, 2, height=64, width=64)
        save(root / "images" / f"{index:03d}.png", scene(index, mask))
        save(root / "masks" / f"{index:03d}.png", mask)
    return root


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.py").write_text(PARTS, "utf-8")
    (tmp_path / "mine.yaml").write_text(RECIPE, "utf-8")
    return tmp_path


def train(data, out, *, recipe="mine.yaml", epochs=2, **more):
    settings = {**QUICK, **more.pop("settings", {})}
    return tt.train(
        recipe, data=data, out=out, epochs=epochs, settings=settings, verbose=False, **more
    )


def test_the_page_s_network_trains_is_evaluated_and_exported(here, folder):
    run = train(folder, "run", epochs=12)
    assert load_file("run/best.safetensors")["first.0.weight"].shape == (8, 3, 3, 3)
    (here / "parts.py").unlink()  # the run has what it needs
    again = tt.load("run", data=folder)
    assert again.evaluate(resamples=10).figures.mean_iou > 0.5
    card = again.export("model")
    kept = card.training["recipe"]["parts"]
    assert [Path(item["file"]).name for item in kept] == ["parts.py"]
    assert run.recipe.parts[0].sha256 == kept[0]["sha256"]


def test_resumed_run_with_own_parts_equals_uninterrupted(here, folder):
    whole = train(folder, "whole")
    train(folder, "parted", stop_after=1)
    parted = train(folder, "parted")
    one, other = (load_file(run.folder / "best.safetensors") for run in (whole, parted))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_is_not_resumed_with_other_code(here, folder):
    train(folder, "run", stop_after=1)
    assert (here / "run/parts/parts.py").read_text("utf-8") == PARTS
    (here / "parts.py").write_text(PARTS + "\n# another line\n", "utf-8")
    with pytest.raises(ConfigError, match="was made with other code; restore the files"):
        train(folder, "run")


def test_a_copy_that_was_changed_is_not_run(here, folder):
    train(folder, "run", epochs=1)
    (here / "run/parts/parts.py").write_text("raise SystemExit\n", "utf-8")
    with pytest.raises(ConfigError, match="has changed since the recipe was written"):
        tt.load("run")
        parts._files.clear()
        tt.load("run")


def test_code_that_a_model_names_never_runs(here):
    recipe = load_recipe("mine.yaml")
    Path("trap.py").write_text("from pathlib import Path\nPath('ran').touch()\n", "utf-8")
    content = yaml.safe_load(yaml.safe_dump({"file": "trap.py", "sha256": "0" * 64}))
    kept = {**dataclasses.asdict(recipe), "parts": [content]}
    with pytest.raises(ConfigError, match=r"names code of its own \(trap.py\), which never runs"):
        recipe_from(kept, source="the card of x")
    assert not Path("ran").exists()


def test_loading_processes_know_own_parts(here, folder):
    alone = train(folder, "alone", epochs=1)
    helped = train(folder, "helped", epochs=1, settings={"data.workers": 1})
    one, other = (load_file(run.folder / "best.safetensors") for run in (alone, helped))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_page_s_source_is_read(here, tmp_path):
    (here / "source.py").write_text(SOURCE, "utf-8")
    masks = np.stack([labels(index, 2, height=64, width=64) for index in range(15)])
    images = np.stack([scene(index, mask, channels=1) for index, mask in enumerate(masks)])
    np.savez("arrays.npz", images=images, masks=masks)
    settings = {
        "parts": ["parts.py", "source.py"],
        "data.source": "TwoArrays",
        "data.options": {"every": 4},
        "data.channels": "grey",
    }
    run = train("arrays.npz", "run", epochs=1, settings=settings)
    assert run.summary["validation_images"] == 4
    assert run.evaluate(resamples=10).figures.images == 4


def test_own_parts_are_listed(here, capsys):
    for what, name, option in (
        ("networks", "TwoScales", "width=16"),
        ("losses", "squared_error", "The mean square"),
        ("augmentations", "dead_columns", "count"),
    ):
        assert main(["list", what, "--parts", "parts.py"]) == 0
        rows = capsys.readouterr().out.splitlines()
        assert [option in row for row in rows if row.startswith(f"{name} ")] == [True]


def test_another_recipe_does_not_see_them(here):
    load_recipe("mine.yaml")
    assert "TwoScales" in NETWORKS
    load_recipe("mars_navcam")
    assert "TwoScales" not in NETWORKS
    with pytest.raises(ConfigError, match=r"network\.kind is 'TwoScales'; expected one of"):
        load_recipe("mars_navcam", overrides=["network.kind=TwoScales"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (", r"parts.py', line 1: SyntaxError"),
        ("\nraise ValueError('no')", r"parts.py', line 2: ValueError: no"),
        ("x = 1", "gives nothing: put a decorator"),
        ("@parts.loss\ndef dice(logits, target, context): ...", "gives 'dice', which is shipped"),
        ("@parts.loss\ndef mine(logits): ...", r"mine takes \(logits\), expected \(logits, target"),
        (
            "@parts.augmentation\ndef mine(image, mask, random, *, by): ...",
            "the option by has no type; write by: float",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_error(here, code, message):
    (here / "parts.py").write_text(
        f"from terrain_training import parts; {code}\n".replace("; @", "\n@")
    )
    with pytest.raises(ConfigError, match=message):
        load_recipe("mine.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "stride=4, padding=1",
            "stride=2, padding=1",
            r"TwoScales fails on an image \(1, 3, 64",
        ),
        ("dim=1))\n", "dim=1))[..., 1:]\n", r"expected logits \(1, 2, 64, 64\)"),
        ("[labelled].mean()", "", r"squared_error gives \(4, 64, 64\), expected a scalar"),
        ("return image, mask\n", "return image[:32], mask\n", "dead_columns makes an image"),
    ],
)
def test_what_a_part_gives_is_checked(here, folder, old, new, message):
    (here / "parts.py").write_text(PARTS.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=message):
        train(folder, "run", epochs=1)


def test_a_package_gives_parts_to_every_recipe(here, monkeypatch):
    package = here / "site"
    info = package / "my_package-1.0.dist-info"
    info.mkdir(parents=True)
    (package / "my_package.py").write_text(PARTS, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    points = "[terrain_training.networks]\ntwo = my_package:TwoScales\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(package))
    importlib.invalidate_caches()
    parts._installed.cache_clear()
    try:
        overrides = ["parts=[]", "network.kind=two", "augmentation=[]"]
        recipe = load_recipe("mine.yaml", overrides=[*overrides, "training.losses={dice: 1.0}"])
        assert NETWORKS.part("two").origin == "the package my-package"
        with pytest.raises(ConfigError, match="network needs multiples of 4"):
            load_recipe("mine.yaml", overrides=[*overrides, "data.width_px=66"])
        assert recipe.parts == []
    finally:
        parts._installed.cache_clear()
        parts._imported.cache_clear()
        sys.modules.pop("my_package", None)


def test_a_pipeline_without_the_library_names_the_command(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    row = "augmentation=[{name: albumentations, probability: 1.0, pipeline: {transform: {}}}]"
    with pytest.raises(ConfigError, match=r"package albumentations, which is missing: pip install"):
        load_recipe("mine.yaml", overrides=[row])


class TestAlbumentations:
    @pytest.fixture(autouse=True)
    def library(self):
        return pytest.importorskip("albumentations", reason="the extra albumentations is missing")

    def test_the_page_s_pipelines_train_alike_every_time(self, here, folder):
        exec(SAVED, {})
        Path("weather.py").write_text(PIPELINE, "utf-8")
        rows = [
            {"name": "albumentations", "probability": 1.0, "pipeline": "pipeline.yaml"},
            {"name": "weather", "probability": 0.8},
        ]
        settings = {"parts": ["parts.py", "weather.py"], "augmentation": rows}
        whole = train(folder, "whole", settings=settings)
        train(folder, "parted", settings=settings, stop_after=1)
        parted = train(folder, "parted", settings=settings)
        one, other = (load_file(run.folder / "best.safetensors") for run in (whole, parted))
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert whole.recipe.augmentation[0]["pipeline"]["transform"]["transforms"]

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (", fill_mask=255", "", "Rotate has fill_mask 0.*, which is a class; set fill_mask"),
            ("A.Compose(\n", "str(\n", "is a str, expected an albumentations.Compose"),
        ],
    )
    def test_a_pipeline_that_would_harm_is_refused(self, here, old, new, message):
        Path("weather.py").write_text(PIPELINE.replace(old, new, 1), "utf-8")
        rows = "augmentation=[{name: weather, probability: 0.8}]"
        with pytest.raises(ConfigError, match=message):
            load_recipe("mine.yaml", overrides=["parts=[parts.py, weather.py]", rows])
