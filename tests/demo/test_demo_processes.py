"""Tests of how the demo starts, follows and ends its processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.demo import processes as demo_processes
from terrain_seg_ros.demo.processes import (
    DOMAINS,
    follow,
    free_domain,
    started,
)

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(60)"
)


def python(code):
    return [sys.executable, "-c", code]


def lines_of(child, others=(), limit_s=30.0):
    lines = []
    follow(child, others, limit_s=limit_s, show=lines.append)
    return lines


def test_lines_are_shown_and_messages_go_to_the_log(tmp_path):
    code = "import sys; print('one'); print('two'); print('aside', file=sys.stderr)"
    with started("player", python(code), folder=tmp_path) as child:
        assert lines_of(child) == ["one", "two"]
    assert (tmp_path / "player.log").read_text() == "aside\n"


def test_a_failure_tells_name_code_last_words_and_log(tmp_path):
    code = "import sys; sys.exit('first\\nterrain-seg: error: no such model')"
    with (
        started("node", python(code), folder=tmp_path) as child,
        pytest.raises(InferenceError) as caught,
    ):
        lines_of(child)
    log = tmp_path / "node.log"
    assert str(caught.value) == f"the node failed with code 1: no such model ({log})"


def test_a_silent_death_is_told_too(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with (
        started("node", python(code), folder=tmp_path) as child,
        pytest.raises(InferenceError, match="by signal 9: it said nothing"),
    ):
        lines_of(child)


def test_a_companion_that_dies_ends_the_following_of_a_silent_process(tmp_path):
    with (
        started("player", python(SLEEP), folder=tmp_path) as playing,
        started("recorder", python("raise SystemExit('disk full')"), folder=tmp_path) as other,
        pytest.raises(InferenceError, match=r"the recorder ended early with code 1: disk full"),
    ):
        lines_of(playing, [other])
    assert playing.process.returncode == -signal.SIGTERM


def test_a_process_that_takes_too_long_is_stopped(tmp_path):
    with (
        started("player", python(SLEEP), folder=tmp_path) as child,
        pytest.raises(InferenceError, match="the player took more than 0 s"),
    ):
        lines_of(child, limit_s=0.05)
    assert child.process.returncode == -signal.SIGTERM


def test_interrupt_ends_it_as_ctrl_c_does(tmp_path):
    code = (
        "import time\ntry:\n print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: 0"
    )
    with started("node", python(code), folder=tmp_path) as child:
        assert child.process.stdout.readline() == "up\n"
        child.interrupt()
        assert child.process.returncode == 0


def test_interrupting_what_does_not_listen_is_an_error_and_it_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_processes, "END_LIMIT_S", 0.2)
    code = STUBBORN.replace("SIGTERM", "SIGINT") + "\n"
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {code}"
    with started("recorder", python(code), folder=tmp_path) as child:
        child.process.stdout.readline()
        with pytest.raises(InferenceError, match="the recorder did not end within"):
            child.interrupt()
    assert child.process.returncode == -signal.SIGKILL


def test_it_is_stopped_whatever_happens_inside(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        started("node", python(SLEEP), folder=tmp_path) as child,
    ):
        raise KeyboardInterrupt
    assert child.process.returncode == -signal.SIGTERM


def test_it_gets_no_ctrl_c_of_the_terminal_and_no_dds_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("CYCLONEDDS_URI", "<broken>")
    code = "import os; print(os.getsid(0)); print(os.environ.get('CYCLONEDDS_URI'))"
    with started("node", python(code), folder=tmp_path) as child:
        session, setting = lines_of(child)
    assert int(session) == child.process.pid != os.getsid(0)
    assert setting == "None"


ENDED = """
import os, signal, sys, time
from terrain_seg_ros.demo.processes import ending_signals_interrupt

number = int(sys.argv[1])
before = signal.getsignal(number)
try:
    with ending_signals_interrupt():
        os.kill(os.getpid(), number)
        time.sleep(5.0)
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(number) is before)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ending_signals_interrupt_and_are_put_back(number):
    words = [sys.executable, "-c", ENDED, str(int(number))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "interrupted True\n", done.stderr


def test_a_domain_in_use_is_not_free(monkeypatch):
    monkeypatch.setattr(demo_processes, "DOMAINS", range(DOMAINS.start, DOMAINS.start + 2))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 7400 + 250 * DOMAINS.start + 10))
        assert {free_domain() for _ in range(10)} == {DOMAINS.start + 1}
        monkeypatch.setattr(demo_processes, "DOMAINS", range(DOMAINS.start, DOMAINS.start + 1))
        with pytest.raises(ConfigError, match="are all taken; give --domain"):
            free_domain()


def test_a_participant_takes_its_domain():
    domain = free_domain()
    member = Participant(domain, Discovery.HOST)
    assert not demo_processes._is_free(domain)
    member.close()
