"""The backend protocol: one input tensor in, three output tensors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from terrain_seg_ros.core.types import U8


@dataclass(frozen=True)
class NetworkOutput:
    """The outputs of the network for N images, all uint8.

    `mask` and `confidence` are (N, h, w), `probabilities` is (N, K, h, w), probability x 255.
    The arrays may be views into the backend's own buffers, valid until its next call.
    """

    mask: U8
    confidence: U8
    probabilities: U8


class Backend(Protocol):
    """A runtime that runs one model; created by `inference.registry`."""

    name: str
    precision: str
    """The precision the runtime actually computes in: one of fp32, bf16, fp16, int8."""

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8.

        Raises:
            InferenceError: the tensor does not fit the model, or the runtime failed.
        """
        ...

    def close(self) -> None:
        """Free the backend's resources; calling it again has no effect."""
        ...
