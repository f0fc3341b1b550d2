"""The README says what the code says."""

from __future__ import annotations

import re

import pytest
from render_picture import FRAMES, SIDE_PX, readme_picture
from render_readme import README, REASONS, render

from terrain_seg_ros.cli.main import COMMANDS
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.demo.frames import demo_frames
from terrain_seg_ros.parameters.node_settings import DECLARATION

TEXT = README.read_text(encoding="utf-8")


def test_tables_are_up_to_date():
    assert render(TEXT) == TEXT, "run `make readme`"


def test_a_table_without_its_place_is_refused():
    with pytest.raises(ConfigError, match="topics"):
        render(TEXT.replace("<!-- table: topics -->", ""))


def test_a_changed_table_is_noticed():
    changed = TEXT.replace("`hazard_grid`", "`danger_grid`")
    assert changed != TEXT
    assert render(changed) != changed


def test_every_reason_has_a_meaning():
    assert set(REASONS) == set(Reason)


def test_every_parameter_that_the_reasons_name_exists():
    names = re.findall(r"`(\w+\.\w+)`", " ".join(REASONS.values()))
    assert names
    assert all(DECLARATION.setting(name).name == name for name in names)


def test_local_links_and_pictures_exist():
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXT)
    assert targets
    missing = [target for target in targets if not (README.parent / target).exists()]
    assert missing == []


def test_every_command_line_in_the_text_is_one():
    used = set(re.findall(r"terrain-seg ([a-z]+)", TEXT))
    assert used == set(COMMANDS)


def test_every_make_target_in_the_text_exists():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    used = set(re.findall(r"`make ([a-z-]+)", TEXT)) | set(
        re.findall(r"^make ([a-z-]+)", TEXT, re.MULTILINE)
    )
    assert {"demo", "test"} <= used
    assert used <= targets


def test_the_picture_can_be_drawn_again():
    frame = next(frame for frame in demo_frames() if frame.name == FRAMES[0])
    picture = readme_picture([frame])
    assert picture.shape[0] >= SIDE_PX
    assert picture.shape[1] >= 3 * SIDE_PX
    assert picture.std() > 10
