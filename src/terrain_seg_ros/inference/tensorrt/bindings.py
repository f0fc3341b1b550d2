"""TensorRT and the CUDA bindings, imported when they are used; neither is a requirement."""

from __future__ import annotations

import importlib
import re
from typing import Any

from terrain_seg_ros.core.errors import InferenceError

REMEDY = "pip install 'tensorrt>=8.5,<12' 'cuda-python>=12,<14'"
_LIBRARIES = (
    "install the CUDA libraries that this TensorRT was built for (8.5: cuBLAS 11 and cuDNN 8) and "
    "name their folder in LD_LIBRARY_PATH"
)
OLDEST = (8, 5)
"""The first version that addresses tensors by name."""
_CUDA_MODULES = ("cuda.bindings.runtime", "cuda.cudart")
"""Module of NVIDIA's bindings, now and before version 12.6."""


def load_tensorrt() -> Any:
    """Return the module `tensorrt`.

    Raises:
        InferenceError: it is absent, does not load, or is too old.
    """
    try:
        module = importlib.import_module("tensorrt")
    except (ImportError, OSError) as error:
        library = "shared object" in str(error)
        remedy = _LIBRARIES if library else f"install it with: {REMEDY}"
        raise InferenceError(f"backend 'tensorrt' cannot be used ({error}); {remedy}") from error
    if tensorrt_version(module) < OLDEST:
        raise InferenceError(
            f"TensorRT {module.__version__} is too old, expected 8.5 to 11; install it "
            f"with: {REMEDY}"
        )
    return module


def tensorrt_version(module: Any) -> tuple[int, int]:
    """Return the major and minor number of a TensorRT module."""
    found = re.match(r"(\d+)\.(\d+)", str(module.__version__))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def load_cuda() -> Any:
    """Return NVIDIA's bindings of the CUDA runtime.

    Raises:
        InferenceError: they are absent or do not load.
    """
    new, old = _CUDA_MODULES
    try:
        return importlib.import_module(new)
    except (ImportError, OSError) as error:
        reason = error
    try:
        return importlib.import_module(old)
    except (ImportError, OSError):
        raise InferenceError(
            f"backend 'tensorrt' needs NVIDIA's cuda-python ({reason}); install it with: {REMEDY}"
        ) from reason
