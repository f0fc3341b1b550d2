"""From a foreign ONNX file to a tested model folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.image.image_to_tensor import image_to_tensor
from terrain_seg_ros.core.model_card import ModelCard, card_content
from terrain_seg_ros.core.types import F32, U8
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.model_store.loaded_model import LoadedModel, probe_image
from terrain_seg_ros.model_store.model_files import CARD_FILE, GOLDEN_FILE, ONNX_FILE
from terrain_seg_ros.model_store.onnx_contract import check_onnx
from terrain_seg_ros.model_tools.model_install import (
    InstalledModel,
    check_free_name,
    check_name,
    try_model,
)
from terrain_seg_ros.model_tools.wrap.contract_graph import (
    build_contract_graph,
    check_contract_graph,
)
from terrain_seg_ros.model_tools.wrap.inference_mode import check_inference_mode
from terrain_seg_ros.model_tools.wrap.onnx_file import read_onnx, read_onnx_bytes
from terrain_seg_ros.model_tools.wrap.own_graph import (
    PREFIX,
    at_contract_opset,
    fix_size,
    input_size,
    own_input,
    own_output,
)
from terrain_seg_ros.model_tools.wrap.reference import Agreement, OwnNetwork, check_forced, compare
from terrain_seg_ros.model_tools.wrap.wrap_settings import Activation, WrapSettings
from terrain_seg_ros.model_tools.wrap.wrapped_card import (
    comparison_metrics,
    wrapped_card,
    wrapped_limits,
    wrapped_readme,
)

README_FILE = "README.md"


@dataclass(frozen=True)
class WrappedModel:
    """A model before it is written."""

    card: ModelCard
    data: bytes
    image: U8
    mask: U8


def wrap_model(
    settings: WrapSettings, images: Sequence[Path], *, models: Path, out: Path | None
) -> InstalledModel:
    """Wrap a network, test it, then move it to its folder.

    Args:
        settings: how the network sees and what it says; names its file.
        images: examples to compare on; a synthetic one where there is none.
        models: the folder of models, in which the new one gets its name.
        out: the new model's own folder, which must not exist yet, instead of one in `models`.

    Raises:
        ConfigError: an example image cannot be read.
        ModelError: the name is taken, or the network cannot be wrapped.
        InferenceError: ONNX Runtime refuses the wrapped model.
    """
    folder = _free_folder(settings, models, out)
    wrapped = make_wrapped(settings, images)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, and beside the models: a rename within one file system happens whole or not at all.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wrap-") as temporary:
        content = Path(temporary) / "content"
        content.mkdir()
        _write(wrapped, content)
        try_model(content)
        content.rename(_free_folder(settings, models, out))
    return InstalledModel(settings.name, folder, wrapped.card)


def make_wrapped(settings: WrapSettings, images: Sequence[Path]) -> WrappedModel:
    """Return a network as a contract model, compared with the original network.

    Raises:
        ConfigError: an example image cannot be read.
        ModelError: the network cannot be wrapped.
        InferenceError: ONNX Runtime refuses the wrapped model.
    """
    original = read_onnx(settings.source)
    check_inference_mode(original, source=str(settings.source))
    given, output = own_input(original, settings), own_output(original, settings)
    size_hw = input_size(given, settings)
    network = OwnNetwork(original, (given.name, output.name), settings)
    digest = hashlib.sha256(read_onnx_bytes(settings.source)).hexdigest()
    draft = wrapped_card(b"", settings, size_hw=size_hw, source_sha256=digest)
    golden = next(_tensors(images, draft))
    network.try_once(golden)
    planes = len(network.scores(golden))
    own = at_contract_opset(original, settings)
    fix_size(own, size_hw, settings)
    model = build_contract_graph(
        own, PREFIX + output.name, size_hw=size_hw, planes=planes, settings=settings
    )
    check_contract_graph(model)
    data: bytes = model.SerializeToString()
    card = replace(draft, sha256=hashlib.sha256(data).hexdigest())
    check_onnx(data, card, source=f"{settings.source}, wrapped")
    loaded = LoadedModel(card=card, onnx_path=None, onnx_bytes=data, golden=None)
    ids: set[int] = set()
    found, narrow = _compare_all(network, loaded, images, settings, ids)
    synthetic = not images
    whole = replace(
        card,
        metrics=comparison_metrics(found, synthetic=synthetic),
        limits=wrapped_limits(
            settings.taxonomy,
            given=frozenset(ids),
            synthetic=synthetic,
            narrow_planes=planes if narrow else 0,
        ),
    )
    return WrappedModel(whole, data, golden[0], _mask(loaded, golden))


def _compare_all(
    network: OwnNetwork,
    wrapped: LoadedModel,
    images: Sequence[Path],
    settings: WrapSettings,
    given: set[int],
) -> tuple[list[Agreement], bool]:
    """Return the agreement on each image, and whether all logits stayed between 0 and 1.

    The class ids of all masks are added to `given`.
    """
    found: list[Agreement] = []
    narrow = settings.activation is Activation.LOGITS
    with closing(_backend(wrapped)) as backend:
        for tensor in _tensors(images, wrapped.card):
            scores = network.scores(tensor)
            output = backend(tensor)
            found.append(compare(scores, output, settings))
            given.update(int(value) for value in np.unique(output.mask))
            narrow = narrow and _within_unit(scores)
    if narrow:
        check_forced(scores, settings)
    return found, narrow


def _mask(wrapped: LoadedModel, tensor_nhwc_u8: U8) -> U8:
    with closing(_backend(wrapped)) as backend:
        mask: U8 = backend(tensor_nhwc_u8).mask[0].copy()
    return mask


def _backend(wrapped: LoadedModel) -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend(wrapped, BackendOptions(precision=FULL_PRECISION))


def _free_folder(settings: WrapSettings, models: Path, out: Path | None) -> Path:
    if out is None:
        check_free_name(settings.name, models)
        return models / settings.name
    check_name(settings.name)
    if out.exists():
        raise ModelError(f"'{out}' exists already; remove it, or give another folder with --out")
    return out


def _tensors(images: Sequence[Path], card: ModelCard) -> Iterator[U8]:
    if not images:
        model = LoadedModel(card=card, onnx_path=None, onnx_bytes=None, golden=None)
        yield probe_image(model)
    for path in images:
        yield image_to_tensor(read_image(path), card)


def _within_unit(scores: F32) -> bool:
    return float(scores.min()) >= 0.0 and float(scores.max()) <= 1.0


def _write(wrapped: WrappedModel, folder: Path) -> None:
    (folder / ONNX_FILE).write_bytes(wrapped.data)
    text = json.dumps(card_content(wrapped.card), indent=2) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    (folder / README_FILE).write_text(wrapped_readme(wrapped.card), encoding="utf-8")
    np.savez_compressed(folder / GOLDEN_FILE, image=wrapped.image, mask=wrapped.mask)
