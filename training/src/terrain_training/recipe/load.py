"""Read a recipe: the base, what it extends, its own differences, and overrides."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_training import parts
from terrain_training.augmentation.albumentations_pipeline import NAME as ALBUMENTATIONS
from terrain_training.data.remaining import REMOVED
from terrain_training.data.removal_list import read_removal_list
from terrain_training.recipe.checks import check_recipe
from terrain_training.recipe.migrate import migrated
from terrain_training.recipe.shipped import find_recipe
from terrain_training.settings.recipe import Recipe
from terrain_training.settings.validation import build
from terrain_training.yaml_file import LIMIT_BYTES, as_yaml, parse_yaml, read_yaml

log = logging.getLogger(__name__)

MAX_EXTENDS = 5
_REPLACED = {"losses", "options", "taxonomy"}
"""Mappings that a recipe gives whole, because their keys belong together."""
_LIST_SUFFIX = ".txt"
"""What ends so among removed samples is a file of names."""


def load_recipe(path: Path | str, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: a YAML file of differences, the snapshot in a run's folder, or the name of a shipped
            recipe.
        overrides: `training.epochs=2` and the like; the value is YAML.

    Raises:
        ConfigError: a file is missing or no mapping, or a key is unknown, missing, of the wrong
            type or out of range.
    """
    values = _base()
    for part in _chain(path):
        values = _merged(values, part, path=str(path))
    for text in overrides:
        values = _overridden(values, text)
    recipe = build(Recipe, values, key="")
    parts.activate(recipe.parts)
    check_recipe(recipe)
    _check_kept(recipe)
    return recipe


def recipe_from(
    content: object, *, source: str, card: ModelCard | None = None, tell: bool = True
) -> Recipe:
    """Return a recipe that was kept whole, such as in the card of a model.

    One of an earlier form is brought to the present one, and that is said.

    Args:
        content: of the recipe.
        source: what keeps it, for messages.
        card: of the model that keeps it.
        tell: log what was assumed; not needed where only its network matters.

    Raises:
        ConfigError: it is of a later version of this software, or damaged.
    """
    try:
        content, said = migrated(content, _base(), card)
        recipe = build(Recipe, content, key="")
    except ConfigError as error:
        raise ConfigError(f"{source} keeps no recipe that can be used ({error})") from error
    if recipe.parts:
        names = ", ".join(Path(item.file).name for item in recipe.parts)
        raise ConfigError(
            f"{source} names code of its own ({names}), which never runs because a model names it"
        )
    parts.activate(())
    check_recipe(recipe)
    if said is not None and tell:
        log.info("%s %s", source, said)
    return recipe


def recipe_of(card: ModelCard, file: Path | None, *, tell: bool = True) -> Recipe:
    """Return the recipe in a file; without one, that which the card of a model keeps.

    Raises:
        ConfigError: the file cannot be used, or the card keeps none that can.
    """
    if file is not None:
        return load_recipe(file)
    kept = card.training.get("recipe")
    if kept is None:
        raise ConfigError(f"the card of {card.name} keeps no recipe; give one with --recipe")
    try:
        return recipe_from(kept, source=f"the card of {card.name}", card=card, tell=tell)
    except ConfigError as error:
        raise ConfigError(f"{error}; give one with --recipe") from error


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write every setting; `load_recipe` reads it back alone.

    Files of own parts are copied into the folder `parts` beside it.
    """
    kept = parts.copy_files(recipe.parts, path.parent)
    path.write_text(_as_text(dataclasses.replace(recipe, parts=kept)), encoding="utf-8")


def _as_text(recipe: Recipe) -> str:
    text: str = yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False, allow_unicode=True)
    return text


def _check_kept(recipe: Recipe) -> None:
    """Check, before anything is trained, that what the run keeps can be read again.

    Raises:
        ConfigError: so many samples are removed that it cannot.
    """
    removed = recipe.data.options.get(REMOVED)
    if removed and len(_as_text(recipe).encode("utf-8")) > LIMIT_BYTES:
        raise ConfigError(
            f"data.options.{REMOVED} has {len(removed)} names, too many to be kept with run and "
            f"model (all settings: {LIMIT_BYTES} bytes); move those files out of the data set"
        )


def _base() -> dict[str, Any]:
    text = resources.files("terrain_training.recipe").joinpath("base.yaml").read_text("utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def _chain(path: Path | str) -> list[dict[str, Any]]:
    """Return what is merged, the farthest ancestor first."""
    parts: list[dict[str, Any]] = []
    current: Path | None = find_recipe(path)
    while current is not None:
        if len(parts) == MAX_EXTENDS:
            raise ConfigError(f"recipe {path} extends more than {MAX_EXTENDS} others; shorten it")
        values = _read(current)
        parent = values.pop("extends", None)
        if parent is not None and not isinstance(parent, str):
            raise ConfigError(
                f"recipe {current}: extends is {as_yaml(parent)}, expected a file or a name"
            )
        parts.insert(0, _inlined(values, current.parent))
        current = None if parent is None else find_recipe(parent, folder=current.parent)
    return parts


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; check the recipe that names it")
    return dict(read_yaml(path, expected="a recipe: a mapping of settings"))


def _inlined(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the values with what they point at in its place, so that a snapshot stands alone."""
    values = dict(values)
    if "parts" in values:
        values["parts"] = _part_files(values["parts"], folder)
    if isinstance(values.get("augmentation"), list):
        values["augmentation"] = [_with_pipeline(row, folder) for row in values["augmentation"]]
    data = values.get("data")
    if not isinstance(data, dict):
        return values
    data = dict(data)
    if isinstance(data.get("taxonomy"), str):
        data["taxonomy"] = _read(folder / data["taxonomy"])
    options = data.get("options")
    if isinstance(options, dict) and REMOVED in options:
        data["options"] = {**options, REMOVED: _names(options[REMOVED], folder)}
    return {**values, "data": data}


def _part_files(value: object, folder: Path) -> object:
    """Return the files of parts with their places and digests."""
    if not isinstance(value, list):
        return value
    found: list[object] = []
    for item in value:
        if isinstance(item, str):
            found.append(dataclasses.asdict(parts.part_file(folder / item)))
        elif isinstance(item, dict) and isinstance(item.get("file"), str):
            found.append({**item, "file": str(folder / item["file"])})
        else:
            raise ConfigError(f"recipe key parts holds {as_yaml(item)}, expected Python files")
    names = [Path(item["file"]).name for item in found if isinstance(item, dict)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"recipe key parts has two files named {twice[0]}; rename one")
    return found


def _with_pipeline(row: object, folder: Path) -> object:
    """Return an augmentation with the content of its pipeline's file in the place of its name."""
    if not isinstance(row, dict) or row.get("name") != ALBUMENTATIONS:
        return row
    given = row.get("pipeline")
    return {**row, "pipeline": _read(folder / given)} if isinstance(given, str) else row


def _names(value: object, folder: Path) -> object:
    """Return what is removed, with the names in the place of the files that hold them."""
    if isinstance(value, str):
        return list(read_removal_list(folder / value))
    if not isinstance(value, list):
        return value
    names: list[object] = []
    for item in value:
        is_file = isinstance(item, str) and item.endswith(_LIST_SUFFIX)
        names += read_removal_list(folder / item) if is_file else [item]
    return names


def _merged(base: Mapping[str, Any], new: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    result = dict(base)
    for key, value in new.items():
        old = result.get(key)
        if isinstance(old, Mapping) and key not in _REPLACED:
            if not isinstance(value, Mapping):
                raise ConfigError(
                    f"{path}: recipe key {key} is {as_yaml(value)}, expected a mapping"
                )
            result[key] = _merged(old, value, path=path)
        else:
            result[key] = value
    return result


def _overridden(values: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the values with one of them replaced, whatever it was."""
    key, separator, value = text.partition("=")
    names = key.split(".")
    if not separator or not all(names):
        raise ConfigError(f"--set {text!r}: expected KEY=VALUE, such as training.epochs=2")
    try:
        leaf = parse_yaml(value, source="the value")
    except ConfigError as error:
        raise ConfigError(
            f"--set {text!r}: the value is not valid YAML, or gives a key twice; write numbers, "
            "texts, [a, list] or {key: value}"
        ) from error
    nested: dict[str, Any] = {names[-1]: leaf}
    for name in reversed(names[:-1]):
        nested = {name: nested}
    if names[0] in ("data", "parts", "augmentation"):
        nested = _inlined(nested, Path())
    return _replaced(values, nested, depth=len(names))


def _replaced(
    values: Mapping[str, Any], nested: Mapping[str, Any], *, depth: int
) -> dict[str, Any]:
    """Return the values with the one that lies `depth` keys deep replaced."""
    result = dict(values)
    for key, value in nested.items():
        old = result.get(key)
        if depth > 1 and isinstance(old, Mapping):
            result[key] = _replaced(old, value, depth=depth - 1)
        else:
            result[key] = value
    return result
