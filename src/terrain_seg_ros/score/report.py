"""The results of `terrain-seg score` for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from terrain_seg_ros.report.table import markdown_table, text_table
from terrain_seg_ros.score.tally import upper_bound_of_none

Result = Mapping[str, Any]

_SHOWN = (
    ("false_safe_share", "false safe"),
    ("safe_found_share", "safe found"),
    ("hazard_recall", "rocks found"),
    ("hazard_precision", "precision"),
    ("observed_share", "observed"),
    ("novel_view_share", "novel"),
    ("safe_landing_share", "safe landings"),
    ("landing_offered_share", "sites offered"),
)
_TITLE = "# Score: "
AS_GIVEN = "as given"
_BY_VIEW = (
    "The grid as it is after each view: the share of what it reports safe that is unsafe, and the "
    "share of the safe ground found so far that it reports safe. The table above counts what was "
    "reported safe after any view."
)
_VARIANTS = (
    "Other parameters on the same images; all else is as given. What is unsafe and what could be "
    "found is the same for all."
)
_MASKS = {
    "truth": "true masks",
    "ground": "masks without any rock",
    "model": "masks of {model}",
}


def result_lines(result: Result) -> list[str]:
    """Return the lines to print: a table and further figures."""
    lines = [text_table(*_table(result)), *_facts(result), *_recall_lines(result)]
    for head, rows in (_by_view(result), _variants(result)):
        lines += ["", text_table(head, rows)] if rows else []
    return lines


def markdown(result: Result) -> str:
    """Return the figures as a page, with explanations, command, machine and date."""
    head, rows = _table(result)
    masks = _MASKS[result["masks"]].format(**result)
    command = (
        f"terrain-seg score --mode {result['mode']} --masks {result['masks']} "
        f"--worlds {result['worlds']} --seed {result['seed']}"
    )
    for option, value in result["given"].items():
        for one in value if isinstance(value, list) else [value]:
            command += "" if one is None else f" --{option.replace('_', '-')} {one}"
    lines = [
        f"{_TITLE}{result['mode']}, {masks}",
        "",
        f"`{command}` on {result['machine']}, {result['date']}. In brackets: 95 % intervals over "
        "resampled worlds. False safe: share of the area reported safe, after erosion by the "
        "vehicle's footprint, that is unsafe. Safe found: share of the truly safe ground in view, "
        "not hidden and within the trusted range, that is reported safe; a run below 0.85 fails. "
        "Rocks found: share of the rocks of at least 0.2 m, in view and on observed ground, with a "
        "hazard cell within one cell. Precision: share of the hazard cells within one cell of a "
        "true hazard. Novel: share of the images that are refused as unlike the network's "
        "training.",
        "",
        *markdown_table(head, rows),
        "",
        *(f"* {line}" for line in (*_facts(result), *_recall_lines(result))),
    ]
    for text, (head, rows) in ((_BY_VIEW, _by_view(result)), (_VARIANTS, _variants(result))):
        lines += ["", text, "", *markdown_table(head, rows)] if rows else []
    return "\n".join(lines) + "\n"


def _variants(result: Result) -> tuple[list[str], list[list[str]]]:
    """Return the table that compares sets of parameters, empty where there is only one."""
    sets = [{**result, "name": AS_GIVEN}, *result["variants"]] if result["variants"] else []
    shown = [(key, title) for key, title in _SHOWN if result[key] is not None]
    rows = [[one["name"], *(_share(one, key) for key, _ in shown)] for one in sets]
    return ["parameters", *(title for _, title in shown)], rows


def _by_view(result: Result) -> tuple[list[str], list[list[str]]]:
    """Return the table of the grid after some of the views, for each set of parameters."""
    count = len(result["by_view"])
    steps = (power * step for power in (1, 10, 100, 1000) for step in (1, 2, 5))
    numbers = sorted({number for number in steps if number < count} | {count})
    rows = [
        [one["name"], title, *(_percent(one["by_view"][number - 1][key]) for number in numbers)]
        for one in ({**result, "name": AS_GIVEN}, *result["variants"])
        for key, title in _SHOWN[:2]
    ]
    head = ["parameters", "in the grid", *(f"view {number}" for number in numbers)]
    return head, rows if count else []


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.3g} %"


def is_own_markdown(text: str) -> bool:
    """Return whether a text was written by `markdown`."""
    return text.startswith(_TITLE)


def _table(result: Result) -> tuple[list[str], list[list[str]]]:
    parts = [("all", result), *result["scenarios"].items()]
    if len(result["bodies"]) > 1:
        parts += result["bodies"].items()
    shown = [(key, title) for key, title in _SHOWN if result[key] is not None]
    rows = [
        [name, str(part["worlds"]), *(_share(part, key) for key, _ in shown)]
        for name, part in parts
    ]
    return ["worlds of", "count", *(title for _, title in shown)], rows


def _facts(result: Result) -> list[str]:
    lines = [
        *_renderer_lines(result),
        f"false-safe area {result['false_safe_area_m2']:.2f} m2 of "
        f"{result['called_safe_area_m2']:.0f} m2 reported safe",
    ]
    if result["landing_to_best_m"] is not None:
        lines.append(f"median distance to the best true site {result['landing_to_best_m']:.2f} m")
    chosen = result["landings_chosen"]
    if chosen and result["safe_landing_share"] == 1.0:
        lines.append(
            f"none of {chosen} chosen sites is unsafe: with 95 % confidence at most "
            f"{100 * upper_bound_of_none(chosen):.1f} % of all sites are"
        )
    latency = result["latency_ms"]
    lines.append(f"latency median {latency['median']} ms, p99 {latency['p99']} ms per image")
    return lines


def _renderer_lines(result: Result) -> list[str]:
    """Return which renderer made the images, and which ones the network was trained in."""
    if result["masks"] != "model":
        return []
    trained = " and ".join(result["trained_in"]) or "no renderer, or its card does not say"
    line = f"images of the renderer {result['renderer']}; the network was trained in {trained}"
    if result["seen_renderer"]:
        line += ": SEEN RENDERER, the figures are too good for any other images"
    return [line]


def _recall_lines(result: Result) -> list[str]:
    lines = []
    for size, bands in _filled(result["hazard_recall_by_size_and_range"]):
        texts = [f"{band} {one['recall']:.3f} of {one['rocks']}" for band, one in bands]
        lines.append(f"rocks of {size} found: " + ", ".join(texts))
    return lines


def _filled(
    table: Mapping[str, Mapping[str, Any]],
) -> Iterable[tuple[str, list[tuple[str, Any]]]]:
    for size, bands in table.items():
        filled = [(band, one) for band, one in bands.items() if one["rocks"]]
        if filled:
            yield size, filled


def _share(part: Result, key: str) -> str:
    value, interval = part[key], part[f"{key}_interval"]
    if value is None:
        return "-"
    digits = 5 if key == "false_safe_share" else 3
    text = f"{value:.{digits}f}"
    if interval is None:
        return text
    return f"{text} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
