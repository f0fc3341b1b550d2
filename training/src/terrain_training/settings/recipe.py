"""The settings of a recipe; the YAML files hold their values, nothing here has a default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Channels = Literal["grey", "rgb"]
Resize = Literal["stretch", "letterbox", "crop"]


@dataclass(frozen=True)
class DataSettings:
    """Say what is learned from; satisfies the input that `image_to_tensor` fits images to.

    `mean` and `std` are grey levels (0 to 255), one value or one per channel: the network sees
    (byte - mean) / std. `workers` of nothing takes some where a GPU trains, none on a CPU, whose
    cores are busy. `taxonomy` holds `classes` and `map` of a taxonomy file, or nothing.
    """

    source: str
    options: dict[str, Any]
    taxonomy: dict[str, Any] | None
    channels: Channels
    height_px: int
    width_px: int
    resize: Resize
    mean: list[float]
    std: list[float]
    cache_mib: int
    workers: int | None

    @property
    def channel_count(self) -> int:
        """Return C of the input tensor."""
        return 1 if self.channels == "grey" else 3


@dataclass(frozen=True)
class NetworkSettings:
    """Say which network of `networks.registry` is trained, and with which options."""

    kind: str
    activation: Literal["softmax", "sigmoid"]
    options: dict[str, Any]


@dataclass(frozen=True)
class TrainingSettings:
    """Say how it is trained; a weight, decay or count of 0 switches its part off.

    `losses` are weights by name. `class_weights` is a list in the order of the classes, or one of
    `none`, `median_frequency` and `inverse_sqrt`, measured on the training images. An
    `encoder_learning_rate` of nothing is the learning rate.
    """

    epochs: int
    batch_size: int
    seed: int
    precision: Literal["fp32", "bf16", "fp16"]
    optimiser: Literal["adam", "adamw", "sgd"]
    learning_rate: float
    encoder_learning_rate: float | None
    momentum: float
    weight_decay: float
    schedule: Literal["constant", "cosine", "step"]
    warmup_share: float
    losses: dict[str, float]
    focal_gamma: float
    hazard_miss_weight: float
    class_weights: list[float] | str
    ema_decay: float
    gradient_clip: float
    early_stop_epochs: int
    adversarial_weight: float
    example_images: int


@dataclass(frozen=True)
class ExportSettings:
    """Say how the trained network is written.

    `batch` fixes the batch size of the file; 0 leaves it free.
    """

    round_to_bfloat16: bool
    batch: int


@dataclass(frozen=True)
class SharpeningSettings:
    """Say how `evaluate --sharpen` works on what the network gives; see `evaluation.sharpening`."""

    amount: float
    sigma_px: float
    min_area_px: int


@dataclass(frozen=True)
class Recipe:
    """Hold every setting of one run."""

    name: str
    version: str
    description: str
    credits: list[str]
    limits: list[str]
    data: DataSettings
    network: NetworkSettings
    training: TrainingSettings
    augmentation: list[dict[str, Any]]
    export: ExportSettings
    sharpening: SharpeningSettings
