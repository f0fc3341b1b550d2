"""Render the tables of README.md and docs/reference from the code (`make reference`).

A page holds `<!-- table: NAME -->` and `<!-- end of table -->` around each table. Run this after
changing what a table shows.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from terrain_seg_ros.cli.main import COMMANDS, PROGRAM, load_command
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.topics import TOPICS, topics
from terrain_seg_ros.model_store.model_store import load_card, shipped_models
from terrain_seg_ros.parameters.node_settings import DECLARATION
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.reference import HEADER, reference_groups
from terrain_seg_ros.parameters.shipped import MODES
from terrain_seg_ros.report.reasons import REASONS
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
ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs" / "reference").glob("*.md"))]
FIRST_TOPICS = (
    "image",
    "camera_info",
    "/tf",
    "mask",
    "hazard_grid",
    "hazard_reason",
    "safe_map",
    "/diagnostics",
)
"""The topics that the README names."""
SERVICES = {
    "~/enable": "Processes images (`true`) or ignores them (`false`).",
    "~/segment_once": "Processes the next image although the node is disabled.",
    "~/reset_map": "Clears the grid, including kept hazards.",
    "~/select_site": "With `landing.enable`: keeps the chosen landing site (`true`), or lets the "
    "scores choose again (`false`).",
}


def render(text: str) -> str:
    """Return the text of a page with every table between its markers made anew.

    Raises:
        ConfigError: a marker names no table, or has no end.
    """
    begin = re.compile(r"<!-- table: (\w+) -->\n")
    end = "<!-- end of table -->"
    parts, place = [], 0
    for match in begin.finditer(text):
        stop = text.find(end, match.end())
        if match[1] not in TABLES or stop < 0:
            raise ConfigError(f"no table {match[1]!r}, or no {end!r} behind its marker")
        parts += [text[place : match.end()], "\n".join([*TABLES[match[1]](), end])]
        place = stop + len(end)
    return "".join([*parts, text[place:]])


def _commands() -> Iterable[str]:
    rows = ((f"`{PROGRAM} {name}`", text) for name, text in COMMANDS.items())
    return _table(("command", "what it does"), rows)


def _options() -> Iterable[str]:
    """Yield a section per command with its arguments, sub-commands included."""
    for name in COMMANDS:
        parser = argparse.ArgumentParser(prog=f"{PROGRAM} {name}", description=COMMANDS[name])
        load_command(name).add_arguments(parser)
        yield from _parser_section(parser, level=2)


def _parser_section(parser: argparse.ArgumentParser, *, level: int) -> Iterable[str]:
    yield "#" * level + f" {parser.prog}"
    yield ""
    if parser.description:
        text = parser.description[:1].upper() + parser.description[1:]
        yield text.rstrip(".") + "."
        yield ""
    actions = [item for item in parser._actions if item.dest != "help"]
    inner = [item for item in actions if isinstance(item, argparse._SubParsersAction)]
    rows = [_argument(parser, item) for item in actions if item not in inner]
    if rows:
        yield from _table(("argument", "meaning"), rows)
        yield ""
    for action in inner:
        for child in action.choices.values():
            getattr(child, "load", lambda: None)()  # declared when it is first used
            yield from _parser_section(child, level=level + 1)


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> tuple[str, str]:
    """Return how one argument is written, and what it means."""
    formatter = parser._get_formatter()
    text = formatter._expand_help(action) if action.help else ""
    if action.choices is not None:
        values = ", ".join(f"`{item}`" for item in action.choices)
        text = f"{text.removesuffix('.')}; one of {values}" if text else f"one of {values}"
    metavar = action.metavar or ("" if action.choices else action.dest.upper())
    if isinstance(metavar, tuple):
        metavar = " ".join(metavar)
    if action.required and action.option_strings:
        text = f"{text} (required)" if text else "required"
    value = "" if action.nargs == 0 else metavar
    return f"`{' '.join([', '.join(action.option_strings), value]).strip()}`", text


def _first_topics() -> Iterable[str]:
    rows = (
        (
            TOPICS[name].direction.value,
            f"`{name}`",
            TOPICS[name].type.replace("/msg/", "/"),
            TOPICS[name].description,
        )
        for name in FIRST_TOPICS
    )
    return _table(("", "topic", "type", "content"), rows)


def _services() -> Iterable[str]:
    files = sorted((ROOT / "src/terrain_seg_ros/ros").glob("*.py"))
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    served = re.findall(r'create_service\(\s*(\w+),\s*"([^"]+)"', source)
    rows = ((f"`{name}`", f"std_srvs/{kind}", SERVICES[name]) for kind, name in served)
    return _table(("service", "type", "what it does"), rows)


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
    shipped = {mode: load_parameters(shipped=mode).values for mode in MODES}
    for title, rows in reference_groups(DECLARATION, shipped):
        yield f"## {title}"
        yield ""
        yield from _table(HEADER, rows)
        yield ""


def _reasons() -> Iterable[str]:
    rows = ((str(int(reason)), reason.name.lower(), *REASONS[reason]) for reason in Reason)
    return _table(("code", "reason", "meaning", "what to do"), rows)


def _model_list() -> Iterable[str]:
    rows = []
    for card in map(load_card, shipped_models()):
        worst = max(card.taxonomy, key=lambda item: item.hazard)
        iou = card.metrics.get("iou", {}).get(worst.name) if card.metrics else None
        rows.append(
            (
                f"`{card.name}`",
                f"{card.width_px}x{card.height_px} {card.channels}",
                ", ".join(card.taxonomy.names),
                _score(card.metrics["mean_iou"]) if card.metrics else "",
                f"{_score(iou)} ({worst.name})" if card.metrics else "",
            )
        )
    header = ("model", "input", "classes", "mean IoU", "IoU of the most dangerous class")
    return _table(header, rows)


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
    yield f"## {card.name} {card.version}"
    yield ""
    yield f"`{source.name}` in {card.precision}, as a separate file."
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
    yield f"## {card.name} {card.version}"
    yield ""
    yield f"Input: {card.width_px}x{card.height_px} {card.channels}."
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
    "options": _options,
    "first_topics": _first_topics,
    "topics": _topics,
    "services": _services,
    "simulation": _simulation,
    "parameters": _parameters,
    "reasons": _reasons,
    "model_list": _model_list,
    "models": _models,
}


def main() -> int:
    """Write the pages again."""
    for page in PAGES:
        page.write_text(render(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
