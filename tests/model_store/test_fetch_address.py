"""Addresses that may be fetched."""

from __future__ import annotations

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.fetch_address import check_address, check_redirect, is_loopback


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
    with pytest.raises(ConfigError, match="not encrypted"):
        check_redirect("https://example.org/a", "http://127.0.0.1/a", allow_http=False)
    check_redirect("https://example.org/a", "https://example.com/a", allow_http=False)
