"""Weights as HDF5, for tools that read nothing else: one data set per tensor, names as in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError

HDF5_SUFFIXES = (".h5", ".hdf5")
FILE_LIMIT_BYTES = 4 * 2**30
MAX_TENSORS = 100_000


def write_hdf5(network: nn.Module, path: Path) -> None:
    """Write every parameter and buffer of a network."""
    with _h5py().File(path, "w") as file:
        for name, value in network.state_dict().items():
            file.create_dataset(name.replace(".", "/"), data=value.detach().cpu().numpy())


def read_hdf5(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Links out of the file are not followed, and only numbers are read.

    Raises:
        ConfigError: the file is missing, too large, damaged or holds something else.
    """
    tensors: dict[str, Tensor] = {}
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise ConfigError(f"weights {path} are larger than {FILE_LIMIT_BYTES} bytes")
        with _h5py().File(path, "r") as file:
            _read_group(file, "", tensors, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"weights {path} cannot be read ({error}); write them again") from error
    return tensors


def _h5py() -> Any:
    """Import the library where it is used: its hook complains in every process that forks."""
    import h5py  # noqa: PLC0415

    return h5py


def _read_group(group: Any, prefix: str, tensors: dict[str, Tensor], path: Path) -> None:
    h5py = _h5py()
    for key in group:
        link = group.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ConfigError(f"weights {path}: {prefix}{key} is a link, expected numbers")
        item = group[key]
        name = f"{prefix}{key}"
        if isinstance(item, h5py.Group):
            if name.count(".") > 64:
                raise ConfigError(f"weights {path}: groups are nested too deep")
            _read_group(item, f"{name}.", tensors, path)
        elif isinstance(item, h5py.Dataset) and _holds_numbers(item):
            if item.nbytes > FILE_LIMIT_BYTES or len(tensors) >= MAX_TENSORS:
                raise ConfigError(f"weights {path}: {name} is too large")
            tensors[name] = torch.from_numpy(np.asarray(item[()]))
        else:
            raise ConfigError(f"weights {path}: {name} holds {item!r}, expected numbers")


def _holds_numbers(item: Any) -> bool:
    """Return whether a data set holds numbers, and holds them in its own file."""
    return item.dtype.kind in "fiu" and not item.external and not item.is_virtual
