"""The result of `terrain-seg score`, for JSON, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.machine import machine
from terrain_seg_ros.score.score_worlds import ScoreRequest
from terrain_seg_ros.score.tally import Tally, figures


def score_result(tallies: Iterable[Tally], request: ScoreRequest) -> dict[str, Any]:
    """Return all figures of a score, by scenario and by body, with what was scored and where."""
    ordered = sorted(tallies, key=lambda tally: (tally.scenario, tally.seed))
    names = list(dict.fromkeys(tally.scenario for tally in ordered))
    bodies = sorted({tally.body for tally in ordered})
    return {
        "command": "terrain-seg score",
        "mode": request.mode,
        "masks": request.masks,
        "model": _model_text(request),
        "seed": request.seed,
        "given": {"model": request.model, "views": request.views},
        "date": datetime.now(tz=timezone.utc).date().isoformat(),
        "machine": machine(),
        **figures(ordered),
        "scenarios": {
            name: figures([tally for tally in ordered if tally.scenario == name]) for name in names
        },
        "bodies": {
            body: figures([tally for tally in ordered if tally.body == body]) for body in bodies
        },
    }


def _model_text(request: ScoreRequest) -> str:
    """Return the name and version of the model; empty if the masks are ground truth."""
    if request.masks == "truth":
        return ""
    card = load_card(request.model or load_parameters(shipped=request.mode).inference.model)
    return f"{card.name} {card.version}"


def progress_line(tally: Tally, done: int, count: int) -> str:
    """Return a line about the world that was just scored."""
    called, false = tally.called_safe_m2, tally.false_safe_m2
    return (
        f"{done}/{count} {tally.scenario} {tally.body} seed {tally.seed}: {called:.0f} m2 "
        f"reported safe, {false:.2f} m2 of it are not"
    )
