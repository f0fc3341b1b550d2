"""Sets of parameters that are scored on the same images, to choose thresholds by their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.file import read_parameter_file
from terrain_seg_ros.parameters.node_settings import DECLARATION, NodeSettings

MAX_VARIANTS = 64
_TYPES = {"int": int, "float": float}
_FLAGS = {"true": True, "false": False}
_NOVELTY = "observability.max_novelty"


class Variant(NamedTuple):
    """Dynamic parameters on top of the given ones, and how tables name them."""

    name: str
    changes: Mapping[str, Any]


def read_variants(
    vary: Sequence[str], against: Sequence[Path], *, base: NodeSettings
) -> tuple[Variant, ...]:
    """Return a variant for each value of `NAME=VALUE,...` and for each parameter file.

    Args:
        vary: texts of the option --vary.
        against: parameter files of the option --against.
        base: the parameters that they change.

    Raises:
        ConfigError: a text, a parameter or a value cannot be used, or a parameter is static.
    """
    variants = [one for text in vary for one in _values_of(text)]
    variants += [Variant(path.name, read_parameter_file(path)) for path in against]
    if len(variants) > MAX_VARIANTS:
        raise ConfigError(
            f"--vary and --against give {len(variants)} sets of parameters, expected at most "
            f"{MAX_VARIANTS}; score them in several runs"
        )
    for variant in variants:
        try:
            changed = base.with_values(variant.changes, running=True)
        except ConfigError as error:
            raise ConfigError(f"{variant.name}: {error}") from error
        before, after = (one.pipeline.observability.max_novelty for one in (base, changed))
        if before == 0.0 < after:
            raise ConfigError(
                f"{variant.name}: {_NOVELTY} is 0 in the given parameters, so that no novelty is "
                "computed; give a value above 0 and vary it to 0"
            )
    return tuple(variants)


def _values_of(text: str) -> list[Variant]:
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not name or not values:
        raise ConfigError(f"--vary {text!r} is not NAME=VALUE,..., such as cost.min_evidence=0.1,1")
    kind = DECLARATION.setting(name).kind
    return [
        Variant(f"{name} {value.strip()}", {name: _typed(value.strip(), kind, text)})
        for value in values.split(",")
    ]


def _typed(value: str, kind: str, text: str) -> Any:
    """Return a number or a flag; a text as it is."""
    if kind == "bool":
        if value not in _FLAGS:
            raise ConfigError(f"--vary {text!r}: {value!r} is not true or false")
        return _FLAGS[value]
    try:
        return _TYPES.get(kind, str)(value)
    except ValueError as error:
        raise ConfigError(f"--vary {text!r}: {value!r} is not a number ({kind})") from error
