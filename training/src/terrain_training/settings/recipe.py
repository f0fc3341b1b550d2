"""The settings of a recipe: each is declared once, here, with its type, range and meaning.

Their default values are in `recipe/base.yaml`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from terrain_training.settings.fields import (
    Flag,
    NotNegative,
    Number,
    Positive,
    Share,
    Text,
    Whole,
)

Channels = Literal["grey", "rgb"]
Resize = Literal["stretch", "letterbox", "crop"]
MAX_LEARNING_RATE = 1e30
"""Optimisers multiply it, and float32 ends at 3e38."""
_CONFIG = ConfigDict(extra="forbid")
_Side = Annotated[Whole, Field(ge=16, le=4096)]
_Rate = Annotated[Number, Field(gt=0, le=MAX_LEARNING_RATE)]


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class FoldSettings:
    """Which fold of the training images validates, and how many there are."""

    number: Annotated[Whole, Field(ge=1)] = Field(description="fold that validates, from 1")
    count: Annotated[Whole, Field(ge=2)] = Field(description="number of folds")


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class DataSettings:
    """The images and labels to learn from; the input that `image_to_tensor` fits images to."""

    source: Text = Field(description="name of the data set's reader, see `data.factory.SOURCES`")
    options: dict[Text, Any] = Field(description="options of the reader")
    taxonomy: dict[Text, Any] | None = Field(
        description="`classes` and `map` that rename, join or ignore the reader's classes; "
        "a file name or the mapping itself"
    )
    fold: FoldSettings | None = Field(
        description="fold of the training images that validates in the place of the validation "
        "split; `train --folds` sets it"
    )
    channels: Channels = Field(description="channels of the network's input")
    height_px: _Side = Field(description="height of the network's input, px")
    width_px: _Side = Field(description="width of the network's input, px")
    resize: Resize = Field(description="how an image is fitted to the input")
    renderers: list[Literal["numpy", "mujoco", "cycles"]] = Field(
        description="renderers that made images of the data, for the card: figures in a renderer "
        "that a network has seen are marked; empty for real images alone"
    )
    bodies: list[Literal["moon", "mars"]] = Field(
        description="whose ground the data show, for the card: `terrain-seg score` takes worlds of "
        "these; empty: not said"
    )
    mean: list[Number] = Field(
        description="grey level (0 to 255) that is subtracted, one value or one per channel"
    )
    std: list[Positive] = Field(
        description="grey levels (0 to 255) to divide by, one value or one per channel"
    )
    cache_mib: Annotated[Whole, Field(ge=0)] = Field(
        description="memory for decoded images, MiB; 0 keeps none"
    )
    workers: Annotated[Whole, Field(ge=0)] | None = Field(
        description="processes that load images; null: several beside a GPU, none on a CPU"
    )

    @property
    def channel_count(self) -> int:
        """C of the input tensor."""
        return 1 if self.channels == "grey" else 3


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class NetworkSettings:
    """The network to train."""

    kind: Text = Field(description="name of the network, see `networks.registry.NETWORKS`")
    activation: Literal["softmax", "sigmoid"] = Field(
        description="softmax: one output per class; sigmoid: two classes from one output"
    )
    options: dict[Text, Any] = Field(description="options of the network")


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class TrainingSettings:
    """Optimiser, losses and schedule; a weight, decay or count of 0 switches its part off."""

    epochs: Annotated[Whole, Field(gt=0)] = Field(description="passes over the training images")
    batch_size: Annotated[Whole, Field(gt=0)] = Field(description="images per step")
    seed: Annotated[Whole, Field(ge=0)] = Field(
        description="seed of initial weights, order and augmentation"
    )
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        description="number format of the arithmetic; fp16 needs a GPU; auto measures whether "
        "bf16 is faster on this machine"
    )
    optimiser: Literal["adam", "adamw", "sgd"] = Field(description="optimiser")
    learning_rate: _Rate = Field(description="learning rate")
    encoder_learning_rate: _Rate | None = Field(
        description="learning rate of the encoder; null: the learning rate"
    )
    momentum: Share = Field(description="momentum of sgd")
    weight_decay: NotNegative = Field(description="weight decay")
    schedule: Literal["constant", "cosine", "step"] = Field(
        description="learning rate over the epochs; step: a tenth after two thirds of them"
    )
    warmup_share: Share = Field(description="share of the steps in which the learning rate rises")
    losses: dict[Text, Positive] = Field(
        min_length=1, description="weights of the losses by name, see `losses.LOSSES`"
    )
    focal_gamma: NotNegative = Field(description="gamma of the loss `focal`")
    hazard_miss_weight: NotNegative = Field(
        description="cost of a missed hazard in `hazard_weighted`; a false alarm costs 1"
    )
    tversky_alpha: NotNegative = Field(
        description="cost in the loss `tversky` of a pixel that is given a class wrongly"
    )
    tversky_beta: NotNegative = Field(
        description="cost in the loss `tversky` of a pixel of a class that is missed"
    )
    class_weights: (
        Literal["none", "median_frequency", "inverse_sqrt"]
        | Annotated[list[Positive], Field(min_length=1)]
    ) = Field(description="weights in the order of the classes, or how the images give them")
    repeats: dict[Text, Annotated[Whole, Field(ge=1, le=100)]] = Field(
        description="how often an epoch shows an image that holds a class, by class, or "
        "MEMBER/CLASS for one member of a joined source; once if not said, and of several the most"
    )
    ema_decay: Share = Field(description="share of the weights' moving average kept at each step")
    pseudo_label_confidence: Share = Field(
        description="probability within a label that leaves a choice from which, after the first "
        "epoch, the choice of the weights' moving average counts as the label; 0: never"
    )
    gradient_clip: NotNegative = Field(description="largest norm of the gradients; 0: no limit")
    early_stop_epochs: Annotated[Whole, Field(ge=0)] = Field(
        description="epochs without a better validation score before training stops; 0: never"
    )
    adversarial_weight: NotNegative = Field(
        description="weight of the discriminator's loss; 0: no discriminator"
    )
    loggers: list[Literal["tensorboard", "wandb", "mlflow"]] = Field(
        description="where figures are logged beside the run's folder"
    )
    example_images: Annotated[Whole, Field(ge=0)] = Field(
        description="validation images drawn after each epoch"
    )


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class ExportSettings:
    """How the trained network is written."""

    round_to_bfloat16: Flag = Field(description="round weights to bfloat16")
    batch: Annotated[Whole, Field(ge=0, le=1)] = Field(
        description="batch size of the file; 0 accepts any"
    )


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class SharpeningSettings:
    """What `evaluate --sharpen` does to the network's output; see `evaluation.sharpening`."""

    amount: NotNegative = Field(description="weight of the unsharp mask")
    sigma_px: Positive = Field(description="standard deviation of its Gaussian, px")
    min_area_px: Annotated[Whole, Field(ge=0)] = Field(
        description="smaller areas take the class around them, px"
    )


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class PartFile:
    """A Python file with parts that this package lacks; a recipe names the file alone."""

    file: Text = Field(description="of Python, relative to the recipe that is written whole")
    sha256: Text = Field(description="digest of the file, in hexadecimal digits")


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Recipe:
    """Every setting of one run."""

    name: Text = Field(description="name of the recipe and of the model")
    version: Text = Field(description="version of the model")
    description: Text = Field(description="what the model is for, for its card")
    credits: list[Text] = Field(description="data and weights that the card credits")
    limits: list[Text] = Field(description="known limits, for the card")
    parts: list[PartFile] = Field(
        description="Python files with own networks, losses, augmentations and sources, see "
        "`terrain_training.parts`; their code runs"
    )
    data: DataSettings = Field(description="images and labels")
    network: NetworkSettings = Field(description="network")
    training: TrainingSettings = Field(description="training")
    augmentation: list[dict[Text, Any]] = Field(
        description="changes of the images in order: `name`, `probability` and options each"
    )
    export: ExportSettings = Field(description="export")
    sharpening: SharpeningSettings = Field(description="sharpening of the output")
