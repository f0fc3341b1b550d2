"""Which addresses may be fetched: https, and http only on this machine unless it is allowed."""

from __future__ import annotations

import ipaddress
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import IO
from urllib.parse import urlsplit

from terrain_seg_ros.core.errors import ConfigError


def check_address(url: str, *, allow_http: bool) -> None:
    """Check an address before anything is sent.

    Raises:
        ConfigError: it is no https address, carries a password, or is plain http to elsewhere.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r} is no web address ({error}); check it") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in {"https", "http"} or not host or not plain:
        raise ConfigError(f"{url!r} is no web address, expected https://...")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"the address at {host} carries a name or password; leave them out")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigError(
            f"{url}: plain http can be read and changed on the way; use https, or --allow-http "
            "with --sha256"
        )


def is_loopback(host: str) -> bool:
    """Return whether a host name means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_opener(url: str, *, allow_http: bool) -> urllib.request.OpenerDirector:
    """Return what opens `url` and follows redirects to addresses that are allowed, too.

    Nothing for this machine goes through a proxy.
    """
    handlers: list[urllib.request.BaseHandler] = [_Redirects(urlsplit(url).scheme, allow_http)]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def proxy_hint(url: str) -> str:
    """Return how a request would go, for messages; no proxy's password is in it."""
    parts = urlsplit(url)
    known = urllib.request.getproxies()
    if parts.scheme not in known or is_loopback(parts.hostname or ""):
        return ""
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return f" through the proxy of {parts.scheme}_proxy"


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, scheme: str, allow_http: bool) -> None:
        self._scheme = scheme
        self._allow_http = allow_http

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse what would not be fetched if it were asked for, and a way back to http."""
        check_address(newurl, allow_http=self._allow_http)
        if self._scheme == "https" and not newurl.startswith("https:") and not self._allow_http:
            raise ConfigError(f"{req.full_url}: redirects to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
