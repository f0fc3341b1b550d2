"""The recipes that come with the package, found by name."""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.detect import likely_source
from terrain_training.settings.validation import nearest

SUFFIX = ".yaml"
_PACKAGE, _FOLDER = "terrain_training", "configs"
"""In a checkout the folder is a link to training/configs; a wheel holds copies of the files."""


def shipped_folder() -> Path:
    """Return the folder of the shipped recipes.

    Raises:
        ConfigError: the package was installed without it.
    """
    folder = Path(str(resources.files(_PACKAGE).joinpath(_FOLDER)))
    if not folder.is_dir():
        raise ConfigError(f"the shipped recipes are missing from {folder}; install training again")
    return folder


def shipped_recipes() -> dict[str, Path]:
    """Return the file of each shipped recipe by its name, in the order of the names."""
    return {path.stem: path for path in sorted(shipped_folder().glob(f"*{SUFFIX}"))}


FOR_SOURCES = {
    "ai4mars": "mars_navcam",
    "lunar_landscape": "lunar_resnet18",
    "mars_terrain": "mars_nine_level",
    "side_by_side": "city_map",
    "earth_terrain": "satellite_land",
}
"""The recipe that is taken for a published set where none is given."""


def recipe_for(data: Path) -> tuple[str, str]:
    """Return the name of the recipe for a data set, and that of the layout that it has.

    Raises:
        ConfigError: the set does not exist, or has classes of its own; says how to begin.
    """
    if not data.exists():
        raise ConfigError(f"'{data}' does not exist; give a data set, or the name of a recipe")
    source = likely_source(data)
    if source in FOR_SOURCES:
        return FOR_SOURCES[source], source
    words = shlex.quote(str(data))
    said = "is a labelled folder" if source is not None else "has the layout of no published set"
    raise ConfigError(
        f"'{data}' {said}, so its classes are yours to name; `terrain-train init {words}` looks at "
        "it and writes a recipe, or give a recipe and --data"
    )


def find_recipe(given: Path | str, *, folder: Path | None = None) -> Path:
    """Return the file of a recipe.

    Args:
        given: a YAML file, or the name of a shipped recipe; a file of that name goes first.
        folder: to which a relative path refers, the working folder by default.

    Raises:
        ConfigError: it is neither.
    """
    path = Path(given) if folder is None else folder / given
    if path.is_file():
        return path
    shipped = shipped_recipes()
    name = str(given).removesuffix(SUFFIX)
    if name in shipped:
        return shipped[name]
    near = nearest(Path(name).name, list(shipped))
    if Path(given).suffix == SUFFIX or len(Path(given).parts) > 1:
        hint = f"did you mean the shipped recipe {near}? " if near else ""
        raise ConfigError(
            f"recipe {path} does not exist; {hint}give a YAML file or a name from "
            "`terrain-train list recipes`"
        )
    hint = f"did you mean {near}? " if near else ""
    raise ConfigError(
        f"there is no recipe {str(given)!r}; {hint}give a YAML file or one of {', '.join(shipped)}"
    )
