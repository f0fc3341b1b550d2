"""The folder of a run before the first epoch: may it be used, and what stands in it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import check_output_folder, write_whole
from terrain_training.data.factory import PALETTE_FILE, keep_palette
from terrain_training.learning.loaders import OpenData
from terrain_training.learning.run_folder import RunFolder
from terrain_training.learning.scores import network_size
from terrain_training.networks.registry import parameter_count
from terrain_training.parts import FOLDER
from terrain_training.processes import is_first_process
from terrain_training.recipe.load import write_recipe
from terrain_training.settings.recipe import Recipe

_WORDS = ("name", "version", "description", "credits", "limits", "export", "sharpening")
"""Recipe keys that do not change what is learned."""


def check_run_place(folder: RunFolder, recipe: Recipe, *, processes: int) -> None:
    """Check that a run may begin or go on in a folder.

    Raises:
        ConfigError: it holds something else, was made by another recipe or number of processes,
            or holds epochs that cannot be continued and would be lost.
    """
    check_output_folder(folder.path, option="--out", is_own=lambda _: folder.is_own())
    _check_same_recipe(folder, recipe)
    _check_same_processes(folder, processes)
    epochs = len(folder.read_history())
    # After one epoch it may be an interrupt between history and checkpoint.
    if epochs > 1 and not folder.checkpoint.is_file():
        raise ConfigError(
            f"--out '{folder.path}' has the weights of {epochs} epochs, but no "
            f"{folder.checkpoint.name} to go on from; they would be overwritten: give another --out"
        )


def images_sha256(opened: OpenData) -> str:
    """Return a digest of the names of classes and of the images of both splits."""
    names = (opened.source.taxonomy.names, sorted(opened.train), sorted(opened.validation))
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def check_same_images(folder: RunFolder, opened: OpenData, data: Path) -> None:
    """Check that a run that goes on has the images and masks that it began with.

    Raises:
        ConfigError: it does not: its epochs could not be compared.
    """
    if not folder.checkpoint.is_file() or not folder.summary.is_file():
        return
    before = folder.read_summary()
    if before.get("images_sha256", images_sha256(opened)) != images_sha256(opened):
        raise ConfigError(
            f"the run in {folder.path} began with other images or classes ("
            f"{before.get('training_images')} to train, {before.get('validation_images')} to "
            f"validate) than '{data}' gives now ({len(opened.train)} and "
            f"{len(opened.validation)}); restore the data, or give another --out"
        )
    if before.get("masks_sha256", opened.masks_sha256) != opened.masks_sha256:
        raise ConfigError(
            f"the run in {folder.path} began with other masks than '{data}' has now, for the same "
            "images; restore them, or give another --out"
        )


def start_folder(
    folder: RunFolder,
    recipe: Recipe,
    opened: OpenData,
    network: nn.Module,
    *,
    how: Mapping[str, Any],
) -> None:
    """Write snapshot, classes and sizes; the scores follow after each epoch.

    A new run's folder appears with all of them in it, so that an interrupt leaves nothing that
    the same command would take for something else. `how` says what a resumed run must keep beside
    its recipe: the number of processes, and the precision that was chosen.
    """
    if not is_first_process():
        return
    content = _summary(folder, recipe, opened, network) | dict(how)
    if folder.is_own():
        _write_start(folder, recipe, opened, content)
        return
    target = folder.path.resolve()
    if target.is_dir():
        _fill(RunFolder(target), recipe, opened, content)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    draft.mkdir()
    try:
        _write_start(RunFolder(draft), recipe, opened, content)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(folder: RunFolder, recipe: Recipe, opened: OpenData, content: Mapping[str, Any]) -> None:
    """Begin in an empty folder that is there, which may be the working folder or a mount."""
    try:
        _write_start(folder, recipe, opened, content)
    except BaseException:
        for path in (folder.snapshot, folder.summary, folder.path / PALETTE_FILE):
            path.unlink(missing_ok=True)
        raise


def _write_start(
    folder: RunFolder, recipe: Recipe, opened: OpenData, content: Mapping[str, Any]
) -> None:
    write_recipe(recipe, folder.snapshot)
    keep_palette(opened.source, folder.path)
    write_whole(folder.summary, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _summary(
    folder: RunFolder, recipe: Recipe, opened: OpenData, network: nn.Module
) -> dict[str, Any]:
    old = folder.read_summary() if folder.summary.is_file() else {}
    return {
        **old,
        "name": recipe.name,
        "classes": [
            {"name": c.name, "color_rgb": list(c.color_rgb), "hazard": c.hazard}
            for c in opened.source.taxonomy
        ],
        "training_images": len(opened.train),
        "validation_images": len(opened.validation),
        "bad_samples": opened.bad,
        "images_sha256": images_sha256(opened),
        "masks_sha256": opened.masks_sha256,
        "scored_at": network_size(recipe),
        "parameters": parameter_count(network),
    }


def _check_same_processes(folder: RunFolder, processes: int) -> None:
    """Check that as many processes train as before: each step sees a batch of every one."""
    if not folder.checkpoint.is_file() or not folder.summary.is_file():
        return
    before = folder.read_summary().get("processes", processes)
    if before != processes:
        raise ConfigError(
            f"the run in {folder.path} was trained by {before} processes, and {processes} would "
            f"give other weights; start {before}, or give another --out"
        )


def _check_same_recipe(folder: RunFolder, recipe: Recipe) -> None:
    if not folder.checkpoint.is_file() or not folder.snapshot.is_file():
        return
    old, new = computing_part(folder.recipe()), computing_part(recipe)
    changed = sorted(key for key in new if old.get(key) != new[key])
    if recipe.training.schedule == "constant" and recipe.training.warmup_share == 0.0:
        changed = [key for key in changed if key != "training.epochs"]
    if "parts" in changed:
        raise ConfigError(
            f"checkpoint {folder.checkpoint} was made with other code; restore the files of "
            f"{folder.path / FOLDER} or give another --out"
        )
    if changed:
        raise ConfigError(
            f"checkpoint {folder.checkpoint} was made with other values of {changed}; restore the "
            "recipe or give another --out"
        )


def computing_part(recipe: Recipe) -> dict[str, Any]:
    """Return the keys of a recipe that change what is learned, and their values."""
    result: dict[str, Any] = {}
    for name, value in dataclasses.asdict(recipe).items():
        if name in _WORDS:
            continue
        if isinstance(value, dict):
            result.update({f"{name}.{key}": item for key, item in value.items()})
        else:
            result[name] = value
    for name in ("data.cache_mib", "data.workers", "training.example_images", "training.loggers"):
        del result[name]
    result["parts"] = [item.sha256 for item in recipe.parts]
    return result
