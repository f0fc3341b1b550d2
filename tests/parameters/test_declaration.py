"""A setting that is added in one place, a field of a settings class, is seen everywhere."""

import copy
import dataclasses
import pickle

import pytest

from support.sample_settings import SAMPLE, VALUES, Gear, SampleSettings, WheelSettings
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.settings import Prefix, fields_of, settings
from terrain_seg_ros.parameters.declaration import Declaration
from terrain_seg_ros.parameters.node_settings import DECLARATION
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.reference import HEADER, reference_groups

GOOD = SAMPLE.build(VALUES)


def test_the_names_are_those_of_fields_and_groups():
    assert {row.name for row in SAMPLE.rows} == set(VALUES)


def test_values_are_typed_attributes():
    assert isinstance(GOOD, SampleSettings)
    assert (GOOD.name, GOOD.wheel.radius_m, GOOD.wheel.gear) == ("scout", 0.3, Gear.LOW)
    assert GOOD.wheel.offsets_m == (0.0,)


def test_a_whole_number_serves_as_a_floating_point_number():
    radius_m = SAMPLE.changed(GOOD, {"wheel.radius_m": 1}).wheel.radius_m
    assert radius_m == 1.0
    assert isinstance(radius_m, float)


def test_values_by_name_and_settings_say_the_same():
    assert SAMPLE.build(SAMPLE.values(GOOD)) == GOOD


WRONG = [
    ({"wheel.radius_m": 5.0}, "parameter 'wheel.radius_m' is 5.0, expected 0.1 to 2 m"),
    ({"wheel.radius_m": "wide"}, "'wheel.radius_m' is 'wide', expected a number.*0.1 to 2 m"),
    ({"wheel.radius_m": float("nan")}, "'wheel.radius_m' is nan"),
    ({"wheel.count": 5.5}, "'wheel.count' is 5.5, expected a whole number, 4 to 8"),
    ({"wheel.count": True}, "'wheel.count' is True, expected a whole number"),
    ({"wheel.gear": "third"}, r"'wheel.gear' is 'third', expected one of \['low', 'high'\]"),
    ({"wheel.offsets_m": [0.0, 3.0]}, "'wheel.offsets_m' is 3.0, expected -1 to 1 m"),
    ({"wheel.offsets_m": []}, r"'wheel.offsets_m' is \[\], expected a list of numbers"),
    ({"wheel.offsets_m": [0.0] * 9}, "'wheel.offsets_m' is a list of 9, expected at most 8"),
    ({"vehicle_name": 7}, "'vehicle_name' is 7, expected text; put it into quotes"),
    ({"wheel.radus_m": 0.3}, "'wheel.radus_m' is unknown; did you mean wheel.radius_m"),
    ({"wheel.spokes": 3}, "'wheel.spokes' was removed: wheels have none"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=lambda item: str(item)[:40])
def test_the_check_of_a_file_names_key_value_and_range(given, words):
    with pytest.raises(ConfigError, match=words):
        SAMPLE.check(given)
    with pytest.raises(ConfigError, match=words):
        SAMPLE.changed(GOOD, given)


def test_the_check_of_a_file_takes_a_part_of_the_values():
    SAMPLE.check({"wheel.radius_m": 0.4})
    SAMPLE.check({})


def test_values_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match=r"wheel.offsets_m has 2 values"):
        SAMPLE.changed(GOOD, {"wheel.offsets_m": [0.0, 0.1]})


def test_a_value_that_is_missing_is_named():
    with pytest.raises(ConfigError, match=r"'wheel.count' has no value \(1 missing\)"):
        SAMPLE.build({name: value for name, value in VALUES.items() if name != "wheel.count"})


def test_only_dynamic_settings_change_while_running():
    after = SAMPLE.changed(GOOD, {"wheel.slip_limit": 0.2}, running=True)
    assert after.wheel.slip_limit == 0.2
    assert GOOD.wheel.slip_limit == 0.5
    with pytest.raises(ConfigError, match=r"'wheel.radius_m' cannot change while running"):
        SAMPLE.changed(GOOD, {"wheel.radius_m": 0.4}, running=True)
    assert SAMPLE.changed(GOOD, {"wheel.radius_m": 0.3}, running=True) == GOOD


def test_the_reference_table_has_a_row_of_every_setting():
    other = {**SAMPLE.values(GOOD), "wheel.radius_m": 1.0}
    groups = dict(reference_groups(SAMPLE, {"rover": SAMPLE.values(GOOD), "lander": other}))
    assert list(groups) == ["The sample", "wheel.*"]
    assert all(len(row) == len(HEADER) for rows in groups.values() for row in rows)
    assert groups["wheel.*"][0] == (
        "`wheel.radius_m`",
        "float",
        "0.1 to 2 m",
        "`0.3`, lander `1.0`",
        "",
        "Radius of a wheel.",
    )
    assert [row[4] for row in groups["wheel.*"]] == ["", "yes", "", "", "yes"]


def test_settings_made_in_code_are_checked_too():
    wheel = GOOD.wheel
    with pytest.raises(ConfigError, match=r"WheelSettings.radius_m is 9.0, expected 0.1 to 2 m"):
        dataclasses.replace(wheel, radius_m=9.0)
    with pytest.raises(ConfigError, match=r"WheelSettings.count has no value"):
        WheelSettings(radius_m=0.3, slip_limit=0.5, gear=Gear.LOW, offsets_m=(0.0,))
    with pytest.raises(ConfigError, match=r"WheelSettings.spokes is unknown"):
        WheelSettings(**{**dataclasses.asdict(wheel), "spokes": 1})
    with pytest.raises(ConfigError, match=r"SampleSettings.wheel is 3"):
        SampleSettings(name="scout", wheel=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        wheel.radius_m = 0.2


def test_two_fields_of_one_name_are_refused():
    twice = dataclasses.make_dataclass(
        "Twice",
        [("left", WheelSettings), ("right", WheelSettings)],
        frozen=True,
    )
    with pytest.raises(ConfigError, match="'radius_m' is declared twice"):
        Declaration(settings(twice))


def test_every_group_of_the_node_is_a_settings_class_with_a_title():
    titles = {DECLARATION.group(row.name) for row in DECLARATION.rows}
    assert "" not in titles
    assert "grid.*" in titles


def test_a_prefix_is_the_group_s_in_the_parameter_files():
    (prefix,) = fields_of(SampleSettings)["wheel"].metadata
    assert prefix == Prefix("wheel")


@pytest.mark.requirement("TSR-CONF-001")
def test_the_values_of_the_node_stand_in_the_shipped_files_alone():
    shipped = load_parameters()
    values = shipped.values
    assert DECLARATION.build(values) == shipped
    for name in values:
        left = {key: value for key, value in values.items() if key != name}
        with pytest.raises(ConfigError, match=f"'{name}' has no value"):
            DECLARATION.build(left)


def test_settings_survive_pickling_and_copying():
    settings_of_node = load_parameters(overrides={"hazard.sand": 0.5})
    assert pickle.loads(pickle.dumps(settings_of_node)) == settings_of_node
    assert copy.deepcopy(settings_of_node) == settings_of_node


def test_an_error_of_settings_survives_pickling():
    with pytest.raises(ConfigError) as caught:
        dataclasses.replace(GOOD.wheel, radius_m=9.0)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copied, ConfigError)
    assert str(copied) == str(caught.value)
