"""The sources by name, and the one that a recipe asks for."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_training import parts
from terrain_training.data.contract import Source
from terrain_training.data.detect import likely_source
from terrain_training.data.folds import FoldSource
from terrain_training.data.palette import load_palette
from terrain_training.data.remaining import REMOVED, RemainingSource, checked_names
from terrain_training.data.sources.ai4mars import Ai4Mars
from terrain_training.data.sources.earth_terrain import EarthTerrain
from terrain_training.data.sources.joined import JoinedSource, parse_members
from terrain_training.data.sources.labelled_folder import open_labelled_folder
from terrain_training.data.sources.lunar_landscape import LunarLandscape
from terrain_training.data.sources.mars_terrain import MarsTerrain
from terrain_training.data.sources.side_by_side import SideBySide
from terrain_training.data.taxonomy_file import (
    MappedSource,
    parse_classes,
    parse_taxonomy_file,
)
from terrain_training.settings.recipe import DataSettings
from terrain_training.settings.validation import unknown_key, unknown_value

log = logging.getLogger(__name__)


def open_joined(
    root: Path, *, classes: Sequence[Mapping[str, Any]], members: Sequence[Mapping[str, Any]]
) -> JoinedSource:
    """Return the data sets in folders below `root` as one.

    Args:
        root: folder of the members' folders.
        classes: name, color and hazard of each, in the order of their ids.
        members: `name`, which is its folder too, `source`, `options`, `map` and `unlabelled` of
            each data set.

    Raises:
        ConfigError: a class or a member is wrong, or a folder cannot be used.
    """
    joined = []
    for row in parse_members(members):
        folder = root / row.name
        if not folder.is_dir():
            raise ConfigError(
                f"'{folder}' does not exist; put the member {row.name} there, or a link to it"
            )
        _check_member(row.name, row.source)
        joined.append(row.opened(_open(row.source, folder, dict(row.options))))
    return JoinedSource(parse_classes(classes, "data.options"), joined)


SOURCES: parts.Registry[Callable[..., Source]] = parts.Registry(
    "sources",
    {
        "ai4mars": Ai4Mars,
        "lunar_landscape": LunarLandscape,
        "mars_terrain": MarsTerrain,
        "side_by_side": SideBySide,
        "earth_terrain": EarthTerrain,
        "labelled_folder": open_labelled_folder,
        "joined": open_joined,
    },
    lambda part: part.make,
)
_OF_SOURCES = ("taxonomy", "splits", "names", "load")
_NOT_OF_RECIPES = {"palette"}
"""Options that a run gives, not its recipe."""
PALETTE_FILE = "palette.json"
"""Where a run keeps the colours that k-means found, so that a class stays what it was."""


def open_source(data: DataSettings, root: Path, *, run: Path | None = None) -> Source:
    """Return the source of a recipe, without removed samples and with its classes mapped.

    Args:
        data: the recipe's settings.
        root: the data set, a folder or a file.
        run: folder of the run, where a palette may be kept.

    Raises:
        ConfigError: the data are not laid out as the source expects, or an option is wrong.
    """
    options = dict(data.options)
    removed = checked_names(options.pop(REMOVED, []))
    if data.source == "side_by_side" and run is not None and (run / PALETTE_FILE).is_file():
        options = {"palette": load_palette(run / PALETTE_FILE)}
    if REMOVED in source_options(data.source):
        options[REMOVED] = removed
    source = _open(data.source, root, options)
    if removed:
        source = RemainingSource(source, removed)
    if data.taxonomy is not None:
        source = MappedSource(source, parse_taxonomy_file(data.taxonomy, source="data.taxonomy"))
    return source if data.fold is None else FoldSource(source, data.fold)


def _open(name: str, root: Path, options: dict[str, Any]) -> Source:
    """Open a source; say what the data look like where they are of another one."""
    part = SOURCES.part(name)
    if part is not None:
        return _open_own(part, root, options)
    looks_like = likely_source(root)
    other = looks_like not in (None, name)
    said = f"'{root}' looks like {looks_like}; the recipe expects {name}"
    try:
        source = SOURCES[name](root, **options)
    except ConfigError as error:
        if not other:
            raise
        raise ConfigError(
            f"{said}: give a recipe for {looks_like} or other data ({error})"
        ) from error
    if other:
        log.warning("%s: check that the masks hold the classes of the recipe", said)
    return source


def _open_own(part: parts.Part, root: Path, options: dict[str, Any]) -> Source:
    source: Source = part.make(root, **options)
    lacking = [item for item in _OF_SOURCES if not hasattr(source, item)]
    if lacking:
        raise ConfigError(
            f"{part.origin}: {part.name} has no {lacking[0]}; see `data.contract.Source`"
        )
    return source


def _check_member(name: str, source: str) -> None:
    if source not in SOURCES or source == "joined":
        known = [one for one in SOURCES if one != "joined"]
        raise ConfigError(f"member {name}: source {unknown_value(source, known)}")


def keep_palette(source: Source, run: Path) -> None:
    """Write the palette of a source that has one into a run's folder."""
    while isinstance(source, (FoldSource, MappedSource, RemainingSource)):
        source = source.source
    if isinstance(source, SideBySide):
        source.palette.save(run / PALETTE_FILE)


def check_source(data: DataSettings) -> None:
    """Check that the source and its options exist.

    Raises:
        ConfigError: one does not.
    """
    if data.source not in SOURCES:
        raise ConfigError(f"recipe key data.source {unknown_value(data.source, list(SOURCES))}")
    checked_names(data.options.get(REMOVED, []))
    known = sorted({*source_options(data.source), REMOVED})
    unknown = sorted(set(data.options) - set(known))
    if unknown:
        raise ConfigError(
            f"recipe key data.options.{unknown[0]} "
            f"{unknown_key(unknown[0], known, of=f'{data.source} takes')}"
        )
    missing = [name for name in _needed(data.source) if name not in data.options]
    if missing:
        raise ConfigError(
            f"recipe key data.options.{missing[0]} is missing; {data.source} needs it"
        )


def source_options(name: str) -> list[str]:
    """Return the names of a source's options."""
    return list(_parameters(name))


def source_kinds(name: str) -> dict[str, Any]:
    """Return the type of each of a source's options that a recipe may give."""
    hints = parts.hints_of(SOURCES[name])
    return {key: hints[key] for key in _parameters(name) if key not in _NOT_OF_RECIPES}


def _needed(name: str) -> list[str]:
    parameters = _parameters(name).items()
    return [key for key, item in parameters if item.default is inspect.Parameter.empty]


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(SOURCES[name]).parameters
    return dict(list(parameters.items())[1:])  # the first is the place of the data
