"""`terrain-seg doctor BAG`: look through a bag as `terrain-seg replay` would read it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from tqdm import tqdm

from terrain_seg_ros.bag.plan import ReplayOptions
from terrain_seg_ros.bag.survey import survey_bag
from terrain_seg_ros.doctor.bag import TOPIC_HEAD, bag_findings, bag_json, topic_rows
from terrain_seg_ros.doctor.finding import Finding
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.shipped import MODES
from terrain_seg_ros.report.table import text_table

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


class BagLook(NamedTuple):
    """What a bag has and lacks: a table of its topics, findings, and figures for JSON."""

    table: str
    findings: list[Finding]
    figures: Mapping[str, Any]


def look(arguments: argparse.Namespace) -> BagLook:
    """Return what is found in the bag that the command line names.

    Raises:
        ConfigError: bag, topic or parameter cannot be used.
        MessageError: the bag is damaged.
        ModelError: the model cannot be used.
    """
    parameters = load_parameters(
        *arguments.params,
        overrides={} if arguments.model is None else {"model": arguments.model},
        shipped=arguments.mode or MODES[0],
    )
    options = ReplayOptions(image_topics=arguments.image_topic)
    with tqdm(total=1.0, desc=arguments.bag.name, bar_format=_BAR, disable=None) as bar:
        survey = survey_bag(
            arguments.bag,
            parameters,
            options,
            whole=arguments.whole,
            on_progress=lambda share: bar.update(share - bar.n),
        )
    table = text_table(TOPIC_HEAD, topic_rows(survey))
    return BagLook(table, bag_findings(survey), bag_json(survey))
