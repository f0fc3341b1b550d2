"""Rebuild the model `truth_mask`, a decoder that reads class ids from a coded image.

Run it after changing the world's classes; a test fails if the shipped files differ.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from terrain_seg_ros.core.model_card import ModelCard, card_content
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.worlds.coded_image import CODE_FIRST, CODE_STEP, CODED_SIDE_PX, coded_image
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY

FOLDER = Path(__file__).resolve().parents[2] / "src/terrain_seg_ros/models/truth_mask"
SIDE_PX = CODED_SIDE_PX
SHARPNESS = 1.0 / 64.0
"""Scores are minus this times the squared distance to a class's code; 25 between two codes."""
LIMITS = (
    "This is no network and has learned nothing: it decodes the true classes that the simulator "
    "has written into an image, grey value 40 + 40 x class id. A camera image means nothing to it.",
    "Whatever is measured with it is the quality of geometry and fusion alone, as if a network "
    "made no mistake. It says nothing of how well terrain is recognised.",
    "Give it images of exactly 256 x 256 pixels, never resized or compressed with loss: a value "
    "between two codes is some class of low confidence, perhaps one that is not there.",
    "For simulated worlds only. Never on a vehicle.",
)


def truth_mask_model() -> onnx.ModelProto:
    """Return the graph: opset 17, IR 8, uint8 only at the border, no learned weights."""
    ids = np.arange(len(WORLD_TAXONOMY), dtype=np.float32)
    constants = {
        "codes": (CODE_FIRST + CODE_STEP * ids).reshape(1, -1, 1, 1),
        "sharpness": np.float32(-SHARPNESS),
        "scale": np.float32(255.0),
    }
    node = helper.make_node
    byte, real = TensorProto.UINT8, TensorProto.FLOAT
    nodes = [
        node("Cast", ["image"], ["real"], to=real),
        node("Transpose", ["real"], ["plane"], perm=[0, 3, 1, 2]),
        node("Sub", ["plane", "codes"], ["distance"]),
        node("Mul", ["distance", "sharpness"], ["scaled"]),
        node("Mul", ["scaled", "distance"], ["scores"]),
        node("Softmax", ["scores"], ["soft"], axis=1),
        node("ReduceMax", ["soft"], ["best"], axes=[1], keepdims=0),
        node("ArgMax", ["scores"], ["ids"], axis=1, keepdims=0),
        node("Cast", ["ids"], ["real_ids"], to=real),
        node("Cast", ["real_ids"], ["mask"], to=byte),
        node("Mul", ["best", "scale"], ["best_scaled"]),
        node("Round", ["best_scaled"], ["best_round"]),
        node("Cast", ["best_round"], ["confidence"], to=byte),
        node("Mul", ["soft", "scale"], ["soft_scaled"]),
        node("Round", ["soft_scaled"], ["soft_round"]),
        node("Cast", ["soft_round"], ["probabilities"], to=byte),
    ]
    plane = ["N", SIDE_PX, SIDE_PX]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "truth_mask",
        [value("image", byte, [*plane, 1])],
        [
            value("mask", byte, plane),
            value("confidence", byte, plane),
            value("probabilities", byte, ["N", len(WORLD_TAXONOMY), SIDE_PX, SIDE_PX]),
        ],
        [numpy_helper.from_array(np.asarray(item), name) for name, item in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def golden_mask() -> U8:
    """Return classes (h, w) in blocks of several sizes, every one beside every other."""
    rows, cols = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    fine = (rows // 3 + 2 * (cols // 5)) % len(WORLD_TAXONOMY)
    coarse = (rows // 32 + 3 * (cols // 32)) % len(WORLD_TAXONOMY)
    return np.where(rows < SIDE_PX // 2, fine, coarse).astype(np.uint8)


def truth_mask_card(data: bytes) -> ModelCard:
    """Return the card of the graph in these bytes."""
    return ModelCard(
        name="truth_mask",
        version="1.0.0",
        sha256=hashlib.sha256(data).hexdigest(),
        height_px=SIDE_PX,
        width_px=SIDE_PX,
        channels="grey",
        resize="stretch",
        taxonomy=WORLD_TAXONOMY,
        temperature=1.0,
        opset=17,
        metrics={},
        training={
            "data": "none: a decoder of the truth of simulated worlds",
            "license": "Apache-2.0",
        },
        limits=LIMITS,
    )


def read_me(card: ModelCard) -> str:
    """Return the text of the model's README.md."""
    rows = [
        f"| {c.id} | {c.name} | {CODE_FIRST + CODE_STEP * c.id} | {c.hazard:g} |"
        for c in card.taxonomy
    ]
    lines = [
        f"# {card.name} {card.version}",
        "",
        "A decoder rather than a neural network: it converts the image `truth/coded_image` of "
        "`terrain-seg sim`, whose grey values encode the true class ids, to the outputs of a "
        "model. It lets the live node, bags and `terrain-seg score` run on perfect masks. Built by "
        "`tests/house/make_truth_mask.py`.",
        "",
        "| id | class | grey value | hazard |",
        "|---|---|---|---|",
        *rows,
        "",
        "As in any image, the node treats the values 0 and 255 as shadow and saturation "
        "(`observability.*`).",
        "",
        "## Limits",
        "",
        *(f"* {limit}" for limit in card.limits),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the model's four files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = truth_mask_model().SerializeToString()
    card = truth_mask_card(data)
    (FOLDER / "model.onnx").write_bytes(data)
    text = json.dumps(card_content(card), indent=2)
    (FOLDER / "card.json").write_text(text + "\n", encoding="utf-8")
    mask = golden_mask()
    np.savez_compressed(FOLDER / "golden.npz", image=coded_image(mask)[..., None], mask=mask)
    (FOLDER / "README.md").write_text(read_me(card), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
