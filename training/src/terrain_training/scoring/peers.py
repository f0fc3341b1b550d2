"""What others do with the same network: plain PyTorch, compiled, and numpy around ONNX Runtime."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.segmenter import Segmenter
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.settings import Recipe

WARM_UP_CALLS = 3
OPSET = 17

Way = Callable[[U8], U8]
"""Takes an image (H, W) or (H, W, 3), returns its mask (H, W)."""


@dataclass(frozen=True)
class PeerTime:
    """Hold the median milliseconds from image to mask; with an `error` there is none."""

    name: str
    median_ms: float | None
    error: str | None


def time_peers(
    run: Path, model: Path, image: U8, *, rounds: int, threads: int, compiled: bool
) -> tuple[PeerTime, ...]:
    """Time our way with an exported model and the usual ways with the network it came from.

    All take turns on the same image, in one process.

    Args:
        run: folder of the run.
        model: exported from it.
        image: (H, W) or (H, W, 3).
        rounds: timed calls of each.
        threads: 0 leaves it to the runtimes.
        compiled: time `torch.compile` too, which takes a minute.

    Raises:
        ConfigError: run or weights cannot be used.
        ModelError: the exported model cannot be used.
        InferenceError: no backend can run it.
    """
    folder = RunFolder(run)
    recipe, taxonomy = folder.recipe(), folder.taxonomy()
    network = load_network(folder.weights, recipe, classes=len(taxonomy))
    if threads > 0:
        torch.set_num_threads(threads)
    with Segmenter(model, options=BackendOptions(threads=threads)) as segmenter:
        ways: dict[str, Way] = {
            f"terrain_seg_ros, {segmenter.backend} {segmenter.precision}": (
                lambda pixels: segmenter(pixels).mask
            ),
            "PyTorch eager": TorchWay(network, recipe),
            "numpy around ONNX Runtime": NumpyWay(network, recipe, threads=threads),
        }
        found = [_timed(name, way, image, rounds) for name, way in ways.items()]
    if compiled:
        found.append(_compiled(network, recipe, image, rounds))
    return tuple(found)


class TorchWay:
    """Do what notebooks do: scale in float, enlarge the logits, softmax, argmax."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        """Take a network in eval mode."""
        self._network = network.eval()
        self._recipe = recipe

    @torch.inference_mode()
    def __call__(self, pixels: U8) -> U8:
        """Return the mask (H, W)."""
        values = torch.from_numpy(_scaled(pixels, self._recipe))[None]
        logits: Tensor = self._network(values)
        size = (pixels.shape[0], pixels.shape[1])
        large = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        _, mask = large.softmax(dim=1).max(dim=1)
        return mask[0].to(torch.uint8).numpy()


class NumpyWay:
    """Do what tutorial nodes do: ONNX Runtime on float logits, everything else in numpy."""

    def __init__(self, network: nn.Module, recipe: Recipe, *, threads: int) -> None:
        """Write the network as ONNX, logits out, and load it."""
        self._recipe = recipe
        data = recipe.data
        shape = (1, data.channel_count, data.height_px, data.width_px)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder) / "logits.onnx"
            torch.onnx.export(
                network, (torch.zeros(shape),), path, opset_version=OPSET, dynamo=False
            )
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        self._name = self._session.get_inputs()[0].name

    def __call__(self, pixels: U8) -> U8:
        """Return the mask (H, W)."""
        values = _scaled(pixels, self._recipe)[None]
        logits = self._session.run(None, {self._name: values})[0][0]
        size = (pixels.shape[1], pixels.shape[0])
        large = np.stack([cv2.resize(plane, size) for plane in logits])
        shifted = np.exp(large - large.max(axis=0))
        probabilities = shifted / shifted.sum(axis=0)
        mask: U8 = probabilities.argmax(axis=0).astype(np.uint8)
        return mask


def _scaled(pixels: U8, recipe: Recipe) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the network's input (C, h, w) as notebooks make it."""
    data = recipe.data
    if pixels.ndim == 3 and data.channels == "grey":
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    elif pixels.ndim == 2 and data.channels == "rgb":
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    small = cv2.resize(pixels, (data.width_px, data.height_px)).astype(np.float32)
    values = (np.atleast_3d(small) - np.float32(data.mean)) / np.float32(data.std)
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)


def _compiled(network: nn.Module, recipe: Recipe, image: U8, rounds: int) -> PeerTime:
    name = "PyTorch compiled"
    try:
        return _timed(name, TorchWay(torch.compile(network), recipe), image, rounds)
    except (RuntimeError, ImportError, OSError) as error:  # no compiler, or one it cannot use
        return PeerTime(name, None, str(error).strip().splitlines()[0][:200])


def _timed(name: str, way: Way, image: U8, rounds: int) -> PeerTime:
    times_ms = []
    try:
        for turn in range(WARM_UP_CALLS + rounds):
            start_s = time.perf_counter()
            mask = way(image)
            if turn >= WARM_UP_CALLS:
                times_ms.append((time.perf_counter() - start_s) * 1e3)
    except TerrainSegError as error:
        return PeerTime(name, None, str(error))
    if mask.shape != image.shape[:2]:
        raise ConfigError(f"{name} gave a mask of {mask.shape} for an image of {image.shape[:2]}")
    return PeerTime(name, statistics.median(times_ms), None)
