"""Build and test engines in advance, or check whether they exist."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from terrain_seg_ros.core.errors import InferenceError, ModelError, TerrainSegError
from terrain_seg_ros.inference.backend_names import BackendName, engine_backends
from terrain_seg_ros.inference.backend_options import AUTO, BUILD_NEVER, BackendOptions
from terrain_seg_ros.inference.engines.engine_cache import (
    EngineCache,
    Report,
    default_cache_folder,
    warn,
)
from terrain_seg_ros.inference.engines.engine_key import EngineKey
from terrain_seg_ros.inference.registry import backend_module, create_backend, model_precisions
from terrain_seg_ros.inference.self_test import parity_refusal
from terrain_seg_ros.model_store.loaded_model import LoadedModel

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CachedEngine:
    """The place of an engine of one precision; `refusal` is empty if it can be used."""

    key: EngineKey
    path: Path
    refusal: str


@dataclass(frozen=True)
class PreparedEngine:
    """An engine that passed the self-test; `was_cached`: nothing was built."""

    key: EngineKey
    path: Path
    was_cached: bool
    elapsed_s: float


def wanted_engines(
    name: BackendName, model: LoadedModel, options: BackendOptions
) -> list[BackendOptions]:
    """Return the options of every engine that a backend would use, each with one precision.

    A precision of `auto` stands for those that the card vouches for and the runtime can make.

    Raises:
        InferenceError: the backend is absent, has no engines, or can make none of them.
        ConfigError: the accelerator cannot run the model.
    """
    module = _module(name)
    if options.precision != AUTO:
        module.engine_key(model.file(options.precision), options)
        return [options]
    found, reasons = [], []
    for precision in model_precisions(name, model):
        refusal = parity_refusal(model.file(precision).card, name.value, precision)
        exact = replace(options, precision=precision)
        if not refusal:
            refusal = _refusal(name, model, exact)
        if refusal:
            reasons.append(f"{precision}: {refusal}")
        else:
            found.append(exact)
    if not found:
        raise InferenceError(
            f"{name.value} has no precision for model {model.card.name!r} ({'; '.join(reasons)}); "
            "name one with --precision, or choose another backend"
        )
    return found


def cached_engine(name: BackendName, model: LoadedModel, options: BackendOptions) -> CachedEngine:
    """Return whether the engine of one precision is cached and whole.

    Raises:
        InferenceError: the backend is absent or cannot run the model.
        ConfigError: the accelerator cannot run it, or there is no folder for engines.
    """
    key: EngineKey = _module(name).engine_key(model.file(options.precision), options)
    cache = _cache(options, warn)
    return CachedEngine(key, cache.path(key), cache.refusal(key))


def is_prepared(name: BackendName, model: LoadedModel, options: BackendOptions) -> bool:
    """Return whether all engines that a backend would use are cached.

    Raises:
        InferenceError: the backend is absent or cannot run the model.
        ConfigError: the accelerator cannot run it, or there is no folder for engines.
    """
    wanted: Sequence[BackendOptions] = wanted_engines(name, model, options)
    return all(not cached_engine(name, model, item).refusal for item in wanted)


def prepare_engine(
    name: BackendName,
    model: LoadedModel,
    options: BackendOptions,
    *,
    force: bool = False,
    progress: Progress | None = None,
    report: Report = warn,
) -> PreparedEngine:
    """Build the engine of one precision unless it is cached, keep it, and run the self-test.

    Args:
        name: one of `engine_backends()`.
        model: what to build it of.
        options: with one precision.
        force: build it even if it is cached.
        progress: is called with the progress of the build.
        report: is called when an engine is refused or another process is waited for.

    Raises:
        InferenceError: the backend is absent or cannot build it.
        ConfigError: the engine cannot be kept, or the accelerator cannot run the model.
        ModelError: the engine fails the self-test; it is removed.
    """
    module, file = _module(name), model.file(options.precision)
    key: EngineKey = module.engine_key(file, options)
    cache = _cache(options, report)
    built: list[float] = []

    def build() -> bytes:
        start_s = time.monotonic()
        data: bytes = module.build(file, options, progress)
        built.append(time.monotonic() - start_s)
        return data

    cache.load_or_build(key, build, must_keep=True, force=force)
    try:
        create_backend(name, model, replace(options, engine_build=BUILD_NEVER)).close()
    except ModelError as error:
        cache.discard(key, str(error))
        raise
    return PreparedEngine(key, cache.path(key), not built, sum(built))


def _refusal(name: BackendName, model: LoadedModel, options: BackendOptions) -> str:
    try:
        _module(name).engine_key(model.file(options.precision), options)
    except TerrainSegError as error:
        return str(error)
    return ""


def _module(name: BackendName) -> ModuleType:
    if name not in engine_backends():
        known = [item.value for item in engine_backends()]
        raise InferenceError(f"backend {name.value!r} has no engines; choose one of {known}")
    return backend_module(name)


def _cache(options: BackendOptions, report: Report) -> EngineCache:
    return EngineCache(options.cache_dir or default_cache_folder(), report=report)
