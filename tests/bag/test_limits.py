import pytest

from terrain_seg_ros.bag.limits import check_limits, read_limits
from terrain_seg_ros.core.errors import ConfigError

SCORES = {
    "images_in": 10,
    "images_out": 10,
    "mean_iou": 0.8,
    "recall": {"soil": 0.9, "big_rock": None},
    "grid_availability": 0.9,
    "missed_hazard_rate": 0.125,
    "latency_ms": {"total": {"p50": 10.0, "p99": 30.0}},
    "dropped": {"total": 1, "replaced by a newer one": 1},
    "refused": {"total": 0},
    "model": "mars",
}


def check(tmp_path, text, scores=SCORES):
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    return check_limits(read_limits(path), scores)


@pytest.mark.parametrize(
    "text",
    [
        "minimum: {mean_iou: 0.8}",
        "maximum: {mean_iou: 0.8, missed_hazard_rate: 0.125}",
        "maximum: {latency_ms.total.p99: 30}",
        "maximum: {latency_ms: {total: {p99: 30.5}}}",
        "maximum: {refused.bad image: 0, dropped.total: 1, dropped.camera_max_rates_hz: 0}",
        "minimum: {recall.soil: 0.9}\nmaximum: {refused.total: 0}",
    ],
)
def test_limits_that_are_kept(tmp_path, text):
    assert check(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("minimum: {mean_iou: 0.81}", "mean_iou is 0.8, expected at least 0.81"),
        ("maximum: {mean_iou: 0.79}", "mean_iou is 0.8, expected at most 0.79"),
        ("maximum: {dropped.total: 0}", "dropped.total is 1, expected at most 0"),
        ("minimum: {recall.big_rock: 0.5}", "recall.big_rock has no value, expected at least 0.5"),
        ("minimum: {latency_ms.total.p99: 31}", "latency_ms.total.p99 is 30, expected at least 31"),
    ],
)
def test_limits_that_are_missed_are_named(tmp_path, text, line):
    assert check(tmp_path, text) == [line]


def test_scores_that_need_truth_are_missed_without_it(tmp_path):
    without = {key: SCORES[key] for key in ("images_in", "images_out", "grid_availability")}
    text = "minimum: {mean_iou: 0.1, recall.soil: 0.1}\nmaximum: {missed_hazard_rate: 1}"
    assert len(check(tmp_path, text, without)) == 3
    nothing = {**without, "images_out": 0, "latency_ms": {}}
    assert len(check(tmp_path, "maximum: {latency_ms.total.p99: 9}", nothing)) == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("minimum: {mean_iu: 0.8}", "mean_iou"),
        ("minimum: {recall.rock: 0.8}", "recall.big_rock"),
        ("maximum: {dropped.nonsense: 0}", "dropped.total"),
        ("minimum: {model: 1}", "'model'"),
        ("minimum: {recall: 1}", "'recall'"),
        ("minimum: {mean_iou: high}", "'high'"),
        ("minimum: {mean_iou: .nan}", "nan"),
        ("minimum: {mean_iou: true}", "True"),
        ("least: {mean_iou: 0.8}", "'least'"),
        ("minimum: 0.8", "0.8"),
        ("minimum:", "no limit"),
        ("- 1", "not contain a mapping"),
        ("minimum: {a: &a 1, b: *a}", "alias"),
        ("minimum: {", "not valid YAML"),
    ],
)
def test_what_is_no_limit_is_named(tmp_path, text, named):
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, text)
    assert named in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read_limits(tmp_path / "none.yaml")
