"""Change good inputs at random: messages, bytes, JSON and YAML. Only numpy's generator decides."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import MutableMapping, MutableSequence

import numpy as np

FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 1e-320, 1e-30, 1e-3, 1e3, 1e7, 1.1e7, 1e9, 1e38, -1e38),
    *(1e100, 1e300, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
)
INTEGERS = (
    *(0, 1, -1, 2, 3, 4, 7, 8, 63, 64, 96, 127, 128, 255, 256, 1000, 65535, 65536, 999_999_999),
    *(10**9, 2**31 - 1, 2**31, 2**32 - 1, -(2**31), 2**62),
)
TEXTS = (
    *("", "/", "//", " ", "odom", "/odom", "base_link", "navcam_optical", "map", "mono8", "rgb8"),
    *("bgr8", "mono16", "16UC1", "32FC1", "bayer_rggb8", "yuv422", "jpeg", "png", "x" * 300),
    *("rgb8; jpeg compressed bgr8", "16UC1; png compressed ", "plumb_bob", "equidistant", "\u00e9"),
    *("rational_polynomial", "a/b", "../..", "\x00", "%s%n", "0"),
)
BYTE_LIMIT = 1 << 20


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def mutated_number(rng, value):
    """Return a number of the same kind that few expect."""
    kind = int(rng.integers(4))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return [pick(rng, INTEGERS), value + 1, value - 1, value * 2][kind]
    scaled = value * 10.0 ** int(rng.integers(-9, 10))
    return [pick(rng, FLOATS), pick(rng, FLOATS), -value, scaled][kind]


def mutated_array(rng, array):
    """Return an array of the same dtype: other values, shorter, longer or empty."""
    kind, flat = int(rng.integers(5)), np.array(array).reshape(-1)
    if kind == 0:
        return flat[: int(rng.integers(flat.size + 1))]
    if kind == 1:
        return np.concatenate([flat, flat[: int(rng.integers(flat.size + 1))]])
    if kind == 2:
        return flat[:0]
    if not flat.size:
        return np.zeros(int(rng.integers(1, 20)), dtype=flat.dtype)
    where = rng.integers(flat.size, size=int(rng.integers(1, 9)))
    values = FLOATS if flat.dtype.kind == "f" else INTEGERS
    with np.errstate(all="ignore"):
        changed = [np.array(pick(rng, values)).astype(flat.dtype) for _ in where]
    flat[where] = changed
    if kind == 4:
        flat[:] = flat[where[0]]
    return flat


def places(message):
    """Return every field of a message and of what it holds, as (owner, name or index)."""
    found = []
    for field in dataclasses.fields(message):
        if field.name.startswith("__"):
            continue
        value = getattr(message, field.name)
        if dataclasses.is_dataclass(value):
            found += places(value)
            continue
        found.append((message, field.name))
        if isinstance(value, list):
            for item in value:
                found += places(item) if dataclasses.is_dataclass(item) else []
    return found


def mutated_message(rng, message):
    """Return a copy of a rosbags message with one to three fields changed."""
    result = copy.deepcopy(message)
    for _ in range(int(rng.integers(1, 4))):
        owner, name = pick(rng, places(result))
        object.__setattr__(owner, name, _mutated_field(rng, getattr(owner, name)))
    return result


def _mutated_field(rng, value):
    if isinstance(value, np.ndarray):
        return mutated_array(rng, value)
    if isinstance(value, str):
        return pick(rng, TEXTS)
    if isinstance(value, list):
        kind = int(rng.integers(3))
        return [[], value[: len(value) // 2], value * int(rng.integers(1, 6))][kind]
    return mutated_number(rng, value)


def mutated_bytes(rng, data):
    """Return bytes with a few changed, cut, doubled or put in."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at, kind = int(rng.integers(len(result) + 1)), int(rng.integers(6))
        span = int(rng.integers(1, 17))
        if kind == 0 and result:
            result[at - 1] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            result[at : at + span] = rng.integers(256, size=span, dtype=np.uint8).tobytes()
        elif kind == 2:
            del result[at : at + span]
        elif kind == 3:
            del result[at:]
        elif kind == 4:
            result[at:at] = result[at : at + span]
        else:
            word = pick(rng, INTEGERS) % 2**64
            width = int(pick(rng, (1, 2, 4, 8)))
            result[at : at + width] = word.to_bytes(8, "little")[:width]
    return bytes(result[:BYTE_LIMIT])


def mutated_tree(rng, tree):
    """Return a copy of a tree of mappings, lists and values, as of JSON or YAML, changed once."""
    result = copy.deepcopy(tree)
    nodes = [item for item in _nodes(result) if item]
    if not nodes:
        return result
    owner = pick(rng, nodes)
    keys = list(owner) if isinstance(owner, MutableMapping) else list(range(len(owner)))
    key = pick(rng, keys)
    kind = int(rng.integers(6))
    if kind == 0:
        del owner[key]
    elif kind == 1:
        owner[key] = pick(rng, (None, [], {}, "", 0, -1, 1e308, True, [[]], {"a": {}}, "x" * 999))
    elif kind == 2 and isinstance(owner, MutableMapping):
        owner[pick(rng, TEXTS)] = owner.pop(key)
    elif kind == 3:
        owner[key] = [owner[key]] * int(rng.integers(1, 40))
    elif isinstance(owner[key], (int, float)):
        owner[key] = mutated_number(rng, owner[key])
    else:
        owner[key] = pick(rng, TEXTS) if isinstance(owner[key], str) else pick(rng, FLOATS)
    return result


def _nodes(tree):
    if not isinstance(tree, (MutableMapping, MutableSequence)):
        return
    yield tree
    for item in tree.values() if isinstance(tree, MutableMapping) else tree:
        yield from _nodes(item)
