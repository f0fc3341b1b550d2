"""Record the demo's simulated scenes again; needs the extra `sim` and an OpenGL library."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from terrain_seg_ros.cli.main import main as terrain_seg
from terrain_seg_ros.demo.scenes import SCENES

FOLDER = Path(__file__).resolve().parents[2] / "src" / "terrain_seg_ros" / "demo_data" / "sim"


def main() -> int:
    """Write both recordings; those that are there are replaced once the new ones are complete."""
    for scene in SCENES:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            bag = Path(folder) / f"{scene.name}.mcap"
            words = ["sim", *scene.sim, "--params", str(scene.parameters), "--bag", str(bag)]
            code = terrain_seg(words)
            if code != 0:
                return code
            bag.rename(FOLDER / bag.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
