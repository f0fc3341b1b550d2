"""A list of samples to leave out, that people may edit."""

from __future__ import annotations

from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError

LIST_LIMIT_BYTES = 16 * 2**20


def read_removal_list(path: Path) -> tuple[str, ...]:
    """Return the sample names of a file: one per line, `#` starts a comment.

    Raises:
        ConfigError: the file is missing, too large or no text.
    """
    try:
        if path.stat().st_size > LIST_LIMIT_BYTES:
            raise ConfigError(f"{path}: larger than {LIST_LIMIT_BYTES} bytes; is it a list?")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"list {path} cannot be read: {error}; write one name per line"
        ) from error
    names = (line.partition("#")[0].strip() for line in lines)
    return tuple(dict.fromkeys(name for name in names if name))
