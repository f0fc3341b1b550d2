"""Adding a published model: fetched, checked, unpacked and tested before it gets its name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from support.archives import folder_content, write_archive
from support.file_server import serve
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.model_store import fetch as fetch_module
from terrain_seg_ros.model_store import model_store
from terrain_seg_ros.model_store.model_store import (
    added_models,
    load_card,
    load_model,
    shipped_models,
    user_models_folder,
)
from terrain_seg_ros.model_tools.model_install import InstalledModel, install_model

KINDS = ("moon.zip", "moon.tar.gz")


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "share" / "models"
    monkeypatch.setenv(model_store.MODELS_VARIABLE, str(folder))
    return folder


@pytest.fixture
def content(tmp_path) -> dict[str, bytes]:
    folder = write_tiny_model(tmp_path / "made" / "moon", size=32)
    return {**folder_content(folder), "README.md": b"# moon\n"}


@pytest.fixture
def files():
    with serve() as running:
        yield running


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def install(archive: Path, models: Path, **rest: object) -> InstalledModel:
    return install_model(str(archive), models, sha256=digest(archive.read_bytes()), **rest)


def refuse(archive: Path, models: Path, text: str, *, error=ModelError, **rest: object) -> str:
    before = sorted(models.iterdir()) if models.exists() else []
    with pytest.raises(error, match=text) as refusal:
        install(archive, models, **rest)
    assert (sorted(models.iterdir()) if models.exists() else []) == before
    return str(refusal.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("below", ["", "moon-1.0/"])
def test_a_published_model_is_found_by_its_name(tmp_path, models, content, files, kind, below):
    archive = write_archive(tmp_path / kind, {f"{below}{k}": v for k, v in content.items()})
    data = archive.read_bytes()
    installed = install_model(files.add(f"/{kind}", data), models, sha256=digest(data))
    assert installed == InstalledModel("moon", models / "moon", load_card("moon"))
    assert load_model("moon").onnx_path == models / "moon" / "model.onnx"
    assert folder_content(models) == {f"moon/{name}": data for name, data in content.items()}
    assert added_models() == ["moon"]
    assert "moon" not in shipped_models()


def test_a_file_will_do(tmp_path, models, content):
    archive = write_archive(tmp_path / "moon.zip", content)
    assert install(archive, models).name == "moon"
    assert archive.exists()


def test_what_a_mac_adds_is_no_second_model(tmp_path, models, content):
    more = {**{f"moon/{k}": v for k, v in content.items()}, "__MACOSX/moon/._card.json": b"x"}
    install(write_archive(tmp_path / "moon.zip", more), models)
    assert sorted(folder_content(models / "moon")) == sorted(content)


def test_another_name_may_be_given(tmp_path, models, content):
    archive = write_archive(tmp_path / "moon.zip", content)
    install(archive, models)
    assert install(archive, models, name="moon2").name == "moon2"
    assert added_models() == ["moon", "moon2"]
    assert load_model("moon2").card.name == "moon"


def test_an_interrupted_fetch_goes_on(tmp_path, models, content, files, monkeypatch):
    monkeypatch.setattr(fetch_module, "WAITS_S", ())
    monkeypatch.setattr(fetch_module, "READ_BYTES", 1000)
    data = write_archive(tmp_path / "moon.zip", content).read_bytes()
    url = files.add("/moon.zip", data, breaks_after=[1000])
    with pytest.raises(ConfigError, match="run the same command again to resume"):
        install_model(url, models, sha256=digest(data))
    assert added_models() == []
    install_model(url, models, sha256=digest(data))
    assert files.requests[1]["Range"] == "bytes=1000-"
    assert [path.name for path in models.iterdir()] == ["moon"]


def test_offline_says_how_to_do_it_by_hand(models):
    with pytest.raises(ConfigError, match=r"cannot be reached.*give the path of the file"):
        install_model("http://127.0.0.1:9/moon.zip", models, sha256="0" * 64)
    assert list(models.iterdir()) == []


def test_another_hash_is_refused(tmp_path, models, content, files):
    archive = write_archive(tmp_path / "moon.zip", content)
    url = files.add("/moon.zip", archive.read_bytes())
    for source in (str(archive), url):
        with pytest.raises(ConfigError, match=f"expected {'0' * 64}"):
            install_model(source, models, sha256="0" * 64)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("source", ["nowhere.zip", ".", ""])
def test_a_missing_file_is_refused(models, source):
    with pytest.raises(ConfigError, match="neither a file nor"):
        install_model(source, models, sha256="0" * 64)


@pytest.mark.parametrize("missing", ["model.onnx", "card.json", "golden.npz"])
def test_a_missing_part_is_refused(tmp_path, models, content, missing):
    del content[missing]
    said = refuse(write_archive(tmp_path / "moon.zip", content), models, missing)
    assert ".add-" not in said
    assert "moon.zip" in said


def test_two_models_in_one_archive_are_refused(tmp_path, models, content):
    two = {f"{name}/{k}": v for name in ("a", "b") for k, v in content.items()}
    refuse(write_archive(tmp_path / "moon.zip", two), models, "holds 2 models")


def test_a_graph_that_is_not_the_cards_is_refused(tmp_path, models, content):
    content["model.onnx"] += b"\0"
    refuse(write_archive(tmp_path / "moon.zip", content), models, "the card says")


def test_a_model_that_fails_its_own_test_is_refused(tmp_path, models, content):
    folder = tmp_path / "made" / "moon"
    image = np.load(folder / "golden.npz")["image"]
    np.savez(folder / "golden.npz", image=image, mask=np.full(image.shape[:2], 3, np.uint8))
    content["golden.npz"] = (folder / "golden.npz").read_bytes()
    refuse(write_archive(tmp_path / "moon.zip", content), models, "gives the golden mask")


def test_an_archive_that_leads_elsewhere_is_refused(tmp_path, models, content):
    content["../../evil"] = b"x"
    refuse(write_archive(tmp_path / "moon.zip", content), models, "leads out", error=ConfigError)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("name", ["mars_navcam", "synthetic"])
@pytest.mark.parametrize("given", [True, False])
def test_a_name_of_this_package_is_refused(tmp_path, models, content, name, given):
    if not given:
        card = json.loads(content["card.json"])
        content["card.json"] = json.dumps({**card, "name": name}).encode()
    archive = write_archive(tmp_path / "moon.zip", content)
    refuse(archive, models, "is reserved by this package", name=name if given else None)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "../x", "/tmp/x", "a" * 65, "ä"])
def test_what_is_no_name_is_refused(tmp_path, models, content, name):
    archive = write_archive(tmp_path / "moon.zip", content)
    refuse(archive, models, "is not a valid name", name=name)


def test_a_model_is_not_overwritten(tmp_path, models, content):
    archive = write_archive(tmp_path / "moon.zip", content)
    install(archive, models)
    refuse(archive, models, "exists already")
    refuse(archive, models, "exists already", name="moon")


def test_the_folder_of_models_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(model_store.MODELS_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    below = Path("terrain_seg_ros") / "models"
    for data in ("", "relative/is/ignored"):
        monkeypatch.setenv("XDG_DATA_HOME", data)
        assert user_models_folder() == tmp_path / "home" / ".local" / "share" / below
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert user_models_folder() == tmp_path / "data" / below
    monkeypatch.setenv(model_store.MODELS_VARIABLE, "~/mine")
    assert user_models_folder() == tmp_path / "home" / "mine"


def test_a_user_without_a_home_still_has_the_shipped_models(monkeypatch):
    monkeypatch.setattr(model_store, "_user_folder", lambda: None)
    assert added_models() == []
    assert load_card("mars_navcam").name == "mars_navcam"
    with pytest.raises(ModelError, match="set TERRAIN_SEG_MODELS"):
        user_models_folder()


def test_a_shipped_model_comes_before_one_of_the_same_name(models):
    write_tiny_model(models / "mars_navcam")
    write_tiny_model(models / "mine")
    (models / ".add-1").mkdir()
    assert load_card("mars_navcam").width_px == 256
    assert added_models() == ["mine"]
    with pytest.raises(ModelError, match=r"those added \['mine'\]"):
        load_model("yours")
