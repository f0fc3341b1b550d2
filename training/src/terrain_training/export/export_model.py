"""From a run to a model that flies: ONNX file, card, golden image and README."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard, Precision, card_content, parse_model_card
from terrain_seg_ros.core.segmentation_metrics import IGNORE
from terrain_seg_ros.core.tensor_to_probabilities import Backend
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import FULL_PRECISION
from terrain_seg_ros.inference.loaded_model import LoadedModel
from terrain_seg_ros.inference.model_store import CARD_FILE, GOLDEN_FILE, ONNX_FILE
from terrain_training.data.dataset import LabelledImages
from terrain_training.data.factory import keep_palette
from terrain_training.evaluation.ood import ood_score
from terrain_training.export.calibration import fit_temperature
from terrain_training.export.card import (
    card_metrics,
    lowered_card,
    reference_figures,
    unscored_card,
)
from terrain_training.export.folding import fold_network, round_to_bfloat16
from terrain_training.export.golden import check_golden_files, write_golden
from terrain_training.export.lowering import (
    Int8Lowering,
    Lowered,
    check_precision,
    lower_to_fp16,
)
from terrain_training.export.model_readme import model_readme
from terrain_training.export.onnx_graph import DeployedNetwork, write_onnx
from terrain_training.export.parity import (
    ModelScores,
    Run,
    batches,
    check_batch,
    check_float32,
    check_rounding,
    score_model,
    stacked,
)
from terrain_training.export.quantisation import Activations
from terrain_training.export.runtimes import (
    TorchFloat32,
    file_backends,
    openvino_backends,
    reference_backend,
    unscored_model,
)
from terrain_training.export.speed import bare_calls
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.loaders import OpenData, open_data
from terrain_training.learning.run_folder import RunFolder
from terrain_training.learning.weights_hdf5 import write_hdf5
from terrain_training.recipe.settings import Recipe

log = logging.getLogger(__name__)

PARITY_IMAGES = 16
TYPICAL_IMAGES = 32
OOD_IMAGES = 256
CALIBRATION_IMAGES = 32
BATCH = 8
HDF5_FILE = "weights.h5"
_FLOAT32_FILE = "float32.onnx"
_PIXELS_PER_IMAGE = 500


@dataclass(frozen=True)
class ExportRequest:
    """Hold what is exported: a run's folder, its data, and where to.

    `hdf5` writes the trained weights beside the model as well. `precision` is what the file is
    written in, `activations` what int8 makes of activations.
    """

    run: Path
    data: Path
    out: Path
    skip_bad: bool = False
    hdf5: bool = False
    precision: Precision = "fp32"
    activations: Activations = Activations.INT8

    def __post_init__(self) -> None:
        """Check the precision.

        Raises:
            ConfigError: no file of it can be written.
        """
        check_precision(self.precision)


def export_model(request: ExportRequest) -> ModelCard:
    """Write model.onnx, card.json, golden.npz and README.md into a folder, and a found palette.

    Nothing is written unless torch, ONNX Runtime and OpenVINO agree at float32; a file of lower
    precision is made from that one and scored against it.

    Raises:
        ConfigError: run, weights or data cannot be read.
        ModelError: the runtimes disagree, or rounding the weights changes too much.
    """
    folder = RunFolder(request.run)
    recipe, taxonomy = folder.recipe(), folder.taxonomy()
    network = load_network(folder.weights, recipe, classes=len(taxonomy))
    opened = open_data(recipe, request.data, skip_bad=request.skip_bad, run=request.run)
    if opened.source.taxonomy.fingerprint() != taxonomy.fingerprint():
        raise ConfigError(
            f"{request.data} has the classes {list(opened.source.taxonomy.names)}, but the run "
            f"learned {list(taxonomy.names)}; give the data that it was trained with"
        )
    export = _Export(recipe, opened, request)
    deployed = export.prepare(network)
    request.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=request.out) as name:
        draft = Path(name)
        card = export.write(deployed, draft)
        if request.hdf5:
            write_hdf5(network, draft / HDF5_FILE)
        keep_palette(opened.source, draft)
        for file in sorted(draft.iterdir()):
            shutil.move(str(file), str(request.out / file.name))
    return card


@dataclass(frozen=True)
class _Deployed:
    network: DeployedNetwork
    temperature: float
    rounding_changed: float | None


class _Export:
    """Keep what every step of one export needs."""

    def __init__(self, recipe: Recipe, opened: OpenData, request: ExportRequest) -> None:
        self._request = request
        self._recipe = recipe
        self._opened = opened
        self._images = LabelledImages(opened.source, opened.validation, recipe.data)
        self._typical = LabelledImages(opened.source, opened.train, recipe.data)
        self._parity = stacked(self._images, _spread(len(self._images), PARITY_IMAGES))

    def prepare(self, network: nn.Module) -> _Deployed:
        """Fold, round where the recipe says so, and fit the temperature."""
        mean, std = self._recipe.data.mean, self._recipe.data.std
        folded = fold_network(network, _levels(self._parity[:4]), mean=mean, std=std)
        final = folded
        if self._recipe.export.round_to_bfloat16:
            typical = stacked(self._typical, _spread(len(self._typical), TYPICAL_IMAGES))
            final = round_to_bfloat16(folded, self._centred(_levels(typical)))
        temperature = fit_temperature(*self._sample_logits(final))
        log.info("temperature %.3f", temperature)
        deployed = DeployedNetwork(final, mean=mean, temperature=temperature)
        changed = None
        if final is not folded:
            trained = DeployedNetwork(folded, mean=mean, temperature=temperature)
            changed = check_rounding(TorchFloat32(trained), TorchFloat32(deployed), self._parity)
        return _Deployed(deployed, temperature, changed)

    def write(self, deployed: _Deployed, folder: Path) -> ModelCard:
        """Write every file of the model, checked and scored."""
        recipe, path = self._recipe, folder / _FLOAT32_FILE
        write_onnx(deployed.network, path, fitted=recipe.data, batch=recipe.export.batch)
        card = unscored_card(
            recipe,
            path,
            taxonomy=self._opened.source.taxonomy,
            opened=self._opened,
            temperature=deployed.temperature,
        )
        model = unscored_model(path, card)
        self._check(deployed.network, model)
        reference = reference_backend(model)
        card, final, scored = self._lowered(model, path, folder)
        metrics = card_metrics(
            scored,
            recipe,
            precision=card.precision,
            training_ood=self._training_ood(folder, card),
            rounding_changed=deployed.rounding_changed,
        )
        card = dataclasses.replace(card, metrics={**metrics, **final})
        write_golden(reference, self._images, folder / GOLDEN_FILE)
        _write_card(card, folder)
        check_golden_files(folder, card)
        return card

    def _lowered(
        self, model: LoadedModel, path: Path, folder: Path
    ) -> tuple[ModelCard, dict[str, object], ModelScores]:
        """Put the file in its place, in the precision asked for.

        Returns:
            Its card without figures, what else to say of it, and its scores.
        """
        if self._request.precision == FULL_PRECISION:
            shutil.move(path, folder / ONNX_FILE)
            return model.card, {}, self._score(model, openvino_backends(model))
        made = self._lower(model, path)
        onnx.save(made.model, str(folder / ONNX_FILE))
        path.unlink()
        card = lowered_card(model.card, folder / ONNX_FILE, precision=self._request.precision)
        lowered = unscored_model(folder / ONNX_FILE, card)
        runs = file_backends(lowered)
        against = self._score(model, [*runs, *openvino_backends(lowered)[1:]])
        own = self._score(lowered, [])
        notes = {
            "reference": reference_figures(against, model.card.sha256),
            "lowering": made.notes,
            "bare_call": bare_calls([model, lowered]),
        }
        return card, notes, ModelScores(own.figures, against.parity)

    def _lower(self, model: LoadedModel, path: Path) -> Lowered:
        if self._request.precision == "fp16":
            return lower_to_fp16(path)
        count = len(self._typical)
        calibration = stacked(self._typical, _spread(count, CALIBRATION_IMAGES))
        lowering = Int8Lowering(model, self._images, self._request.activations)
        return lowering.lower(path, calibration)

    def _check(self, deployed: DeployedNetwork, model: LoadedModel) -> None:
        reference = reference_backend(model)
        other = openvino_backends(model)[0]
        same: dict[str, Run] = {"torch": TorchFloat32(deployed), "openvino": other}
        check_float32(reference, same, self._parity)
        if self._recipe.export.batch == 0:
            for run in (reference, other):
                check_batch(run, self._parity)
        log.info("torch, ONNX Runtime and OpenVINO agree; scoring %d images", len(self._images))

    def _score(self, model: LoadedModel, others: Sequence[Backend]) -> ModelScores:
        free = self._recipe.export.batch == 0
        return score_model(
            reference_backend(model),
            others,
            batches(self._images, size=BATCH if free else 1),
            taxonomy=self._opened.source.taxonomy,
            seed=self._recipe.training.seed,
        )

    def _training_ood(self, folder: Path, card: ModelCard) -> list[float]:
        backend = reference_backend(unscored_model(folder / ONNX_FILE, card))
        places = _spread(len(self._typical), OOD_IMAGES)
        tensors = (self._typical.pair(place)[0][None] for place in places)
        return [ood_score(backend(tensor).probabilities[0]) for tensor in tensors]

    def _centred(self, levels: Tensor) -> Tensor:
        return levels - torch.tensor(self._recipe.data.mean).reshape(1, -1, 1, 1)

    def _sample_logits(self, folded: nn.Module) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng(self._recipe.training.seed)
        logits, targets = [], []
        for tensors, masks in batches(self._images, size=BATCH):
            with torch.no_grad():
                output = folded(self._centred(_levels(tensors)))
            flat = output.permute(0, 2, 3, 1).reshape(-1, output.shape[1])
            labelled = np.flatnonzero(masks.reshape(-1) != IGNORE)
            count = min(len(labelled), _PIXELS_PER_IMAGE * len(masks))
            chosen = torch.from_numpy(random.choice(labelled, count, replace=False))
            logits.append(flat[chosen])
            targets.append(torch.from_numpy(masks.reshape(-1).astype(np.int64))[chosen])
        return torch.cat(logits), torch.cat(targets)


def _levels(tensors_nhwc: U8) -> Tensor:
    return torch.from_numpy(tensors_nhwc).permute(0, 3, 1, 2).float()


def _spread(count: int, wanted: int) -> Sequence[int]:
    """Return places at equal distances, or all where there are fewer."""
    return [int(step) for step in np.linspace(0, count - 1, min(count, wanted))]


def _write_card(card: ModelCard, folder: Path) -> None:
    content = card_content(card)
    parse_model_card(content, source=CARD_FILE)
    (folder / CARD_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_readme(card), encoding="utf-8")
