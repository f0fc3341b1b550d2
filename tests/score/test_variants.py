"""Sets of parameters for one score: what is read, and what is refused."""

from __future__ import annotations

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.score.variants import MAX_VARIANTS, read_variants

FILE = "/**:\n  ros__parameters:\n    cost: {min_evidence: 1.0}\n    grid: {keep_hazards: false}\n"


@pytest.fixture(scope="module")
def base():
    return load_parameters()


def test_each_value_and_each_file_is_a_variant(tmp_path, base):
    path = tmp_path / "bold.yaml"
    path.write_text(FILE)
    vary = ["cost.min_evidence=0.1, 2", "grid.keep_hazards=false", "observability.shadow_level=9"]
    variants = read_variants(vary, [path], base=base)
    assert [(one.name, dict(one.changes)) for one in variants] == [
        ("cost.min_evidence 0.1", {"cost.min_evidence": 0.1}),
        ("cost.min_evidence 2", {"cost.min_evidence": 2.0}),
        ("grid.keep_hazards false", {"grid.keep_hazards": False}),
        ("observability.shadow_level 9", {"observability.shadow_level": 9}),
        ("bold.yaml", {"cost.min_evidence": 1.0, "grid.keep_hazards": False}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cost.min_evidence", "is not NAME=VALUE,..."),
        ("=3", "is not NAME=VALUE,..."),
        ("cost.min_evidence=", "is not NAME=VALUE,..."),
        ("cost.min_evidence=1,,2", "'' is not a number (float)"),
        ("cost.min_evidence=much", "'much' is not a number (float)"),
        ("cost.min_evidence=-1", "cost.min_evidence"),
        ("grid.keep_hazards=no", "'no' is not true or false"),
        ("cost.min_evidense=1", "did you mean cost.min_evidence"),
        ("grid.resolution_m=0.5", "cannot change while running"),
    ],
)
def test_what_cannot_be_varied_is_named(base, text, said):
    with pytest.raises(ConfigError) as caught:
        read_variants([text], [], base=base)
    assert said in str(caught.value)


def test_a_static_parameter_in_a_file_is_refused_with_its_name(tmp_path, base):
    path = tmp_path / "coarse.yaml"
    path.write_text("/**:\n  ros__parameters:\n    grid: {resolution_m: 0.5}\n")
    with pytest.raises(ConfigError, match=r"coarse\.yaml: parameter 'grid.resolution_m' cannot"):
        read_variants([], [path], base=base)


def test_novelty_that_nobody_computes_cannot_be_varied(base):
    off = base.with_values({"observability.max_novelty": 0.0})
    with pytest.raises(ConfigError, match="give a value above 0"):
        read_variants(["observability.max_novelty=1"], [], base=off)
    (variant,) = read_variants(["observability.max_novelty=0"], [], base=base)
    assert variant.changes == {"observability.max_novelty": 0.0}


def test_more_variants_than_memory_holds_are_refused(base):
    values = ",".join(["1"] * (MAX_VARIANTS + 1))
    with pytest.raises(ConfigError, match=f"give {MAX_VARIANTS + 1} sets"):
        read_variants([f"cost.min_evidence={values}"], [], base=base)
