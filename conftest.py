"""Settings of the tests of both distributions: Hypothesis without a clock, and the markers.

How long an example takes says how busy the machine is and nothing about the code.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from terrain_seg_ros.core.kernel import compile_kernels

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

ROOT = Path(__file__).parent


def pytest_sessionstart() -> None:
    """Compile the loops first, which takes a new checkout many seconds, so that no test waits."""
    compile_kernels()


LIVE = (
    "tests/bench/test_endurance_command.py",
    "tests/cli/test_run.py",
    "tests/dds",
    "tests/demo",
    "tests/fuzz/test_fuzz_live.py",
    "tests/ros",
    "tests/view/test_bus_source.py",
    "tests/view/test_viewer_live.py",
    "tests/sim/test_simulator.py",
)
"""Tests that join a bus or start processes that do, as folders or files."""
SLOW = (
    "tests/bag/test_bag_defects.py",
    "tests/bag/test_bag_format.py",
    "tests/bag/test_bag_memory.py",
    "tests/bag/test_bag_reader.py",
    "tests/bag/test_bag_recovery.py",
    "tests/bag/test_bag_replay.py",
    "tests/bench/test_bench.py",
    "tests/bench/test_bench_more.py",
    "tests/bench/test_bench_peers.py",
    "tests/bench/test_recorded_world.py",
    "tests/cli/test_cluster_commands.py",
    "tests/cli/test_downlink_command.py",
    "tests/cli/test_prepare.py",
    "tests/cli/test_replay.py",
    "tests/cli/test_replay_scores.py",
    "tests/cli/test_score.py",
    "tests/cli/test_sim.py",
    "tests/core/grid/test_cost_to_safe_map.py",
    "tests/core/downlink",
    "tests/core/ground/test_ground_truth.py",
    "tests/core/ground/test_measurement_to_depth.py",
    "tests/core/ground/test_view_shadow.py",
    "tests/doctor/test_doctor.py",
    "tests/fleet",
    "tests/fuzz",
    "tests/house/test_docs_commands.py",
    "tests/house/test_docs_site.py",
    "tests/house/test_layers.py",
    "tests/house/test_notebook.py",
    "tests/house/test_package.py",
    "tests/house/test_reference.py",
    "tests/house/test_sizes.py",
    "tests/house/test_truth_mask.py",
    "tests/inference/backends/test_tensorrt_backend.py",
    "tests/inference/engines/test_engine_cache.py",
    "tests/model_store/test_lowered_files.py",
    "tests/model_store/test_network_trial.py",
    "tests/model_store/test_shipped_int8.py",
    "tests/model_tools/test_wrap.py",
    "tests/model_tools/test_wrap_exporters.py",
    "tests/model_tools/test_wrap_refusals.py",
    "tests/runtime/test_allocations.py",
    "tests/runtime/test_background_build.py",
    "tests/runtime/test_endurance.py",
    "tests/runtime/test_height_map_file.py",
    "tests/runtime/outboxes/test_downlink_outbox.py",
    "tests/runtime/test_odd_stamps.py",
    "tests/score/test_closed_loop.py",
    "tests/sim",
    "tests/view/test_viewer_page.py",
    "tests/worlds/test_cast_rays.py",
    "tests/worlds/test_generate.py",
    "tests/worlds/test_render.py",
)
"""Tests that take more than a few seconds together, as folders or files."""
SLOW_TIMEOUT_S = 1200


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "live: joins a real bus or starts processes that do")
    config.addinivalue_line("markers", "requirement: what the test proves, of docs/requirements.md")
    config.addinivalue_line("markers", "slow: in a file or folder that takes seconds")
    config.addinivalue_line("markers", "timeout: seconds after which a test counts as hung")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the place of its file; live, slow and training's have a longer timeout."""
    for item in items:
        place = item.path.relative_to(ROOT)
        places = {str(place), *map(str, place.parents)}
        names = [name for name, known in (("live", LIVE), ("slow", SLOW)) if places & {*known}]
        for name in names:
            item.add_marker(name)
        takes_long = names or place.parts[0] == "training"
        if takes_long and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))
