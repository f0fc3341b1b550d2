"""The key of an engine: everything that it was built from and for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

KEY_VERSION = 1
"""Version of the key's content; raising it makes every older engine stale."""
DIGEST_LENGTH = 20
NO_DLA = -1
_UNNAMED = "unknown"


@dataclass(frozen=True)
class EngineProfile:
    """The input shapes of an engine: a range of batches, one image size."""

    min_batch: int
    opt_batch: int
    max_batch: int
    height_px: int
    width_px: int
    channel_count: int

    def shape(self, batch: int) -> tuple[int, int, int, int]:
        """Return the input's shape (N, h, w, C) for a batch."""
        return (batch, self.height_px, self.width_px, self.channel_count)


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on.

    `compute_capability` is empty if the device is not a GPU, `dla_core` is NO_DLA where no deep
    learning accelerator is used.
    """

    runtime: str
    runtime_version: str
    model_sha256: str
    device_name: str
    compute_capability: str
    precision: str
    profile: EngineProfile
    flags: tuple[str, ...]
    dla_core: int = NO_DLA

    def content(self) -> dict[str, Any]:
        """Return all parts for JSON; equal keys give equal content."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        content["flags"] = sorted(self.flags)
        return {"key_version": KEY_VERSION, **content}

    @property
    def digest(self) -> str:
        """Return the short hexadecimal name, equal only for equal keys."""
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]

    def text(self) -> str:
        """Return the key as one readable line."""
        shape = self.profile
        device = self.device_name or _UNNAMED
        if self.compute_capability:
            device += f" (compute capability {self.compute_capability})"
        if self.dla_core != NO_DLA:
            device += f", DLA core {self.dla_core}"
        return (
            f"{self.digest}: model {self.model_sha256[:12]}, {self.runtime} "
            f"{self.runtime_version}, {device}, {self.precision}, "
            f"batch {shape.min_batch}/{shape.opt_batch}/{shape.max_batch} of "
            f"{shape.width_px}x{shape.height_px}x{shape.channel_count}, "
            f"flags {' '.join(sorted(self.flags)) or 'none'}"
        )
