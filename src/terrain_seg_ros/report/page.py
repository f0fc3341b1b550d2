"""A self-contained HTML page without scripts or external resources."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import cv2

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8

Rgb = tuple[int, int, int]
_NUMBER = re.compile(r"-?[\d.,]*( ?%)?")
"""A column of a table that holds anything else is text, which is aligned to the left."""
GENERATOR = '<meta name="generator" content="terrain_seg_ros">'
"""Identifies a page of this package, near its beginning."""


@dataclass(frozen=True)
class Row:
    """Pictures shown side by side, by title: (H, W, 3) RGB or (H, W) grey.

    `columns` of them fill the width of the page.
    """

    caption: str
    pictures: Mapping[str, U8]
    columns: int = 5


@dataclass(frozen=True)
class Section:
    """Rows of pictures under a heading."""

    title: str
    text: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Page:
    """The content of a page.

    `facts` are short figures at the top; `legends` are named lists of label and colour; `tables`
    are titles with a head and rows; `notes` are caveats for the reader; `style` is CSS appended to
    the page's own; the browser loads the page again after `refresh_s` seconds, if given.
    """

    title: str
    lead: str
    facts: Mapping[str, str]
    legends: Mapping[str, Sequence[tuple[str, Rgb]]]
    tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]]
    notes: Sequence[str]
    sections: Sequence[Section]
    style: str = ""
    refresh_s: int | None = None


def render_page(page: Page) -> str:
    """Return the page as HTML text with all pictures embedded.

    Raises:
        ConfigError: a picture cannot be encoded.
    """
    style = resources.files("terrain_seg_ros.report").joinpath("page.css").read_text("utf-8")
    body = [
        f"<header><h1>{_text(page.title)}</h1><p>{_text(page.lead)}</p>{_facts(page.facts)}</header>",
        "<main>",
        *(_legend(title, entries) for title, entries in page.legends.items()),
        *(_section(section) for section in page.sections),
        *(_table(title, head, rows) for title, (head, rows) in page.tables.items()),
        _notes(page.notes),
        "</main>",
    ]
    refresh = ""
    if page.refresh_s is not None:
        refresh = f'<meta http-equiv="refresh" content="{page.refresh_s:d}">'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"{GENERATOR}{refresh}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(page.title)}</title><style>{style}{page.style}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _facts(facts: Mapping[str, str]) -> str:
    items = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items()
    )
    return f'<dl class="facts">{items}</dl>'


def _legend(title: str, entries: Sequence[tuple[str, Rgb]]) -> str:
    items = "".join(
        f'<li><span style="background:rgb({r},{g},{b})"></span>{_text(name)}</li>'
        for name, (r, g, b) in entries
    )
    return f'<div class="legend"><h3>{_text(title)}</h3><ul>{items}</ul></div>'


def _section(section: Section) -> str:
    rows = "".join(_row(row) for row in section.rows)
    return f"<section><h2>{_text(section.title)}</h2><p>{_text(section.text)}</p>{rows}</section>"


def _row(row: Row) -> str:
    figures = "".join(
        f"<figure>{_picture(name, pixels)}<figcaption>{_text(name)}</figcaption></figure>"
        for name, pixels in row.pictures.items()
    )
    return (
        f'<div class="row" style="--columns:{row.columns:d}">'
        f'<p class="caption">{_text(row.caption)}</p>{figures}</div>'
    )


def _picture(name: str, pixels: U8) -> str:
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, 86])
    if not done:
        raise ConfigError(f"picture {name!r} of shape {pixels.shape} cannot be encoded")
    coded = base64.b64encode(data.tobytes()).decode("ascii")
    return f'<img alt="{_text(name)}" loading="lazy" src="data:image/jpeg;base64,{coded}">'


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    words = [not all(_NUMBER.fullmatch(row[i]) for row in rows) for i in range(len(head))]
    top = "".join(_cell("th", cell, is_text=text) for cell, text in zip(head, words))
    body = "".join(
        f"<tr>{''.join(_cell('td', cell, is_text=text) for cell, text in zip(row, words))}</tr>"
        for row in rows
    )
    return (
        f"<section><h2>{_text(title)}</h2><table><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table></section>"
    )


def _cell(tag: str, text: str, *, is_text: bool) -> str:
    kind = ' class="text"' if is_text else ""
    return f"<{tag}{kind}>{_text(text)}</{tag}>"


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return f'<section class="notes"><h2>Notes and limits</h2><ul>{items}</ul></section>'
