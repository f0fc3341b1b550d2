"""Mutated networks: each is wrapped or refused in one line, and a good one is wrapped next.

TERRAIN_SEG_FUZZ_RUNS sets the number of networks; TERRAIN_SEG_FUZZ_SEED another row of them.
"""

import os
import random

import onnx
import pytest

from support.own_networks import wrap_settings, write_own_network
from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.model_store import network_trial
from terrain_seg_ros.model_tools.wrap.wrap_model import make_wrapped
from terrain_seg_ros.model_tools.wrap.wrap_settings import Layout

RUNS = int(os.environ.get("TERRAIN_SEG_FUZZ_RUNS", "120"))
SEED = int(os.environ.get("TERRAIN_SEG_FUZZ_SEED", "0"))
KINDS = (
    {},
    {"opset": 11},
    {"layout": "nhwc"},
    {"activation": "softmax"},
    {"size": ("h", "w")},
    {"batch": "n"},
    {"outputs": 2},
)
OPERATORS = (
    "Dropout",
    "BatchNormalization",
    "Upsample",
    "Resize",
    "Conv",
    "Softmax",
    "Reshape",
    "Squeeze",
    "Gather",
    "Cast",
    "If",
    "Nothing",
    "",
)


def mutate(model, chance):
    """Change one thing of a graph as exporters, editors or accidents do."""
    change = chance.choice((mutate_node, mutate_node, mutate_weights, mutate_border, mutate_head))
    change(model, chance)


def mutate_node(model, chance):
    graph = model.graph
    node = chance.choice(graph.node)
    kind = chance.randrange(5)
    if kind == 0:
        node.op_type = chance.choice(OPERATORS)
    elif kind == 1:
        graph.node.remove(node)
    elif kind == 2:
        graph.node.insert(chance.randrange(len(graph.node) + 1), node)
    elif kind == 3 and node.input:
        names = [name for other in graph.node for name in other.output]
        node.input[chance.randrange(len(node.input))] = chance.choice([*names, "", "nowhere"])
    elif node.attribute:
        attribute = chance.choice(node.attribute)
        attribute.i = chance.choice((-1, 0, 1, 2**62))
        if attribute.ints:
            attribute.ints[0] = chance.choice((-1, 0, 7, 2**62))


def mutate_weights(model, chance):
    weights = chance.choice(model.graph.initializer)
    if weights.dims and chance.random() < 0.5:
        weights.dims[0] = chance.choice((0, 1, 2, 10**6, -1))
    else:
        weights.data_type = chance.randrange(0, 30)


def mutate_head(model, chance):
    if chance.random() < 0.5:
        model.ir_version = chance.choice((0, 1, 3, 4, 8, 10, 13, 100))
    else:
        model.opset_import[0].version = chance.choice((0, 1, 7, 9, 11, 13, 17, 21, 30, 2**40))


def mutate_border(model, chance):
    item = chance.choice([*model.graph.input, *model.graph.output])
    dims = item.type.tensor_type.shape.dim
    if dims and chance.random() < 0.7:
        chance.choice(dims).dim_value = chance.choice((0, 1, 3, 31, 4096, -5, 2**40))
    else:
        item.type.tensor_type.elem_type = chance.choice((0, 1, 7, 10, 99))


def spoil(data, chance):
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
def test_any_network_is_wrapped_or_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(network_trial, "_known", {})
    chance = random.Random(SEED)
    path = tmp_path / "net.onnx"
    wrapped = refused = 0
    for _ in range(RUNS):
        kind = chance.choice(KINDS)
        data = write_own_network(path, **kind).read_bytes()
        if chance.random() < 0.7:
            model = onnx.load_from_string(data)
            for _ in range(chance.choice((1, 1, 2, 3))):
                if model.graph.node and model.graph.initializer:
                    mutate(model, chance)
            data = model.SerializeToString()
        if chance.random() < 0.4:
            data = spoil(data, chance)
        path.write_bytes(data)
        layout = Layout(kind.get("layout", "nchw"))
        try:
            make_wrapped(wrap_settings(path, layout=layout, size_hw=(32, 48)), [])
            wrapped += 1
        except TerrainSegError as error:
            refused += 1
            assert "\n" not in str(error)
            assert len(str(error)) < 2000
    assert wrapped
    assert refused
    write_own_network(path)
    assert make_wrapped(wrap_settings(path), []).mask.shape == (32, 48)
