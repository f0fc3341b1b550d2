import pytest

from terrain_seg_ros.messages.diagnostics_message import Level
from terrain_seg_ros.runtime.health import TEXT_LIMIT, WINDOW, Drop, Health, Note, Refusal
from terrain_seg_ros.runtime.health_report import health_status


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def status(health, *, stale=False):
    return health_status(health.snapshot(), age_s=1.0, stale=stale, about={"model": "m 1"})


def test_counters():
    health = Health()
    for _ in range(3):
        health.count_in()
    health.count_dropped(Drop.REPLACED)
    health.count_refused(Refusal.BAD_IMAGE, "image is empty; check the publisher")
    health.count_out(with_grid=False)
    found = health.snapshot()
    assert (found.images_in, found.images_out, found.grids_out) == (3, 1, 0)
    assert found.dropped == {Drop.REPLACED: 1}
    assert found.refused == {Refusal.BAD_IMAGE: 1}
    assert found.refused_since_good == 1
    health.count_out(with_grid=True)
    assert health.snapshot().refused_since_good == 0


def test_latencies_are_those_of_the_last_images():
    health = Health()
    for value in [1000.0] * WINDOW + list(range(WINDOW)):
        health.add_latencies({"total": float(value)})
    latency = health.snapshot().latency["total"]
    assert latency.count == WINDOW
    assert latency.median_ms == pytest.approx((WINDOW - 1) / 2)
    assert latency.median_ms < latency.p90_ms < latency.p99_ms < WINDOW


def test_rates_follow_the_clock_and_fall_to_zero():
    clock = Clock()
    health = Health(clock)
    assert health.snapshot().rate_in_hz == 0.0
    for _ in range(100):
        clock.now_s += 0.05
        health.count_in()
    assert health.snapshot().rate_in_hz == pytest.approx(20.0, rel=0.02)
    clock.now_s += 100.0
    assert health.snapshot().rate_in_hz == 0.0


def test_texts_and_stages_are_bounded():
    health = Health()
    health.count_refused(Refusal.BAD_IMAGE, "x" * 10_000)
    for index in range(1000):
        health.add_latencies({f"stage {index}": 1.0})
    found = health.snapshot()
    assert len(found.refusal_texts[Refusal.BAD_IMAGE]) == TEXT_LIMIT
    assert len(found.latency) < 100


def test_status_follows_the_state():
    health = Health()
    assert status(health).level is Level.WARN
    health.count_out(with_grid=True)
    assert status(health).level is Level.OK
    health.note(Note.FIELD_OF_VIEW)
    health.count_out(with_grid=True)
    assert status(health).level is Level.WARN
    assert "horizontal_fov_rad" in status(health).message
    health.count_out(with_grid=True)
    assert status(health).level is Level.OK
    health.count_refused(Refusal.NO_TRANSFORM, "no transform from 'a' to 'b'")
    found = status(health)
    assert found.level is Level.WARN
    assert "from 'a' to 'b'" in found.message
    assert status(health, stale=True).level is Level.ERROR
    assert status(health, stale=True).values["model"] == "m 1"
