"""What is compared: runs, recipes, or a plan file that lists them with their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.shipped import find_recipe
from terrain_training.yaml_file import as_yaml, read_yaml

PLAN_KEY = "rows"
_ROW_KEYS = {"recipe", "run", "name", "data", "also", "set"}


@dataclass(frozen=True)
class Item:
    """One row: a recipe to train, or a run that is there (`recipe` None).

    `also` names further data of the same source that the row is evaluated on, whole.
    """

    name: str
    recipe: Path | None
    run: Path
    data: Path
    also: Mapping[str, Path]
    overrides: tuple[str, ...]


def read_items(
    paths: Sequence[Path],
    *,
    data: Path,
    also: Mapping[str, Path],
    overrides: Sequence[str],
    out: Path,
) -> list[Item]:
    """Return the rows of a comparison, in order.

    Args:
        paths: recipes (files or shipped names), folders of runs, or plans: YAML with `rows`, each
            with `recipe` or `run` (relative to the plan), and perhaps `name`, `data` and `also`
            (relative to `data`) and `set`.
        data: of every row that names none.
        also: further data, for every row that names none.
        overrides: for every recipe.
        out: where recipes are trained.

    Raises:
        ConfigError: a path is nothing of these, a plan is wrong, or two rows have one name.
    """
    items: list[Item] = []
    for path in paths:
        if RunFolder(path).snapshot.is_file():
            items.append(Item(path.name, None, path, data, also, ()))
            continue
        file = find_recipe(path)
        rows = _read(file).get(PLAN_KEY)
        if rows is None:
            row = {"recipe": file.name}
            found = _item(row, str(path), folder=file.parent, data=data, out=out)
            items.append(_with(found, also, overrides))
        else:
            items += [
                _with(item, also, overrides) for item in _plan(rows, file, data=data, out=out)
            ]
    names = [item.name for item in items]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two rows are named {twice[0]!r}; give them a `name` in a plan")
    return items


def _plan(rows: object, path: Path, *, data: Path, out: Path) -> list[Item]:
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"plan {path}: {PLAN_KEY} is {as_yaml(rows)}, expected a list")
    return [
        _item(row, f"plan {path}, row {number}", folder=path.parent, data=data, out=out)
        for number, row in enumerate(rows, start=1)
    ]


def _item(row: object, where: str, *, folder: Path, data: Path, out: Path) -> Item:
    if not isinstance(row, Mapping) or not set(row) <= _ROW_KEYS:
        raise ConfigError(f"{where} is {as_yaml(row)}, expected of {', '.join(sorted(_ROW_KEYS))}")
    if ("recipe" in row) == ("run" in row):
        raise ConfigError(f"{where} is {as_yaml(dict(row))}, expected either recipe or run")
    recipe = _recipe_file(str(row["recipe"]), folder) if "recipe" in row else None
    stem = Path(str(row.get("run", row.get("recipe")))).stem
    name = str(row.get("name", stem))
    also = row.get("also", {})
    overrides = row.get("set", [])
    if not isinstance(also, Mapping) or not isinstance(overrides, list):
        raise ConfigError(
            f"{where}: also is {as_yaml(also)} and set {as_yaml(overrides)}, expected a mapping "
            "and a list"
        )
    return Item(
        name=name,
        recipe=recipe,
        run=out / name if recipe is not None else folder / str(row["run"]),
        data=data / str(row["data"]) if "data" in row else data,
        also={str(key): data / str(value) for key, value in also.items()},
        overrides=tuple(str(text) for text in overrides),
    )


def _recipe_file(given: str, folder: Path) -> Path:
    """Return the file of a row's recipe; a missing one is named when the row is made."""
    try:
        return find_recipe(given, folder=folder)
    except ConfigError:
        return folder / given


def _with(item: Item, also: Mapping[str, Path], overrides: Sequence[str]) -> Item:
    return Item(
        name=item.name,
        recipe=item.recipe,
        run=item.run,
        data=item.data,
        also=item.also or also,
        overrides=(*item.overrides, *overrides) if item.recipe is not None else (),
    )


def _read(path: Path) -> Mapping[str, Any]:
    return read_yaml(path, expected="a recipe or a plan")
