from threading import Thread

from terrain_seg_ros.runtime.latest_slot import LatestSlot


def test_a_newer_item_replaces_the_waiting_one():
    slot = LatestSlot()
    assert not slot.put("a", 1)
    assert slot.put("a", 2)
    assert len(slot) == 1
    assert slot.take(0.0) == ("a", 2)
    assert slot.take(0.0) is None


def test_the_longest_waiting_camera_is_taken_first():
    slot = LatestSlot()
    slot.put("quick", 1)
    slot.put("slow", 2)
    slot.put("quick", 3)
    assert slot.take(0.0) == ("quick", 3)
    slot.put("quick", 4)
    assert slot.take(0.0) == ("slow", 2)
    assert slot.take(0.0) == ("quick", 4)


def test_cameras_that_always_wait_get_equal_turns():
    slot = LatestSlot()
    taken = []
    for index in range(40):
        for key in ("front", "rear"):
            slot.put(key, index)
        taken.append(slot.take(0.0)[0])
    assert taken.count("front") == 20


def test_what_waits_is_taken_in_the_order_of_turns():
    slot = LatestSlot()
    for key in ("front", "rear", "left"):
        slot.put(key, 1)
    assert slot.take(0.0) == ("front", 1)
    slot.put("front", 2)
    assert slot.take_waiting(2) == [("rear", 1), ("left", 1)]
    assert slot.take_waiting(2) == [("front", 2)]
    assert slot.take_waiting(2) == []


def test_a_camera_that_paused_gets_no_turns_for_it():
    slot = LatestSlot()
    for index in range(10):
        slot.put("front", index)
        slot.take(0.0)
    taken = []
    for index in range(10):
        for key in ("front", "rear"):
            slot.put(key, index)
        taken.append(slot.take(0.0)[0])
    assert taken.count("rear") in {5, 6}


def test_none_may_wait_as_an_item():
    slot = LatestSlot()
    slot.put("a", None)
    assert slot.take(0.0) == ("a", None)


def test_clear_says_how_much_it_threw_away():
    slot = LatestSlot()
    slot.put("a", 1)
    slot.put("b", 1)
    assert slot.clear() == 2
    assert slot.take(0.0) is None


def test_close_wakes_whoever_waits_and_takes_nothing_more():
    slot = LatestSlot()
    taken = []
    thread = Thread(target=lambda: taken.append(slot.take(60.0)))
    thread.start()
    slot.close()
    thread.join(10.0)
    assert taken == [None]
    slot.put("a", 1)
    assert len(slot) == 0
    assert slot.closed
