"""Learn from labels that leave a choice of classes, by the likelihood of the choice as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE

IMPOSSIBLE = -1.0e4
"""A logit whose probability is 0 in float32, and whose products are numbers."""


def merge_label_sets(
    logits: Tensor, target: Tensor, sets: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """Return logits and class ids that every loss on one class per pixel takes.

    Where a pixel's label is a set of classes, its main class gets the probability of the whole set
    and the others of the set get none: cross entropy is then the marginal likelihood of the label
    (Cour et al., Learning from Partial Labels, 2011), and other losses and counts take a prediction
    of any class of the set as right. A set of all classes says nothing, and becomes 255. Other
    pixels stay as they are.

    Args:
        logits: (N, K, H, W).
        target: (N, H, W), a class id, K plus the place of a set, or 255.
        sets: class ids, the main class of each first.
    """
    classes = logits.shape[1]
    for place, ids in enumerate(sets):
        is_set = target == classes + place
        if len(ids) == classes:
            target = torch.where(is_set, target.new_tensor(IGNORE), target)
            continue
        members = torch.tensor(ids, device=logits.device)
        whole = logits[:, members].logsumexp(dim=1, keepdim=True)
        rows = torch.arange(classes, device=logits.device).view(1, -1, 1, 1)
        merged = torch.where(torch.isin(rows, members), logits.new_tensor(IMPOSSIBLE), logits)
        merged = torch.where(rows == ids[0], whole, merged)
        logits = torch.where(is_set.unsqueeze(1), merged, logits)
        target = torch.where(is_set, target.new_tensor(ids[0]), target)
    return logits, target


def decide_label_sets(
    target: Tensor, teacher: Tensor, sets: Sequence[Sequence[int]], *, confidence: float
) -> Tensor:
    """Return class ids (N, H, W) with a teacher's class where it is sure enough within a set.

    Args:
        target: (N, H, W), as `merge_label_sets` takes it.
        teacher: logits (N, K, H, W) of another network.
        sets: class ids, the main class of each first.
        confidence: least probability of the class, of the set's classes together.
    """
    classes = teacher.shape[1]
    for place, ids in enumerate(sets):
        members = torch.tensor(ids, device=teacher.device)
        sure, chosen = teacher[:, members].softmax(dim=1).max(dim=1)
        decided = (target == classes + place) & (sure >= confidence)
        target = torch.where(decided, members[chosen], target)
    return target
