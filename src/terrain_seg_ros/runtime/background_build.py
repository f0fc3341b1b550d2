"""Build engines in a separate process while another backend serves, then switch over."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from enum import Enum
from threading import Event, Thread

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.inference.engines.engine_cache import Report, warn
from terrain_seg_ros.inference.engines.switching_backend import SwitchingBackend

_POLL_S = 0.1
_END_S = 5.0
_NICENESS = 10
_KEPT_BYTES = 2000


class BuildState(str, Enum):
    """State of a background build."""

    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"


class BackgroundBuild:
    """Run a command, then make a backend and offer it to the one that serves.

    A failure is reported once and ends the build; the other backend stays in use. One thread,
    which ends with `stop`.
    """

    def __init__(
        self,
        command: Sequence[str],
        make: Callable[[], Backend],
        switching: SwitchingBackend,
        *,
        report: Report = warn,
    ) -> None:
        """Prepare a build; nothing runs before `start`.

        Args:
            command: builds the engines and exits with 0; see `prepare_command`.
            make: makes the backend from them and tests it.
            switching: gets it, and closes it.
            report: called with the reason if it fails.
        """
        self._command = tuple(command)
        self._make = make
        self._switching = switching
        self._report = report
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="terrain_seg_build", daemon=True)
        self.state = BuildState.BUILDING

    def start(self) -> None:
        """Start the thread and the process."""
        self._thread.start()

    def stop(self) -> None:
        """End the process if it still runs, and the thread; calling again does nothing."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wait(self, timeout_s: float | None = None) -> BuildState:
        """Wait until it is ready or has failed, and return which."""
        self._thread.join(timeout_s)
        return self.state

    def _run(self) -> None:
        state = BuildState.FAILED
        try:
            reason = self._build()
            if self._stopping.is_set():
                state = BuildState.STOPPED
                return
            if not reason:
                self._switching.offer(self._make())
                state = BuildState.READY
                return
        except (TerrainSegError, OSError) as error:
            reason = str(error)
        finally:
            self.state = state
        self._report(
            f"no engine could be built in the background; {self._switching.name} stays "
            f"in use: {reason}"
        )

    def _build(self) -> str:
        """Run the command to its end; return why it failed, empty if it did not."""
        with tempfile.TemporaryFile() as log:
            # A session of its own: an interrupt at the terminal ends it by `stop`, not half-way.
            with subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            ) as process:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
                while process.poll() is None:
                    if self._stopping.wait(_POLL_S):
                        _end(process)
                code = process.returncode
            if code == 0:
                return ""
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _KEPT_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"the build ended with code {code}"


def prepare_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `terrain-seg prepare` with this interpreter."""
    return [sys.executable, "-m", "terrain_seg_ros.cli.main", "prepare", *arguments]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
