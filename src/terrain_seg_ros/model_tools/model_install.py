"""Install a published model in the user's models folder, tested before it gets its name."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, BackendOptions
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.model_store.fetch import FetchRules, check_sha256, fetch
from terrain_seg_ros.model_store.model_files import (
    CARD_FILE,
    GOLDEN_FILE,
    MAX_CARD_BYTES,
    MAX_GOLDEN_BYTES,
    MAX_MODEL_BYTES,
    ONNX_FILE,
)
from terrain_seg_ros.model_store.model_store import load_model, shipped_models
from terrain_seg_ros.model_store.synthetic_model import SYNTHETIC
from terrain_seg_ros.model_store.unpack import UnpackLimits, unpack

MAX_TEXTS_BYTES = 16 * 2**20
"""Of README.md, licences and whatever else lies beside the model."""
LIMITS = UnpackLimits(
    max_entries=64,
    max_bytes=MAX_MODEL_BYTES + MAX_GOLDEN_BYTES + MAX_CARD_BYTES + MAX_TEXTS_BYTES,
    max_ratio=100.0,
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BY_HAND = "Or download it elsewhere and give the path of the file instead of the address."


@dataclass(frozen=True)
class InstalledModel:
    """An installed model: its name, folder and card."""

    name: str
    folder: Path
    card: ModelCard


def install_model(
    source: str,
    models: Path,
    *,
    sha256: str,
    name: str | None = None,
    allow_http: bool = False,
    progress: bool = False,
) -> InstalledModel:
    """Fetch, check, unpack and test a model, and only then give it its name.

    Args:
        source: web address or path of a .zip or .tar.gz of model.onnx, card.json, golden.npz and
            texts, with or without a folder around them.
        models: the folder of models; is made where it does not exist.
        sha256: of the archive, as published.
        name: the model's new name; the card's where absent.
        allow_http: whether plain http may leave this machine.
        progress: whether to draw a progress bar on stderr, where that is a terminal.

    Raises:
        ConfigError: the archive cannot be fetched, has another hash or may not be unpacked.
        ModelError: the name is invalid or taken, or the archive holds no model or a broken one.
        InferenceError: no runtime can test it here.
    """
    if name is not None:
        check_free_name(name, models)
    rules = FetchRules(
        max_bytes=LIMITS.max_bytes, by_hand=_BY_HAND, sha256=sha256, allow_http=allow_http
    )
    models.mkdir(parents=True, exist_ok=True)
    if "://" not in source:
        return _install(_checked_file(source, sha256), models, source=source, name=name)
    archive = models / f".fetch-{sha256.lower()[:16]}"
    archive.unlink(missing_ok=True)
    fetch(source, archive, rules=rules, progress=progress)
    try:
        return _install(archive, models, source=source, name=name)
    finally:
        archive.unlink(missing_ok=True)


def _install(archive: Path, models: Path, *, source: str, name: str | None) -> InstalledModel:
    # Hidden, and beside the models: a rename within one file system happens whole or not at all.
    with tempfile.TemporaryDirectory(dir=models, prefix=".add-") as temporary:
        content = Path(temporary) / "content"
        content.mkdir()
        unpack(archive, content, limits=LIMITS)
        folder = _model_folder(content, source)
        try:
            card = try_model(folder)
        except ModelError as error:
            raise ModelError(str(error).replace(str(folder), source)) from error
        chosen = card.name if name is None else name
        check_free_name(chosen, models)
        folder.rename(models / chosen)
    return InstalledModel(chosen, models / chosen, card)


def _checked_file(source: str, sha256: str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise ConfigError(f"'{source}' is neither a file nor an https address; check it")
    check_sha256(path, sha256, source=source)
    return path


def check_name(name: str) -> None:
    """Check that a text is valid as the name of a model.

    Raises:
        ModelError: it is not.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} is not a valid name of a model; expected at most 64 letters, digits, '_' "
            "and '-': give another with --name"
        )


def check_free_name(name: str, models: Path) -> None:
    """Check that the name of a new model is valid and free.

    Raises:
        ModelError: it is invalid or taken.
    """
    check_name(name)
    if name == SYNTHETIC or name in shipped_models():
        raise ModelError(f"the name {name!r} is reserved by this package; give another with --name")
    if (models / name).exists():
        raise ModelError(
            f"'{models / name}' exists already; remove it, or give another name with --name"
        )


def _model_folder(content: Path, source: str) -> Path:
    places = [content, *(path for path in content.iterdir() if path.is_dir())]
    found = [place for place in places if (place / CARD_FILE).is_file()]
    if len(found) != 1:
        raise ModelError(
            f"{source}: holds {len(found)} models, expected one: {ONNX_FILE}, {CARD_FILE} and "
            f"{GOLDEN_FILE}, at most one folder deep"
        )
    return found[0]


def try_model(folder: Path) -> ModelCard:
    """Return the card of a model that gives its golden mask in ONNX Runtime.

    Raises:
        ModelError: the model is broken, or has no golden image.
        InferenceError: ONNX Runtime refuses it.
    """
    model = load_model(folder)
    if model.golden is None:
        raise ModelError(
            f"{folder} has no {GOLDEN_FILE}, so it cannot be tested; ask its publisher for one"
        )
    options = BackendOptions(precision=FULL_PRECISION)
    create_backend(BackendName.ONNXRUNTIME, model, options).close()
    return model.card
