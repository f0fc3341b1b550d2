import os

import pytest
import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.file import parameter_sections, read_parameter_file
from terrain_seg_ros.parameters.node_settings import DECLARATION
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.shipped import MODES, shipped_parameter_file

SHIPPED = sorted(shipped_parameter_file().parent.glob("*.param.yaml"))
REQUIRED = {row.name for row in DECLARATION.rows if not row.is_family}


def write(folder, text):
    path = folder / "user.param.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.requirement("TSR-CONF-001")
def test_the_rover_s_file_holds_exactly_the_declared_parameters():
    assert set(read_parameter_file(shipped_parameter_file())) == REQUIRED


def test_the_lander_s_file_holds_only_what_differs_from_the_rover_s():
    rover = load_parameters().values
    different = read_parameter_file(shipped_parameter_file("lander"))
    assert [name for name, value in different.items() if value == rover[name]] == []
    lander = load_parameters(shipped="lander").values
    assert {name for name in REQUIRED if lander[name] != rover[name]} == set(different)


def test_a_copy_of_the_lander_s_file_can_be_loaded_alone(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(shipped_parameter_file("lander").read_bytes())
    assert load_parameters(path) == load_parameters(shipped="lander")


def test_every_mode_has_a_file_and_every_file_a_mode():
    assert {path.name.split(".")[0] for path in SHIPPED} == set(MODES)


def test_declared_parameters_are_explained_and_bounded():
    for row in DECLARATION.rows:
        assert row.text.endswith(".")
        assert row.kind not in {"int", "float"} or row.low < row.high


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("grid.resolution_m", "m"),
        ("grid.max_speed_mps", "m/s"),
        ("camera_max_rates_hz", "Hz"),
        ("slope.max_slope_deg", "deg"),
        ("speed_percent.sand", "%"),
        ("cost.hazard_threshold", ""),
        ("input_depth", ""),
    ],
)
def test_the_unit_is_the_suffix_of_the_name(name, unit):
    assert DECLARATION.setting(name).unit == unit


@pytest.mark.parametrize("key", ["/**", "terrain_seg", "/terrain_seg", "/terrain/terrain_seg"])
def test_three_lines_suffice(tmp_path, key):
    path = write(tmp_path, f"{key}:\n  ros__parameters:\n    grid.resolution_m: 0.2\n")
    parameters = load_parameters(path)
    assert parameters.pipeline.grid.resolution_m == 0.2
    assert parameters.inference.backend == load_parameters().inference.backend


def test_namespaces_and_values_may_be_nested(tmp_path):
    text = "/terrain:\n  terrain_seg:\n    ros__parameters:\n      grid: {size_m: 12}\n"
    value = load_parameters(write(tmp_path, text)).pipeline.grid.size_m
    assert value == 12.0
    assert isinstance(value, float)


def test_the_node_s_own_section_wins_over_the_wildcard(tmp_path):
    text = (
        "/**: {ros__parameters: {threads: 2, input_depth: 2}}\n"
        "terrain_seg: {ros__parameters: {threads: 3}}\n"
        "controller_server: {ros__parameters: {frequency: 20.0}}\n"
    )
    parameters = load_parameters(write(tmp_path, text))
    assert parameters.inference.threads == 3
    assert parameters.input.input_depth == 2


def test_what_ros_declares_itself_is_left_to_ros(tmp_path):
    text = "/**: {ros__parameters: {use_sim_time: true, qos_overrides: {/tf: {depth: 1}}}}"
    assert load_parameters(write(tmp_path, text)) == load_parameters()


@pytest.mark.requirement("TSR-CONF-002", "TSR-CONF-004")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("segmenter: {ros__parameters: {threads: 1}}", ["segmenter", "terrain_seg"]),
        ("threads: 1", ["ros__parameters"]),
        ("/**: {ros__parameters: 3}", ["ros__parameters"]),
        ("[1, 2]", ["mapping"]),
        ("", ["mapping"]),
        ("/**: {ros__parameters: {threads: [}}", ["YAML"]),
        ("/**: {ros__parameters: {threads: 2020-99-99}}", ["YAML"]),
        ("[" * 5000, ["YAML"]),
        ("a: &a {b: 1}\n/**: {ros__parameters: *a}", ["alias"]),
        ("/**: {ros__parameters: {cameras: !!set {a, b}}}", ["tag", "!!set"]),
        ("/**: {ros__parameters: {grid_frame: base_link}}", ["base_frame", "odom"]),
        ("a: " + "{x: " * 12 + "1" + "}" * 12, ["nested"]),
        ("/**: {ros__parameters: " + "{x: " * 12 + "1" + "}" * 12 + "}", ["nested"]),
        ("/**: {ros__parameters: {grid.size_m: 1.0, grid: {size_m: 2.0}}}", ["grid.size_m"]),
        ("/**: {ros__parameters: {threads: 1,\n threads: 2}}", ["threads", "line 1", "line 2"]),
        (
            "/**:\n ros__parameters:\n  grid: {size_m: 9.0}\n  grid: {resolution_m: 0.5}\n",
            ["'grid'", "line 3", "line 4", "merge them into one"],
        ),
        (
            "/**:\n ros__parameters: {threads: 1}\n/**:\n ros__parameters: {input_depth: 2}\n",
            ["/**", "line 1", "line 3"],
        ),
        ("/**:\n ros__parameters: {a: 1}\n ros__parameters: {b: 2}\n", ["ros__parameters"]),
        ("/**: {ros__parameters: {threads: 1, 'threads': 2}}", ["threads"]),
        ("/**: {ros__parameters: {hazard: {sand: 1.0, sand: 0.0}}}", ["sand"]),
        ("/**: {ros__parameters: {<<: {threads: 1}, threads: 2}}", ["<<"]),
        ("/**: {ros__parameters: {[1, 2]: 3}}", ["line 1", "not a name"]),
        (
            "terrain_seg: {ros__parameters: {threads: 3}}\n/**: {ros__parameters: {threads: 2}}",
            ["threads", "terrain_seg", "general block first"],
        ),
        (
            "/a/terrain_seg: {ros__parameters: {threads: 3}}\n"
            "/b/terrain_seg: {ros__parameters: {threads: 2}}",
            ["several namespaces", "/a", "/b"],
        ),
        ("/**: {ros__parameters: {cameras: " + str([f"c{n}" for n in range(17)]) + "}}", ["16"]),
        ("/**: {ros__parameters: {cameras: " + str([f"c{n}" for n in range(3000)]) + "}}", ["16"]),
        ("/**: {ros__parameters: {own_body.polygon: " + str([0.5] * 999) + "}}", ["999", "256"]),
        ("/**: {ros__parameters: {a: " + str([0] * 20_000) + "}}", ["5000", "line 1"]),
        ("- " * 2000, ["nested", "line 1"]),
        ("? " * 2000, ["nested", "line 1"]),
        ("{a: " * 2000, ["nested", "line 1"]),
        ("\n".join(" " * n + f"k{n}:" for n in range(500)), ["nested", "line 25"]),
        ("&a [*a, *a]", ["alias"]),
        ("/**: {ros__parameters: {grid.resolutin_m: 0.2}}", ["resolutin", "grid.resolution_m"]),
        ("/**: {ros__parameters: {grid.resolution_m: fine}}", ["grid.resolution_m", "fine"]),
        ("/**: {ros__parameters: {grid.resolution_m: .nan}}", ["grid.resolution_m", "nan"]),
        ("/**: {ros__parameters: {grid.resolution_m: -1.0}}", ["grid.resolution_m", "-1.0"]),
        ("/**: {ros__parameters: {threads: 1.5}}", ["threads", "1.5", "whole"]),
        ("/**: {ros__parameters: {threads: true}}", ["threads", "True"]),
        ("/**: {ros__parameters: {threads: 1" + "0" * 400 + "}}", ["threads"]),
        ("/**: {ros__parameters: {deterministic: 1}}", ["deterministic", "true or false"]),
        ("/**: {ros__parameters: {backend: cuda}}", ["backend", "onnxruntime"]),
        ("/**: {ros__parameters: {model: 7}}", ["model", "quotes"]),
        ("/**: {ros__parameters: {model: ''}}", ["model", "empty"]),
        ("/**: {ros__parameters: {cameras: []}}", ["cameras"]),
        ("/**: {ros__parameters: {cameras: navcam}}", ["cameras", "list"]),
        ("/**: {ros__parameters: {cameras: [a, a]}}", ["cameras", "unique"]),
        ("/**: {ros__parameters: {cameras: ['a b']}}", ["a b"]),
        ("/**: {ros__parameters: {hazard.sand: 2.0}}", ["hazard.sand", "2.0"]),
        ("/**: {ros__parameters: {grid: {size_m: 10000.0, resolution_m: 0.01}}}", ["cells"]),
        ("/**: {ros__parameters: {grid.resolution_m: 0.7}}", ["resolution_m", "whole"]),
        ("/**: {ros__parameters: {observability.shadow_level: 254}}", ["shadow_level"]),
        ("/**: {ros__parameters: {cost.min_evidence: 100.0}}", ["min_evidence"]),
        ("/**: {ros__parameters: {hazard_points.min_height_m: 3.0}}", ["max_height_m"]),
        (
            "/**: {ros__parameters: {cameras: [a, b], mounting.use_tf: false}}",
            ["mounting.use_tf"],
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        load_parameters(write(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "/terrain/terrain_seg: {ros__parameters: {threads: 1}}\n"
        "terrain: {terrain_seg: {ros__parameters: {threads: 2}}}\n",
        "terrain_seg: {ros__parameters: {threads: 1}}\n"
        "/terrain_seg: {ros__parameters: {threads: 2}}",
        "/**: {ros__parameters: {footprint.radius_m: 2.0}}\n"
        "'**': {ros__parameters: {footprint: {radius_m: 0.6}}}\n",
        "/**: {ros__parameters: {footprint.radius_m: 2.0, footprint: {radius_m: 0.6}}}",
    ],
)
def test_what_is_given_twice_in_other_spellings_is_refused_for_both_nodes(tmp_path, text):
    path = write(tmp_path, text)
    for read in (load_parameters, parameter_sections):
        with pytest.raises(ConfigError, match=r"twice|in two blocks"):
            read(path)


def test_blocks_of_one_name_that_give_different_parameters_are_merged(tmp_path):
    path = write(
        tmp_path,
        "/terrain/terrain_seg: {ros__parameters: {threads: 1}}\n"
        "terrain: {terrain_seg: {ros__parameters: {input_depth: 2}}}",
    )
    found = load_parameters(path)
    assert (found.inference.threads, found.input.input_depth) == (1, 2)


BLOCKS = {"/**": 1, "/*/terrain_seg": 2, "/terrain/**": 3, "/terrain/*": 4, "terrain_seg": 5}


@pytest.mark.parametrize("first", BLOCKS)
@pytest.mark.parametrize("second", BLOCKS)
def test_of_blocks_that_match_the_later_wins_unless_it_is_the_more_general(tmp_path, first, second):
    if first == second:
        return
    text = "\n".join(
        f"{name}: {{ros__parameters: {{threads: {BLOCKS[name]}}}}}" for name in (first, second)
    )
    literal = {name: "t" in name for name in BLOCKS}
    path = write(tmp_path, text)
    if literal[first] and not literal[second]:
        with pytest.raises(ConfigError, match="general block first"):
            load_parameters(path)
    else:
        assert load_parameters(path).inference.threads == BLOCKS[second]


@pytest.mark.parametrize(
    ("key", "namespace", "meant"),
    [
        ("/rover1/terrain_seg", "/rover1", True),
        ("/rover1/terrain_seg", "/rover2", False),
        ("rover1: {terrain_seg", "/rover1", True),
        ("/*/terrain_seg", "/rover1", True),
        ("/*/terrain_seg", "/fleet/rover1", False),
        ("/**/terrain_seg", "/fleet/rover1", True),
        ("/fleet/**", "/fleet/rover1", True),
        ("/fleet/*", "/fleet/rover1", False),
        ("terrain_seg", "/fleet/rover1", True),
        ("/" + "**/" * 7 + "other", "/rover1", False),
    ],
)
def test_a_block_is_for_the_nodes_that_ros_takes_it_for(tmp_path, key, namespace, meant):
    closing = "}" * key.count("{")
    path = write(tmp_path, f"{key}: {{ros__parameters: {{threads: 7}}}}{closing}")
    if meant:
        assert load_parameters(path, namespace=namespace).inference.threads == 7
    else:
        with pytest.raises(ConfigError, match="keyed to"):
            load_parameters(path, namespace=namespace)


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", "/dev/zero", tmp_path):
        with pytest.raises(ConfigError, match="regular file"):
            load_parameters(path)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_parameters(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="the limit is"):
        load_parameters(write(tmp_path, "#" * 300_000))
    (tmp_path / "user.param.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="YAML"):
        load_parameters(tmp_path / "user.param.yaml")
    with pytest.raises(ConfigError, match="rover"):
        shipped_parameter_file("submarine")


def test_a_wrong_value_names_its_file(tmp_path):
    path = write(tmp_path, "/**: {ros__parameters: {threads: many}}")
    with pytest.raises(ConfigError, match=path.name):
        load_parameters(path)


def test_classes_are_open_families(tmp_path):
    path = write(tmp_path, "/**: {ros__parameters: {hazard: {sand: 1, 'big rock': 0.5}}}")
    assert load_parameters(path).pipeline.hazards == {"sand": 1.0, "big rock": 0.5}
    assert DECLARATION.setting("hazard.dune").dynamic
    for family in ("hazard.", "speed_percent."):
        with pytest.raises(ConfigError):
            DECLARATION.setting(family)
    slow = load_parameters(overrides={"speed_percent.sand": 40})
    assert slow.pipeline.speed.percents == {"sand": 40.0}
    assert slow.pipeline.hazards == {}


def test_changes_are_checked_and_leave_the_first_set_as_it_was():
    before = load_parameters()
    after = before.with_values({"threads": 4, "hazard.sand": 1})
    assert (before.inference.threads, after.inference.threads) == (0, 4)
    assert after.pipeline.hazards == {"sand": 1.0}
    with pytest.raises(ConfigError, match="unknown"):
        before.with_values({"thread": 4})


@pytest.mark.requirement("TSR-CONF-003")
def test_only_dynamic_parameters_change_while_running():
    parameters = load_parameters()
    changed = parameters.with_values({"cost.hazard_threshold": 0.25}, running=True)
    assert changed.pipeline.cost.hazard_threshold == 0.25
    with pytest.raises(ConfigError, match="while running"):
        parameters.with_values({"grid.resolution_m": 0.2}, running=True)
    same = {"grid.resolution_m": parameters.pipeline.grid.resolution_m}
    assert parameters.with_values(same, running=True) == parameters


def test_the_pipeline_s_settings_are_the_parameters():
    parameters = load_parameters(overrides={"hazard.sand": 0.25, "grid.resolution_m": 0.5})
    settings = parameters.pipeline
    assert settings.grid.resolution_m == 0.5
    assert settings.grid.frame_id == parameters.pipeline.grid.frame_id
    assert settings.ground.base_frame == parameters.pipeline.ground.base_frame
    assert settings.hazards == {"sand": 0.25}


def footprint(polygon_m):
    return load_parameters(overrides={"footprint.polygon_m": polygon_m}).pipeline.footprint


def test_an_outline_is_pairs_of_x_and_y_and_one_number_is_none():
    assert footprint([0.0]).polygon_m == ()
    assert footprint([1, 0.5, -1, 0.5, -1, -0.5]).polygon_m == ((1, 0.5), (-1, 0.5), (-1, -0.5))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, 1.0], "has 2 numbers, expected an even count of at least 6.*radius"),
        ([1.0, 1.0, 0.0, 1.0], "has 4 numbers"),
        ([1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 2.0], "has 7 numbers"),
        ([0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0], "crosses or touches itself"),
        ([0.0, 0.0, 1.0, 1.0, 101.0, 0.0], "expected -100 to 100 m"),
    ],
)
def test_numbers_that_are_no_outline_are_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        footprint(values)


def test_missing_values_are_named():
    values = dict(load_parameters().values)
    del values["overlay_alpha"]
    with pytest.raises(ConfigError, match="overlay_alpha"):
        DECLARATION.build(values)


def test_shipped_files_are_plain_ros_parameter_files():
    for path in SHIPPED:
        assert list(yaml.safe_load(path.read_text())) == ["/**"]


def test_numbers_per_camera_hold_for_all_or_for_each():
    both = {"cameras": ["left", "right"]}
    one = load_parameters(overrides={**both, "camera_max_rates_hz": [5.0]})
    assert one.input.max_rate_hz_by_camera == {"left": 5.0, "right": 5.0}
    each = load_parameters(overrides={**both, "camera_max_rates_hz": [2, 1.0]})
    assert each.input.max_rate_hz_by_camera == {"left": 2.0, "right": 1.0}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1.0, 2.0], "2 values for 1 cameras"),
        ([], "a list of numbers"),
        (3.0, "a list of numbers"),
        ([-1.0], "expected 0 to 1000 Hz"),
        (["much"], "a list of numbers"),
    ],
)
def test_wrong_numbers_per_camera_are_refused(value, words):
    with pytest.raises(ConfigError, match=words):
        load_parameters(overrides={"camera_max_rates_hz": value})


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("camera_weights", [1.0], "camera_max_rates_hz"),
        ("cpu_affinity", "0", "taskset"),
        ("grid.fusion", "dirichlet", "delete the line"),
    ],
)
def test_a_parameter_that_was_removed_says_what_to_do(tmp_path, name, value, remedy):
    path = write(tmp_path, yaml.safe_dump({"/**": {"ros__parameters": {name: value}}}))
    with pytest.raises(ConfigError, match=f"{path.name}.*{name}' was removed.*{remedy}"):
        load_parameters(path)


@pytest.mark.parametrize("number", ["1:30", "1_0", "0b11", "1_0.5", "1:30.5"])
def test_numbers_that_only_yaml_1_1_knows_are_refused(tmp_path, number):
    path = write(tmp_path, f"/**:\n  ros__parameters:\n    threads: {number}\n")
    with pytest.raises(ConfigError, match=f"{number}' in line 3 is a number in YAML 1.1 and text"):
        load_parameters(path)


def test_values_that_contradict_each_other_name_the_file_and_wrong_options_do_not(tmp_path):
    path = write(tmp_path, "/**:\n  ros__parameters:\n    grid.resolution_m: 100.0\n")
    with pytest.raises(ConfigError, match=r"user\.param\.yaml: grid\.size_m"):
        load_parameters(path)
    with pytest.raises(ConfigError, match=r"^parameter 'threads' is -1"):
        load_parameters(path, overrides={"threads": -1})


def test_an_error_shows_a_long_value_without_its_middle(tmp_path):
    path = write(tmp_path, f"/**:\n  ros__parameters:\n    precision: {'y' * 3000}\n")
    with pytest.raises(ConfigError, match=r"yyy\.\.\.yyy") as error:
        load_parameters(path)
    assert len(str(error.value)) < 500
