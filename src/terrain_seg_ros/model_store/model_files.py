"""The files of a model as bytes, read once: what is checked is what is used."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.files.array_file import read_npz
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.model_store.loaded_model import Golden
from terrain_seg_ros.model_store.model_digest import model_digest

ONNX_FILE = "model.onnx"
CARD_FILE = "card.json"
GOLDEN_FILE = "golden.npz"
SIGNATURE_FILE = "model.sig"

MAX_MODEL_BYTES = 512 * 2**20
MAX_CARD_BYTES = 2**20
MAX_GOLDEN_BYTES = 128 * 2**20
"""Of the unpacked arrays; the largest input (4096 x 4096 RGB and its mask) takes 64 MiB."""
MAX_SIGNATURE_BYTES = 4096
_PARTS = f"a model is a folder with {ONNX_FILE}, {CARD_FILE} and {GOLDEN_FILE}"


@dataclass(frozen=True)
class ModelFiles:
    """The content of a model's folder; golden image and signature may be absent."""

    onnx_path: Path
    card: bytes = field(repr=False)
    onnx: bytes = field(repr=False)
    golden: bytes | None = field(repr=False)
    signature: bytes | None = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """Return the sha256 over card, network and golden image, in hexadecimal."""
        return model_digest({CARD_FILE: self.card, ONNX_FILE: self.onnx, GOLDEN_FILE: self.golden})


def read_model_files(onnx_path: Path) -> ModelFiles:
    """Read the network and what lies beside it.

    Raises:
        ModelError: a file is missing, too large or not a regular one.
    """
    folder = onnx_path.parent
    return ModelFiles(
        onnx_path,
        card=read_card_file(folder / CARD_FILE),
        onnx=_read(onnx_path, MAX_MODEL_BYTES),
        golden=_read_if_there(folder / GOLDEN_FILE, MAX_GOLDEN_BYTES),
        signature=_read_if_there(folder / SIGNATURE_FILE, MAX_SIGNATURE_BYTES),
    )


def read_card_file(path: Path) -> bytes:
    """Return the bytes of a card.

    Raises:
        ModelError: the file is missing, too large or not a regular one.
    """
    return _read(path, MAX_CARD_BYTES)


def parse_golden(data: bytes | None, *, source: str) -> Golden | None:
    """Return the golden image in the bytes of a .npz file; None for None.

    Raises:
        ModelError: they hold none, or objects, or more than the limit.
    """
    if data is None:
        return None
    try:
        arrays = read_npz(data, ("image", "mask"), limit_bytes=MAX_GOLDEN_BYTES)
    except ConfigError as error:
        raise ModelError(
            f"{source}: the golden image cannot be read: it {error}; export the model again"
        ) from error
    return Golden(image=np.array(arrays["image"]), mask=np.array(arrays["mask"]))


def _read(path: Path, limit_bytes: int) -> bytes:
    return read_regular_file(path, limit_bytes, error=ModelError, remedy=_PARTS)


def _read_if_there(path: Path, limit_bytes: int) -> bytes | None:
    # A link that leads nowhere is not absent: it is a damaged model.
    return _read(path, limit_bytes) if os.path.lexists(path) else None
