"""Addresses that may be fetched, and how far a fetch is, as text."""

from __future__ import annotations

from urllib.request import HTTPRedirectHandler, Request

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.fetch_address import check_address, is_loopback, make_opener
from terrain_seg_ros.model_store.fetch_progress import ProgressText


@pytest.mark.parametrize(
    "url",
    [
        "",
        "set.zip",
        "file:///etc/passwd",
        "ftp://example.org/a",
        "https:///a",
        "https://[1",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\n",
        "http://example.org/a",
        "http://10.0.0.1/a",
        "http://localhost.example.org/",
        "https://me:secret@example.org/",
    ],
)
def test_an_address_that_may_not_be_fetched_is_refused(url):
    with pytest.raises(ConfigError) as refusal:
        check_address(url, allow_http=False)
    assert "secret" not in str(refusal.value)


def test_http_elsewhere_may_be_allowed():
    check_address("http://example.org/a", allow_http=True)
    check_address("https://example.org/a", allow_http=False)


def test_what_is_this_machine():
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"))
    assert not any(is_loopback(host) for host in ("localhost.org", "0.0.0.0", "128.0.0.1", ""))


def test_a_redirect_from_https_back_to_http_is_refused():
    request = Request("https://example.org/a")
    opener = make_opener(request.full_url, allow_http=False)
    handler = next(item for item in opener.handlers if isinstance(item, HTTPRedirectHandler))
    with pytest.raises(ConfigError, match="not encrypted"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://127.0.0.1/a")
    onward = handler.redirect_request(request, None, 302, "Found", {}, "https://example.com/a")
    assert onward.full_url == "https://example.com/a"


def test_progress_on_a_terminal_is_one_line():
    said = []
    text = ProgressText(said.append, live=True)
    for done in range(0, 2_000_001, 1000):
        text(done, 2_000_000)
    text.close()
    assert len(said) == 102
    assert said[50].startswith("\r  1.0 of 2.0 MB (50 %)")
    assert said[-1] == "\n"


def test_progress_in_a_log_is_a_few_lines():
    said = []
    text = ProgressText(said.append, live=False)
    for done in range(0, 2_000_001, 1000):
        text(done, 2_000_000)
    text.close()
    assert len(said) == 11
    assert said[-1] == "  2.0 of 2.0 MB (100 %)\n"


def test_progress_without_a_total_counts():
    said = []
    text = ProgressText(said.append, live=True)
    text(5_000_000, None)
    text(5_000_001, None)
    assert said == ["\r  5.0 MB\033[K"]
