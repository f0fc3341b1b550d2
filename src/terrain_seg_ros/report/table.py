"""Plain text tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table with a rule below its head; numbers are right-aligned.

    Args:
        head: one title per column.
        rows: the cells, as many per row as there are titles.

    Raises:
        ValueError: a row has a different number of cells.
    """
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    numeric = [bool(column[1:]) and all(map(_is_number, column[1:])) for column in columns]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(cells, widths, numeric) for cells in [head, rule, *rows])


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    aligned = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric)
    ]
    return "  ".join(aligned).rstrip()


def _is_number(text: str) -> bool:
    stripped = text.strip().rstrip("%")
    if stripped in {"", "-"}:
        return True
    try:
        float(stripped.replace(",", ""))
    except ValueError:
        return False
    return True
