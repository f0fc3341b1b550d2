"""What is asked of the path tracer, and how a folder remembers it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.report.output_place import write_whole
from terrain_training.rendering.cycles.labels import (
    LANDER_TAXONOMY,
    MARS_TAXONOMY,
    ROVER_TAXONOMY,
    LanderRule,
    MarsRule,
    RoverRule,
)
from terrain_training.rendering.cycles.views import Task
from terrain_training.rendering.seeds import WORLDS_PER_SEED, split_worlds, world_seed

Rule = RoverRule | LanderRule | MarsRule
MANIFEST = "renders.json"
ENGINE = "cycles"
REVISION = 1
"""Raised when the same seed would no longer give the same picture."""
MAX_SIDE_PX = 1024
TAXONOMIES: Mapping[Task, Taxonomy] = {
    "moon_rover": ROVER_TAXONOMY,
    "moon_lander": LANDER_TAXONOMY,
    "mars_rover": MARS_TAXONOMY,
}
RULES: Mapping[Task, type[Rule]] = {
    "moon_rover": RoverRule,
    "moon_lander": LanderRule,
    "mars_rover": MarsRule,
}


@dataclass(frozen=True)
class CyclesRequest:
    """Hold what is to be rendered: `count` pictures, `views` of each world of a seed."""

    out: Path
    count: int
    seed: int
    task: Task
    size_px: int
    views: int
    validation_share: float
    samples: int
    rule: Rule

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, expected 0 or more")
        if not 16 <= self.size_px <= MAX_SIDE_PX:
            raise ConfigError(f"size is {self.size_px} px, expected 16 to {MAX_SIDE_PX}")
        if not 1 <= self.samples <= 4096:
            raise ConfigError(f"samples is {self.samples}, expected 1 to 4096 for each pixel")
        if not 2 <= self.worlds <= WORLDS_PER_SEED:
            raise ConfigError(
                f"{self.count} pictures with {self.views} of each world are {self.worlds} "
                f"worlds, expected 2 to {WORLDS_PER_SEED}: one to learn from, one to validate"
            )
        if not self.stems()["validation"]:
            raise ConfigError(
                f"a validation share of {self.validation_share} of {self.worlds} worlds is none; "
                "raise it or render more"
            )

    @property
    def worlds(self) -> int:
        """Return how many worlds are seen."""
        return math.ceil(self.count / self.views)

    def world_seeds(self) -> list[int]:
        """Return the seed of each world."""
        return [world_seed(self.seed, index) for index in range(self.worlds)]

    def stem(self, seed: int, number: int) -> str:
        """Return the file name of a world's picture."""
        return stem_of(self.task, seed, number)

    def views_of(self, seed: int) -> int:
        """Return how many pictures a world gets; the last one what is left."""
        index = seed - world_seed(self.seed, 0)
        return min(self.views, self.count - index * self.views)

    def stems(self) -> dict[str, list[str]]:
        """Return the names of the pictures of each split; a world is in one split only."""
        lists: dict[str, list[str]] = {"train": [], "validation": []}
        for index, split in split_worlds(self.worlds, self.validation_share).items():
            seed = world_seed(self.seed, index)
            lists[split] += [self.stem(seed, number) for number in range(self.views_of(seed))]
        return lists

    def remembered(self) -> dict[str, Any]:
        """Return what the pictures depend on."""
        content = {key: value for key, value in asdict(self).items() if key not in ("out", "rule")}
        return {"engine": ENGINE, "revision": REVISION, **content}

    def rule_remembered(self) -> dict[str, Any]:
        """Return what the labels depend on beside that."""
        return {"kind": type(self.rule).__name__, **asdict(self.rule)}


def stem_of(task: str, seed: int, number: int) -> str:
    """Return the file name of the `number`-th picture of a world, without its ending."""
    return f"{task}_{seed:09d}_{number:02d}"


def open_manifest(request: CyclesRequest) -> dict[str, Any]:
    """Return the manifest of the request's folder, written first where there is none.

    A set may grow: the folder may hold fewer pictures than are asked for.

    Raises:
        ConfigError: the folder holds pictures of another request, or something else.
    """
    path = request.out / MANIFEST
    if not path.exists():
        manifest = {"request": request.remembered(), "rule": request.rule_remembered()}
        write_manifest(request.out, manifest)
        return manifest
    manifest = read_manifest(request.out)
    check_request(request, manifest)
    if manifest["rule"] != request.rule_remembered():
        raise ConfigError(
            f"'{request.out}' is labelled by {manifest['rule']}, not by "
            f"{request.rule_remembered()}; add --relabel to label its pictures anew"
        )
    if manifest["request"] != request.remembered():
        manifest = {**manifest, "request": request.remembered()}
        write_manifest(request.out, manifest)
    return manifest


def check_request(request: CyclesRequest, manifest: Mapping[str, Any]) -> None:
    """Check that a folder's pictures are some of those that are asked for.

    Raises:
        ConfigError: they are of another request.
    """
    wanted, found = request.remembered(), manifest["request"]
    grows = isinstance(found.get("count"), int) and found["count"] < request.count
    changed = [
        key for key in wanted if wanted[key] != found.get(key) and not (key == "count" and grows)
    ]
    if changed:
        told = ", ".join(f"{key} {found.get(key)!r} (asked: {wanted[key]!r})" for key in changed)
        raise ConfigError(
            f"'{request.out}' holds renders of {told}; repeat the command that began it, or give "
            "a new folder"
        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder of renders.

    Raises:
        ConfigError: there is none that can be used.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); give a folder of renders") from error
    parts = [manifest.get(key) for key in ("request", "rule")] if isinstance(manifest, dict) else []
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise ConfigError(
            f"{path} is not a manifest of path-traced renders; give their folder or a new one"
        )
    return dict(manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest in one step."""
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
