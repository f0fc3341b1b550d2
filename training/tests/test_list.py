"""`terrain-train list` names everything that a recipe may name, each with a line."""

from __future__ import annotations

import pytest

from terrain_training.augmentation.registry import AUGMENTATIONS
from terrain_training.cli import main
from terrain_training.commands.list import LISTS
from terrain_training.data.factory import SOURCES, source_options
from terrain_training.losses import LOSSES
from terrain_training.networks.registry import NETWORKS
from terrain_training.networks.smp_network import encoder_names
from terrain_training.recipe.shipped import shipped_recipes

KNOWN = {
    "recipes": shipped_recipes(),
    "sources": SOURCES,
    "networks": NETWORKS,
    "encoders": [*encoder_names(), "tu-NAME"],
    "losses": LOSSES,
    "augmentations": [*AUGMENTATIONS, "albumentations"],
}


@pytest.mark.parametrize("what", LISTS)
def test_a_list_has_a_line_for_each(what, capsys):
    assert main(["list", what]) == 0
    _head, _rule, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == list(KNOWN[what])
    assert all(len(row.split()) > 1 for row in rows)


def test_all_lists_are_printed_at_once(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line in LISTS] == list(LISTS)
    assert any(line.startswith("mars_navcam ") for line in printed)


def test_the_options_of_a_source_are_shown_with_their_defaults(capsys):
    main(["list", "sources"])
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    for name in SOURCES:
        for option in set(source_options(name)) - {"palette"}:
            assert option in rows[name]
        assert "removed=[]" in rows[name]
    assert "seed=42" in rows["ai4mars"]
    assert "binary=false" in rows["earth_terrain"]
