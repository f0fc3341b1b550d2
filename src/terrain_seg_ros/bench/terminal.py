"""The figures of a benchmark on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from terrain_seg_ros.report.table import text_table

GEOMETRY_HEAD = ("ground", "project ms", "fuse ms", "cost ms", "sum ms", "landing sites ms")


def result_lines(result: dict[str, Any]) -> Iterator[str]:
    """Yield every table, and a line for each failure."""
    yield f"{result['model']} on {result['machine']}, {result['date']}, {result['rounds']} rounds"
    head = ["backend", "precision", "size", "bare ms", "end to end ms", "p99", "overhead ms"]
    lines = [_cells(row) for row in result["rows"]]
    yield text_table([*head, "of it grid", "ratio", "note"], lines)
    yield from _lines_of_starts(result["starts"])
    for key in ("peers", "torch_peers"):
        if result[key] is not None:
            yield from _lines_of_peers(result[key])
    if result["geometry"]:
        yield "from pixels to the grid, 256 x 256 into 400 x 400 cells, on one processor"
        yield text_table(GEOMETRY_HEAD, geometry_cells(result["geometry"]))
    if result["trtexec"] is not None:
        yield from _lines_of_trtexec(result)
    for row in result["failed"]:
        name = f"{row['backend']} {row['precision']} {row['size']}"
        yield f"not measured: {name}: {row['error']}"


def _cells(row: dict[str, Any]) -> list[str]:
    start = [row["backend"], row["precision"], row["size"]]
    note = "auto" if row["auto"] else "" if row["passes_parity"] else "fails parity"
    figures = (
        row["bare_ms"],
        row["end_to_end_ms"],
        row["end_to_end_percentiles_ms"]["p99"],
        row["overhead_ms"],
        row["grid_ms"],
        row["ratio"],
    )
    return [*start, *(f"{value:.2f}" for value in figures), note]


def _lines_of_starts(starts: Sequence[dict[str, Any]]) -> Iterator[str]:
    good = [row for row in starts if "error" not in row]
    if good:
        head = [
            "backend",
            "precision",
            "start s",
            "cached s",
            "memory MiB",
            "VRAM",
            "1 image",
            "2 images",
        ]
        yield text_table(head, [_start_cells(row) for row in good])
    for row in starts:
        if "error" in row:
            yield f"no start: {row['backend']} {row['precision']}: {row['error']}"


def _start_cells(row: dict[str, Any]) -> list[str]:
    cached = row["cached_start_s"]
    return [
        row["backend"],
        row["precision"],
        f"{row['start_s']:.2f}",
        "-" if cached is None else f"{cached:.2f}",
        f"{row['rss_mib']:.0f}",
        "-" if row["vram_mib"] is None else f"{row['vram_mib']:.0f}",
        f"{row['batch_ms']['1']:.2f}",
        f"{row['batch_ms']['2']:.2f}",
    ]


def geometry_cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the milliseconds of each way of finding the ground, under `GEOMETRY_HEAD`."""
    return [
        [
            row["way"],
            *(f"{value:.2f}" for value in row["stage_median_ms"].values()),
            f"{row['sum_ms']:.2f}",
            "-" if row["landing_ms"] is None else f"{row['landing_ms']:.2f}",
        ]
        for row in rows
    ]


def peer_cells(ways: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return name, milliseconds and how many times ours, the first way's, those are."""
    ours, rows = ways[0]["median_ms"], []
    for way in ways:
        value = way["median_ms"]
        if value is None:
            rows.append([way["name"], "-", way["error"] or "-"])
        else:
            rows.append([way["name"], f"{value:.1f}", f"{value / ours:.2f}" if ours else "-"])
    return rows


def _lines_of_peers(peers: dict[str, Any]) -> Iterator[str]:
    yield f"the same network, from {peers['size']} pixels to a mask"
    yield text_table(["way", "median ms", "times ours"], peer_cells(peers["ways"]))


def _lines_of_trtexec(result: dict[str, Any]) -> Iterator[str]:
    """Yield the share of trtexec's throughput that the backend reaches, transfers included."""
    theirs = result["trtexec"]["throughput_per_s"]
    rows = [row for row in result["rows"] if row["backend"] == "tensorrt"]
    if not rows:
        yield f"trtexec: {theirs:.1f} images/s; there are no TensorRT figures to compare with"
    for row in rows:
        ours = 1e3 / row["bare_ms"]
        yield (
            f"trtexec {theirs:.1f} images/s, tensorrt {row['precision']} {row['size']} "
            f"{ours:.1f} one by one: {ours / theirs:.2f}"
        )
