"""Tests of reading files that may be anything."""

import os
import socket
import threading
from pathlib import Path

import pytest

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.files.regular_file import (
    check_regular_file,
    open_regular_file,
    read_regular_file,
)


def test_a_file_is_read_whole_up_to_its_limit(tmp_path):
    path = tmp_path / "file"
    for data in (b"", b"a", bytes(range(256)) * 8192):
        path.write_bytes(data)
        assert read_regular_file(path, len(data)) == data
        assert read_regular_file(path, 2**40) == data


def test_one_byte_beyond_the_limit_is_refused_with_the_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with pytest.raises(ConfigError, match="has 5 bytes, the limit is 4"):
        read_regular_file(path, 4)
    with pytest.raises(ConfigError, match="the limit is 4"):
        check_regular_file(path, 4)


def test_a_file_that_is_larger_than_it_says_is_refused():
    # The kernel gives such files a size of zero.
    with pytest.raises(ConfigError, match="more than 3 bytes, the limit is 3"):
        read_regular_file(Path("/proc/self/status"), 3)
    assert read_regular_file(Path("/proc/self/status"), 2**20).startswith(b"Name:")


def test_pipes_devices_sockets_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, kind in {
            tmp_path / "pipe": "a named pipe",
            tmp_path / "link": "a named pipe",
            tmp_path / "socket": "a socket",
            tmp_path: "a folder",
            Path("/dev/zero"): "a character device",
        }.items():
            with pytest.raises(ConfigError, match=f"is {kind}, expected a regular file"):
                read_regular_file(path, 100)


def test_a_pipe_put_in_the_file_s_place_is_seen_after_opening(tmp_path, monkeypatch):
    path, regular = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(path)
    regular.write_bytes(b"1")
    monkeypatch.setattr(Path, "stat", lambda self, **_: os.lstat(regular))
    answer = []

    def read():
        with pytest.raises(ConfigError, match="a named pipe"):
            read_regular_file(path, 100)
        answer.append(True)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(60.0)
    assert answer == [True]


def test_what_is_missing_is_named_with_the_caller_s_remedy(tmp_path):
    with pytest.raises(ModelError, match=r"gone: cannot be read \(No such file.*\); look"):
        open_regular_file(tmp_path / "gone", error=ModelError, remedy="look for it")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_regular_file(Path("a\0b"), 100)
