import numpy as np
import pytest

from support.rover import BASE, STATIC, Rover, image_message
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError, InferenceError, ModelError
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session


def parameters(**changes):
    return load_parameters(overrides={**BASE, **changes})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=32)


def test_a_session_runs_a_model(tiny):
    with Session(parameters(model=str(tiny), backend="onnxruntime")) as session:
        assert session.backend.name == "onnxruntime"
        assert session.describe()["model"] == "tiny 1.0.0"
        rover = Rover({**STATIC, "model": str(tiny), "backend": "onnxruntime"})
        bright = rover.send(image_message(pixels=np.full((64, 96), 250, dtype=np.uint8)))
        assert (bright["mask"].data == 3).all()


def test_deterministic_leaves_nothing_to_timing(tiny):
    with Session(parameters(model=str(tiny), backend="auto", deterministic=True)) as session:
        assert (session.backend.name, session.backend.precision) == ("onnxruntime", "fp32")


def test_a_missing_model_is_refused():
    with pytest.raises(ModelError, match="no_such_model"):
        Session(parameters(model="no_such_model"))


@pytest.mark.requirement("TSR-NET-001")
def test_a_tampered_model_is_refused(tmp_path):
    folder = write_tiny_model(tmp_path / "tiny", size=32)
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="sha256"):
        Session(parameters(model=str(folder), backend="constant"))


@pytest.mark.requirement("TSR-NET-002")
def test_a_golden_image_that_does_not_fit_is_refused(tmp_path):
    folder = write_tiny_model(tmp_path / "tiny", size=32)
    with np.load(folder / "golden.npz") as golden:
        image, mask = golden["image"], golden["mask"]
    np.savez_compressed(folder / "golden.npz", image=image, mask=3 - mask)
    with pytest.raises(ModelError, match="golden"):
        Session(parameters(model=str(folder), backend="onnxruntime"))


def test_a_backend_that_is_not_there_is_refused(tiny):
    with pytest.raises(InferenceError, match="tensorrt"):
        Session(parameters(model=str(tiny), backend="tensorrt"))


def test_a_hazard_of_no_class_is_refused():
    with pytest.raises(ConfigError, match="lava"):
        Session(parameters(**{"hazard.lava": 1.0}))


def test_hazards_change_while_running():
    session = Session(parameters(**{"hazard.sand": 0.25}))
    assert session.taxonomy.hazards()[2] == np.float32(0.25)
    session.change({"hazard.sand": 0.75})
    assert session.taxonomy.hazards()[2] == np.float32(0.75)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"hazard.lava": 1.0}, "lava"),
        ({"grid.size_m": 10.0}, "while running"),
        ({"cost.hazard_threshold": 2.0}, "hazard_threshold"),
        ({"cost.hazard_treshold": 0.5}, "did you mean"),
        ({"cost.min_evidence": 1e5}, "min_evidence"),
    ],
)
def test_a_refused_change_changes_nothing(changes, word):
    session = Session(parameters())
    before = session.parameters
    with pytest.raises(ConfigError, match=word):
        session.change(changes)
    assert session.parameters == before
    assert session.pipeline.settings.cost.hazard_threshold == before.pipeline.cost.hazard_threshold


def test_close_may_be_called_again():
    session = Session(parameters())
    session.close()
    session.close()
