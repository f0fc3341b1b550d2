"""The site builds without a warning and loads nothing from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("material", reason="the extra docs is not installed; run `make docs`")
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", place]
    answer = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return place


def test_every_page_is_built(site):
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md")}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert pages - built == set()
    assert len(pages) > 30


def test_nothing_is_loaded_from_another_host(site):
    source = r"<(?:script|img|iframe)[^>]+src=\"?(?:https?:|//)"
    loaded = re.compile(source + r"|<link[^>]+href=\"?(?:https?:|//)")
    found = [path for path in site.rglob("*.html") if loaded.search(path.read_text("utf-8"))]
    assert found == []
