"""What a replay is scored against, found and checked before the work begins."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.bag.cameras import find_cameras
from terrain_seg_ros.bag.plan import ReplayOptions, find_outputs
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.replay import ReplayReport
from terrain_seg_ros.bag.scores import bag_scores, score_masks
from terrain_seg_ros.bag.truth import Truth, find_truth, is_mask_type
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.scores.label_values import parse_label_values
from terrain_seg_ros.core.scores.segmentation_metrics import ConfusionMatrix
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.messages.topics import resolve, topic
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.parameters import HAZARD, Parameters


@dataclass(frozen=True)
class ScorePlan:
    """Hold the truth, what its values mean, and the topic of our masks of each camera."""

    truths: tuple[tuple[Truth, str], ...]
    table: U8
    taxonomy: Taxonomy
    rule: HazardRule

    @property
    def truth_topics(self) -> tuple[str, ...]:
        """Return the topics of the bag that are no camera's."""
        return tuple(truth.topic for truth, _ in self.truths if truth.topic is not None)

    def scores(self, target: Path, report: ReplayReport) -> dict[str, Any]:
        """Return everything about a replay.

        Raises:
            ConfigError: a truth holds a value without a meaning, or nothing matches.
            MessageError: the bag is damaged.
        """
        if not self.truths:
            return bag_scores(report, None, None, rule=self.rule)
        matrix = ConfusionMatrix(self.taxonomy.names)
        counts = score_masks(target, self.truths, table=self.table, matrix=matrix)
        return bag_scores(report, matrix, counts, rule=self.rule)


def plan_score(arguments: argparse.Namespace, parameters: Parameters) -> ScorePlan:
    """Return how the one bag that the arguments name is scored.

    Raises:
        ConfigError: truth, map or a hazard cannot be used.
        ModelError: the model cannot be used.
    """
    card = load_card(parameters.text("model"))
    taxonomy = card.taxonomy.with_hazards(parameters.per_class(HAZARD))
    table = parse_label_values(arguments.map, taxonomy.names, ignore=arguments.ignore)
    rule = HazardRule.of(taxonomy, parameters.number("cost.hazard_threshold"))
    truths = _truths(arguments, parameters) if arguments.truth else ()
    return ScorePlan(truths, table, taxonomy, rule)


def _truths(arguments: argparse.Namespace, parameters: Parameters) -> tuple[tuple[Truth, str], ...]:
    with BagReader(arguments.sources[0]) as reader:
        images = {item.topic for item in reader.connections if is_mask_type(item.msgtype)}
        named = {text.rpartition("=")[2] for text in arguments.truth}
        cameras = find_cameras(
            reader,
            parameters.texts("cameras")[0],
            image_topics=arguments.image_topic,
            other_topics=named,
        )
        truths = find_truth(arguments.truth, cameras, images)
    names = [camera.name for camera in cameras]
    outputs = find_outputs(
        parameters.with_values({"cameras": names}), ReplayOptions(namespace=arguments.namespace)
    )
    masks = {name: outputs[resolve(topic("mask"), name, len(names))].full_name for name in names}
    return tuple((truth, masks[truth.camera]) for truth in truths)
