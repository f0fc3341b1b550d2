"""Train, evaluate and export terrain segmentation networks; never installed on the vehicle.

    import terrain_training as tt

    run = tt.train("mars_navcam", data="data/ai4mars", epochs=5)

The functions are those of `terrain_training.api`, which is imported when one is first used.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrain_training.api import Model, PredictedImage, Run, Tiling, init, load, train

__all__ = ["Model", "PredictedImage", "Run", "Tiling", "init", "load", "train"]


def __getattr__(name: str) -> Any:
    """Return a function or class of the API."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Before torch is imported.
    importlib.import_module("terrain_training.cpu").let_threads_sleep()
    with warnings.catch_warnings():
        # tqdm's advice on widgets, which are not used, when a library imports it in a notebook.
        warnings.filterwarnings("ignore", message="IProgress not found")
        return getattr(importlib.import_module("terrain_training.api"), name)


def __dir__() -> list[str]:
    """Return the names of the API, which need not be imported yet."""
    return sorted({*globals(), *__all__})
