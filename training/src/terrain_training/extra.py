"""How to install what only some uses need; this package is on no index."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def install_extra(extra: str, *, package: str) -> str:
    """Return the command that installs an extra.

    Args:
        extra: of this distribution.
        package: that the extra is for, where this runs outside a checkout.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        return f"pip install -e '{CHECKOUT}[{extra}]'"
    return f"pip install '{package}'"
