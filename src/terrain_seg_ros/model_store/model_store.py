"""Find a model, read it and refuse it if its parts contradict each other."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.files.strict_json import read_json
from terrain_seg_ros.core.model_card import ModelCard, parse_model_card
from terrain_seg_ros.model_store.loaded_model import LoadedModel, probe_image
from terrain_seg_ros.model_store.model_files import (
    CARD_FILE,
    GOLDEN_FILE,
    ONNX_FILE,
    ModelFiles,
    parse_golden,
    read_card_file,
    read_model_files,
)
from terrain_seg_ros.model_store.model_pins import Pin, check_pin, read_pins
from terrain_seg_ros.model_store.model_signature import check_signature
from terrain_seg_ros.model_store.model_trust import ANY_MODEL, ModelTrust
from terrain_seg_ros.model_store.network_trial import try_network
from terrain_seg_ros.model_store.onnx_contract import Border, check_border, check_onnx
from terrain_seg_ros.model_store.onnx_safety import check_network
from terrain_seg_ros.model_store.synthetic_model import SYNTHETIC, synthetic_model

MODELS_VARIABLE = "TERRAIN_SEG_MODELS"
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


def load_model(name_or_path: str | Path, trust: ModelTrust = ANY_MODEL) -> LoadedModel:
    """Return a model whose parts have been checked against each other.

    A shipped or added float32 model brings the files of lower precision that are shipped or added
    too and whose cards say that they were made from it. One of them that cannot be used is left
    out with a warning; so is one that is not pinned where the model itself is.

    Args:
        name_or_path: the name of a shipped model or else of one of the user's own, a folder with
            model.onnx, card.json and perhaps golden.npz, the path of an .onnx file with the others
            beside it, or "synthetic".
        trust: what the model must show.

    Raises:
        ModelError: the model is missing, too large, corrupt, not the file that its card was
            written for, contradicts its card, is not what its name is pinned to, is not signed as
            it must be, or its network has loops or does not run.
        ConfigError: the key of the signature cannot be used.
        InferenceError: no process can be started to try a network that is not shipped.
    """
    if str(name_or_path) == SYNTHETIC:
        if trust.public_key is not None:
            raise ModelError(
                f"model {SYNTHETIC!r} has no files and so no signature; name a signed model, or "
                "leave model_public_key empty"
            )
        return synthetic_model()
    onnx_path = _find(name_or_path)
    model = _load(name_or_path, onnx_path, trust)
    lowered = tuple(_lowered(name_or_path, model, onnx_path, trust))
    return replace(model, lowered=lowered)


def load_files(name_or_path: str | Path) -> ModelFiles:
    """Return the files of a model as they are, unchecked.

    Raises:
        ModelError: the model or a file of it is missing, too large or not a regular file.
    """
    if str(name_or_path) == SYNTHETIC:
        raise ModelError(f"model {SYNTHETIC!r} has no files; name another one")
    return read_model_files(_find(name_or_path))


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
        ModelError: the file is missing, too large, not JSON or not a valid card.
    """
    return _parse_card(read_card_file(path), str(path))


def is_shipped(onnx_path: Path) -> bool:
    """Return whether a network is one of this package's."""
    return onnx_path.resolve().parent.parent == _shipped_folder().resolve()


def _parse_card(data: bytes, source: str) -> ModelCard:
    try:
        content = read_json(data)
    except ValueError as error:
        raise ModelError(
            f"{source}: the card is not valid JSON ({error}); export the model again"
        ) from None
    if not isinstance(content, dict):
        raise ModelError(f"{source}: the card is not a JSON object; export the model again")
    return parse_model_card(content, source=source)


def _load(name_or_path: str | Path, onnx_path: Path, trust: ModelTrust) -> LoadedModel:
    found = read_model_files(onnx_path)
    card = _parse_card(found.card, str(onnx_path.parent / CARD_FILE))
    sha256 = hashlib.sha256(found.onnx).hexdigest()
    if sha256 != card.sha256.lower():
        raise ModelError(
            f"{onnx_path}: sha256 is {sha256[:16]}..., but the card says {card.sha256[:16]}...; "
            "the file was changed or damaged: fetch or export the model again"
        )
    _check_pins(name_or_path, onnx_path, Pin(found.digest, sha256), trust)
    if trust.public_key is not None:
        check_signature(found, trust.public_key)
    check_network(found.onnx, source=str(onnx_path))
    deadline_s = 0.0 if is_shipped(onnx_path) else trust.test_deadline_s
    model = LoadedModel(
        card, onnx_path, found.onnx, None, digest=found.digest, test_deadline_s=deadline_s
    )
    border = _check_graph(model, str(onnx_path))
    golden = parse_golden(found.golden, source=str(onnx_path.parent / GOLDEN_FILE))
    return replace(model, golden=golden, has_fixed_batch=border.has_fixed_batch)


def _check_graph(model: LoadedModel, source: str) -> Border:
    """Check the graph against the card; one that is not shipped runs elsewhere first."""
    data = model.graph()
    if not model.test_deadline_s:
        return check_onnx(data, model.card, source=source)
    trial = try_network(data, probe_image(model), deadline_s=model.test_deadline_s, source=source)
    check_border(trial.border, model.card, source=source)
    if trial.error:
        raise ModelError(f"{source}: the network does not run ({trial.error}); export it again")
    return trial.border


def _lowered(
    name_or_path: str | Path, model: LoadedModel, onnx_path: Path, trust: ModelTrust
) -> Iterator[LoadedModel]:
    """Yield the files that were made from a float32 model, each precision once.

    Only folders that the user or this package fills are searched: what lies beside a model
    elsewhere may be anybody's.
    """
    card = model.card
    found: set[str] = set()
    homes = _homes()
    if onnx_path.resolve().parent.parent not in [home.resolve() for home in homes]:
        return
    own = _user_folder()
    pins = {} if own is None else read_pins(own)
    known = [pins[name] for name in _known_names(name_or_path, onnx_path) if name in pins]
    must_be_pinned = any(pin.digest or not trust.renews_pin for pin in known)
    for folder in (home / name for home in homes for name in _names(home)):
        try:
            other = read_card(folder / CARD_FILE)
            if other.lowered_from_sha256 != card.sha256 or other.precision in found:
                continue
            if must_be_pinned and folder.name not in pins:
                raise ModelError(
                    f"model {card.name!r} is pinned, but not this file of lower precision; pin "
                    f"it as well with `terrain-seg models pin {folder.name}`"
                )
            lowered = _load(folder.name, folder / ONNX_FILE, trust)
            _check_same(lowered.card, card)
            yield lowered
            found.add(lowered.card.precision)
        except (ModelError, ConfigError) as error:
            log.warning("%s is not used: %s", folder, error)


def _check_same(lowered: ModelCard, card: ModelCard) -> None:
    if lowered.lowered_from_sha256 != card.sha256:
        raise ModelError("its card changed while it was read; load the model again")
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


def _check_pins(name_or_path: str | Path, onnx_path: Path, found: Pin, trust: ModelTrust) -> None:
    """Check the files against the pin of their name, however they were reached."""
    own = _user_folder()
    if own is None:
        return
    for name in _known_names(name_or_path, onnx_path):
        check_pin(own, name, found, renews=trust.renews_pin)


def _known_names(name_or_path: str | Path, onnx_path: Path) -> list[str]:
    """Return the names that a model has, of its folder and as it was asked for."""
    folder = onnx_path.resolve().parent
    homes = [home.resolve() for home in _homes()]
    names = {folder.name} if folder.parent in homes else set()
    if len(Path(name_or_path).parts) == 1:
        names.add(str(name_or_path))
    return sorted(names)
