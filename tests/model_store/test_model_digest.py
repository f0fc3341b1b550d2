"""Tests of the digest over a model's files."""

from support.tiny_model import write_tiny_model
from terrain_seg_ros.model_store.model_digest import model_digest
from terrain_seg_ros.model_store.model_files import read_model_files
from terrain_seg_ros.model_store.model_store import load_model

FILES = {"card.json": b"card", "golden.npz": b"golden", "model.onnx": b"net"}


def test_every_byte_of_every_file_counts():
    digests = {model_digest(FILES)}
    for name, data in FILES.items():
        for changed in (data + b"\0", data[:-1], b"", None):
            digests.add(model_digest({**FILES, name: changed}))
    assert len(digests) == 1 + 4 * len(FILES)


def test_no_byte_can_move_into_another_file():
    moved = {**FILES, "card.json": b"cardg", "golden.npz": b"olden"}
    assert model_digest(moved) != model_digest(FILES)


def test_it_is_known():
    # A digest that is kept in pins and signatures must not change with this software.
    assert model_digest(FILES) == "3c22d89e84665a9796756e26c7e9151e1722729ab88da093de5ec2b66a8fe761"


def test_it_does_not_depend_on_where_the_model_is(tmp_path):
    first = write_tiny_model(tmp_path / "a" / "moon")
    second = write_tiny_model(tmp_path / "b" / "moon")
    assert load_model(first).digest == load_model(second).digest
    (first / "model.onnx").rename(first / "net.onnx")
    assert read_model_files(first / "net.onnx").digest == load_model(second).digest
