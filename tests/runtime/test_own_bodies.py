"""Test masks and outlines of the vehicle as the parameters give them, and what becomes of them."""

import cv2
import numpy as np
import pytest

from support.rover import HEIGHT_PX, STATIC, WIDTH_PX, Rover, image_message
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Refusal
from terrain_seg_ros.runtime.session import OwnBodies

FOV = {**STATIC, "horizontal_fov_rad": 1.0}


def picture(folder, name="body.png", *, size=(HEIGHT_PX, WIDTH_PX), rows=slice(40, None)):
    pixels = np.zeros(size, dtype=np.uint8)
    pixels[rows] = 255
    cv2.imwrite(str(folder / name), pixels)
    return str(folder / name)


def bodies(**changes):
    return OwnBodies(load_parameters(overrides={f"own_body.{k}": v for k, v in changes.items()}))


def test_without_masks_and_outline_there_is_none():
    assert bodies().of("navcam") is None
    assert bodies(polygon=[0.1, 0.2, 0.3, 0.4]).of("navcam") is None


def test_each_camera_has_its_own_or_all_share_one(tmp_path):
    cameras = {"cameras": ["left", "right"]}
    left = picture(tmp_path, "left.png")
    each = OwnBodies(load_parameters(overrides={**cameras, "own_body.masks": [left, ""]}))
    assert each.of("left") is not None
    assert each.of("right") is None
    both = OwnBodies(load_parameters(overrides={**cameras, "own_body.masks": [left]}))
    assert both.of("right") is not None
    with pytest.raises(ConfigError, match=r"own_body\.masks"):
        load_parameters(overrides={**cameras, "own_body.masks": ["a", "b", "c"]})


def test_masks_that_cannot_be_read_and_odd_outlines_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.png"):
        bodies(masks=[str(tmp_path / "none.png")])
    with pytest.raises(ConfigError, match="7 numbers"):
        bodies(polygon=[0.1] * 7)


@pytest.mark.requirement("TSR-SAFE-013")
def test_what_shows_the_vehicle_is_not_observed(tmp_path):
    counts = []
    for masks in ([""], [picture(tmp_path)]):
        rover = Rover({**FOV, "own_body.masks": masks})
        grid = decode_grid(rover.send(image_message())["hazard_grid"]).values
        counts.append(int((grid >= 0).sum()))
    assert 0 < counts[1] < counts[0]


def test_a_mask_of_another_size_is_refused_by_name_and_the_mask_goes_out(tmp_path):
    wrong = picture(tmp_path, size=(32, 48), rows=slice(20, None))
    rover = Rover({**FOV, "own_body.masks": [wrong]})
    assert "mask" in rover.send(image_message())
    assert rover.refused == {Refusal.GEOMETRY: 1}
    assert "48 x 32 px" in rover.text
    assert f"{WIDTH_PX} x {HEIGHT_PX} px" in rover.text


def test_the_vehicle_is_the_plainest_of_all_reasons(tmp_path):
    rover = Rover({**FOV, "own_body.polygon": [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]})
    dark = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.uint8)
    given = rover.send(image_message(pixels=dark))
    codes = decode_grid(given["hazard_reason"]).values
    assert set(np.unique(codes)) == {Reason.OUTSIDE_VIEW, Reason.OWN_BODY}
