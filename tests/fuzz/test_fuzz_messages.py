"""Changed messages into the node's logic, without a bus, for breadth."""

from __future__ import annotations

import numpy as np
import pytest

from support.good_inputs import GOOD, mounting, poses
from support.mutators import mutated_bytes, mutated_message
from support.rover import SECOND_NS, START_NS, Rover, camera_info_message, image_message
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.cdr import deserialize, serialize
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.runtime.health import Refusal

COUNT = 150
STEP_NS = SECOND_NS // 20
TRIES = 6
SOURCES = {
    "plane": {},
    "assumed mounting": {"mounting.use_tf": False, "horizontal_fov_rad": 1.0},
    "depth": {"ground.source": "depth", "depth.source": "image"},
    "cloud": {"depth.source": "cloud"},
    "range": {"depth.source": "range", "ground.plane": "range_plane"},
}


class Fuzzed:
    """Hold a rover, and send messages to it as its rims do."""

    def __init__(self, changes):
        self.rover = Rover({"landing.enable": True, "grid.size_m": 10.0, **changes})
        self.rover.node.start()
        self.stamp_ns = START_NS
        values = self.rover.parameters.values
        self.rows = {spec.name: spec for spec in topics() if spec.is_on(values)}
        self.measured = [row.name for row in self.rows.values() if row.group is Group.GROUND]

    def take(self, kind, message):
        node, intake = self.rover.node, self.rover.intake
        if kind in {"image", "colour", "compressed"}:
            node.image("navcam", message)
        elif kind in {"tf", "tf_static"}:
            intake.add(message, static=kind == "tf_static")
        elif kind in self.rows:
            node.take(kind, "navcam" if self.rows[kind].per_camera else "", message)
            node.tick()
        node.diagnostics()

    def serves(self):
        """Show good frames until one has free cells."""
        for _ in range(TRIES):
            self.stamp_ns += STEP_NS
            self.rover.send_info(camera_info_message(self.stamp_ns))
            self.rover.intake.add(mounting(), static=True)
            self.rover.intake.add(poses(self.stamp_ns), static=False)
            for name in self.measured:
                self.take(name, GOOD[name][0](self.stamp_ns))
            given = self.rover.send(image_message(self.stamp_ns))
            if "hazard_grid" in given and (np.asarray(given["hazard_grid"].data) >= 0).any():
                return True
        return False

    def check_no_defect(self, what):
        health = self.rover.health.snapshot()
        assert Refusal.DEFECT not in health.refused, (what, health.refusal_texts[Refusal.DEFECT])


def changed(rng, kind, stamp_ns):
    """Return a changed message of a kind as it comes off the wire, or None if none comes."""
    make, type_name = GOOD[kind]
    message = make(stamp_ns)
    try:
        if rng.integers(4):
            with np.errstate(all="ignore"):
                data = bytes(serialize(mutated_message(rng, message), type_name))
        else:
            data = mutated_bytes(rng, bytes(serialize(message, type_name)))
        return deserialize(data, type_name)
    except MessageError:
        return None


@pytest.mark.requirement("TSR-ROB-001")
@pytest.mark.parametrize("source", SOURCES)
def test_changed_messages_are_survived_and_the_next_good_frame_is_served(rng, times, source):
    fuzzed = Fuzzed(SOURCES[source])
    assert fuzzed.serves()
    kinds = list(GOOD)
    for index in range(times(COUNT)):
        kind = kinds[int(rng.integers(len(kinds)))]
        fuzzed.stamp_ns += STEP_NS
        message = changed(rng, kind, fuzzed.stamp_ns)
        if message is None:
            continue
        fuzzed.take(kind, message)
        fuzzed.check_no_defect((index, kind, str(message)[:600]))
        if index % 50 == 49:
            assert fuzzed.serves(), fuzzed.rover.text
    assert fuzzed.serves(), fuzzed.rover.text
    assert decode_diagnostics(fuzzed.rover.node.diagnostics()[0].message)
    fuzzed.check_no_defect("the good frames")
