"""One digest over every file of a model that is read: card, golden image and network."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

_BEGIN = b"terrain_seg_ros model 1\n"
_ABSENT = 2**64 - 1
"""In the place of a length: an absent file is another model than an empty one."""


def model_digest(files: Mapping[str, bytes | None]) -> str:
    """Return the sha256, in hexadecimal, over names and contents.

    Every name and content comes behind its length, 8 bytes each, least significant first, in the
    order of the names; so no byte can move from one file into another.

    Args:
        files: content per name of the contract; None where a file is absent.
    """
    hasher = hashlib.sha256(_BEGIN)
    for name in sorted(files):
        data = files[name]
        encoded = name.encode()
        hasher.update(struct.pack("<Q", len(encoded)) + encoded)
        hasher.update(struct.pack("<Q", _ABSENT if data is None else len(data)))
        if data is not None:
            hasher.update(data)
    return hasher.hexdigest()
