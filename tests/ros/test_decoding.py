"""What no decoder of ours reads is refused by name, with the reason why cv_bridge does not help."""

from __future__ import annotations

import importlib

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_images import message_of
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.ros import decoding


@pytest.fixture
def fresh():
    """Forget what was found out about cv_bridge."""
    decoding.cv_bridge.cache_clear()
    yield
    decoding.cv_bridge.cache_clear()


@pytest.mark.parametrize("encoding", ["yuv9000", "", "8UC2", "32FC7"])
def test_what_nobody_reads_is_refused_by_name(fresh, encoding):
    with pytest.raises(MessageError, match=repr(encoding)):
        decoding.decode(message_of(encoding, 2))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("numpy.core.multiarray failed to import"), "another NumPy"),
        (AttributeError("_ARRAY_API not found"), "another NumPy"),
        (ModuleNotFoundError("No module named 'cv_bridge'"), "is not installed"),
    ],
)
def test_a_bridge_that_does_not_load_is_explained(fresh, monkeypatch, error, words):
    def refuse(name, *arguments):
        if name.startswith("cv_bridge"):
            raise error
        return real(name, *arguments)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(MessageError, match=words):
        decoding.decode(message_of("yuv422", 2))
    pixels = decoding.decode(message_of("mono8", 1)).pixels
    assert pixels.shape == (24, 32)
