"""Containers stay in step with the repository; no engine is needed, and none has run them."""

from __future__ import annotations

import ast
import re
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/howto/ros2.md").read_text(encoding="utf-8")
SCRIPTS = sorted(DOCKER.glob("*.sh"))
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
STAGES = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)


def declared_extras():
    """Return the extras that setup.py declares."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (extras,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "EXTRAS"
    )
    return ast.literal_eval(extras)


def instructions():
    """Return the instructions of the Dockerfile, each in one line."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def test_hadolint_has_no_complaint():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("no hadolint for this machine")
    command = [hadolint, DOCKER / "Dockerfile"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (0, "")


def test_the_stages_of_the_documents_are_there_and_each_base_is_pinned():
    names = [name for _, name in STAGES]
    document = (DOCKER / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `([a-z-]+)` \| (\S+) \|", document, flags=re.MULTILINE)
    assert [name for name, _ in table] == ["core-test", "ros", "tensorrt", "jetson"]
    defaults = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE, flags=re.MULTILINE))
    assert {base for _, base in table} == set(defaults.values())
    for image in defaults.values():
        assert re.search(r":[\w.-]*\d[\w.-]*$|:jazzy-", image), image
    for base, name in STAGES:
        known = base.startswith("${") and base[2:-1] in defaults
        assert known or base in names[: names.index(name)]


def test_copied_files_and_scripts_exist_and_run():
    for line in instructions():
        if line.startswith("COPY"):
            *sources, _ = [word for word in line.split()[1:] if not word.startswith("--")]
            assert all((ROOT / source).exists() for source in sources), line
    called = set(re.findall(r"docker/(\w+\.sh)", DOCKERFILE))
    assert called == {path.name for path in SCRIPTS}
    for path in SCRIPTS:
        assert path.stat().st_mode & stat.S_IXUSR
        subprocess.run(["bash", "-n", path], check=True)


def test_steps_are_those_that_were_tried():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"RUN make ([a-z-]+)", DOCKERFILE):
        assert f"\n{target}:" in makefile
    build = (DOCKER / "build_workspace.sh").read_text(encoding="utf-8")
    for line in ("python3 -m venv --system-site-packages .venv-ros", "python -m colcon build"):
        assert line in build
        assert line in GUIDE
    documented = re.search(r"^pip install (.+)$", GUIDE, flags=re.MULTILINE).group(1)
    assert f"pip install --no-cache-dir {documented}\n" in build
    rosdep = "rosdep install --from-paths src --ignore-src -y"
    assert rosdep in GUIDE
    assert rosdep in (DOCKER / "install_dependencies.sh").read_text(encoding="utf-8")


def test_stages_with_tensorrt_bring_the_bindings_that_it_needs():
    text = DOCKERFILE.replace("\\\n", " ")
    (wanted,) = re.findall(r'^ARG CUDA_PYTHON="(.+)"$', text, flags=re.MULTILINE)
    extra = next(item for item in declared_extras()["tensorrt"] if item.startswith("cuda-python"))
    low, high = (re.search(rf"{sign}(\d+)", extra).group(1) for sign in (">=", "<"))
    assert int(low) <= int(re.search(r">=(\d+)", wanted).group(1)) < int(high)
    stages = dict(zip((name for _, name in STAGES), re.split(r"^FROM ", text, flags=re.M)[1:]))
    built = 'build_workspace.sh "${CUDA_PYTHON}"\n'
    for name in ("tensorrt", "jetson"):
        assert stages[name].index("ARG CUDA_PYTHON\n") < stages[name].index(built)
    assert "CUDA_PYTHON" not in stages["ros"]
    script = (DOCKER / "build_workspace.sh").read_text(encoding="utf-8")
    assert script.index("activate") < script.index('pip install --no-cache-dir "$@"')


def test_compose_starts_stages_and_commands_that_exist():
    services = COMPOSE["services"]
    assert set(services) == {"node", "replay", "foxglove"}
    build = services["node"]["build"]
    assert build["target"] in {name for _, name in STAGES}
    assert (DOCKER / build["context"] / build["dockerfile"]).is_file()
    launch = services["node"]["command"]
    assert (ROOT / "launch" / launch[3]).is_file()
    declared = (ROOT / "launch" / launch[3]).read_text(encoding="utf-8")
    for argument in launch[4:]:
        assert f'"{argument.partition(":=")[0]}"' in declared
    for service in services.values():
        assert service["network_mode"] == "host"
        assert service["environment"]["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    (volume,) = services["replay"]["volumes"]
    assert volume.endswith(":/bag:ro")
    package = services["foxglove"]["command"][2].replace("_", "-")
    assert f"-{package}" in (DOCKER / "install_dependencies.sh").read_text(encoding="utf-8")


def test_the_manifest_is_what_rosdep_reads():
    line = "COPY package.xml src/terrain_seg_ros/package.xml"
    assert DOCKERFILE.count(line) == 3
    assert ElementTree.parse(ROOT / "package.xml").findtext("name") == "terrain_seg_ros"


def test_documents_say_which_of_them_no_engine_has_run():
    said = {"Dockerfile": "only core-test has been built", "compose.yaml": "not run yet"}
    said["README.md"] = "the other stages and the compose file have not been run"
    for name, words in said.items():
        assert words in (DOCKER / name).read_text(encoding="utf-8").lower()
