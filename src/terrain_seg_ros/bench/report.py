"""The figures of a benchmark as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from terrain_seg_ros.bench.terminal import GEOMETRY_HEAD, geometry_cells, peer_cells
from terrain_seg_ros.report.table import markdown_table

Rows = Sequence[Mapping[str, Any]]

_PEERS = {"peers": "terrain-seg bench", "torch_peers": "terrain-train peers"}
_TITLE = "# Performance"
_PATH_HEAD = (
    "backend",
    "precision",
    "image",
    "bare ms",
    "end to end ms",
    "p99 ms",
    "overhead ms",
    "ratio",
    "",
)
_START_HEAD = (
    "backend",
    "precision",
    "start s",
    "cached start s",
    "memory MiB",
    "VRAM MiB",
    "1 image ms",
    "2 images ms",
)


def is_own_markdown(text: str) -> bool:
    """Return whether `markdown` wrote a text."""
    return text.startswith(f"{_TITLE}\n\nWritten by `terrain-seg bench")


def markdown(result: Mapping[str, Any]) -> str:
    """Return tables of the paths, their stages, and starts, with machine and date."""
    lines = [
        _TITLE,
        "",
        "Written by `terrain-seg bench --markdown FILE`. Bare is the runtime's call on the "
        "network's input; end to end is from the CDR bytes of an image to those of mask, "
        "confidence and grid. A start is a fresh process up to its first mask, with the loops "
        "that an earlier one compiled; cached is one whose engine `terrain-seg prepare` built.",
        "",
        f"{result['model']} on {result['machine']}, {result['date']}, {result['rounds']} rounds.",
        *(f"{name}: {text}." for name, text in result["accelerators"].items()),
        "",
        *markdown_table(_PATH_HEAD, map(_path_cells, result["rows"])),
    ]
    lines += ["", *_stages(result["rows"]), "", *_starts(result["starts"])]
    for key, made_by in _PEERS.items():
        if result[key] is not None:
            lines += ["", *_peers(result[key], made_by)]
    if result["geometry"]:
        lines += ["", *_geometry(result["geometry"])]
    return "\n".join(lines) + "\n"


def _geometry(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [
        "From pixels to the grid: 256 x 256 pixels with their true mask into 400 x 400 cells, seen "
        "from a vehicle that moves on, medians on one processor.",
        "",
        *markdown_table(GEOMETRY_HEAD, geometry_cells(rows)),
    ]


def _peers(peers: Mapping[str, Any], made_by: str) -> list[str]:
    return [
        f"The same network in the usual ways, from {peers['size']} pixels to a mask, in turns "
        f"(`{made_by}`):",
        "",
        *markdown_table(("way", "median ms", "times ours"), peer_cells(peers["ways"])),
    ]


def _stages(rows: Rows) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row["stage_median_ms"]))
    cells = [
        [_name(row), *(_number(row["stage_median_ms"].get(name), 2) for name in names)]
        for row in rows
    ]
    return markdown_table(["stage, median ms", *names], cells)


def _starts(starts: Rows) -> list[str]:
    cells = [
        [
            row["backend"],
            row["precision"],
            f"{row['start_s']:.2f}",
            _number(row["cached_start_s"], 2),
            f"{row['rss_mib']:.0f}",
            _number(row["vram_mib"], 0),
            f"{row['batch_ms']['1']:.1f}",
            f"{row['batch_ms']['2']:.1f}",
        ]
        for row in starts
        if "error" not in row
    ]
    return markdown_table(_START_HEAD, cells)


def _path_cells(row: Mapping[str, Any]) -> list[str]:
    return [
        row["backend"],
        row["precision"],
        str(row["size"]),
        f"{row['bare_ms']:.1f}",
        f"{row['end_to_end_ms']:.1f}",
        f"{row['end_to_end_percentiles_ms']['p99']:.1f}",
        f"{row['overhead_ms']:.1f}",
        f"{row['ratio']:.2f}",
        "`auto`" if row["auto"] else "" if row["passes_parity"] else "fails parity",
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['backend']} {row['precision']} {row['size']}"
