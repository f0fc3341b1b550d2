"""The addresses that may be fetched: https, or http from this machine or where it is allowed."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit

from terrain_seg_ros.core.errors import ConfigError


def check_address(url: str, *, allow_http: bool) -> None:
    """Check an address before a request is sent to it.

    Raises:
        ConfigError: it is not a web address, carries a password, or is plain http to another host.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r} is not a valid web address ({error}); check it") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in {"https", "http"} or not host or not plain:
        raise ConfigError(f"{url!r} is not a valid web address, expected https://...")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"the address at {host} contains a user name or password; remove them from the address"
        )
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigError(
            f"{url}: plain http can be read and changed in transit; use https, or --allow-http "
            "with --sha256"
        )


def check_redirect(source: str, target: str, *, allow_http: bool) -> None:
    """Check the target of a redirect by the same rules; https never leads back to http.

    Raises:
        ConfigError: the target may not be fetched.
    """
    check_address(target, allow_http=allow_http)
    if source.startswith("https:") and not target.startswith("https:") and not allow_http:
        raise ConfigError(f"{source}: redirects to {target}, which is not encrypted; use https")


def is_loopback(host: str) -> bool:
    """Return whether a host name refers to this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_hint(url: str) -> str:
    """Return which proxy a request would use, for error messages; never the proxy's password."""
    parts = urlsplit(url)
    known = urllib.request.getproxies()
    if parts.scheme not in known or is_loopback(parts.hostname or ""):
        return ""
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return f" through the proxy of {parts.scheme}_proxy"
