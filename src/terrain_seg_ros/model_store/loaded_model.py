"""A model as the backends take it: card, graph and golden image, all checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import U8


@dataclass(frozen=True)
class Golden:
    """The example of a model: an input (h, w, C) and its float32 mask (h, w)."""

    image: U8
    mask: U8


@dataclass(frozen=True)
class LoadedModel:
    """A checked model.

    The backends read `onnx_bytes`, the very bytes whose hash was checked; both it and
    `onnx_path` are None for a model that has only a card, which the constant backend serves.
    `lowered` are files of lower precision that were made from this one: the same model, with the
    same input, classes and golden image. `digest` is over all files that were read, empty for a
    model that was not read from files. `test_deadline_s` is how long a first run in a process of
    its own may take, before another runtime sees the network here; 0 where none is needed.
    `has_fixed_batch` says that the network takes one image at a time.
    """

    card: ModelCard
    onnx_path: Path | None
    onnx_bytes: bytes | None = field(repr=False)
    golden: Golden | None = field(repr=False)
    lowered: tuple[LoadedModel, ...] = ()
    digest: str = ""
    test_deadline_s: float = 0.0
    has_fixed_batch: bool = False

    def __post_init__(self) -> None:
        """Check the golden image against the card."""
        if self.golden is None:
            return
        card = self.card
        plane = (card.height_px, card.width_px)
        found = (self.golden.image.shape, self.golden.mask.shape)
        if found != ((*plane, card.channel_count), plane):
            raise ModelError(
                f"golden image and mask of {card.name!r} have shapes {found[0]} and {found[1]}, "
                f"expected {(*plane, card.channel_count)} and {plane}; export the model again"
            )
        if self.golden.image.dtype != np.uint8 or self.golden.mask.dtype != np.uint8:
            raise ModelError(f"golden image or mask of {card.name!r} is not uint8; export it again")
        highest = int(self.golden.mask.max())
        if highest >= len(card.taxonomy):
            raise ModelError(
                f"golden mask of {card.name!r} holds class id {highest}, but the card lists only "
                f"{len(card.taxonomy)} classes; export the model again"
            )

    def file(self, precision: str) -> LoadedModel:
        """Return the file that runs in a precision: one lowered to it, else this one."""
        return next((file for file in self.lowered if file.card.precision == precision), self)

    def graph(self) -> bytes:
        """Return the ONNX file's bytes.

        Raises:
            InferenceError: the model has only a card.
        """
        if self.onnx_bytes is None:
            raise InferenceError(
                f"model {self.card.name!r} has no ONNX file; "
                "choose the backend 'constant' or another model"
            )
        return self.onnx_bytes


def probe_image(model: LoadedModel) -> U8:
    """Return the golden image (1, h, w, C); without one, a ramp with noise from a fixed seed."""
    if model.golden is not None:
        return model.golden.image[None]
    card = model.card
    shape = (1, card.height_px, card.width_px, card.channel_count)
    ramp = np.linspace(0.0, 255.0, card.width_px)[None, None, :, None]
    noise = np.random.default_rng(0).normal(0.0, 20.0, shape)
    return np.asarray(np.clip(ramp + noise, 0.0, 255.0), dtype=np.uint8)
