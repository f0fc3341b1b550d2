"""An engine key to vary, for the tests of the cache and what uses it."""

from __future__ import annotations

from dataclasses import replace

from terrain_seg_ros.inference.engines.engine_key import EngineKey, EngineProfile

PROFILE = EngineProfile(1, 1, 2, 48, 64, 1)
KEY = EngineKey(
    runtime="tensorrt",
    runtime_version="10.3.0",
    model_sha256="ab" * 32,
    device_name="Orin",
    compute_capability="8.7",
    precision="fp16",
    profile=PROFILE,
    flags=("no-tf32", "strongly-typed"),
)


def key(**changes) -> EngineKey:
    """Return KEY with some parts changed; those of the profile may be named too."""
    of_profile = {name: changes.pop(name) for name in list(changes) if hasattr(PROFILE, name)}
    return replace(KEY, profile=replace(PROFILE, **of_profile), **changes)
