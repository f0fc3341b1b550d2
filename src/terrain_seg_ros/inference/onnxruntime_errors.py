"""What ONNX Runtime raises; its own errors share no base but Exception."""

from __future__ import annotations

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
