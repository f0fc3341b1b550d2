"""A model without a network, for trying and testing everything around one."""

from __future__ import annotations

from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.model_store.loaded_model import LoadedModel

SYNTHETIC = "synthetic"
"""The name that `load_model` knows it by; only the constant backend serves it."""

_CLASSES = (
    TerrainClass(0, "soil", (168, 120, 80), 0.0),
    TerrainClass(1, "bedrock", (130, 130, 140), 0.1),
    TerrainClass(2, "sand", (230, 200, 120), 0.6),
    TerrainClass(3, "big_rock", (200, 40, 40), 1.0),
)


def synthetic_model(*, height_px: int = 256, width_px: int = 256) -> LoadedModel:
    """Return a model that has only a card: grey input of the given size, four classes."""
    card = ModelCard(
        name=SYNTHETIC,
        version="1.0.0",
        sha256="none",
        height_px=height_px,
        width_px=width_px,
        channels="grey",
        resize="stretch",
        taxonomy=Taxonomy(_CLASSES),
        temperature=1.0,
        opset=17,
        metrics={},
        training={},
        limits=("there is no network: the constant backend gives one class everywhere",),
    )
    return LoadedModel(card=card, onnx_path=None, onnx_bytes=None, golden=None)
