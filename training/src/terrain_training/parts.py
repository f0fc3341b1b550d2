"""Networks, losses, augmentations and data sources of your own, used in recipes by name.

A recipe lists Python files as `parts: [parts.py]`; each function or class in them that has one of
the decorators below can be named in that recipe:

    from terrain_training import parts

    @parts.loss
    def squared_error(logits, target, context): ...

An installed package gives parts to every recipe by entry points of the groups
`terrain_training.networks`, `.losses`, `.augmentations` and `.sources`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.settings.recipe import PartFile

Kind = Literal["networks", "losses", "augmentations", "sources"]
FOLDER = "parts"
"""Beside a recipe that was written whole: the files of its parts."""
FILE_LIMIT_BYTES = 2**20
_GROUP = "terrain_training"
_MARK = "__terrain_part__"
GIVEN: dict[Kind, tuple[str, ...]] = {
    "networks": ("in_channels", "classes"),
    "losses": ("logits", "target", "context"),
    "augmentations": ("image", "mask", "random"),
    "sources": ("root",),
}
"""Arguments that a recipe does not give, by the kind of part."""
_Value = TypeVar("_Value")
_Made = TypeVar("_Made", bound=Callable[..., Any])


@dataclass(frozen=True)
class Part:
    """A function or class of a file or package; `origin` says which, for messages.

    `multiple` is what the sides of a network's input must be multiples of. Of an augmentation,
    `is_pipeline` says that the function returns an Albumentations pipeline.
    """

    kind: Kind
    name: str
    make: Callable[..., Any]
    origin: str = "a Python file"
    multiple: int = 1
    is_pipeline: bool = False


def network(*, name: str | None = None, multiple: int = 1) -> Callable[[_Made], _Made]:
    """Mark a function or class that builds a network.

    It takes `in_channels` and `classes` and, by keyword, the `network.options` of the recipe. The
    network gives logits (N, classes, H, W) of an image (N, in_channels, H, W).

    Args:
        name: for recipes; by default that of the function or class.
        multiple: the sides of the input are multiples of it, in pixels.
    """
    return _marker("networks", name, multiple=multiple)


def loss(function: _Made) -> _Made:
    """Mark a function of logits (N, K, H, W), target (N, H, W) and `LossContext`.

    The target holds class ids, 255 where a pixel does not count; the function returns a scalar.
    """
    return _marker("losses", None)(function)


def augmentation(function: _Made) -> _Made:
    """Mark a function of image (h, w, C) uint8, mask (h, w) uint8 and a `numpy.random.Generator`.

    Its keyword arguments are options of the recipe. It returns both, of the same shapes, and
    draws from the generator alone, so that a run can be repeated.
    """
    return _marker("augmentations", None)(function)


def pipeline(function: _Made) -> _Made:
    """Mark a function that returns an Albumentations pipeline; its arguments are options."""
    return _marker("augmentations", None, is_pipeline=True)(function)


def source(made: _Made) -> _Made:
    """Mark a class or function that opens a data set, a `data.contract.Source`.

    Its first argument is the `Path` of the data; keyword arguments are `data.options`.
    """
    return _marker("sources", None)(made)


class Registry(Mapping[str, _Value]):
    """What recipes may name: shipped, from installed packages, and from the recipe's own files."""

    def __init__(
        self, kind: Kind, shipped: Mapping[str, _Value], adapt: Callable[[Part], _Value]
    ) -> None:
        """Take what is shipped, and how a part becomes a value of the registry."""
        self._kind, self._shipped, self._adapt = kind, dict(shipped), adapt

    def __getitem__(self, name: str) -> _Value:
        """Return what a name stands for."""
        if name in self._shipped:
            return self._shipped[name]
        part = self.part(name)
        if part is None:
            raise KeyError(name)
        return self._adapt(part)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, shipped ones first."""
        own = [name for kind, name in _active if kind == self._kind]
        return iter(dict.fromkeys([*self._shipped, *_installed(self._kind), *own]))

    def __len__(self) -> int:
        """Return the number of names."""
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        """Return whether a name is known; nothing is imported."""
        return any(name == known for known in self)

    def part(self, name: str) -> Part | None:
        """Return the part of a name, None where it is shipped or unknown.

        Raises:
            ConfigError: the package that gives it cannot be imported.
        """
        if name in self._shipped:
            return None
        entry = _installed(self._kind).get(name)
        return _active.get((self._kind, name)) if entry is None else _imported(self._kind, entry)


def part_file(path: Path) -> PartFile:
    """Return a file of parts with its digest.

    Raises:
        ConfigError: it cannot be read.
    """
    return PartFile(file=str(path), sha256=hashlib.sha256(_read(path)).hexdigest())


def activate(files: Iterable[PartFile]) -> None:
    """Let names stand for the parts of these files, and no longer for those of others.

    The code of a file runs when it is first used in a process.

    Raises:
        ConfigError: a file is missing, changed or fails, or two things have one name.
    """
    found: dict[tuple[Kind, str], Part] = {}
    for file in files:
        for part in _run(file).parts:
            key = (part.kind, part.name)
            if key in found or part.name in _installed(part.kind):
                raise ConfigError(
                    f"{part.origin} and another file or package both give {part.name!r} "
                    f"({part.kind}); rename one"
                )
            found[key] = part
    _active.clear()
    _active.update(found)


def check_own_names(registries: Mapping[Kind, Mapping[str, object]]) -> None:
    """Check that no active part has the name of a shipped one.

    Raises:
        ConfigError: one has, and would never be used.
    """
    for (kind, name), part in _active.items():
        registry = registries[kind]
        if isinstance(registry, Registry) and registry.part(name) is None:
            raise ConfigError(f"{part.origin} gives {name!r}, which is shipped ({kind}); rename it")


def copy_files(files: Iterable[PartFile], folder: Path) -> list[PartFile]:
    """Write the code that runs into `folder/parts`; return the files relative to `folder`."""
    kept = []
    for file in files:
        place = Path(FOLDER) / Path(file.file).name
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(_run(file).code)
        kept.append(PartFile(file=str(place), sha256=file.sha256))
    return kept


def hints_of(made: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of the arguments of a function or class."""
    return typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)


def defaulted(made: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that need not be given."""
    arguments = inspect.signature(made).parameters.items()
    return {name for name, item in arguments if item.default is not item.empty}


@dataclass(frozen=True)
class _File:
    code: bytes
    parts: tuple[Part, ...] = field(default=())


_files: dict[str, _File] = {}
"""By digest: what ran in this process."""
_active: dict[tuple[Kind, str], Part] = {}
_known_files: dict[str, None] = {}


def _marker(kind: Kind, name: str | None, **traits: Any) -> Callable[[_Made], _Made]:
    def mark(made: _Made) -> _Made:
        own = name or str(getattr(made, "__name__", made))
        setattr(made, _MARK, Part(kind, own, made, **traits))
        return made

    return mark


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise ConfigError(f"parts file '{path}' is larger than {FILE_LIMIT_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"parts file '{path}' cannot be read ({error.strerror}); check the recipe's `parts`"
        ) from error


def _run(file: PartFile) -> _File:
    """Run a file once in this process."""
    _known_files[file.file] = None
    if file.sha256 not in _files:
        code = _read(Path(file.file))
        if hashlib.sha256(code).hexdigest() != file.sha256:
            raise ConfigError(
                f"parts file '{file.file}' has changed since the recipe was written (SHA-256 is "
                f"not {file.sha256[:12]}...); restore it"
            )
        _files[file.sha256] = _File(code, _parts_in(_executed(code, file), Path(file.file)))
    return _files[file.sha256]


def _executed(code: bytes, file: PartFile) -> types.ModuleType:
    module = types.ModuleType(f"terrain_training_part_{file.sha256[:16]}")
    module.__file__ = file.file
    sys.modules[module.__name__] = module  # where pickle and dataclasses look
    try:
        exec(compile(code, file.file, "exec"), module.__dict__)  # noqa: S102
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ConfigError(
            f"parts file '{file.file}'{_line_of(error, file.file)}: {type(error).__name__}: {error}"
        ) from error
    return module


def blamed(error: BaseException) -> str | None:
    """Return in one line what went wrong in a parts file; None for errors from elsewhere.

    Of a process that loads images only the text of the error arrives, with its trace.
    """
    for file in _known_files:
        line = _line_of(error, file)
        found = re.findall(rf'File "{re.escape(file)}", line (\d+)', str(error))
        if not line and not found:
            continue
        reason = str(error).strip().splitlines()
        said = reason[-1] if found and reason else str(error)
        name = "" if found and not line else f"{type(error).__name__}: "
        return f"parts file '{file}'{line or f', line {found[-1]}'}: {name}{said}; correct the file"
    return None


def _line_of(error: BaseException, file: str) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}" if line else ""


def _parts_in(module: types.ModuleType, path: Path) -> tuple[Part, ...]:
    marked = [vars(item).get(_MARK) for item in vars(module).values() if hasattr(item, "__dict__")]
    found = tuple(
        _checked(_with_origin(part, f"parts file '{path}'"))
        for part in marked
        if isinstance(part, Part) and part.make.__module__ == module.__name__
    )
    if not found:
        raise ConfigError(
            f"parts file '{path}' gives nothing: put a decorator such as "
            "@parts.network() or @parts.loss before a function or class"
        )
    return found


def _with_origin(part: Part, origin: str) -> Part:
    return Part(part.kind, part.name, part.make, origin, part.multiple, part.is_pipeline)


def _checked(part: Part) -> Part:
    """Return a part whose arguments are as its kind needs them.

    Raises:
        ConfigError: they are not.
    """
    given = () if part.is_pipeline else GIVEN[part.kind]
    names = list(inspect.signature(part.make).parameters)
    where = f"{part.origin}: {part.name}"
    right = set(given) <= set(names) if part.kind == "networks" else len(names) >= len(given)
    if not right:
        raise ConfigError(f"{where} takes ({', '.join(names)}), expected ({', '.join(given)}, ...)")
    options = set(names) - set(given) if part.kind == "networks" else names[len(given) :]
    hints = {} if part.kind == "losses" else hints_of(part.make)
    untyped = next((name for name in sorted(options) if name not in hints), None)
    if untyped is not None:
        raise ConfigError(f"{where}: the option {untyped} has no type; write {untyped}: float")
    return part


@functools.cache
def _installed(kind: Kind) -> dict[str, importlib.metadata.EntryPoint]:
    """Return what installed packages give, by name; nothing is imported."""
    found = importlib.metadata.entry_points(group=f"{_GROUP}.{kind}")
    return {entry.name: entry for entry in found}


@functools.cache
def _imported(kind: Kind, entry: importlib.metadata.EntryPoint) -> Part:
    package = entry.dist.name if entry.dist is not None else entry.value
    try:
        made = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{entry.name!r} ({kind}) of the package {package} cannot be imported ({error}); "
            "install it again"
        ) from error
    marked = vars(made).get(_MARK) if hasattr(made, "__dict__") else None
    part = marked if isinstance(marked, Part) else Part(kind, entry.name, made)
    return _checked(
        Part(kind, entry.name, made, f"the package {package}", part.multiple, part.is_pipeline)
    )
