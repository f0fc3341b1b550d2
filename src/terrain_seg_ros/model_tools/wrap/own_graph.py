"""Convert a foreign graph to the opset and the fixed input size of a contract model."""

from __future__ import annotations

from typing import Any

import onnx
import onnx.checker
import onnx.inliner
import onnx.shape_inference
import onnx.version_converter
from google.protobuf.message import DecodeError, EncodeError
from onnx import TensorProto

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.model_card import MAX_INPUT_PX
from terrain_seg_ros.model_tools.wrap.onnx_file import subgraphs
from terrain_seg_ros.model_tools.wrap.wrap_settings import Layout, WrapSettings

OPSET = 17
IR_VERSION = 8
"""ONNX Runtime for Python 3.10 and TensorRT 8.5 read no newer opset or IR."""
PREFIX = "own/"
"""Prefix of every name of the foreign graph, so that none collides with the contract."""

_STANDARD = ("", "ai.onnx")
_ONNX_ERRORS = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    onnx.version_converter.ConvertError,
    DecodeError,
    EncodeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def own_input(model: Any, settings: WrapSettings) -> Any:
    """Return the only input of the graph, checked against the settings.

    Raises:
        ModelError: they are not.
    """
    known = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in known]
    names = [item.name for item in inputs]
    if len(inputs) != 1:
        raise ModelError(
            f"{settings.source}: has inputs {names}, expected the image alone; export it without "
            "the others"
        )
    item = inputs[0]
    _check_type(item, f"{settings.source}: input {names[0]!r}")
    dims = _dims(item)
    if dims is None or len(dims) != 4:
        raise ModelError(
            f"{settings.source}: input {names[0]!r} has "
            f"{'an unknown number of' if dims is None else len(dims)} dimensions, expected 4 "
            "(batch, channels, rows and columns); export it with an example image"
        )
    _check_dims(dims, settings, f"{settings.source}: input {names[0]!r} has shape {dims}")
    return item


def own_output(model: Any, settings: WrapSettings) -> Any:
    """Return the output that holds the classes.

    Raises:
        ModelError: there are several and none is named, or there is none of that name, or it is
            not float32.
    """
    outputs = {item.name: item for item in model.graph.output}
    if settings.output is None and len(outputs) != 1:
        raise ModelError(
            f"{settings.source}: has outputs {list(outputs)}; say which holds the classes with "
            "--output NAME"
        )
    chosen = next(iter(outputs)) if settings.output is None else settings.output
    if chosen not in outputs:
        raise ModelError(
            f"{settings.source}: has no output {chosen!r}; --output is one of {list(outputs)}"
        )
    _check_type(outputs[chosen], f"{settings.source}: output {chosen!r}")
    return outputs[chosen]


def input_size(item: Any, settings: WrapSettings) -> tuple[int, int]:
    """Return rows and columns of the input: the graph's, else those of --size.

    Raises:
        ModelError: neither states it, they differ, or the graph's is out of range.
    """
    dims = _dims(item) or []
    fixed = dims[2:] if settings.layout is Layout.NCHW else dims[1:3]
    wanted = settings.size_hw
    if wanted is None:
        if None in fixed:
            raise ModelError(
                f"{settings.source}: input {item.name!r} takes any size ({dims}); choose one "
                "with --size HEIGHTxWIDTH"
            )
        wanted = (int(fixed[0] or 0), int(fixed[1] or 0))
    if any(own is not None and own != new for own, new in zip(fixed, wanted)):
        raise ModelError(
            f"{settings.source}: input {item.name!r} is fixed to {fixed[0]}x{fixed[1]}, but --size "
            f"is {wanted[0]}x{wanted[1]}; leave --size out or export at that size"
        )
    if not all(16 <= px <= MAX_INPUT_PX for px in wanted):
        raise ModelError(
            f"{settings.source}: input {item.name!r} is {wanted[0]}x{wanted[1]}, expected 16 to "
            f"{MAX_INPUT_PX} pixels; export it at another size"
        )
    return wanted


def at_contract_opset(model: Any, settings: WrapSettings) -> Any:
    """Return a copy without functions at the contract's opset and IR, its names prefixed.

    Raises:
        ModelError: the graph has operators that are not ONNX's own, or cannot be
            converted.
    """
    source = settings.source
    before = {entry.domain: entry.version for entry in model.opset_import}
    version = next((before[domain] for domain in _STANDARD if domain in before), 0)
    converted = onnx.ModelProto()
    converted.CopyFrom(model)
    try:
        if converted.functions:
            converted = onnx.inliner.inline_local_functions(converted)
        _check_operators(converted, settings)
        del converted.opset_import[:]
        converted.opset_import.append(onnx.helper.make_opsetid("", version))
        _drop_shadowed_inputs(converted.graph)
        # Up to IR version 3 the converter wants the inputs that were dropped.
        converted.ir_version = IR_VERSION
        if version != OPSET:
            converted = onnx.version_converter.convert_version(converted, OPSET)
            converted.ir_version = IR_VERSION
    except _ONNX_ERRORS as error:
        raise ModelError(
            f"{source}: cannot be brought from opset {version} (IR version {model.ir_version}) to "
            f"opset {OPSET} by onnx {onnx.__version__} ({_first_line(error)}); export it again "
            f"with opset {OPSET}, or update the package onnx to 1.23 or newer"
        ) from error
    _add_prefix(converted.graph)
    return converted


def fix_size(model: Any, size_hw: tuple[int, int], settings: WrapSettings) -> None:
    """Fix batch, channels, rows and columns of the input, and forget the shapes noted inside."""
    (item,) = model.graph.input
    shape = [1, settings.planes, *size_hw]
    if settings.layout is Layout.NHWC:
        shape = [1, *size_hw, settings.planes]
    for dim, value in zip(item.type.tensor_type.shape.dim, shape):
        dim.dim_value = value
    for graph in subgraphs(model.graph):
        del graph.value_info[:]
        for output in graph.output:
            if output.type.HasField("tensor_type"):
                output.type.tensor_type.ClearField("shape")


def _check_type(item: Any, what: str) -> None:
    kind = item.type.tensor_type.elem_type
    if kind == TensorProto.FLOAT:
        return
    names = {value: name.lower() for name, value in TensorProto.DataType.items()}
    name = names.get(kind, f"type {kind}") if kind else "no tensor"
    remedies = {
        TensorProto.FLOAT16: "export it in float32; reduced precision is chosen on the vehicle",
        TensorProto.UINT8: "a model that takes and gives bytes needs no wrap: see `models add`",
        TensorProto.INT64: "export the scores of the classes, without the argmax",
        TensorProto.INT32: "export the scores of the classes, without the argmax",
    }
    remedy = remedies.get(kind, "export it in float32")
    raise ModelError(f"{what} is {name}, expected float (float32); {remedy}")


def _dims(item: Any) -> list[int | None] | None:
    tensor = item.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim]


def _check_dims(dims: list[int | None], settings: WrapSettings, what: str) -> None:
    place = {Layout.NCHW: 1, Layout.NHWC: 3}
    planes = dims[place[settings.layout]]
    other = next(layout for layout in Layout if layout is not settings.layout)
    if planes not in {None, settings.planes}:
        if dims[place[other]] == settings.planes:
            remedy = f"with --layout {other.value} it would fit"
        else:
            remedy = "give --channels grey, rgb or bgr as it was trained"
        raise ModelError(
            f"{what}: {planes} channels in {settings.layout.value}, but --channels "
            f"{settings.colors.value} has {settings.planes}; {remedy}"
        )
    if dims[0] not in {None, 1}:
        raise ModelError(f"{what}: the batch is fixed to {dims[0]}; export it with a batch of 1")


def _check_operators(model: Any, settings: WrapSettings) -> None:
    foreign = sorted(
        {
            f"{node.domain}.{node.op_type}"
            for graph in subgraphs(model.graph)
            for node in graph.node
            if node.domain not in _STANDARD
        }
    )
    if foreign:
        raise ModelError(
            f"{settings.source}: has operators that are not ONNX's own: {foreign}; export it "
            "with standard operators only"
        )


def _drop_shadowed_inputs(graph: Any) -> None:
    """Drop the inputs that name initializers, which IR version 3 required."""
    known = {item.name for item in graph.initializer}
    for item in [item for item in graph.input if item.name in known]:
        graph.input.remove(item)


def _add_prefix(outermost: Any) -> None:
    for graph in subgraphs(outermost):
        del graph.quantization_annotation[:]
        for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            item.name = PREFIX + item.name
        for sparse in graph.sparse_initializer:
            sparse.values.name = PREFIX + sparse.values.name
        for node in graph.node:
            node.name = PREFIX + (node.name or "/".join(node.output))
            for names in (node.input, node.output):
                prefixed = [PREFIX + name if name else "" for name in names]
                del names[:]
                names.extend(prefixed)


def _first_line(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return first.rpartition("` failed: ")[2][:300]  # without the place in ONNX's own source
