"""The table of backends: adding one is a file in `backends/` and a line here.

Commands, parameters, launch files and the doctor derive their lists from it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class BackendEntry(NamedTuple):
    """Where a backend is, what it needs and what it can do.

    Attributes:
        module: file in `inference/backends/`, with `usable_precisions()` and `devices()`.
        kind: the backend's class in it, made of a LoadedModel and BackendOptions.
        needs: the Python package that it imports.
        remedy: the command that installs the package.
        is_optional: the package is not among the requirements of this one.
        runs_networks: `auto` considers the backend, and it runs the golden self-test.
        needs_device: the module has `is_present()`, which looks for hardware.
        has_engines: the module has `engine_key()` and `build()`, for `terrain-seg prepare`.
        tries_first: networks that are not shipped run first in a process of their own.
    """

    module: str
    kind: str
    needs: str
    remedy: str = ""
    is_optional: bool = False
    runs_networks: bool = True
    needs_device: bool = False
    has_engines: bool = False
    tries_first: bool = False


class BackendName(str, Enum):
    """The names that a parameter or a command accepts; `auto` has no entry."""

    entry: BackendEntry | None

    def __new__(cls, name: str, entry: BackendEntry | None = None) -> BackendName:
        """Make a member whose value is the name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.entry = entry
        return member

    AUTO = "auto"
    ONNXRUNTIME = (
        "onnxruntime",
        BackendEntry(
            "onnxruntime_backend", "OnnxRuntimeBackend", "onnxruntime", "pip install onnxruntime"
        ),
    )
    OPENVINO = (
        "openvino",
        BackendEntry(
            "openvino_backend",
            "OpenVinoBackend",
            "openvino",
            "pip install openvino",
            has_engines=True,
            tries_first=True,
        ),
    )
    TENSORRT = (
        "tensorrt",
        BackendEntry(
            "tensorrt_backend",
            "TensorRtBackend",
            "tensorrt",
            "pip install 'tensorrt>=8.5,<12' 'cuda-python>=12,<14' (needs an NVIDIA GPU)",
            is_optional=True,
            needs_device=True,
            has_engines=True,
        ),
    )
    CONSTANT = (
        "constant",
        BackendEntry("constant_backend", "ConstantBackend", "numpy", runs_networks=False),
    )


def backend_names() -> tuple[str, ...]:
    """Return every name that a parameter or a command accepts, `auto` first."""
    return tuple(name.value for name in BackendName)


def network_backends() -> tuple[BackendName, ...]:
    """Return the backends that run networks, installed or not."""
    return tuple(name for name in BackendName if name.entry and name.entry.runs_networks)


def engine_backends() -> tuple[BackendName, ...]:
    """Return the backends whose engines can be prepared in advance."""
    return tuple(name for name in BackendName if name.entry and name.entry.has_engines)
