"""Rectified images go by P, as their topic's name or a parameter says."""

from dataclasses import replace

import numpy as np
import pytest

from support.rover import STATIC, Rover, camera_info_message, image_message
from terrain_seg_ros.runtime.input_topics import is_rectified
from terrain_seg_ros.runtime.outboxes.outgoing import Bus


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("/navcam/image_rect", True),
        ("/navcam/image_rect_color", True),
        ("/navcam/image_rect/compressed", True),
        ("rt/terrain/image_rect", True),
        ("/zed/rgb/color/rect/image", True),
        ("/left/image_mono_rect", True),
        ("/left/rectified/image", True),
        ("/navcam/image_raw", False),
        ("/navcam/image", False),
        ("/rectangle/image", False),
        ("/rect/navcam/image_raw", False),
        ("/correct/image_color", False),
        ("", False),
    ],
)
def test_the_name_of_a_topic_tells(topic, expected):
    assert is_rectified(topic) == expected


def _grid_of(topic, **parameters):
    """Return what a grid knows, from a camera_info whose P looks twice as narrow as its K.

    `topic` is where the images come from, None as the parameters say.
    """
    topics = None if topic is None else {"navcam": topic}
    rover = Rover({**STATIC, "mounting.pitch_rad": 0.5, **parameters}, bus=Bus(image_topics=topics))
    message = camera_info_message()
    p = np.array(message.p)
    p[[0, 5]] *= 2.0
    rover.send_info(replace(message, p=p, d=np.array([-0.05, 0.0, 0.0, 0.0, 0.0])))
    grid = rover.send(image_message())["hazard_grid"]
    return np.array(grid.data), rover.health.snapshot().remarks


def test_a_rectified_topic_and_the_parameter_give_the_same_grid():
    raw, told = _grid_of("/navcam/image")
    assert not told
    rectified, told = _grid_of("/navcam/image_rect")
    assert "follow P" in told["camera_info of navcam"]
    assert not np.array_equal(raw, rectified)
    forced, _ = _grid_of("/navcam/image", image_rectification="rectified")
    np.testing.assert_array_equal(forced, rectified)
    kept, _ = _grid_of("/navcam/image_rect", image_rectification="raw")
    np.testing.assert_array_equal(kept, raw)


def test_the_topic_of_the_parameters_tells_too():
    by_parameter, told = _grid_of(None, image_topic="image_rect")
    assert told
    np.testing.assert_array_equal(by_parameter, _grid_of("/navcam/image_rect")[0])
