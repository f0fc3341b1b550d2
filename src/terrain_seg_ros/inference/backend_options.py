"""What a caller may ask of a backend."""

from __future__ import annotations

from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError

AUTO = "auto"
FULL_PRECISION = "fp32"
PRECISIONS = (FULL_PRECISION, "bf16", "fp16", "int8")
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
