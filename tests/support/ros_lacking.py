"""What rclpy lacks message packages for, a peer sends and hears through Cyclone DDS from pip."""

from __future__ import annotations

import threading

from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.ros.message_classes import ROS_TYPES, has_message

PERIOD_S = 0.01


def types_for(name):
    """Return the message classes that a type is made of here."""
    return ROS_TYPES if has_message(name) else cdr.message_class


class WirePublisher:
    """Look like a publisher of rclpy."""

    def __init__(self, writer):
        self._writer = writer

    def publish(self, message):
        self._writer.write(message)

    def get_subscription_count(self):
        return self._writer.subscriber_count


class Wire:
    """Hold a participant, made when it is first needed, and a thread that listens."""

    def __init__(self, domain):
        self._domain, self._member = domain, None
        self._readers, self._ending = [], threading.Event()
        self._lock = threading.Lock()

    def publisher(self, name, spec):
        return WirePublisher(Writer(self._joined(), spec, dds_name=dds_topic_name(name, "/")))

    def listen(self, name, spec, take):
        reader = Reader(self._joined(), spec, dds_name=dds_topic_name(name, "/"))
        with self._lock:
            self._readers.append((reader, take))

    def close(self):
        if self._member is not None:
            self._ending.set()
            self._thread.join()
            self._member.close()

    def _joined(self):
        if self._member is None:
            self._member = Participant(self._domain, Discovery.HOST)
            self._thread = threading.Thread(target=self._poll, daemon=True)
            self._thread.start()
        return self._member

    def _poll(self):
        while not self._ending.wait(PERIOD_S):
            with self._lock:
                readers = list(self._readers)
            for reader, take in readers:
                for message in reader.take():
                    take(message)
