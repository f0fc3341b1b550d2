"""Tests of the parity rules and of the choice of the fastest."""

import time
from dataclasses import replace

import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.self_test import (
    check_golden,
    choose_fastest,
    parity_refusal,
    time_backends,
)
from terrain_seg_ros.model_store.loaded_model import probe_image
from terrain_seg_ros.model_store.model_store import load_model

GOOD = {
    "backend": "fake",
    "precision": "bf16",
    "images": 150,
    "mean_iou_loss": 0.01,
    "dangerous_recall_loss": -0.002,
    "clear_margin_changed": 0.001,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "colour"
    metrics = {"parity": [GOOD]}
    return load_model(write_tiny_model(folder, channels=3, metrics=metrics))


@pytest.fixture(scope="module")
def reference(model):
    return lambda: OnnxRuntimeBackend(model, BackendOptions())


class Fake:
    """Wraps the real backend and does something wrong on the way."""

    name = "fake"

    def __init__(self, model, *, precision="fp32", before=None, after=None, sleep_s=0.0):
        self.precision = precision
        self.closed = 0
        self._inner = OnnxRuntimeBackend(model, BackendOptions())
        self._before, self._after, self._sleep_s = before, after, sleep_s

    def __call__(self, tensor):
        time.sleep(self._sleep_s)
        output = self._inner(tensor if self._before is None else self._before(tensor))
        return output if self._after is None else self._after(output)

    def close(self):
        self.closed += 1


def change(count, *, clear):
    """Return a function that changes the class of `count` pixels, clear ones or doubtful ones."""

    def after(output):
        ordered = np.sort(output.probabilities[0], axis=0).astype(int)
        sure = (ordered[-1] - ordered[-2]) / 255 > 0.1
        rows, cols = np.nonzero(sure == clear)
        mask = output.mask.copy()
        mask[0, rows[:count], cols[:count]] ^= 1
        return NetworkOutput(mask, output.confidence, output.probabilities)

    return after


def test_the_real_one_passes(model, reference):
    check_golden(Fake(model), model, reference)
    check_golden(Fake(model, precision="bf16"), model, reference)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "before",
    [
        lambda tensor: tensor[..., ::-1].copy(),
        lambda tensor: tensor // 2,
        lambda tensor: tensor[:, ::-1].copy(),
    ],
    ids=["colour order", "scaling", "upside down"],
)
def test_a_wrong_input_is_refused(model, reference, before, precision):
    backend = Fake(model, precision=precision, before=before)
    with pytest.raises(ModelError, match="golden"):
        check_golden(backend, model, reference)


@pytest.mark.requirement("TSR-NET-002")
def test_broken_quantisation_is_refused(model, reference):
    def after(output):
        return NetworkOutput(output.mask * 0, output.confidence, output.probabilities)

    with pytest.raises(ModelError, match="int8 changes the class"):
        check_golden(Fake(model, precision="int8", after=after), model, reference)


@pytest.mark.parametrize(
    ("precision", "clear", "count", "passes"),
    [
        ("fp32", True, 4, True),
        ("fp32", True, 5, False),
        ("bf16", True, 3, True),
        ("bf16", True, 5, False),
        ("bf16", False, 60, True),
    ],
)
def test_limits_are_where_they_are_said_to_be(model, reference, precision, clear, count, passes):
    backend = Fake(model, precision=precision, after=change(count, clear=clear))
    if passes:
        check_golden(backend, model, reference)
        return
    with pytest.raises(ModelError, match="golden"):
        check_golden(backend, model, reference)


@pytest.fixture(scope="module")
def lowered(model):
    """Return the model as if its file were int8."""
    row = {**GOOD, "precision": "int8"}
    card = replace(model.card, precision="int8", metrics={"parity": [row, GOOD]})
    return replace(model, card=card)


@pytest.mark.parametrize(
    ("clear", "count", "passes"), [(True, 3, True), (True, 5, False), (False, 60, True)]
)
def test_a_file_of_lower_precision_is_judged_by_clear_pixels(lowered, clear, count, passes):
    def make_reference():
        return OnnxRuntimeBackend(lowered, BackendOptions())

    backend = Fake(lowered, precision="int8", after=change(count, clear=clear))
    if passes:
        check_golden(backend, lowered, make_reference)
        return
    with pytest.raises(ModelError, match="int8 changes the class"):
        check_golden(backend, lowered, make_reference)


def test_float32_of_a_file_of_lower_precision_is_what_its_golden_mask_holds(lowered):
    """The reference runs the same file: were it to judge alone, a broken file would pass."""
    after = change(5, clear=True)
    backend = Fake(lowered, precision="int8", after=after)
    with pytest.raises(ModelError, match="int8 changes the class"):
        check_golden(backend, lowered, lambda: Fake(lowered, precision="int8", after=after))


def test_the_card_must_vouch_for_a_file_of_lower_precision(lowered):
    assert parity_refusal(lowered.card, "fake", "fp32") == ""
    assert parity_refusal(lowered.card, "fake", "bf16") == ""
    assert "no parity figures" in parity_refusal(lowered.card, "openvino", "fp32")


@pytest.mark.parametrize("asked", ["auto", "fp32", "int8"])
def test_runtimes_report_the_precision_of_the_file(lowered, asked):
    backend = OnnxRuntimeBackend(lowered, BackendOptions(precision=asked))
    assert backend.precision == "int8"
    with pytest.raises(InferenceError, match="not in bf16"):
        OnnxRuntimeBackend(lowered, BackendOptions(precision="bf16"))


def test_without_a_golden_image_the_reference_judges(model, reference):
    bare = replace(model, golden=None)
    check_golden(Fake(model), bare, reference)
    assert probe_image(bare).shape == (1, 64, 64, 3)
    with pytest.raises(ModelError, match="fake"):
        check_golden(Fake(model, before=lambda tensor: 255 - tensor), bare, reference)


def test_the_card_vouches_for_a_reduced_precision(model):
    assert parity_refusal(model.card, "fake", "bf16") == ""
    assert parity_refusal(model.card, "anything", "fp32") == ""
    assert "no parity figures" in parity_refusal(model.card, "fake", "int8")
    assert "no parity figures" in parity_refusal(model.card, "openvino", "bf16")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"images": 149}, "149 images"),
        ({"mean_iou_loss": 0.011}, "mean_iou_loss of 0.0110"),
        ({"dangerous_recall_loss": 0.02}, "dangerous_recall_loss of 0.0200"),
        ({"clear_margin_changed": 0.0011}, "gives 0.0011 of the clear pixels"),
        ({"mean_iou_loss": float("nan")}, "mean_iou_loss of nan"),
        ({"dangerous_recall_loss": float("nan")}, "recall_loss of nan"),
        ({"images": None}, "cannot be read"),
    ],
)
def test_figures_that_do_not_hold_are_refused(model, changes, text):
    card = replace(model.card, metrics={"parity": [{**GOOD, **changes}]})
    assert text in parity_refusal(card, "fake", "bf16")


@pytest.mark.parametrize("metrics", [{}, {"parity": 3}, {"parity": ["x"]}, {"parity": {}}])
def test_a_card_without_figures_vouches_for_nothing(model, metrics):
    card = replace(model.card, metrics=metrics)
    assert "no parity figures" in parity_refusal(card, "fake", "bf16")


def test_the_fastest_that_passes_is_taken(model, reference):
    slow = Fake(model, sleep_s=0.004)
    fast = Fake(model, precision="bf16", sleep_s=0.001)
    wrong = Fake(model, before=lambda tensor: 255 - tensor)
    bare = replace(model, onnx_bytes=None)
    backend, trials = choose_fastest(
        [
            ("fake", "fp32", lambda: slow),
            ("fake", "bf16", lambda: fast),
            ("fake", "fp32", lambda: wrong),
            ("fake", "int8", lambda: pytest.fail("must not be made")),
            ("broken", "fp32", lambda: OnnxRuntimeBackend(bare, BackendOptions())),
        ],
        model,
        reference,
    )
    assert backend is fast
    assert [slow.closed, fast.closed, wrong.closed] == [1, 0, 1]
    assert [bool(trial.refusal) for trial in trials] == [False, False, True, True, True]
    assert trials[0].median_ms > trials[1].median_ms
    assert trials[2].median_ms is None


def test_none_passing_is_an_error_with_every_reason(model, reference):
    wrong = Fake(model, before=lambda tensor: 255 - tensor)
    with pytest.raises(InferenceError, match=r"fake fp32: .*golden.*fake int8: .*no parity"):
        choose_fastest(
            [("fake", "fp32", lambda: wrong), ("fake", "int8", lambda: wrong)], model, reference
        )
    with pytest.raises(InferenceError, match="none is installed"):
        choose_fastest([], model, reference)


def test_times_are_medians_in_milliseconds(model):
    times = time_backends([Fake(model, sleep_s=0.002), Fake(model)], probe_image(model))
    assert times[0] >= 2.0
    assert times[1] < times[0]
