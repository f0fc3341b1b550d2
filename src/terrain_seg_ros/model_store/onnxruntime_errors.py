"""The errors of ONNX Runtime, which have no common base class but Exception."""

from __future__ import annotations

import re

from onnxruntime.capi import onnxruntime_pybind11_state as _state

_NAMES = (
    "EPFail",
    "EngineError",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "ModelLoaded",
    "ModelRequiresCompilation",
    "NoModel",
    "NoSuchFile",
    "NotImplemented",
    "RuntimeException",
)

ONNXRUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    TypeError,
    ValueError,
    *(getattr(_state, name) for name in _NAMES if hasattr(_state, name)),
)

_PLACE = re.compile(r"\S+\.(?:cc|h):\d+ .*?\)(?: const)? (?=[A-Z])")
_LENGTH = 300


def runtime_reason(text: str) -> str:
    """Return an error's text in one line, without places in the runtime's own source."""
    line = _PLACE.sub("", " ".join(text.split()))
    return line if len(line) <= _LENGTH else f"{line[:_LENGTH]}..."
