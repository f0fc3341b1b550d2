"""Render a data set of generated worlds into the layout of `labelled_folder`."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import yaml

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.fleet.pieces import Place, run_pieces
from terrain_seg_ros.model_store.unpack import new_folder
from terrain_seg_ros.report.output_place import check_output_folder
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.render import render, render_view
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY, Body, World
from terrain_training.rendering.cast_to_labels import RockRule, cast_to_labels
from terrain_training.rendering.choose_view import (
    SPACING_M,
    Vehicle,
    View,
    choose_vehicle,
    choose_view,
    choose_world,
)
from terrain_training.rendering.seeds import (
    TRAIN,
    VALIDATION,
    WORLDS_PER_SEED,
    split_worlds,
    world_seed,
)

log = logging.getLogger(__name__)

TRIES = 50
"""Places that are tried until a camera is in the open."""
MAX_SIDE_PX = 2048


@dataclass(frozen=True)
class RenderRequest:
    """What is to be rendered.

    `count` pictures, `views` of each world; every world is of the next of `bodies`.
    `validation_share` of the worlds and `lander_share` of the worlds seen from above are drawn.
    `jobs` processes work, or the workers of the Dask scheduler at `cluster`.
    """

    out: Path
    count: int
    seed: int
    bodies: tuple[Body, ...]
    size_px: int
    views: int
    lander_share: float
    validation_share: float
    rule: RockRule
    jobs: int
    cluster: str | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, expected 0 or more")
        if not 16 <= self.size_px <= MAX_SIDE_PX:
            raise ConfigError(f"size is {self.size_px} px, expected 16 to {MAX_SIDE_PX}")
        if not 2 <= self.worlds <= WORLDS_PER_SEED:
            raise ConfigError(
                f"{self.count} pictures with {self.views} of each world are {self.worlds} "
                f"worlds, expected 2 to {WORLDS_PER_SEED}: one to learn from, one to validate"
            )
        if min(self.rule.min_rock_m, self.rule.min_across_px) <= 0.0:
            raise ConfigError(f"{self.rule} has a size of 0 or less")
        if VALIDATION not in self.splits().values():
            raise ConfigError(
                f"a validation share of {self.validation_share} of {self.worlds} worlds is none; "
                "raise it or render more"
            )

    @property
    def worlds(self) -> int:
        """Return how many worlds are seen."""
        return math.ceil(self.count / self.views)

    def splits(self) -> dict[int, str]:
        """Return the split of each world by index: every so many is for validation."""
        return split_worlds(self.worlds, self.validation_share)

    def views_of(self, index: int) -> int:
        """Return how many pictures a world gets; the last one what is left."""
        return min(self.views, self.count - index * self.views)


def write_renders(request: RenderRequest, *, report: Callable[[int], None]) -> dict[str, int]:
    """Render pictures and labels, and return how many each split has.

    The folder gets `images/STEM.png`, `masks/STEM.png` with class ids, a list of stems for each
    split, `taxonomy.yaml` and `renders.json`, which says how it was made. The same request gives
    the same pictures, however many processes work, here or on a cluster. A world is in one split.

    Args:
        request: what to render.
        report: called after each world with the number of its pictures.

    Raises:
        ConfigError: the folder has pictures already, or the cluster cannot be used.
        PieceError: processes were killed again and again.
    """
    check_output_folder(request.out, option="--out", is_own=lambda _: False)
    if request.out.is_dir():
        request.out.rmdir()
    with new_folder(request.out) as folder:
        for name in ("images", "masks"):
            (folder / name).mkdir()
        return _write_all(replace(request, out=folder), report)


def _write_all(request: RenderRequest, report: Callable[[int], None]) -> dict[str, int]:
    stems: dict[int, list[str]] = {}
    place = Place(request.jobs, request.cluster, writes=request.out)
    render = partial(render_world, replace(request, out=request.out.absolute()))
    for outcome in run_pieces(render, range(request.worlds), place, say=log.info):
        stems[outcome.index] = outcome.get()
        report(len(outcome.get()))
    return _write_lists(request, stems)


def render_world(request: RenderRequest, index: int) -> list[str]:
    """Write the pictures of one world and return their stems.

    Raises:
        GeometryError: no place in the world is open.
    """
    cv2.setNumThreads(1)  # The processes share the cores already.
    seed = world_seed(request.seed, index)
    random = np.random.default_rng(seed)
    body = request.bodies[index % len(request.bodies)]
    vehicle = choose_vehicle(random, lander_share=request.lander_share)
    side_m, settings = choose_world(random, body, vehicle)
    world = generate_world(body, seed, side_m=side_m, spacing_m=SPACING_M, settings=settings)
    stems = []
    for number in range(request.views_of(index)):
        image, labels = _take(random, world, vehicle, request, number=number)
        stem = f"{body.value}_{vehicle}_{seed:09d}_{number:02d}"
        _write(request.out / "images" / f"{stem}.png", image)
        _write(request.out / "masks" / f"{stem}.png", labels)
        stems.append(stem)
    return stems


def _take(
    random: np.random.Generator,
    world: World,
    vehicle: Vehicle,
    request: RenderRequest,
    *,
    number: int,
) -> tuple[U8, U8]:
    for _ in range(TRIES):
        view = choose_view(random, world, vehicle, size_px=request.size_px)
        try:
            return _expose(world, view, request.rule, number=number)
        except GeometryError:
            continue  # inside a rock: another place
    raise GeometryError(f"no open place for a camera was found in world {world.seed}")


def _expose(world: World, view: View, rule: RockRule, *, number: int) -> tuple[U8, U8]:
    cast = cast_rays(world, view.camera, view.world_T_camera)
    labels = cast_to_labels(world, cast, view.camera, rule)
    if view.settings.samples == 1:
        return render(world, cast, settings=view.settings, seed=number), labels
    image = render_view(
        world, view.camera, view.world_T_camera, settings=view.settings, seed=number
    )
    return image, labels


def _write(path: Path, pixels: U8) -> None:
    if not cv2.imwrite(str(path), pixels):
        raise ConfigError(f"{path} cannot be written; is the disk full?")


def _write_lists(request: RenderRequest, stems: dict[int, list[str]]) -> dict[str, int]:
    lists: dict[str, list[str]] = {TRAIN: [], VALIDATION: []}
    for index, split in request.splits().items():
        lists[split] += stems[index]
    for split, names in lists.items():
        text = "".join(f"{name}\n" for name in names)
        (request.out / f"{split}.txt").write_text(text, encoding="utf-8")
    classes = [
        {"name": item.name, "color": list(item.color_rgb), "hazard": item.hazard}
        for item in WORLD_TAXONOMY
    ]
    taxonomy = {"classes": classes, "map": {name: name for name in WORLD_TAXONOMY.names}}
    (request.out / "taxonomy.yaml").write_text(
        yaml.safe_dump(taxonomy, sort_keys=False), encoding="utf-8"
    )
    counts = {split: len(names) for split, names in lists.items()}
    made = {
        **asdict(request),
        "out": None,
        "jobs": None,
        "cluster": None,
        "bodies": [body.value for body in request.bodies],
        "pictures": counts,
    }
    (request.out / "renders.json").write_text(
        json.dumps({key: value for key, value in made.items() if value is not None}, indent=2)
        + "\n",
        encoding="utf-8",
    )
    return counts
