"""What only the maker of a network knows about it, validated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import MAX_INPUT_PX, Channels, Resize
from terrain_seg_ros.core.taxonomy import Taxonomy


class Layout(str, Enum):
    """Position of the channels in a tensor."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Activation(str, Enum):
    """What the output of the network is."""

    LOGITS = "logits"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


class Colors(str, Enum):
    """The colour channels of the network's input, in their order."""

    GREY = "grey"
    RGB = "rgb"
    BGR = "bgr"


@dataclass(frozen=True)
class WrapSettings:
    """How the network was trained: the preprocessing of its input and the meaning of its output.

    A byte b of the image becomes (b * white / 255 - mean) / std; `mean` and `std` hold one value,
    or one per plane in the network's own order. A network with one output plane tells the second
    of two classes from the first. `force_activation` accepts `activation` even if the
    output looks different.
    """

    name: str
    version: str
    taxonomy: Taxonomy
    layout: Layout
    output_layout: Layout
    colors: Colors
    resize: Resize
    white: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    activation: Activation
    size_hw: tuple[int, int] | None
    output: str | None
    source: Path
    force_activation: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        for option, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in {1, self.planes} or not all(map(math.isfinite, values)):
                raise ConfigError(
                    f"{option} is {list(values)}, expected one finite number or {self.planes}, "
                    f"one per plane of {self.colors.value}"
                )
        if min(self.std) <= 0.0:
            raise ConfigError(f"--std is {list(self.std)}, expected numbers above 0")
        if self.white not in {1.0, 255.0}:
            raise ConfigError(
                f"--scale is {self.white:g}, expected 1 (the network takes 0 to 1) or 255 (grey "
                "levels)"
            )
        if self.size_hw is not None and not all(16 <= px <= MAX_INPUT_PX for px in self.size_hw):
            raise ConfigError(
                f"--size is {self.size_hw[0]}x{self.size_hw[1]}, expected HEIGHTxWIDTH of 16 to "
                f"{MAX_INPUT_PX} pixels each"
            )
        if len(self.taxonomy) < 2:
            raise ConfigError(
                f"--classes names only {list(self.taxonomy.names)}, expected two or more; a "
                "network for one object has two classes: the background first, then the object"
            )

    @property
    def planes(self) -> int:
        """Return the number of planes of the network's input."""
        return 1 if self.colors is Colors.GREY else 3

    @property
    def channels(self) -> Channels:
        """Return the channels of the input as the card names them."""
        return "grey" if self.colors is Colors.GREY else "rgb"
