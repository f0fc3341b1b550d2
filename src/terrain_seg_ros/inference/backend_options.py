"""What a caller may ask of a backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import PRECISIONS, ModelCard

AUTO = "auto"
FULL_PRECISION = "fp32"
MAX_THREADS = 1024
MAX_DEVICE = 63
MAX_DLA_CORE = 7
BUILD_NEVER, BUILD_BACKGROUND, BUILD_WAIT = "never", "background", "wait"
ENGINE_BUILDS = (BUILD_NEVER, BUILD_BACKGROUND, BUILD_WAIT)
PROVIDERS = ("cpu", "cuda", "tensorrt")


@dataclass(frozen=True)
class BackendOptions:
    """Options, the same for every backend.

    `threads` 0 leaves the number to the runtime. `precision` is one of PRECISIONS or "auto":
    the backend `auto` then tries every one, any other backend takes what its device prefers.
    `constant_class` is the id that the constant backend gives. `device` is the number of the GPU,
    `dla_core` that of its deep learning accelerator, -1 for none. `cache_dir` is the folder of
    built engines, the user's own where None.

    `engine_build` says who may build an engine that is not cached, which takes minutes: "never"
    nobody, "background" a backend that is asked for by name, "wait" `auto` as well. `provider` is
    what ONNX Runtime computes on.
    """

    threads: int = 0
    precision: str = AUTO
    constant_class: int = 0
    device: int = 0
    dla_core: int = -1
    cache_dir: Path | None = None
    engine_build: str = BUILD_BACKGROUND
    provider: str = PROVIDERS[0]

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.threads <= MAX_THREADS:
            raise ConfigError(f"threads is {self.threads}, expected 0 to {MAX_THREADS}")
        if self.precision != AUTO and self.precision not in PRECISIONS:
            raise ConfigError(
                f"precision is {self.precision!r}, expected one of {[AUTO, *PRECISIONS]}"
            )
        if not 0 <= self.constant_class <= 254:
            raise ConfigError(f"constant_class is {self.constant_class}, expected 0 to 254")
        if not 0 <= self.device <= MAX_DEVICE:
            raise ConfigError(f"device is {self.device}, expected 0 to {MAX_DEVICE}")
        if not -1 <= self.dla_core <= MAX_DLA_CORE:
            raise ConfigError(f"dla_core is {self.dla_core}, expected -1 (none) to {MAX_DLA_CORE}")
        if self.engine_build not in ENGINE_BUILDS:
            raise ConfigError(
                f"engine_build is {self.engine_build!r}, expected one of {list(ENGINE_BUILDS)}"
            )
        if self.provider not in PROVIDERS:
            raise ConfigError(
                f"onnxruntime_provider is {self.provider!r}, expected one of {list(PROVIDERS)}"
            )


def runtime_precision(card: ModelCard, asked: str) -> str:
    """Return what to ask a runtime for, if `asked` is asked of a model.

    A file of lower precision brings it along: to leave it as it is, the runtime computes
    everything else in float32.
    """
    return FULL_PRECISION if asked == card.precision else asked


def model_precision(card: ModelCard, computed: str) -> str:
    """Return the precision of a model's results in a runtime that computes in `computed`."""
    return card.precision if computed == FULL_PRECISION else computed
