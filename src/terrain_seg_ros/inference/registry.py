"""Create backends by name; a backend is imported only when it is used."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import cast

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.inference.backend_names import (
    BackendEntry,
    BackendName,
    backend_names,
    network_backends,
)
from terrain_seg_ros.inference.backend_options import (
    AUTO,
    BUILD_NEVER,
    BUILD_WAIT,
    FULL_PRECISION,
    BackendOptions,
    model_precision,
)
from terrain_seg_ros.inference.self_test import Trial, check_golden, choose_fastest
from terrain_seg_ros.model_store.loaded_model import LoadedModel, probe_image


def installed_backends() -> list[BackendName]:
    """Return the backends that run networks, whose runtime is installed and device present."""
    return [name for name in network_backends() if _is_installed(name)]


def usable_precisions(name: BackendName) -> tuple[str, ...]:
    """Return the precisions that a backend can compute in on this machine.

    Raises:
        InferenceError: the backend cannot be used here.
    """
    return tuple(backend_module(name).usable_precisions())


def model_precisions(name: BackendName, model: LoadedModel) -> tuple[str, ...]:
    """Return the precisions that a backend can run a model in on this machine.

    They are those that it computes in, and those of the files that were made from the model.

    Raises:
        InferenceError: the backend cannot be used here.
    """
    files = (file.card.precision for file in model.lowered if name in network_backends())
    return tuple(dict.fromkeys([*usable_precisions(name), *files]))


def create_backend(
    name: BackendName | str, model: LoadedModel, options: BackendOptions | None = None
) -> Backend:
    """Return a backend that has passed the golden self-test; close it after use.

    Args:
        name: `auto` times what is installed and takes the fastest that passes. A precision of
            `auto` does the same among the backend's own; one that is named must only pass the
            golden self-test.
        model: what to run; where a file of it was lowered to the precision, that one runs.
        options: threads and precision; the runtime's own choice where absent.

    Raises:
        InferenceError: the backend is unknown, not installed or cannot run the model.
        ModelError: the self-test fails.
        ConfigError: the model has no class of the id `constant_class`.
    """
    wanted = backend_name(name)
    chosen = options or BackendOptions()
    if wanted is BackendName.AUTO:
        return try_backends(model, chosen)[0]
    if chosen.precision == AUTO:
        precisions = model_precisions(wanted, model)
        if len(precisions) > 1:
            return try_backends(model, chosen, names=[wanted])[0]
        chosen = replace(chosen, precision=precisions[0])
    backend = _make(wanted, model, chosen)
    tested = False
    try:
        self_test(backend, model, chosen)
        tested = True
    finally:
        if not tested:
            backend.close()
    return backend


def self_test(backend: Backend, model: LoadedModel, options: BackendOptions) -> None:
    """Check that a backend gives what the golden image demands; the constant one need not.

    Raises:
        ModelError: it does not.
        InferenceError: it fails.
    """
    if BackendName(backend.name) in network_backends():
        check_golden(backend, model, partial(_reference, model, options))


def try_backends(
    model: LoadedModel,
    options: BackendOptions | None = None,
    *,
    names: Sequence[BackendName] | None = None,
) -> tuple[Backend, tuple[Trial, ...]]:
    """Return what `auto` chooses, and how every backend and precision did.

    Args:
        model: what to run.
        options: threads and precision; the runtime's own choice where absent.
        names: the backends to try; all that are installed where absent, of engines only the
            cached ones then unless the options say to wait.

    Raises:
        InferenceError: none can run the model.
    """
    chosen = options or BackendOptions()
    if names is None and chosen.engine_build != BUILD_WAIT:
        chosen = replace(chosen, engine_build=BUILD_NEVER)
    model.graph()
    candidates = []
    for name in installed_backends() if names is None else names:
        for precision in _precisions(name, model):
            if chosen.precision not in {AUTO, precision, model_precision(model.card, precision)}:
                continue
            exact = replace(chosen, precision=precision)
            candidates.append((name.value, precision, partial(_make, name, model, exact)))
    return choose_fastest(candidates, model, partial(_reference, model, chosen))


def backend_name(name: BackendName | str) -> BackendName:
    """Return the name as a member of the enum.

    Raises:
        InferenceError: there is no such backend.
    """
    try:
        return BackendName(name)
    except ValueError:
        raise InferenceError(
            f"backend {str(name)!r} is unknown, expected one of {list(backend_names())}"
        ) from None


def _make(name: BackendName, model: LoadedModel, options: BackendOptions) -> Backend:
    entry = _entry(name)
    kind = getattr(backend_module(name), entry.kind)
    file = model.file(options.precision)
    if entry.tries_first and file.test_deadline_s:
        _try_in_openvino(file)
    return cast(Backend, kind(file, options))


def _try_in_openvino(file: LoadedModel) -> None:
    """Run a network that is not shipped where it can do no harm; ONNX Runtime did when loading."""
    trial = importlib.import_module("terrain_seg_ros.model_store.network_trial")
    try:
        trial.try_network(
            file.graph(),
            probe_image(file),
            deadline_s=file.test_deadline_s,
            source=f"model {file.card.name!r}",
            runtime=trial.OPENVINO,
        )
    except ModelError as error:
        raise InferenceError(f"{error}; or choose another backend") from error


def _reference(model: LoadedModel, options: BackendOptions) -> Backend:
    exact = replace(options, precision=FULL_PRECISION)
    return _make(BackendName.ONNXRUNTIME, model, exact)


def _precisions(name: BackendName, model: LoadedModel) -> tuple[str, ...]:
    try:
        return model_precisions(name, model)
    except InferenceError:
        return (FULL_PRECISION,)


def _is_installed(name: BackendName) -> bool:
    entry = _entry(name)
    if importlib.util.find_spec(entry.needs) is None:
        return False
    return not entry.needs_device or bool(backend_module(name).is_present())


def _entry(name: BackendName) -> BackendEntry:
    if name.entry is None:
        known = [item.value for item in BackendName if item.entry is not None]
        raise InferenceError(f"backend {name.value!r} is not a runtime; choose one of {known}")
    return name.entry


def backend_module(name: BackendName) -> ModuleType:
    """Return a backend's module, imported now.

    Raises:
        InferenceError: the name is `auto`, or the runtime cannot be imported.
    """
    entry = _entry(name)
    try:
        return importlib.import_module(f"terrain_seg_ros.inference.backends.{entry.module}")
    except ImportError as error:
        raise InferenceError(
            f"backend {name.value!r} cannot be used ({error}); install it with: {entry.remedy}"
        ) from error
