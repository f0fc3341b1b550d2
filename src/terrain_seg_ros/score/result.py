"""The result of `terrain-seg score`, for JSON, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.machine import machine
from terrain_seg_ros.score.rendered_ahead import NUMPY, RenderedAhead
from terrain_seg_ros.score.score_worlds import ScoreRequest
from terrain_seg_ros.score.tally import Tally, figures


def score_result(worlds: Iterable[Sequence[Tally]], request: ScoreRequest) -> dict[str, Any]:
    """Return all figures of a score, by scenario and by body, with what was scored and where.

    Args:
        worlds: the counts of each world, of the parameters as given and of each variant.
        request: what was scored.
    """
    runs = sorted(worlds, key=lambda run: (run[0].scenario, run[0].seed))
    ordered = [run[0] for run in runs]
    names = list(dict.fromkeys(tally.scenario for tally in ordered))
    bodies = sorted({tally.body for tally in ordered})
    card = _card(request)
    renderer = NUMPY if request.renders is None else RenderedAhead(request.renders).renderer
    trained_in = [] if card is None else list(card.training.get("renderers", []))
    return {
        "command": "terrain-seg score",
        "mode": request.mode,
        "masks": request.masks,
        "model": "" if card is None else f"{card.name} {card.version}",
        "renderer": renderer,
        "trained_in": trained_in,
        "seen_renderer": renderer in trained_in,
        "seed": request.seed,
        "given": {
            "model": request.model,
            "views": request.views,
            "max_novelty": request.max_novelty,
            "stereo_baseline": request.stereo_baseline_m,
            "renders": None if request.renders is None else request.renders.name,
            "params": [path.name for path in request.params] or None,
        },
        "date": datetime.now(tz=timezone.utc).date().isoformat(),
        "machine": machine(),
        **figures(ordered),
        "scenarios": {
            name: figures([tally for tally in ordered if tally.scenario == name]) for name in names
        },
        "bodies": {
            body: figures([tally for tally in ordered if tally.body == body]) for body in bodies
        },
        "variants": [
            {"name": variant.name, **figures([run[number] for run in runs])}
            for number, variant in enumerate(request.variants, start=1)
        ],
    }


def _card(request: ScoreRequest) -> ModelCard | None:
    """Return the card of the model; None if the masks are ground truth."""
    if request.masks != "model":
        return None
    parameters = load_parameters(*request.params, shipped=request.mode)
    return load_card(request.model or parameters.inference.model)


def progress_line(tally: Tally, done: int, count: int) -> str:
    """Return a line about the world that was just scored."""
    called, false = tally.called_safe_m2, tally.false_safe_m2
    return (
        f"{done}/{count} {tally.scenario} {tally.body} seed {tally.seed}: {called:.0f} m2 "
        f"reported safe, {false:.2f} m2 of it are not"
    )
