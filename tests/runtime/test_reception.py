from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.reception import HELD_S, SILENT_AFTER_S, InputFacts, Reception


class Bus:
    """Hold what a rim would count, and a clock."""

    def __init__(self):
        self.now_s = 100.0
        self.dropped = self.other_nodes = 0
        self.facts = {"publishers": 1, "received": 0, "lost": 0, "is_image": True}
        self.health = Health()
        self._reception = Reception(
            self.health, clock_s=lambda: self.now_s, dropped=lambda: self.dropped
        )

    def look(self, *, later_s=1.0, **facts):
        self.now_s += later_s
        self.facts.update(facts)
        item = InputFacts("/cam/image", **self.facts)
        self._reception.look([item], other_nodes=self.other_nodes)
        return self.health.snapshot().standing


def test_a_quiet_bus_is_warned_of_nothing():
    bus = Bus()
    assert bus.look(publishers=0) == {}
    assert bus.look(later_s=100.0) == {}
    for received in range(20):
        assert bus.look(publishers=1, received=received) == {}


def test_a_publisher_without_images_is_told_of_until_one_comes():
    bus = Bus()
    assert bus.look() == {}
    (text,) = bus.look(later_s=SILENT_AFTER_S).values()
    assert "/cam/image has a publisher but no image arrived for 5 s" in text
    assert "net.core.rmem_max" in text
    assert bus.look(received=1) == {}


def test_lost_messages_and_packets_are_told_of_for_a_while_with_the_remedy():
    bus = Bus()
    assert bus.look(received=1) == {}
    bus.dropped = 7
    texts = bus.look(received=2, lost=3)
    assert texts["UDP packets lost"].startswith("7 UDP packets lost, so large best-effort images")
    assert texts["messages of /cam/image lost"].startswith("3 messages of /cam/image lost")
    assert bus.look(received=3, later_s=HELD_S) == {}
    assert bus.health.snapshot().gauges["UDP packets lost"] == 7.0
    bus.dropped = 8
    assert list(bus.look(received=4)) == ["UDP packets lost"]


def test_two_publishers_and_two_nodes_are_told_of_while_they_are_there():
    bus = Bus()
    (text,) = bus.look(publishers=2, received=1).values()
    assert "/cam/image has 2 publishers" in text
    bus.other_nodes = 1
    (text,) = bus.look(publishers=1, received=2).values()
    assert "namespace" in text
    bus.other_nodes = 0
    assert bus.look(received=3) == {}


def test_what_is_no_image_may_be_silent():
    bus = Bus()
    bus.look(is_image=False)
    assert bus.look(later_s=100.0) == {}
