"""From a run to a model folder: ONNX file, card, golden image and README."""

from __future__ import annotations

import dataclasses
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard, Precision
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import FULL_PRECISION
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.model_files import GOLDEN_FILE, ONNX_FILE
from terrain_seg_ros.model_store.model_store import shipped_models
from terrain_training.data.factory import keep_palette
from terrain_training.export.calibration import fit_temperature
from terrain_training.export.card import card_metrics, lowered_name, unscored_card
from terrain_training.export.export_images import BATCH, ExportImages
from terrain_training.export.folding import fold_network, round_to_bfloat16
from terrain_training.export.golden import check_golden_files, write_golden
from terrain_training.export.lower_model import (
    FLOAT32_FILE,
    LoweredTo,
    WrittenFile,
    write_lowered,
)
from terrain_training.export.lowering import check_precision
from terrain_training.export.model_folder import (
    HDF5_FILE,
    check_model_place,
    model_draft,
    write_card,
)
from terrain_training.export.novelty import fit_novelty
from terrain_training.export.onnx_graph import DeployedNetwork, write_onnx
from terrain_training.export.parity import (
    Run,
    batches,
    check_batch,
    check_float32,
    check_rounding,
)
from terrain_training.export.quantisation import Activations
from terrain_training.export.runtimes import (
    TorchFloat32,
    openvino_backends,
    reference_backend,
    unscored_model,
)
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.loaders import OpenData, open_data
from terrain_training.learning.run_folder import RunFolder
from terrain_training.learning.weights_hdf5 import write_hdf5
from terrain_training.settings.recipe import Recipe

log = logging.getLogger(__name__)

PARITY_IMAGES = 16
TYPICAL_IMAGES = 32
_PIXELS_PER_IMAGE = 500
_WORD = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_NO_WORD = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True)
class ExportRequest:
    """What is exported: a run's folder, its data, and where to.

    `hdf5` writes the trained weights beside the model as well. `force` replaces a model of another
    name. `precision` is what the file is
    written in, `activations` what int8 makes of activations. `name` and `version` are those of the
    model, by default from the recipe; see `model_name`.
    """

    run: Path
    data: Path
    out: Path
    skip_bad: bool = False
    hdf5: bool = False
    force: bool = False
    precision: Precision = "fp32"
    activations: Activations = Activations.INT8
    name: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        """Check precision, name and version.

        Raises:
            ConfigError: no file of the precision can be written, or a word has other characters
                than letters, digits, `.`, `_` and `-`.
        """
        check_precision(self.precision)
        for option, word in (("--name", self.name), ("--version", self.version)):
            if word is not None and not _WORD.fullmatch(word):
                raise ConfigError(f"{option} is {word!r}, expected letters, digits, '.', '_', '-'")


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
    name = lowered_name(model_name(recipe, request), request.precision)
    check_model_place(request.out, name=name, force=request.force)
    network = load_network(folder.weights, recipe, classes=len(taxonomy))
    opened = open_data(recipe, request.data, skip_bad=request.skip_bad, run=request.run)
    if opened.source.taxonomy.fingerprint() != taxonomy.fingerprint():
        raise ConfigError(
            f"{request.data} has the classes {list(opened.source.taxonomy.names)}, but the run "
            f"learned {list(taxonomy.names)}; give the data that it was trained with"
        )
    export = _Export(recipe, opened, request)
    deployed = export.prepare(network)
    with model_draft(request.out, name=name, force=request.force) as draft:
        card = export.write(deployed, draft)
        if request.hdf5:
            write_hdf5(network, draft / HDF5_FILE)
        keep_palette(opened.source, draft)
    return card


def model_name(recipe: Recipe, request: ExportRequest) -> str:
    """Return the name of the model: as asked for, else the recipe's.

    A model that ships keeps its name to itself: a run of its recipe is named after its folder too.
    """
    if request.name is not None:
        return request.name
    if recipe.name not in shipped_models():
        return recipe.name
    folder = _NO_WORD.sub("_", request.run.resolve().name)
    name = folder if folder.startswith(recipe.name) else f"{recipe.name}_{folder}"
    if name in shipped_models():
        name = f"{name}_own"
    log.info("the model is named %s, since %s ships; --name chooses another", name, recipe.name)
    return name


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
        self._images = ExportImages(recipe, opened)
        self._parity = self._images.some_validation(PARITY_IMAGES)

    def prepare(self, network: nn.Module) -> _Deployed:
        """Fold, round where the recipe says so, and fit the temperature."""
        mean, std = self._recipe.data.mean, self._recipe.data.std
        folded = fold_network(network, _levels(self._parity[:4]), mean=mean, std=std)
        final = folded
        if self._recipe.export.round_to_bfloat16:
            typical = self._images.some_training(TYPICAL_IMAGES)
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
        recipe, path, opened = self._recipe, folder / FLOAT32_FILE, self._images.opened
        write_onnx(deployed.network, path, fitted=recipe.data, batch=recipe.export.batch)
        card = unscored_card(
            recipe,
            path,
            taxonomy=opened.source.taxonomy,
            opened=opened,
            temperature=deployed.temperature,
        )
        card = self._named(card)
        novelty = fit_novelty(opened, recipe.data, data=recipe.data.source)
        card = dataclasses.replace(card, novelty=novelty)
        model = unscored_model(path, card)
        self._check(deployed.network, model)
        reference = reference_backend(model)
        written = self._written(model, folder)
        exact = self._request.precision == FULL_PRECISION
        metrics = card_metrics(
            written.scores,
            recipe,
            precision=written.model.card.precision,
            training_ood=self._images.training_ood(written.model),
            rounding_changed=deployed.rounding_changed if exact else None,
        )
        card = dataclasses.replace(written.model.card, metrics={**metrics, **written.notes})
        write_golden(reference, self._images.validation, folder / GOLDEN_FILE)
        write_card(card, folder)
        check_golden_files(folder, card)
        return card

    def _named(self, card: ModelCard) -> ModelCard:
        """Return the card with name and version of the model, and what the run started from."""
        request = self._request
        training = dict(card.training)
        origin = RunFolder(request.run).read_summary().get("started_from")
        if isinstance(origin, dict):
            training["started_from"] = origin
            theirs = [
                text for text in origin.get("credits", []) if text not in card.training["credits"]
            ]
            training["credits"] = [*card.training["credits"], *theirs]
        return dataclasses.replace(
            card,
            name=model_name(self._recipe, request),
            version=request.version or card.version,
            training=training,
        )

    def _written(self, model: LoadedModel, folder: Path) -> WrittenFile:
        """Put the file in its place, in the precision asked for."""
        request = self._request
        if request.precision != FULL_PRECISION:
            return write_lowered(
                model, self._images, folder, LoweredTo(request.precision, request.activations)
            )
        path = folder / ONNX_FILE
        shutil.move(str(model.onnx_path), path)
        scores = self._images.score(model, openvino_backends(model))
        return WrittenFile(unscored_model(path, model.card), {}, scores)

    def _check(self, deployed: DeployedNetwork, model: LoadedModel) -> None:
        reference = reference_backend(model)
        other = openvino_backends(model)[0]
        same: dict[str, Run] = {"torch": TorchFloat32(deployed), "openvino": other}
        check_float32(reference, same, self._parity)
        if self._recipe.export.batch == 0:
            for run in (reference, other):
                check_batch(run, self._parity)
        log.info(
            "torch, ONNX Runtime and OpenVINO agree; scoring %d images",
            len(self._images.validation),
        )

    def _centred(self, levels: Tensor) -> Tensor:
        return levels - torch.tensor(self._recipe.data.mean).reshape(1, -1, 1, 1)

    def _sample_logits(self, folded: nn.Module) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng(self._recipe.training.seed)
        logits, targets = [], []
        for tensors, masks in batches(self._images.validation, size=BATCH):
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
