"""The checks of the doctor, in the order of its report."""

from __future__ import annotations

import importlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.doctor.finding import Finding, State, import_error, version_of
from terrain_seg_ros.doctor.ros import ros_findings
from terrain_seg_ros.doctor.simulator import simulator_finding
from terrain_seg_ros.inference.backend_names import (
    BackendEntry,
    BackendName,
    engine_backends,
    network_backends,
)
from terrain_seg_ros.inference.engines.engine_cache import EngineCache, default_cache_folder
from terrain_seg_ros.inference.registry import backend_module, installed_backends
from terrain_seg_ros.model_store import model_store

PYTHON_RANGE = ((3, 10), (3, 13))
GPU_QUERY_TIMEOUT_S = 10.0
_REINSTALL = "install this package again from a complete checkout: pip install ."


def examine() -> Iterator[Finding]:
    """Yield every finding, in the order of the report."""
    yield _python()
    yield _package("numpy", "numpy")
    yield _package("OpenCV", "cv2", "opencv-python-headless")
    for name in network_backends():
        if name.entry is not None:
            yield _backend(name, name.entry)
    yield _gpu()
    yield _engines()
    yield _package("bags", "rosbags")
    yield _dds()
    yield _models()
    yield simulator_finding()
    yield from ros_findings()


def _python() -> Finding:
    low, high = PYTHON_RANGE
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if low <= sys.version_info[:2] < high:
        return Finding("Python", State.USABLE, detail)
    return Finding("Python", State.MISSING, detail, "use Python 3.10, 3.11 or 3.12")


def _package(item: str, module: str, distribution: str | None = None) -> Finding:
    name = distribution or module
    error = import_error(module)
    if error:
        return Finding(item, State.MISSING, error, f"pip install {name}")
    return Finding(item, State.USABLE, f"{name} {version_of(name)}")


def _backend(name: BackendName, entry: BackendEntry) -> Finding:
    lacking = State.ABSENT if entry.is_optional else State.MISSING
    error = import_error(entry.needs)
    if error:
        return Finding(name.value, lacking, error, entry.remedy)
    version = version_of(entry.needs)
    try:
        module = backend_module(name)
        precisions, devices = module.usable_precisions(), module.devices()
    except TerrainSegError as failure:
        return Finding(name.value, lacking, f"{version}; {failure}", entry.remedy)
    detail = f"{version}; precisions {', '.join(precisions)}; devices {', '.join(devices)}"
    return Finding(name.value, State.USABLE, detail)


def _engines() -> Finding:
    try:
        folder = default_cache_folder()
    except TerrainSegError as failure:
        return Finding("engines", State.ABSENT, str(failure), "set engine_cache_dir")
    count = EngineCache(folder).count()
    if not count:
        backends = [name.value for name in engine_backends() if name in installed_backends()]
        if not backends:
            return Finding("engines", State.ABSENT, "no installed backend has engines to prepare")
        remedy = f"optional, for a quick start with {' or '.join(backends)}: terrain-seg prepare"
        return Finding("engines", State.ABSENT, f"none is cached in {folder}", remedy)
    return Finding("engines", State.USABLE, f"{count} cached in {folder}")


def _gpu() -> Finding:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("GPU", State.ABSENT, "no nvidia-smi; the CPU backends serve")
    query = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            query, capture_output=True, text=True, check=True, timeout=GPU_QUERY_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("GPU", State.ABSENT, f"nvidia-smi fails: {error}", "check NVIDIA's driver")
    return Finding("GPU", State.USABLE, "; ".join(answer.stdout.strip().splitlines()))


def _dds() -> Finding:
    error = import_error("cyclonedds")
    if error:
        remedy = "pip install cyclonedds (no wheel on aarch64: use the ROS node there)"
        return Finding("DDS", State.ABSENT, error, remedy)
    try:
        participant = importlib.import_module("terrain_seg_ros.dds.participant")
        domain_id = participant.choose_domain(None)
        participant.Participant(domain_id, participant.Discovery.HOST).close()
    except TerrainSegError as failure:
        return Finding("DDS", State.MISSING, str(failure), "check ROS_DOMAIN_ID and CYCLONEDDS_URI")
    detail = f"cyclonedds {version_of('cyclonedds')}; joined domain {domain_id} over loopback"
    return Finding("DDS", State.USABLE, detail)


def _models() -> Finding:
    names = model_store.shipped_models()
    if not names:
        return Finding("models", State.MISSING, "none are shipped", _REINSTALL)
    try:
        found = [f"{name} (digest {model_store.load_model(name).digest[:16]})" for name in names]
    except TerrainSegError as failure:
        return Finding("models", State.MISSING, str(failure), _REINSTALL)
    return Finding("models", State.USABLE, ", ".join(found))
