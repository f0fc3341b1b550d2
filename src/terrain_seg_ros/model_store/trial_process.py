"""The process in which an untrusted network runs for the first time.

It is started by its path, isolated, and imports nothing of this package. Standard input holds a
line of JSON (see `main`), then the image's bytes, then the ONNX file. The last line of standard
output is JSON: `unreadable` (why no session opened), `inputs` and `outputs` (name, type, shape)
and `error` (why the run failed); the reasons are empty where all went well.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

RESERVED_BYTES = 4 * 2**30
"""Of address space that runtimes reserve without using it; half the machine's memory comes on top.
A network that asks for more fails here and not in the node."""
_GRACE_S = 5
_OUT_OF_MEMORY_FIRST = "1000"


def main() -> None:
    """Read the network, run it once and say how that went.

    The line of JSON holds `path` (for imports), `runtime` (onnxruntime or openvino), `input` (a
    name), `dtype` (of NumPy), `shape` and `deadline_s`, after which this process ends even where
    its parent no longer watches it.
    """
    request = json.loads(sys.stdin.buffer.readline())
    signal.alarm(math.ceil(request["deadline_s"]) + _GRACE_S)
    limit = RESERVED_BYTES + os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_FIRST, encoding="ascii")
    sys.path[:] = request["path"]
    sys.stdout.write(json.dumps(_run(request)) + "\n")
    sys.stdout.flush()


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """Open and run the network, and return the answer."""
    numpy = importlib.import_module("numpy")
    dtype = numpy.dtype(request["dtype"])
    size = math.prod(request["shape"]) * dtype.itemsize
    image = numpy.frombuffer(sys.stdin.buffer.read(size), dtype).reshape(request["shape"])
    data = sys.stdin.buffer.read()
    run = {"onnxruntime": _onnxruntime, "openvino": _openvino}[request["runtime"]]
    answer: dict[str, Any] = {"unreadable": "", "inputs": [], "outputs": [], "error": ""}
    return {**answer, **run(data, request["input"], image)}


def _onnxruntime(data: bytes, name: str, image: Any) -> dict[str, Any]:
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # noqa: BLE001
        # The runtime's errors share no class of their own, and this process ends here anyway.
        return {"unreadable": _line(error)}
    inputs, outputs = (
        [[item.name, item.type, list(item.shape)] for item in items]
        for items in (session.get_inputs(), session.get_outputs())
    )
    answer = {"inputs": inputs, "outputs": outputs}
    try:
        session.run(None, {name: image})
    except Exception as error:  # noqa: BLE001
        return {**answer, "error": _line(error)}
    return answer


def _openvino(data: bytes, name: str, image: Any) -> dict[str, Any]:
    runtime = importlib.import_module("openvino")
    try:
        core = runtime.Core()
        graph = core.read_model(data)
        graph.reshape({name: list(image.shape)})
        request = core.compile_model(graph, "CPU").create_infer_request()
        request.infer({name: image.copy()})
    except Exception as error:  # noqa: BLE001
        return {"error": _line(error)}
    return {}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:4000] or type(error).__name__


if __name__ == "__main__":
    main()
