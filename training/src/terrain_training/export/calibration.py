"""How far confidences can be believed: temperature scaling."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from terrain_seg_ros.core.errors import ModelError


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """Return the temperature that minimises the negative log likelihood (Guo et al., 2017).

    Args:
        logits: (P, K) of labelled pixels.
        target: (P,) class ids.

    Raises:
        ModelError: there is no pixel.
    """
    if len(target) == 0:
        raise ModelError("no labelled pixel to fit the temperature on; check the validation masks")
    log_temperature = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(logits / log_temperature.exp(), target)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call, unused-ignore]
    return float(log_temperature.detach().exp().clamp(0.05, 20.0))
