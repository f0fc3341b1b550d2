"""Tests of the HTML page: sound, self-contained, and safe with any text."""

import numpy as np
import pytest

from support.pages import Reading, decoded
from terrain_seg_ros.report.page import Page, Row, Section, render_page

RED = np.full((8, 12, 3), (255, 0, 0), dtype=np.uint8)
GREY = np.full((6, 6), 90, dtype=np.uint8)
HOSTILE = "<script>alert('x')</script> & \"quoted\""


def page(**changes):
    parts = {
        "title": "Title",
        "lead": "Lead",
        "facts": {"model": "mars_navcam"},
        "legends": {"terrain": [("soil", (10, 20, 30))]},
        "tables": {"Latency": (["stage", "p50"], [["total", "1.25"]])},
        "notes": ["Mind this."],
        "sections": [Section("Scene", "Text", [Row("caption", {"image": GREY, "overlay": RED})])],
    }
    return Page(**{**parts, **changes})


def test_everything_is_on_the_page():
    reading = Reading(render_page(page()))
    for text in ("Title", "Lead", "mars_navcam", "soil", "total", "1.25", "Mind this.", "caption"):
        assert text in reading.texts
    assert ("style", "background:rgb(10,20,30)") in reading.attributes
    assert reading.tags.count("tr") == 2


def test_pictures_are_inside_in_order_and_in_true_colours():
    reading = Reading(render_page(page()))
    assert [image["alt"] for image in reading.images] == ["image", "overlay"]
    grey, red = map(decoded, reading.images)
    assert grey.shape == (6, 6, 3)
    np.testing.assert_allclose(grey, 90, atol=2)
    assert red.shape == (8, 12, 3)
    np.testing.assert_allclose(red, RED, atol=6)


def test_nothing_is_loaded_from_elsewhere():
    reading = Reading(render_page(page()))
    assert not {"script", "link", "iframe"} & set(reading.tags)
    links = [value for name, value in reading.attributes if name in {"src", "href"}]
    assert all(value.startswith("data:") for value in links)
    assert "url(" not in "".join(reading.texts), "the style sheet loads nothing"


@pytest.mark.parametrize(
    "changes",
    [
        {"title": HOSTILE},
        {"lead": HOSTILE},
        {"facts": {HOSTILE: HOSTILE}},
        {"legends": {HOSTILE: [(HOSTILE, (1, 2, 3))]}},
        {"tables": {HOSTILE: ([HOSTILE], [[HOSTILE]])}},
        {"notes": [HOSTILE]},
        {"sections": [Section(HOSTILE, HOSTILE, [Row(HOSTILE, {HOSTILE: GREY})])]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_text_stays_text(changes):
    reading = Reading(render_page(page(**changes)))
    assert "script" not in reading.tags
    assert not any(name.startswith("on") for name, _ in reading.attributes)
    said = "".join(reading.texts)
    assert said.count(HOSTILE) >= 1
    for image in reading.images:
        assert set(image) == {"alt", "loading", "src"}
        assert image["alt"] in {"image", "overlay", HOSTILE}


def test_a_row_says_how_many_pictures_fill_the_page():
    row = Row("caption", {"map": RED}, columns=2)
    reading = Reading(render_page(page(sections=[Section("Scene", "Text", [row])])))
    assert ("style", "--columns:2") in reading.attributes


def test_columns_of_text_are_aligned_to_the_left_and_numbers_to_the_right():
    table = (["what", "count", "share"], [["refused", "3", "1.5%"], ["dropped", "-", "98 %"]])
    reading = Reading(render_page(page(tables={"Refused": table})))
    assert reading.attributes.count(("class", "text")) == 3, "head and both cells of one column"
