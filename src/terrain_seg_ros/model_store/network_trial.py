"""Run a network for the first time where it can do no harm: in a process with a deadline."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.model_store.onnx_contract import INPUT, Border, Tensor, unreadable
from terrain_seg_ros.model_store.onnxruntime_errors import runtime_reason


class NetworkTrial(NamedTuple):
    """The outcome of a first run; `error` is empty if it succeeded."""

    border: Border
    error: str


ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
_SCRIPT = Path(__file__).with_name("trial_process.py")
_known: dict[str, NetworkTrial] = {}
"""The answers of this process's lifetime: the same bytes need no second trial."""


def try_network(
    data: bytes,
    image: NDArray[Any],
    *,
    name: str = INPUT,
    deadline_s: float,
    source: str,
    runtime: str = ONNXRUNTIME,
) -> NetworkTrial:
    """Run a network once, in a process of its own.

    Args:
        data: the ONNX file.
        image: its input.
        name: of the input.
        deadline_s: from the start of the process to its answer.
        source: the network's path, for messages.
        runtime: onnxruntime, or openvino, which does not report inputs and outputs.

    Raises:
        ModelError: ONNX Runtime refuses it, or it crashes or does not end in time.
        InferenceError: no process can be started.
    """
    key = f"{hashlib.sha256(data).hexdigest()} {image.shape} {image.dtype} {name} {runtime}"
    if key in _known:
        return _known[key]
    request = {
        "path": [place for place in sys.path if place],
        "runtime": runtime,
        "input": name,
        "dtype": str(image.dtype),
        "shape": image.shape,
        "deadline_s": deadline_s,
    }
    given = b"".join((json.dumps(request).encode(), b"\n", image.tobytes(), data))
    answer = _answer(given, deadline_s, f"{source} in {runtime}")
    try:
        if answer["unreadable"]:
            raise unreadable(str(answer["unreadable"]), source)
        border = Border(
            *([Tensor(*item) for item in answer[side]] for side in ("inputs", "outputs"))
        )
        trial = NetworkTrial(border, runtime_reason(str(answer["error"])))
    except (KeyError, TypeError) as error:
        raise _failed(source, f"its first run gave no answer ({error})") from error
    return _known.setdefault(key, trial)


def _answer(given: bytes, deadline_s: float, source: str) -> dict[str, Any]:
    """Return what the process says of the network."""
    try:
        # A session of its own: an interrupt at the terminal reaches this process alone.
        process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise InferenceError(
            f"no process can be started to try the network ({error.strerror}); free some memory "
            "or processes"
        ) from error
    with process:
        try:
            printed, _ = process.communicate(given, timeout=deadline_s)
        except subprocess.TimeoutExpired:
            raise _failed(
                source,
                f"its first run took longer than {deadline_s:g} s and was ended; use a smaller "
                "one, or raise model_test_deadline_s if it is only slow",
            ) from None
        finally:
            process.kill()
    if process.returncode < 0:
        raise _failed(
            source,
            f"its first run ended by {signal.Signals(-process.returncode).name}; it makes the "
            "runtime crash or needs too much memory: export it again",
        )
    try:
        answer: dict[str, Any] = json.loads(printed.splitlines()[-1])
    except (IndexError, ValueError):
        raise _failed(
            source, f"its first run ended with code {process.returncode} and no answer"
        ) from None
    return answer


def _failed(source: str, reason: str) -> ModelError:
    return ModelError(f"{source}: the network cannot be used: {reason}")
