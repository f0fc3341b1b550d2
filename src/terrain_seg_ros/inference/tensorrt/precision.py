"""Which precision an engine has, and the flags that give it, for TensorRT 8.5 to 11.

TensorRT 11 has no precision flags: there the ONNX is typed (fp16, bf16) or quantised (int8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.backend_options import AUTO, FULL_PRECISION
from terrain_seg_ros.inference.engines.engine_key import NO_DLA
from terrain_seg_ros.inference.tensorrt.bindings import tensorrt_version

STRONGLY_TYPED = "STRONGLY_TYPED"
_EXPLICIT_BATCH = "EXPLICIT_BATCH"
_GPU_FALLBACK = "GPU_FALLBACK"
_FLAGS = {"fp16": "FP16", "bf16": "BF16", "int8": "INT8"}
_DLA_PRECISIONS = ("fp16", "int8")
_OLDEST_CAPABILITY = {"fp32": (5, 0), "bf16": (8, 0), "fp16": (5, 3), "int8": (6, 1)}
_FIRST_BF16 = (9, 0)


@dataclass(frozen=True)
class PrecisionChoice:
    """The precision of an engine, and the names of the flags that select it.

    `network_flags` are of NetworkDefinitionCreationFlag, `builder_flags` of BuilderFlag.
    """

    precision: str
    network_flags: tuple[str, ...]
    builder_flags: tuple[str, ...]


def device_precisions(trt: Any, capability: tuple[int, int]) -> tuple[str, ...]:
    """Return the precisions that a GPU and a TensorRT compute in, whatever the model."""
    return tuple(
        name
        for name, oldest in _OLDEST_CAPABILITY.items()
        if capability >= oldest and (name != "bf16" or tensorrt_version(trt) >= _FIRST_BF16)
    )


def choose_precision(trt: Any, *, graph: str, asked: str, dla_core: int) -> PrecisionChoice:
    """Return precision and flags.

    Args:
        trt: the module `tensorrt`.
        graph: the precision that the ONNX is typed or quantised in; fp32 leaves the choice open.
        asked: a precision, or "auto" for the graph's own.
        dla_core: of the deep learning accelerator, NO_DLA for none.

    Raises:
        InferenceError: this TensorRT cannot make that of this model.
        ConfigError: the accelerator does not compute in that precision.
    """
    precision = graph if asked == AUTO else asked
    on_dla = dla_core != NO_DLA
    if on_dla and precision not in _DLA_PRECISIONS:
        raise ConfigError(
            f"tensorrt_dla_core is {dla_core}, but a DLA does not compute in {precision}; set "
            "precision to fp16 or int8, or tensorrt_dla_core to -1"
        )
    if graph not in {FULL_PRECISION, precision}:
        raise InferenceError(
            f"the model is exported in {graph}, TensorRT cannot run it in {precision}; set "
            f"precision to {graph}, or export the model with --precision {precision}"
        )
    if precision == "int8" and graph != "int8":
        raise InferenceError(
            "TensorRT computes in int8 only what is quantised; export the model with "
            "--precision int8"
        )
    flag = _FLAGS.get(precision)
    has_flag = flag is not None and hasattr(trt.BuilderFlag, flag)
    typed = precision == graph and hasattr(trt.NetworkDefinitionCreationFlag, STRONGLY_TYPED)
    # Strong typing and the accelerator exclude each other where there still is a choice.
    typed = typed and not (on_dla and has_flag)
    if precision != FULL_PRECISION and not typed and not has_flag:
        raise InferenceError(
            f"TensorRT {trt.__version__} cannot compute this model in {precision}; export the "
            f"model with --precision {precision}, or use another version of TensorRT"
        )
    network = [STRONGLY_TYPED] if typed else []
    if hasattr(trt.NetworkDefinitionCreationFlag, _EXPLICIT_BATCH):
        network.append(_EXPLICIT_BATCH)
    builder = [flag] if flag is not None and has_flag and not typed else []
    if on_dla:
        builder.append(_GPU_FALLBACK)
    return PrecisionChoice(precision, tuple(network), tuple(builder))
