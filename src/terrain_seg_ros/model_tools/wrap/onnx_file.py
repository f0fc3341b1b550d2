"""Read an ONNX file from anywhere, with the tensors that lie in files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.model_store.model_files import MAX_MODEL_BYTES
from terrain_seg_ros.model_store.onnx_safety import check_network

_EXPORT_FIRST = (
    "export it first (PyTorch: torch.onnx.export, Keras: tf2onnx; see "
    "docs/tutorials/your_network.md)"
)


def read_onnx(path: Path) -> Any:
    """Return the model with every tensor inside it.

    Raises:
        ModelError: the file is missing, too large, no ONNX, or keeps tensors where they may not
            be: outside its own folder, behind a link, or beyond the end of a file.
    """
    data = read_onnx_bytes(path)
    check_network(data, source=str(path), may_read_files=True, remedy=_EXPORT_FIRST)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise _no_onnx(path) from None
    if not model.graph.node or not model.opset_import:
        raise _no_onnx(path)
    if any(isinstance(name, bytes) for graph in subgraphs(model.graph) for name in _names(graph)):
        raise ModelError(
            f"{path}: is a damaged ONNX model, with names that are not text; export it again"
        )
    if model.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"{path}: has IR version {model.ir_version}, but onnx {onnx.__version__} knows up to "
            f"{onnx.IR_VERSION}; export it again with opset 17, or update the package onnx"
        )
    _load_external(model, path, left_bytes=MAX_MODEL_BYTES - len(data))
    return model


def read_onnx_bytes(path: Path) -> bytes:
    """Return the bytes of an ONNX file.

    Raises:
        ModelError: the file is missing, too large or not a regular one.
    """
    return _read(path, MAX_MODEL_BYTES)


def subgraphs(graph: Any) -> Iterator[Any]:
    """Return the graph and every graph inside it, such as the branches of an If."""
    waiting = [graph]
    while waiting:
        current = waiting.pop()
        yield current
        for node in current.node:
            for attribute in node.attribute:
                if attribute.type == AttributeProto.GRAPH:
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)


def _no_onnx(path: Path) -> ModelError:
    return ModelError(f"{path}: is not an ONNX model; {_EXPORT_FIRST}")


def _read(path: Path, limit_bytes: int) -> bytes:
    return read_regular_file(
        path, limit_bytes, error=ModelError, remedy="give the path of the .onnx file"
    )


def _names(graph: Any) -> Iterator[str | bytes]:
    """Return every name in a graph; protobuf gives bytes for what is not UTF-8."""
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield item.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)


def _load_external(model: Any, path: Path, *, left_bytes: int) -> None:
    files: dict[str, bytes] = {}
    copied_bytes = 0
    for tensor in _tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if location not in files:
            used = sum(map(len, files.values()))
            files[location] = _read(_beside(path, location, tensor.name), left_bytes - used)
        data = _slice(files[location], entries, f"{path}: tensor {tensor.name!r}")
        copied_bytes += len(data)
        if copied_bytes > MAX_MODEL_BYTES:
            raise ModelError(
                f"{path}: its tensors have more than {MAX_MODEL_BYTES} bytes; check the file"
            )
        tensor.raw_data = data
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _beside(path: Path, location: str, tensor: str) -> Path:
    folder = path.resolve().parent
    beside = folder / location
    if not location or not beside.resolve().is_relative_to(folder) or beside.is_symlink():
        raise ModelError(
            f"{path}: tensor {tensor!r} lies in {location!r}, outside the folder of the model; "
            "export it again into one folder, or as one file"
        )
    return beside


def _slice(data: bytes, entries: dict[str, str], what: str) -> bytes:
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(len(data) - offset)))
    except ValueError:
        offset, length = -1, -1
    if offset < 0 or length < 0 or offset + length > len(data):
        raise ModelError(
            f"{what} lies at {entries.get('offset')!r} with {entries.get('length')!r} bytes in a "
            f"file of {len(data)}: which is outside the file; export the model again"
        )
    return data[offset : offset + length]


def _tensors(model: Any) -> Iterator[Any]:
    for graph in subgraphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        yield from _attribute_tensors(graph.node)
    for function in model.functions:
        yield from _attribute_tensors(function.node)


def _attribute_tensors(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
