"""The golden image of a model: chosen at the export, tested with what the vehicle runs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, BackendOptions
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.model_store.model_store import load_model
from terrain_training.data.dataset import LabelledImages

log = logging.getLogger(__name__)


def write_golden(reference: Backend, images: LabelledImages, path: Path) -> None:
    """Write the surest of the images with the most labelled classes, and its float32 mask.

    Where the network is sure, no sound runtime changes the mask, so the self-test is sharp.

    Raises:
        ModelError: the network gives the same class everywhere.
    """
    best: tuple[tuple[int, float], U8, U8] | None = None
    for place in range(len(images)):
        tensor, truth = images.pair(place)
        output = reference(tensor[None])
        if len(np.unique(output.mask)) < 2:
            continue
        key = (len(np.unique(truth[truth != IGNORE])), float(output.confidence.mean()))
        if best is None or key > best[0]:
            best = (key, tensor, output.mask[0].copy())
    if best is None:
        raise ModelError(
            "the network gives one class only on every validation image; train longer before "
            "exporting"
        )
    np.savez_compressed(path, image=best[1], mask=best[2])


def check_golden_files(folder: Path, card: ModelCard) -> None:
    """Run the vehicle's own self-test in every backend and precision that was scored.

    Raises:
        ModelError: float32 fails it; a lower precision that does is logged.
    """
    model = load_model(folder)
    for row in card.metrics["parity"]:
        options = BackendOptions(torch.get_num_threads(), row["precision"])
        try:
            create_backend(row["backend"], model, options).close()
        except ModelError as error:
            if row["precision"] == FULL_PRECISION:
                raise
            log.warning("%s", error)
