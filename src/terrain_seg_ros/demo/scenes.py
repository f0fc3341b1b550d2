"""The demo's two scenes in simulated worlds: what is simulated, and the parameters of the node."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError

MODEL = "truth_mask"


@dataclass(frozen=True)
class DemoScene:
    """A scene; `sim` are the arguments of `terrain-seg sim` that made the recording."""

    name: str
    mode: str
    title: str
    text: str
    sim: tuple[str, ...]

    @property
    def parameters(self) -> Path:
        """Return the parameter file of node and simulator, on top of the shipped one."""
        return _file(f"{self.name}.yaml")

    @property
    def recording(self) -> Path:
        """Return the recording that is played where nothing can be drawn."""
        return _file(f"{self.name}.mcap")


_CAMERA = ("--size", "256x256", "--encoding", "mono8", "--jpeg", "--leave-out", "depth")
SCENES = (
    DemoScene(
        "rover_drive",
        "rover",
        "A rover drives on Mars",
        "A drive of 12 m through a simulated Mars. Depth is the simulator's, classes are the true "
        "ones: what you see is the geometry, the fusion and the limits of view.",
        (
            *("--mode", "rover", "--seed", "4", "--rate", "1"),
            *("--speed-mps", "0.5", "--pictures", "24"),
            *_CAMERA,
        ),
    ),
    DemoScene(
        "lunar_descent",
        "lander",
        "A lander comes down on the Moon",
        "A descent from 45 m to 12 m over a simulated Moon, the camera looking down, depth from "
        "the simulator. No model for the Moon is shipped: the node runs on true masks. From "
        "high up the smallest relevant hazard cannot be resolved, so nothing is observed; lower "
        "down a site is chosen (blue) by the rocks, slope and roughness that depth shows. Cells "
        "count as true hazards if one only touches them, so small rocks show as errors first.",
        (
            *("--mode", "lander", "--seed", "2", "--rate", "2"),
            *("--start-m", "45", "--end-m", "12", "--pictures", "16"),
            *_CAMERA,
        ),
    ),
)


def _file(name: str) -> Path:
    path = Path(str(resources.files("terrain_seg_ros"))) / "demo_data" / "sim" / name
    if not path.is_file():
        raise ConfigError(f"{path} is missing; install the package again")
    return path
