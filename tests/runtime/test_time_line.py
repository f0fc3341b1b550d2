"""One odd stamp is told from a pause and from a jump in time."""

import pytest

from terrain_seg_ros.runtime.time_line import Place, TimeLine

PERIOD_NS = 33_000_000
SLACK_NS = 100_000_000
START_NS = 1_000_000_000_000


def line_of(count=10):
    line = TimeLine(SLACK_NS)
    for index in range(count):
        assert line.classify(START_NS + index * PERIOD_NS) is Place.NEXT
    return line, START_NS + count * PERIOD_NS


def classify(line, *stamps, **options):
    return [line.classify(stamp, **options) for stamp in stamps]


@pytest.mark.parametrize("ahead_ns", [400_000_000, 60_000_000_000, 10**18])
def test_one_stamp_ahead_is_odd_and_the_line_goes_on(ahead_ns):
    line, next_ns = line_of()
    assert classify(line, next_ns + ahead_ns) == [Place.ODD_AHEAD]
    assert classify(line, next_ns + PERIOD_NS, next_ns + 2 * PERIOD_NS) == [Place.NEXT] * 2


@pytest.mark.parametrize("behind_ns", [120_000_000, 600_000_000, 60_000_000_000, 10**12])
def test_one_late_stamp_is_odd_and_the_line_goes_on(behind_ns):
    line, next_ns = line_of()
    for index in range(5):
        now_ns = next_ns + index * PERIOD_NS
        assert classify(line, now_ns, now_ns - behind_ns) == [Place.NEXT, Place.ODD_BEHIND]


def test_a_pause_of_the_camera_costs_one_image_at_most():
    line, next_ns = line_of()
    after_ns = next_ns + 5_000_000_000
    assert classify(line, after_ns, after_ns + PERIOD_NS) == [Place.ODD_AHEAD, Place.NEXT]
    assert line.classify(after_ns + 2 * PERIOD_NS) is Place.NEXT


def test_a_pause_that_the_clock_saw_too_costs_nothing():
    line = TimeLine(SLACK_NS)
    for index in range(10):
        line.classify(index * PERIOD_NS, moment_ns=index * PERIOD_NS)
    later_ns = 10 * PERIOD_NS + 3_000_000_000
    assert line.classify(later_ns, moment_ns=later_ns) is Place.NEXT
    assert line.classify(later_ns + 10**10, moment_ns=later_ns + PERIOD_NS) is Place.ODD_AHEAD


def test_an_image_that_was_delivered_late_does_not_make_the_next_one_odd():
    line = TimeLine(SLACK_NS)
    for index in range(10):
        line.classify(index * PERIOD_NS, moment_ns=index * PERIOD_NS)
    held_up_ns = 10 * PERIOD_NS
    now_ns = held_up_ns + 2_000_000_000
    assert line.classify(held_up_ns, moment_ns=now_ns) is Place.NEXT
    assert line.classify(now_ns, moment_ns=now_ns + 1) is Place.NEXT


def test_images_that_were_held_up_for_long_do_not_make_the_next_one_odd():
    line = TimeLine(SLACK_NS)
    for index in range(10):
        line.classify(index * PERIOD_NS, moment_ns=index * PERIOD_NS)
    for index in range(10, 40):
        line.classify(index * PERIOD_NS, moment_ns=index * PERIOD_NS + 2_000_000_000)
    now_ns = 40 * PERIOD_NS + 1_500_000_000
    assert line.classify(now_ns, moment_ns=now_ns) is Place.NEXT


@pytest.mark.parametrize("back_ns", [700_000_000, 60_000_000_000])
def test_three_in_a_row_that_agree_are_a_jump(back_ns):
    line, next_ns = line_of(30)
    early_ns = next_ns - back_ns
    stamps = [early_ns + index * PERIOD_NS for index in range(4)]
    assert classify(line, *stamps) == [Place.ODD_BEHIND] * 2 + [Place.JUMPED, Place.NEXT]


def test_a_jump_that_is_a_little_longer_than_the_slack_is_one_too():
    line, next_ns = line_of()
    early_ns = next_ns - PERIOD_NS - SLACK_NS - 1
    stamps = [early_ns + index * PERIOD_NS for index in range(4)]
    assert classify(line, *stamps) == [Place.ODD_BEHIND] * 2 + [Place.JUMPED, Place.NEXT]


def test_stamps_that_do_not_follow_each_other_agree_on_nothing():
    line, next_ns = line_of()
    early_ns = next_ns - 10**12
    far = [early_ns, early_ns - 1, early_ns - 2, early_ns + 10**11, early_ns + 5 * 10**11]
    assert classify(line, *far, *far) == [Place.ODD_BEHIND] * 10
    assert line.classify(next_ns) is Place.NEXT


def test_a_second_publisher_with_another_clock_never_becomes_the_line():
    line, next_ns = line_of()
    for index in range(20):
        now_ns = next_ns + index * PERIOD_NS
        assert classify(line, now_ns, now_ns - 10**10) == [Place.NEXT, Place.ODD_BEHIND]


def test_a_jump_that_something_else_shows_is_believed_at_once():
    line, next_ns = line_of()
    assert line.classify(next_ns - 10**10, expect_jump=True) is Place.JUMPED
    assert line.classify(next_ns - 10**10 + PERIOD_NS) is Place.NEXT


def test_a_first_stamp_ahead_is_left_out_by_those_that_follow():
    line = TimeLine(SLACK_NS)
    assert classify(line, START_NS, START_NS + 10**12) == [Place.NEXT] * 2
    stamps = [START_NS + index * PERIOD_NS for index in range(1, 6)]
    assert classify(line, *stamps) == [Place.NEXT_WITHOUT_LAST] + [Place.NEXT] * 4


def test_a_first_stamp_of_all_that_is_ahead_is_outvoted_by_two():
    line = TimeLine(SLACK_NS)
    stamps = [START_NS + index * PERIOD_NS for index in range(1, 6)]
    places = classify(line, START_NS + 400_000_000, *stamps)
    assert places[:3] == [Place.NEXT, Place.ODD_BEHIND, Place.NEXT_WITHOUT_LAST]
    assert places[3:] == [Place.NEXT] * 3


def test_neighbours_that_are_swapped_are_late():
    line, next_ns = line_of()
    assert classify(line, next_ns + PERIOD_NS, next_ns) == [Place.NEXT, Place.LATE]
    assert line.classify(next_ns + PERIOD_NS) is Place.LATE


def test_a_slow_source_has_long_distances():
    line = TimeLine(SLACK_NS)
    stamps = [START_NS + index * 5 * 10**9 for index in range(10)]
    assert classify(line, *stamps) == [Place.NEXT] * 10
    assert classify(line, stamps[-1] + 9 * 10**9) == [Place.NEXT]
    back = [stamps[0] + index * 5 * 10**9 for index in range(3)]
    assert classify(line, *back)[-1] is Place.JUMPED
