"""Errors of the system as one line of text."""

from __future__ import annotations

import os


def describe_os_error(error: OSError) -> str:
    """Return which file or folder an error of the system is about, why, or what to check."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"{reason}; check the paths and the free space"
    return f"cannot use {os.fspath(error.filename)!r}: {reason}"
