"""What a replay is scored against: found and checked before the replay starts."""

from __future__ import annotations

from collections.abc import Sequence
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
from terrain_seg_ros.parameters.node_settings import NodeSettings


@dataclass(frozen=True)
class TruthOptions:
    """The ground truth as the command line names it.

    Attributes:
        truths: for each camera [CAMERA=]TOPIC or [CAMERA=]FOLDER.
        label_map: VALUE=NAME,... of the truth's values; None: they are class ids.
        ignore: truth value that is left out of the scores.
    """

    truths: Sequence[str]
    label_map: str | None
    ignore: int


@dataclass(frozen=True)
class ScorePlan:
    """The truths with the topics of our masks, and what the values of the truths mean."""

    truths: tuple[tuple[Truth, str], ...]
    table: U8
    taxonomy: Taxonomy
    rule: HazardRule

    @property
    def truth_topics(self) -> tuple[str, ...]:
        """Return the topics of the bag that hold truth masks."""
        return tuple(truth.topic for truth, _ in self.truths if truth.topic is not None)

    def scores(self, target: Path, report: ReplayReport) -> dict[str, Any]:
        """Return the scores of a replay and what was measured in it.

        Raises:
            ConfigError: a truth holds a value without a meaning, or nothing matches.
            MessageError: the bag is damaged.
        """
        if not self.truths:
            return bag_scores(report, None, None, rule=self.rule)
        matrix = ConfusionMatrix(self.taxonomy.names)
        counts = score_masks(target, self.truths, table=self.table, matrix=matrix)
        return bag_scores(report, matrix, counts, rule=self.rule)


def plan_score(
    source: Path, parameters: NodeSettings, truth: TruthOptions, *, replay: ReplayOptions
) -> ScorePlan:
    """Return how the replay of a bag is scored.

    Args:
        source: the bag.
        parameters: of the node.
        truth: the ground truth.
        replay: the image topics and the namespace of the replay.

    Raises:
        ConfigError: truth, map or a hazard cannot be used.
        ModelError: the model cannot be used.
    """
    card = load_card(parameters.inference.model)
    taxonomy = card.taxonomy.with_hazards(parameters.pipeline.hazards)
    table = parse_label_values(truth.label_map, taxonomy.names, ignore=truth.ignore)
    rule = HazardRule.of(taxonomy, parameters.pipeline.cost.hazard_threshold)
    truths = _truths(source, parameters, truth.truths, replay) if truth.truths else ()
    return ScorePlan(truths, table, taxonomy, rule)


def _truths(
    source: Path, parameters: NodeSettings, texts: Sequence[str], replay: ReplayOptions
) -> tuple[tuple[Truth, str], ...]:
    with BagReader(source) as reader:
        images = {item.topic for item in reader.connections if is_mask_type(item.msgtype)}
        named = {text.rpartition("=")[2] for text in texts}
        cameras = find_cameras(
            reader,
            parameters.input.cameras[0],
            image_topics=replay.image_topics,
            other_topics=named,
        )
        truths = find_truth(texts, cameras, images)
    names = [camera.name for camera in cameras]
    outputs = find_outputs(
        parameters.with_values({"cameras": names}), ReplayOptions(namespace=replay.namespace)
    )
    masks = {name: outputs[resolve(topic("mask"), name, len(names))].full_name for name in names}
    return tuple((truth, masks[truth.camera]) for truth in truths)
