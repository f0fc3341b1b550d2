"""Tests of `terrain-seg models wrap`, `pin` and `remove`, and of using what was wrapped."""

import json
import sys

import cv2
import numpy as np
import pytest

from support.own_networks import write_own_network
from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.cli.models_wrap import parse_classes
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.model_store import model_store
from terrain_seg_ros.segmenter import Segmenter

TOLD = {
    "--name": "own",
    "--version": "1.0.0",
    "--classes": "soil:0.02,rock:1,sand:0.4",
    "--layout": "nchw",
    "--channels": "rgb",
    "--scale": "1",
    "--mean": "0.485,0.456,0.406",
    "--std": "0.229,0.224,0.225",
    "--resize": "stretch",
    "--activation": "logits",
}


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv(model_store.MODELS_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def network(tmp_path):
    return write_own_network(tmp_path / "net.onnx", gain=0.3)


def wrap(path, *more, **changes):
    told = {**TOLD, **{f"--{name}": value for name, value in changes.items()}}
    words = [word for pair in told.items() if pair[1] is not None for word in pair]
    return main(["models", "wrap", str(path), *words, *more])


def picture(path, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, (96, 64), interpolation=cv2.INTER_CUBIC))
    return path


def refused(capsys):
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_wrapped_network_is_listed_and_segments(network, models, tmp_path, capsys):
    image = picture(tmp_path / "photo.png")
    assert wrap(network, "--image", str(image)) == 0
    said = capsys.readouterr().out
    assert f"own 1.0.0 is in {models / 'own'} and passed its self-test" in said
    assert "100.000% of the pixels" in said
    assert "Never scored here" in said
    assert main(["models"]) == 0
    assert "own 1.0.0: soil, rock, sand; 48x32 rgb; fp32; no score" in capsys.readouterr().out
    masks = []
    for backend in ("onnxruntime", "openvino"):
        out = tmp_path / backend
        words = ["--out", str(out), "--model", "own", "--backend", backend]
        assert main(["segment", str(image), *words]) == 0
        assert json.loads((out / "photo.json").read_text())["backend"] == backend
        masks.append(cv2.imread(str(out / "photo_mask.png"), cv2.IMREAD_UNCHANGED))
        with Segmenter("own", backend=backend) as segmenter:
            assert np.array_equal(segmenter(image).mask, masks[-1])
    assert len(np.unique(masks[0])) > 1
    assert np.mean(masks[0] == masks[1]) >= 0.999


def test_a_folder_of_ones_own(network, models, tmp_path, capsys):
    assert wrap(network, "--out", str(tmp_path / "there")) == 0
    assert f"--model {tmp_path / 'there'}" in capsys.readouterr().out
    assert not models.exists()
    assert main(["models", "show", str(tmp_path / "there"), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert [item["hazard"] for item in card["classes"]] == [0.02, 1.0, 0.4]
    assert wrap(network, "--out", str(tmp_path / "there")) == 2
    assert "exists already" in refused(capsys)


@pytest.mark.parametrize("missing", [name[2:] for name in TOLD])
def test_nothing_is_guessed(network, models, capsys, missing):
    with pytest.raises(SystemExit) as stop:
        wrap(network, **{missing: None})
    assert stop.value.code == 2
    assert f"arguments are required: --{missing}" in capsys.readouterr().err
    assert not models.exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": "soil,rock:1,sand:0.4"}, "no hazard is given for ['soil']"),
        ({"classes": "soil:0,rock:1"}, "name 3 in the order"),
        ({"classes": "soil:0,soil:1,sand:1"}, "names 'soil' twice"),
        ({"classes": "soil:0,rock:2,sand:1"}, "hazard 2.0, expected 0 to 1"),
        ({"classes": "soil:0,rock:high,sand:1"}, "is 'high', expected numbers"),
        ({"mean": "a"}, "--mean is 'a'"),
        ({"std": "0"}, "above 0"),
        ({"scale": "100"}, "--scale is 100"),
        ({"size": "64"}, "--size is '64'"),
        ({"colors": "ff0000"}, "--colors has 1, expected 3"),
        ({"colors": "ff0000,zz,00ff00"}, "expected RRGGBB"),
        ({"name": "mars_navcam"}, "reserved by this package"),
        ({"name": "../own"}, "is not a valid name"),
        ({"hazards": "clay:1"}, "--hazards names 'clay'"),
        ({"hazards": "soil:1"}, "once, here or in --classes"),
        ({"image": "absent.png"}, "absent.png: cannot be read"),
    ],
)
def test_wrong_words_are_one_line(network, models, capsys, changes, text):
    assert wrap(network, **changes) == 2
    assert text in refused(capsys)
    assert not models.exists()


def test_classes_hazards_and_colors():
    found = parse_classes("soil, rock:1", "soil:0.1", "#a87850,c83232")
    assert found.names == ("soil", "rock")
    assert [item.hazard for item in found] == [0.1, 1.0]
    assert [item.color_rgb for item in found] == [(168, 120, 80), (200, 50, 50)]
    many = parse_classes(",".join(f"c{k}:0.5" for k in range(12)), None, None)
    assert len({item.color_rgb for item in many}) == 12
    with pytest.raises(ConfigError, match="without spaces"):
        parse_classes("big rock:1", None, None)
    with pytest.raises(ModelError, match="expected 0 to 1"):
        parse_classes("soil:nan,rock:1", None, None)


def test_without_onnx_the_way_to_it_is_told(network, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(WRAP_PACKAGE)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert wrap(network) == 2
    assert "pip install onnx" in refused(capsys)


WRAP_PACKAGE = "terrain_seg_ros.model_tools.wrap"


def test_pin_and_remove(network, models, capsys):
    assert wrap(network) == 0
    assert main(["models", "pin", "own"]) == 0
    assert "own 1.0.0 is pinned to digest" in capsys.readouterr().out
    write_tiny_model(models / "own")
    assert main(["models", "pin", "own"]) == 2
    assert "is pinned to digest" in refused(capsys)
    assert main(["models", "pin", "own", "--release"]) == 0
    assert main(["models", "pin", "own", "--release"]) == 0
    assert main(["models", "remove", "own"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "own is no longer pinned",
        "own was not pinned",
        f"own is removed from {models}",
    ]
    assert not (models / "own").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["pin", "absent"], "no model 'absent' to pin"),
        (["remove", "mars_navcam"], "is shipped"),
        (["remove", "absent"], "no added model"),
    ],
)
def test_models_that_may_not_be_changed_are_one_line(capsys, words, text):
    assert main(["models", *words]) == 2
    assert text in refused(capsys)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["wrap"], "required: FILE.onnx"),
        (["pin"], "required: NAME"),
        (["remove"], "required: NAME"),
        (["remove", "moon", "--release"], "unrecognized arguments: --release"),
        (["pin", "moon", "--layout", "nchw"], "unrecognized arguments: --layout nchw"),
        (["list", "--classes", "a:1"], "unrecognized arguments: --classes a:1"),
    ],
)
def test_options_of_other_actions_are_refused(capsys, words, text):
    with pytest.raises(SystemExit) as stop:
        main(["models", *words])
    assert stop.value.code == 2
    assert text in capsys.readouterr().err
