from __future__ import annotations

import pytest
import torch

from terrain_seg_ros.core.errors import ModelError
from terrain_training.export.calibration import fit_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(40_000, 4, generator=random) * 4
    target = torch.multinomial((logits / temperature).softmax(1), 1, generator=random)[:, 0]
    assert fit_temperature(logits, target) == pytest.approx(temperature, rel=0.05)


def test_no_pixel_no_temperature():
    with pytest.raises(ModelError, match="no labelled pixel"):
        fit_temperature(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
