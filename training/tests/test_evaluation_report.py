from __future__ import annotations

import base64
import json
import re

import cv2
import numpy as np
import pytest

from evaluation_cases import (
    GROUND,
    ROCK,
    SLOPE,
    SOIL,
    TWO,
    case,
    certain,
    figures_of,
    gather,
    ids,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.evaluation import charts
from terrain_training.evaluation.error_picture import (
    VERDICT_RGB,
    Verdict,
)
from terrain_training.evaluation.report import write_report
from terrain_training.evaluation.report_tables import comparison_table, number, share, summary_table
from terrain_training.evaluation.worst_cases import WorstCases
from terrain_training.metrics.counts import EvaluationCounts
from terrain_training.metrics.figures import Comparison

RULE = HazardRule.of(GROUND, 0.5)
RED = (230, 36, 36)
COMPARED = Comparison("Sharpening", ("before", "after", "difference"), {"IoU": (0.5, 0.75, 0.25)})


def write(folder, cases, *, limit=3, **options):
    counts, worst = gather(cases, limit)
    return write_report(
        folder,
        **{
            "title": "Evaluation",
            "figures": counts.figures(seed=2, resamples=20),
            "taxonomy": GROUND,
            "worst": worst,
            "facts": {"model": "tiny"},
            **options,
        },
    )


def titles(page):
    return set(re.findall(r"<h2>(.*?)</h2>", page))


def pictures(page, name):
    coded = re.findall(rf'<img alt="{name}"[^>]*base64,([^"]+)"', page)
    data = [np.frombuffer(base64.b64decode(each), np.uint8) for each in coded]
    return [cv2.cvtColor(cv2.imdecode(each, 1), cv2.COLOR_BGR2RGB) for each in data]


def test_the_page_has_every_section(tmp_path):
    cases = {f"image {place}": case(place) for place in range(5)}
    page = write(tmp_path / "a" / "b", cases, comparison=[COMPARED])
    assert page == tmp_path / "a" / "b" / "index.html"
    text = page.read_text("utf-8")
    assert titles(text) == {
        "Charts",
        "Worst images",
        "Typical images",
        "Summary",
        "Classes",
        "Distance from the training data",
        "Sharpening",
        "Notes and limits",
    }
    assert text.count("<img ") == 4 + 4 * 5
    for name in ("IoU", "Hazard", "Confusion", "Reliability"):
        (chart,) = pictures(text, name)
        assert min(chart.shape[:2]) > 400
        assert chart.std() > 5.0
    assert "http" not in text and "<script" not in text


def test_without_other_images_there_is_no_section_of_them(tmp_path):
    text = write(tmp_path, {"only": case(3)}).read_text("utf-8")
    assert "Typical images" not in titles(text)
    assert "Sharpening" not in titles(text)
    assert "only: false safe 3 of 100 labelled pixels (3.00%), of 50 hazardous and 53" in text


def test_the_page_shows_the_error_in_its_colour(tmp_path):
    text = write(tmp_path, {"half": case(800, side_px=40)}).read_text("utf-8")
    (error,) = pictures(text, "error")
    (truth,) = pictures(text, "truth")
    (image,) = pictures(text, "image")
    assert error.shape == truth.shape == image.shape == (40, 40, 3)
    assert np.abs(error[30, 20].astype(int) - RED).max() < 12
    assert np.abs(error[10, 20].astype(int) - VERDICT_RGB[Verdict.RIGHT]).max() < 12
    assert np.abs(truth[30, 20].astype(int) - (200, 60, 60)).max() < 12


def test_names_cannot_break_the_page(tmp_path):
    odd = Taxonomy((TerrainClass(0, '<b>sand & "co"', (1, 2, 3), 0.0), *GROUND.classes[1:]))
    figures, worst = EvaluationCounts(odd), WorstCases(1, rule=RULE)
    truth, prediction = case(5)
    image = np.zeros((10, 10), np.uint8)
    worst.add(image, truth, prediction, figures.add("<i>scene</i>.png", truth, prediction))
    page = write_report(
        tmp_path,
        title="<u>title</u>",
        figures=figures.figures(seed=1, resamples=5),
        taxonomy=odd,
        worst=worst,
        facts={"<s>fact": "1 < 2 & 3"},
        comparison=[Comparison("<em>two", ("<q>",), {"<tt>": (0.5,)})],
    )
    text = page.read_text("utf-8")
    for tag in ("<b>", "<i>", "<u>", "<s>", "<em>", "<q>", "<tt>"):
        assert tag not in text
        assert tag.replace("<", "&lt;").replace(">", "&gt;") in text
    assert "&lt;b&gt;sand &amp; &quot;co&quot;" in text
    assert "1 &lt; 2 &amp; 3" in text


def test_dollar_signs_in_a_class_name_are_no_formula(tmp_path):
    odd = Taxonomy((TerrainClass(0, r"$\x$", (1, 2, 3), 0.0), *GROUND.classes[1:]))
    figures = figures_of([case(5)], odd)
    assert charts.iou_chart(figures, odd).ndim == 3
    assert charts.confusion_chart(figures).ndim == 3


def test_the_figures_can_be_read_again(tmp_path):
    cases = {f"image {place}": case(place) for place in range(4)}
    write(tmp_path, cases, limit=2, comparison=[COMPARED])

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    text = (tmp_path / "figures.json").read_text("utf-8")
    plain = json.loads(text, parse_constant=refuse)
    figures = gather(cases)[0].figures(seed=2, resamples=20)
    for key, value in figures.to_json().items():
        assert plain[key] == value
    assert (plain["title"], plain["facts"]) == ("Evaluation", {"model": "tiny"})
    assert [item["name"] for item in plain["worst_images"]] == ["image 3", "image 2"]
    assert {item["name"] for item in plain["typical_images"]} == {"image 0", "image 1"}
    assert plain["worst_images"][0]["false_safe_px"] == 3
    assert plain["comparison"] == [
        {
            "title": "Sharpening",
            "columns": ["before", "after", "difference"],
            "rows": {"IoU": [0.5, 0.75, 0.25]},
        }
    ]


def test_writing_again_gives_the_same_files(tmp_path):
    cases = {f"image {place}": case(place) for place in range(3)}
    one, two = (write(tmp_path / name, cases) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    first, second = (page.with_name("figures.json").read_bytes() for page in (one, two))
    assert first == second


def test_other_classes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="give the taxonomy that was evaluated"):
        write(tmp_path / "none", {"a": case(1)}, taxonomy=TWO)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("titles_", [("Summary",), ("Mine", "Mine")])
def test_two_tables_of_one_name_are_refused(tmp_path, titles_):
    tables = [Comparison(title, ("a",), {}) for title in titles_]
    with pytest.raises(ConfigError, match=f"two tables are named '{titles_[-1]}'"):
        write(tmp_path, {"a": case(1)}, comparison=tables)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("here already")
    with pytest.raises(ConfigError, match="file/out: the report cannot be written"):
        write(tmp_path / "file" / "out", {"a": case(1)})


def test_a_comparison_signs_only_its_difference():
    head, rows = comparison_table(COMPARED)
    assert head == ("figure", "before", "after", "difference")
    assert rows == [("IoU", "0.5000", "0.7500", "+0.2500")]
    models = Comparison("Models", ("a", "b"), {"IoU": (0.5, None), "recall": (None, 0.125)})
    assert comparison_table(models)[1] == [("IoU", "0.5000", "-"), ("recall", "-", "0.1250")]
    lost = Comparison("x", ("before", "after", "difference"), {"F1": (None, 0.5, None)})
    assert comparison_table(lost)[1] == [("F1", "-", "0.5000", "-")]
    worse = Comparison("x", ("before", "after", "difference"), {"F1": (0.5, 0.25, -0.25)})
    assert comparison_table(worse)[1][0][-1] == "-0.2500"


def test_the_summary_says_what_the_figures_say():
    figures = figures_of([case(5)])
    rows = {name: (value, bounds) for name, value, bounds in summary_table(figures)[1]}
    assert rows["false-safe rate at the threshold 0.5"] == ("9.09%", "9.09% to 9.09%")
    assert rows["missed share of hazards"] == ("10.00%", "")
    assert rows["pixel accuracy"] == ("0.950", "0.950 to 0.950")
    assert rows["hazard IoU"] == ("0.900", "")
    assert (number(None), share(None)) == ("-", "-")


def test_the_summary_of_harmless_ground_makes_nothing_up():
    truth = ids([[SOIL, SOIL, SLOPE]])
    rows = {row[0]: row[1:] for row in summary_table(figures_of([(truth, certain(truth))]))[1]}
    assert rows["its threshold of the hazard score"] == ("-", "")
    assert rows["missed share of hazards"] == ("-", "")
    assert rows["hazard recall at a false-alarm rate of at most 0.05"] == ("-", "-")


def test_a_recall_that_only_silence_keeps_is_said():
    figures = figures_of([(ids([[SOIL, ROCK]]), certain(ids([[ROCK, ROCK]])))])
    rows = {row[0]: row[1] for row in summary_table(figures)[1]}
    assert rows["its threshold of the hazard score"] == "never alarmed"


def test_a_page_of_harmless_ground_with_unpredicted_pixels(tmp_path):
    truth = ids([[SOIL, SOIL, SLOPE, SLOPE]] * 4)
    pair = (truth, certain(ids([[SOIL, 255, SLOPE, SOIL]] * 4)))
    text = write(tmp_path, {"harmless": pair}).read_text("utf-8")
    assert "labelled pixels without a prediction</td><td>4</td>" in text
    assert "Hazardous classes at the threshold 0.5: rock." in text
    plain = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert plain["hazard_recall"]["recall"] is None
