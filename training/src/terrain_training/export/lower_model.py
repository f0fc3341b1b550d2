"""From a float32 model to one of lower precision: right after an export, or from its folder."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard, Precision
from terrain_seg_ros.inference.backend_options import FULL_PRECISION
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.model_files import GOLDEN_FILE, ONNX_FILE
from terrain_seg_ros.model_store.model_store import load_model
from terrain_training.export.card import (
    card_metrics,
    lowered_card,
    lowered_name,
    reference_figures,
)
from terrain_training.export.export_images import ExportImages
from terrain_training.export.golden import check_golden_files, write_golden
from terrain_training.export.lowering import Int8Lowering, Lowered, check_precision, lower_to_fp16
from terrain_training.export.model_folder import check_model_place, model_draft, write_card
from terrain_training.export.parity import ModelScores
from terrain_training.export.quantisation import Activations
from terrain_training.export.runtimes import (
    file_backends,
    openvino_backends,
    reference_backend,
    unscored_model,
)
from terrain_training.export.speed import bare_calls
from terrain_training.learning.loaders import open_data
from terrain_training.recipe.load import recipe_of
from terrain_training.settings.recipe import DataSettings

FLOAT32_FILE = "float32.onnx"
CALIBRATION_IMAGES = 32
_INPUT_KEYS = ("height_px", "width_px", "channels", "resize")


@dataclass(frozen=True)
class LoweredTo:
    """What a file is lowered to; `activations` is what int8 makes of activations."""

    precision: Precision
    activations: Activations = Activations.INT8

    def __post_init__(self) -> None:
        """Check the precision.

        Raises:
            ConfigError: no file of it can be written.
        """
        check_precision(self.precision)
        if self.precision == FULL_PRECISION:
            raise ConfigError("the model is float32 already; choose --precision int8 or fp16")


@dataclass(frozen=True)
class LowerRequest:
    """Which exported float32 model is lowered, with which data, to what, and where to.

    `recipe` says how the data are read where the model's card keeps none that can be used.
    `force` replaces a model of another name in `out`.
    """

    model: Path
    data: Path
    out: Path
    to: LoweredTo
    recipe: Path | None = None
    skip_bad: bool = False
    force: bool = False


@dataclass(frozen=True)
class WrittenFile:
    """A model's file in its place with a card without figures, and what to say of it."""

    model: LoadedModel
    notes: Mapping[str, Any]
    scores: ModelScores


def lower_model(request: LowerRequest) -> ModelCard:
    """Write a model of lower precision beside its float32 one; its run is not needed.

    Raises:
        ConfigError: recipe or data cannot be used, or do not fit the model.
        ModelError: the model cannot be used, is not float32, or nothing in it can be lowered.
    """
    model, images = _opened(request)
    name = lowered_name(model.card.name, request.to.precision)
    with model_draft(request.out, name=name, force=request.force) as draft:
        _write_golden(model, images, draft)
        copy = Path(shutil.copy(str(model.onnx_path), draft / FLOAT32_FILE))
        exact = dataclasses.replace(model, onnx_path=copy)
        written = write_lowered(exact, images, draft, request.to)
        metrics = card_metrics(
            written.scores,
            images.recipe,
            precision=request.to.precision,
            training_ood=images.training_ood(written.model),
            rounding_changed=None,
        )
        card = dataclasses.replace(written.model.card, metrics={**metrics, **written.notes})
        write_card(card, draft)
        check_golden_files(draft, card)
    return card


def write_lowered(
    model: LoadedModel, images: ExportImages, folder: Path, to: LoweredTo
) -> WrittenFile:
    """Write a file of lower precision in place of a float32 one, and score both.

    Args:
        model: float32, its file in `folder`; it is removed.
        images: what to calibrate, choose and score with.
        folder: of the new model.
        to: what is asked for.

    Raises:
        ModelError: nothing in it can be lowered.
    """
    source, path = Path(str(model.onnx_path)), folder / ONNX_FILE
    made = _lower(model, images, to)
    onnx.save(made.model, str(path))
    source.unlink()
    lowered = unscored_model(path, lowered_card(model.card, path, precision=to.precision))
    runs = file_backends(lowered)
    against = images.score(model, [*runs, *openvino_backends(lowered)[1:]])
    own = images.score(lowered, [])
    notes = {
        "reference": reference_figures(against, model.card.sha256),
        "lowering": made.notes,
        "bare_call": bare_calls([model, lowered]),
    }
    return WrittenFile(lowered, notes, ModelScores(own.figures, against.parity))


def _opened(request: LowerRequest) -> tuple[LoadedModel, ExportImages]:
    """Return the model and its data, which fit each other."""
    model = load_model(request.model)
    card = model.card
    if card.precision != FULL_PRECISION:
        raise ConfigError(
            f"the file of model {card.name!r} is {card.precision} already; give the float32 one"
        )
    _check_place(request, model)
    recipe = recipe_of(card, request.recipe)
    _check_input(recipe.data, card)
    folder = Path(str(model.onnx_path)).parent
    opened = open_data(recipe, request.data, skip_bad=request.skip_bad, run=folder)
    if opened.source.taxonomy.fingerprint() != card.taxonomy.fingerprint():
        raise ConfigError(
            f"{request.data} has the classes {list(opened.source.taxonomy.names)}, but the model "
            f"knows {list(card.taxonomy.names)}; give the data that it was trained with"
        )
    return model, ExportImages(recipe, opened)


def _check_place(request: LowerRequest, model: LoadedModel) -> None:
    if request.out.resolve() == Path(str(model.onnx_path)).parent.resolve():
        raise ConfigError(f"--out '{request.out}' is the model itself; give another folder")
    name = lowered_name(model.card.name, request.to.precision)
    check_model_place(request.out, name=name, force=request.force)


def _write_golden(model: LoadedModel, images: ExportImages, folder: Path) -> None:
    if model.golden is None:
        write_golden(reference_backend(model), images.validation, folder / GOLDEN_FILE)
    else:
        shutil.copy(Path(str(model.onnx_path)).with_name(GOLDEN_FILE), folder / GOLDEN_FILE)


def _lower(model: LoadedModel, images: ExportImages, to: LoweredTo) -> Lowered:
    path = Path(str(model.onnx_path))
    if to.precision == "fp16":
        return lower_to_fp16(path)
    calibration = images.some_training(CALIBRATION_IMAGES)
    return Int8Lowering(model, images.validation, to.activations).lower(path, calibration)


def _check_input(data: DataSettings, card: ModelCard) -> None:
    for key in _INPUT_KEYS:
        wanted, given = getattr(card, key), getattr(data, key)
        if wanted != given:
            raise ConfigError(
                f"the recipe says data.{key} is {given!r}, but the model {card.name!r} takes "
                f"{wanted!r}; give the recipe that it was trained with"
            )
