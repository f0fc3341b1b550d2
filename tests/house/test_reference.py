"""README and documentation say what the code says."""

from __future__ import annotations

import re

import pytest
from render_pictures import FRAMES, PICTURES, SIDE_PX, readme_picture
from render_reference import (
    PAGES,
    README,
    REASONS,
    ROOT,
    SERVICES,
    TABLES,
    render,
)

from terrain_seg_ros.cli.main import COMMANDS
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.demo.frames import demo_frames
from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.parameters.node_settings import DECLARATION

DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README_LIMIT_LINES = 200
PACKAGE = ROOT / "src" / "terrain_seg_ros"


def text_of(page):
    return page.read_text(encoding="utf-8")


def name_of(page):
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
every_document = pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)


@every_page
def test_tables_are_up_to_date(page):
    assert render(text_of(page)) == text_of(page), "run `make reference`"


def test_every_table_stands_on_one_page():
    used = re.findall(r"<!-- table: (\w+) -->", "".join(map(text_of, PAGES)))
    assert sorted(used) == sorted(TABLES)


def test_an_unknown_table_and_one_without_an_end_are_refused():
    with pytest.raises(ConfigError, match="rovers"):
        render("<!-- table: rovers -->\n<!-- end of table -->\n")
    with pytest.raises(ConfigError, match="topics"):
        render("<!-- table: topics -->\n")


def test_a_changed_table_is_noticed():
    page = text_of(ROOT / "docs/reference/topics.md")
    changed = page.replace("`hazard_grid`", "`danger_grid`")
    assert changed != page
    assert render(changed) == page


def test_every_topic_and_parameter_is_on_its_page():
    page = text_of(ROOT / "docs/reference/topics.md")
    assert [spec.name for spec in topics() if f"| `{spec.name}` |" not in page] == []
    page = text_of(ROOT / "docs/reference/parameters.md")
    assert [spec.name for spec in DECLARATION.rows if f"| `{spec.name}` |" not in page] == []


def test_every_reason_has_a_meaning():
    assert set(REASONS) == set(Reason)


def test_every_service_has_a_text():
    page = text_of(ROOT / "docs/reference/services.md")
    assert re.findall(r"^\| `(~/\w+)` \|", page, re.MULTILINE) == list(SERVICES)


@every_document
def test_every_parameter_that_is_named_exists(page):
    known = {spec.name for spec in DECLARATION.rows}
    groups = {name.partition(".")[0] for name in known if "." in name}
    named = re.findall(r"`(\w+)\.([\w<>]+|\*)(?:: [^`]*)?`", text_of(page))
    for group, rest in named:
        if group in groups and rest not in {"*", "py"}:
            assert f"{group}.{rest}" in known


@every_document
def test_local_links_and_pictures_exist(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(page))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@every_document
def test_every_file_that_is_named_exists(page):
    pattern = r"`((?:config|docs|docker|launch|src|tests|training|\.ci)/[\w./-]+)`"
    named = [ROOT / name for name in re.findall(pattern, text_of(page))]
    if "contributing" in page.parts:
        layers = "bag|bench|cli|core|dds|inference|messages|parameters|runtime|worlds"
        inner = re.findall(rf"`((?:{layers})/[\w./]+)`", text_of(page))
        assert inner or page.name != "index.md"
        named += [PACKAGE / name for name in inner]
    assert [str(path) for path in named if not path.exists()] == []


def test_every_command_is_published_and_no_other():
    used = set(re.findall(r"terrain-seg ([a-z]+)", "".join(map(text_of, PAGES))))
    assert used == set(COMMANDS)


@every_document
def test_every_make_target_that_is_named_exists(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = text_of(page)
    used = re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    assert set(used) <= targets


def test_the_readme_is_short_and_names_the_two_commands():
    lines = text_of(README).splitlines()
    assert len(lines) <= README_LIMIT_LINES
    assert {"make demo", "make test"} <= set(lines)


def test_the_readme_says_first_how_unsafe_the_network_is():
    """The figures of the status box are those of the score's own page."""
    readme = text_of(README)
    row = re.search(
        r"^\| all \| 20 \| ([\d.]+) \[([\d.]+), ([\d.]+)\] \| \S+ \[.*?\] \| ([\d.]+) ",
        text_of(ROOT / "docs/score/rover_mars_navcam.md"),
        re.MULTILINE,
    )
    share, low, high, rocks = (100 * float(value) for value in row.groups())
    box = readme[readme.index("## Status") : readme.index("## Run it")]
    text = " ".join(box.replace("\n> ", " ").split())
    assert f"**{share:.0f} % [{low:.0f}, {high:.0f}] of the area" in text
    assert f"finds only {rocks:.0f} % of the rocks" in text
    assert readme.index("of the area that") < readme.index("make demo")


def test_every_picture_is_shown_and_every_shown_picture_is_drawn_by_the_script():
    text = "".join(map(text_of, DOCUMENTS))
    script = text_of(ROOT / "tests/house/render_pictures.py")
    for path in PICTURES.iterdir():
        assert f"pictures/{path.name})" in text
        # Those of Gazebo were put together by hand, from the camera and `recorded_world --picture`.
        assert f'write("{path.name}"' in script or path.name.startswith("gazebo_")


def test_the_picture_can_be_drawn_again():
    frame = next(frame for frame in demo_frames() if frame.name == FRAMES[0])
    picture = readme_picture([frame])
    assert picture.shape[0] >= SIDE_PX
    assert picture.shape[1] >= 3 * SIDE_PX
    assert picture.std() > 10
