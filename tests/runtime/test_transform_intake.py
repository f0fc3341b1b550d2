import numpy as np
import pytest

from support.rover import SECOND_NS, START_NS, transform_message
from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.transform_buffer import MAX_FRAMES, TransformBuffer
from terrain_seg_ros.runtime.health import Health, Note, Refusal
from terrain_seg_ros.runtime.transform_intake import TransformIntake

STEP_NS = SECOND_NS // 20


def make(cache_s=10.0):
    buffer, health = TransformBuffer(cache_s), Health()
    return buffer, health, TransformIntake(buffer, health, cache_s=cache_s)


def pose(stamp_ns, x_m):
    return transform_message("odom", "base_link", stamp_ns, translation_m=(x_m, 0.0, 0.0))


def test_transforms_are_found_at_their_stamp():
    buffer, _, intake = make()
    intake.add(pose(START_NS, 0.0), static=False)
    intake.add(pose(START_NS + SECOND_NS, 2.0), static=False)
    found = buffer.lookup("odom", "base_link", START_NS + SECOND_NS // 2)
    np.testing.assert_allclose(found.translation_m, [1.0, 0.0, 0.0])


@pytest.mark.parametrize("back_s", [2, 60])
def test_a_jump_of_transforms_forgets_what_came_before(back_s):
    buffer, health, intake = make()
    intake.add(transform_message("base_link", "camera", 0), static=True)
    intake.add(pose(START_NS, 5.0), static=False)
    for offset_ns in range(3):
        intake.add(pose(START_NS - back_s * SECOND_NS + offset_ns, 1.0), static=False)
    with pytest.raises(GeometryError):
        buffer.lookup("odom", "base_link", START_NS)
    found = buffer.lookup("odom", "camera", START_NS - back_s * SECOND_NS)
    np.testing.assert_allclose(found.translation_m, [1.0, 0.0, 0.0])
    intake.forget_moving()
    buffer.lookup("odom", "camera", START_NS - back_s * SECOND_NS)
    too_old = {Refusal.BAD_TRANSFORM: 2} if back_s == 60 else {}
    assert health.snapshot().refused == too_old


def test_a_jump_of_images_forgets_moving_transforms():
    buffer, _, intake = make()
    intake.add(pose(START_NS, 5.0), static=False)
    intake.forget_moving()
    with pytest.raises(GeometryError):
        buffer.lookup("odom", "base_link", START_NS)
    intake.add(pose(START_NS - 60 * SECOND_NS, 1.0), static=False)
    buffer.lookup("odom", "base_link", START_NS - 60 * SECOND_NS)


def test_frames_may_run_ahead_of_each_other():
    buffer, _, intake = make()
    intake.add(transform_message("map", "odom", START_NS + SECOND_NS), static=False)
    intake.add(pose(START_NS, 1.0), static=False)
    buffer.lookup("odom", "base_link", START_NS)
    buffer.lookup("map", "odom", START_NS + SECOND_NS)


def test_a_loop_of_frames_is_counted():
    _, health, intake = make()
    intake.add(transform_message("a", "b", START_NS), static=False)
    intake.add(transform_message("b", "a", START_NS), static=False)
    assert health.snapshot().refused == {Refusal.BAD_TRANSFORM: 1}


def drive(intake, count, *, start_ns=START_NS, child="base_link"):
    """Send `count` samples, 0.05 s apart, of a frame that moves 1 m each."""
    for index in range(count):
        message = transform_message(
            "odom", child, start_ns + index * STEP_NS, translation_m=(float(index), 0.0, 0.0)
        )
        intake.add(message, static=False)
    return start_ns + (count - 1) * STEP_NS


def spoil(item, fault):
    q, t = item.transform.rotation, item.transform.translation
    if fault == "null quaternion":
        q.x = q.y = q.z = q.w = 0.0
    elif fault == "not finite":
        t.x = float("nan")
    elif fault == "own parent":
        item.child_frame_id = item.header.frame_id
    elif fault == "no child":
        item.child_frame_id = ""
    elif fault == "stamp":
        item.header.stamp.nanosec = 2_000_000_000
    elif fault == "loop":
        item.header.frame_id, item.child_frame_id = "base_link", "odom"
    else:
        t.x = float(fault)


FAULTS = [
    "null quaternion",
    "not finite",
    "own parent",
    "no child",
    "stamp",
    "loop",
    "1e38",
    "1e308",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("static", [True, False])
def test_one_bad_transform_is_refused_by_name_and_the_others_count(fault, place, static):
    buffer, health, intake = make()
    intake.add(pose(START_NS, 0.0), static=False)
    intake.add(pose(START_NS + SECOND_NS, 2.0), static=False)
    message = transform_message("base_link", "left", START_NS)
    for child in ("mast", "right"):
        message.transforms.append(transform_message("base_link", child, START_NS).transforms[0])
    bad = transform_message("base_link", "crooked", START_NS).transforms[0]
    spoil(bad, fault)
    message.transforms.insert(place, bad)
    intake.add(message, static=static)
    for child in ("left", "mast", "right"):
        buffer.lookup("base_link", child, START_NS)
    found = buffer.lookup("odom", "base_link", START_NS + SECOND_NS // 2)
    np.testing.assert_allclose(found.translation_m, [1.0, 0.0, 0.0])
    snapshot = health.snapshot()
    assert snapshot.refused == {Refusal.BAD_TRANSFORM: 1}
    for name in (bad.header.frame_id, bad.child_frame_id):
        assert repr(name.strip("/")) in snapshot.last_refusal


@pytest.mark.parametrize("late_s", [0.6, 3.0, 9.0, 30.0, 900.0])
def test_a_late_sample_of_another_frame_clears_nothing(late_s):
    buffer, _, intake = make()
    last_ns = drive(intake, 40)
    drive(intake, 40, child="arm")
    late = transform_message("base_link", "arm", last_ns - round(late_s * SECOND_NS))
    intake.add(late, static=False)
    for index in (0, 20, 39):
        found = buffer.lookup("odom", "base_link", START_NS + index * STEP_NS)
        assert found.translation_m[0] == index


def test_a_late_sample_within_the_cache_is_found_at_its_stamp():
    buffer, health, intake = make()
    last_ns = drive(intake, 40)
    late_ns = last_ns - SECOND_NS + STEP_NS // 2
    intake.add(pose(late_ns, 7.0), static=False)
    assert buffer.lookup("odom", "base_link", late_ns).translation_m[0] == 7.0
    assert not health.snapshot().refused


def test_a_sample_older_than_the_cache_is_left_out_and_counted():
    _, health, intake = make(cache_s=1.0)
    last_ns = drive(intake, 40)
    intake.add(pose(last_ns - 5 * SECOND_NS, 7.0), static=False)
    snapshot = health.snapshot()
    assert snapshot.refused == {Refusal.BAD_TRANSFORM: 1}
    assert "'base_link' in 'odom' is older than tf_cache_s" in snapshot.last_refusal


@pytest.mark.parametrize("ahead_s", [0.7, 100.0, 1e6])
def test_a_sample_ahead_takes_neither_history_nor_future(ahead_s):
    buffer, health, intake = make()
    last_ns = drive(intake, 40)
    intake.add(pose(last_ns + round(ahead_s * SECOND_NS), 1e6), static=False)
    drive(intake, 3, start_ns=last_ns + STEP_NS)
    for stamp_ns, x_m in ((START_NS, 0.0), (last_ns, 39.0), (last_ns + STEP_NS * 3 // 2, 0.5)):
        found = buffer.lookup("odom", "base_link", stamp_ns)
        assert found.translation_m[0] == pytest.approx(x_m)
    assert "'base_link' in 'odom'" in health.snapshot().last_refusal


def test_an_early_sample_ahead_is_taken_back_too():
    buffer, _, intake = make()
    intake.add(pose(START_NS, 0.0), static=False)
    intake.add(pose(START_NS + 10**6 * SECOND_NS, 1e6), static=False)
    last_ns = drive(intake, 10, start_ns=START_NS + STEP_NS)
    assert buffer.lookup("odom", "base_link", last_ns).translation_m[0] == 9.0
    assert buffer.lookup("odom", "base_link", last_ns - STEP_NS // 2).translation_m[0] == 8.5


def test_a_publisher_that_pauses_goes_on():
    buffer, health, intake = make()
    last_ns = drive(intake, 40)
    last_ns = drive(intake, 5, start_ns=last_ns + 5 * SECOND_NS)
    assert buffer.lookup("odom", "base_link", last_ns).translation_m[0] == 4.0
    assert buffer.lookup("odom", "base_link", last_ns - 4 * STEP_NS).translation_m[0] == 0.0
    assert not health.snapshot().refused


def test_a_jump_of_one_frame_leaves_the_others_and_is_told_once():
    buffer, health = TransformBuffer(10.0), Health()
    jumps = []
    intake = TransformIntake(buffer, health, cache_s=10.0, on_jump=lambda: jumps.append(True))
    drive(intake, 40)
    drive(intake, 40, child="arm")
    last_ns = drive(intake, 10, start_ns=START_NS - 100 * SECOND_NS, child="arm")
    assert jumps == [True]
    assert buffer.lookup("odom", "arm", last_ns).translation_m[0] == 9.0
    assert buffer.lookup("odom", "arm", START_NS - 100 * SECOND_NS).translation_m[0] == 0.0
    assert buffer.lookup("odom", "base_link", START_NS).translation_m[0] == 0.0
    with pytest.raises(GeometryError, match="newer"):
        buffer.lookup("odom", "arm", START_NS)


def test_what_came_after_a_jump_survives_the_jump_of_the_images():
    buffer, _, intake = make()
    drive(intake, 40)
    early_ns = START_NS - 100 * SECOND_NS
    drive(intake, 2, start_ns=early_ns)
    intake.forget_moving()
    assert buffer.lookup("odom", "base_link", early_ns + STEP_NS // 2).translation_m[0] == 0.5


def test_leading_slashes_are_noted_once():
    buffer, health, intake = make()
    for _ in range(3):
        message = transform_message("odom", "base_link", START_NS)
        message.transforms[0].header.frame_id = "/odom"
        intake.add(message, static=False)
    buffer.lookup("/odom", "base_link", START_NS)
    assert health.snapshot().notes == {Note.FRAME_SLASH: 1}


def test_a_flood_of_names_leaves_the_real_frames():
    buffer, _, intake = make(cache_s=1.0)
    for index in range(MAX_FRAMES):
        intake.add(transform_message("odom", f"invented_{index}", START_NS), static=False)
    last_ns = drive(intake, 40, start_ns=START_NS + 2 * SECOND_NS)
    assert buffer.lookup("odom", "base_link", last_ns).translation_m[0] == 39.0


def test_what_is_known_of_invented_names_does_not_grow():
    _, _, intake = make(cache_s=1.0)
    for index in range(MAX_FRAMES + 200):
        start_ns = START_NS + index * 4 * SECOND_NS
        drive(intake, 5, start_ns=start_ns, child=f"invented_{index}")
        drive(intake, 3, start_ns=start_ns - 100 * SECOND_NS, child=f"invented_{index}")
    sizes = [len(intake._lines), len(intake._behind), len(intake._ahead), len(intake._jumped)]
    assert max(sizes) <= MAX_FRAMES
