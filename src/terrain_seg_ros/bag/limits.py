"""Minima and maxima that a score must keep, from a YAML file."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.yaml_file import read_yaml
from terrain_seg_ros.runtime.health import Drop, Refusal

_SECTIONS = ("minimum", "maximum")
_OF_TRUTH = (
    "mean_iou",
    "pixel_accuracy",
    "missed_hazard_rate",
    "iou",
    "precision",
    "recall",
    "truth",
)
_REASONS = {
    "dropped": {reason.value for reason in Drop},
    "refused": {reason.value for reason in Refusal},
}
"""Counts that the scores do not list are 0."""


class Limit(NamedTuple):
    """One limit; `path` leads into the scores, with dots."""

    path: str
    section: str
    value: float

    def violation(self, scores: Mapping[str, Any]) -> str | None:
        """Return how the limit is violated, or None where it is kept.

        Raises:
            ConfigError: the path does not lead to a number.
        """
        found = _find(scores, self.path)
        bound = f"expected at {'least' if self.section == 'minimum' else 'most'} {self.value:g}"
        if found is None:
            return f"{self.path} has no value, {bound}"
        kept = found >= self.value if self.section == "minimum" else found <= self.value
        return None if kept else f"{self.path} is {found:.6g}, {bound}"


def read_limits(path: Path) -> list[Limit]:
    """Return the limits of a file.

    Raises:
        ConfigError: it cannot be read, or holds anything but numbers under `minimum` and
            `maximum`.
    """
    content = read_yaml(path, "`minimum:` and `maximum:` with names and numbers")
    unknown = [str(key) for key in content if key not in _SECTIONS]
    if unknown:
        raise ConfigError(f"{path}: unknown section {unknown[0]!r}, expected {list(_SECTIONS)}")
    limits = [
        Limit(name, section, value)
        for section in _SECTIONS
        for name, value in _flat(content.get(section) or {}, f"{path}: {section}")
    ]
    if not limits:
        raise ConfigError(f"{path}: holds no limit; name some under {' or '.join(_SECTIONS)}")
    return limits


def check_limits(limits: list[Limit], scores: Mapping[str, Any]) -> list[str]:
    """Return one line per limit that is missed.

    Raises:
        ConfigError: a limit names something that is not a score.
    """
    return [text for text in (limit.violation(scores) for limit in limits) if text is not None]


def _flat(section: Any, source: str, prefix: str = "") -> Iterator[tuple[str, float]]:
    if not isinstance(section, Mapping):
        raise ConfigError(f"{source} holds {section!r}, expected names and numbers")
    for key, value in section.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, source, f"{name}.")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            raise ConfigError(f"{source}: {name} is {value!r}, expected a number")
        else:
            yield name, float(value)


def _find(scores: Mapping[str, Any], path: str) -> float | None:
    """Return the number at a path; None where the score has no value."""
    value: Any = scores
    parts = path.split(".")
    for index, part in enumerate(parts):
        if not isinstance(value, Mapping) or part not in value:
            if index == 0 and part in _OF_TRUTH:
                return None
            if index == 1 and part in _REASONS.get(parts[0], ()):
                return 0.0
            if index == 1 and parts[0] == "latency_ms" and not scores["images_out"]:
                return None
            raise _unknown(scores, path)
        value = value[part]
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise _unknown(scores, path)


def _unknown(scores: Mapping[str, Any], path: str) -> ConfigError:
    names = [name for name, _ in _numbers(scores)]
    near = difflib.get_close_matches(path, names, n=3, cutoff=0.4)
    known = near or [name for name in names if "." not in name]
    return ConfigError(f"limit {path!r} names no score; expected one of {', '.join(known)}")


def _numbers(scores: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | None]]:
    for key, value in scores.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif value is None or isinstance(value, (int, float)):
            yield f"{prefix}{key}", value
