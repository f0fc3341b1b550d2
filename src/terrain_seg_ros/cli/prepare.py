"""`terrain-seg prepare`: compile loops and build engines in advance, or check the engines."""

from __future__ import annotations

import argparse
import sys
import time
from threading import Event, Thread
from types import TracebackType

from terrain_seg_ros.cli.options import add_params_argument, add_setting_argument, read_parameters
from terrain_seg_ros.core.kernel import cache_folder, compile_kernels
from terrain_seg_ros.inference.backend_names import BackendName, engine_backends
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.engines.prepare import (
    cached_engine,
    prepare_engine,
    wanted_engines,
)
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.node_settings import DECLARATION

EXIT_NOT_PREPARED = 1
TICK_S = 10.0
_TICK_TERMINAL_S = 1.0
_OPTIONS = {
    "model": "model",
    "precision": "precision",
    "threads": "threads",
    "device": "tensorrt_device",
    "dla_core": "tensorrt_dla_core",
    "cache_dir": "engine_cache_dir",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; what is not given comes from the parameters."""
    add_params_argument(parser)
    parser.add_argument(
        "--model", metavar="NAME|PATH", help="listed model, folder or .onnx file with its card"
    )
    parser.add_argument(
        "--backend",
        choices=[item.value for item in engine_backends()],
        default=BackendName.TENSORRT.value,
        help="runtime (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=DECLARATION.setting("precision").choices,
        help="precision of the engines; auto: all whose parity is in the model's card",
    )
    for option, name in _OPTIONS.items():
        if option not in {"model", "precision"}:
            add_setting_argument(parser, f"--{option.replace('_', '-')}", name)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--check",
        action="store_true",
        help=f"build nothing; exit code 0 if all engines exist, else {EXIT_NOT_PREPARED}",
    )
    choice.add_argument("--force", action="store_true", help="rebuild engines that exist")


def run(arguments: argparse.Namespace) -> int:
    """Compile the loops, build or check the engines, and print their keys and paths.

    Raises:
        ConfigError: a parameter is wrong, or an engine cannot be kept.
        ModelError: the model cannot be used, or its engine fails the self-test.
        InferenceError: the backend or its device is absent, or cannot run the model.
    """
    parameters = read_parameters(arguments, _OPTIONS)
    name = BackendName(arguments.backend)
    model = load_model(parameters.inference.model, parameters.inference.model_trust())
    wanted = wanted_engines(name, model, parameters.inference.backend_options())
    if arguments.check:
        found = [_check(name, model, options) for options in wanted]
    else:
        _compile_kernels()
        found = [True] * len(wanted)
        for options in wanted:
            _prepare(name, model, options, force=arguments.force)
    for file in (model, *model.lowered):
        print(f"{file.card.name} {file.card.version}: digest {file.digest}")
    return 0 if all(found) else EXIT_NOT_PREPARED


def _compile_kernels() -> None:
    start_s = time.monotonic()
    with _Ticker("compiled loops"):
        advice = compile_kernels()
    print(f"compiled loops: ready in {time.monotonic() - start_s:.1f} s, in {cache_folder()}")
    if advice:
        print(f"terrain-seg: {advice}", file=sys.stderr)


def _check(name: BackendName, model: LoadedModel, options: BackendOptions) -> bool:
    engine = cached_engine(name, model, options)
    print(f"{'not ready' if engine.refusal else 'ready'}: {engine.key.text()}")
    print(f"  {engine.path}{f': {engine.refusal}' if engine.refusal else ''}")
    return not engine.refusal


def _prepare(
    name: BackendName, model: LoadedModel, options: BackendOptions, *, force: bool
) -> None:
    key = cached_engine(name, model, options).key
    print(f"key {key.text()}")
    with _Ticker(f"{name.value} {options.precision}") as ticker:
        engine = prepare_engine(
            name, model, options, force=force, progress=ticker.note, report=ticker.say
        )
    how = "was there" if engine.was_cached else f"built in {engine.elapsed_s:.1f} s"
    print(f"  {engine.path}: {how}, passes the self-test")


class _Ticker:
    """Print the progress of a build on stderr while in the `with` statement."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._note = ""
        self._start_s = time.monotonic()
        self._done = Event()
        self._thread = Thread(target=self._run, name="terrain_seg_ticker", daemon=True)

    def __enter__(self) -> _Ticker:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def note(self, text: str) -> None:
        """Set the progress of the build, shown with the next tick."""
        self._note = text

    def say(self, text: str) -> None:
        """Print a line at once."""
        print(f"terrain-seg: {text}", file=sys.stderr, flush=True)

    def _run(self) -> None:
        on_terminal = sys.stderr.isatty()
        start, end = ("\r\033[K", "") if on_terminal else ("", "\n")
        while not self._done.wait(_TICK_TERMINAL_S if on_terminal else TICK_S):
            elapsed_s = time.monotonic() - self._start_s
            text = f"terrain-seg: preparing {self._what}, {elapsed_s:.0f} s; {self._note}"
            print(f"{start}{text.rstrip('; ')}", end=end, file=sys.stderr, flush=True)
        if on_terminal:
            print(start, end="", file=sys.stderr, flush=True)
