"""Messages, waiting and a second process, for the tests of the DDS rim."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image

WAIT_S = 30.0
_domains = itertools.count(os.getpid() % 90)


def free_domain():
    """Return a domain id that other tests and other runs hardly use."""
    return 100 + next(_domains) % 100


def wait_until(condition, what, *, seconds=WAIT_S, every=0.02):
    """Return the first true value of the condition, or fail."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def image(stamp_ns=1_000_000_000, *, width=64, height=48, value=100, frame="cam_optical"):
    pixels = np.full((height, width), value, dtype=np.uint8)
    header = make_header(cdr.message_class, stamp_ns, frame)
    return encode_image(cdr.message_class, pixels, "mono8", header)


def python(script, *arguments, **environment):
    """Start a Python process; the caller ends it."""
    folder = str(Path(__file__).parents[1])
    path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process, *, seconds=WAIT_S):
    """Wait for a process, ending it by its id if it hangs; return code and stderr."""
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        raise AssertionError(f"process did not end: {errors}") from None
    return process.returncode, errors


FORGER = """
import sys
from support.buses import rtps_data, send_to_domain, wait_until
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.topics import topic
domain = int(sys.argv[1])
member = Participant(domain, Discovery.HOST)
writer = Writer(member, topic("image"), dds_name=sys.argv[2])
wait_until(lambda: writer.subscriber_count, "the reader")
for sequence, line in enumerate(sys.stdin, 1):
    send_to_domain(domain, rtps_data(writer.gid, bytes.fromhex(line), sequence))
"""


class Forger:
    """Hold a process whose writer sends bytes as they are, which Cyclone's own would refuse."""

    def __init__(self, domain, dds_name):
        self._process = python(FORGER, domain, dds_name)

    def send(self, payload):
        """Send CDR bytes, sound or not."""
        self._process.stdin.write(payload.hex() + "\n")
        self._process.stdin.flush()

    def close(self):
        """End the process."""
        code, errors = end(self._process)
        assert code == 0, errors


def rtps_data(gid, payload, sequence):
    """Return an RTPS message with one sample of a writer, by OMG's RTPS 2.5, section 9.4."""
    body = struct.pack("<HHI4sII", 0, 16, 0, gid[12:], 0, sequence) + payload
    head = b"RTPS\x02\x05\x01\x10" + gid[:12]
    return head + struct.pack("<BBH", 0x15, 0x05, len(body)) + body


def send_to_domain(domain, message, *, participants=4):
    """Send a datagram to the ports of the first participants of a domain on this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for index in range(participants):
            for kind in (10, 11):
                sender.sendto(message, ("127.0.0.1", 7400 + 250 * domain + kind + 2 * index))
