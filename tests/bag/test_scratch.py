"""What a killed run leaves is removed by the next one; what is in use is not."""

import os
import signal
import subprocess
import sys

from support.bags import drive, write_bag
from terrain_seg_ros.bag.scratch import PREFIX, clear_abandoned, scratch_folder
from terrain_seg_ros.bag.writer import BagWriter

HOLDER = """
import sys, time
from pathlib import Path
from terrain_seg_ros.bag.writer import BagWriter
with BagWriter(Path(sys.argv[1]) / "bag"):
    print("open", flush=True)
    time.sleep(600)
"""


def held(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "open\n"
    return process


def end(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_what_a_killed_run_left_is_removed_and_told_by_the_next(tmp_path, caplog):
    end(held(tmp_path))
    (left,) = tmp_path.glob(f"{PREFIX}*")
    with BagWriter(tmp_path / "bag"):
        assert not left.exists()
    assert [str(left) in record.getMessage() for record in caplog.records] == [True]
    assert [item.name for item in tmp_path.iterdir()] == ["bag"]


def test_a_folder_in_use_is_left_alone(tmp_path, caplog):
    process = held(tmp_path)
    try:
        with BagWriter(tmp_path / "other"):
            assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 2
        assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 1
    finally:
        end(process)
    assert not caplog.records


def test_folders_of_others_and_links_are_left_alone(tmp_path):
    (tmp_path / f"{PREFIX}mine").mkdir()
    target = tmp_path / "target"
    write_bag(target, drive(1))
    (target / "in_use").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(target)
    piped = tmp_path / f"{PREFIX}pipe"
    piped.mkdir()
    os.mkfifo(piped / "in_use")
    before = sorted(tmp_path.iterdir())
    assert clear_abandoned(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_left_after_an_error(tmp_path):
    try:
        with scratch_folder(tmp_path) as folder:
            (folder / "part").touch()
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert list(tmp_path.iterdir()) == []
