"""Refuse networks that may run for ever or that read other files, before a runtime sees them.

Field numbers are those of onnx.proto. A message that comes twice is merged by protobuf, so every
occurrence is looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store.protobuf_fields import fields

MAX_NODES = 100_000
"""Operators of the graph, after every function is put in the place of its calls."""
MAX_FUNCTIONS = 2_000
MAX_FIELDS = 2_000_000
"""Of the walk: it ends within seconds, whatever the file says."""
LOOPS = frozenset({b"If", b"Loop", b"Scan", b"SequenceMap"})
"""The operators of ONNX that run graphs of their own."""

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_FUNCTION_NAME, _FUNCTION_NODE, _FUNCTION_DOMAIN, _FUNCTION_ATTRIBUTE = 1, 7, 10, 11
_NODE_OP_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_SPARSE_TENSORS = (1, 2)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14

_Name = tuple[bytes, bytes]
"""Domain and name of an operator or function."""


def check_network(
    data: bytes, *, source: str, may_read_files: bool = False, remedy: str = "export it again"
) -> None:
    """Check that a network is one fixed sequence of operators, with all its numbers inside.

    Args:
        data: the ONNX file.
        source: its path, for messages.
        may_read_files: whether tensors may be in files beside it; the caller looks after them.
        remedy: ends the message about a file that is not ONNX.

    Raises:
        ModelError: it has loops or branches, functions that call themselves or grow beyond
            `MAX_NODES` operators, or tensors in other files, or is not an ONNX file.
    """
    try:
        _Walk(source, may_read_files).check(memoryview(data))
    except (IndexError, ValueError) as error:
        raise ModelError(f"{source}: is not an ONNX model; {remedy}") from error


class _Walk:
    """Look at everything in a file that can hold operators or tensors."""

    def __init__(self, source: str, may_read_files: bool) -> None:
        self._source = source
        self._may_read_files = may_read_files
        self._fields = self._nodes = 0

    def check(self, model: memoryview) -> None:
        graph = Counter[_Name]()
        functions: dict[_Name, Counter[_Name]] = {}
        for number, message in self._messages(model, (_MODEL_GRAPH, _MODEL_FUNCTION)):
            if number == _MODEL_GRAPH:
                self._graph(message, graph)
                continue
            name = (self._text(message, _FUNCTION_DOMAIN), self._text(message, _FUNCTION_NAME))
            self._function(message, functions.setdefault(name, Counter()))
            if len(functions) > MAX_FUNCTIONS:
                raise self._too_large()
        self._check_size(graph, functions)

    def _graph(self, graph: memoryview, calls: Counter[_Name]) -> None:
        for number, message in self._messages(
            graph, (_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE)
        ):
            if number == _GRAPH_NODE:
                self._node(message, calls)
            elif number == _GRAPH_INITIALIZER:
                self._tensor(message)
            else:
                self._sparse_tensor(message)

    def _function(self, function: memoryview, calls: Counter[_Name]) -> None:
        for number, message in self._messages(function, (_FUNCTION_NODE, _FUNCTION_ATTRIBUTE)):
            if number == _FUNCTION_NODE:
                self._node(message, calls)
            else:
                self._attribute(message, b"a function")

    def _node(self, node: memoryview, calls: Counter[_Name]) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._too_large()
        operator = self._text(node, _NODE_OP_TYPE)
        calls[self._text(node, _NODE_DOMAIN), operator] += 1
        if operator in LOOPS:
            raise self._has_graphs(operator)
        for _, attribute in self._messages(node, (_NODE_ATTRIBUTE,)):
            self._attribute(attribute, operator)

    def _attribute(self, attribute: memoryview, operator: bytes) -> None:
        wanted = (*_ATTRIBUTE_TENSORS, *_ATTRIBUTE_GRAPHS, *_ATTRIBUTE_SPARSE)
        for number, message in self._messages(attribute, wanted):
            if number in _ATTRIBUTE_GRAPHS:
                raise self._has_graphs(operator)
            if number in _ATTRIBUTE_TENSORS:
                self._tensor(message)
            else:
                self._sparse_tensor(message)

    def _sparse_tensor(self, sparse: memoryview) -> None:
        for _, tensor in self._messages(sparse, _SPARSE_TENSORS):
            self._tensor(tensor)

    def _tensor(self, tensor: memoryview) -> None:
        for number, value in self._all(tensor):
            outside = number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0)
            if outside and not self._may_read_files:
                raise ModelError(
                    f"{self._source}: keeps tensors in other files, which no hash covers; export "
                    "it again as one file"
                )

    def _check_size(self, graph: Counter[_Name], functions: dict[_Name, Counter[_Name]]) -> None:
        """Count the operators after inlining, the innermost functions first."""
        sizes: dict[_Name, int] = {}
        left = dict(functions)
        while left:
            ready = [name for name, calls in left.items() if left.keys().isdisjoint(calls)]
            if not ready:
                names = sorted(name.decode(errors="replace")[:80] for _, name in left)[:5]
                raise ModelError(
                    f"{self._source}: functions {names} call themselves; export the network "
                    "without functions of its own"
                )
            for name in ready:
                sizes[name] = min(MAX_NODES + 1, _size(left.pop(name), sizes))
        if _size(graph, sizes) > MAX_NODES:
            raise self._too_large()

    def _text(self, message: memoryview, wanted: int) -> bytes:
        """Return a text; of several the last one holds, as for protobuf."""
        found = b""
        for _, value in self._messages(message, (wanted,)):
            found = bytes(value)
        return found

    def _messages(
        self, message: memoryview, wanted: Collection[int]
    ) -> Iterator[tuple[int, memoryview]]:
        for number, value in self._all(message):
            if number in wanted and isinstance(value, memoryview):
                yield number, value

    def _all(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        for item in fields(message):
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise self._too_large()
            yield item

    def _has_graphs(self, operator: bytes) -> ModelError:
        return ModelError(
            f"{self._source}: has the operator {operator.decode(errors='replace')[:80]!r}, which "
            "runs a graph of its own and may never end; export the network without loops and "
            "branches (PyTorch: call eval(), and trace it with a fixed size)"
        )

    def _too_large(self) -> ModelError:
        return ModelError(
            f"{self._source}: has more than {MAX_NODES} operators, {MAX_FUNCTIONS} functions or "
            f"{MAX_FIELDS} fields; a network for images has some hundred operators: check that "
            "this is the right file"
        )


def _size(calls: Counter[_Name], sizes: dict[_Name, int]) -> int:
    return sum(count * sizes.get(name, 1) for name, count in calls.items())
