"""A demo as users start it, for its tests, and what is left of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.buses import WAIT_S, free_domain


class Demo:
    """Hold a running demo, its domain and its folder."""

    def __init__(self, folder, *words, with_ros=False):
        self.folder, self.domain = folder, free_domain()
        command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "demo", "--out", folder]
        if not with_ros:
            command.append("--no-ros")
        self.process = subprocess.Popen(
            [*map(str, command), "--domain", str(self.domain), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def said(self, text):
        """Read its messages until one holds the text, and return that one."""
        for line in self.process.stderr:
            if text in line:
                return line
        raise AssertionError(f"it never said {text!r}")

    def end(self):
        """Wait for it; return code, stdout and the rest of stderr."""
        try:
            output, errors = self.process.communicate(timeout=2 * WAIT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        return self.process.returncode, output, errors


def ros_processes(domain):
    """Return the ids of processes on a domain of ROS, by their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if f"ROS_DOMAIN_ID={domain}" in words:
            found.append(int(path.parent.name))
    return found


def running(domain):
    """Return module name and id of the demo's processes that are still there."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--domain" in words and words[words.index("--domain") + 1] == str(domain):
            modules = [
                word
                for word in words
                if word.startswith(("terrain_seg_ros.cli.", "terrain_seg_ros.demo."))
            ]
            if modules and "demo" not in words:
                found[modules[0].rsplit(".", 1)[-1]] = int(path.parent.name)
    return found
