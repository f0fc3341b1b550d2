"""What the quality declaration says of the repository is so."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECLARATION = (ROOT / "QUALITY_DECLARATION.md").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
OPTIONAL = (
    "bondpy",
    "cv_bridge",
    "diagnostic_msgs",
    "grid_map_msgs",
    "map_msgs",
    "nav2_msgs",
    "vision_msgs",
    "visualization_msgs",
)


def test_linked_files_and_named_commands_exist():
    links = re.findall(r"\]\(([^)]+)\)", DECLARATION)
    assert len(links) > 5
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", DECLARATION):
        assert f"\n{target}:" in makefile
    for path in re.findall(r"`((?:tests|\.ci)/[\w./]+)`", DECLARATION):
        assert (ROOT / path).exists()


def test_the_readme_links_it():
    assert "(QUALITY_DECLARATION.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_rules_that_stand_for_ament_s_are_selected():
    selected = set(re.findall(r'"(\w+)"', re.search(r"^select = (.+)$", PYPROJECT, re.M).group(1)))
    ignored = set(re.findall(r'"(\w+)"', re.search(r"^ignore = (.+)$", PYPROJECT, re.M).group(1)))
    rules = re.search(r"ament_flake8 \| ruff `([^`]+)`", DECLARATION).group(1).split()
    assert {*rules, "D"} <= selected
    assert {"D213", "D406", "D407", "D413"} <= ignored
    assert not {"D100", "D101", "D102", "D103"} & ignored
    assert re.search(r"^line-length = 100$", PYPROJECT, re.M)
    assert re.search(r"^strict = true$", PYPROJECT, re.M)


def test_the_version_is_the_one_declared():
    version = MANIFEST.findtext("version")
    stable = int(version.split(".")[0]) >= 1
    row = re.search(r"^\| 1\.ii stable version \| (\S+) \| (\S+);", DECLARATION, re.M)
    assert row.group(1) == ("yes" if stable else "**no**")
    assert row.group(2) == version


def test_optional_packages_are_in_the_manifest_and_in_the_declaration():
    depends = {item.text for item in MANIFEST.findall("exec_depend")}
    for name in OPTIONAL:
        assert name in depends
        assert name in DECLARATION


def test_licence_and_authors_are_stated_once():
    assert MANIFEST.findtext("license") == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    author = MANIFEST.findtext("author").lower()
    assert author in (ROOT / "NOTICE").read_text(encoding="utf-8").lower()


def test_the_manifest_is_of_format_3():
    assert (MANIFEST.tag, MANIFEST.get("format")) == ("package", "3")
    for element in ("name", "version", "description", "maintainer", "license"):
        assert MANIFEST.findtext(element), element
    assert re.fullmatch(r"[a-z][a-z0-9_]*", MANIFEST.findtext("name"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST.findtext("version"))
    assert re.fullmatch(r"[^@\s]+@[^@\s]+", MANIFEST.find("maintainer").get("email"))
    kinds = {item.tag for item in MANIFEST}
    known = {"exec_depend", "test_depend", "export", "author", "url", "buildtool_depend"}
    assert kinds - known == {"name", "version", "description", "maintainer", "license"}


def test_xmllint_reads_the_manifest():
    xmllint = shutil.which("xmllint")
    if xmllint is None:
        pytest.skip("no xmllint here")
    subprocess.run([xmllint, "--noout", ROOT / "package.xml"], check=True)
