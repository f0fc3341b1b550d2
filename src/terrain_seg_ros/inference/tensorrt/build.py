"""Plan and build a TensorRT engine from an ONNX file."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.engines.engine_key import NO_DLA, EngineKey, EngineProfile
from terrain_seg_ros.inference.tensorrt.memory import Cuda, Gpu
from terrain_seg_ros.inference.tensorrt.precision import PrecisionChoice, choose_precision
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.onnx_contract import INPUT

NAME = "tensorrt"
MAX_BATCH = 2
"""The images of two cameras can run together."""
TENSORRT_ERRORS = (RuntimeError, TypeError, ValueError, MemoryError)
"""The errors of its bindings; most failures return None and log a line."""
_KEPT_ERRORS = 8
_NO_TF32 = "no-TF32"
_MEMORY_WORDS = ("out of memory", "outofmemory", "insufficient memory", "failed to allocate")
_VERSION_WORDS = ("version tag", "not compatible with this version", "plan file")

Progress = Callable[[str], None]
"""Takes a few words about the progress of a build."""


@dataclass(frozen=True)
class EnginePlan:
    """The key of an engine and the flags to build it with; the name is for messages."""

    model_name: str
    key: EngineKey
    choice: PrecisionChoice


def plan_engine(trt: Any, model: LoadedModel, options: BackendOptions, *, gpu: Gpu) -> EnginePlan:
    """Return what would be built for a model.

    Raises:
        InferenceError: this TensorRT cannot build it.
        ConfigError: the accelerator cannot run it.
    """
    card, data = model.card, model.graph()
    choice = choose_precision(
        trt, graph=card.precision, asked=options.precision, dla_core=options.dla_core
    )
    # The accelerator takes fixed shapes only.
    single = model.has_fixed_batch or options.dla_core != NO_DLA
    profile = EngineProfile(
        min_batch=1,
        opt_batch=1,
        max_batch=1 if single else MAX_BATCH,
        height_px=card.height_px,
        width_px=card.width_px,
        channel_count=card.channel_count,
    )
    key = EngineKey(
        runtime=NAME,
        runtime_version=str(trt.__version__),
        model_sha256=hashlib.sha256(data).hexdigest(),
        device_name=gpu.name,
        compute_capability="{}.{}".format(*gpu.capability),
        precision=choice.precision,
        profile=profile,
        flags=(*choice.network_flags, *choice.builder_flags, _NO_TF32),
        dla_core=options.dla_core,
    )
    return EnginePlan(card.name, key, choice)


def build_engine(
    trt: Any, plan: EnginePlan, data: bytes, *, cuda: Cuda, progress: Progress | None = None
) -> bytes:
    """Build an engine, which takes minutes.

    Raises:
        InferenceError: TensorRT refuses the model or runs out of memory.
        ConfigError: there is no such accelerator.
    """
    cuda.use()
    logger = make_logger(trt)
    try:
        builder = trt.Builder(logger)
        network = builder.create_network(_bits(trt, plan.choice.network_flags))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(data):
            raise InferenceError(_refusal(trt, "load", plan, _parser_errors(parser)))
        config = builder.create_builder_config()
        _configure(trt, builder, config, plan)
        monitor = _monitor(trt, progress)
        if monitor is not None:
            config.progress_monitor = monitor
        serialized = builder.build_serialized_network(network, config)
    except TENSORRT_ERRORS as error:
        reason = logger.last() or str(error)
        raise InferenceError(_refusal(trt, "build an engine of", plan, reason)) from error
    if serialized is None:
        raise InferenceError(_refusal(trt, "build an engine of", plan, logger.last()))
    return bytes(memoryview(serialized))


def make_logger(trt: Any) -> Any:
    """Return a logger for TensorRT that keeps the last errors; `last()` returns the newest.

    Its class can be made only where TensorRT is.
    """
    errors: deque[str] = deque(maxlen=_KEPT_ERRORS)
    worst = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    def start(self: Any) -> None:
        trt.ILogger.__init__(self)

    def log(_self: Any, severity: Any, message: str) -> None:
        if severity in worst:
            errors.append(message)

    def last(_self: Any) -> str:
        return errors[-1] if errors else ""

    kind = type("TensorRtLogger", (trt.ILogger,), {"__init__": start, "log": log, "last": last})
    return kind()


def is_out_of_memory(reason: str) -> bool:
    """Return whether a message of TensorRT is about a lack of memory."""
    return any(words in reason.lower() for words in _MEMORY_WORDS)


def remedy(reason: str) -> str:
    """Return the remedy for a message of TensorRT."""
    text = reason.lower()
    if is_out_of_memory(reason):
        return (
            "the GPU's memory is full: end other programs on it, or use a smaller model or "
            "precision fp16"
        )
    if any(words in text for words in _VERSION_WORDS):
        return (
            "the engine is of another version of TensorRT: run "
            "`terrain-seg prepare --backend tensorrt --force`"
        )
    return "run `terrain-seg doctor` or choose another backend"


def _configure(trt: Any, builder: Any, config: Any, plan: EnginePlan) -> None:
    flags = trt.BuilderFlag
    # TF32 is on by default and is less precise than fp32.
    if hasattr(flags, "TF32"):
        config.clear_flag(flags.TF32)
    for name in plan.choice.builder_flags:
        config.set_flag(getattr(flags, name))
    shape = plan.key.profile
    profile = builder.create_optimization_profile()
    profile.set_shape(
        INPUT, *(shape.shape(n) for n in (shape.min_batch, shape.opt_batch, shape.max_batch))
    )
    config.add_optimization_profile(profile)
    core = plan.key.dla_core
    if core == NO_DLA:
        return
    count = int(builder.num_DLA_cores)
    if core >= count:
        raise ConfigError(
            f"tensorrt_dla_core is {core}, but this device has {count} DLA cores; set it to -1 "
            "for the GPU"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core


def _monitor(trt: Any, progress: Progress | None) -> Any:
    """Return a progress monitor for TensorRT, None if this version has none."""
    base = getattr(trt, "IProgressMonitor", None)
    if base is None or progress is None:
        return None
    tell, steps = progress, {}

    def start(self: Any) -> None:
        base.__init__(self)

    def phase_start(_self: Any, phase: str, _parent: str | None, count: int) -> None:
        steps[phase] = count

    def step_complete(_self: Any, phase: str, step: int) -> bool:
        tell(f"{phase}: {step + 1} of {steps.get(phase, step + 1)}")
        return True

    def phase_finish(_self: Any, phase: str) -> None:
        steps.pop(phase, None)

    members = {
        "__init__": start,
        "phase_start": phase_start,
        "step_complete": step_complete,
        "phase_finish": phase_finish,
    }
    return type("TensorRtProgress", (base,), members)()


def _bits(trt: Any, names: tuple[str, ...]) -> int:
    flags = trt.NetworkDefinitionCreationFlag
    return sum(1 << int(getattr(flags, name)) for name in names)


def _parser_errors(parser: Any) -> str:
    return "; ".join(str(parser.get_error(index).desc()) for index in range(parser.num_errors))


def _refusal(trt: Any, action: str, plan: EnginePlan, reason: str) -> str:
    return (
        f"TensorRT {trt.__version__} cannot {action} model {plan.model_name!r} in "
        f"{plan.key.precision} ({reason or 'no reason given'}); {remedy(reason)}"
    )
