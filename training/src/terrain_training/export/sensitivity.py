"""Which nodes of a network bear int8: each tried alone, the best kept, by what they save."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backends.openvino_backend import shared_core
from terrain_training.export.parity import ParityRow
from terrain_training.export.quantisation import (
    Activations,
    Ranges,
    WeightedNode,
    quantise,
    weighted_nodes,
)

log = logging.getLogger(__name__)

Logits = NDArray[np.float32]
Judge = Callable[[onnx.ModelProto], list[ParityRow]]
"""Scores a candidate in every runtime against float32."""


@dataclass(frozen=True)
class RankedNode:
    """What one node alone does to the logits when it becomes int8.

    `noise` is the power of the error over the power of the logits, the worst of the runtimes;
    `method` the calibration that gives the least.
    """

    node: WeightedNode
    method: str
    noise: float

    @property
    def snr_db(self) -> float:
        """Return signal to noise in decibels."""
        return float(-10.0 * np.log10(max(self.noise, 1e-12)))


@dataclass(frozen=True)
class Choice:
    """The nodes that became int8 and those that did not, best first, and the rule's figures.

    `holds` is False where no choice keeps the rule.
    """

    model: onnx.ModelProto
    chosen: tuple[RankedNode, ...]
    kept: tuple[RankedNode, ...]
    rows: tuple[ParityRow, ...]
    holds: bool

    @property
    def work_share(self) -> float:
        """Return the share of the multiplications that happen in int8."""
        done = sum(item.node.work for item in self.chosen)
        return done / max(1, done + sum(item.node.work for item in self.kept))


class Sensitivity:
    """Build candidates of one network, and rank its nodes."""

    def __init__(
        self, model: onnx.ModelProto, ranges: Mapping[str, Ranges], activations: Activations
    ) -> None:
        """Take the float32 network and its ranges by each method of calibration."""
        self._model = model
        self._ranges = ranges
        self._activations = activations

    def rank(self, images: U8, threads: int) -> list[RankedNode]:
        """Return all nodes, least noise per multiplication saved first.

        Raises:
            ModelError: the graph has no node that may become int8.
        """
        nodes = weighted_nodes(self._model)
        if not nodes:
            raise ModelError("the network has no convolution or matrix that could become int8")
        logits = logits_name(self._model)
        expected = _run_onnxruntime(_with_output(self._model, logits), images, threads)
        ranked = []
        for node in nodes:
            trials = {
                method: _noise(
                    expected, _run_onnxruntime(self._alone(node, method, logits), images, threads)
                )
                for method in self._ranges
            }
            method = min(trials, key=lambda name: trials[name])
            other = _run_openvino(self._alone(node, method, logits), images, threads)
            noise = max(trials[method], _noise(expected, other))
            ranked.append(RankedNode(node, method, noise))
            log.info(
                "%s alone in int8: %.1f dB by %s (%s)",
                node.name,
                ranked[-1].snr_db,
                method,
                ", ".join(f"{name} {value:.2g}" for name, value in trials.items()),
            )
        return sorted(ranked, key=lambda item: item.noise / item.node.work)

    def build(self, nodes: Sequence[RankedNode]) -> onnx.ModelProto:
        """Return the network with some nodes in int8, each with its own method's range."""
        ranges = dict(self._ranges[nodes[0].method])
        for item in reversed(nodes):
            features = item.node.features
            ranges[features] = self._ranges[item.method][features]
        names = [item.node.name for item in nodes]
        return quantise(self._model, ranges, names, self._activations)

    def _alone(self, node: WeightedNode, method: str, logits: str) -> bytes:
        model = quantise(self._model, self._ranges[method], [node.name], self._activations)
        return _with_output(model, logits)


def choose_nodes(sensitivity: Sensitivity, ranked: Sequence[RankedNode], judge: Judge) -> Choice:
    """Return the most nodes in int8 that keep the rule of reduced precision, by bisection.

    Where none does, the candidate that changes the fewest clear pixels is returned.
    """
    tried: dict[int, Choice] = {}

    def trial(count: int) -> Choice:
        model = sensitivity.build(ranked[:count])
        rows = tuple(judge(model))
        holds = all(row.keeps_rule() for row in rows)
        choice = Choice(model, tuple(ranked[:count]), tuple(ranked[count:]), rows, holds)
        tried[count] = choice
        log.info(
            "%d of %d nodes in int8, %.0f %% of the work: %s; %s",
            count,
            len(ranked),
            100 * choice.work_share,
            "the rule holds" if holds else "the rule does not hold",
            "; ".join(_figures(row) for row in rows),
        )
        return choice

    if trial(len(ranked)).holds:
        return tried[len(ranked)]
    good, bad = 0, len(ranked)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if trial(middle).holds else (good, middle)
    return tried[good] if good else min(tried.values(), key=_worst_change)


def drop_worst(sensitivity: Sensitivity, choice: Choice, judge: Judge) -> Choice:
    """Return a choice with a tenth fewer nodes in int8; the same one if there is but one left."""
    count = len(choice.chosen)
    fewer = min(count - 1, int(count * 0.9))
    if fewer < 1:
        return choice
    model = sensitivity.build(choice.chosen[:fewer])
    rows = tuple(judge(model))
    kept = (*choice.chosen[fewer:], *choice.kept)
    holds = all(row.keeps_rule() for row in rows)
    return Choice(model, choice.chosen[:fewer], kept, rows, holds)


def logits_name(model: onnx.ModelProto) -> str:
    """Return the tensor that the last softmax takes.

    Raises:
        ModelError: the graph has none.
    """
    for node in reversed(model.graph.node):
        if node.op_type == "Softmax":
            return str(node.input[0])
    raise ModelError("the graph has no softmax; export the network with terrain-train")


def _worst_change(choice: Choice) -> float:
    return max(row.clear_margin_changed for row in choice.rows)


def _figures(row: ParityRow) -> str:
    return (
        f"{row.backend} loses {row.mean_iou_loss:.4f} of mean IoU and "
        f"{row.dangerous_recall_loss:.4f} of dangerous recall, {row.clear_margin_changed:.5f} of "
        "the clear pixels change"
    )


def _with_output(model: onnx.ModelProto, name: str) -> bytes:
    """Return the graph's bytes with one more output."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return bytes(copy.SerializeToString())


def _run_onnxruntime(data: bytes, images: U8, threads: int) -> Logits:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name = session.get_outputs()[-1].name
    return np.concatenate([session.run([name], {"image": image[None]})[0] for image in images])


def _run_openvino(data: bytes, images: U8, threads: int) -> Logits:
    core = shared_core()
    graph = core.read_model(data)
    graph.reshape({"image": [1, *images.shape[1:]]})
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled: Any = core.compile_model(graph, "CPU", settings)
    last = len(compiled.outputs) - 1
    return np.concatenate([compiled({"image": image[None]})[last].copy() for image in images])


def _noise(expected: Logits, given: Logits) -> float:
    power = float(np.mean(np.square(expected - expected.mean())))
    noise = float(np.mean(np.square(given - expected))) / max(power, 1e-12)
    return noise if np.isfinite(noise) else float("inf")
