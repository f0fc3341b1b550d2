"""What every source of labelled images must hold; subclass it for a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.contract import Source, find_usable
from terrain_training.data.factory import SOURCES


class SourceContract:
    """Subclasses give `name`, the row of `SOURCES`, and `open`."""

    name: str
    options: ClassVar[dict[str, Any]] = {}
    """Options that have no default, by name."""

    def open(self, root: Path) -> Source:
        """Write a small set in the published layout below `root`, and return its source."""
        raise NotImplementedError

    def test_it_has_a_row_in_the_registry(self):
        assert self.name in SOURCES

    def test_no_sample_is_in_two_splits(self, tmp_path):
        source = self.open(tmp_path)
        names = [name for split in source.splits() for name in source.names(split)]
        assert names
        assert len(set(names)) == len(names)

    def test_its_order_stays_the_same_when_it_is_opened_again(self, tmp_path):
        first, again = self.open(tmp_path), self.open(tmp_path)
        for split in first.splits():
            assert first.names(split) == again.names(split)

    def test_every_sample_can_be_used_and_holds_classes_of_its_taxonomy(self, tmp_path):
        source = self.open(tmp_path)
        for split in source.splits():
            usable = find_usable(source, source.names(split), skip_bad=True)
            assert usable.bad == {}
            assert usable.ids <= {*range(len(source.taxonomy)), 255}

    def test_a_sample_is_the_same_each_time(self, tmp_path):
        source = self.open(tmp_path)
        name = source.names(source.splits()[0])[0]
        first, again = source.load(name), source.load(name)
        np.testing.assert_array_equal(first.image, again.image)
        np.testing.assert_array_equal(first.mask, again.mask)

    def test_a_split_that_it_lacks_is_refused_by_name(self, tmp_path):
        source = self.open(tmp_path)
        with pytest.raises(ConfigError, match="no split 'holidays'"):
            source.names("holidays")

    def test_data_of_another_layout_are_refused(self, tmp_path):
        with pytest.raises(ConfigError):
            SOURCES[self.name](tmp_path / "missing", **self.options)
