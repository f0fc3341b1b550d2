from __future__ import annotations

import os
from pathlib import Path

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import (
    check_output_file,
    check_output_folder,
    has_own_file,
    holds_json,
    write_whole,
)

OWN = has_own_file("own.json", holds_json("own"))


def test_a_folder_that_is_absent_empty_or_own_is_taken(tmp_path):
    check_output_folder(tmp_path / "new" / "deep", option="--out", is_own=OWN)
    check_output_folder(tmp_path, option="--out", is_own=OWN)
    (tmp_path / "own.json").write_text('{"own": 1}')
    (tmp_path / "note.txt").write_text("kept")
    check_output_folder(tmp_path, option="--out", is_own=OWN)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", ['{"other": 1}', "[1]", "no json", "", "[" * 100_000])
def test_a_folder_of_something_else_is_named(tmp_path, content):
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(ConfigError, match=r"--out '.*' contains 'own.json'.*new or empty"):
        check_output_folder(tmp_path, option="--out", is_own=OWN)


def test_a_file_in_the_way_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ConfigError, match="is not a folder"):
        check_output_folder(file, option="--out", is_own=OWN)
    with pytest.raises(ConfigError, match="is not a folder"):
        check_output_folder(file / "below", option="--out", is_own=OWN)
    with pytest.raises(ConfigError, match="is a folder"):
        check_output_file(tmp_path, option="--json", is_own=holds_json("own"))
    with pytest.raises(ConfigError, match="create it"):
        check_output_file(tmp_path / "none" / "x", option="--json", is_own=holds_json("own"))


@pytest.mark.parametrize("data", [b"# My notes\n", b"{}", b"\xff\xfe", b'{"other": 1}'])
def test_a_file_of_something_else_is_not_overwritten(tmp_path, data):
    path = tmp_path / "README.md"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"README\.md' exists and was not written"):
        check_output_file(path, option="--json", is_own=holds_json("own"))


def test_an_earlier_result_and_a_device_are_taken(tmp_path):
    path = tmp_path / "a.json"
    check_output_file(path, option="--json", is_own=holds_json("own"))
    path.write_text('{"own": 0, "more": 1}')
    check_output_file(path, option="--json", is_own=holds_json("own"))
    device = type(path)(os.devnull)
    check_output_file(device, option="--json", is_own=holds_json("own"))
    write_whole(device, "x")
    assert not device.is_file()


def test_a_place_that_takes_no_files_is_refused_whatever_its_permissions():
    for place in (Path("/proc/x"), Path("/proc/x/deep")):
        with pytest.raises(ConfigError, match=r"--out '/proc/x.*'/proc' cannot be written"):
            check_output_folder(place, option="--out", is_own=OWN)
    with pytest.raises(ConfigError, match=r"--json '/proc/x'.*'/proc' cannot be written"):
        check_output_file(Path("/proc/x"), option="--json", is_own=holds_json("own"))
    with pytest.raises(ConfigError, match=r"--json '/dev/full' cannot be written \(No space"):
        check_output_file(Path("/dev/full"), option="--json", is_own=holds_json("own"))


def test_what_is_there_stays_until_the_new_file_is_whole(tmp_path):
    path, link = tmp_path / "a.json", tmp_path / "link.json"
    path.write_text("old")
    link.symlink_to(path)
    write_whole(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text() == "new"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.json", "link.json"]
