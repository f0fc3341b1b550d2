"""Hide Python packages from a process, as if they were not installed."""

from __future__ import annotations

BLOCKED = """
import importlib.machinery

real = importlib.machinery.PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in {blocked} else real(name, path, target)

importlib.machinery.PathFinder.find_spec = staticmethod(find_spec)
"""


def without_packages(folder, blocked):
    """Return an entry for PYTHONPATH that hides packages; its file is written into the folder."""
    (folder / "sitecustomize.py").write_text(BLOCKED.format(blocked=set(blocked)))
    return str(folder)
