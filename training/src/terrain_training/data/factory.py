"""The sources by name, and the one that a recipe asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.contract import Source
from terrain_training.data.palette import load_palette
from terrain_training.data.remaining import REMOVED, RemainingSource, checked_names
from terrain_training.data.sources.ai4mars import Ai4Mars
from terrain_training.data.sources.earth_terrain import EarthTerrain
from terrain_training.data.sources.labelled_folder import open_labelled_folder
from terrain_training.data.sources.lunar_landscape import LunarLandscape
from terrain_training.data.sources.mars_terrain import MarsTerrain
from terrain_training.data.sources.side_by_side import SideBySide
from terrain_training.data.taxonomy_file import MappedSource, parse_taxonomy_file
from terrain_training.recipe.settings import DataSettings

SOURCES: dict[str, Callable[..., Source]] = {
    "ai4mars": Ai4Mars,
    "lunar_landscape": LunarLandscape,
    "mars_terrain": MarsTerrain,
    "side_by_side": SideBySide,
    "earth_terrain": EarthTerrain,
    "labelled_folder": open_labelled_folder,
}
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
    try:
        source = SOURCES[data.source](root, **options)
    except TypeError as error:
        raise ConfigError(f"recipe key data.options is {data.options}: {error}") from error
    if removed:
        source = RemainingSource(source, removed)
    if data.taxonomy is None:
        return source
    return MappedSource(source, parse_taxonomy_file(data.taxonomy, source="data.taxonomy"))


def keep_palette(source: Source, run: Path) -> None:
    """Write the palette of a source that has one into a run's folder."""
    while isinstance(source, (MappedSource, RemainingSource)):
        source = source.source
    if isinstance(source, SideBySide):
        source.palette.save(run / PALETTE_FILE)


def check_source(data: DataSettings) -> None:
    """Check that the source and its options exist.

    Raises:
        ConfigError: one does not.
    """
    if data.source not in SOURCES:
        raise ConfigError(
            f"recipe key data.source is {data.source!r}, expected one of {list(SOURCES)}"
        )
    checked_names(data.options.get(REMOVED, []))
    known = sorted({*source_options(data.source), REMOVED})
    unknown = sorted(set(data.options) - set(known))
    if unknown:
        raise ConfigError(
            f"recipe key data.options.{unknown[0]} is unknown; {data.source} takes {known}"
        )


def source_options(name: str) -> list[str]:
    """Return the names of a source's options."""
    parameters: Any = inspect.signature(SOURCES[name]).parameters
    return [key for key, item in parameters.items() if item.kind is item.KEYWORD_ONLY]
