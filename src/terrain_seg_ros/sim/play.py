"""Publish everything that a simulator makes, at full speed or by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from terrain_seg_ros.sim.messages import first_messages, frame_messages
from terrain_seg_ros.sim.outlets import BusOutlet, Outlet
from terrain_seg_ros.sim.simulator import Simulator

WAIT_S = 60.0
SETTLE_S = 0.5
"""After the subscribers of /tf have appeared, for those of the other topics."""
PROGRESS_EVERY = 10
Say = Callable[[str], None]


def wait_for_subscribers(outlet: BusOutlet, count: int, *, say: Say) -> None:
    """Wait until /tf has `count` subscribers, then a moment for those of the other topics.

    Raises:
        ConfigError: they did not appear in time.
    """
    if count > 0:
        say(f"waiting for {count} subscribers")
        outlet.wait_for_subscribers(count, timeout_s=WAIT_S)
    time.sleep(SETTLE_S)


def play(
    simulator: Simulator,
    outlet: Outlet,
    *,
    jpeg: bool,
    realtime: bool,
    stop: Callable[[], bool],
    say: Say,
) -> dict[str, Any]:
    """Send every frame and return the facts about the run.

    Args:
        simulator: makes the frames.
        outlet: takes the messages.
        jpeg: send compressed images.
        realtime: follow the wall clock.
        stop: whether to end after the present frame.
        say: is called with the progress.
    """
    first_ns = simulator.path[0].stamp_ns
    for name, message in first_messages(simulator):
        outlet.send(name, message, first_ns)
    start_s, done = time.monotonic(), 0
    for frame in simulator.run(outlet.wants):
        if realtime:
            due_s = start_s + (frame.stamp_ns - first_ns) / 1e9
            time.sleep(max(0.0, due_s - time.monotonic()))
        for name, message in frame_messages(simulator, frame, jpeg=jpeg):
            outlet.send(name, message, frame.stamp_ns)
        done += 1
        if done % PROGRESS_EVERY == 0 or done == len(simulator.path):
            say(f"played {done} of {len(simulator.path)} pictures")
        if stop():
            break
    wall_s = time.monotonic() - start_s
    settings = simulator.settings
    simulated_s = (simulator.path[done - 1].stamp_ns - first_ns) / 1e9
    return {
        "mode": settings.mode,
        "body": settings.body.value,
        "seed": settings.seed,
        "rocks": len(simulator.world.rocks),
        "pictures": done,
        "simulated_s": round(simulated_s, 3),
        "wall_s": round(wall_s, 3),
        "pictures_per_s": round(done / max(wall_s, 1e-9), 2),
    }
