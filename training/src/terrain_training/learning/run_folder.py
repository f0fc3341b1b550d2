"""What a run leaves behind, and where."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.model_store.model_files import CARD_FILE
from terrain_seg_ros.report.output_place import has_own_file, holds_json, some
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe

WEIGHTS = "best.safetensors"
SNAPSHOT = "recipe.yaml"
CURVES = "curves.png"
PAGE = "index.html"
_OWN_SUMMARY = holds_json("classes", "parameters", "training_images")
JSON_LIMIT_BYTES = 16 * 2**20


@dataclass(frozen=True)
class RunFolder:
    """Name the files of a run."""

    path: Path

    @property
    def snapshot(self) -> Path:
        """Return the file of the whole recipe."""
        return self.path / SNAPSHOT

    @property
    def weights(self) -> Path:
        """Return the file of the weights of the best epoch."""
        return self.path / WEIGHTS

    @property
    def checkpoint(self) -> Path:
        """Return the file from which a run resumes."""
        return self.path / "last.ckpt"

    @property
    def history(self) -> Path:
        """Return the file with one JSON object per epoch."""
        return self.path / "history.jsonl"

    @property
    def summary(self) -> Path:
        """Return the file with classes, sizes and the best scores."""
        return self.path / "summary.json"

    @property
    def examples(self) -> Path:
        """Return the folder of example predictions."""
        return self.path / "examples"

    def example_sheet(self, epoch: int) -> Path:
        """Return the picture of the example predictions of an epoch, which counts from 1."""
        return self.examples / f"epoch_{epoch:03d}.png"

    def is_own(self) -> bool:
        """Return whether a run was begun here."""
        return self.snapshot.is_file() and has_own_file(self.summary.name, _OWN_SUMMARY)(self.path)

    def recipe(self) -> Recipe:
        """Return the recipe that the run was trained with.

        Raises:
            ConfigError: there is none.
        """
        if not self.snapshot.is_file():
            raise ConfigError(
                f"{self.path} is not the folder of a run: it has no {SNAPSHOT}; train first"
            )
        return load_recipe(self.snapshot)

    def read_summary(self) -> dict[str, Any]:
        """Return the summary of a finished epoch.

        Raises:
            ConfigError: there is none, or it cannot be read.
        """
        try:
            if self.summary.stat().st_size > JSON_LIMIT_BYTES:
                raise ConfigError(f"{self.summary} is larger than {JSON_LIMIT_BYTES} bytes")
            content = _json_object(self.summary.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.summary} cannot be read ({error}); train first") from error
        return content

    def taxonomy(self) -> Taxonomy:
        """Return the classes that the run learned.

        Raises:
            ConfigError: the summary is damaged.
        """
        try:
            rows = self.read_summary()["classes"]
            return Taxonomy(
                tuple(
                    TerrainClass(number, row["name"], tuple(row["color_rgb"]), float(row["hazard"]))
                    for number, row in enumerate(rows)
                )
            )
        except (KeyError, ModelError, TypeError, ValueError) as error:
            raise ConfigError(f"{self.summary} is damaged ({error}); train again") from error

    def read_history(self) -> list[dict[str, Any]]:
        """Return the finished epochs, oldest first; none where there are none.

        Raises:
            ConfigError: a line is not a JSON object.
        """
        if not self.history.is_file():
            return []
        try:
            lines = self.history.read_text(encoding="utf-8").splitlines()
            return [_json_object(line) for line in lines]
        except ValueError as error:
            raise ConfigError(f"{self.history} is damaged ({error}); delete it") from error


def check_is_model(path: Path) -> None:
    """Check what is neither a run nor a file of weights, before it is taken for a model.

    Raises:
        ConfigError: it is a folder without a model, or a file of another kind.
    """
    if path.is_dir() and not (path / CARD_FILE).is_file():
        inside = sorted(
            child.name
            for child in path.iterdir()
            if (child / SNAPSHOT).is_file() or (child / CARD_FILE).is_file()
        )
        hint = f"; in it are {some(inside)}" if inside else "; train or export first"
        raise ConfigError(
            f"'{path}' is neither a run (it has no {SNAPSHOT}) nor an exported model (no "
            f"{CARD_FILE}){hint}"
        )
    if path.is_file() and path.suffix != ".onnx":
        raise ConfigError(
            f"'{path}' is not a model: give a run's folder, its {WEIGHTS}, an exported folder or a "
            "model's name"
        )


def strict_json(content: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return JSON that every reader takes: null where a value is no number."""
    return json.dumps(_plain(content), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json_object(text: str) -> dict[str, Any]:
    content = json.loads(text, parse_constant=lambda _: None)
    if not isinstance(content, dict):
        raise ValueError(f"{text[:40]!r} is not a JSON object")
    return content
