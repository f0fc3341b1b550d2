"""Find a model, read it and refuse it if its parts contradict each other."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.model_card import ModelCard, parse_model_card
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.loaded_model import Golden, LoadedModel
from terrain_seg_ros.inference.model_pins import check_pin
from terrain_seg_ros.inference.onnx_contract import check_onnx
from terrain_seg_ros.inference.synthetic_model import SYNTHETIC, synthetic_model

MODELS_VARIABLE = "TERRAIN_SEG_MODELS"

ONNX_FILE = "model.onnx"
CARD_FILE = "card.json"
GOLDEN_FILE = "golden.npz"

MAX_MODEL_BYTES = 512 * 2**20
MAX_CARD_BYTES = 2**20
MAX_GOLDEN_BYTES = 128 * 2**20
"""Of the unpacked arrays; the largest input (4096 x 4096 RGB and its mask) takes 64 MiB."""
_SAME = ("height_px", "width_px", "channels", "resize", "taxonomy")
"""What the cards of two files of one model must agree on."""

log = logging.getLogger(__name__)


def shipped_models() -> list[str]:
    """Return the names of the models that come with this package, sorted."""
    return _names(_shipped_folder())


def added_models() -> list[str]:
    """Return the names of the user's own models that are not hidden by a shipped one, sorted."""
    folder = _user_folder()
    shipped = shipped_models()
    return [] if folder is None else [name for name in _names(folder) if name not in shipped]


def user_models_folder() -> Path:
    """Return where the user's own models are, whether or not it exists.

    That is $TERRAIN_SEG_MODELS, else terrain_seg_ros/models in $XDG_DATA_HOME or ~/.local/share.

    Raises:
        ModelError: the user has no home and neither variable is set.
    """
    folder = _user_folder()
    if folder is None:
        raise ModelError(f"there is no home folder; set {MODELS_VARIABLE} to a folder for models")
    return folder


def load_model(name_or_path: str | Path) -> LoadedModel:
    """Return a model whose parts have been checked against each other.

    A shipped or added float32 model brings the files of lower precision that are shipped or added
    too and whose cards say that they were made from it. One of them that cannot be used is left
    out with a warning.

    Args:
        name_or_path: the name of a shipped model or else of one of the user's own, a folder with
            model.onnx, card.json and perhaps golden.npz, the path of an .onnx file with the others
            beside it, or "synthetic".

    Raises:
        ModelError: the model is missing, too large, corrupt, not the file that its card was
            written for, contradicts its card, or is not the file that its name is pinned to.
    """
    if str(name_or_path) == SYNTHETIC:
        return synthetic_model()
    onnx_path = _find(name_or_path)
    model = _load(name_or_path, onnx_path)
    return replace(model, lowered=tuple(_lowered(model.card, onnx_path)))


def load_card(name_or_path: str | Path) -> ModelCard:
    """Return only the card of a model, without reading its ONNX file.

    Raises:
        ModelError: the model is missing or its card cannot be used.
    """
    if str(name_or_path) == SYNTHETIC:
        return synthetic_model().card
    return read_card(_find(name_or_path).parent / CARD_FILE)


def read_card(path: Path) -> ModelCard:
    """Return the card in a JSON file.

    Raises:
        ModelError: the file is missing, too large, no JSON or no valid card.
    """
    text = _read_bounded(path, MAX_CARD_BYTES)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the card is no JSON ({error}); export the model again") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: the card is no JSON object; export the model again")
    return parse_model_card(content, source=str(path))


def _load(name_or_path: str | Path, onnx_path: Path) -> LoadedModel:
    card = read_card(onnx_path.parent / CARD_FILE)
    data = _read_bounded(onnx_path, MAX_MODEL_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256.lower():
        raise ModelError(
            f"{onnx_path}: sha256 is {digest[:16]}..., but the card says {card.sha256[:16]}...; "
            "the file was changed or damaged: fetch or export the model again"
        )
    _check_pins(name_or_path, onnx_path, digest)
    check_onnx(data, card, source=str(onnx_path))
    golden = _read_golden(onnx_path.parent / GOLDEN_FILE)
    return LoadedModel(card=card, onnx_path=onnx_path, onnx_bytes=data, golden=golden)


def _lowered(card: ModelCard, onnx_path: Path) -> Iterator[LoadedModel]:
    """Give the files that were made from a float32 one, each precision once.

    Only folders that the user or this package fills are searched: what lies beside a model
    elsewhere may be anybody's.
    """
    found: set[str] = set()
    homes = _homes()
    if onnx_path.resolve().parent.parent not in [home.resolve() for home in homes]:
        return
    for folder in (home / name for home in homes for name in _names(home)):
        try:
            other = read_card(folder / CARD_FILE)
            if other.lowered_from_sha256 != card.sha256 or other.precision in found:
                continue
            _check_same(other, card)
            yield _load(folder.name, folder / ONNX_FILE)
            found.add(other.precision)
        except ModelError as error:
            log.warning("%s is not used: %s", folder, error)


def _check_same(lowered: ModelCard, card: ModelCard) -> None:
    for key in _SAME:
        given, wanted = getattr(lowered, key), getattr(card, key)
        if given != wanted:
            raise ModelError(
                f"its card says {key} is {given!r}, but {card.name!r}, which it was made from, has "
                f"{wanted!r}; make it again with `terrain-train export`"
            )


def _shipped_folder() -> Path:
    return Path(str(files("terrain_seg_ros"))) / "models"


def _user_folder() -> Path | None:
    named = os.environ.get(MODELS_VARIABLE, "")
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    try:
        if named:
            return Path(named).expanduser()
        # The XDG rules want a relative path ignored.
        share = data if data.is_absolute() else Path.home() / ".local" / "share"
    except RuntimeError:
        return None
    return share / "terrain_seg_ros" / "models"


def _homes() -> list[Path]:
    own = _user_folder()
    return [_shipped_folder()] if own is None else [_shipped_folder(), own]


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path / CARD_FILE).is_file()
    )


def _find(name_or_path: str | Path) -> Path:
    given = Path(name_or_path)
    candidates = [given]
    if len(given.parts) == 1:
        candidates[:0] = [home / given for home in _homes()]
    for path in candidates:
        if path.is_dir():
            return path / ONNX_FILE
        if path.is_file():
            return path
    raise ModelError(
        f"there is no model {str(name_or_path)!r}: it is neither one of the shipped "
        f"{shipped_models()} nor of those added {added_models()} nor a folder with {ONNX_FILE} "
        f"and {CARD_FILE}"
    )


def _check_pins(name_or_path: str | Path, onnx_path: Path, digest: str) -> None:
    """Check the file against the pin of its name, however it was reached."""
    own = _user_folder()
    if own is None:
        return
    folder = onnx_path.resolve().parent
    homes = [home.resolve() for home in _homes()]
    names = {folder.name} if folder.parent in homes else set()
    if len(Path(name_or_path).parts) == 1:
        names.add(str(name_or_path))
    for name in sorted(names):
        check_pin(own, name, digest)


def _read_bounded(path: Path, limit_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit_bytes:
            raise ModelError(
                f"{path}: {size} bytes are more than the limit of {limit_bytes}; "
                "check that this is the right file"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); a model is a folder with "
            f"{ONNX_FILE}, {CARD_FILE} and {GOLDEN_FILE}"
        ) from error


def _read_golden(path: Path) -> Golden | None:
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > MAX_GOLDEN_BYTES:
            raise ModelError(f"{path}: unpacks to {unpacked} bytes; export the model again")
        with np.load(path, allow_pickle=False) as arrays:
            image: U8 = arrays["image"]
            mask: U8 = arrays["mask"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(
            f"{path}: the golden image cannot be read ({error}); export the model again"
        ) from error
    return Golden(image=image, mask=mask)
