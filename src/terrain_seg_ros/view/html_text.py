"""HTML of texts that come from messages: always escaped, never too long.

Markdown is not used anywhere: viser evaluates it as a program (MDX).
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from terrain_seg_ros.report.pictures import Legend

TEXT_LIMIT = 400
ROWS_LIMIT = 80
_SMALL = "font-size:12px;line-height:1.35"


def safe(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text for HTML: cut off, escaped, what cannot be printed replaced by a dot."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"
    shown = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in cut)
    return html.escape(shown, quote=True)


def note(text: str, *, color: str = "inherit", bold: bool = False) -> str:
    """Return a paragraph."""
    weight = ";font-weight:600" if bold else ""
    return f'<div style="{_SMALL};padding:2px 12px;color:{color}{weight}">{safe(text)}</div>'


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of a name and a text as a table."""
    cells = "".join(
        f'<tr><td style="padding:1px 8px 1px 0;opacity:.65;vertical-align:top;white-space:nowrap;'
        f'max-width:150px;overflow:hidden;text-overflow:ellipsis">{safe(name, 80)}</td>'
        f'<td style="padding:1px 0;overflow-wrap:anywhere">{safe(text)}</td></tr>'
        for name, text in list(rows)[:ROWS_LIMIT]
    )
    whole = f'<table style="{_SMALL};border-spacing:0">{cells}</table>'
    return f'<div style="padding:0 12px">{whole}</div>'


def legend(entries: Legend) -> str:
    """Return swatches with their labels."""
    items = "".join(
        f'<span style="display:inline-block;margin-right:12px;white-space:nowrap">'
        f'<span style="display:inline-block;width:11px;height:11px;margin-right:5px;'
        f"vertical-align:-1px;border:1px solid rgba(128,128,128,.6);"
        f'background:rgb({red},{green},{blue})"></span>{safe(label, 60)}</span>'
        for label, (red, green, blue) in entries[:ROWS_LIMIT]
    )
    return f'<div style="{_SMALL};padding:2px 12px">{items}</div>'
