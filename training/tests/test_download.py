from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from http_server import closed_port, serve
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store import fetch
from terrain_training.commands import download as command

LUNAR = "romainpessia/artificial-lunar-rocky-landscape-dataset"
GDRIVE_ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz012345"
READ = fetch.READ_BYTES
FILES = {"set/images/1.png": os.urandom(2**21), "set/masks/1.png": b"mask", "set/README": b"hi"}
NO_KAGGLE = "the kaggle package is not installed"
NO_GDOWN = "gdown is not installed"
SOMEBODY = {"KAGGLE_USERNAME": "nobody", "KAGGLE_KEY": "0" * 32}
KAGGLE_PATH = "/v1/datasets.DatasetApiService/DownloadDataset"
CALL = """
import argparse, os, sys
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.commands import download
if "ENDPOINT" in os.environ:
    from kagglesdk import kaggle_env
    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = os.environ["ENDPOINT"]
parser = argparse.ArgumentParser()
download.add_arguments(parser)
try:
    download.run(parser.parse_args())
except ConfigError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
"""


def speaks_as_the_server_does() -> bool:
    """Return whether the package is here and asks for what the test's server serves."""
    if importlib.util.find_spec("kagglesdk") is None:
        return False
    major, minor = importlib.metadata.version("kaggle").split(".")[:2]
    return (int(major), int(minor)) >= (2, 2)


needs_endpoint = pytest.mark.skipif(
    not speaks_as_the_server_does(), reason="the kaggle package is not installed, or before 2.2"
)


def start(*words: object, **variables: str) -> subprocess.Popen[str]:
    """Start the command in a process whose environment holds no credentials but those given."""
    kept = ("PATH", "PYTHONPATH", "HOME", "https_proxy", "HTTPS_PROXY")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-c", CALL, *map(str, words)],
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    with start(*words, **variables) as process:
        said, errors = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, said, errors)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            archive.addfile(item, io.BytesIO(data))
    return buffer.getvalue()


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def server():
    with serve() as served:
        yield served


@pytest.fixture
def place(tmp_path) -> Path:
    """An empty folder; whatever else is in it at the end was left behind."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Every request of this process goes to a proxy that is not there."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
        monkeypatch.setenv(name.upper(), os.environ[name])
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HOME", str(tmp_path))


class TestWeb:
    @pytest.mark.parametrize("pack", [zipped, tarred])
    def test_download_and_unpack(self, server, place, capsys, pack):
        assert run(server.add("/set", pack(FILES)), "--out", place / "data") == 0
        assert content(place / "data") == FILES
        assert names(place) == ["data"]
        said = capsys.readouterr().out
        size = sum(map(len, FILES.values())) / 1e6
        assert f"3 files, {size:.1f} MB" in said
        assert f"terrain-train inspect {place / 'data' / 'set'}" in said

    def test_an_archive_may_stay(self, server, place):
        data = zipped(FILES)
        run(server.add("/set.zip", data), "--out", place / "data", "--keep-archive")
        assert (place / "data.zip").read_bytes() == data
        assert names(place) == ["data", "data.zip"]

    def test_a_kept_archive_replaces_nothing(self, server, place):
        (place / "data.zip").write_bytes(b"mine")
        url = server.add("/set.zip", zipped(FILES))
        with pytest.raises(ConfigError, match=r"data\.zip' exists already"):
            run(url, "--out", place / "data", "--keep-archive")
        assert (place / "data.zip").read_bytes() == b"mine"
        run(url, "--out", place / "data")
        assert len(server.ranges) == 1, "the archive that was here was fetched again"
        assert names(place) == ["data", "data.zip"]

    def test_a_broken_connection_goes_on(self, server, place, monkeypatch):
        monkeypatch.setattr(fetch, "WAITS_S", (0.0,))
        server.cuts = [1_500_000]
        run(server.add("/set.zip", zipped(FILES)), "--out", place / "data")
        assert content(place / "data") == FILES
        assert server.ranges[0] is None
        assert server.ranges[1].startswith("bytes=")

    def test_the_same_command_goes_on(self, server, place, monkeypatch):
        monkeypatch.setattr(fetch, "WAITS_S", (0.0,))
        server.cuts = [7 * READ, 1000]
        url = server.add("/set.zip", zipped(FILES))
        with pytest.raises(ConfigError, match="run the same command again to resume"):
            run(url, "--out", place / "data")
        assert not (place / "data").exists()
        run(url, "--out", place / "data")
        assert server.ranges == [None, *[f"bytes={7 * READ}-"] * 2]
        assert content(place / "data") == FILES
        assert names(place) == ["data"]

    def test_the_right_hash_passes_and_a_wrong_one_does_not(self, server, place):
        data = zipped(FILES)
        url = server.add("/set.zip", data)
        with pytest.raises(ConfigError, match="sha256 is"):
            run(url, "--out", place / "data", "--sha256", "0" * 64)
        assert names(place) == []
        run(url, "--out", place / "data", "--sha256", hashlib.sha256(data).hexdigest())
        assert content(place / "data") == FILES

    def test_what_leads_out_of_the_folder_is_refused(self, server, place):
        url = server.add("/set.zip", zipped({"a.png": b"a", "../../evil.png": b"e"}))
        with pytest.raises(ConfigError, match="leads out of its folder") as caught:
            run(url, "--out", place / "data")
        assert url in str(caught.value)
        assert names(place) == []
        assert names(place.parent) == ["place"]

    def test_a_page_is_no_archive(self, server, place):
        url = server.add("/set.zip", b"<html>Please sign in</html>")
        with pytest.raises(ConfigError, match=r"neither a \.zip nor a \.tar\.gz"):
            run(url, "--out", place / "data")
        assert names(place) == []

    def test_an_empty_archive_is_refused(self, server, place):
        with pytest.raises(ConfigError, match="holds no file"):
            run(server.add("/set.zip", zipped({})), "--out", place / "data")
        assert names(place) == []

    def test_a_folder_in_use_is_refused_before_anything_is_sent(self, server, place):
        (place / "data").mkdir()
        url = server.add("/set.zip", zipped(FILES))
        (place / "data" / "mine").write_bytes(b"mine")
        with pytest.raises(ConfigError, match=r"place/data' exists already and is not empty"):
            run(url, "--out", place / "data")
        assert server.ranges == []
        (place / "data" / "mine").unlink()
        run(url, "--out", place / "data")
        assert content(place / "data") == FILES

    def test_plain_http_to_elsewhere_wants_leave_and_a_hash(self, place):
        with pytest.raises(ConfigError, match="--allow-http"):
            run("http://example.org/set.zip", "--out", place / "data")
        with pytest.raises(ConfigError, match="--allow-http wants --sha256"):
            run("http://example.org/set.zip", "--out", place / "data", "--allow-http")

    def test_offline_says_how_by_hand(self, place):
        url = f"http://127.0.0.1:{closed_port()}/set.zip"
        with pytest.raises(ConfigError, match="cannot be reached") as caught:
            run(url, "--out", place / "data")
        message = str(caught.value)
        assert f"open {url} in a browser" in message
        assert f"terrain-train download ARCHIVE --out '{place / 'data'}'" in message
        assert names(place) == []


class TestFile:
    def test_a_file_is_unpacked_and_stays(self, place):
        path = place / "set.tar.gz"
        path.write_bytes(tarred(FILES))
        run(path, "--out", place / "data")
        assert content(place / "data") == FILES
        assert names(place) == ["data", "set.tar.gz"]

    @pytest.mark.parametrize(
        ("sha256", "text"), [("0" * 64, "sha256 is"), ("xyz", "64 hexadecimal")]
    )
    def test_a_wrong_hash_leaves_the_file(self, place, sha256, text):
        path = place / "set.zip"
        path.write_bytes(zipped(FILES))
        with pytest.raises(ConfigError, match=text):
            run(path, "--out", place / "data", "--sha256", sha256)
        assert names(place) == ["set.zip"]


class TestKaggleAndDrive:
    @pytest.mark.parametrize(
        ("module", "source", "extra"),
        [("kaggle", "lunar", "kaggle"), ("gdown", f"gdrive:{GDRIVE_ID}", "gdrive")],
    )
    def test_a_missing_package_names_the_command(self, place, monkeypatch, module, source, extra):
        for name in [name for name in sys.modules if name.split(".")[0] == module]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ConfigError) as caught:
            run(source, "--out", place / "data")
        told = re.search(rf"pip install -e '(/.*)\[{extra}\]'", str(caught.value))
        assert f"\n{extra} = [" in (Path(told[1]) / "pyproject.toml").read_text("utf-8")
        assert "By hand: open https://" in str(caught.value)
        assert names(place) == []

    def test_credit_and_licence_come_first(self, place, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "kaggle", None)
        with pytest.raises(ConfigError):
            run("lunar", "--out", place / "data")
        said = capsys.readouterr().out
        for word in ("Romain Pessia", "CC BY-NC-SA 4.0", f"kaggle.com/datasets/{LUNAR}"):
            assert word in said

    @pytest.mark.skipif(importlib.util.find_spec("kaggle") is None, reason=NO_KAGGLE)
    @pytest.mark.parametrize(
        ("credentials", "text"), [({}, "wants credentials"), (SOMEBODY, "Is this machine online?")]
    )
    def test_kaggle_without_credentials_or_network(self, place, offline, credentials, text):
        done = call("lunar", "--out", place / "data", **credentials)
        assert done.returncode == 3, done.stderr
        message = done.stderr.splitlines()[-1]
        assert text in message
        assert f"By hand: open https://www.kaggle.com/datasets/{LUNAR}" in message
        assert names(place) == []

    @needs_endpoint
    def test_kaggle_downloads_and_goes_on(self, server, place, offline):
        server.add(KAGGLE_PATH, zipped(FILES))
        server.cuts = [1_500_000]
        done = call("lunar", "--out", place / "data", **SOMEBODY, ENDPOINT=server.url)
        assert done.returncode == 0, done.stderr
        assert content(place / "data") == FILES
        assert names(place) == ["data"]
        assert server.ranges == [None, f"bytes={2**20}-"]

    @needs_endpoint
    def test_kaggle_goes_on_in_the_next_call(self, server, place, offline):
        server.add(KAGGLE_PATH, zipped(FILES))
        server.cuts = [1_500_000]
        words = ("lunar", "--out", place / "data")
        with start(*words, **SOMEBODY, ENDPOINT=server.url) as process:
            # The package waits two seconds before it asks again.
            while not any(path.stat().st_size == 2**20 for path in place.rglob("*.zip")):
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)
            process.kill()
        assert not (place / "data").exists()
        done = call(*words, **SOMEBODY, ENDPOINT=server.url)
        assert done.returncode == 0, done.stderr
        assert content(place / "data") == FILES
        assert names(place) == ["data"]
        assert server.ranges[-1] == f"bytes={2**20}-"

    @needs_endpoint
    @pytest.mark.parametrize(
        ("status", "text"), [(401, "kaggle.json"), (403, "accept"), (404, "no such data set")]
    )
    def test_kaggle_refuses(self, server, place, offline, status, text):
        server.add(KAGGLE_PATH, b"")
        server.status = status
        done = call("lunar", "--out", place / "data", **SOMEBODY, ENDPOINT=server.url)
        assert done.returncode == 3, done.stderr
        assert text in done.stderr.splitlines()[-1]
        assert names(place) == []

    @pytest.mark.skipif(importlib.util.find_spec("gdown") is None, reason=NO_GDOWN)
    def test_drive_without_network(self, place, offline):
        with pytest.raises(ConfigError, match="Is this machine online") as caught:
            run(f"gdrive:{GDRIVE_ID}", "--out", place / "data")
        assert f"open https://drive.google.com/file/d/{GDRIVE_ID}/view" in str(caught.value)
        assert names(place) == []
