"""The web server of the page: on one address, one port, for pages of its own only."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from terrain_seg_ros.core.errors import ConfigError

try:
    import viser
    from viser import _messages
except ImportError as error:
    raise ConfigError(
        f"viser cannot be imported ({error}); install it with `pip install 'viser>=1.1,<1.2'` or, "
        "in a checkout, `.venv/bin/pip install -c constraints.txt -e '.[view]'`"
    ) from error

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TITLE = "terrain-seg"
_BRAND_RGB = (196, 120, 66)


def open_server(host: str, port: int) -> Any:
    """Return a running server of viser that shows an empty page.

    viser would take the next port where this one is in use, accept pages of any web site as
    clients, and offer to publish the page through a server of its makers; all three are off.

    Raises:
        ConfigError: the address or port cannot be used.
    """
    _check_port(host, port)
    # It would print a traceback for each connection that is not a browser's.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    with _silent():
        server = viser.ViserServer(host=host, port=port, verbose=False)
    if port not in {0, server.get_port()}:
        with _silent():
            server.stop()
        raise ConfigError(f"port {port} was taken meanwhile; try again, or give another --port")
    _refuse_other_sites(server, host)
    for kind in (_messages.ShareUrlRequest, _messages.ShareUrlDisconnect):
        server._websock_server.unregister_handler(kind)
    server.gui.configure_theme(
        dark_mode=True, show_logo=False, show_share_button=False, brand_color=_BRAND_RGB
    )
    server.gui.set_panel_label(_TITLE)
    return server


def stop_server(server: Any) -> None:
    """Close all connections and the port."""
    with _silent():
        server.stop()


def page_address(host: str, port: int) -> str:
    """Return the address to open in a browser."""
    shown = "localhost" if host in LOOPBACK else host
    if host in {"0.0.0.0", "::"}:  # noqa: S104  (compared, not bound)
        shown = socket.gethostname()
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"


def is_own_origin(origin: str, host_header: str, host: str) -> bool:
    """Return whether a page may connect: one of this server, not one of some web site.

    On loopback any port is accepted, as of a tunnel; a program that is no browser sends no origin.

    Args:
        origin: header of the request, empty without one.
        host_header: likewise.
        host: the address that the server listens on.
    """
    if not origin:
        return True
    name = urlsplit(origin).hostname or ""
    if host in LOOPBACK:
        return name in LOOPBACK
    return name == (urlsplit(f"//{host_header}").hostname or "")


def _check_port(host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"port {port} on {host} cannot be used: {reason}; give another --port (0 takes a free "
            "one) or end the program that has it"
        ) from error


def _refuse_other_sites(server: Any, host: str) -> None:
    infra = server._websock_server

    async def check(client: Any) -> None:
        connection = infra._live_connections[client.client_id]
        headers = connection.request.headers
        if not is_own_origin(headers.get("Origin", ""), headers.get("Host", ""), host):
            await connection.close(1008, "this page belongs to another site")

    infra.on_client_connect(check)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep viser's own banners off the terminal; what it raises is reported by others."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
