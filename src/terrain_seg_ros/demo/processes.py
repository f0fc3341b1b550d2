"""The demo's processes: started together, followed, and ended by their own ids."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import FrameType
from typing import IO

from terrain_seg_ros.core.errors import ConfigError, InferenceError

DOMAINS = range(60, 100)
"""ROS users rarely take these; their ports lie below those that Linux hands out by itself."""
END_LIMIT_S = 20.0
POLL_S = 0.1
_MESSAGE_STARTS = ("terrain-seg: error: ", "terrain-seg: ")
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Child:
    """A process whose messages go to a log file."""

    def __init__(self, name: str, process: subprocess.Popen[str], log: Path) -> None:
        """Take over a process that was started."""
        self.name = name
        self.process = process
        self.log = log

    def check(self) -> None:
        """Check that the process still runs.

        Raises:
            InferenceError: it has ended; the message says what it said last.
        """
        code = self.process.poll()
        if code is not None:
            raise self._failure("ended early", code)

    def finish(self) -> None:
        """Wait until the process has ended by itself.

        Raises:
            InferenceError: it does not end, or ended with an error.
        """
        try:
            code = self.process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise InferenceError(
                f"the {self.name} did not end within {END_LIMIT_S:.0f} s; see {self.log}"
            ) from error
        if code != 0:
            raise self._failure("failed", code)

    def interrupt(self) -> None:
        """Ask the process to end, as Ctrl-C does, and wait for it.

        Raises:
            InferenceError: as of `finish`.
        """
        self.check()
        self.process.send_signal(signal.SIGINT)
        self.finish()

    def stop(self) -> None:
        """End the process by its own id, whatever state it is in."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _failure(self, what: str, code: int) -> InferenceError:
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return InferenceError(f"the {self.name} {what} {how}: {self.last_words()} ({self.log})")

    def last_words(self) -> str:
        """Return the last line of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        line = text.splitlines()[-1].strip() if text else "it said nothing"
        for start in _MESSAGE_STARTS:
            line = line.removeprefix(start)
        return line


@contextmanager
def started(
    name: str, command: Sequence[str], *, folder: Path, changes: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Start a process in a session of its own, and stop it at the end whatever happens.

    `changes` are environment variables that it gets beside those of this process.

    Its own session keeps the terminal's Ctrl-C from it: only the demo gets that, and ends the
    others in order. Its stdout can be followed.
    """
    environment = {key: value for key, value in os.environ.items() if key != "CYCLONEDDS_URI"}
    environment.update(changes or {})
    log = folder / f"{name}.log"
    with log.open("w", encoding="utf-8") as messages:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            env=environment,
            start_new_session=True,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        child.stop()


def module_command(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a module of this package, such as "cli.main"."""
    return [sys.executable, "-m", f"terrain_seg_ros.{name}", *map(str, arguments)]


def follow(
    child: Child, others: Sequence[Child], *, limit_s: float, show: Callable[[str], None]
) -> None:
    """Show the lines that a process prints until it ends.

    Args:
        child: what to follow.
        others: what must keep running meanwhile.
        limit_s: how long it may take.
        show: gets each line.

    Raises:
        InferenceError: a process failed, or the time is over.
    """
    lines: SimpleQueue[str | None] = SimpleQueue()
    Thread(target=_pump, args=(child.process.stdout, lines), daemon=True).start()
    end_s = time.monotonic() + limit_s
    line: str | None = ""
    while line is not None:
        for other in others:
            other.check()
        if time.monotonic() > end_s:
            raise InferenceError(
                f"the {child.name} took more than {limit_s:.0f} s; is another heavy job running?"
            )
        try:
            line = lines.get(timeout=POLL_S)
        except Empty:
            continue
        if line:
            show(line)
    child.finish()


def _pump(source: IO[str], lines: SimpleQueue[str | None]) -> None:
    for line in source:
        lines.put(line.strip())
    lines.put(None)


def free_domain() -> int:
    """Return a DDS domain that nobody on this machine uses.

    Raises:
        ConfigError: all that are tried are taken.
    """
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        if _is_free(domain):
            return domain
    raise ConfigError(
        f"the DDS domains {DOMAINS.start} to {DOMAINS.stop - 1} are all taken; give --domain"
    )


def _is_free(domain: int) -> bool:
    # The first participant takes this port (RTPS 2.5, section 9.6.2.3).
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return False
    return True


@contextmanager
def ending_signals_interrupt() -> Iterator[None]:
    """Make SIGTERM and SIGHUP do what Ctrl-C does, so that no process is left behind."""
    before = {number: signal.signal(number, _interrupt) for number in _ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
