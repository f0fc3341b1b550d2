"""A process of Blender's Python that renders worlds as it is asked to, line by line.

The first line on stdin is the job, every further one a world; answers are lines of JSON on what
was stdout at the start. It ends with its input.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], None]


def main() -> int:
    """Answer until the input ends."""
    answer = _answers()
    try:
        import bpy  # noqa: PLC0415  (whether it is there is what is asked)
    except ImportError as error:
        answer({"missing": f"{error}"})
        return 1
    from terrain_training.rendering.cycles.picture import Studio  # noqa: PLC0415  (needs bpy)

    answer({"bpy": bpy.app.version_string, "python": ".".join(map(str, sys.version_info[:3]))})
    studio: Studio | None = None
    for line in sys.stdin:
        told = json.loads(line)
        if studio is None:
            studio = Studio(told, Path(told["scratch"]))
            continue
        try:
            _render_world(studio, told, answer)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            answer({"failed": f"{place}{error.strerror or error}", "disk": True})
            return 1
    # The command ends its processes; one whose input ends has been left alone.
    if studio is not None:
        shutil.rmtree(studio.scratch, ignore_errors=True)
    return 0


def _render_world(studio: Any, told: dict[str, Any], answer: Answer) -> None:
    for number in told["numbers"]:
        start = time.process_time()
        scene = told.get("scene")
        stem = studio.take(told["seed"], number) if scene is None else studio.score(scene, number)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        cpu_s = time.process_time() - start
        answer({"stem": stem, "cpu_s": round(cpu_s, 2), "peak_mb": round(peak_mb)})
    answer({"world": told["seed"] if "seed" in told else told["scene"]["name"]})


def _answers() -> Answer:
    """Keep stdout for answers; what Blender prints goes to stderr."""
    file = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        file.write(json.dumps(content) + "\n")
        file.flush()

    return answer


if __name__ == "__main__":
    sys.exit(main())
