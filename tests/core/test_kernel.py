"""Test compiled loops: equal to the plain function, kept on disk, and never a reason to fail."""

import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from llvmlite import binding

from terrain_seg_ros.core import kernel as kernels
from terrain_seg_ros.core.kernel import CACHE_VARIABLE, Kernel, cache_folder, compile_kernels

FACTOR = 3.0


def scaled(values, by):
    total = np.zeros_like(values)
    for index in range(values.size):
        total[index] = values[index] * by * FACTOR
    return total


def doubled(values):
    return scaled(values, 2.0)


def fill(values):
    values[:] = 1.0


def make(function=scaled, signature="float64[::1], float64", writes=()):
    return Kernel(function, signature, writes)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep compiled loops in a folder of the test, and forget its kernels afterwards."""
    monkeypatch.setattr(kernels, "_KERNELS", [])
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    cache_folder.cache_clear()
    yield tmp_path / "cache"
    cache_folder.cache_clear()


def kept(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in {".nbi", ".nbc"})


def test_a_kernel_gives_what_its_function_gives():
    values = np.linspace(0.0, 5.0, 7)
    values.setflags(write=False)
    np.testing.assert_array_equal(make()(values, 1.5), scaled(values, 1.5))


def test_only_arrays_that_it_writes_must_be_writable():
    values = np.zeros(3)
    make(fill, "float64[::1]", ("values",))(values)
    assert values.tolist() == [1.0, 1.0, 1.0]
    values.setflags(write=False)
    with pytest.raises(TypeError, match="No matching definition"):
        make(fill, "float64[::1]", ("values",))(values)


def test_nothing_is_compiled_for_other_types_while_running():
    run = make()
    run(np.ones(2), 1.0)
    with pytest.raises(TypeError, match="No matching definition"):
        run(np.ones(2, np.float32), 1.0)


def test_where_numba_is_told_not_to_compile_the_plain_functions_run(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setitem(globals(), "scaled", make())
    assert make(doubled, "float64[::1]")(np.ones(2)).tolist() == [6.0, 6.0]


def test_kernels_call_kernels(monkeypatch):
    monkeypatch.setitem(globals(), "scaled", make())
    assert make(doubled, "float64[::1]")(np.ones(2)).tolist() == [6.0, 6.0]


def test_every_process_gives_the_pipeline_s_kernels_the_same_digests():
    digests = (
        "import terrain_seg_ros.core.pipeline; from terrain_seg_ros.core.kernel import _KERNELS\n"
        "print(*(f'{item.__name__}={item.digest()}' for item in _KERNELS))"
    )
    first, second = (
        subprocess.run(
            [sys.executable, "-c", digests], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    )
    assert first
    assert first == second


def test_a_kernel_is_kept_and_loaded_again(own_cache):
    make()(np.ones(2), 1.0)
    files = kept(own_cache)
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    times = [path.stat().st_mtime_ns for path in files]
    again = make()
    assert again(np.ones(2), 1.0).tolist() == [3.0, 3.0]
    assert sum(again.compile().stats.cache_hits.values()) == 1
    assert [path.stat().st_mtime_ns for path in kept(own_cache)] == times


@pytest.mark.parametrize("left", [0, 40])
def test_a_cache_that_was_cut_short_is_compiled_again(own_cache, left):
    make()(np.ones(2), 1.0)
    for path in kept(own_cache):
        path.write_bytes(path.read_bytes()[:left])
    for _ in range(2):
        assert make()(np.ones(2), 1.0).tolist() == [3.0, 3.0]
    assert min(path.stat().st_size for path in kept(own_cache)) > left


def test_a_changed_constant_or_callee_is_compiled_again(monkeypatch):
    old = make()
    assert old(np.ones(1), 1.0).tolist() == [3.0]
    digest, outer = old.digest(), make(doubled, "float64[::1]").digest()
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert make().digest() != digest
    assert make()(np.ones(1), 1.0).tolist() == [5.0]
    monkeypatch.setitem(globals(), "scaled", make(scaled, "float64[::1], float64"))
    assert make(doubled, "float64[::1]").digest() != outer


def test_each_kind_of_processor_has_its_own_folder(monkeypatch):
    here = cache_folder()
    make()(np.ones(2), 1.0)
    monkeypatch.setattr(binding, "get_host_cpu_name", lambda: "another")
    cache_folder.cache_clear()
    assert cache_folder() != here
    assert make()(np.ones(2), 1.0).tolist() == [3.0, 3.0]


def test_where_the_package_cannot_be_written_the_cache_of_the_user_serves(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "file" / "kernel.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder().is_relative_to(tmp_path / "user" / "terrain_seg_ros")
    make()(np.ones(2), 1.0)
    assert kept(tmp_path / "user")
    assert compile_kernels() == ""


def test_where_nothing_can_be_written_it_compiles_and_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    assert cache_folder() is None
    assert make()(np.ones(2), 1.0).tolist() == [3.0, 3.0]
    advice = compile_kernels()
    assert str(tmp_path / "file") in advice
    assert f"set {CACHE_VARIABLE} to a folder that can be written" in advice


def test_processes_that_compile_at_once_do_not_disturb_each_other(tmp_path, own_cache):
    (tmp_path / "loops.py").write_text(
        "from terrain_seg_ros.core.kernel import kernel\n"
        "@kernel('float64[::1]')\n"
        "def total(values):\n"
        "    found = 0.0\n"
        "    for value in values:\n"
        "        found += value\n"
        "    return found\n"
        "if __name__ == '__main__':\n"
        "    import numpy as np\n"
        "    print(total(np.arange(4.0)))\n"
    )
    command = [sys.executable, str(tmp_path / "loops.py")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [run.communicate()[0].strip() for run in runs] == ["6.0"] * 4
    assert not list(Path(own_cache).rglob("*.tmp.*"))
    assert len(kept(own_cache)) == 2
