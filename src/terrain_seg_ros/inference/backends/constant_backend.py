"""A backend without a network: one class everywhere, for tests and to time everything else."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, BackendOptions
from terrain_seg_ros.inference.input_tensor import run_each
from terrain_seg_ros.model_store.loaded_model import LoadedModel

NAME = "constant"


def usable_precisions() -> tuple[str, ...]:
    """Return the precisions that this machine can compute in."""
    return (FULL_PRECISION,)


class ConstantBackend:
    """Predict one class with full confidence; only the card of the model is used."""

    name = NAME
    precision = FULL_PRECISION

    def __init__(self, model: LoadedModel, options: BackendOptions) -> None:
        """Make the output.

        Raises:
            ConfigError: the model has no such class.
        """
        card, chosen = model.card, options.constant_class
        if chosen >= len(card.taxonomy):
            raise ConfigError(
                f"constant_class is {chosen}, but model {card.name!r} has the classes "
                f"{list(card.taxonomy.names)}; choose 0 to {len(card.taxonomy) - 1}"
            )
        plane = (1, card.height_px, card.width_px)
        probabilities = np.zeros((1, len(card.taxonomy), *plane[1:]), dtype=np.uint8)
        probabilities[:, chosen] = 255
        self._card = card
        self._output: NetworkOutput | None = NetworkOutput(
            mask=np.full(plane, chosen, dtype=np.uint8),
            confidence=np.full(plane, 255, dtype=np.uint8),
            probabilities=probabilities,
        )

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Return the constant for (N, h, w, C) uint8; one image gets the same arrays every time.

        Raises:
            InferenceError: the tensor does not fit the model.
        """
        return run_each(tensor_nhwc_u8, self._card, self._run)

    def close(self) -> None:
        """Free the arrays; calling again does nothing."""
        self._output = None

    def _run(self, _tensor: U8) -> NetworkOutput:
        if self._output is None:
            raise InferenceError("the constant backend is closed; make a new one")
        return self._output
