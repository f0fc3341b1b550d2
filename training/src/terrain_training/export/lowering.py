"""From the float32 file of an export to one of lower precision that keeps the rule."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import PRECISIONS
from terrain_seg_ros.core.scores.segmentation_metrics import ConfusionMatrix
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_training.data.dataset import LabelledImages
from terrain_training.export.concat_split import split_concatenations
from terrain_training.export.half import to_float16
from terrain_training.export.onnx_graph import check_graph
from terrain_training.export.parity import Comparison, Expected, ParityRow, expected_of
from terrain_training.export.quantisation import Activations, calibrate
from terrain_training.export.runtimes import file_backends, lowered_model, reference_backend
from terrain_training.export.sensitivity import Choice, Sensitivity, choose_nodes, drop_worst

log = logging.getLogger(__name__)

TRIAL_IMAGES = 4
SEARCH_IMAGES = 256
_FP16_REMARK = (
    "a CPU may compute a float16 file in float32, then its parity is that of the rounded weights "
    "alone: measure again on the device that computes in float16"
)
_INT8_REMARK = (
    "which nodes are int8 was chosen on images of the validation split, which the figures are of "
    "as well: expect a little more loss elsewhere"
)


@dataclass(frozen=True)
class Lowered:
    """A graph of lower precision and what its card says about it."""

    model: onnx.ModelProto
    notes: dict[str, Any] = field(default_factory=dict)


def check_precision(precision: str) -> None:
    """Check that a file of this precision can be written.

    Raises:
        ConfigError: it cannot.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}, expected one of {list(PRECISIONS)}")
    if precision == "bf16":
        raise ConfigError(
            "precision is 'bf16', but ONNX knows no bfloat16 convolution before opset 22 and the "
            "vehicle's runtimes read opset 17; export fp32 (with export.round_to_bfloat16 in the "
            "recipe) and let the runtime compute in bf16, or choose fp16"
        )


def lower_to_fp16(path: Path) -> Lowered:
    """Return the typed float16 graph of a float32 file."""
    model = to_float16(onnx.load(str(path)))
    check_graph(model)
    return Lowered(model, {"activations": "fp16", "remark": _FP16_REMARK})


class Int8Lowering:
    """Find the nodes of one float32 model that bear int8."""

    def __init__(
        self, model: LoadedModel, images: LabelledImages, activations: Activations
    ) -> None:
        """Take the float32 model and labelled validation images."""
        self._model = model
        self._images = images
        self._activations = activations
        self._taxonomy = model.card.taxonomy

    def lower(self, path: Path, calibration: U8) -> Lowered:
        """Return the int8 graph that keeps the rule with the most work in int8.

        Where none keeps it, the best is returned and a warning is logged.

        Args:
            path: of the float32 file.
            calibration: (N, h, w, C) images of the training split.
        """
        split = split_concatenations(onnx.load(str(path)))
        parted = path.with_name("split.onnx")
        onnx.save(split, str(parted))
        ranges = calibrate(parted, calibration)
        parted.unlink()
        log.info("calibrated on %d training images by %s", len(calibration), ", ".join(ranges))
        sensitivity = Sensitivity(split, ranges, self._activations)
        places = np.linspace(0, len(self._images) - 1, min(TRIAL_IMAGES, len(self._images)))
        trial = np.stack([self._images.pair(int(place))[0] for place in places])
        ranked = sensitivity.rank(trial, torch.get_num_threads())
        choice = choose_nodes(sensitivity, ranked, self._judge(SEARCH_IMAGES))
        if len(self._images) > SEARCH_IMAGES:
            choice = self._verified(sensitivity, choice)
        if not choice.holds:
            _warn(choice)
        check_graph(choice.model)
        notes = _notes(choice, len(calibration), self._activations)
        searched = min(SEARCH_IMAGES, len(self._images))
        return Lowered(choice.model, {**notes, "search_images": searched, "remark": _INT8_REMARK})

    def _verified(self, sensitivity: Sensitivity, choice: Choice) -> Choice:
        """Score on all images, and drop nodes while the rule does not hold there."""
        judge = self._judge(len(self._images))
        rows = tuple(judge(choice.model))
        holds = all(row.keeps_rule() for row in rows)
        choice = dataclasses.replace(choice, rows=rows, holds=holds)
        while not choice.holds:
            log.info("over all images the rule does not hold: %s", rows)
            fewer = drop_worst(sensitivity, choice, judge)
            if fewer is choice:
                break
            choice = fewer
        return choice

    def _judge(self, count: int) -> _Judge:
        places = np.linspace(0, len(self._images) - 1, min(count, len(self._images)))
        return _Judge(self._model, self._images, [int(place) for place in places], self._taxonomy)


class _Judge:
    """Score candidates in every runtime on the same images; float32 runs once."""

    def __init__(
        self,
        model: LoadedModel,
        images: LabelledImages,
        places: Sequence[int],
        taxonomy: Taxonomy,
    ) -> None:
        self._card = dataclasses.replace(model.card, precision="int8")
        self._images, self._places, self._taxonomy = images, places, taxonomy
        confusion = ConfusionMatrix(taxonomy.names)
        reference = reference_backend(model)
        self._expected: list[Expected] = []
        for place in places:
            tensor, mask = images.pair(place)
            self._expected.append(expected_of(reference(tensor[None])))
            confusion.add(mask, self._expected[-1].mask[0])
        reference.close()
        self._scores = confusion.scores()

    def __call__(self, candidate: onnx.ModelProto) -> list[ParityRow]:
        backends = file_backends(lowered_model(candidate.SerializeToString(), self._card))
        rows = [Comparison(backend, self._taxonomy) for backend in backends]
        for place, expected in zip(self._places, self._expected):
            tensor, mask = self._images.pair(place)
            for row in rows:
                row.add(tensor[None], mask[None], expected)
        results = [row.result(self._scores) for row in rows]
        for backend in backends:
            backend.close()
        return results


def _warn(choice: Choice) -> None:
    log.warning(
        "NO CHOICE OF NODES KEEPS THE RULE OF REDUCED PRECISION; the best has %d nodes in int8 and "
        "the vehicle will not choose it by itself: %s",
        len(choice.chosen),
        choice.rows,
    )


def _notes(choice: Choice, images: int, activations: Activations) -> dict[str, Any]:
    return {
        "activations": activations.value,
        "weights": "int8, symmetric, per channel",
        "calibration_images": images,
        "calibration_split": "training",
        "calibration_methods": dict(Counter(item.method for item in choice.chosen)),
        "rule_holds": choice.holds,
        "int8_nodes": len(choice.chosen),
        "int8_work_share": round(choice.work_share, 4),
        "float_nodes": {item.node.name: round(item.snr_db, 1) for item in choice.kept},
    }
