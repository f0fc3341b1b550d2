"""The node as users start it: a process, ended by a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

QUICK = {
    "model": "synthetic",
    "backend": "constant",
    "grid.size_m": 10.0,
    "watchdog.stale_after_s": 0.0,
}
WAIT_S = 30.0


class NodeProcess:
    """Hold a running `terrain_seg_node` in the namespace /terrain, and what it logs."""

    def __init__(self, *arguments, environment=None, **parameters):
        values = {**QUICK, **parameters}
        command = [sys.executable, "-m", "terrain_seg_ros.ros.main", "--ros-args"]
        command += ["-r", "__ns:=/terrain", *map(str, arguments)]
        for name, value in values.items():
            if value is not None:
                command += ["-p", f"{name.replace('__', '.')}:={_yaml(value)}"]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def log(self):
        return "".join(self._lines)

    @property
    def lives(self):
        return self.process.poll() is None

    def resident_kb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def end(self, number=signal.SIGINT):
        """Signal the process and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)

    def close(self):
        if self.lives:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reading.join()
        self.process.stdout.close()

    def _read(self):
        self._lines.extend(iter(self.process.stdout.readline, ""))


def _yaml(value):
    return str(value).lower() if isinstance(value, bool) else value
