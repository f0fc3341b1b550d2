"""Archives as people make them, and as nobody should."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def write_archive(path: Path, content: Mapping[str, bytes]) -> Path:
    """Write a .zip or .tar.gz, by the file's name, of names and bytes; a name/ is a folder."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            add_member(archive, name, data)
    return path


def add_member(archive: tarfile.TarFile, name: str, data: bytes = b"", **attributes: object):
    """Add one entry to a tar file, with any attributes of TarInfo."""
    member = tarfile.TarInfo(name.rstrip("/"))
    member.size = len(data)
    if name.endswith("/") and name.strip("/"):
        member.type = tarfile.DIRTYPE
    for key, value in attributes.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(data))


def zip_entry(name: str, *, mode: int) -> zipfile.ZipInfo:
    """Return an entry of a Unix file mode, such as that of a link."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = mode << 16
    return entry


def folder_content(folder: Path, *, below: str = "") -> dict[str, bytes]:
    """Return the files of a folder as `write_archive` takes them."""
    return {
        f"{below}{path.relative_to(folder)}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
