from __future__ import annotations

import os
import subprocess
import sys

import pytest

from terrain_training import cpu


def groups(tmp_path, own, **files):
    """Write a tree of control groups and the file that says which one is ours."""
    for path, text in files.items():
        place = tmp_path / "cgroup" / path.replace("__", "/").replace("_dot_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (tmp_path / "own").write_text(own)
    return cpu._quotas(tmp_path / "cgroup", tmp_path / "own")


def test_quotas_of_all_groups_around_are_found(tmp_path):
    found = groups(
        tmp_path,
        "0::/pod/box\n",
        cpu_dot_max="max 100000\n",
        pod__cpu_dot_max="400000 100000\n",
        pod__box__cpu_dot_max="150000 100000\n",
    )
    assert sorted(found) == [1.5, 4.0]


def test_quotas_of_version_1_are_found(tmp_path):
    found = groups(
        tmp_path,
        "4:cpu,cpuacct:/box\n3:memory:/box\n",
        cpu__box__cpu_dot_cfs_quota_us="200000\n",
        cpu__box__cpu_dot_cfs_period_us="100000\n",
        cpu__cpu_dot_cfs_quota_us="-1\n",
        cpu__cpu_dot_cfs_period_us="100000\n",
    )
    assert found == [2.0]


@pytest.mark.parametrize("own", ["", "nonsense\n", "0::/gone\n"])
def test_what_is_not_there_limits_nothing(tmp_path, own):
    assert groups(tmp_path, own) == []


@pytest.mark.parametrize(("quota", "cores"), [(0.5, 1), (1.9, 1), (3.0, 3), (400.0, 8)])
def test_cores_are_those_of_the_quota(monkeypatch, quota, cores):
    monkeypatch.setattr(cpu, "_quotas", lambda *_: [quota])
    monkeypatch.setattr(cpu.os, "sched_getaffinity", lambda _: set(range(8)))
    assert cpu.available_cores() == cores


def test_small_batches_get_few_threads(monkeypatch):
    monkeypatch.setattr(cpu, "available_cores", lambda: 16)
    assert cpu.helpful_threads(4 * 64 * 64) == 1
    assert cpu.helpful_threads(16 * 256 * 256) == 16
    assert cpu.helpful_threads(16 * 256 * 256, processes=4) == 4
    assert cpu.helpful_threads(1) == 1


def test_a_process_keeps_to_its_affinity():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "from terrain_training.cpu import available_cores; print(available_cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


HEAVY = {"torch", "lightning", "cv2", "onnx", "onnxruntime", "openvino", "matplotlib", "optuna"}


@pytest.mark.parametrize("words", [["--help"], [], ["no_such_command"]])
def test_the_overview_imports_nothing_heavy(words):
    code = (
        "import sys, terrain_training.cli as cli\n"
        "try:\n    cli.main(sys.argv[1:])\n"
        "except SystemExit:\n    pass\n"
        "print(*sorted(name for name in sys.modules if '.' not in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.splitlines()[-1].split()).isdisjoint(HEAVY)


def test_threads_that_wait_sleep_before_torch_is_there(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    cpu.let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    cpu.let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
