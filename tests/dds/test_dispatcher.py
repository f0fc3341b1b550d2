"""One thread serves all readers."""

from __future__ import annotations

import pytest

from support.buses import image, wait_until
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.dispatcher import Dispatcher
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.last_resort import LastResort


@pytest.fixture
def dispatcher(participant):
    served = Dispatcher(participant, LastResort(Health()))
    yield served
    served.stop()


def test_each_message_reaches_its_own_callback(participant, dispatcher):
    got = []
    writers = []
    for name in ("mask", "confidence"):
        reader = Reader(participant, topic(name), dds_name=f"rt/{name}")
        dispatcher.add(reader, lambda message, name=name: got.append((name, message.data[0])))
        writers.append(Writer(participant, topic(name), dds_name=f"rt/{name}"))
    dispatcher.start()
    for value, writer in enumerate(writers):
        wait_until(lambda w=writer: w.subscriber_count, "the reader")
        writer.write(image(value=value))
    wait_until(lambda: len(got) == 2, "both")
    assert sorted(got) == [("confidence", 1), ("mask", 0)]
    dispatcher.check()


def test_malformed_sample_is_told_and_the_thread_goes_on(participant, monkeypatch):
    told, got = [], []
    spec = topic("mask")
    dispatcher = Dispatcher(participant, LastResort(Health()))
    reader = Reader(participant, spec, dds_name="rt/mask")
    real = reader.take_payloads
    lengths = iter([60])
    monkeypatch.setattr(reader, "take_payloads", lambda: [p[: next(lengths, None)] for p in real()])
    dispatcher.add(reader, got.append, on_malformed=told.append)
    writer = Writer(participant, spec, dds_name="rt/mask")
    dispatcher.start()
    wait_until(lambda: writer.subscriber_count, "the reader")
    writer.write(image())
    wait_until(lambda: told, "the count")
    writer.write(image())
    wait_until(lambda: got, "the good one")
    assert "malformed" in told[0]
    dispatcher.stop()
    dispatcher.stop()


def test_reader_after_the_start_is_refused(participant, dispatcher):
    dispatcher.start()
    with pytest.raises(ConfigError, match="before the start"):
        dispatcher.add(Reader(participant, topic("mask"), dds_name="rt/mask"), print)


def test_a_callback_that_raises_costs_its_message_and_the_thread_goes_on(participant, capsys):
    health, got = Health(), []

    def callback(message):
        got.append(message)
        if len(got) < 3:
            raise MemoryError("no room")

    dispatcher = Dispatcher(participant, LastResort(health))
    dispatcher.add(Reader(participant, topic("mask"), dds_name="rt/mask"), callback)
    writer = Writer(participant, topic("mask"), dds_name="rt/mask")
    dispatcher.start()
    wait_until(lambda: writer.subscriber_count, "the reader")
    for count in (1, 2, 3):
        writer.write(image())
        wait_until(lambda count=count: len(got) == count, "the message")
    dispatcher.check()
    dispatcher.stop()
    snapshot = health.snapshot()
    assert snapshot.refused == {Refusal.DEFECT: 2}
    assert "MemoryError: no room" in snapshot.last_refusal
    assert snapshot.defects_in_a_row == 0
