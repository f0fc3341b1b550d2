"""One backend serves until another is ready: ONNX Runtime first, then OpenVINO."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.backends.openvino_backend import OpenVinoBackend
from terrain_seg_ros.inference.engines.switching_backend import (
    TIMED_ROUNDS,
    WARM_UP_ROUNDS,
    SwitchingBackend,
)
from terrain_seg_ros.model_store.model_store import load_model

FP32 = BackendOptions(precision="fp32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=32))


@pytest.fixture
def image(model):
    return model.golden.image[None]


@pytest.fixture
def reports():
    return []


@pytest.fixture
def switching(model, reports):
    backend = SwitchingBackend(OnnxRuntimeBackend(model, FP32), report=reports.append)
    yield backend
    backend.close()


def is_closed(backend, image):
    try:
        backend(image)
    except InferenceError as error:
        return "closed" in str(error)
    return False


def test_it_is_the_backend_that_serves(switching, model, image):
    assert (switching.name, switching.precision) == ("onnxruntime", "fp32")
    assert np.array_equal(switching(image).mask[0], model.golden.mask)


def test_the_next_call_goes_to_the_one_that_was_offered(switching, model, image, reports):
    before, ready = switching.serving, OpenVinoBackend(model, FP32)
    switching.offer(ready)
    assert switching.serving is before
    assert np.array_equal(switching(image).mask[0], model.golden.mask)
    assert switching.serving is ready
    assert (switching.name, switching.precision) == ("openvino", "fp32")
    assert is_closed(before, image)
    assert len(reports) == 1
    assert "openvino (fp32) is in use now, instead of onnxruntime" in reports[0]


def test_outputs_of_the_old_one_outlive_the_switch(switching, model, image):
    output = switching(image)
    switching.offer(OpenVinoBackend(model, FP32))
    switching(image)
    assert np.array_equal(output.mask[0], model.golden.mask)


def test_one_that_fails_does_not_disturb(switching, model, image, reports):
    before, broken = switching.serving, OpenVinoBackend(model, FP32)
    broken.close()
    switching.offer(broken)
    for _ in range(3):
        assert np.array_equal(switching(image).mask[0], model.golden.mask)
    assert switching.serving is before
    assert len(reports) == 1
    assert "openvino fails, onnxruntime stays in use" in reports[0]


def test_of_two_offers_the_later_counts(switching, model, image):
    first, second = OpenVinoBackend(model, FP32), OpenVinoBackend(model, FP32)
    switching.offer(first)
    switching.offer(second)
    switching(image)
    assert switching.serving is second
    assert is_closed(first, image)


def test_after_close_nothing_is_left_open(model, image):
    switching = SwitchingBackend(OnnxRuntimeBackend(model, FP32))
    waiting, late = OpenVinoBackend(model, FP32), OpenVinoBackend(model, FP32)
    switching.offer(waiting)
    switching.close()
    switching.close()
    switching.offer(late)
    assert all(is_closed(backend, image) for backend in (switching, waiting, late))


def test_no_image_is_lost_while_another_thread_offers(switching, model, image):
    offers = [OpenVinoBackend(model, FP32) for _ in range(8)]

    def offer_all():
        for backend in offers:
            switching.offer(backend)

    thread = Thread(target=offer_all)
    thread.start()
    answers = []
    while thread.is_alive() or len(answers) < 8:
        answers.append(np.array_equal(switching(image).mask[0], model.golden.mask))
    thread.join()
    switching(image)
    assert all(answers)
    assert switching.serving is offers[-1]
    assert all(is_closed(backend, image) for backend in offers[:-1])


ROUNDS = WARM_UP_ROUNDS + TIMED_ROUNDS


class Clock:
    """Tell the time that the backends say they took."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


class Lasting:
    """Run a backend whose calls take the given milliseconds, in turn, and break it if asked."""

    def __init__(self, backend, clock, *took_ms, calls=10**6):
        self._backend, self._clock, self._took_ms, self._calls = backend, clock, took_ms, calls
        self.name, self.precision = backend.name, backend.precision
        self.called = 0

    def __call__(self, tensor):
        if self.called >= self._calls:
            raise InferenceError("out of memory")
        self._clock.now_s += self._took_ms[self.called % len(self._took_ms)] * 1e-3
        self.called += 1
        return self._backend(tensor)

    def close(self):
        self._backend.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def old(model, clock):
    return Lasting(OnnxRuntimeBackend(model, FP32), clock, 10.0)


@pytest.fixture
def contest(old, clock, reports):
    backend = SwitchingBackend(old, only_if_faster=True, report=reports.append, clock_s=clock)
    yield backend
    backend.close()


def new(model, clock, *took_ms, **given):
    return Lasting(OpenVinoBackend(model, FP32), clock, *took_ms, **given)


def test_a_faster_one_serves_once_it_has_shown_it(contest, old, model, image, clock, reports):
    rival = new(model, clock, 500.0, *[9.0] * (ROUNDS - 1))
    contest.offer(rival)
    for _ in range(ROUNDS):
        assert np.array_equal(contest(image).mask[0], model.golden.mask)
        assert contest.serving is old
    assert np.array_equal(contest(image).mask[0], model.golden.mask)
    assert contest.serving is rival
    assert rival.called == ROUNDS + 1
    assert old.called == ROUNDS
    assert is_closed(old, image)
    assert reports == ["backend openvino (fp32) is in use now, instead of onnxruntime"]


def test_a_slower_one_does_not(contest, old, model, image, clock, reports):
    rival = new(model, clock, 11.0)
    contest.offer(rival)
    for _ in range(ROUNDS + 3):
        contest(image)
    assert contest.serving is old
    assert rival.called == ROUNDS
    assert is_closed(rival, image)
    assert len(reports) == 1
    assert "takes 11.0 ms where onnxruntime (fp32) takes 10.0 ms" in reports[0]


@pytest.mark.parametrize("calls", [0, 4, ROUNDS])
def test_one_that_fails_while_it_competes_does_not_serve(
    contest, old, model, image, clock, reports, calls
):
    rival = new(model, clock, 1.0, calls=calls)
    contest.offer(rival)
    for _ in range(ROUNDS + 3):
        assert np.array_equal(contest(image).mask[0], model.golden.mask)
    assert contest.serving is old
    assert is_closed(rival._backend, image)
    assert reports == ["backend openvino fails, onnxruntime stays in use: out of memory"]


def test_a_later_offer_ends_the_contest_of_the_first(contest, model, image, clock):
    first, second = new(model, clock, 1.0), new(model, clock, 2.0)
    contest.offer(first)
    contest(image)
    contest.offer(second)
    for _ in range(ROUNDS + 1):
        contest(image)
    assert contest.serving is second
    assert is_closed(first, image)


def test_closing_ends_a_contest(contest, old, model, image, clock):
    rival = new(model, clock, 1.0)
    contest.offer(rival)
    contest(image)
    contest.close()
    assert is_closed(rival, image)
    assert is_closed(old, image)
