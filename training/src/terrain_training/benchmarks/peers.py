"""What others do with the same network: plain PyTorch, compiled, and numpy around ONNX Runtime."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import AUTO, FULL_PRECISION, BackendOptions
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.segmenter import Segmenter
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.run_folder import RunFolder
from terrain_training.networks.registry import build_network
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe

WARM_UP_CALLS = 3
SETTLING_IMAGES = 4
COMPILED = "PyTorch compiled"
OPSET = 17

Peer = Callable[[U8], U8]
"""Takes an image (H, W) or (H, W, 3), returns its mask (H, W)."""


@dataclass(frozen=True)
class PeerTime:
    """The median milliseconds from image to mask; with an `error` there is none."""

    name: str
    median_ms: float | None
    error: str | None


def time_peers(
    source: Path, model: Path, image: U8, *, rounds: int, threads: int, compiled: bool
) -> tuple[PeerTime, ...]:
    """Time our way with an exported model and the usual ways with its network in PyTorch.

    All take turns on the same image, in one process. Ours is what `auto` takes, and
    float32 besides, if that is something else.

    Args:
        source: folder of the run, or its recipe: then the network's weights are random, which
            changes nothing in how long it takes.
        model: exported from it.
        image: (H, W) or (H, W, 3).
        rounds: timed calls of each.
        threads: 0 leaves it to the runtimes.
        compiled: time `torch.compile` too, which takes a minute.

    Raises:
        ConfigError: run, weights or recipe cannot be used.
        ModelError: the exported model cannot be used.
        InferenceError: no backend can run it.
    """
    recipe, network = _network(source, model)
    if threads > 0:
        torch.set_num_threads(threads)
    with ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for precision in (AUTO, FULL_PRECISION):
            ours = stack.enter_context(
                Segmenter(model, options=BackendOptions(threads=threads, precision=precision))
            )
            peers[f"terrain_seg_ros, {ours.backend} {ours.precision}"] = partial(_mask, ours)
            if ours.precision == FULL_PRECISION:
                break
        peers["PyTorch eager"] = TorchPeer(network, recipe)
        peers["numpy around ONNX Runtime"] = NumpyPeer(network, recipe, threads=threads)
        failed = []
        if compiled:
            failed = _add_compiled(peers, network, recipe, image)
        return (*_in_turns(peers, image, rounds), *failed)


class TorchPeer:
    """The usual code of notebooks: scale in float, enlarge the logits, softmax, argmax."""

    def __init__(self, network: Callable[[Tensor], Tensor], recipe: Recipe) -> None:
        """Take a network in eval mode, compiled or not."""
        self._network = network
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


class NumpyPeer:
    """The usual code of tutorial nodes: ONNX Runtime on float logits, all else in numpy."""

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
    values = np.atleast_3d(small) - np.asarray(data.mean, np.float32)
    values /= np.asarray(data.std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)


def _network(source: Path, model: Path) -> tuple[Recipe, nn.Module]:
    """Return recipe and network, of a run or, with random weights, of a recipe."""
    folder = RunFolder(source)
    if folder.snapshot.is_file():
        recipe, classes = folder.recipe(), len(folder.taxonomy())
        return recipe, load_network(folder.weights, recipe, classes=classes)
    recipe = load_recipe(source)
    network = build_network(
        recipe.network,
        in_channels=recipe.data.channel_count,
        classes=len(load_card(model).taxonomy),
    )
    _settle_norms(network, recipe)
    return recipe, network.eval()


@torch.no_grad()
def _settle_norms(network: nn.Module, recipe: Recipe) -> None:
    """Let the norms see noise: else activations fade, and denormal numbers are slow."""
    data = recipe.data
    random = torch.Generator().manual_seed(0)
    shape = (SETTLING_IMAGES, data.channel_count, data.height_px, data.width_px)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()
    network(torch.randn(shape, generator=random))


def _mask(segmenter: Segmenter, pixels: U8) -> U8:
    return segmenter(pixels).mask


def _add_compiled(
    peers: dict[str, Peer], network: nn.Module, recipe: Recipe, image: U8
) -> list[PeerTime]:
    """Add the compiled network; return why not where there is no compiler that can be used."""
    peer = TorchPeer(torch.compile(network), recipe)
    try:
        peer(image)
    except (RuntimeError, ImportError, OSError) as error:
        return [PeerTime(COMPILED, None, str(error).strip().splitlines()[0][:200])]
    peers[COMPILED] = peer
    return []


def _in_turns(peers: dict[str, Peer], image: U8, rounds: int) -> list[PeerTime]:
    times_ms: dict[str, list[float]] = {name: [] for name in peers}
    for turn in range(WARM_UP_CALLS + rounds):
        for name, peer in peers.items():
            start_s = time.perf_counter()
            mask = peer(image)
            if turn >= WARM_UP_CALLS:
                times_ms[name].append((time.perf_counter() - start_s) * 1e3)
            if mask.shape != image.shape[:2]:
                raise ConfigError(f"{name} gave {mask.shape} for an image of {image.shape[:2]}")
    return [PeerTime(name, statistics.median(values), None) for name, values in times_ms.items()]
