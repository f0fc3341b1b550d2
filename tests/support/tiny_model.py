"""A contract model of a few kilobytes that tells classes by brightness.

Class k is predicted where the weighted brightness lies in the k-th of K equal steps from black to
white. The weights of red, green and blue differ, so a swapped colour order shows.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from terrain_seg_ros.core.model_card import ModelCard, card_content
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass

CLASSES = (
    TerrainClass(0, "soil", (160, 110, 70), 0.0),
    TerrainClass(1, "bedrock", (120, 120, 130), 0.1),
    TerrainClass(2, "sand", (225, 190, 110), 0.6),
    TerrainClass(3, "big_rock", (200, 40, 40), 1.0),
)
WEIGHTS_RGB = (0.6, 0.3, 0.1)


def write_tiny_model(
    folder: Path,
    *,
    size: int | tuple[int, int] = 64,
    classes: int = 4,
    channels: int = 1,
    batch: int | str = "N",
    resize: str = "stretch",
    image_type: int = TensorProto.UINT8,
    metrics: dict | None = None,
    card_changes: dict | None = None,
) -> Path:
    """Write model.onnx, card.json and golden.npz, and return the folder.

    Args:
        folder: is made where it does not exist; its name is the model's name.
        size: side of the input, or (height, width).
        classes: how many; the first four are soil, bedrock, sand and big_rock.
        channels: 1 (grey) or 3 (RGB).
        batch: fixed number, or the name of a free dimension.
        resize: the card's.
        image_type: of the ONNX input, to break the contract.
        metrics: the card's.
        card_changes: keys of card.json to overwrite, to break the contract.
    """
    height, width = (size, size) if isinstance(size, int) else size
    folder.mkdir(parents=True, exist_ok=True)
    data = onnx_bytes(height, width, classes, channels, batch=batch, image_type=image_type)
    (folder / "model.onnx").write_bytes(data)
    card = ModelCard(
        name=folder.name,
        version="1.0.0",
        sha256=hashlib.sha256(data).hexdigest(),
        height_px=height,
        width_px=width,
        channels="grey" if channels == 1 else "rgb",
        resize=resize,
        taxonomy=taxonomy(classes),
        temperature=1.0,
        opset=17,
        metrics=metrics or {},
        training={"data": "none: classes are brightness levels"},
        limits=("serves tests only",),
    )
    content = {**card_content(card), **(card_changes or {})}
    (folder / "card.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    image = golden_image(height, width, channels)
    np.savez_compressed(folder / "golden.npz", image=image, mask=expected_mask(image, classes))
    return folder


def taxonomy(classes: int) -> Taxonomy:
    """Return the first of CLASSES, and class_4, class_5, ... after them."""
    more = [TerrainClass(k, f"class_{k}", (k, k, 255 - k), 0.5) for k in range(4, classes)]
    return Taxonomy((*CLASSES, *more)[:classes])


def golden_image(height: int, width: int, channels: int) -> np.ndarray:
    """Return (h, w, C) with every brightness, and every colour order told apart."""
    ramp = np.linspace(0, 255, width).round().astype(np.uint8)
    image = np.zeros((height, width, channels), dtype=np.uint8)
    image[:, :, 0] = ramp
    if channels == 3:
        image[:, :, 1] = np.linspace(255, 0, height).round().astype(np.uint8)[:, None]
        image[:, :, 2] = 255 - ramp
    return image


def expected_mask(image: np.ndarray, classes: int) -> np.ndarray:
    """Return the class ids (h, w) that the model gives for (h, w, C), in double precision."""
    weights = np.array(WEIGHTS_RGB if image.shape[2] == 3 else (1.0,))
    brightness = image.astype(np.float64) @ weights / 255.0
    return np.minimum(np.floor(brightness * classes), classes - 1).astype(np.uint8)


def onnx_bytes(
    height: int,
    width: int,
    classes: int,
    channels: int,
    *,
    batch: int | str = "N",
    image_type: int = TensorProto.UINT8,
) -> bytes:
    """Return the serialised graph: opset 17, IR 8, uint8 only at the border."""
    centres = (np.arange(classes) + 0.5) / classes
    sharpness = 25.0 * classes**2 / 4.0
    mix = np.array(WEIGHTS_RGB if channels == 3 else (1.0,)) / 255.0
    weight = 2.0 * sharpness * centres[:, None] * mix[None, :]
    bias = -sharpness * centres**2
    constants = {
        "weight": weight.astype(np.float32)[:, :, None, None],
        "bias": bias.astype(np.float32),
        "scale": np.float32(255.0),
    }
    node = helper.make_node
    byte, real = TensorProto.UINT8, TensorProto.FLOAT
    nodes = [
        node("Cast", ["image"], ["real"], to=real),
        node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "weight", "bias"], ["logits"]),
        node("Softmax", ["logits"], ["soft"], axis=1),
        node("ReduceMax", ["soft"], ["best"], axes=[1], keepdims=0),
        node("ArgMax", ["logits"], ["ids"], axis=1, keepdims=0),
        node("Cast", ["ids"], ["real_ids"], to=real),
        node("Cast", ["real_ids"], ["mask"], to=byte),
        node("Mul", ["best", "scale"], ["best_scaled"]),
        node("Round", ["best_scaled"], ["best_round"]),
        node("Cast", ["best_round"], ["confidence"], to=byte),
        node("Mul", ["soft", "scale"], ["soft_scaled"]),
        node("Round", ["soft_scaled"], ["soft_round"]),
        node("Cast", ["soft_round"], ["probabilities"], to=byte),
    ]
    plane = [batch, height, width]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", image_type, [*plane, channels])],
        [
            helper.make_tensor_value_info("mask", byte, plane),
            helper.make_tensor_value_info("confidence", byte, plane),
            helper.make_tensor_value_info("probabilities", byte, [batch, classes, height, width]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
