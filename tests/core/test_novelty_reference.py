"""The novelty of a card is checked when it is read."""

import numpy as np
import pytest

from support.novelty import reference_of
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.novelty_reference import novelty_content, parse_novelty


@pytest.fixture(scope="module")
def reference():
    random = np.random.default_rng(0)
    return reference_of(random.integers(0, 256, (3, 32, 32, 1)).astype(np.uint8))


def test_a_reference_is_read_as_it_was_written(reference):
    assert parse_novelty(novelty_content(reference), source="card.json") == reference


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "entropy"}, "novelty.method is 'entropy'"),
        ({"mean": []}, "novelty.mean is"),
        ({"mean": [0.0, float("nan")]}, "novelty.mean holds nan"),
        ({"mean": "1 2 3"}, "novelty.mean is '1 2 3'"),
        ({"whitening": [[1.0]]}, "expected a list of 20 numbers"),
        ({"references": []}, "novelty.references is"),
        ({"references": [[1.0] * 19]}, "expected a list of 20 numbers"),
        ({"references": [[True] * 20]}, "novelty.references holds True"),
        ({"limit": 0.0}, "novelty.limit holds 0.0"),
        ({"limit": 1e9}, "novelty.limit holds 1000000000.0"),
        ({"limit": "1"}, "novelty.limit holds '1'"),
        ({"percentiles": []}, "novelty.percentiles is"),
        ({"images": 0}, "novelty.images is 0"),
        ({"validation_images": 1.5}, "novelty.validation_images is 1.5"),
    ],
)
def test_a_wrong_part_is_named(reference, change, text):
    with pytest.raises(ModelError, match=r"card.json: novelty") as caught:
        parse_novelty({**novelty_content(reference), **change}, source="card.json")
    assert text in str(caught.value)


def test_whitening_has_as_many_rows_as_columns(reference):
    content = novelty_content(reference)
    content["whitening"] = content["whitening"][:-1]
    with pytest.raises(ModelError, match="whitening has 19 rows, not 20"):
        parse_novelty(content, source="card.json")


def test_novelty_is_an_object():
    with pytest.raises(ModelError, match=r"novelty is \[\], expected an object"):
        parse_novelty([], source="card.json")
