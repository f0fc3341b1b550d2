"""Mutated cards: each is used as it says or refused in one line, and a good one is served next.

TERRAIN_SEG_FUZZ_RUNS sets the number of cards; TERRAIN_SEG_FUZZ_SEED another row of them.
"""

import copy
import json
import os
import random

import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.inference.self_test import parity_refusal
from terrain_seg_ros.model_store.model_store import load_model, read_card

RUNS = int(os.environ.get("TERRAIN_SEG_FUZZ_RUNS", "1000"))
SEED = int(os.environ.get("TERRAIN_SEG_FUZZ_SEED", "0"))
METRICS = {
    "mean_iou": 0.8,
    "iou": {"soil": 0.9},
    "parity": [
        {
            "backend": "onnxruntime",
            "precision": "int8",
            "images": 516,
            "mean_iou_loss": 0.0,
            "dangerous_recall_loss": 0.0,
            "clear_margin_changed": 0.0,
        }
    ],
}
LEAVES = (
    None,
    True,
    False,
    0,
    -1,
    1,
    255,
    256,
    2.5,
    -0.0,
    1e-320,
    1e308,
    2**63,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "0",
    "rgb",
    "soil",
    "\0",
    "a\nb",
    "\x1b[2J",
    "\ud800",
    "\u202e",
    "x" * 5000,
    [],
    {},
    [[]],
    [0, 0, 0],
    ["1", "2", "3"],
    [1.5, 2, 3],
    [True, False, True],
    {"a": {"b": []}},
)


def places(content, path=()):
    """Return the path of everything in a JSON value, the value itself first."""
    yield path
    items = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def at(content, path):
    for key in path:
        content = content[key]
    return content


def mutate(content, chance):
    """Change one place: another leaf, removal, a copy, nesting, or what stands elsewhere."""
    path = chance.choice(list(places(content)))
    if not path:
        return copy.deepcopy(chance.choice(LEAVES)) if chance.random() < 0.2 else content
    holder, key = at(content, path[:-1]), path[-1]
    kind = chance.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        deep = holder[key]
        for _ in range(chance.choice((1, 20, 60))):
            deep = [deep] if chance.random() < 0.5 else {"a": deep}
        holder[key] = deep
    elif kind == 2 and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[key]) for _ in range(chance.choice((1, 3, 300))))
    elif kind == 3:
        holder[key] = copy.deepcopy(at(content, chance.choice(list(places(content)))))
    else:
        holder[key] = copy.deepcopy(chance.choice(LEAVES))
    return content


def spoil(text, chance):
    """Change some characters of a JSON text, or give a key twice."""
    if chance.random() < 0.3:
        key = chance.choice(("classes", "hazard", "height_px", "sha256", "format"))
        return text.replace(f'"{key}"'.encode(), f'"{key}": 1, "{key}"'.encode())
    data = bytearray(text)
    for _ in range(chance.randrange(1, 4)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def mutant(text, chance):
    """Return the bytes of a mutated card."""
    content = json.loads(text)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        if isinstance(content, dict):
            content = mutate(content, chance)
    return spoil(text, chance) if chance.random() < 0.2 else json.dumps(content).encode()


@pytest.fixture
def folder(tmp_path):
    return write_tiny_model(tmp_path / "tiny", size=32, metrics=METRICS)


def test_any_card_is_used_or_refused_in_one_line(folder, capsys):
    path = folder / "card.json"
    good = path.read_bytes()
    chance = random.Random(SEED)
    accepted = refused = 0
    for _ in range(RUNS):
        path.write_bytes(mutant(good, chance))
        try:
            card = read_card(path)
        except ModelError as error:
            refused += 1
            assert "\n" not in str(error)
            assert len(str(error)) < 2000
            continue
        accepted += 1
        for precision in ("fp32", "int8"):
            assert isinstance(parity_refusal(card, "onnxruntime", precision), str)
        if accepted % 10 == 0:
            assert main(["models", "show", str(folder)]) == 0
            capsys.readouterr()
    assert refused > RUNS / 10
    assert accepted > RUNS / 100
    path.write_bytes(good)
    create_backend("onnxruntime", load_model(folder), BackendOptions(precision="fp32")).close()


@pytest.mark.parametrize(
    "colors",
    [
        [[1], 2, 3],
        ["1", 2, 3],
        [1.0, 2, 3],
        [True, 2, 3],
        [None, 2, 3],
        [1, 2],
        [1, 2, 3, 4],
        [-1, 2, 3],
        [1, 2, 256],
        [float("nan"), 2, 3],
        [10**400, 2, 3],
        "123",
        {"r": 1},
        7,
    ],
)
def test_a_colour_that_is_none_is_refused_by_name(folder, colors):
    card = json.loads((folder / "card.json").read_text())
    card["classes"][1]["color_rgb"] = colors
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"color_rgb is|is not valid JSON"):
        load_model(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"hazard": 1.0', '"hazard": 1.0, "hazard": 0.0'),
        ('"format": 1', '"format": 1, "format": 1'),
        ('"mean_iou": 0.8', '"mean_iou": 0.8, "mean_iou": 0.9'),
    ],
)
def test_a_key_that_is_given_twice_is_refused(folder, old, new):
    text = (folder / "card.json").read_text()
    assert old in text
    (folder / "card.json").write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError, match=r"the key '\w+' occurs twice"):
        load_model(folder)
