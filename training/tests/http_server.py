"""A real HTTP server on this machine that serves bytes and may cut the connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = '"v1"'


@dataclass
class Served:
    """Hold what is served under which path, where to cut, and the ranges that were asked for.

    A POST is sent on to a GET of the same path, as Kaggle does it, unless `status` refuses it.
    """

    url: str = ""
    data: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    cuts: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)

    def add(self, path: str, data: bytes) -> str:
        self.data[path] = data
        return f"{self.url}{path}"


@contextmanager
def serve() -> Iterator[Served]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):
                _answer(self, served)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if served.status != 200:
                self.send_error(served.status)
                return
            self.send_response(302)
            self.send_header("Location", f"{served.url}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def _answer(request: BaseHTTPRequestHandler, served: Served) -> None:
    wanted = request.headers.get("Range")
    served.ranges.append(wanted)
    whole = served.data.get(request.path)
    if whole is None:
        request.send_error(404)
        return
    start = 0
    if wanted is not None and request.headers.get("If-Range") == ETAG:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
    else:
        request.send_response(200)
    body = whole[start:]
    request.send_header("ETag", ETAG)
    request.send_header("Accept-Ranges", "bytes")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    cut = served.cuts.pop(0) if served.cuts else len(body)
    request.wfile.write(body[:cut])


def closed_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
