"""Packets that the kernel dropped because this process did not read them in time (Linux)."""

from __future__ import annotations

from pathlib import Path

_TABLES = ("udp", "udp6")
_INODE, _DROPS = 9, 12
"""Columns of /proc/net/udp (proc_pid_net(5))."""
_SOCKET = "socket:["


def dropped_packets(proc: Path = Path("/proc")) -> int:
    """Return how many UDP packets the sockets of this process lost; 0 where it is not reported.

    A large image comes in hundreds of packets. Where a best-effort one does not fit the socket's
    buffer, no DDS status counts it, as it never was whole.

    Args:
        proc: the file system of processes.
    """
    own = _own_sockets(proc / "self" / "fd")
    total = 0
    for name in _TABLES:
        try:
            lines = (proc / "self" / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if len(words) > _DROPS and words[_INODE] in own and words[_DROPS].isdecimal():
                total += int(words[_DROPS])
    return total


def _own_sockets(folder: Path) -> set[str]:
    """Return the inodes of this process's sockets."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return set()
    return {link[len(_SOCKET) : -1] for link in map(_target, entries) if link.startswith(_SOCKET)}


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        return ""
