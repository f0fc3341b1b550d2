"""What a model must show before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_TEST_DEADLINE_S = 60.0


@dataclass(frozen=True)
class ModelTrust:
    """What is required of a model.

    `public_key` is the file of the key that must have signed it; None for no signature.
    `test_deadline_s` is how long the first run of a network that is not shipped may take, in a
    process of its own. `renews_pin` lets a pin of an older version pass that fits the network.
    """

    public_key: Path | None = None
    test_deadline_s: float = DEFAULT_TEST_DEADLINE_S
    renews_pin: bool = False


ANY_MODEL = ModelTrust()
"""No signature is asked for."""
