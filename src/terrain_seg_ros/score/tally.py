"""The counts of scored runs, which add up over runs, and the figures computed from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from terrain_seg_ros.core.scores.bootstrap import Interval, draw, interval
from terrain_seg_ros.core.types import F64

SIZE_CLASSES_M = (0.2, 0.5, 1.0)
"""Lower bounds of the size classes in which rocks are counted, by mean diameter."""
RANGE_BANDS_M = (0.0, 5.0, 10.0)
"""Lower bounds of the range bands, by distance from the camera."""
RESAMPLES = 2000


def _table() -> F64:
    return np.zeros((len(SIZE_CLASSES_M), len(RANGE_BANDS_M)))


def _row() -> F64:
    return np.zeros(len(RANGE_BANDS_M))


class ViewAreas(NamedTuple):
    """The areas, m2, in the grid as it is after one view.

    `called_safe` is reported safe, `false_safe` the part of it that is unsafe, `findable` what
    could be reported safe after all views so far, `found` the part of that which is.
    """

    called_safe: float
    false_safe: float
    findable: float
    found: float


@dataclass
class Tally:
    """The counts of one run.

    Areas are those of cells that were reported safe, or could be, in any view of the run, each
    counted once. Rocks and lethal cells count once per view, by size and range. `novel_views` are
    the images that were refused as unlike the network's training. `by_view` are the areas after
    each view. Landing figures are None without a descent.
    """

    scenario: str
    body: str
    seed: int
    called_safe_m2: float = 0.0
    false_safe_m2: float = 0.0
    findable_m2: float = 0.0
    found_m2: float = 0.0
    novel_views: int = 0
    visible_cells: int = 0
    observed_cells: int = 0
    rocks_seen: F64 = field(default_factory=_table)
    rocks_found: F64 = field(default_factory=_table)
    rock_cells: int = 0
    rock_cells_free: int = 0
    lethal_cells: F64 = field(default_factory=_row)
    lethal_cells_true: F64 = field(default_factory=_row)
    latency_ms: list[float] = field(default_factory=list)
    by_view: list[ViewAreas] = field(default_factory=list)
    landing_possible: bool | None = None
    landing_offered: bool | None = None
    landing_safe: bool | None = None
    landing_to_best_m: float | None = None

    @property
    def views(self) -> int:
        """Return the number of images."""
        return len(self.latency_ms)


Figure = Callable[[Sequence[Tally]], float | None]


def _ratio(part: str, whole: str) -> Figure:
    def figure(tallies: Sequence[Tally]) -> float | None:
        total = sum(float(np.sum(getattr(tally, whole))) for tally in tallies)
        if total == 0.0:
            return None
        return sum(float(np.sum(getattr(tally, part))) for tally in tallies) / total

    return figure


def _safe_landings(tallies: Sequence[Tally]) -> float | None:
    chosen = [tally.landing_safe for tally in tallies if tally.landing_safe is not None]
    return sum(chosen) / len(chosen) if chosen else None


def _offered(tallies: Sequence[Tally]) -> float | None:
    possible = [bool(tally.landing_offered) for tally in tallies if tally.landing_possible]
    return sum(possible) / len(possible) if possible else None


FIGURES: Mapping[str, Figure] = {
    "false_safe_share": _ratio("false_safe_m2", "called_safe_m2"),
    "safe_found_share": _ratio("found_m2", "findable_m2"),
    "hazard_recall": _ratio("rocks_found", "rocks_seen"),
    "hazard_precision": _ratio("lethal_cells_true", "lethal_cells"),
    "novel_view_share": _ratio("novel_views", "views"),
    "observed_share": _ratio("observed_cells", "visible_cells"),
    "rock_cells_called_free_share": _ratio("rock_cells_free", "rock_cells"),
    "safe_landing_share": _safe_landings,
    "landing_offered_share": _offered,
}
"""The figures that are shares, by their JSON key."""
FLOORS = {"safe_found_share": 0.85, "landing_offered_share": 0.90}
"""Minimum values: a run below one of them fails, since reporting nothing safe is trivial."""


def figures(tallies: Sequence[Tally], *, seed: int = 0) -> dict[str, Any]:
    """Return the JSON content for some runs: shares with intervals, areas, tables, latency.

    Intervals are the 2.5 and 97.5 percentiles over resamples of the worlds (bootstrap, Efron
    1979), None for a figure that no run provides. The interval of a share that is 0 or 1 in every
    world has zero width, which does not mean that it is exact: see `upper_bound_of_none`.
    """
    random = np.random.default_rng(seed)
    resamples = RESAMPLES if len(tallies) > 1 else 0
    drawn = [
        [tallies[index] for index in row]
        for row in draw(random, resamples=resamples, count=len(tallies)).tolist()
    ]
    result: dict[str, Any] = {"worlds": len(tallies)}
    for name, figure in FIGURES.items():
        result[name] = figure(tallies)
        result[f"{name}_interval"] = _interval(figure, drawn)
    result["false_safe_area_m2"] = sum(tally.false_safe_m2 for tally in tallies)
    result["called_safe_area_m2"] = sum(tally.called_safe_m2 for tally in tallies)
    result["by_view"] = _by_view(tallies)
    result["hazard_recall_by_size_and_range"] = _recalls(tallies)
    result["hazard_precision_by_range"] = _precisions(tallies)
    distances = [
        tally.landing_to_best_m for tally in tallies if tally.landing_to_best_m is not None
    ]
    result["landings_chosen"] = sum(tally.landing_safe is not None for tally in tallies)
    result["landing_to_best_m"] = float(np.median(distances)) if distances else None
    latency_ms = [value for tally in tallies for value in tally.latency_ms]
    result["latency_ms"] = {
        name: round(float(np.percentile(latency_ms, percent)), 2) if latency_ms else None
        for name, percent in (("median", 50), ("p99", 99))
    }
    return result


def missed_floors(result: Mapping[str, Any]) -> list[str]:
    """Return a line for each minimum that the figures miss."""
    return [
        f"{name} is {result[name]:.3f}, expected at least {floor:.2f}"
        for name, floor in FLOORS.items()
        if result[name] is not None and result[name] < floor
    ]


def upper_bound_of_none(count: int) -> float:
    """Return the upper 95 % confidence bound of a failure rate when 0 of `count` failed.

    The exact form of the rule of three (Hanley and Lippman-Hand, JAMA 1983): 1 - 0.05^(1 / count).
    """
    return 1.0 - math.pow(0.05, 1.0 / count)


def size_class(diameter_m: float) -> int:
    """Return the row of `rocks_seen` for a diameter, which is at least the smallest bound."""
    return int(np.searchsorted(SIZE_CLASSES_M, diameter_m, side="right")) - 1


def range_band(range_m: float) -> int:
    """Return the column of `rocks_seen` for a distance."""
    return int(np.searchsorted(RANGE_BANDS_M, range_m, side="right")) - 1


def band_names(edges_m: Sequence[float]) -> list[str]:
    """Return the names of size classes or range bands: '5-10 m', and '10+ m' for the last."""
    names = [f"{low:g}-{high:g} m" for low, high in pairwise(edges_m)]
    return [*names, f"{edges_m[-1]:g}+ m"]


def _interval(figure: Figure, drawn: Sequence[Sequence[Tally]]) -> Interval | None:
    return interval([value for value in map(figure, drawn) if value is not None])


def _recalls(tallies: Sequence[Tally]) -> dict[str, dict[str, Any]]:
    seen = sum((tally.rocks_seen for tally in tallies), start=_table())
    found = sum((tally.rocks_found for tally in tallies), start=_table())
    return {
        size: {
            band: {
                "rocks": int(seen[row, col]),
                "recall": float(found[row, col] / seen[row, col]) if seen[row, col] else None,
            }
            for col, band in enumerate(band_names(RANGE_BANDS_M))
        }
        for row, size in enumerate(band_names(SIZE_CLASSES_M))
    }


def _by_view(tallies: Sequence[Tally]) -> list[dict[str, float | None]]:
    """Return the shares of false safe and of found ground in the grid after each view."""
    result = []
    for areas in zip(*(tally.by_view for tally in tallies)):
        called, false, findable, found = np.sum(areas, axis=0).tolist()
        result.append(
            {
                "false_safe_share": false / called if called else None,
                "safe_found_share": found / findable if findable else None,
            }
        )
    return result


def _precisions(tallies: Sequence[Tally]) -> dict[str, float | None]:
    lethal = sum((tally.lethal_cells for tally in tallies), start=_row())
    true = sum((tally.lethal_cells_true for tally in tallies), start=_row())
    return {
        band: float(true[col] / lethal[col]) if lethal[col] else None
        for col, band in enumerate(band_names(RANGE_BANDS_M))
    }
