"""OpenVINO on the CPU, in float32 or what the device prefers."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import openvino

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import (
    AUTO,
    FULL_PRECISION,
    BackendOptions,
    model_precision,
    runtime_precision,
)
from terrain_seg_ros.inference.engines.engine_cache import EngineCache, default_cache_folder
from terrain_seg_ros.inference.engines.engine_key import EngineKey, EngineProfile
from terrain_seg_ros.inference.input_tensor import run_each
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.onnx_contract import INPUT, OUTPUTS

NAME = "openvino"
DEVICE = "CPU"
_HINTS = {FULL_PRECISION: "f32", "bf16": "bf16", "fp16": "f16"}
_NAMES = {hint: name for name, hint in _HINTS.items()}
_CAPABILITIES = {FULL_PRECISION: "FP32", "bf16": "BF16", "fp16": "FP16"}


@functools.cache
def shared_core() -> Any:
    """Return OpenVINO's core, one for the process, which is never destroyed.

    Each core's CPU plugin gives its thread another stack for signals (for AMX), and puts back what
    was there before when it is destroyed. Where two cores overlap, that is memory that the other
    has freed, and the next signal ends the process by SIGSEGV.

    Raises:
        RuntimeError: OpenVINO cannot start.
    """
    return openvino.Core()


def usable_precisions() -> tuple[str, ...]:
    """Return the precisions that this machine can compute in.

    Raises:
        InferenceError: OpenVINO cannot be used here.
    """
    try:
        offered = shared_core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        raise InferenceError(f"OpenVINO cannot use the {DEVICE}: {_short(error)}") from error
    return tuple(name for name, capability in _CAPABILITIES.items() if capability in offered)


def devices() -> tuple[str, ...]:
    """Return the devices that OpenVINO offers; the backend uses the CPU."""
    return tuple(str(device) for device in shared_core().available_devices)


def engine_key(model: LoadedModel, options: BackendOptions) -> EngineKey:
    """Return what the model compiled for these options and this machine depends on.

    Raises:
        InferenceError: OpenVINO cannot be used here, or the model has no graph.
    """
    card = model.card
    try:
        core = shared_core()
        device = str(core.get_property(DEVICE, "FULL_DEVICE_NAME"))
        abilities = core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        raise InferenceError(f"OpenVINO cannot use the {DEVICE}: {_short(error)}") from error
    settings = _settings(card, options)
    return EngineKey(
        runtime=NAME,
        runtime_version=str(openvino.__version__),
        model_sha256=hashlib.sha256(model.graph()).hexdigest(),
        device_name=f"{DEVICE} {device}",
        compute_capability="",
        precision=runtime_precision(card, options.precision),
        profile=EngineProfile(1, 1, 1, card.height_px, card.width_px, card.channel_count),
        flags=(
            *(f"{name}={value}" for name, value in settings.items()),
            *(f"has-{ability}" for ability in abilities),
        ),
    )


def build(
    model: LoadedModel, options: BackendOptions, _progress: Callable[[str], None] | None = None
) -> bytes:
    """Return the model compiled for this machine, as OpenVINO exports it.

    Its own model cache is not used: that runs a file whose bytes were changed.

    Raises:
        InferenceError: OpenVINO refuses the model or the precision.
    """
    try:
        return bytes(_compile(model, options).export_model().getvalue())
    except RuntimeError as error:
        raise _load_error(model, error) from error


class OpenVinoBackend:
    """Run a model in OpenVINO; the outputs are views of its own buffers."""

    name = NAME

    def __init__(self, model: LoadedModel, options: BackendOptions) -> None:
        """Compile the model for one image at a time, or load what `prepare` compiled.

        Raises:
            InferenceError: the device does not give the precision asked for, or the runtime
                refuses the model.
        """
        self._card = model.card
        try:
            compiled = _prepared(model, options) or _compile(model, options)
            found = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
            self._request: Any = compiled.create_infer_request()
            self._outputs = [self._request.get_tensor(name).data for name in OUTPUTS]
        except RuntimeError as error:
            raise _load_error(model, error) from error
        computed = _NAMES.get(found, found)
        self.precision = model_precision(model.card, computed)
        if runtime_precision(model.card, options.precision) not in {AUTO, computed}:
            self.close()
            raise InferenceError(
                f"OpenVINO computes in {computed} on this {DEVICE}, not in "
                f"{options.precision}; choose one of {list(usable_precisions())}"
            )

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8.

        Returns:
            For one image, views that the next call overwrites; for more, new arrays.

        Raises:
            InferenceError: the tensor does not fit the model, or the runtime failed.
        """
        return run_each(tensor_nhwc_u8, self._card, self._run)

    def close(self) -> None:
        """Free the compiled model once no view of its outputs is left; repeating does nothing."""
        self._request = None
        self._outputs = []

    def _run(self, tensor: U8) -> NetworkOutput:
        if self._request is None:
            raise InferenceError("the openvino backend is closed; make a new one")
        # OpenVINO shares memory with writeable arrays only.
        shared = tensor if tensor.flags.writeable else tensor.copy()
        try:
            self._request.set_tensor(INPUT, openvino.Tensor(shared, shared_memory=True))
            self._request.start_async()
            self._request.wait()
        except (RuntimeError, ValueError) as error:
            raise InferenceError(f"OpenVINO failed: {_short(error)}") from error
        return NetworkOutput(*self._outputs)


def _settings(card: ModelCard, options: BackendOptions) -> dict[str, object]:
    settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
    if options.threads > 0:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    precision = runtime_precision(card, options.precision)
    if precision != AUTO:
        if precision not in _HINTS:
            raise InferenceError(
                f"OpenVINO cannot be made to compute in {precision}; "
                f"choose one of {list(usable_precisions())}"
            )
        settings["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
    return settings


def _compile(model: LoadedModel, options: BackendOptions) -> Any:
    card = model.card
    core = shared_core()
    graph = core.read_model(model.graph())
    graph.reshape({INPUT: [1, card.height_px, card.width_px, card.channel_count]})
    return core.compile_model(graph, DEVICE, _settings(card, options))


def _prepared(model: LoadedModel, options: BackendOptions) -> Any:
    """Return the compiled model out of the cache; None where there is none that can be used.

    Nothing is cached for a precision of `auto`, which is the device's own choice.
    """
    if options.precision == AUTO:
        return None
    try:
        cache = EngineCache(options.cache_dir or default_cache_folder())
    except ConfigError:
        return None
    if not cache.folder.is_dir():
        return None
    key = engine_key(model, options)
    data = cache.load(key)
    if data is None:
        return None
    try:
        return shared_core().import_model(data, DEVICE, _settings(model.card, options))
    except RuntimeError as error:
        cache.discard(key, _short(error))
        return None


def _load_error(model: LoadedModel, error: Exception) -> InferenceError:
    return InferenceError(
        f"OpenVINO cannot load model {model.card.name!r} ({_short(error)}); "
        "run `terrain-seg doctor` or choose another backend"
    )


def _short(error: Exception) -> str:
    """Return the last line of OpenVINO's message; those before are places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
