"""The Python API: load a model, segment an image, inspect the result.

from terrain_seg_ros.segmenter import Segmenter
segmenter = Segmenter("mars_navcam")
result = segmenter("image.png")
print(result.shares())
picture_rgb = result.overlay()
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.image.exif import TURNS, UPRIGHT, upright
from terrain_seg_ros.core.image.image_file import StoredImage, read_stored_image
from terrain_seg_ros.core.image.images_to_masks import images_to_masks
from terrain_seg_ros.core.image.mask_to_picture import color_mask, overlay
from terrain_seg_ros.core.image.novelty import novelty_of
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8, CameraImage, Segmentation
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.model_store.model_trust import ANY_MODEL, ModelTrust

UNLABELLED_NAME = "unlabelled"
Exif = Literal["stored", "upright"]
_PIL_MODES = {"1": "L", "L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "P": "RGB", "CMYK": "RGB"}
_PIL_WIDE = ("I;16", "I;16L", "I;16B", "I;16N")
_EXIF_TAG = 274

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentedImage:
    """An image and the model's result for it; the arrays are not shared with the backend."""

    pixels: U8
    """(H, W) grey or (H, W, 3) RGB."""
    taxonomy: Taxonomy
    segmentation: Segmentation = field(repr=False)
    elapsed_ms: float
    """Time from pixels to mask, without reading the file."""
    notes: tuple[str, ...] = ()
    """Assumptions about the image, such as the range of 16-bit samples."""
    novelty: float | None = None
    """How unlike the model's training the image is; 1 is the limit of the card, None if unknown."""

    @property
    def mask(self) -> U8:
        """Return the class ids (H, W); 255 for pixels outside the model's input."""
        return self.segmentation.mask

    @property
    def confidence(self) -> U8:
        """Return the confidence of the model (H, W), 0 to 255."""
        return self.segmentation.confidence

    def shares(self) -> dict[str, float]:
        """Return the share of pixels per class name, including "unlabelled", 0 to 1."""
        counts = np.bincount(self.mask.reshape(-1), minlength=256) / self.mask.size
        shares = {name: float(counts[id_]) for id_, name in enumerate(self.taxonomy.names)}
        return {**shares, UNLABELLED_NAME: float(counts[len(shares) :].sum())}

    def mean_confidence(self) -> float:
        """Return the mean confidence of the labelled pixels, 0 to 1; 0 if there are none."""
        labelled = self.confidence[self.mask < len(self.taxonomy)]
        return float(labelled.mean() / 255.0) if labelled.size else 0.0

    def overlay(self, alpha: float = 0.5) -> U8:
        """Return the image blended with the classes' colours (H, W, 3) RGB."""
        return overlay(self.pixels, self.mask, self.taxonomy, alpha=alpha)

    def color_mask(self) -> U8:
        """Return the mask in the classes' colours (H, W, 3) RGB; black where unlabelled."""
        return color_mask(self.mask, self.taxonomy)


class Segmenter:
    """Runs a model on image files or arrays; use it in a `with` statement or call `close`."""

    def __init__(
        self,
        model: str | Path,
        *,
        backend: BackendName | str = BackendName.AUTO,
        options: BackendOptions | None = None,
        trust: ModelTrust = ANY_MODEL,
        image_bits: int = 0,
        exif: Exif = "stored",
    ) -> None:
        """Load a model and test it on its golden image.

        Args:
            model: the name of a shipped model or a path, as for `load_model`.
            backend: the backend; "auto" selects the fastest one that passes the self-test.
            options: threads and precision.
            trust: requirements on the model, such as a signature.
            image_bits: the number of bits used by 16-bit images, 8 to 16; 0 detects it, once for
                all images.
            exif: "stored" uses the pixels of a file as stored, as for images in messages;
                "upright" applies the EXIF orientation.

        Raises:
            ConfigError: the bits are out of range, or the key of the signature cannot be used.
            ModelError: the model cannot be used.
            InferenceError: the backend cannot be used.
        """
        self._bits = SampleBits(image_bits)
        self._exif = exif
        self._logged: set[str] = set()
        self._model = load_model(model, trust)
        self._novelty = novelty_of(self._model.card)
        self._backend = create_backend(backend, self._model, options)

    def __enter__(self) -> Segmenter:
        """Return the segmenter."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the backend."""
        self.close()

    @property
    def card(self) -> ModelCard:
        """Return the model's card."""
        return self._model.card

    @property
    def backend(self) -> str:
        """Return the name of the backend in use."""
        return self._backend.name

    @property
    def precision(self) -> str:
        """Return the precision the backend computes in."""
        return self._backend.precision

    @property
    def has_detected_bits(self) -> bool:
        """Return whether the range of 16-bit images was detected from those seen so far."""
        return bool(self._bits.text)

    def __call__(self, image: str | os.PathLike[str] | Any) -> SegmentedImage:
        """Segment one image.

        Args:
            image: a path, a PIL image, or a NumPy array of pixels (H, W) grey or (H, W, 3) RGB of
                uint8 or uint16.

        Raises:
            ConfigError: the file cannot be read.
            MessageError: the array or PIL image has an unsupported type.
            InferenceError: the backend failed.
        """
        pixels, notes = self._pixels(image)
        start_ns = time.perf_counter_ns()
        image_in = CameraImage(pixels, stamp_ns=0, frame_id="")
        (step,) = images_to_masks([image_in], self.card, self._backend, novelty=self._novelty)
        segmentation = step.segmentation.copy()
        elapsed_ms = (time.perf_counter_ns() - start_ns) / 1e6
        return SegmentedImage(
            pixels, self.card.taxonomy, segmentation, elapsed_ms, notes, step.novelty
        )

    def close(self) -> None:
        """Free the backend; calling it again has no effect."""
        self._backend.close()

    def _pixels(self, image: Any) -> tuple[U8, tuple[str, ...]]:
        """Return the pixels of an image and notes on assumptions, each of which is logged once."""
        notes = []
        if isinstance(image, (str, os.PathLike)):
            stored = read_stored_image(Path(image), self._bits)
        else:
            stored = StoredImage(*_array_of(image))
        values: Any = stored.pixels
        if isinstance(values, np.ndarray) and values.dtype == np.uint16:
            values = self._bits.to_bytes(values)
        if self._bits.text:
            notes.append(self._bits.text)
        if stored.turn != UPRIGHT and self._exif == "upright":
            values = upright(values, stored.turn)
        elif stored.turn != UPRIGHT:
            notes.append(
                f"EXIF orientation {stored.turn} ({TURNS[stored.turn]}) is ignored: the image is "
                "used as stored; pass exif upright to apply it"
            )
        for note in notes:
            if note not in self._logged:
                self._logged.add(note)
                log.warning("%s", note)
        return values, tuple(notes)


def _array_of(image: Any) -> tuple[Any, int]:
    """Return the values of an array or a PIL image, and its EXIF orientation."""
    if isinstance(image, np.ndarray):
        return image, UPRIGHT
    mode = getattr(image, "mode", None)
    if not isinstance(mode, str) or not callable(getattr(image, "convert", None)):
        raise MessageError(
            f"image is of type {type(image).__name__}, expected a path, a PIL image or a NumPy "
            "array (H, W) or (H, W, 3) of uint8"
        )
    if mode in _PIL_WIDE:
        values = np.asarray(image).astype(np.uint16)
    elif mode in _PIL_MODES:
        values = np.array(image.convert(_PIL_MODES[mode]), dtype=np.uint8)
    else:
        raise MessageError(f"PIL image has mode {mode!r}, expected L, RGB or I;16; convert it")
    turn = image.getexif().get(_EXIF_TAG, UPRIGHT)
    return values, turn if turn in TURNS else UPRIGHT
