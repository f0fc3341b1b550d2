"""Every requirement has a test, every marker a requirement."""

from __future__ import annotations

import re

import pytest
from render_requirements import GROUPS, PAGE, REQUIREMENTS, proofs, render, requirement_lines

IDENTIFIERS = [item.identifier for item in REQUIREMENTS]


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_every_requirement_is_proved_by_a_test(identifier):
    assert proofs().get(identifier), f"mark a test with @pytest.mark.requirement({identifier!r})"


def test_the_page_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert render(text) == text, "run `make reference`"


def test_a_changed_page_is_noticed():
    text = PAGE.read_text(encoding="utf-8")
    assert render(text.replace("TSR-SAFE-001", "TSR-SAFE-002")) == text


def test_every_marker_names_a_requirement():
    assert sorted(set(proofs()) - set(IDENTIFIERS)) == []


def test_identifiers_are_unique_well_formed_and_in_a_group():
    assert len(set(IDENTIFIERS)) == len(IDENTIFIERS)
    for identifier in IDENTIFIERS:
        match = re.fullmatch(r"TSR-([A-Z]+)-\d{3}", identifier)
        assert match is not None
        assert match[1] in GROUPS


def test_every_requirement_is_a_sentence_on_the_page():
    page = list(requirement_lines())
    for item in REQUIREMENTS:
        assert item.text.endswith(".")
        assert sum(item.identifier in line for line in page) == 1


def test_pytest_sees_the_markers_that_the_page_lists(pytestconfig, request):
    """What is read from the source is what pytest collects of this very run."""
    listed = {(proof.path, proof.test) for tests in proofs().values() for proof in tests}
    for item in request.session.items:
        if item.get_closest_marker("requirement") is not None:
            place = str(item.path.relative_to(pytestconfig.rootpath))
            assert (place, item.originalname) in listed
