"""Render the tables of README.md from the code; run it after changing what a table shows."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from terrain_seg_ros.cli.main import COMMANDS, PROGRAM
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.model_store.model_store import load_card, shipped_models
from terrain_seg_ros.parameters.parameters import (
    DECLARATION,
    ParameterSpec,
    load_parameters,
)
from terrain_seg_ros.sim.topics import SIM_TOPICS

SIM_TEXTS = {
    "image": "What the camera sees, rgb8 or mono8.",
    "image/compressed": "The same as JPEG, instead of `image`, with `--jpeg`.",
    "camera_info": "Intrinsics of the image.",
    "depth": "32FC1 of the image's pixels along the optical axis, rounded to a millimetre; NaN in "
    "the sky.",
    "/tf": "`grid_frame` to `base_frame`, with every picture.",
    "/tf_static": "`base_frame` to the camera.",
}
README = Path(__file__).resolve().parents[2] / "README.md"

REASONS = {
    Reason.OBSERVED: "observed: see `hazard_grid`",
    Reason.OUTSIDE_VIEW: "no camera has seen it",
    Reason.TOO_FAR: "beyond `ground.max_range_m`, or a pixel covers too much ground there",
    Reason.LOW_CONFIDENCE: "the network is less sure than `observability.min_confidence`",
    Reason.SHADOW: "too dark to judge",
    Reason.SATURATION: "too bright to judge",
    Reason.OWN_BODY: "the vehicle's own body is in the way",
    Reason.STALE: "no good image for `watchdog.stale_after_s`",
    Reason.NO_TRANSFORM: "no transform at the image's stamp",
    Reason.UNLABELLED: "the network gives no class there",
    Reason.HIDDEN: "hidden behind something nearer",
    Reason.NO_DEPTH: "no depth was measured there",
}


def render(text: str) -> str:
    """Return the README's text with every table between its markers made anew.

    Raises:
        ConfigError: a table has no markers in the text.
    """
    for name, table in TABLES.items():
        begin, end = f"<!-- table: {name} -->", "<!-- end of table -->"
        pattern = re.compile(re.escape(begin) + r"\n.*?" + re.escape(end), re.DOTALL)
        block = "\n".join([begin, *table(), end])
        text, count = pattern.subn(lambda _, block=block: block, text)
        if count != 1:
            raise ConfigError(f"README has {count} places for the table {name!r}, expected 1")
    return text


def _commands() -> Iterable[str]:
    rows = ((f"`{PROGRAM} {name}`", text) for name, text in COMMANDS.items())
    return _table(("command", "what it does"), rows)


def _topics() -> Iterable[str]:
    rows = (
        (
            spec.direction.value,
            f"`{spec.name}`",
            spec.type.replace("/msg/", "/"),
            f"{spec.reliability.value}, {spec.durability.value}, {spec.depth}",
            spec.description,
        )
        for spec in topics()
    )
    return _table(("", "topic", "type", "quality of service", "content"), rows)


def _simulation() -> Iterable[str]:
    rows = (
        (
            f"`{spec.name}`",
            spec.type.replace("/msg/", "/"),
            SIM_TEXTS.get(spec.name, spec.text),
        )
        for spec in SIM_TOPICS
    )
    return _table(("topic", "type", "content"), rows)


def _parameters() -> Iterable[str]:
    shipped = load_parameters()
    rows = (
        (
            f"`{spec.name}`",
            f"{spec.kind} {spec.unit}".strip(),
            _range(spec),
            "" if spec.is_family else f"`{_value(shipped.values[spec.name])}`",
            "yes" if spec.dynamic else "",
            spec.text,
        )
        for spec in DECLARATION
    )
    return _table(("parameter", "kind", "range", "shipped value", "while running", "meaning"), rows)


def _range(spec: ParameterSpec) -> str:
    if spec.choices:
        return ", ".join(spec.choices)
    if spec.low is None:
        return ""
    return f"{spec.low:g} to {spec.high:g}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return str(value)


def _reasons() -> Iterable[str]:
    rows = ((str(int(reason)), reason.name.lower(), REASONS[reason]) for reason in Reason)
    return _table(("code", "reason", "meaning"), rows)


def _models() -> Iterable[str]:
    cards = [load_card(name) for name in shipped_models()]
    exact = {card.sha256: card for card in cards}
    for place, card in enumerate(cards):
        if place:
            yield ""
        source = exact.get(card.lowered_from_sha256)
        yield from _model(card) if source is None else _lowered(card, source)


def _lowered(card: ModelCard, source: ModelCard) -> Iterable[str]:
    """Say what a file of lower precision loses against the float32 one, class by class."""
    yield f"**{card.name}** {card.version}: `{source.name}` in {card.precision}, a file of its own."
    yield f"Against float32, on the same {card.metrics['images']} images:"
    yield ""
    own, before = card.metrics, card.metrics["reference"]
    rows = [
        (
            name,
            *(_score(side[key].get(name)) for key in ("iou", "recall") for side in (own, before)),
        )
        for name in card.taxonomy.names
    ]
    mean = ("**mean IoU**", f"**{_score(own['mean_iou'])}**", _score(before["mean_iou"]), "", "")
    header = (
        "class",
        f"IoU in {card.precision}",
        "in fp32",
        f"recall in {card.precision}",
        "in fp32",
    )
    yield from _table(header, [*rows, mean])
    yield ""
    yield from _table(
        ("runtime", "mean IoU lost", "dangerous recall lost", "clear pixels changed"),
        (
            (
                f"{row['backend']} {row['precision']}",
                f"{row['mean_iou_loss']:.4f}",
                f"{row['dangerous_recall_loss']:.4f}",
                f"{row['clear_margin_changed']:.5f}",
            )
            for row in own["parity"]
        ),
    )


def _model(card: ModelCard) -> Iterable[str]:
    yield f"**{card.name}** {card.version}: {card.width_px}x{card.height_px} {card.channels}."
    if card.metrics:
        yield from _scores(card)
    else:
        yield "No scores: see its limits."
        yield ""
        rows = [(str(item.id), item.name, f"{item.hazard:g}") for item in card.taxonomy]
        yield from _table(("id", "class", "hazard"), rows)
    yield ""
    yield "Limits:"
    yield ""
    yield from (f"* {limit}" for limit in card.limits)


def _scores(card: ModelCard) -> Iterable[str]:
    metrics = card.metrics
    yield f"Scores on {metrics['images']} images of {metrics['data']}:"
    yield ""
    rows = [
        (
            str(item.id),
            item.name,
            f"{item.hazard:g}",
            *(_score(metrics[key].get(item.name)) for key in ("iou", "precision", "recall")),
        )
        for item in card.taxonomy
    ]
    mean = ("", "**mean IoU**", "", f"**{_score(metrics['mean_iou'])}**", "", "")
    pixels = ("", "pixel accuracy", "", _score(metrics["pixel_accuracy"]), "", "")
    header = ("id", "class", "hazard", "IoU", "precision", "recall")
    yield from _table(header, [*rows, mean, pixels])


def _score(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterable[str]:
    names = list(header)
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


TABLES: dict[str, Callable[[], Iterable[str]]] = {
    "commands": _commands,
    "topics": _topics,
    "simulation": _simulation,
    "parameters": _parameters,
    "reasons": _reasons,
    "models": _models,
}


def main() -> int:
    """Write README.md again."""
    README.write_text(render(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
