"""Run a foreign graph as its maker would, with numpy before and after ONNX Runtime."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.types import F32, U8
from terrain_seg_ros.inference.self_test import MIN_AGREEMENT
from terrain_seg_ros.model_store.model_trust import DEFAULT_TEST_DEADLINE_S
from terrain_seg_ros.model_store.network_trial import try_network
from terrain_seg_ros.model_store.onnxruntime_errors import ONNXRUNTIME_ERRORS, runtime_reason
from terrain_seg_ros.model_tools.wrap.wrap_settings import Activation, Colors, Layout, WrapSettings

MAX_PROBABILITY_CHANGE = 2
"""Of 255 steps."""
MAX_RUN_IR_VERSION = 8
SUM_WITHIN = 0.01
"""How far from one the probabilities of a pixel may add up."""


@dataclass(frozen=True)
class Agreement:
    """The share of pixels of the same class, and the largest change of a probability."""

    mask_agreement: float
    probability_change: int


class OwnNetwork:
    """Run the graph as it was given, before any conversion."""

    def __init__(self, model: Any, names: tuple[str, str], settings: WrapSettings) -> None:
        """Take the model, the names of its input and of the output, and the settings.

        Raises:
            ModelError: ONNX Runtime refuses the model.
        """
        self._names = names
        self._settings = settings
        self._data = _runnable(model)
        self._session: Any = None

    def try_once(self, tensor_nhwc_u8: U8) -> None:
        """Run one image (1, h, w, C) in a process of its own, where a crash does no harm.

        Raises:
            ModelError: the network crashes, takes too long or is refused.
            InferenceError: no process can be started.
        """
        settings = self._settings
        image = own_input_array(tensor_nhwc_u8, settings)
        trial = try_network(
            self._data,
            image,
            name=self._names[0],
            deadline_s=DEFAULT_TEST_DEADLINE_S,
            source=str(settings.source),
        )
        if trial.error:
            raise self._refused(trial.error)

    def _open(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            return onnxruntime.InferenceSession(
                self._data,
                options,
                providers=["CPUExecutionProvider"],
                # Else Python's part of the runtime prints the error to stdout and tries again.
                enable_fallback=0,
            )
        except ONNXRUNTIME_ERRORS as error:
            raise self._refused(str(error)) from error

    def scores(self, tensor_nhwc_u8: U8) -> F32:
        """Return what the network says of one image (planes, h, w).

        Raises:
            ModelError: it fails, or its output does not have the image's size or is not finite,
                or not what --activation says.
        """
        settings = self._settings
        name, output = self._names
        image = own_input_array(tensor_nhwc_u8, settings)
        if self._session is None:
            self._session = self._open()
        try:
            values: F32 = self._session.run([output], {name: image})[0]
        except ONNXRUNTIME_ERRORS as error:
            raise self._refused(str(error)) from error
        size = tensor_nhwc_u8.shape[1:3]
        places = (2, 3) if settings.output_layout is Layout.NCHW else (1, 2)
        fits = values.ndim == 4 and tuple(values.shape[place] for place in places) == size
        if not fits or values.shape[0] != 1:
            raise ModelError(
                f"{settings.source}: output {output!r} has shape {list(values.shape)} for an image "
                f"of {size[0]}x{size[1]}, expected that size in {settings.output_layout.value}; "
                "give the right --output-layout, or include the upsampling in the network"
            )
        planes = (
            values[0] if settings.output_layout is Layout.NCHW else values[0].transpose(2, 0, 1)
        )
        _check_values(planes, settings, f"{settings.source}: output {output!r}")
        return np.asarray(planes, dtype=np.float32)

    def _refused(self, reason: str) -> ModelError:
        return ModelError(
            f"{self._settings.source}: ONNX Runtime {onnxruntime.__version__} cannot run it "
            f"({runtime_reason(reason)}); check --size and --layout, or export it again with "
            "opset 17"
        )


def _runnable(model: Any) -> bytes:
    """Return the file with an IR version that every runtime takes; operators decide, not it."""
    if model.ir_version <= MAX_RUN_IR_VERSION:
        return bytes(model.SerializeToString())
    copy = type(model)()
    copy.CopyFrom(model)
    copy.ir_version = MAX_RUN_IR_VERSION
    return bytes(copy.SerializeToString())


def own_input_array(tensor_nhwc_u8: U8, settings: WrapSettings) -> F32:
    """Return the network's input for an image (1, h, w, C), as its maker prepared it."""
    image = tensor_nhwc_u8.astype(np.float32)
    if settings.colors is Colors.BGR:
        image = image[..., ::-1]
    if settings.white == 1.0:
        image = image / np.float32(255.0)
    mean, std = (np.array(values, dtype=np.float32) for values in (settings.mean, settings.std))
    image = (image - mean) / std
    if settings.layout is Layout.NCHW:
        image = image.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(image, dtype=np.float32)


def own_result(scores: F32, settings: WrapSettings) -> tuple[U8, U8]:
    """Return mask (h, w) and probabilities x 255 (K, h, w) for scores (planes, h, w)."""
    values = scores.astype(np.float64)
    deciding = values
    if len(values) == 1:
        deciding = np.concatenate([1.0 - values, values])
        if settings.activation is Activation.LOGITS:
            deciding = np.concatenate([-values, values])
            values = 0.5 * (1.0 + np.tanh(0.5 * values))
        values = np.concatenate([1.0 - values, values])
    elif settings.activation is Activation.LOGITS:
        grown = np.exp(values - values.max(axis=0))
        values = grown / grown.sum(axis=0)
    mask = np.asarray(deciding.argmax(axis=0), dtype=np.uint8)
    rounded = np.rint(np.clip(values, 0.0, 1.0) * 255.0)
    return mask, np.asarray(rounded, dtype=np.uint8)


def check_forced(scores: F32, settings: WrapSettings) -> None:
    """Refuse logits that stayed between 0 and 1 on every image, unless the settings insist.

    Args:
        scores: of the last image (planes, h, w).
        settings: how the network sees and what it says.

    Raises:
        ModelError: the output looks like a sigmoid.
    """
    if settings.force_activation:
        return
    low, high = float(scores.min()), float(scores.max())
    ceiling = highest_confidence(len(scores))
    raise ModelError(
        f"{settings.source}: its output stayed between {low:.3g} and {high:.3g}, like that of "
        f"a sigmoid; as logits, no confidence would exceed {ceiling:.2f}, and the grid would "
        "stay unknown unless observability.min_confidence is below that; "
        + (
            "give --activation sigmoid"
            if len(scores) == 1
            else "export it without the sigmoid, or with a softmax and --activation softmax"
        )
        + ", or insist with --force-activation"
    )


def highest_confidence(planes: int) -> float:
    """Return the largest probability that logits between 0 and 1 can give."""
    return math.e / (math.e + max(1, planes - 1))


def compare(scores: F32, output: NetworkOutput, settings: WrapSettings) -> Agreement:
    """Return how closely the output of a wrapped model matches the original network.

    Raises:
        ModelError: it is not near enough.
    """
    mask, probabilities = own_result(scores, settings)
    agreement = float(np.mean(mask == output.mask[0]))
    steps = np.abs(probabilities.astype(np.int16) - output.probabilities[0])
    found = Agreement(agreement, int(steps.max()))
    if agreement < MIN_AGREEMENT or found.probability_change > MAX_PROBABILITY_CHANGE:
        raise ModelError(
            f"{settings.source}: the wrapped network gives the class of the original on "
            f"{agreement:.2%} of the pixels (at least {MIN_AGREEMENT:.1%} is required) and changes "
            f"a probability by {found.probability_change}/255 (at most {MAX_PROBABILITY_CHANGE}); "
            "export it again with opset 17, so that nothing is converted"
        )
    return found


def _check_values(planes: F32, settings: WrapSettings, what: str) -> None:
    if not np.isfinite(planes).all():
        raise ModelError(
            f"{what} is not finite; check --scale, --mean and --std, or the network's weights"
        )
    low, high = float(planes.min()), float(planes.max())
    unit = low >= -SUM_WITHIN and high <= 1.0 + SUM_WITHIN
    sums = planes.sum(axis=0)
    adds_up = len(planes) > 1 and bool(np.abs(sums - 1.0).max() <= SUM_WITHIN)
    given = settings.activation
    _check_planes(len(planes), settings, what, adds_up=unit and adds_up)
    if given is Activation.LOGITS and unit and adds_up:
        raise ModelError(
            f"{what} adds up to 1 in every pixel, so these are not logits; give --activation "
            "softmax"
        )
    if given is Activation.SOFTMAX and not (unit and adds_up):
        raise ModelError(
            f"{what} adds up to {float(sums.min()):.3g} to {float(sums.max()):.3g}, so this is "
            "not a softmax; give --activation logits if none is in the network"
        )
    if given is Activation.SIGMOID and not unit:
        raise ModelError(
            f"{what} lies between {low:.3g} and {high:.3g}, so this is not a sigmoid; give "
            "--activation logits if none is in the network"
        )


def _check_planes(planes: int, settings: WrapSettings, what: str, *, adds_up: bool) -> None:
    classes = list(settings.taxonomy.names)
    expected = 2 if planes == 1 else planes
    if len(classes) != expected:
        raise ModelError(
            f"{what} has {planes} channels in {settings.output_layout.value}, but --classes names "
            f"{len(classes)}: {classes}; name {expected} in the order of the channels"
        )
    if settings.activation is Activation.SIGMOID and planes > 1 and adds_up:
        raise ModelError(
            f"{what} adds up to 1 in every pixel, so it is a softmax over {planes} channels; give "
            "--activation softmax"
        )
    if settings.activation is Activation.SIGMOID and planes > 1:
        raise ModelError(
            f"{what} has {planes} channels, each with a sigmoid of its own, which are not "
            "probabilities of one class each; export it without the sigmoid and give --activation "
            "logits"
        )
    if settings.activation is Activation.SOFTMAX and planes == 1:
        raise ModelError(
            f"{what} has one channel, whose softmax is always 1; give --activation sigmoid or "
            "logits"
        )
