"""The place of this process among several that train together, whoever started them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError

TORCHRUN, SLURM = "torchrun", "Slurm"


@dataclass(frozen=True)
class Launch:
    """How torchrun or srun started this process: processes on each node, nodes, global rank."""

    launcher: str
    devices: int
    nodes: int
    rank: int


def launched() -> Launch | None:
    """Return how another program started this process as one of several; None if none did.

    Raises:
        ConfigError: srun does not say how many processes each node has.
    """
    values = os.environ
    if "TORCHELASTIC_RUN_ID" in values:
        local = int(values["LOCAL_WORLD_SIZE"])
        return Launch(TORCHRUN, local, int(values["WORLD_SIZE"]) // local, int(values["RANK"]))
    # Without srun, the script of a job has the number of its tasks too.
    if "SLURM_STEP_ID" not in values or int(values.get("SLURM_NTASKS", "1")) == 1:
        return None
    if "SLURM_NTASKS_PER_NODE" not in values:
        raise ConfigError(
            f"srun starts {values['SLURM_NTASKS']} processes without saying how many on each "
            "node; give it (or sbatch) --ntasks-per-node"
        )
    return Launch(
        SLURM,
        int(values["SLURM_NTASKS_PER_NODE"]),
        int(values.get("SLURM_NNODES", "1")),
        int(values["SLURM_PROCID"]),
    )


def is_first_process() -> bool:
    """Return whether this is the process that writes, of several that train together."""
    launch = launched()
    return os.environ.get("LOCAL_RANK", "0") == "0" if launch is None else launch.rank == 0


def is_one_of_several() -> bool:
    """Return whether another process started this one to train with it."""
    return launched() is not None or "LOCAL_RANK" in os.environ
