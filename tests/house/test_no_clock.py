"""No property test fails because the machine is busy."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[2]


def test_properties_have_no_deadline():
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_no_test_sets_its_own_deadline():
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "training/tests").rglob("*.py")]
    setting = re.compile(r"@settings\([^)]*deadline")
    assert [str(path) for path in files if setting.search(path.read_text("utf-8"))] == []
