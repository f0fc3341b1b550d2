from terrain_seg_ros.runtime.grid_keeper import Watchdog


def test_staleness_is_reported_once_until_a_good_image():
    dog = Watchdog(2.0, now_s=100.0)
    assert not dog.turned_stale(102.0)
    assert dog.turned_stale(102.1)
    assert not dog.turned_stale(110.0)
    assert dog.stale
    dog.good(111.0)
    assert not dog.stale
    assert not dog.turned_stale(113.0)
    assert dog.turned_stale(113.1)
    assert dog.age_s(115.0) == 4.0


def test_a_limit_of_zero_switches_it_off():
    dog = Watchdog(0.0, now_s=0.0)
    assert not dog.turned_stale(1e9)
    dog.set_limit(1.0)
    assert dog.turned_stale(1e9)
