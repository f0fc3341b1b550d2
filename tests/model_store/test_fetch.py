"""Fetching against a real server that breaks off, lies, redirects and changes its files."""

from __future__ import annotations

import fcntl
import functools
import gzip
import hashlib
import io
import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from support.file_server import serve
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store import fetch as fetch_module
from terrain_seg_ros.model_store.fetch import FetchRules, fetch
from terrain_seg_ros.model_store.fetch_address import proxy_hint

DATA = np.random.default_rng(5).bytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
BLOCK = fetch_module.READ_BYTES
CUT = 23 * BLOCK
"""About half of DATA, after a whole number of reads."""
RULES = FetchRules(max_bytes=10**8, by_hand="Put it by hand into X.", sha256=SHA256)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr(fetch_module, "WAITS_S", (0.0, 0.0))


@pytest.fixture
def files():
    with serve() as running:
        yield running


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "data" / "set.zip"


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def break_off(files, target, *, after=CUT, etag='"v1"', **rest) -> str:
    """Leave the first part of DATA behind, as a process that was ended would."""
    cuts = [after, *([0] * len(fetch_module.WAITS_S)), 0]
    url = files.add("/set.zip", DATA, breaks_after=cuts, etag=etag, **rest)
    with pytest.raises(ConfigError, match="run the same command again to resume"):
        fetch(url, target, rules=RULES)
    files.requests.clear()
    return url


def test_a_file_comes_whole_and_alone(files, target):
    fetch(files.add("/a", DATA), target, rules=RULES)
    assert target.read_bytes() == DATA
    assert left(target) == ["set.zip"]


def test_a_connection_that_breaks_is_taken_up_again(files, target):
    url = files.add("/a", DATA, breaks_after=[16 * BLOCK, 18 * BLOCK + 1])
    fetch(url, target, rules=RULES)
    assert target.read_bytes() == DATA
    assert [request.get("Range") for request in files.requests] == [
        None,
        f"bytes={16 * BLOCK}-",
        f"bytes={34 * BLOCK}-",
    ]
    assert {request.get("If-Range") for request in files.requests[1:]} == {'"v1"'}


def test_the_next_call_goes_on_where_the_last_stopped(files, target):
    url = break_off(files, target)
    assert left(target) == ["set.zip.part", "set.zip.part.json"]
    assert (target.parent / "set.zip.part").read_bytes() == DATA[:CUT]
    fetch(url, target, rules=RULES)
    assert [request["Range"] for request in files.requests] == [f"bytes={CUT}-"]
    assert target.read_bytes() == DATA
    assert left(target) == ["set.zip"]


def progress_of(files, target, monkeypatch, *, terminal: bool, progress: bool = True) -> str:
    screen = io.StringIO()
    screen.isatty = lambda: terminal
    monkeypatch.setattr(fetch_module, "tqdm", functools.partial(tqdm, file=screen, mininterval=0))
    fetch(files.add("/set.zip", DATA), target, rules=RULES, progress=progress)
    return screen.getvalue()


def test_progress_is_a_bar_on_a_terminal(files, target, monkeypatch):
    said = progress_of(files, target, monkeypatch, terminal=True)
    assert "1.51M/3.00M" in said
    assert "3.00M/3.00M" in said


def test_progress_counts_what_an_earlier_call_left(files, target, monkeypatch):
    break_off(files, target)
    said = progress_of(files, target, monkeypatch, terminal=True)
    assert "1.51M/3.00M" in said
    assert "1.44M/" not in said


@pytest.mark.parametrize(("terminal", "progress"), [(False, True), (True, False)])
def test_a_log_and_a_quiet_caller_get_no_bar(files, target, monkeypatch, terminal, progress):
    assert progress_of(files, target, monkeypatch, terminal=terminal, progress=progress) == ""


def test_a_connection_may_break_often_while_it_brings_something(files, target):
    files.add("/a", DATA, breaks_after=[1_100_000, 0, 0, 1_100_000, 0, 0])
    fetch(f"{files.url}/a", target, rules=RULES)
    assert target.read_bytes() == DATA


def test_a_file_that_changed_meanwhile_is_fetched_anew(files, target):
    url = break_off(files, target)
    newer = DATA[::-1]
    files.add("/set.zip", newer, etag='"v2"')
    rules = FetchRules(RULES.max_bytes, RULES.by_hand, hashlib.sha256(newer).hexdigest())
    fetch(url, target, rules=rules)
    assert target.read_bytes() == newer


def test_a_server_that_ignores_the_version_is_not_believed(files, target, monkeypatch):
    url = break_off(files, target)
    newer = DATA[::-1]
    served = files.served["/set.zip"]
    served.data, served.etag, served.breaks_after = newer, '"v2"', []
    monkeypatch.setattr("support.file_server.wanted_start", rangy_start)
    rules = FetchRules(RULES.max_bytes, RULES.by_hand, hashlib.sha256(newer).hexdigest())
    fetch(url, target, rules=rules)
    assert target.read_bytes() == newer
    assert [request.get("Range") for request in files.requests] == [f"bytes={CUT}-", None]


def rangy_start(request, served):
    asked = request.headers.get("Range")
    return None if asked is None else int(asked.removeprefix("bytes=").removesuffix("-"))


def test_a_file_that_shrank_meanwhile_is_fetched_anew(files, target, monkeypatch):
    url = break_off(files, target)
    short = DATA[:1000]
    served = files.served["/set.zip"]
    served.data, served.breaks_after = short, []
    monkeypatch.setattr("support.file_server.wanted_start", rangy_start)
    rules = FetchRules(RULES.max_bytes, RULES.by_hand, hashlib.sha256(short).hexdigest())
    fetch(url, target, rules=rules)
    assert target.read_bytes() == short


def test_a_date_tells_versions_apart_where_no_strong_etag_does(files, target):
    date = "Wed, 01 Jan 2025 00:00:00 GMT"
    url = break_off(files, target, etag='W/"weak"', modified=date)
    fetch(url, target, rules=RULES)
    assert [request["If-Range"] for request in files.requests] == [date]
    assert target.read_bytes() == DATA


def test_without_a_version_it_starts_again(files, target):
    url = break_off(files, target, etag=None)
    fetch(url, target, rules=RULES)
    assert [request.get("Range") for request in files.requests] == [None]
    assert target.read_bytes() == DATA


def test_a_server_without_ranges_gives_all_again(files, target):
    url = break_off(files, target)
    files.add("/set.zip", DATA, ranges=False)
    fetch(url, target, rules=RULES)
    assert target.read_bytes() == DATA


def test_what_is_whole_is_not_asked_for_again(files, target):
    target.parent.mkdir()
    url = files.add("/a", DATA)
    part = target.with_name("set.zip.part")
    part.write_bytes(DATA)
    note = {"url": url, "validator": '"v1"', "size_bytes": len(DATA)}
    part.with_name("set.zip.part.json").write_text(json.dumps(note))
    fetch(url, target, rules=RULES)
    assert files.requests == []
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("note", ["", "[]", "{}", "[" * 70_000, '{"url": 3, "validator": "v"}'])
def test_a_note_that_is_none_starts_again(files, target, note):
    target.parent.mkdir()
    target.with_name("set.zip.part").write_bytes(b"something else")
    target.with_name("set.zip.part.json").write_text(note)
    fetch(files.add("/a", DATA), target, rules=RULES)
    assert target.read_bytes() == DATA


def test_another_address_starts_again(files, target):
    break_off(files, target)
    fetch(files.add("/other", DATA), target, rules=RULES)
    assert files.requests[0].get("Range") is None
    assert target.read_bytes() == DATA


def test_a_length_that_is_not_told_will_do(files, target):
    fetch(files.add("/a", DATA, length=False), target, rules=RULES)
    assert target.read_bytes() == DATA


def test_wrong_bytes_are_refused_and_dropped(files, target):
    url = files.add("/a", DATA[:-1] + b"!")
    with pytest.raises(ConfigError, match=rf"sha256 is [0-9a-f]{{64}}, expected {SHA256}"):
        fetch(url, target, rules=RULES)
    assert left(target) == []
    files.add("/a", DATA)
    fetch(url, target, rules=RULES)
    assert target.read_bytes() == DATA


def test_without_a_hash_any_bytes_are_taken(files, target):
    fetch(files.add("/a", b"x"), target, rules=FetchRules(max_bytes=10, by_hand=""))
    assert target.read_bytes() == b"x"


def test_an_upper_case_hash_is_the_same(files, target):
    rules = FetchRules(RULES.max_bytes, "", SHA256.upper())
    fetch(files.add("/a", DATA), target, rules=rules)
    assert target.exists()


@pytest.mark.parametrize("hash_", ["", "abc", SHA256 + "0", "g" * 64])
def test_a_hash_that_is_none_is_refused(hash_):
    with pytest.raises(ConfigError, match="64 hexadecimal"):
        FetchRules(max_bytes=1, by_hand="", sha256=hash_)


@pytest.mark.parametrize("length", [True, False])
def test_a_file_beyond_the_limit_is_refused(files, target, length):
    url = files.add("/a", DATA, length=length)
    with pytest.raises(ConfigError, match="more than the limit of 2000000"):
        fetch(url, target, rules=FetchRules(2_000_000, "", SHA256))
    assert left(target) == []


def test_a_full_disk_is_said_before(files, target, monkeypatch):
    monkeypatch.setattr(
        fetch_module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})
    )
    with pytest.raises(ConfigError, match="has 1000 free; make room"):
        fetch(files.add("/a", DATA), target, rules=RULES)


def test_nothing_is_overwritten(files, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists already"):
        fetch(files.add("/a", DATA), target, rules=RULES)
    assert target.read_bytes() == b"mine"
    assert files.requests == []


def test_two_at_once_are_refused(files, target):
    target.parent.mkdir()
    with target.with_name("set.zip.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="being fetched by another process"):
            fetch(files.add("/a", DATA), target, rules=RULES)


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_server_that_refuses_is_quoted(files, target, status):
    url = files.add("/a", status=status)
    with pytest.raises(ConfigError) as refusal:
        fetch(url, target, rules=RULES)
    text = str(refusal.value)
    assert url in text
    assert f"answers {status}" in text
    assert text.endswith(RULES.by_hand)
    assert left(target) == []


def test_out_of_reach_says_what_was_tried_and_what_to_do(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/set.zip"
        with pytest.raises(ConfigError) as refusal:
            fetch(url, target, rules=RULES)
    text = str(refusal.value)
    assert text.startswith(f"{url}: cannot be reached")
    assert "tried a GET request to 127.0.0.1" in text
    assert "Connection refused" in text
    assert text.endswith(RULES.by_hand)
    assert "\n" not in text
    assert left(target) == []


def test_no_answer_in_the_protocol_is_out_of_reach(target):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def speak() -> None:
            with server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(b"nonsense\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(ConfigError, match="cannot be reached"):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", target, rules=RULES)
        thread.join()


def test_a_redirect_on_this_machine_is_followed(files, target):
    files.add("/real", DATA)
    fetch(files.add("/a", status=302, location="/real"), target, rules=RULES)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("http://example.org/set.zip", "plain http can be read"),
        ("http://127.0.0.1.example.org/", "plain http can be read"),
        ("file:///etc/passwd", "not a valid web address"),
        ("ftp://example.org/set.zip", "not a valid web address"),
        ("https://name:secret@example.org/", "contains a user name or password"),
    ],
)
def test_a_redirect_elsewhere_is_refused(files, target, location, text):
    url = files.add("/a", status=302, location=location)
    with pytest.raises(ConfigError, match=text) as refusal:
        fetch(url, target, rules=RULES)
    assert "secret" not in str(refusal.value)
    assert len(files.requests) == 1


def test_a_download_behind_a_redirect_resumes(files, target):
    cuts = [CUT, *([0] * len(fetch_module.WAITS_S)), 0]
    files.add("/real", DATA, breaks_after=cuts)
    url = files.add("/a", status=302, location="/real")
    with pytest.raises(ConfigError, match="to resume"):
        fetch(url, target, rules=RULES)
    files.requests.clear()
    fetch(url, target, rules=RULES)
    assert files.requests[-1]["Range"] == f"bytes={CUT}-"
    assert target.read_bytes() == DATA


def test_redirects_in_a_circle_end(files, target):
    url = files.add("/a", status=302, location="/a")
    with pytest.raises(ConfigError, match="redirects more than 20 times"):
        fetch(url, target, rules=RULES)


def test_nothing_for_this_machine_goes_through_a_proxy(files, target, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    fetch(files.add("/a", DATA), target, rules=RULES)
    assert proxy_hint(f"{files.url}/a") == ""
    assert proxy_hint("http://example.org/") == " through the proxy of http_proxy"


def test_a_password_of_the_user_is_not_sent(files, target, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    files.add("/real", DATA)
    fetch(files.add("/a", status=302, location="/real"), target, rules=RULES)
    assert [request.get("Authorization") for request in files.requests] == [None, None]


def test_a_file_labelled_as_encoded_is_stored_as_published(files, target):
    data = gzip.compress(DATA[:1000])
    rules = FetchRules(RULES.max_bytes, "", hashlib.sha256(data).hexdigest())
    fetch(files.add("/set.tar.gz", data, encoding="gzip"), target, rules=rules)
    assert target.read_bytes() == data
