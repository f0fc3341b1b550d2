"""The card that accompanies a model; its content is validated when read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.files.strict_json import shown
from terrain_seg_ros.core.novelty_reference import (
    NoveltyReference,
    novelty_content,
    parse_novelty,
)
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass

CARD_FORMAT = 1
MAX_CLASSES = 255
MAX_NAME_LENGTH = 100
MAX_INPUT_PX = 4096
Resize = Literal["stretch", "letterbox", "crop"]
Channels = Literal["grey", "rgb"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True)
class ModelCard:
    """The description of a model.

    The network takes `image` uint8 [N, height_px, width_px, C] with C = 1 (grey: ITU-R BT.601 luma
    of RGB) or 3 (RGB), and returns `mask`, `confidence` [N, h, w] and `probabilities`
    [N, K, h, w], all uint8. `sha256` is the hash of the ONNX file. `precision` is that of the
    numbers stored in the file, before a runtime reduces it further; it defaults to float32.
    `lowered_from_sha256` is the hash of the float32 file from which a file of lower precision was
    made, otherwise empty. `novelty` says what its training images look like, None where unknown.
    `metrics`, `training` and `limits` are free text and numbers for human readers.
    """

    name: str
    version: str
    sha256: str
    height_px: int
    width_px: int
    channels: Channels
    resize: Resize
    taxonomy: Taxonomy
    temperature: float
    opset: int
    metrics: Mapping[str, Any] = field(repr=False)
    training: Mapping[str, Any] = field(repr=False)
    limits: tuple[str, ...] = field(repr=False)
    precision: Precision = "fp32"
    lowered_from_sha256: str = ""
    novelty: NoveltyReference | None = field(default=None, repr=False)

    @property
    def channel_count(self) -> int:
        """Return C of the input tensor."""
        return 1 if self.channels == "grey" else 3


def parse_model_card(content: Mapping[str, Any], *, source: str) -> ModelCard:
    """Check the content of a card.json and return it as a value.

    Args:
        content: the decoded JSON object.
        source: the origin of the content, for error messages.

    Raises:
        ModelError: a key is missing, of the wrong type or out of range.
    """
    if content.get("format") != CARD_FORMAT or content["format"] is True:
        raise ModelError(
            f"{source}: card format is {shown(content.get('format'))}, expected {CARD_FORMAT}; "
            "export the model again or update this software"
        )
    reader = _Reader(content, source)
    card = ModelCard(
        name=reader.name("name"),
        version=reader.name("version"),
        sha256=reader.name("sha256"),
        height_px=reader.integer("height_px", 16, MAX_INPUT_PX),
        width_px=reader.integer("width_px", 16, MAX_INPUT_PX),
        channels=cast(Channels, reader.choice("channels", ("grey", "rgb"))),
        resize=cast(Resize, reader.choice("resize", ("stretch", "letterbox", "crop"))),
        taxonomy=_parse_classes(reader.sequence("classes"), source),
        temperature=reader.number("temperature", 0.01, 100.0),
        opset=reader.integer("opset", 1, 30),
        metrics=reader.mapping("metrics"),
        training=reader.mapping("training"),
        limits=reader.texts("limits"),
        precision=cast(Precision, reader.choice("precision", PRECISIONS, absent="fp32")),
        lowered_from_sha256=reader.name("lowered_from_sha256", absent=""),
        novelty=parse_novelty(content["novelty"], source=source) if "novelty" in content else None,
    )
    stored = content.get("taxonomy_fingerprint")
    if stored != card.taxonomy.fingerprint():
        raise ModelError(
            f"{source}: taxonomy_fingerprint does not match the listed classes; "
            "export the model again"
        )
    return card


def card_content(card: ModelCard) -> dict[str, Any]:
    """Return a card as a JSON object, the inverse of `parse_model_card`."""
    return {
        "format": CARD_FORMAT,
        "name": card.name,
        "version": card.version,
        "sha256": card.sha256,
        "height_px": card.height_px,
        "width_px": card.width_px,
        "channels": card.channels,
        "resize": card.resize,
        "classes": [
            {"id": c.id, "name": c.name, "color_rgb": list(c.color_rgb), "hazard": c.hazard}
            for c in card.taxonomy
        ],
        "taxonomy_fingerprint": card.taxonomy.fingerprint(),
        "temperature": card.temperature,
        "opset": card.opset,
        "precision": card.precision,
        **({"lowered_from_sha256": card.lowered_from_sha256} if card.lowered_from_sha256 else {}),
        "metrics": dict(card.metrics),
        "training": dict(card.training),
        "limits": list(card.limits),
        **({} if card.novelty is None else {"novelty": novelty_content(card.novelty)}),
    }


def _parse_classes(items: list[Any], source: str) -> Taxonomy:
    if len(items) > MAX_CLASSES:
        raise ModelError(f"{source}: lists {len(items)} classes, at most {MAX_CLASSES} fit a mask")
    classes = []
    for item in items:
        if not isinstance(item, Mapping):
            raise ModelError(f"{source}: class {shown(item)} is not an object")
        reader = _Reader(item, source)
        classes.append(
            TerrainClass(
                id=reader.integer("id", 0, MAX_CLASSES - 1),
                name=reader.name("name"),
                color_rgb=reader.color("color_rgb"),
                hazard=reader.number("hazard", 0.0, 1.0),
            )
        )
    return Taxonomy(tuple(classes))


class _Reader:
    def __init__(self, content: Mapping[str, Any], source: str) -> None:
        self._content = content
        self._source = source

    def _fail(self, key: str, expected: str) -> ModelError:
        return ModelError(
            f"{self._source}: {key} is {shown(self._content.get(key))}, expected {expected}"
        )

    def name(self, key: str, *, absent: str | None = None) -> str:
        """Return a string of one printable line."""
        if absent is not None and key not in self._content:
            return absent
        value = self._content.get(key)
        if not isinstance(value, str) or not value:
            raise self._fail(key, "a non-empty string")
        if not value.isprintable() or len(value) > MAX_NAME_LENGTH:
            raise self._fail(key, f"one line of at most {MAX_NAME_LENGTH} printable characters")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.sequence(key)
        if not all(isinstance(item, str) for item in value):
            raise self._fail(key, "a list of strings")
        return tuple(value)

    def color(self, key: str) -> tuple[int, int, int]:
        value = self.sequence(key)
        if len(value) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in value):
            raise self._fail(key, "three whole numbers from 0 to 255: red, green, blue")
        red, green, blue = value
        return red, green, blue

    def number(self, key: str, low: float, high: float) -> float:
        value = self._content.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._fail(key, "a number")
        if not low <= value <= high:  # false for NaN, too
            raise self._fail(key, f"{low} to {high}")
        return float(value)

    def integer(self, key: str, low: int, high: int) -> int:
        value = self.number(key, low, high)
        if value != int(value):
            raise self._fail(key, "a whole number")
        return int(value)

    def choice(self, key: str, choices: tuple[str, ...], *, absent: str | None = None) -> str:
        value = self._content.get(key, absent)
        if value not in choices:
            raise self._fail(key, f"one of {list(choices)}")
        return str(value)

    def sequence(self, key: str) -> list[Any]:
        value = self._content.get(key)
        if not isinstance(value, list):
            raise self._fail(key, "a list")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self._content.get(key)
        if not isinstance(value, Mapping):
            raise self._fail(key, "an object")
        return value
