"""A real HTTP server on this machine that serves bytes, and misbehaves where it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """Hold one address: what it gives, and how it breaks.

    `breaks_after` holds, per request, after how many bytes the connection is cut; requests beyond
    the list get everything.
    """

    data: bytes = b""
    etag: str | None = '"v1"'
    modified: str | None = None
    breaks_after: list[int] = field(default_factory=list)
    ranges: bool = True
    length: bool = True
    status: int = 200
    location: str | None = None
    encoding: str | None = None


@dataclass
class Files:
    """Hold what is served under which path, and the headers of the requests that came."""

    url: str
    served: dict[str, Served] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: str, data: bytes = b"", **rest: object) -> str:
        """Serve bytes and return their address."""
        self.served[path] = Served(data, **rest)
        return f"{self.url}{path}"


@contextmanager
def serve() -> Iterator[Files]:
    """Run a server on a free port."""
    files = Files("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files.requests.append(dict(self.headers))
            # A client that has heard enough hangs up.
            with suppress(ConnectionError):
                answer(self, files.served.get(self.path) or Served(status=404))

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        files.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield files
        finally:
            server.shutdown()
            thread.join()


def answer(request: BaseHTTPRequestHandler, served: Served) -> None:
    """Send one answer, by the rules of RFC 9110 for a single open range."""
    start, status = wanted_start(request, served), served.status
    if start is not None and start >= len(served.data):
        status, start = 416, None
    elif start is not None:
        status = 206
    body = served.data[start or 0 :] if status in {200, 206} else b""
    request.send_response(status)
    if served.location is not None:
        request.send_header("Location", served.location)
    if served.encoding is not None:
        request.send_header("Content-Encoding", served.encoding)
    if served.etag is not None:
        request.send_header("ETag", served.etag)
    if served.modified is not None:
        request.send_header("Last-Modified", served.modified)
    if status == 206:
        last = len(served.data) - 1
        request.send_header("Content-Range", f"bytes {start}-{last}/{len(served.data)}")
    if served.length:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    cut = served.breaks_after.pop(0) if served.breaks_after else len(body)
    request.wfile.write(body[:cut])


def wanted_start(request: BaseHTTPRequestHandler, served: Served) -> int | None:
    """Return where to go on; None gives everything."""
    asked = request.headers.get("Range")
    if asked is None or not served.ranges or served.status != 200:
        return None
    version = request.headers.get("If-Range")
    if version is not None and version not in {served.etag, served.modified}:
        return None
    return int(asked.removeprefix("bytes=").removesuffix("-"))
