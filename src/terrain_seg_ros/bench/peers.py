"""The usual ways of running the same network, timed beside ours: from pixels to a mask."""

from __future__ import annotations

import importlib
import json
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import onnxruntime

from terrain_seg_ros.core.errors import ConfigError, InferenceError, TerrainSegError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.core.image.image_to_tensor import image_to_tensor
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import AUTO, FULL_PRECISION, BackendOptions
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.onnx_contract import INPUT, OUTPUTS
from terrain_seg_ros.segmenter import Segmenter

WARM_UP_ROUNDS = 3
PEERS_LIMIT_BYTES = 2**20
NUMPY = "numpy around ONNX Runtime, as in the Nav2 tutorial"
BARE = "ONNX Runtime alone, without image work"
CPU_PROVIDER = "CPUExecutionProvider"
GPU_PROVIDERS = {"CUDAExecutionProvider": "CUDA", "TensorrtExecutionProvider": "TensorRT"}
"""Execution providers of ONNX Runtime on an NVIDIA GPU, and what tables call them."""

Peer = Callable[[U8], object]
"""Takes an image (H, W, 3)."""


def time_peers(
    name: str, model: LoadedModel, image: U8, *, rounds: int, threads: int
) -> list[dict[str, Any]]:
    """Return the median milliseconds of each way, ours first; all take turns.

    Args:
        name: of the model, or its path.
        model: the same, loaded.
        image: (H, W, 3).
        rounds: timed calls of each.
        threads: 0 leaves it to the runtimes.

    Raises:
        ModelError: the model cannot be used.
        InferenceError: no backend can run it.
    """
    missing: list[dict[str, Any]] = []
    ways: dict[str, Peer] = {}
    with ExitStack() as stack:
        for precision in (AUTO, FULL_PRECISION):
            ours = stack.enter_context(
                Segmenter(name, options=BackendOptions(threads=threads, precision=precision))
            )
            ways[f"terrain_seg_ros, {ours.backend} {ours.precision}"] = ours
            if ours.precision == FULL_PRECISION:
                break
        try:
            ways[NUMPY] = NumpyPeer(model, threads)
        except TerrainSegError as error:
            missing.append({"name": NUMPY, "median_ms": None, "error": str(error)})
        ways[BARE] = bare_call(model, image, threads)
        for provider in gpu_providers():
            way = bare_on_gpu(provider)
            try:
                ways[way] = bare_call(model, image, threads, provider)
            except InferenceError as error:
                missing.append({"name": way, "median_ms": None, "error": str(error)})
        found = _in_turns(ways, image, rounds)
    rows = [{"name": way, "median_ms": value, "error": None} for way, value in found.items()]
    return rows + missing


class NumpyPeer:
    """Do what tutorial nodes do: float planes by numpy, ONNX Runtime, softmax by numpy.

    Re-implemented from the description of the Nav2 tutorial's segmentation node, with the image
    fitted to the network, which that node leaves out.
    """

    def __init__(self, model: LoadedModel, threads: int) -> None:
        """Cut the network out of the model and load it as tutorials do.

        Raises:
            ConfigError: the package onnx is not installed.
            ModelError: the graph has another form.
            InferenceError: the model has only a card.
        """
        try:
            wrap = importlib.import_module("terrain_seg_ros.model_tools.wrap.logits_graph")
        except ImportError as error:
            raise ConfigError(f"needs the package onnx ({error}): pip install onnx") from error
        self._card = model.card
        self._session = _session(wrap.logits_graph(model), threads)
        self._name = self._session.get_inputs()[0].name

    def __call__(self, pixels: U8) -> tuple[U8, U8]:
        """Return mask and confidence (H, W)."""
        card = self._card
        seen = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if card.channels == "grey" else pixels
        small = np.atleast_3d(cv2.resize(seen, (card.width_px, card.height_px)))
        planes = np.ascontiguousarray(small.transpose(2, 0, 1)[None], dtype=np.float32)
        logits = self._session.run(None, {self._name: planes})[0][0]
        shifted = np.exp(logits - logits.max(axis=0))
        probabilities = shifted / shifted.sum(axis=0)
        mask = probabilities.argmax(axis=0).astype(np.uint8)
        confidence = (probabilities.max(axis=0) * 255.0).astype(np.uint8)
        size = (pixels.shape[1], pixels.shape[0])
        return _enlarged(mask, size), _enlarged(confidence, size)


def read_peers(path: Path) -> dict[str, Any]:
    """Return what `terrain-train peers --json` wrote.

    Raises:
        ConfigError: the file is missing, too large, or something else.
    """
    try:
        content = json.loads(read_regular_file(path, PEERS_LIMIT_BYTES))
        ways = [_way(item) for item in content["ways"]]
        if not ways:
            raise ValueError("no way was timed")
        return {"size": str(content["size"]), "ways": ways}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not what `terrain-train peers --json` writes ({error})"
        ) from error


def _way(item: dict[str, Any]) -> dict[str, Any]:
    median_ms = item["median_ms"]
    return {
        "name": str(item["name"]),
        "median_ms": None if median_ms is None else float(median_ms),
        "error": item["error"] and str(item["error"]),
    }


def gpu_providers() -> list[str]:
    """Return the providers on a GPU that the installed ONNX Runtime has."""
    available = onnxruntime.get_available_providers()
    return [provider for provider in GPU_PROVIDERS if provider in available]


def bare_on_gpu(provider: str) -> str:
    """Return the name of the way that runs ONNX Runtime alone in a provider on the GPU."""
    return f"ONNX Runtime alone in {GPU_PROVIDERS[provider]}, without image work"


def bare_call(model: LoadedModel, image: U8, threads: int, provider: str = CPU_PROVIDER) -> Peer:
    """Return a call of ONNX Runtime alone, on the input that an image (H, W, 3) gives.

    Raises:
        InferenceError: ONNX Runtime runs the model in another provider.
    """
    session = _session(model.graph(), threads, provider)
    used = session.get_providers()[0]
    if used != provider:
        raise InferenceError(
            f"ONNX Runtime runs it in {used} instead of {provider}; check its CUDA libraries with "
            "`terrain-seg doctor`"
        )
    feed = {INPUT: image_to_tensor(image, model.card)}
    return lambda _: session.run(OUTPUTS, feed)


def _session(data: bytes, threads: int, provider: str = CPU_PROVIDER) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=[provider])


def _enlarged(values: U8, size: tuple[int, int]) -> U8:
    resized = cv2.resize(values, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.uint8)


def _in_turns(ways: dict[str, Peer], image: U8, rounds: int) -> dict[str, float]:
    times_ms: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(WARM_UP_ROUNDS + rounds):
        for name, way in ways.items():
            start_s = perf_counter()
            way(image)
            if turn >= WARM_UP_ROUNDS:
                times_ms[name].append((perf_counter() - start_s) * 1e3)
    return {name: statistics.median(values) for name, values in times_ms.items()}
