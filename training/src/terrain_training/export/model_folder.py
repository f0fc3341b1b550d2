"""A model's folder while it is written: nothing appears in its place before all is well."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard, card_content, parse_model_card
from terrain_seg_ros.model_store.model_files import (
    CARD_FILE,
    GOLDEN_FILE,
    ONNX_FILE,
    SIGNATURE_FILE,
)
from terrain_seg_ros.report.output_place import check_output_folder, some, write_whole
from terrain_training.data.factory import PALETTE_FILE
from terrain_training.export.model_readme import model_readme

README_FILE = "README.md"
HDF5_FILE = "weights.h5"
OWN_FILES = (
    ONNX_FILE,
    CARD_FILE,
    GOLDEN_FILE,
    README_FILE,
    PALETTE_FILE,
    HDF5_FILE,
    SIGNATURE_FILE,
)
"""What a folder of a model may hold; the signature is void with the new files, and goes."""
CARD_LIMIT_BYTES = 16 * 2**20
_NUMBERS = re.compile(r"\[\n\s*(-?\d[-+.\deE,\s]*?)\n\s*\]")
"""Lists of numbers in indented JSON."""


def check_model_place(out: Path, *, name: str, force: bool) -> None:
    """Check, before anything is computed, that a model may be written to a folder.

    Args:
        out: absent, empty, or the folder of an exported model, which is replaced.
        name: of the new model.
        force: replace a model of another name as well.

    Raises:
        ConfigError: it holds something else, or a model of another name without `force`.
    """
    check_output_folder(out, option="--out", is_own=_is_model)
    there = _card_name(out)
    if there is None:
        return
    foreign = sorted(path.name for path in out.iterdir() if path.name not in OWN_FILES)
    if foreign:
        raise ConfigError(
            f"--out '{out}' is the folder of model {there!r} and would be replaced, but holds "
            f"{some(foreign)} too, which export did not write; move it away or give another folder"
        )
    if there != name and not force:
        raise ConfigError(
            f"--out '{out}' holds the model {there!r}, not {name!r}; give another folder, or "
            "--force to replace it"
        )


@contextmanager
def model_draft(out: Path, *, name: str, force: bool = False) -> Iterator[Path]:
    """Give a folder beside `out` that takes its place if the `with` block ends well.

    Args:
        out: as `check_model_place` wants it.
        name: of the model.
        force: replace a model of another name.

    Raises:
        ConfigError: `out` may not be replaced.
    """
    check_model_place(out, name=name, force=force)
    target = out.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    draft.mkdir()
    try:
        yield draft
        check_model_place(out, name=name, force=force)
        _replace(target, draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_card(card: ModelCard, folder: Path) -> None:
    """Write the card, and the README that says the same to people.

    Raises:
        ModelError: the card would not be read back.
    """
    content = card_content(card)
    parse_model_card(content, source=CARD_FILE)
    text = _NUMBERS.sub(_on_one_line, json.dumps(content, indent=2, allow_nan=False)) + "\n"
    write_whole(folder / CARD_FILE, text)
    write_whole(folder / README_FILE, model_readme(card))


def _replace(target: Path, draft: Path) -> None:
    """Give a folder the name of another one, which is removed only then.

    An empty one stays and takes the files, the card last: it may be the working folder or a mount.
    """
    if not target.is_dir():
        draft.rename(target)
        return
    if not any(target.iterdir()):
        for path in sorted(draft.iterdir(), key=lambda path: path.name == CARD_FILE):
            shutil.move(path, target / path.name)
        return
    old = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    target.rename(old)
    try:
        draft.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{', '.join(numbers[1].replace(',', ' ').split())}]"


def _is_model(folder: Path) -> bool:
    return _card_name(folder) is not None


def _card_name(folder: Path) -> str | None:
    """Return the name of the model in a folder, None where there is none."""
    path = folder / CARD_FILE
    if not path.is_file() or not (folder / ONNX_FILE).is_file():
        return None
    try:
        if path.stat().st_size > CARD_LIMIT_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not {"name", "sha256", "classes"} <= set(content):
        return None
    return str(content["name"])
