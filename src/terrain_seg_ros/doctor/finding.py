"""What a check of the doctor found."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from enum import Enum


class State(str, Enum):
    """Whether something can be used; only MISSING is a fault."""

    USABLE = "usable"
    ABSENT = "absent"
    """Optional and not installed."""
    MISSING = "missing"
    """Needed and not installed, or broken."""
    DOUBTFUL = "doubtful"
    """Usable, but with a loss or an assumption that should be checked."""


@dataclass(frozen=True)
class Finding:
    """One row of the report; the remedy is empty where none is needed."""

    item: str
    state: State
    detail: str
    remedy: str = ""


def import_error(module: str) -> str:
    """Return why a module cannot be imported; empty if it can."""
    if importlib.util.find_spec(module) is None:
        return f"{module} is not installed"
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:
        return f"{module} does not import: {error}"
    return ""


def version_of(distribution: str) -> str:
    """Return the installed version of a distribution, or that it is unknown."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
