"""A process survives signals after OpenVINO was used twice and put away in the same order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytest.importorskip("openvino")

CODE = """
import gc, os, signal
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends import openvino_backend
from terrain_seg_ros.model_store.model_store import load_model

seen = []
signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
model = load_model("worlds_small")
first = openvino_backend.OpenVinoBackend(model, BackendOptions())
second = openvino_backend.OpenVinoBackend(model, BackendOptions())
first.close()
del first
gc.collect()
second.close()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
print(seen == [signal.SIGTERM])
"""


def test_a_signal_after_two_backends_are_gone_reaches_its_handler():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != -signal.SIGSEGV, "the stack for signals was freed"
    assert done.stdout.strip() == "True", done.stderr
