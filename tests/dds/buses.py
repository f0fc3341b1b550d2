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
    folder = str(Path(__file__).parent)
    path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, **environment},
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


def forge(writer, reader_domain, payload, *, sequence=1):
    """Send CDR bytes that Cyclone would not, as RTPS data that seems to come from a writer.

    Goes to the data ports of the first participants of the domain on this machine.
    """
    gid = writer.gid
    body = struct.pack("<HHI4sII", 0, 16, 0, gid[12:], 0, sequence) + payload
    message = b"RTPS\x02\x05\x01\x10" + gid[:12] + struct.pack("<BBH", 0x15, 0x05, len(body)) + body
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for index in range(4):
            for kind in (10, 11):
                port = 7400 + 250 * reader_domain + kind + 2 * index
                sender.sendto(message, ("127.0.0.1", port))
