"""Say what is installed and usable on this machine, and how to get what is missing."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict

from terrain_seg_ros.cli.doctor_findings import Finding, State, import_error, version_of
from terrain_seg_ros.cli.doctor_ros import ros_findings
from terrain_seg_ros.cli.doctor_sim import simulator_finding
from terrain_seg_ros.core.errors import TerrainSegError

PYTHON_RANGE = ((3, 10), (3, 13))
GPU_QUERY_TIMEOUT_S = 10.0
_REINSTALL = "install this package again from a complete checkout: pip install ."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings and return 0, or 1 if something that is needed is missing."""
    findings = examine()
    if arguments.json:
        print(json.dumps({"findings": [asdict(item) for item in findings]}, indent=2))
    else:
        print("\n".join(_lines(findings)))
    return int(any(item.state is State.MISSING for item in findings))


def examine() -> list[Finding]:
    """Return every finding, in the order of the report."""
    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        lambda: _package("numpy", "numpy"),
        lambda: _package("OpenCV", "cv2", "opencv-python-headless"),
        lambda: _backend("onnxruntime"),
        lambda: _backend("openvino"),
        _tensorrt,
        _gpu,
        _engines,
        lambda: _package("bags", "rosbags"),
        _dds,
        _models,
        simulator_finding,
    )
    return [*(check() for check in checks), *ros_findings()]


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    for item in findings:
        yield f"{item.state.value:<8} {item.item:<12} {item.detail}"
        if item.remedy:
            yield f"{'':<21} -> {item.remedy}"


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


def _backend(name: str) -> Finding:
    error = import_error(name)
    if error:
        return Finding(name, State.MISSING, error, f"pip install {name}")
    registry = importlib.import_module("terrain_seg_ros.inference.registry")
    try:
        precisions = registry.usable_precisions(registry.BackendName(name))
    except TerrainSegError as failure:
        return Finding(name, State.MISSING, str(failure), f"pip install --force-reinstall {name}")
    detail = f"{version_of(name)}; precisions {', '.join(precisions)}"
    devices = _devices(name)
    return Finding(name, State.USABLE, f"{detail}; devices {', '.join(devices)}")


def _devices(name: str) -> list[str]:
    module = importlib.import_module(name)
    if name == "openvino":
        return [str(device) for device in module.Core().available_devices]
    suffix = "ExecutionProvider"
    return [provider.removesuffix(suffix) for provider in module.get_available_providers()]


def _tensorrt() -> Finding:
    error = import_error("tensorrt")
    if error:
        remedy = "needs an NVIDIA GPU; in a checkout: pip install '.[tensorrt]'"
        return Finding("tensorrt", State.ABSENT, error, remedy)
    registry = importlib.import_module("terrain_seg_ros.inference.registry")
    version = version_of("tensorrt")
    try:
        precisions = registry.usable_precisions(registry.BackendName.TENSORRT)
    except TerrainSegError as failure:
        return Finding("tensorrt", State.ABSENT, f"{version}; {failure}")
    return Finding("tensorrt", State.USABLE, f"{version}; precisions {', '.join(precisions)}")


def _engines() -> Finding:
    cache = importlib.import_module("terrain_seg_ros.inference.engines.engine_cache")
    try:
        folder = cache.default_cache_folder()
    except TerrainSegError as failure:
        return Finding("engines", State.ABSENT, str(failure), "set engine_cache_dir")
    count = cache.EngineCache(folder).count()
    if not count:
        remedy = "optional, for a quick start: terrain-seg prepare"
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
    store = importlib.import_module("terrain_seg_ros.model_store.model_store")
    names = store.shipped_models()
    if not names:
        return Finding("models", State.MISSING, "none are shipped", _REINSTALL)
    try:
        found = [f"{name} (digest {store.load_model(name).digest[:16]})" for name in names]
    except TerrainSegError as failure:
        return Finding("models", State.MISSING, str(failure), _REINSTALL)
    return Finding("models", State.USABLE, ", ".join(found))
