"""Tests of reading foreign ONNX files: nothing outside their folder, nothing beyond the limits."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from support.own_networks import write_own_network
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_tools.wrap import onnx_file
from terrain_seg_ros.model_tools.wrap.onnx_file import read_onnx


def external(tmp_path, *, location="net.data"):
    """Write a model whose weights lie in net.data beside it."""
    path = write_own_network(tmp_path / "net" / "net.onnx")
    model = onnx.load(str(path))
    arrays = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    onnx.save(
        model,
        str(path),
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    if location != "net.data":
        change(path, location=location)
    return path, arrays


def change(path, **entries):
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())


def test_tensors_beside_the_file_are_read(tmp_path):
    path, expected = external(tmp_path)
    model = read_onnx(path)
    read = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    assert set(read) == set(expected)
    assert all(np.array_equal(read[name], value) for name, value in expected.items())


@pytest.mark.parametrize("location", ["../outside.data", "/etc/hostname", "", "sub/../../o.data"])
def test_tensors_elsewhere_are_refused(tmp_path, location):
    path, _ = external(tmp_path, location=location)
    (tmp_path / "outside.data").write_bytes(bytes(4096))
    with pytest.raises(ModelError, match="outside the folder of the model"):
        read_onnx(path)


def test_a_link_to_elsewhere_is_refused(tmp_path):
    path, _ = external(tmp_path)
    (path.parent / "net.data").rename(tmp_path / "outside.data")
    (path.parent / "net.data").symlink_to(tmp_path / "outside.data")
    with pytest.raises(ModelError, match="outside the folder of the model"):
        read_onnx(path)


def test_a_missing_file_of_tensors_is_named(tmp_path):
    path, _ = external(tmp_path)
    (path.parent / "net.data").unlink()
    with pytest.raises(ModelError, match=r"net\.data: cannot be read"):
        read_onnx(path)


@pytest.mark.parametrize(
    "entries", [{"offset": "100000"}, {"length": "-5"}, {"length": "many"}, {"offset": "-1"}]
)
def test_a_place_beyond_the_file_is_refused(tmp_path, entries):
    path, _ = external(tmp_path)
    change(path, **entries)
    with pytest.raises(ModelError, match="outside the file"):
        read_onnx(path)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path, _ = external(tmp_path)
    monkeypatch.setattr(onnx_file, "MAX_MODEL_BYTES", path.stat().st_size + 10)
    with pytest.raises(ModelError, match=r"net\.data.*the limit is"):
        read_onnx(path)
    monkeypatch.setattr(onnx_file, "MAX_MODEL_BYTES", 100)
    with pytest.raises(ModelError, match=r"net\.onnx.*the limit is 100"):
        read_onnx(path)


def test_one_place_named_by_many_tensors_does_not_fill_the_memory(tmp_path, monkeypatch):
    path, _ = external(tmp_path)
    size = (path.parent / "net.data").stat().st_size
    change(path, offset="0", length=str(size))
    limit = path.stat().st_size + size + 100
    monkeypatch.setattr(onnx_file, "MAX_MODEL_BYTES", limit)
    assert 4 * size > limit
    with pytest.raises(ModelError, match="its tensors have more than"):
        read_onnx(path)


@pytest.mark.parametrize("data", [b"", b"\x80\x04}q\x00.", b"PK\x03\x04" + bytes(100), b"<html>"])
def test_what_is_no_onnx_is_refused(tmp_path, data):
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="is not an ONNX model; export it first"):
        read_onnx(path)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="expected a regular file"):
        read_onnx(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_onnx(tmp_path / "absent.onnx")
