"""Every row of the table of topics has what it needs, and nothing has more."""

import pytest

import terrain_seg_ros.runtime.outboxes.outboxes  # noqa: F401  (registers the encoders)
from terrain_seg_ros.messages.topic_spec import Direction, Group
from terrain_seg_ros.messages.topics import TOPICS, topic, topics
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Refusal
from terrain_seg_ros.runtime.inbox import HANDLERS
from terrain_seg_ros.runtime.outboxes.encoders import ENCODERS
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics

VALUES = load_parameters().values


def test_every_output_has_one_encoder():
    assert set(ENCODERS) == {spec.name for spec in topics(Direction.OUT)}


def test_every_input_has_a_handler_unless_it_is_queued_or_buffered():
    queued = {spec.name for spec in topics(Direction.IN, Group.IMAGE, Group.TRANSFORMS)}
    assert set(HANDLERS) == {spec.name for spec in topics(Direction.IN)} - queued


@pytest.mark.parametrize("spec", topics(Direction.IN), ids=lambda spec: spec.name)
def test_malformed_inputs_are_counted_under_a_known_reason(spec):
    assert Refusal(spec.malformed) in Refusal


def test_inputs_alone_have_a_reason_for_malformed_messages():
    assert not [spec.name for spec in topics(Direction.OUT) if spec.malformed]


@pytest.mark.parametrize("spec", topics(), ids=lambda spec: spec.name)
def test_rows_refer_to_parameters_and_topics_that_exist(spec):
    named = [condition.setting for condition in spec.when]
    named += [name for name in (spec.max_rate_setting, spec.name_setting) if name]
    assert set(named) <= set(VALUES)
    assert not spec.wanted_with or topic(spec.wanted_with).direction is Direction.OUT


def test_every_topic_is_on_with_some_parameters():
    everything = {
        "landing.enable": True,
        "grid.whole_period_s": 9.0,
        "filter_masks.max_rate_hz": 1.0,
        "downlink.budget_bytes_per_min": 6000,
        "points_enable": True,
        "points_decimation": 2,
    }
    on = set()
    for transport in ("raw", "compressed"):
        for source in ("image", "cloud", "range"):
            values = {**VALUES, **everything, "image_transport": transport, "depth.source": source}
            on |= {spec.name for spec in topics() if spec.is_on(values)}
    assert on == set(TOPICS)


def test_a_dynamic_parameter_that_switches_a_topic_on_finds_its_publisher():
    off = load_parameters(overrides={"points_enable": False, "points_decimation": 1})
    assert {"points", "points_mask"} <= set(outgoing_topics(off))
    assert "landing_sites" not in outgoing_topics(off)
