"""Kernels: plain loops over pixels and cells that numba compiles, and keeps on disk.

    @kernel("float32[:, ::1], float64")
    def _count_near(range_m, limit_m): ...

A kernel is compiled once, for one signature, when it is first called or by `compile_kernels`.
numba is imported only then, so that commands without kernels start as fast as without numba.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

CACHE_VARIABLE = "NUMBA_CACHE_DIR"
"""Names a folder for compiled kernels, where it is set."""
_KERNELS: list[Kernel] = []
_BROKEN_CACHE = (
    *(EOFError, OSError, pickle.PickleError),
    *(AttributeError, ImportError, LookupError, RuntimeError, ValueError),
)
"""What numba raises for a cache that was cut short, or that it cannot write."""

F = TypeVar("F", bound=Callable[..., Any])


def kernel(signature: str, *, writes: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Make a function of arrays and numbers a kernel.

    Args:
        signature: numba's types of the arguments, separated by commas.
        writes: names of the arrays that it changes; the others may be read-only.
    """

    def decorate(function: F) -> F:
        return cast("F", Kernel(cast("FunctionType", function), signature, writes))

    return decorate


class Kernel:
    """A function that is compiled before its first call; thread-safe."""

    def __init__(self, function: FunctionType, signature: str, writes: tuple[str, ...]) -> None:
        """Add it to the kernels of this process, not compiled."""
        functools.update_wrapper(self, function)
        self.function = function
        self._signature = signature
        self._writes = writes
        self._run: Callable[..., Any] = self._compile_and_run
        _KERNELS.append(self)

    def __call__(self, *arguments: Any) -> Any:
        """Run the compiled loop."""
        return self._run(*arguments)

    def compile(self) -> Callable[..., Any]:
        """Return numba's dispatcher for the one signature, from the cache where possible."""
        if self._run == self._compile_and_run:
            folder = cache_folder()
            try:
                self._run = self._dispatcher(folder)
            except _BROKEN_CACHE:
                if folder is None:
                    raise
                shutil.rmtree(folder / self.digest(), ignore_errors=True)
                self._run = self._dispatcher(None)
        return self._run

    def digest(self) -> str:
        """Return a hash of the code and of what it refers to: constants and other kernels.

        numba itself notices only changes of the file that a function is in.
        """
        code = self.function.__code__
        parts = [code.co_code.hex(), repr(code.co_consts), self._signature, repr(self._writes)]
        for name in code.co_names:
            value = self.function.__globals__.get(name)
            if isinstance(value, Kernel):
                parts.append(value.digest())
            elif isinstance(value, type) and issubclass(value, Enum):
                parts.append(repr(list(value)))
            elif isinstance(value, (int, float, tuple, np.generic, np.ndarray)):
                parts.append(f"{name}={value!r}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _compile_and_run(self, *arguments: Any) -> Any:
        return self.compile()(*arguments)

    def _dispatcher(self, folder: Path | None) -> Callable[..., Any]:
        import numba  # noqa: PLC0415

        names = self.function.__code__.co_names
        callees = {
            name: value.compile()
            for name in names
            if isinstance(value := self.function.__globals__.get(name), Kernel)
        }
        function = FunctionType(
            self.function.__code__, {**self.function.__globals__, **callees}, self.function.__name__
        )
        function.__qualname__ = self.function.__name__
        if numba.config.DISABLE_JIT:
            return function
        options = {"nogil": True, "error_model": "numpy", "cache": folder is not None}
        with _numba_cache_in(None if folder is None else folder / self.digest()):
            dispatcher = numba.njit(**options)(function)
        dispatcher.compile(self._types())
        dispatcher.disable_compile()
        return cast("Callable[..., Any]", dispatcher)

    def _types(self) -> tuple[Any, ...]:
        """Return the types of the arguments: arrays that are not written may be read-only."""
        from numba.core.sigutils import normalize_signature  # noqa: PLC0415
        from numba.core.types import Array  # noqa: PLC0415

        given, _ = normalize_signature(f"({self._signature},)")
        names = self.function.__code__.co_varnames
        return tuple(
            Array(item.dtype, item.ndim, item.layout, readonly=True)
            if isinstance(item, Array) and name not in self._writes
            else item
            for name, item in zip(names, given)
        )


def compile_kernels() -> str:
    """Compile every kernel of the pipeline, or load it from the cache.

    Returns:
        Why the next start must compile again and what to do about it; empty where it need not.
    """
    import terrain_seg_ros.core.pipeline  # noqa: F401, PLC0415

    for item in tuple(_KERNELS):
        item.compile()
    if cache_folder() is not None:
        return ""
    return (
        f"compiled loops cannot be kept, so every start takes longer; set {CACHE_VARIABLE} to a "
        f"folder that can be written, unlike {' and '.join(map(str, _candidates()))}"
    )


@functools.lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Return the folder of compiled kernels for this processor, None if none can be written.

    Each kind of processor has its own, so that machines which share a disk do not mix their code.
    """
    from llvmlite import binding  # noqa: PLC0415

    cpu = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    name = hashlib.sha256(cpu.encode()).hexdigest()[:16]
    return next((place / name for place in _candidates() if _is_writable(place / name)), None)


def _candidates() -> list[Path]:
    """Return where compiled kernels may be kept, the preferred place first."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return [Path(given) / "terrain_seg_ros"]
    users = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return [Path(__file__).parent / "__pycache__" / "kernels", users / "terrain_seg_ros/kernels"]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@contextmanager
def _numba_cache_in(folder: Path | None) -> Iterator[None]:
    """Let functions that are decorated meanwhile keep their code in a folder."""
    import numba  # noqa: PLC0415

    earlier = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = "" if folder is None else str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = earlier
