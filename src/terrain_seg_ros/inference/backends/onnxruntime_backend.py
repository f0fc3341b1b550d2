"""ONNX Runtime in float32: on the CPU, or on a GPU with its execution providers."""

from __future__ import annotations

from typing import Any

import onnxruntime

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import (
    AUTO,
    FULL_PRECISION,
    BackendOptions,
    model_precision,
    runtime_precision,
)
from terrain_seg_ros.inference.input_tensor import run_each
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.onnx_contract import INPUT, OUTPUTS
from terrain_seg_ros.model_store.onnxruntime_errors import ONNXRUNTIME_ERRORS

NAME = "onnxruntime"
_MAX_BATCH = 8
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def usable_precisions() -> tuple[str, ...]:
    """Return the precisions that this machine can compute in."""
    return (FULL_PRECISION,)


def devices() -> tuple[str, ...]:
    """Return the execution providers of the installed ONNX Runtime, such as CPU and CUDA."""
    names = onnxruntime.get_available_providers()
    return tuple(name.removesuffix("ExecutionProvider") for name in names)


class OnnxRuntimeBackend:
    """Run a model in ONNX Runtime."""

    name = NAME

    def __init__(self, model: LoadedModel, options: BackendOptions) -> None:
        """Make the session.

        Raises:
            InferenceError: another precision is asked for, or the runtime refuses the model.
        """
        self.precision = model_precision(model.card, FULL_PRECISION)
        if runtime_precision(model.card, options.precision) not in {AUTO, FULL_PRECISION}:
            raise InferenceError(
                f"onnxruntime computes in fp32 on the CPU, not in {options.precision}; "
                "choose precision fp32 or backend openvino"
            )
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.log_severity_level = 3
        # Threads that spin between two runs take the processor from the rest of the vehicle.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._card = model.card
        data = model.graph()
        try:
            self._session: Any = onnxruntime.InferenceSession(
                data, settings, providers=_providers(options)
            )
        except ONNXRUNTIME_ERRORS as error:
            raise InferenceError(
                f"onnxruntime cannot load model {model.card.name!r} ({error}); "
                "run `terrain-seg doctor` or choose another backend"
            ) from error
        # A free dimension has a name instead of a number.
        free = isinstance(self._session.get_inputs()[0].shape[0], str)
        self._max_batch = _MAX_BATCH if free else 1
        in_use = self._session.get_providers()[0]
        if in_use != _PROVIDERS[options.provider]:
            self.close()
            raise InferenceError(
                f"onnxruntime fell back to {in_use} from provider {options.provider!r}; check the "
                "driver and the versions of CUDA and cuDNN, or set onnxruntime_provider to cpu"
            )

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8; the arrays are new.

        Raises:
            InferenceError: the tensor does not fit the model, or the runtime failed.
        """
        return run_each(tensor_nhwc_u8, self._card, self._run, max_batch=self._max_batch)

    def close(self) -> None:
        """Free the session; calling again does nothing."""
        self._session = None

    def _run(self, tensor: U8) -> NetworkOutput:
        if self._session is None:
            raise InferenceError("the onnxruntime backend is closed; make a new one")
        try:
            return NetworkOutput(*self._session.run(OUTPUTS, {INPUT: tensor}))
        except ONNXRUNTIME_ERRORS as error:
            raise InferenceError(f"onnxruntime failed: {error}") from error


def _providers(options: BackendOptions) -> list[tuple[str, dict[str, str]]]:
    """Return the execution providers of the session; operators they lack run on the CPU.

    TF32 is off, since float32 is asked for.
    """
    wanted = _PROVIDERS[options.provider]
    offered = onnxruntime.get_available_providers()
    if wanted not in offered:
        raise InferenceError(
            f"onnxruntime_provider is {options.provider!r}, but this onnxruntime offers {offered}; "
            "replace the package onnxruntime by onnxruntime-gpu, or set it to cpu"
        )
    cuda = {"device_id": str(options.device), "use_tf32": "0"}
    chain = {
        "cpu": [],
        "cuda": [("cuda", cuda)],
        "tensorrt": [
            ("tensorrt", {"device_id": str(options.device), "trt_fp16_enable": "0"}),
            ("cuda", cuda),
        ],
    }[options.provider]
    return [*((_PROVIDERS[name], given) for name, given in chain), (_PROVIDERS["cpu"], {})]
