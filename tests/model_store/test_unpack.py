"""Unpacking archives that are fine, and every way in which one is not."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from support.archives import add_member, folder_content, write_archive, zip_entry
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store import unpack as unpack_module
from terrain_seg_ros.model_store.unpack import UnpackLimits, new_folder, unpack

LIMITS = UnpackLimits(max_entries=100, max_bytes=10**7, max_ratio=100.0)
CONTENT = {
    "images/a.png": np.random.default_rng(1).bytes(50_000),
    "images/deep/b.txt": b"b",
    "empty/": b"",
    "README.md": b"",
}
KINDS = ("a.zip", "a.tar.gz")


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "out" / "inner"
    path.mkdir(parents=True)
    return path


def refuse(archive: Path, folder: Path, text: str, *, limits: UnpackLimits = LIMITS) -> None:
    """Expect a refusal, and nothing but the folder itself touched."""
    before = folder_content(folder.parents[1])
    with pytest.raises(ConfigError, match=text) as refusal:
        unpack(archive, folder, limits=limits)
    assert "\n" not in str(refusal.value)
    after = folder_content(folder.parents[1])
    new = [name for name in after if name not in before]
    assert all(name.startswith("out/inner/") for name in new), new
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_comes_out(tmp_path, folder, kind):
    archive = write_archive(tmp_path / kind, CONTENT)
    assert unpack(archive, folder, limits=LIMITS) == 3
    assert folder_content(folder) == {k: v for k, v in CONTENT.items() if not k.endswith("/")}
    assert (folder / "empty").is_dir()


def test_both_kinds_are_told_by_their_content(tmp_path, folder):
    archive = write_archive(tmp_path / "a.tar.gz", {"x": b"1"}).rename(tmp_path / "download")
    assert unpack(archive, folder, limits=LIMITS) == 1


def test_a_dot_before_the_names_is_no_harm(tmp_path, folder):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        add_member(archive, ".", type=tarfile.DIRTYPE)
        add_member(archive, "./x/y", b"1")
    assert unpack(tmp_path / "a.tar.gz", folder, limits=LIMITS) == 1
    assert folder_content(folder) == {"x/y": b"1"}


def test_modes_and_owners_stay_behind(tmp_path, folder):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        add_member(archive, "x", b"1", mode=0o6777, uid=12345)
        add_member(archive, "y/", mode=0o000)
        add_member(archive, "y/z", b"2")
    unpack(tmp_path / "a.tar.gz", folder, limits=LIMITS)
    assert stat.S_IMODE((folder / "x").stat().st_mode) & 0o7111 == 0
    assert (folder / "x").stat().st_uid == folder.stat().st_uid
    assert (folder / "y" / "z").read_bytes() == b"2"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../x", "leads out"),
        ("a/../../x", "leads out"),
        ("a/../b", "leads out"),
        ("/tmp/x", "absolute"),
        ("//x", "absolute"),
        ("C:/x", "absolute"),
        ("..\\x", "backslash"),
        ("a\\b", "backslash"),
        ("a\nb", "unprintable"),
        ("a\x1b[2Jb", "unprintable"),
        ("n" * 300, "overlong"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, folder, kind, name, text):
    refuse(write_archive(tmp_path / kind, {"fine": b"1", name: b"2"}), folder, text)


def test_a_name_with_a_zero_byte_is_refused(tmp_path, folder):
    archive = write_archive(tmp_path / "a.zip", {"abXcd": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"abXcd", b"ab\0cd"))
    refuse(archive, folder, "unprintable")


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
)
def test_a_link_or_device_in_a_zip_is_refused(tmp_path, folder, mode):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zip_entry("link", mode=mode | 0o777), "/etc/passwd")
        archive.writestr("link/x", b"1")
    refuse(tmp_path / "a.zip", folder, "is a link or a device")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
@pytest.mark.parametrize("link", ["/etc/passwd", "../..", "fine"])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, folder, kind, link):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        add_member(archive, "fine", b"1")
        add_member(archive, "link", type=kind, linkname=link)
        add_member(archive, "link/x", b"1")
    refuse(tmp_path / "a.tar.gz", folder, "is a link, a device")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_is_refused(tmp_path, folder, kind):
    refuse(write_archive(tmp_path / kind, {"x": b"1", "./x": b"2"}), folder, "comes twice")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [("x", "x/y"), ("x/y", "x"), ("x", "x/")])
def test_a_name_of_file_and_folder_is_refused(tmp_path, folder, kind, names):
    content = {name: b"" if name.endswith("/") else b"1" for name in names}
    refuse(write_archive(tmp_path / kind, content), folder, "file and a folder|comes twice")


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_entries_are_refused(tmp_path, folder, kind):
    archive = write_archive(tmp_path / kind, {f"{i}": b"" for i in range(101)})
    refuse(archive, folder, "more than 100 entries")
    assert len(list(folder.iterdir())) <= 100


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_bytes_are_refused(tmp_path, folder, kind):
    archive = write_archive(tmp_path / kind, {"a": bytes(6_000_000), "b": bytes(6_000_000)})
    refuse(archive, folder, "unpacks to more than 10000000 bytes")
    assert sum(len(data) for data in folder_content(folder).values()) <= 10**7


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_refused_by_its_ratio(tmp_path, folder, kind, monkeypatch):
    monkeypatch.setattr(unpack_module, "FREE_OF_RATIO_BYTES", 2**20)
    archive = write_archive(tmp_path / kind, {"bomb": bytes(9_000_000)})
    assert archive.stat().st_size < 20_000
    refuse(archive, folder, "100 times its size")
    assert sum(len(data) for data in folder_content(folder).values()) <= 2 * 2**20


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path, folder):
    archive = write_archive(tmp_path / "a.zip", {"bomb": bytes(9_000_000)})
    true, told = (9_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    data = archive.read_bytes()
    assert data.count(true) == 2
    archive.write_bytes(data.replace(true, told))
    refuse(archive, folder, "cannot be unpacked")
    assert sum(len(data) for data in folder_content(folder).values()) <= 2**20


def test_a_tar_whose_header_fills_the_memory_is_refused(tmp_path, folder):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        add_member(archive, "long", bytes(20 * 2**20), type=tarfile.XHDTYPE)
        add_member(archive, "x", b"1")
    refuse(tmp_path / "a.tar.gz", folder, "header that claims too much")


def test_a_tar_of_nothing_but_headers_is_refused(tmp_path, folder):
    limits = UnpackLimits(max_entries=10**4, max_bytes=1000, max_ratio=1.0)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for _ in range(5):
            add_member(archive, "long", bytes(5 * 2**20), type=tarfile.XGLTYPE)
        add_member(archive, "x", b"1")
    refuse(tmp_path / "a.tar.gz", folder, "cannot be unpacked|unpacks to more", limits=limits)


def test_a_sparse_file_is_refused(tmp_path, folder):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.GNU_FORMAT) as archive:
        add_member(archive, "sparse", type=tarfile.GNUTYPE_SPARSE)
    refuse(tmp_path / "a.tar.gz", folder, "odd kind|cannot be unpacked")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_off_archive_is_refused(tmp_path, folder, kind, share):
    archive = write_archive(tmp_path / kind, CONTENT)
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    refuse(archive, folder, "cannot be unpacked|neither a .zip nor")


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_is_refused(tmp_path, folder, kind):
    archive = write_archive(tmp_path / kind, CONTENT)
    data = bytearray(archive.read_bytes())
    data[20_000:20_100] = bytes(100)
    archive.write_bytes(bytes(data))
    refuse(archive, folder, "cannot be unpacked")


def test_an_encrypted_archive_is_refused(tmp_path, folder):
    archive = write_archive(tmp_path / "a.zip", {"x": b"1"})
    data = bytearray(archive.read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + flags] |= 1
    archive.write_bytes(bytes(data))
    refuse(archive, folder, "encrypted")


@pytest.mark.parametrize("data", [b"", b"<html>log in</html>", bytes(1000), gzip.compress(b"text")])
def test_what_is_no_archive_is_refused(tmp_path, folder, data):
    (tmp_path / "a.zip").write_bytes(data)
    refuse(tmp_path / "a.zip", folder, "neither a .zip nor a .tar.gz|cannot be unpacked")


def test_a_new_folder_gets_its_name_at_the_end(tmp_path):
    target = tmp_path / "deep" / "set"
    with new_folder(target) as folder:
        (folder / "x").write_bytes(b"1")
        assert not target.exists()
    assert folder_content(target) == {"x": b"1"}
    assert [path.name for path in target.parent.iterdir()] == ["set"]


def test_a_new_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError, match="stop"), new_folder(tmp_path / "set") as folder:
        (folder / "x").write_bytes(b"1")
        raise ConfigError("stop")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_a_new_folder_overwrites_nothing(tmp_path, what):
    target = tmp_path / "set"
    if what == "folder":
        target.mkdir()
    elif what == "file":
        target.write_bytes(b"")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="exists already"), new_folder(target):
        pytest.fail("the folder was given")
