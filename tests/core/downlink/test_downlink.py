"""Sender and receiver of the downlink: round trip, budget, lost packets, hostile bytes."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.downlinks import SECOND_NS, assert_never_safer, ground, snapshot
from terrain_seg_ros.core.downlink.byte_budget import ByteBudget
from terrain_seg_ros.core.downlink.packet import (
    PACKET_LIMIT_BYTES,
    Packet,
    Section,
    find_packets,
    inflate,
    pack,
    unpack,
)
from terrain_seg_ros.core.downlink.parts import (
    THUMBNAIL_PX,
    Site,
    make_thumbnail,
    pack_health,
    unpack_health,
    unpack_sites,
    unpack_thumbnail,
)
from terrain_seg_ros.core.downlink.receiver import DownlinkReceiver, Gap
from terrain_seg_ros.core.downlink.sender import DownlinkSender
from terrain_seg_ros.core.downlink.tiles import Extent, TileGrid, unpack_tiles
from terrain_seg_ros.core.errors import MessageError

START_NS = 1_000 * SECOND_NS
PLENTY = 600_000
LEAST = 4800
seeds = st.integers(0, 2**32 - 1)


def receive(packets, receiver=None):
    receiver = receiver or DownlinkReceiver()
    for data in packets:
        receiver.take(unpack(data))
    return receiver


def drive(rng, *, budget, seconds, size=(50, 70)):
    """Yield (packets, truth) once a second while ground changes and the grid moves along."""
    sender = DownlinkSender(budget)
    first = np.array([-20, 13])
    world = ground(rng, 300, 300)
    for second in range(seconds):
        first = first + rng.integers(0, 3, 2)
        row, col = rng.integers(0, 280, 2)
        world[row : row + 20, col : col + 20] = rng.choice([-1, 0, 40, 100])
        top, left = first + 60
        truth = snapshot(
            world[top : top + size[0], left : left + size[1]].copy(),
            START_NS + second * SECOND_NS,
            first=tuple(first.tolist()),
        )
        sender.show_grid(truth)
        sender.show_health({"level": "ok", "message": f"second {second}"})
        yield sender.packets(truth.stamp_ns, float(second)), truth


@pytest.mark.requirement("TSR-LINK-002")
@given(seed=seeds, rows=st.integers(1, 60), cols=st.integers(1, 60))
@settings(max_examples=40)
def test_a_grid_arrives_with_its_hazards_and_no_cost_lowered(seed, rows, cols):
    rng = np.random.default_rng(seed)
    first = tuple(rng.integers(-10_000, 10_000, 2).tolist())
    truth = snapshot(ground(rng, rows, cols), START_NS, first=first)
    sender = DownlinkSender(PLENTY)
    sender.show_grid(truth)
    assert sender.packets(START_NS, 0.0) == [], "the bucket starts empty"
    shown = receive(sender.packets(START_NS, 60.0)).grid()
    assert_never_safer(shown.cost, truth.cost)
    assert shown.extent == Extent.of(truth)
    assert set(shown.stamp_ns[truth.cost >= 0].tolist()) <= {START_NS}


@given(seed=seeds)
@settings(max_examples=15)
def test_with_bytes_to_spare_the_listener_has_every_grid_of_a_drive(seed):
    receiver = DownlinkReceiver()
    for packets, truth in drive(np.random.default_rng(seed), budget=2_000_000, seconds=12):
        receive(packets, receiver)
        shown = receiver.grid()
        if shown is not None:
            assert_never_safer(shown.cost, truth.cost)
    assert receiver.packets > 5
    assert receiver.gaps == []


@pytest.mark.requirement("TSR-LINK-001")
@given(seed=seeds, budget=st.sampled_from([LEAST, 9_000, 40_000]))
@settings(max_examples=12)
def test_no_minute_of_a_drive_exceeds_the_budget(seed, budget):
    rng = np.random.default_rng(seed)
    sizes = [sum(map(len, packets)) for packets, _ in drive(rng, budget=budget, seconds=150)]
    minutes = [sum(sizes[start : start + 61]) for start in range(len(sizes) - 60)]
    assert max(minutes) <= budget
    assert sum(sizes) > budget, "the drive had more to send than a minute takes"


@pytest.mark.requirement("TSR-LINK-001")
@given(
    budget=st.integers(LEAST, 10**6),
    steps=st.lists(
        st.tuples(st.floats(0.0, 12.0), st.sampled_from([1.0, 1.0, 0.5, 0.0])), max_size=80
    ),
)
@example(budget=60_000, steps=[(12.0, 0.0), *[(1.0, 1.0)] * 61])  # a full bucket, then all
def test_any_minute_of_any_pattern_of_spending_keeps_the_budget(budget, steps):
    bucket, now_s, spent = ByteBudget(budget), 0.0, []
    for wait_s, share in steps:
        now_s += wait_s
        count = int(bucket.available(now_s) * share)
        bucket.spend(count)
        spent.append((now_s, count))
    for start_s, _ in spent:
        assert sum(n for at_s, n in spent if start_s <= at_s <= start_s + 60.0) <= budget


def test_a_clock_that_steps_back_gains_nothing():
    bucket = ByteBudget(6000)
    bucket.available(100.0)
    bucket.spend(bucket.available(160.0))
    assert bucket.available(0.0) == 0
    assert bucket.available(12.0) == 1000


@pytest.mark.requirement("TSR-LINK-003")
@given(seed=seeds, loss=st.floats(0.05, 0.6))
@settings(max_examples=15)
def test_lost_packets_never_make_ground_safer_than_the_vehicle_sent_it(seed, loss):
    rng = np.random.default_rng(seed)
    receiver, sent_safe = DownlinkReceiver(), {}
    truth = None
    for packets, truth in drive(rng, budget=2_000_000, seconds=10):
        receive([data for data in packets if rng.random() > loss], receiver)
        sent_safe[truth.stamp_ns] = truth
        shown = receiver.grid()
        if shown is None:
            continue
        for row, col in np.argwhere((shown.cost >= 0) & (shown.cost < 100)).tolist():
            then = sent_safe[int(shown.stamp_ns[row, col])]
            at = then.cost[
                row + shown.extent.first_row - round(then.origin_y_m / then.resolution_m),
                col + shown.extent.first_col - round(then.origin_x_m / then.resolution_m),
            ]
            assert 0 <= at <= shown.cost[row, col]


@pytest.mark.requirement("TSR-LINK-004")
def test_a_round_gives_a_late_listener_the_whole_grid():
    rng = np.random.default_rng(5)
    truth = snapshot(ground(rng, 60, 60), START_NS)
    sender = DownlinkSender(PLENTY)
    sender.show_grid(truth)
    sender.packets(START_NS, 0.0)
    early = sender.packets(START_NS, 50.0)
    assert sender.packets(START_NS, 60.0) == []
    again = sender.packets(START_NS + SECOND_NS, 111.0)
    late = receive(again)
    assert early
    assert_never_safer(late.grid().cost, truth.cost)
    assert late.gaps == [Gap(unpack(again[0]).stream, 0, unpack(again[0]).sequence - 1)]


@pytest.mark.requirement("TSR-LINK-003")
def test_a_gap_is_named_and_leaves_hazards_only_until_the_next_round():
    cost = np.zeros((48, 48), dtype=np.int8)
    cost[3:6, 3:6] = 100
    sender = DownlinkSender(PLENTY)

    def second(now_s, change=None):
        if change is not None:
            cost[change] = 100
        sender.show_grid(snapshot(cost.copy(), START_NS))
        return sender.packets(START_NS + round(now_s * SECOND_NS), now_s)

    second(0.0)
    receiver = receive(second(20.0))
    assert (receiver.grid().cost == cost).all()
    lost = second(21.0, (40, 40))
    receive(second(22.0, (20, 20)), receiver)
    shown = receiver.grid().cost
    assert receiver.gaps == [Gap(unpack(lost[0]).stream, *[unpack(lost[0]).sequence] * 2)]
    assert (shown[3:6, 3:6] == 100).all()
    assert shown[0, 0] == -1
    assert (shown[16:32, 16:32] == cost[16:32, 16:32]).all()
    receive(second(90.0), receiver)
    assert (receiver.grid().cost == cost).all()


def test_a_hazard_that_the_vehicle_forgot_while_packets_were_lost_goes_with_the_next_round():
    cost = np.full((48, 48), -1, dtype=np.int8)
    cost[40, 40], cost[2, 2] = 100, 0
    sender = DownlinkSender(PLENTY)
    sender.show_grid(snapshot(cost, START_NS))
    sender.packets(START_NS, 0.0)
    receiver = receive(sender.packets(START_NS, 20.0))
    gone = np.where(cost == 100, -1, cost)
    sender.show_grid(snapshot(gone, START_NS))
    assert sender.packets(START_NS, 21.0)
    receive(sender.packets(START_NS, 90.0), receiver)
    assert receiver.lost == 1
    assert (receiver.grid().cost == gone).all()


def test_hazards_go_before_newly_seen_safe_ground():
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 99, (160, 160)).astype(np.int8)
    hazards = np.full((160, 160), -1, dtype=np.int8)
    hazards[::40, ::40] = 100
    noise[:128, :128] = np.where(hazards == 100, 100, noise)[:128, :128]
    sender = DownlinkSender(LEAST)
    sender.show_grid(snapshot(noise, START_NS))
    sender.packets(START_NS, 0.0)
    receiver, now_s = DownlinkReceiver(), 0.0
    while receiver.grid() is None or (receiver.grid().cost == 100).sum() < (noise == 100).sum():
        now_s += 1.0
        receive(sender.packets(START_NS, now_s), receiver)
    with_hazard = 16
    tiles = (receiver.grid().stamp_ns[::16, ::16] >= 0).sum()
    assert tiles <= with_hazard + 4


def test_ground_that_rolled_out_of_the_grid_and_back_is_not_observed():
    cost = np.zeros((32, 32), dtype=np.int8)
    sender, receiver = DownlinkSender(PLENTY), DownlinkReceiver()
    sender.show_grid(snapshot(cost, START_NS))
    sender.packets(START_NS, 0.0)
    receive(sender.packets(START_NS, 20.0), receiver)
    for now_s, first in ((21.0, (0, 90)), (22.0, (0, 0))):
        sender.show_grid(snapshot(np.full((32, 32), -1), START_NS, first=first))
        receive(sender.packets(START_NS, now_s), receiver)
    assert (receiver.grid().cost == -1).all()


def test_sites_are_withdrawn_at_once_and_unknown_after_a_gap():
    sender = DownlinkSender(PLENTY)
    site = Site(7, 1.5, -2.0, float("nan"), 1.25, 0.875, is_selected=True)
    sender.show_sites([site])
    sender.packets(START_NS, 0.0)
    receiver = receive(sender.packets(START_NS, 20.0))
    (found,) = receiver.sites
    assert (found.site_id, found.x_m, found.p_safe, found.is_selected) == (7, 1.5, 0.875, True)
    sender.show_sites([])
    receive(sender.packets(START_NS, 20.5), receiver)
    assert receiver.sites == ()
    receiver.take(Packet(receiver.last.stream, 99, START_NS, ()))
    assert receiver.sites is None


def test_a_thumbnail_and_health_arrive():
    mask = np.zeros((480, 640), dtype=np.uint8)
    mask[:, 320:] = 1
    palette = np.array([[1, 2, 3], [9, 8, 7]], dtype=np.uint8)
    sender = DownlinkSender(LEAST)
    sender.show_thumbnail(make_thumbnail(mask, palette, "navcam"))
    sender.show_health({"level": "warn", "message": "Staub auf der Linse: äöü"})
    sender.packets(START_NS, 0.0)
    receiver = receive(sender.packets(START_NS, 20.0))
    picture = receiver.thumbnail.picture()
    assert picture.shape == (48, THUMBNAIL_PX, 3)
    assert picture[0, 0].tolist() == [1, 2, 3]
    assert picture[0, -1].tolist() == [9, 8, 7]
    assert receiver.thumbnail.camera == "navcam"
    assert receiver.health["message"].endswith("äöü")


def test_a_packet_that_comes_late_or_twice_is_left_out():
    sender = DownlinkSender(PLENTY)
    sender.show_health({"n": 1})
    sender.packets(START_NS, 0.0)
    (one,) = sender.packets(START_NS, 20.0)
    receiver = receive([one, one])
    assert (receiver.packets, receiver.late) == (1, 1)


def test_another_frame_of_the_grid_begins_a_new_stream():
    sender, receiver = DownlinkSender(PLENTY), DownlinkReceiver()
    for second, frame in enumerate(("odom", "odom", "map")):
        stamp = START_NS + second * SECOND_NS
        sender.show_grid(snapshot(np.zeros((20, 20)), stamp, frame_id=frame))
        sender.show_sites([])
        receive(sender.packets(stamp, second * 20.0), receiver)
    assert receiver.streams == 2
    assert receiver.grid().extent.frame_id == "map"
    assert receiver.sites == (), "everything is sent again in a new stream"
    assert receiver.gaps == []


def test_nothing_is_sent_before_the_clock_runs():
    sender = DownlinkSender(PLENTY)
    sender.show_health({})
    assert [sender.packets(0, now_s) for now_s in (0.0, 60.0)] == [[], []]


@pytest.mark.requirement("TSR-LINK-005")
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=200)
def test_damaged_packets_are_refused_and_counted(junk, place, value):
    sender = DownlinkSender(PLENTY)
    sender.show_grid(snapshot(np.zeros((20, 20)), START_NS))
    sender.packets(START_NS, 0.0)
    (good,) = sender.packets(START_NS, 20.0)
    damaged = bytearray(good)
    place %= len(damaged)
    is_changed = damaged[place] != value
    damaged[place] = value
    found = list(find_packets(junk + bytes(damaged) + junk + good))
    packets = [item for item in found if isinstance(item, Packet)]
    assert len(packets) == (1 if is_changed else 2)
    assert pack(packets[-1]) == good


@pytest.mark.requirement("TSR-LINK-005")
@given(st.lists(st.tuples(st.integers(0, 8), st.binary(max_size=120)), max_size=6))
@settings(max_examples=200)
def test_sections_of_any_content_are_refused_or_read(sections):
    receiver = DownlinkReceiver()
    receiver.take(Packet(1, 0, START_NS, tuple(sections)))
    receiver.take(
        Packet(1, 1, START_NS, ((Section.GRID, Extent(0.1, 0, 0, 9, 9, "odom").to_bytes()),))
    )
    shown = receiver.grid()
    assert shown is None or shown.cost.shape == (shown.extent.rows, shown.extent.cols)


@pytest.mark.requirement("TSR-LINK-005")
def test_what_unpacks_to_more_than_it_may_is_refused_without_unpacking_it():
    bomb = zlib.compress(bytes(50_000_000), 9)
    for read in (
        lambda: inflate(bomb, 1000),
        lambda: unpack_tiles(bomb, Extent(0.1, 0, 0, 32, 32, "odom")),
        lambda: unpack_health(bomb),
        lambda: unpack_thumbnail(struct.pack("<BBBB", 64, 64, 0, 0) + bomb),
    ):
        with pytest.raises(MessageError, match="longer"):
            read()


@pytest.mark.parametrize(
    ("extent", "fault"),
    [
        ((0.1, 0, 0, 2001, 10, "odom"), "cells"),
        ((0.1, 0, 0, 10, 0, "odom"), "cells"),
        ((float("nan"), 0, 0, 10, 10, "odom"), "cells of nan m"),
        ((0.1, 2**62, 0, 10, 10, "odom"), "farther"),
    ],
)
def test_a_grid_that_no_node_has_is_refused(extent, fault):
    with pytest.raises(MessageError, match=fault):
        Extent(*extent)


def test_tiles_outside_of_the_grid_are_refused():
    large = TileGrid.of(snapshot(np.zeros((64, 64)), START_NS))
    sender = DownlinkSender(PLENTY)
    sender.show_grid(snapshot(large.cost(), START_NS))
    sender.packets(START_NS, 0.0)
    packet = unpack(sender.packets(START_NS, 20.0)[0])
    small = Extent(0.25, 0, 0, 16, 16, "odom").to_bytes()
    sections = tuple((k, small if k == Section.GRID else data) for k, data in packet.sections)
    receiver = DownlinkReceiver()
    receiver.take(Packet(1, 0, START_NS, sections))
    assert "outside" in receiver.damaged[0]
    assert receiver.lost == 1


def test_sites_that_are_too_many_or_not_finite_are_refused():
    with pytest.raises(MessageError, match="bytes"):
        unpack_sites(bytes(37 * 9))
    with pytest.raises(MessageError, match="finite"):
        unpack_sites(struct.pack("<IdddffB", 1, float("inf"), 0.0, 0.0, 1.0, 1.0, 0))


def test_a_packet_beyond_the_limit_or_of_another_version_is_refused():
    with pytest.raises(MessageError, match=str(PACKET_LIMIT_BYTES)):
        pack(Packet(0, 0, 0, ((Section.HEALTH, bytes(PACKET_LIMIT_BYTES)),)))
    newer = bytearray(pack(Packet(0, 0, 0, ())))
    newer[4] = 2
    with pytest.raises(MessageError, match="version 2"):
        unpack(bytes(newer))


def test_health_that_is_too_long_is_refused():
    with pytest.raises(MessageError, match="health"):
        pack_health({"message": "x" * 5000})
