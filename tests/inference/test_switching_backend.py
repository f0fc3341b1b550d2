"""One backend serves until another is ready: ONNX Runtime first, then OpenVINO."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.model_store import load_model
from terrain_seg_ros.inference.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.openvino_backend import OpenVinoBackend
from terrain_seg_ros.inference.switching_backend import SwitchingBackend
from tiny_model import write_tiny_model

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
    assert "openvino (fp32) serves now, not onnxruntime" in reports[0]


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
    assert "openvino fails, onnxruntime goes on serving" in reports[0]


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
