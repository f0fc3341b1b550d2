"""What a caller may ask of a backend."""

from __future__ import annotations

from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import PRECISIONS, ModelCard

AUTO = "auto"
FULL_PRECISION = "fp32"
MAX_THREADS = 1024


@dataclass(frozen=True)
class BackendOptions:
    """Hold the options, the same for every backend.

    `threads` 0 leaves the number to the runtime. `precision` is one of PRECISIONS or "auto":
    the backend `auto` then tries every one, any other backend takes what its device prefers.
    `constant_class` is the id that the constant backend gives.
    """

    threads: int = 0
    precision: str = AUTO
    constant_class: int = 0

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


def runtime_precision(card: ModelCard, asked: str) -> str:
    """Return what to ask a runtime for, if `asked` is asked of a model.

    A file of lower precision brings it along: to leave it as it is, the runtime computes
    everything else in float32.
    """
    return FULL_PRECISION if asked == card.precision else asked


def model_precision(card: ModelCard, computed: str) -> str:
    """Return the precision of a model's results in a runtime that computes in `computed`."""
    return card.precision if computed == FULL_PRECISION else computed
