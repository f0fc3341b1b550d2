"""The figures of a benchmark as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from terrain_seg_ros.bench.terminal import GEOMETRY_HEAD, geometry_cells, peer_cells

Rows = Sequence[Mapping[str, Any]]

_PEERS = {"peers": "terrain-seg bench", "torch_peers": "terrain-train peers"}
_TITLE = "# Performance"


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
        "confidence and grid. A start is a fresh process up to its first mask; cached is one whose "
        "engine `terrain-seg prepare` built.",
        "",
        f"{result['model']} on {result['machine']}, {result['date']}, {result['rounds']} rounds.",
        *(f"{name}: {text}." for name, text in result["accelerators"].items()),
        "",
        "| backend | precision | image | bare ms | end to end ms | p99 ms | overhead ms | ratio "
        "| |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        note = "`auto`" if row["auto"] else "" if row["passes_parity"] else "fails parity"
        p99 = row["end_to_end_percentiles_ms"]["p99"]
        lines.append(
            f"| {row['backend']} | {row['precision']} | {row['size']} | {row['bare_ms']:.1f} | "
            f"{row['end_to_end_ms']:.1f} | {p99:.1f} | {row['overhead_ms']:.1f} | "
            f"{row['ratio']:.2f} | {note} |"
        )
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
        f"| {' | '.join(GEOMETRY_HEAD)} |",
        f"|{'---|' * len(GEOMETRY_HEAD)}",
        *(f"| {' | '.join(cells)} |" for cells in geometry_cells(rows)),
    ]


def _peers(peers: Mapping[str, Any], made_by: str) -> list[str]:
    return [
        f"The same network in the usual ways, from {peers['size']} pixels to a mask, in turns "
        f"(`{made_by}`):",
        "",
        "| way | median ms | times ours |",
        "|---|---|---|",
        *(f"| {' | '.join(cells)} |" for cells in peer_cells(peers["ways"])),
    ]


def _stages(rows: Rows) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row["stage_median_ms"]))
    lines = [f"| stage, median ms | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for row in rows:
        cells = [row["stage_median_ms"].get(name) for name in names]
        texts = ["-" if value is None else f"{value:.2f}" for value in cells]
        lines.append(f"| {_name(row)} | {' | '.join(texts)} |")
    return lines


def _starts(starts: Rows) -> list[str]:
    lines = [
        "| backend | precision | start s | cached start s | memory MiB | VRAM MiB | 1 image ms "
        "| 2 images ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in starts:
        if "error" in row:
            continue
        cached = row["cached_start_s"]
        vram = "-" if row["vram_mib"] is None else f"{row['vram_mib']:.0f}"
        lines.append(
            f"| {row['backend']} | {row['precision']} | {row['start_s']:.2f} | "
            f"{'-' if cached is None else f'{cached:.2f}'} | {row['rss_mib']:.0f} | {vram} | "
            f"{row['batch_ms']['1']:.1f} | {row['batch_ms']['2']:.1f} |"
        )
    return lines


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['backend']} {row['precision']} {row['size']}"
