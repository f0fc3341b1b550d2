"""Builds of an engine that are counted, for the tests of the cache."""

from __future__ import annotations

from support.engine_keys import KEY
from terrain_seg_ros.inference.engines.engine_cache import EngineCache

ENGINE = bytes(range(256)) * 64


class Builds:
    """Counts the builds and keeps what was reported."""

    def __init__(self, folder):
        self.count = 0
        self.reports = []
        self.cache = EngineCache(folder, report=self.reports.append)

    def __call__(self):
        self.count += 1
        return ENGINE

    def load(self, wanted=KEY, **options):
        return self.cache.load_or_build(wanted, self, **options)


def files(folder):
    return sorted(path.name for path in folder.iterdir())
