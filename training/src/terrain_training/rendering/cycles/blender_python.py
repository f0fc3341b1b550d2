"""Processes of a Python that has Blender's `bpy`, and what they answer."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import terrain_seg_ros
import terrain_training
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.pieces import left_to_this_process
from terrain_training.errors import TrainingError

VARIABLE = "TERRAIN_RENDER_PYTHON"
OWN = Path(".venv-render") / "bin" / "python"
REMEDY = (
    "run 'make .venv-render/.render' (Python 3.11 with bpy 4.5), or name such a Python with "
    f"--render-python or {VARIABLE}"
)
WORKER = "terrain_training.rendering.cycles.worker"
PACKAGES = (terrain_seg_ros, terrain_training)


class WorkerDiedError(TrainingError):
    """Report that a render process ended in the middle of its work."""


def find_blender_python(named: Path | None) -> Path:
    """Return the Python that has bpy: the one named, `VARIABLE`'s, or `.venv-render`'s.

    Raises:
        ConfigError: there is none.
    """
    told = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if told is not None:
        if not os.access(told, os.X_OK) or told.is_dir():
            raise ConfigError(f"'{told}' is not a Python that can be run; {REMEDY}")
        return told
    for root in (Path.cwd(), *Path(terrain_training.__file__).resolve().parents[:4]):
        if os.access(root / OWN, os.X_OK):
            return root / OWN
    raise ConfigError(f"the engine cycles needs Blender's bpy, and {OWN} is not there; {REMEDY}")


class RenderWorker:
    """Be one render process: worlds in, lines about pictures out."""

    def __init__(self, python: Path, job: Mapping[str, Any]) -> None:
        """Start it and hand it the job; `bpy` and `python` are then known.

        Raises:
            ConfigError: that Python cannot run it, or has no bpy.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="terrain-render-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        try:
            # Ctrl-C reaches the command alone, which then ends its processes in order.
            with left_to_this_process():
                self._process = subprocess.Popen(
                    [str(python), "-u", "-m", WORKER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=worker_environment(),
                    text=True,
                )
        except OSError as error:
            self._scratch.cleanup()
            self._errors.close()
            raise ConfigError(f"'{python}' cannot be run ({error.strerror}); {REMEDY}") from error
        try:
            hello = self.read()
        except WorkerDiedError as error:
            self.stop()
            raise ConfigError(f"'{python}' cannot render: {error}; {REMEDY}") from error
        if "missing" in hello:
            self.stop()
            raise ConfigError(f"'{python}' has no bpy ({hello['missing']}); {REMEDY}")
        self.bpy, self.python = str(hello["bpy"]), str(hello["python"])
        if not self.bpy.startswith("4.5."):
            self.stop()
            raise ConfigError(f"'{python}' has bpy {self.bpy}, expected 4.5; {REMEDY}")
        self.write({**job, "scratch": self._scratch.name})

    def write(self, content: Mapping[str, Any]) -> None:
        """Send a line.

        Raises:
            WorkerDiedError: the process has ended.
        """
        try:
            print(json.dumps(content), file=self._process.stdin, flush=True)
        except OSError as error:
            raise self._died() from error

    def read(self) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            WorkerDiedError: the process has ended.
        """
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.endswith("\n"):
            raise self._died()
        return dict(json.loads(line))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()
        self._scratch.cleanup()

    def _died(self) -> WorkerDiedError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        return WorkerDiedError(f"the render process ended with code {code}: {last}")


def worker_environment() -> dict[str, str]:
    """Return the environment variables of a render process: these packages, one thread."""
    roots = [Path(package.__file__ or "").resolve().parents[1] for package in PACKAGES]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    path = os.pathsep.join(str(root) for root in roots)
    return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
