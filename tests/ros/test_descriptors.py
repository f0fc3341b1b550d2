"""A setting that is added in one place has its ROS descriptor."""

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.sample_settings import SAMPLE
from terrain_seg_ros.ros.node_parameters import descriptor_of


def test_a_number_has_its_range_and_unit():
    found = descriptor_of(SAMPLE.setting("wheel.radius_m"))
    (bounds,) = found.floating_point_range
    assert (bounds.from_value, bounds.to_value) == (0.1, 2.0)
    assert found.description == "Radius of a wheel. [m] Set it before configure."
    assert not found.integer_range


def test_a_dynamic_setting_does_not_ask_to_be_set_before_configure():
    assert descriptor_of(SAMPLE.setting("wheel.slip_limit")).description == "Largest slip."


def test_a_whole_number_has_an_integer_range():
    (bounds,) = descriptor_of(SAMPLE.setting("wheel.count")).integer_range
    assert (bounds.from_value, bounds.to_value, bounds.step) == (4, 8, 1)


def test_items_of_a_list_have_a_range():
    (bounds,) = descriptor_of(SAMPLE.setting("wheel.offsets_m")).floating_point_range
    assert (bounds.from_value, bounds.to_value) == (-1.0, 1.0)


def test_choices_are_named():
    found = descriptor_of(SAMPLE.setting("wheel.gear"))
    assert found.additional_constraints == "low, high"
    assert not (found.floating_point_range or found.integer_range)
