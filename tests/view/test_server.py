"""The page's server: one port, and pages of its own only."""

from __future__ import annotations

import socket

import pytest

viser = pytest.importorskip("viser", reason="viser is not installed: pip install '.[view]'")

from terrain_seg_ros.core.errors import ConfigError  # noqa: E402
from terrain_seg_ros.view.page.server import is_own_origin, open_server, stop_server  # noqa: E402


def test_a_port_in_use_is_refused_with_the_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="in use; give another --port"):
            open_server("127.0.0.1", taken.getsockname()[1])


def test_pages_of_other_sites_are_no_clients():
    websocket = pytest.importorskip("websockets.sync.client")
    server = open_server("127.0.0.1", 0)
    try:
        address = f"ws://127.0.0.1:{server.get_port()}/"
        protocol = [f"viser-v{viser.__version__}"]
        other = websocket.connect(address, subprotocols=protocol, origin="http://evil.test")
        with other, pytest.raises(Exception, match="another site"):
            other.recv(timeout=10.0)
        own = f"http://localhost:{server.get_port()}"
        with websocket.connect(address, subprotocols=protocol, origin=own) as page:
            assert page.recv(timeout=10.0)
    finally:
        stop_server(server)


@pytest.mark.parametrize(
    ("origin", "host_header", "host", "own"),
    [
        ("", "", "127.0.0.1", True),
        ("http://localhost:9000", "localhost:9000", "127.0.0.1", True),
        ("http://evil.test:8765", "evil.test:8765", "127.0.0.1", False),
        ("null", "localhost:8765", "127.0.0.1", False),
        ("http://rover:8765", "rover:8765", "0.0.0.0", True),
        ("http://evil.test", "rover:8765", "0.0.0.0", False),
    ],
)
def test_an_origin_is_compared_with_the_address(origin, host_header, host, own):
    assert is_own_origin(origin, host_header, host) is own
