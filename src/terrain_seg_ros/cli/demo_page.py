"""`terrain-seg demo --view`: the live run in the browser, then its recording."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from terrain_seg_ros.cli import view
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.demo.processes import module_command, started

START_LIMIT_S = 60.0
LIMIT_S = 900.0
"""After this the viewer ends by itself, should the demo have been killed."""
POLL_S = 0.1
READY = "page at "
"""What the viewer says when it serves."""
Say = Callable[[str], None]


class DemoPage:
    """The page of a demo: of its domain while it runs, and of its recording afterwards."""

    def __init__(self, out: Path, say: Say) -> None:
        """Check that there can be a page, and choose its port.

        Args:
            out: folder of the demo, for the viewer's log.
            say: gets lines about the page.

        Raises:
            ConfigError: viser is not installed.
        """
        # Imported late because viser is an extra; the error names it.
        from terrain_seg_ros.view.page.server import page_address  # noqa: PLC0415

        self._out, self._say = out, say
        self._port = _free_port()
        self._address = page_address(view.HOST, self._port)

    @contextmanager
    def live(self, domain: int) -> Iterator[Callable[[], int]]:
        """Show a domain in a process of its own; yield what returns how many viewers listen.

        Raises:
            InferenceError: the viewer does not start.
        """
        command = module_command("cli.main", "view", "--domain", domain, "--discovery", "host")
        command += ["--port", str(self._port), "--no-browser", "--duration", str(LIMIT_S)]
        with started("view", command, folder=self._out) as child:
            end_s = time.monotonic() + START_LIMIT_S
            while READY not in child.log.read_text(encoding="utf-8", errors="replace"):
                child.check()
                if time.monotonic() > end_s:
                    raise InferenceError(
                        f"the viewer did not start within {START_LIMIT_S:.0f} s; see {child.log}"
                    )
                time.sleep(POLL_S)
            self._say(f"live picture at {self._address}")
            view.open_browser(self._address)
            yield lambda: int(child.process.poll() is None)
            if child.process.poll() is not None:
                self._say(f"the live picture ended early: {child.last_words()} ({child.log})")

    def show_recording(self, bag: Path) -> None:
        """Show a bag on the same page until interrupted; where nobody can, say how to."""
        command = f"terrain-seg view {bag}"
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            self._say(f"look at the recording with `{command}`")
            return
        self._say(f"the page goes on with the recording: click on it (again: `{command}`)")
        parser = argparse.ArgumentParser()
        view.add_arguments(parser)
        view.run(parser.parse_args([str(bag), "--port", str(self._port), "--no-browser"]))


def _free_port() -> int:
    """Return the viewer's usual port, or another where it is in use."""
    for port in (view.PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((view.HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return view.PORT
