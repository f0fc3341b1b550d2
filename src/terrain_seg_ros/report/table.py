"""Tables as plain text for a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table with a rule below its head; numbers are right-aligned.

    Control characters are replaced, see `printable`.

    Args:
        head: one title per column.
        rows: the cells, as many per row as there are titles.

    Raises:
        ValueError: a row has a different number of cells.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    numeric = [bool(column[1:]) and all(map(_is_number, column[1:])) for column in columns]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(cells, widths, numeric) for cells in [head, rule, *rows])


def printable(text: str) -> str:
    """Return one line of text whose control characters, which names may hold, are replaced."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; a bar in a cell is escaped.

    Args:
        head: one title per column.
        rows: cells, as many per row as there are titles.

    Raises:
        ValueError: a row has more or fewer cells.
    """
    lines = [head, *rows]
    if any(len(cells) != len(head) for cells in lines):
        raise ValueError(f"rows have {[len(cells) for cells in lines]} cells, expected {len(head)}")
    escaped = ([cell.replace("|", "\\|") for cell in cells] for cells in lines)
    first, *others = [f"| {' | '.join(cells)} |" for cells in escaped]
    return [first, f"|{'---|' * len(head)}", *others]


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
