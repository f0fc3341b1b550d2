"""The backend of a session: the requested one, or another while an engine is built."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import (
    AUTO,
    BUILD_BACKGROUND,
    BUILD_NEVER,
    FULL_PRECISION,
    BackendOptions,
)
from terrain_seg_ros.inference.engines.engine_key import EngineKey
from terrain_seg_ros.inference.engines.prepare import is_prepared
from terrain_seg_ros.inference.engines.switching_backend import SwitchingBackend
from terrain_seg_ros.inference.registry import create_backend, installed_backends, try_backends
from terrain_seg_ros.inference.self_test import parity_refusal
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.background_build import BackgroundBuild, prepare_command


class Serving(NamedTuple):
    """The backend that serves, and the build that will replace it, if there is one."""

    backend: Backend
    build: BackgroundBuild | None


def serve(
    name: BackendName,
    model: LoadedModel,
    options: BackendOptions,
    parameters: NodeSettings,
    *,
    live: bool,
) -> Serving:
    """Return a tested backend; start building the engine of a live one where it is missing.

    Raises:
        ModelError: the self-test fails.
        InferenceError: the backend cannot be used.
        ConfigError: the accelerator cannot run the model, or there is no folder for engines.
    """
    if not (live and _builds_in_background(name, model, options, parameters)):
        return Serving(create_backend(name, model, options), None)
    others = [item for item in installed_backends() if item is not BackendName.TENSORRT]
    open_choice = name is BackendName.AUTO and options.precision == AUTO
    # While one of another precision is made ready, full precision serves.
    meanwhile = options if open_choice else replace(options, precision=FULL_PRECISION)
    switching = SwitchingBackend(
        try_backends(model, meanwhile, names=others)[0],
        only_if_faster=name is BackendName.AUTO,
    )
    build = BackgroundBuild(
        prepare_command(_prepare_arguments(parameters, options)),
        lambda: create_backend(
            BackendName.TENSORRT, model, replace(options, engine_build=BUILD_NEVER)
        ),
        switching,
    )
    build.start()
    return Serving(switching, build)


def engine_digest(backend: Backend) -> str:
    """Return the short name of the engine that serves; empty where there is none."""
    serving = backend.serving if isinstance(backend, SwitchingBackend) else backend
    key = getattr(serving, "engine_key", None)
    return key.digest if isinstance(key, EngineKey) else ""


def _builds_in_background(
    name: BackendName, model: LoadedModel, options: BackendOptions, parameters: NodeSettings
) -> bool:
    if (
        name not in {BackendName.AUTO, BackendName.TENSORRT}
        or options.engine_build != BUILD_BACKGROUND
        or parameters.inference.deterministic
        or BackendName.TENSORRT not in installed_backends()
    ):
        return False
    if name is BackendName.TENSORRT:
        return not is_prepared(name, model, options)
    # What nobody asked for by name is built only if `auto` might choose it.
    asked = options.precision
    if asked != AUTO and parity_refusal(model.file(asked).card, BackendName.TENSORRT.value, asked):
        return False
    try:
        return not is_prepared(BackendName.TENSORRT, model, options)
    except TerrainSegError:
        return False


def _prepare_arguments(parameters: NodeSettings, options: BackendOptions) -> list[str]:
    return [
        f"--backend={BackendName.TENSORRT.value}",
        f"--model={parameters.inference.model}",
        f"--precision={options.precision}",
        f"--device={options.device}",
        f"--dla-core={options.dla_core}",
        *([] if options.cache_dir is None else [f"--cache-dir={options.cache_dir}"]),
    ]
